// SPDX-License-Identifier: Apache-2.0

package group

import (
	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/view"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// ForInterface checks the security groups of an interface or endpoint of the caller's, and
// gives the VPC's default one when there are none. In a VPC of another account, whose default
// group nobody else can use, groups must be named.
func ForInterface(tx *table.Txn, env *service.Env, who access.View, v *model.VPC, ids []string) ([]string, error) {
	switch {
	case len(ids) > 0:
	case !who.Owns(v.Account):
		return nil, fault.EC2("InvalidParameterCombination", "%s is another account's, and its default security group too: the request must name security groups of your own in it", v.ID)
	default:
		return []string{v.DefaultGroup}, nil
	}
	if most := env.Quotas.GroupsPerInterface; len(ids) > most {
		return nil, fault.EC2("SecurityGroupsPerInterfaceLimitExceeded", "The maximum number of security groups per interface (%d) has been reached.", most)
	}
	seen := make(map[string]bool)
	for _, id := range ids {
		g, ok := view.Get(tx, who, state.SecurityGroups, id)
		switch {
		case !ok:
			return nil, fault.EC2("InvalidGroup.NotFound", "The security group '%s' does not exist", id)
		case g.VPCRef() != v.Ref():
			return nil, fault.EC2("InvalidParameter", "Security group %s and the subnets belong to different networks: %s and %s", id, g.VPC, v.ID)
		case seen[id]:
			return nil, fault.EC2("InvalidParameterValue", "Security group %s is named twice", id)
		}
		seen[id] = true
	}
	return ids, nil
}
