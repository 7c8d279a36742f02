// SPDX-License-Identifier: Apache-2.0

package vpc

import (
	"context"
	"time"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/ec2/block"
	"github.com/posternhq/postern/internal/service/ec2/request"
	"github.com/posternhq/postern/internal/service/view"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// DescribeVpcs lists the caller's VPCs.
func (a VPCs) DescribeVpcs(ctx context.Context, in *shape.DescribeVpcsInput) (*shape.DescribeVpcsOutput, error) {
	rows, _, next, err := request.Describe(ctx, a.DB, request.Listing[*model.VPC]{
		Operation: "DescribeVpcs", Table: state.VPCs, Filters: a.vpcFilters, Others: view.OthersVPCs,
	}, request.Query{Filters: in.Filters, IDs: in.VpcIds, Token: in.NextToken, Max: in.MaxResults})
	if err != nil {
		return nil, err
	}
	out := &shape.DescribeVpcsOutput{NextToken: next, Vpcs: []shape.Vpc{}}
	for _, v := range rows {
		out.Vpcs = append(out.Vpcs, *vpcShape(v, a.Now()))
	}
	return out, nil
}

// vpcFilters has the names of properties in the spellings that EC2 takes.
func (a VPCs) vpcFilters(*table.Txn) service.Filters[*model.VPC] {
	now := a.Now()
	isDefault := func(v *model.VPC) []string { return request.YesNo(v.Default) }
	primary := func(v *model.VPC) []string { return request.One(v.CIDRs[0].Prefix.String()) }
	return service.Filters[*model.VPC]{
		Properties: map[string]func(*model.VPC) []string{
			"cidr":                                        primary,
			"cidr-block":                                  primary,
			"cidrBlock":                                   primary,
			"cidr-block-association.association-id":       func(v *model.VPC) []string { return block.Each(block.OfVPC4(v, now), block.ID) },
			"cidr-block-association.cidr-block":           func(v *model.VPC) []string { return block.Each(block.OfVPC4(v, now), block.Text) },
			"cidr-block-association.state":                func(v *model.VPC) []string { return block.Each(block.OfVPC4(v, now), block.State) },
			"dhcp-options-id":                             func(v *model.VPC) []string { return request.One(optionsOf(v)) },
			"ipv6-cidr-block-association.association-id":  func(v *model.VPC) []string { return block.Each(block.OfVPC6(v, now), block.ID) },
			"ipv6-cidr-block-association.ipv6-cidr-block": func(v *model.VPC) []string { return block.Each(block.OfVPC6(v, now), block.Text) },
			"ipv6-cidr-block-association.ipv6-pool":       func(v *model.VPC) []string { return block.Each(block.OfVPC6(v, now), block.Pool) },
			"ipv6-cidr-block-association.state":           func(v *model.VPC) []string { return block.Each(block.OfVPC6(v, now), block.State) },
			"is-default":                                  isDefault,
			"isDefault":                                   isDefault,
			"owner-id":                                    func(v *model.VPC) []string { return request.One(v.Account) },
			"state":                                       func(*model.VPC) []string { return request.One(shape.VpcStateAvailable) },
			"vpc-id":                                      func(v *model.VPC) []string { return request.One(v.ID) },
		},
	}
}

func vpcShape(v *model.VPC, now time.Time) *shape.Vpc {
	out := &shape.Vpc{
		VpcId: new(v.ID), OwnerId: new(v.Account), State: new(shape.VpcStateAvailable),
		CidrBlock: new(v.CIDRs[0].Prefix.String()), DhcpOptionsId: new(optionsOf(v)),
		InstanceTenancy: new(v.Tenancy), IsDefault: new(v.Default), Tags: request.TagList(v.Tags),
		BlockPublicAccessStates: NoPublicAccessBlock(),
	}
	for _, b := range block.OfVPC4(v, now) {
		out.CidrBlockAssociationSet = append(out.CidrBlockAssociationSet, *blockShape(b.CIDRAssociation, b.State))
	}
	for _, b := range block.OfVPC6(v, now) {
		out.Ipv6CidrBlockAssociationSet = append(out.Ipv6CidrBlockAssociationSet, *block6Shape(v, b.CIDRAssociation, b.State))
	}
	return out
}

// NoPublicAccessBlock says that nothing keeps a VPC or subnet from the internet.
func NoPublicAccessBlock() *shape.BlockPublicAccessStates {
	return &shape.BlockPublicAccessStates{InternetGatewayBlockMode: new(shape.BlockPublicAccessModeOff)}
}

func blockShape(b model.CIDRAssociation, code string) *shape.VpcCidrBlockAssociation {
	return &shape.VpcCidrBlockAssociation{
		AssociationId: new(b.ID), CidrBlock: new(b.Prefix.String()), CidrBlockState: &shape.VpcCidrBlockState{State: new(code)},
	}
}

func block6Shape(v *model.VPC, b model.CIDRAssociation, code string) *shape.VpcIpv6CidrBlockAssociation {
	source := shape.IpSourceByoip
	if b.Pool == amazonPool {
		source = shape.IpSourceAmazon
	}
	return &shape.VpcIpv6CidrBlockAssociation{
		AssociationId: new(b.ID), Ipv6CidrBlock: new(b.Prefix.String()), Ipv6CidrBlockState: &shape.VpcCidrBlockState{State: new(code)},
		Ipv6Pool: new(b.Pool), NetworkBorderGroup: new(v.Region), IpSource: new(source),
		Ipv6AddressAttribute: new(shape.Ipv6AddressAttributePublic),
	}
}

// DescribeVpcAttribute tells one of the three attributes.
func (a VPCs) DescribeVpcAttribute(ctx context.Context, in *shape.DescribeVpcAttributeInput) (*shape.DescribeVpcAttributeOutput, error) {
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	v, err := request.Get(tx, access.From(ctx), state.VPCs, service.Value(in.VpcId))
	if err != nil {
		return nil, err
	}
	out := &shape.DescribeVpcAttributeOutput{VpcId: in.VpcId}
	switch attribute := service.Value(in.Attribute); attribute {
	case shape.VpcAttributeNameEnableDnsSupport:
		out.EnableDnsSupport = &shape.AttributeBooleanValue{Value: new(v.DNSSupport)}
	case shape.VpcAttributeNameEnableDnsHostnames:
		out.EnableDnsHostnames = &shape.AttributeBooleanValue{Value: new(v.DNSHostnames)}
	case shape.VpcAttributeNameEnableNetworkAddressUsageMetrics:
		out.EnableNetworkAddressUsageMetrics = &shape.AttributeBooleanValue{Value: new(v.UsageMetrics)}
	default:
		return nil, fault.EC2("InvalidParameterValue", "Value (%s) for parameter attribute is invalid. Unknown attribute.", attribute)
	}
	return out, nil
}

// ModifyVpcAttribute changes one of the three attributes.
func (a VPCs) ModifyVpcAttribute(ctx context.Context, in *shape.ModifyVpcAttributeInput) (*shape.ModifyVpcAttributeOutput, error) {
	set, err := request.TheOne(map[string]func(*model.VPC){
		"enableDnsSupport":                 request.SetBool(in.EnableDnsSupport, func(v *model.VPC, on bool) { v.DNSSupport = on }),
		"enableDnsHostnames":               request.SetBool(in.EnableDnsHostnames, func(v *model.VPC, on bool) { v.DNSHostnames = on }),
		"enableNetworkAddressUsageMetrics": request.SetBool(in.EnableNetworkAddressUsageMetrics, func(v *model.VPC, on bool) { v.UsageMetrics = on }),
	})
	if err != nil {
		return nil, err
	}
	_, err = request.Change(ctx, a.Env, state.VPCs, service.Value(in.VpcId), func(_ *table.Txn, v *model.VPC) error {
		set(v)
		if service.Value(request.Bool(in.EnableDnsHostnames)) && !v.DNSSupport {
			return fault.EC2("InvalidParameterValue", "Value (true) for parameter enableDnsHostnames is invalid: DNS support of the vpc '%s' is off; turn enableDnsSupport on first", v.ID)
		}
		return nil
	})
	return &shape.ModifyVpcAttributeOutput{}, err
}

// created is a VPC as the reply to its creation shows it: not yet available,
// and its IPv6 blocks not yet associated
// (https://docs.aws.amazon.com/cli/latest/reference/ec2/create-vpc.html).
func created(v *model.VPC) *shape.Vpc {
	out := vpcShape(v, v.CreatedAt)
	out.State = new(shape.VpcStatePending)
	for i := range out.Ipv6CidrBlockAssociationSet {
		out.Ipv6CidrBlockAssociationSet[i].Ipv6CidrBlockState.State = new(shape.VpcCidrBlockStateCodeAssociating)
	}
	return out
}
