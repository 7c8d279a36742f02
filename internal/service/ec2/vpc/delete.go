// SPDX-License-Identifier: Apache-2.0

package vpc

import (
	"context"
	"slices"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/alloc"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/ec2/request"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// DeleteVpc removes a VPC with what was made with it. Anything else in the VPC
// must be gone before; hosted zones that it sees are not in it, and lose it.
func (a VPCs) DeleteVpc(ctx context.Context, in *shape.DeleteVpcInput) (*shape.DeleteVpcOutput, error) {
	who := access.From(ctx)
	_, err := a.DB.Update(ctx, func(tx *table.Txn) error {
		v, err := request.Get(tx, who, state.VPCs, service.Value(in.VpcId))
		if err != nil {
			return err
		}
		if by := state.Held(tx, state.VPCs, v); by != nil {
			return fault.EC2("DependencyViolation", "The vpc '%s' has dependencies and cannot be deleted: %s", v.ID, by)
		}
		state.RouteTables.Delete(tx, v.Account, v.Region, v.MainTable)
		state.NetworkACLs.Delete(tx, v.Account, v.Region, v.DefaultACL)
		state.SecurityGroups.Delete(tx, v.Account, v.Region, v.DefaultGroup)
		for _, block := range v.CIDRs6 {
			a.freeBlock6(tx, v, block)
		}
		for z := range state.HostedZonesByVPC.Rows(tx, v.Ref()) {
			z = z.Clone()
			z.VPCs = slices.DeleteFunc(z.VPCs, func(ref model.Ref) bool { return ref == v.Ref() })
			state.HostedZones.Put(tx, z)
		}
		alloc.FreeTransit(tx, model.SpaceSource, v.TransitIndex)
		state.VPCs.Delete(tx, v.Account, v.Region, v.ID)
		return nil
	})
	return &shape.DeleteVpcOutput{}, err
}
