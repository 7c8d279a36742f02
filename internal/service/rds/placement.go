// SPDX-License-Identifier: Apache-2.0

package rds

import (
	"cmp"
	"slices"

	"github.com/posternhq/postern/internal/alloc"
	"github.com/posternhq/postern/internal/aws/fault"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// place puts an instance into a subnet of the database's group and gives it an interface
// there. The zone is the one that is asked for, or the one with the fewest of the others;
// the subnet that of the zone with the most free addresses.
func (a *API) place(tx *table.Txn, i *model.DBInstance, d *model.Database, iface, zone string, others []*model.DBInstance) error {
	g, ok := state.DBSubnetGroups.Get(tx, i.Account, i.Region, d.SubnetGroup)
	if !ok {
		return fault.RDS("DBSubnetGroupNotFoundFault", "DB subnet group '%s' does not exist.", d.SubnetGroup)
	}
	in := func(zone string) (n int) {
		for _, o := range others {
			if o.Zone == zone {
				n++
			}
		}
		return n
	}
	var choice []*model.Subnet
	for _, id := range g.Subnets {
		if s, ok := state.Subnets.Get(tx, i.Account, i.Region, id); ok && (zone == "" || s.Zone == zone) {
			choice = append(choice, s)
		}
	}
	if len(choice) == 0 {
		return fault.RDS("InvalidVPCNetworkStateFault", "The DB subnet group '%s' has no subnet in Availability Zone %s.", g.ID, zone)
	}
	full := func(s *model.Subnet) int {
		if alloc.Free4(tx, s) == 0 {
			return 1
		}
		return 0
	}
	s := slices.MinFunc(choice, func(x, y *model.Subnet) int {
		return cmp.Or(cmp.Compare(full(x), full(y)), cmp.Compare(in(x.Zone), in(y.Zone)), cmp.Compare(x.Zone, y.Zone),
			cmp.Compare(alloc.Free4(tx, y), alloc.Free4(tx, x)), cmp.Compare(x.ID, y.ID))
	})
	ni, err := a.Alloc().CreateInterface(tx, alloc.Params{
		ID: iface, CreatedAt: i.CreatedAt, Subnet: s, Type: model.InterfaceDatabase, Description: "RDSNetworkInterface",
		Groups: d.Groups, Owner: i.ID, SourceDestCheck: true, IPv4: alloc.Want{Count: 1},
	})
	if err != nil {
		return asFault(err)
	}
	i.Subnet, i.Zone, i.Interface, i.Addr = s.ID, s.Zone, ni.ID, ni.Addresses[0]
	return nil
}
