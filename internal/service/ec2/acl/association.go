// SPDX-License-Identifier: Apache-2.0

package acl

import (
	"cmp"
	"slices"
	"strings"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service/ec2/request"
	"github.com/posternhq/postern/internal/service/view"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// The association of a subnet that never had another ACL than the default one is in no
// row. Its id is made of the subnet's.
const (
	associationPrefix = "aclassoc-"
	subnetPrefix      = "subnet-"
)

// associationOf gives the association of a subnet.
func associationOf(tx *table.Txn, v *model.VPC, s *model.Subnet) *model.NetworkACLAssociation {
	for a := range state.NetworkACLAssociationsBySubnet.Rows(tx, s.Ref()) {
		return a
	}
	return &model.NetworkACLAssociation{
		Account: s.Account, Region: s.Region, ID: associationPrefix + strings.TrimPrefix(s.ID, subnetPrefix), ACL: v.DefaultACL, Subnet: s.ID,
	}
}

// associated gives the caller's subnet with an association.
func associated(tx *table.Txn, who access.View, id string) (*model.Subnet, error) {
	subnet := subnetPrefix + strings.TrimPrefix(id, associationPrefix)
	if row, ok := view.Get(tx, who, state.NetworkACLAssociations, id); ok {
		subnet = row.Subnet
	}
	s, ok := view.Get(tx, who, state.Subnets, subnet)
	if ok {
		v, err := request.Get(tx, who, state.VPCs, s.VPC)
		if err == nil && associationOf(tx, v, s).ID == id {
			return s, nil
		}
	}
	return nil, fault.EC2("InvalidAssociationID.NotFound", "The association ID '%s' does not exist", id)
}

// associationsOf gives the associations with an ACL, in the order of their ids.
func associationsOf(tx *table.Txn, v *model.VPC, n *model.NetworkACL) (all []*model.NetworkACLAssociation) {
	if !n.Default {
		for a := range state.NetworkACLAssociationsByACL.Rows(tx, n.Ref()) {
			all = append(all, a)
		}
	} else {
		for s := range state.SubnetsByVPC.Rows(tx, n.Sibling(n.VPC)) {
			if a := associationOf(tx, v, s); a.ACL == n.ID {
				all = append(all, a)
			}
		}
	}
	slices.SortFunc(all, func(a, b *model.NetworkACLAssociation) int { return cmp.Compare(a.ID, b.ID) })
	return all
}
