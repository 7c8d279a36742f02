// SPDX-License-Identifier: Apache-2.0

package ec2

import (
	"context"
	"time"

	"github.com/posternhq/postern/internal/aws/caller"
	"github.com/posternhq/postern/internal/aws/fault"
	"github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// DescribeVpcs lists the caller's VPCs.
func (a *API) DescribeVpcs(ctx context.Context, in *ec2.DescribeVpcsInput) (*ec2.DescribeVpcsOutput, error) {
	rows, _, next, err := describe(ctx, a, listing[*model.VPC]{
		operation: "DescribeVpcs", table: state.VPCs, filters: a.vpcFilters, missing: noVPC,
	}, query{in.Filters, in.VpcIds, in.NextToken, in.MaxResults})
	if err != nil {
		return nil, err
	}
	out := &ec2.DescribeVpcsOutput{NextToken: next, Vpcs: []ec2.Vpc{}}
	for _, v := range rows {
		out.Vpcs = append(out.Vpcs, *vpcShape(v, a.Now()))
	}
	return out, nil
}

// vpcFilters has the names of properties in the spellings that EC2 takes.
func (a *API) vpcFilters(*table.Txn) service.Filters[*model.VPC] {
	now := a.Now()
	isDefault := func(v *model.VPC) []string { return yesNo(v.Default) }
	primary := func(v *model.VPC) []string { return one(v.CIDRs[0].Prefix.String()) }
	return service.Filters[*model.VPC]{
		Tags: func(v *model.VPC) map[string]string { return v.Tags },
		Properties: map[string]func(*model.VPC) []string{
			"cidr":                                        primary,
			"cidr-block":                                  primary,
			"cidrBlock":                                   primary,
			"cidr-block-association.association-id":       func(v *model.VPC) []string { return each(vpcBlocks4(v, now), blockID) },
			"cidr-block-association.cidr-block":           func(v *model.VPC) []string { return each(vpcBlocks4(v, now), blockText) },
			"cidr-block-association.state":                func(v *model.VPC) []string { return each(vpcBlocks4(v, now), blockState) },
			"dhcp-options-id":                             func(v *model.VPC) []string { return one(v.DHCPOptions) },
			"ipv6-cidr-block-association.association-id":  func(v *model.VPC) []string { return each(vpcBlocks6(v, now), blockID) },
			"ipv6-cidr-block-association.ipv6-cidr-block": func(v *model.VPC) []string { return each(vpcBlocks6(v, now), blockText) },
			"ipv6-cidr-block-association.ipv6-pool":       func(v *model.VPC) []string { return each(vpcBlocks6(v, now), blockPool) },
			"ipv6-cidr-block-association.state":           func(v *model.VPC) []string { return each(vpcBlocks6(v, now), blockState) },
			"is-default":                                  isDefault,
			"isDefault":                                   isDefault,
			"owner-id":                                    func(v *model.VPC) []string { return one(v.Account) },
			"state":                                       func(*model.VPC) []string { return one(ec2.VpcStateAvailable) },
			"vpc-id":                                      func(v *model.VPC) []string { return one(v.ID) },
		},
	}
}

func vpcShape(v *model.VPC, now time.Time) *ec2.Vpc {
	out := &ec2.Vpc{
		VpcId: new(v.ID), OwnerId: new(v.Account), State: new(ec2.VpcStateAvailable),
		CidrBlock: new(v.CIDRs[0].Prefix.String()), DhcpOptionsId: new(v.DHCPOptions),
		InstanceTenancy: new(v.Tenancy), IsDefault: new(v.Default), Tags: tagList(v.Tags),
		BlockPublicAccessStates: noPublicAccessBlock(),
	}
	for _, b := range vpcBlocks4(v, now) {
		out.CidrBlockAssociationSet = append(out.CidrBlockAssociationSet, *blockShape(b.CIDRAssociation, b.state))
	}
	for _, b := range vpcBlocks6(v, now) {
		out.Ipv6CidrBlockAssociationSet = append(out.Ipv6CidrBlockAssociationSet, *block6Shape(v, b.CIDRAssociation, b.state))
	}
	return out
}

func noPublicAccessBlock() *ec2.BlockPublicAccessStates {
	return &ec2.BlockPublicAccessStates{InternetGatewayBlockMode: new(ec2.BlockPublicAccessModeOff)}
}

func blockShape(b model.CIDRAssociation, code string) *ec2.VpcCidrBlockAssociation {
	return &ec2.VpcCidrBlockAssociation{
		AssociationId: new(b.ID), CidrBlock: new(b.Prefix.String()), CidrBlockState: &ec2.VpcCidrBlockState{State: new(code)},
	}
}

func block6Shape(v *model.VPC, b model.CIDRAssociation, code string) *ec2.VpcIpv6CidrBlockAssociation {
	source := ec2.IpSourceByoip
	if b.Pool == amazonPool {
		source = ec2.IpSourceAmazon
	}
	return &ec2.VpcIpv6CidrBlockAssociation{
		AssociationId: new(b.ID), Ipv6CidrBlock: new(b.Prefix.String()), Ipv6CidrBlockState: &ec2.VpcCidrBlockState{State: new(code)},
		Ipv6Pool: new(b.Pool), NetworkBorderGroup: new(v.Region), IpSource: new(source),
		Ipv6AddressAttribute: new(ec2.Ipv6AddressAttributePublic),
	}
}

// DescribeVpcAttribute tells one of the three attributes.
func (a *API) DescribeVpcAttribute(ctx context.Context, in *ec2.DescribeVpcAttributeInput) (*ec2.DescribeVpcAttributeOutput, error) {
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	v, err := getVPC(tx, caller.From(ctx), deref(in.VpcId))
	if err != nil {
		return nil, err
	}
	out := &ec2.DescribeVpcAttributeOutput{VpcId: in.VpcId}
	switch attribute := deref(in.Attribute); attribute {
	case ec2.VpcAttributeNameEnableDnsSupport:
		out.EnableDnsSupport = &ec2.AttributeBooleanValue{Value: new(v.DNSSupport)}
	case ec2.VpcAttributeNameEnableDnsHostnames:
		out.EnableDnsHostnames = &ec2.AttributeBooleanValue{Value: new(v.DNSHostnames)}
	case ec2.VpcAttributeNameEnableNetworkAddressUsageMetrics:
		out.EnableNetworkAddressUsageMetrics = &ec2.AttributeBooleanValue{Value: new(v.UsageMetrics)}
	default:
		return nil, fault.EC2("InvalidParameterValue", "Value (%s) for parameter attribute is invalid. Unknown attribute.", attribute)
	}
	return out, nil
}

// ModifyVpcAttribute changes one of the three attributes.
func (a *API) ModifyVpcAttribute(ctx context.Context, in *ec2.ModifyVpcAttributeInput) (*ec2.ModifyVpcAttributeOutput, error) {
	set, err := theOne(map[string]func(*model.VPC){
		"enableDnsSupport":                 setBool(in.EnableDnsSupport, func(v *model.VPC, on bool) { v.DNSSupport = on }),
		"enableDnsHostnames":               setBool(in.EnableDnsHostnames, func(v *model.VPC, on bool) { v.DNSHostnames = on }),
		"enableNetworkAddressUsageMetrics": setBool(in.EnableNetworkAddressUsageMetrics, func(v *model.VPC, on bool) { v.UsageMetrics = on }),
	})
	if err != nil {
		return nil, err
	}
	_, err = a.DB.Update(ctx, func(tx *table.Txn) error {
		v, err := getVPC(tx, caller.From(ctx), deref(in.VpcId))
		if err != nil {
			return err
		}
		v = v.Clone()
		set(v)
		if deref(value(in.EnableDnsHostnames)) && !v.DNSSupport {
			return fault.EC2("InvalidParameterValue", "Value (true) for parameter enableDnsHostnames is invalid: DNS support of the vpc '%s' is off; turn enableDnsSupport on first", v.ID)
		}
		v.UpdatedAt = a.Now()
		state.VPCs.Put(tx, v)
		return nil
	})
	return &ec2.ModifyVpcAttributeOutput{}, err
}
