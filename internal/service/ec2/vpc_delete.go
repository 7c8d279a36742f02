// SPDX-License-Identifier: Apache-2.0

package ec2

import (
	"context"

	"github.com/posternhq/postern/internal/alloc"
	"github.com/posternhq/postern/internal/aws/caller"
	"github.com/posternhq/postern/internal/aws/fault"
	"github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// DeleteVpc removes a VPC with what was made with it. Anything else in the VPC
// must be gone before.
func (a *API) DeleteVpc(ctx context.Context, in *ec2.DeleteVpcInput) (*ec2.DeleteVpcOutput, error) {
	who := caller.From(ctx)
	_, err := a.DB.Update(ctx, func(tx *table.Txn) error {
		v, err := getVPC(tx, who, deref(in.VpcId))
		if err != nil {
			return err
		}
		if what := vpcDependency(tx, v); what != "" {
			return fault.EC2("DependencyViolation", "The vpc '%s' has dependencies and cannot be deleted: %s", v.ID, what)
		}
		state.RouteTables.Delete(tx, v.Account, v.Region, v.MainTable)
		state.NetworkACLs.Delete(tx, v.Account, v.Region, v.DefaultACL)
		state.SecurityGroups.Delete(tx, v.Account, v.Region, v.DefaultGroup)
		for _, block := range v.CIDRs6 {
			a.freeBlock6(tx, v, block)
		}
		alloc.FreeTransit(tx, model.SpaceSource, v.TransitIndex)
		state.VPCs.Delete(tx, v.Account, v.Region, v.ID)
		return nil
	})
	return &ec2.DeleteVpcOutput{}, err
}

// vpcDependency names something that keeps a VPC from being deleted.
func vpcDependency(tx *table.Txn, v *model.VPC) string {
	in := state.In(v.Account, v.Region, v.ID)
	for s := range state.Subnets.By(tx, state.ByVPC, in) {
		return "subnet " + s.ID
	}
	for n := range state.NetworkInterfaces.By(tx, state.ByVPC, in) {
		return "network interface " + n.ID
	}
	for e := range state.VPCEndpoints.By(tx, state.ByVPC, in) {
		return "VPC endpoint " + e.ID
	}
	for g := range state.ResourceGateways.By(tx, state.ByVPC, in) {
		return "resource gateway " + g.ID
	}
	for g := range state.SecurityGroups.By(tx, state.ByVPC, in) {
		if g.ID != v.DefaultGroup {
			return "security group " + g.ID
		}
	}
	for r := range state.RouteTables.By(tx, state.ByVPC, in) {
		if r.ID != v.MainTable {
			return "route table " + r.ID
		}
	}
	for n := range state.NetworkACLs.By(tx, state.ByVPC, in) {
		if n.ID != v.DefaultACL {
			return "network ACL " + n.ID
		}
	}
	return ""
}
