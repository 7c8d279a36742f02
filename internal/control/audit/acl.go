// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
)

// networkACLs wants the rules of an ACL to be told apart by their numbers, and a subnet to
// use one ACL of its own VPC.
func (a *auditor) networkACLs() {
	type place struct {
		egress bool
		number int
	}
	for n := range state.NetworkACLs.All(a.tx) {
		seen := map[place]bool{}
		for _, e := range n.Entries {
			if at := (place{e.Egress, e.Number}); seen[at] || e.Number < model.MinACLNumber || e.Number > model.MaxACLNumber {
				a.wrong(name(state.NetworkACLs, n), "it has a rule with the number %d, or two in one direction", e.Number)
			} else {
				seen[at] = true
			}
		}
	}
	for used := range state.NetworkACLAssociations.All(a.tx) {
		object := name(state.NetworkACLAssociations, used)
		s, there := state.Subnets.Get(a.tx, used.Account, used.Region, used.Subnet)
		n, exists := state.NetworkACLs.Get(a.tx, used.Account, used.Region, used.ACL)
		if there && exists && s.VPC != n.VPC {
			a.wrong(object, "%s of %s uses %s of %s", s.ID, s.VPC, n.ID, n.VPC)
		}
		if there && state.NetworkACLAssociationsBySubnet.Count(a.tx, s.Ref()) > 1 {
			a.wrong(object, "%s uses another ACL too", s.ID)
		}
	}
}
