// SPDX-License-Identifier: Apache-2.0

package view

import (
	"slices"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/policy/permission"
	"github.com/posternhq/postern/internal/share"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// What accounts see of each other in a VPC of which one shares subnets with others. Who has
// a share sees the subnets and what their packets meet; the owner of the VPC sees what others
// have put into it; those others see nothing of each other.
// https://docs.aws.amazon.com/vpc/latest/userguide/vpc-sharing.html

// Subnet finds the caller's subnet with an id, or one that another account shares with it and
// lets it do an action with.
func Subnet(tx *table.Txn, who access.View, id, action string) (*model.Subnet, bool) {
	if s, ok := Get(tx, who, state.Subnets, id); ok {
		return s, true
	}
	ref, ok := share.In(tx).SubnetNamed(who.Account, who.Region, id)
	if !ok {
		return nil, false
	}
	return For(tx, who, state.Subnets, ref, action)
}

// VPC finds the caller's VPC with an id, or one of which another account shares a subnet with
// it that it may do an action with.
func VPC(tx *table.Txn, who access.View, id, action string) (*model.VPC, bool) {
	if v, ok := Get(tx, who, state.VPCs, id); ok {
		return v, true
	}
	for _, s := range subnets(tx, who, action) {
		if s.VPC == id {
			return state.VPCs.Get(tx, s.Account, s.Region, s.VPC)
		}
	}
	return nil, false
}

// subnets gives those that others share with the caller.
func subnets(tx *table.Txn, who access.View, action string) []*model.Subnet {
	return Shared(tx, who, state.Subnets, permission.Subnet, action)
}

// OthersSubnets gives the subnets of others that the caller sees. Like all rows of others here
// they are without tags, which are their owner's alone to know.
func OthersSubnets(tx *table.Txn, who access.View) []*model.Subnet {
	return bare(subnets(tx, who, share.SeeSubnet))
}

// OthersVPCs gives the VPCs of others that the caller sees.
func OthersVPCs(tx *table.Txn, who access.View) []*model.VPC {
	return ofSubnets(tx, who, state.VPCs, func(s *model.Subnet) model.Ref { return s.Sibling(s.VPC) })
}

// OthersRouteTables gives the route tables of others that the caller sees: those which the
// subnets have that are shared with it.
func OthersRouteTables(tx *table.Txn, who access.View) []*model.RouteTable {
	return ofSubnets(tx, who, state.RouteTables, func(s *model.Subnet) model.Ref {
		for a := range state.RouteTableAssociationsBySubnet.Rows(tx, s.Ref()) {
			return s.Sibling(a.Table)
		}
		return ofVPC(tx, s, func(v *model.VPC) string { return v.MainTable })
	})
}

// OthersNetworkACLs is as OthersRouteTables.
func OthersNetworkACLs(tx *table.Txn, who access.View) []*model.NetworkACL {
	return ofSubnets(tx, who, state.NetworkACLs, func(s *model.Subnet) model.Ref {
		for a := range state.NetworkACLAssociationsBySubnet.Rows(tx, s.Ref()) {
			return s.Sibling(a.ACL)
		}
		return ofVPC(tx, s, func(v *model.VPC) string { return v.DefaultACL })
	})
}

// OthersInterfaces gives the network interfaces that others have in VPCs of the caller.
func OthersInterfaces(tx *table.Txn, who access.View) []*model.NetworkInterface {
	return bare(slices.Collect(state.NetworkInterfacesByNetwork.Rows(tx, who.Own(""))))
}

// OthersGroups gives the security groups that others have in VPCs of the caller.
func OthersGroups(tx *table.Txn, who access.View) []*model.SecurityGroup {
	groups := bare(slices.Collect(state.SecurityGroupsByNetwork.Rows(tx, who.Own(""))))
	for _, g := range groups {
		for i := range g.Rules {
			g.Rules[i].Tags = nil
		}
	}
	return groups
}

func ofVPC(tx *table.Txn, s *model.Subnet, id func(*model.VPC) string) model.Ref {
	v, ok := state.VPCs.Get(tx, s.Account, s.Region, s.VPC)
	if !ok {
		return model.Ref{}
	}
	return v.Sibling(id(v))
}

// ofSubnets gives what each of the subnets has that are shared with the caller, once.
func ofSubnets[T state.Resource[T]](tx *table.Txn, who access.View, rows *table.Table[T], has func(*model.Subnet) model.Ref) (all []T) {
	seen := map[model.Ref]bool{}
	for _, s := range subnets(tx, who, share.SeeSubnet) {
		ref := has(s)
		if row, ok := rows.Get(tx, ref.Account, ref.Region, ref.ID); ok && !seen[ref] {
			seen[ref] = true
			all = append(all, row)
		}
	}
	return bare(all)
}

// bare gives copies without tags.
func bare[T state.Resource[T]](rows []T) []T {
	for i := range rows {
		rows[i] = rows[i].Clone()
		rows[i].Common().Tags = nil
	}
	return rows
}
