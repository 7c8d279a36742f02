// SPDX-License-Identifier: Apache-2.0

// Package vpc is EC2's VPCs: with all that comes with them, made for requests
// and, as the default ones of accounts, for package account.
package vpc

import (
	"context"
	"errors"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/ec2/block"
	"github.com/posternhq/postern/internal/service/ec2/request"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// VPCs are the operations on VPCs.
type VPCs struct{ *service.Env }

// CreateVpc makes a VPC with its main route table, default network ACL, default
// security group and DHCP options. It is available at once.
func (a VPCs) CreateVpc(ctx context.Context, in *shape.CreateVpcInput) (*shape.CreateVpcOutput, error) {
	if in.Ipv4IpamPoolId != nil || in.Ipv4NetmaskLength != nil || in.Ipv6IpamPoolId != nil || in.Ipv6NetmaskLength != nil {
		return nil, request.Unserved("address pools of IPAM")
	}
	if in.VpcEncryptionControl != nil {
		return nil, request.Unserved("VPC encryption control")
	}
	if in.CidrBlock == nil {
		return nil, fault.EC2("MissingParameter", "The request must contain the parameter cidrBlock")
	}
	block, err := block.VPC.Parse(*in.CidrBlock)
	if err != nil {
		return nil, err
	}
	tenancy := service.Value(in.InstanceTenancy)
	if tenancy == shape.TenancyHost {
		return nil, fault.EC2("InvalidParameterValue", "Value (host) for parameter instanceTenancy is invalid, want default or dedicated")
	}
	tags, err := request.TagsFor(in.TagSpecifications, state.VPCs.Kind())
	if err != nil {
		return nil, err
	}
	block6, err := a.block6Request(in.AmazonProvidedIpv6CidrBlock, in.Ipv6CidrBlock, in.Ipv6Pool)
	if err != nil {
		return nil, err
	}
	who := access.From(ctx)
	parts := New(a.Env, who.Account, who.Region, block, block6 != nil)
	parts.VPC.Tags = tags
	if tenancy != "" {
		parts.VPC.Tenancy = tenancy
	}
	err = a.insertVPC(ctx, parts, func(tx *table.Txn) error {
		if block6 == nil {
			return nil
		}
		parts.VPC.CIDRs6 = nil // of an attempt before
		got, err := block6.take(tx, parts.VPC)
		parts.VPC.CIDRs6 = []model.CIDRAssociation{got}
		return err
	})
	if err != nil {
		return nil, err
	}
	return &shape.CreateVpcOutput{Vpc: created(parts.VPC)}, nil
}

// CreateDefaultVpc makes the default VPC again for an account that has deleted
// it, or that was made without one. There is no internet gateway for it to have.
func (a VPCs) CreateDefaultVpc(ctx context.Context, _ *shape.CreateDefaultVpcInput) (*shape.CreateDefaultVpcOutput, error) {
	who := access.From(ctx)
	parts := NewDefault(a.Env, who.Account, who.Region)
	err := a.insertVPC(ctx, parts, func(tx *table.Txn) error {
		if have := Default(tx, who.Account, who.Region); have != nil {
			return fault.EC2("DefaultVpcAlreadyExists", "A default VPC already exists for this account in this region: %s", have.ID)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &shape.CreateDefaultVpcOutput{Vpc: created(parts.VPC)}, nil
}

// insertVPC writes the rows of a VPC after what extra checks and adds. Both may
// run several times, so each starts from what the time before left.
func (a VPCs) insertVPC(ctx context.Context, p *Parts, extra func(*table.Txn) error) error {
	_, err := a.DB.Update(ctx, func(tx *table.Txn) error {
		if err := extra(tx); err != nil {
			return err
		}
		return p.Insert(tx, a.Env)
	})
	var quota *QuotaError
	if errors.As(err, &quota) {
		return fault.EC2("VpcLimitExceeded", "%v", quota)
	}
	return request.Fault(err)
}

// ModifyVpcTenancy makes a VPC for dedicated instances one for all; it cannot be
// changed in any other way.
func (a VPCs) ModifyVpcTenancy(ctx context.Context, in *shape.ModifyVpcTenancyInput) (*shape.ModifyVpcTenancyOutput, error) {
	if wanted := service.Value(in.InstanceTenancy); wanted != shape.TenancyDefault {
		return nil, fault.EC2("InvalidParameterValue", "Value (%s) for parameter instanceTenancy is invalid, want default", wanted)
	}
	_, err := request.Change(ctx, a.Env, state.VPCs, service.Value(in.VpcId), func(_ *table.Txn, v *model.VPC) error {
		v.Tenancy = shape.TenancyDefault
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &shape.ModifyVpcTenancyOutput{ReturnValue: new(true)}, nil
}
