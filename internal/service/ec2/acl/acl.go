// SPDX-License-Identifier: Apache-2.0

// Package acl is EC2's network ACLs.
package acl

import (
	"context"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/ec2/request"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// ACLs are the operations on network ACLs.
type ACLs struct{ *service.Env }

// CreateNetworkAcl makes a network ACL without entries, which lets nothing pass. No
// subnet uses it yet.
func (a ACLs) CreateNetworkAcl(ctx context.Context, in *shape.CreateNetworkAclInput) (*shape.CreateNetworkAclOutput, error) {
	who := access.From(ctx)
	tags, err := request.TagsFor(in.TagSpecifications, state.NetworkACLs.Kind())
	if err != nil {
		return nil, err
	}
	n := &model.NetworkACL{Meta: request.Meta(a.Env, who, "acl", a.Now(), tags), VPC: service.Value(in.VpcId)}
	fingerprint := *in
	fingerprint.ClientToken = nil
	out, err := service.Create(ctx, a.Idempotent(who, "CreateNetworkAcl", in.ClientToken, fingerprint),
		func(tx *table.Txn, id string) (*model.NetworkACL, error) {
			return request.Get(tx, who, state.NetworkACLs, id)
		},
		func(tx *table.Txn) (*model.NetworkACL, error) {
			v, err := request.Get(tx, who, state.VPCs, n.VPC)
			if err != nil {
				return nil, err
			}
			if most := a.Quotas.ACLsPerVPC; state.NetworkACLsByVPC.Count(tx, v.Ref()) >= most {
				return nil, fault.EC2("NetworkAclLimitExceeded", "The maximum number of network ACLs (%d) of a VPC has been reached.", most)
			}
			state.NetworkACLs.Put(tx, n)
			return n, nil
		},
		aclShape)
	if err != nil {
		return nil, request.Fault(err)
	}
	return &shape.CreateNetworkAclOutput{NetworkAcl: &out, ClientToken: in.ClientToken}, nil
}

// DeleteNetworkAcl deletes a network ACL that no subnet uses and that is not the default
// one.
func (a ACLs) DeleteNetworkAcl(ctx context.Context, in *shape.DeleteNetworkAclInput) (*shape.DeleteNetworkAclOutput, error) {
	who := access.From(ctx)
	_, err := a.DB.Update(ctx, func(tx *table.Txn) error {
		n, err := request.Get(tx, who, state.NetworkACLs, service.Value(in.NetworkAclId))
		if err != nil {
			return err
		}
		if n.Default {
			return fault.EC2("InvalidParameterValue", "cannot delete default network ACL %s", n.ID)
		}
		if by := state.Held(tx, state.NetworkACLs, n); by != nil {
			return fault.EC2("DependencyViolation", "The network acl '%s' has dependencies and cannot be deleted: %s", n.ID, by)
		}
		state.NetworkACLs.Delete(tx, n.Account, n.Region, n.ID)
		return nil
	})
	return &shape.DeleteNetworkAclOutput{}, err
}

// ReplaceNetworkAclAssociation has a subnet use another network ACL of its VPC. The
// association that this makes has an id of its own.
func (a ACLs) ReplaceNetworkAclAssociation(ctx context.Context, in *shape.ReplaceNetworkAclAssociationInput) (*shape.ReplaceNetworkAclAssociationOutput, error) {
	who := access.From(ctx)
	made := &model.NetworkACLAssociation{Account: who.Account, Region: who.Region, ID: a.NewID("aclassoc")}
	_, err := a.DB.Update(ctx, func(tx *table.Txn) error {
		s, err := associated(tx, who, service.Value(in.AssociationId))
		if err != nil {
			return err
		}
		n, err := request.Get(tx, who, state.NetworkACLs, service.Value(in.NetworkAclId))
		if err != nil {
			return err
		}
		if n.VPC != s.VPC {
			return fault.EC2("InvalidParameterValue", "Network ACL %s and subnet %s belong to different networks: %s and %s", n.ID, s.ID, n.VPC, s.VPC)
		}
		for old := range state.NetworkACLAssociationsBySubnet.Rows(tx, s.Ref()) {
			state.NetworkACLAssociations.Delete(tx, old.Account, old.Region, old.ID)
		}
		made.ACL, made.Subnet = n.ID, s.ID
		state.NetworkACLAssociations.Put(tx, made)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &shape.ReplaceNetworkAclAssociationOutput{NewAssociationId: &made.ID}, nil
}
