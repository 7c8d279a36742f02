// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"context"

	"github.com/posternhq/postern/internal/alloc"
	"github.com/posternhq/postern/internal/aws/fault"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/ec2/iface"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// checkMembers sees that an endpoint for a group has addresses of the families that its
// children are reached by.
func checkMembers(tx *table.Txn, n *newEndpoint, group *model.ResourceConfiguration) error {
	for child := range state.ResourceConfigurationsByGroup.Rows(tx, group.Ref()) {
		switch arn := service.Value(n.in.ResourceConfigurationArn); {
		case child.Deleting():
		case child.Is4() && !n.family.Has4():
			return fault.EC2("InvalidParameter", "%s, a child of %s, has an IPv4 address; IpAddressType must be ipv4 or dualstack (translation between address families is not served yet)", child.ID, arn)
		case !child.Is4() && !n.family.Has6():
			return fault.EC2("InvalidParameter", "%s, a child of %s, has an IPv6 address; IpAddressType must be ipv6 or dualstack (translation between address families is not served yet)", child.ID, arn)
		}
	}
	return nil
}

// joinGroup associates a new endpoint with the children of its group, for which there must be
// room in its subnets, or with the first of them: then it reports that there are more.
func (a Endpoints) joinGroup(tx *table.Txn, n *newEndpoint, e *model.VPCEndpoint, subnets []*model.Subnet) (more bool, err error) {
	children4 := 0
	for child := range alloc.Missing(tx, e) {
		if child.Is4() {
			children4++
		}
	}
	for _, s := range subnets {
		if n.family.Has4() && children4 > 0 && alloc.Free4(tx, s) < children4 {
			return false, iface.Fault(&alloc.ExhaustedError{Subnet: s.ID, Block: s.CIDR})
		}
	}
	return a.joinSome(tx, e)
}

// joinRest associates an endpoint with the children of its group that one transaction did
// not take. What fails here a maker of rows does. It is for those that there is something
// left for: others would wait for the commit of another group of updates, and have the next
// one begin without its company.
func (a Endpoints) joinRest(ctx context.Context, endpoint model.Ref) {
	for more := true; more; {
		_, err := a.DB.Update(ctx, func(tx *table.Txn) (err error) {
			e, ok := state.VPCEndpoints.Get(tx, endpoint.Account, endpoint.Region, endpoint.ID)
			if more = false; ok {
				more, err = a.joinSome(tx, e)
			}
			return err
		})
		if err != nil {
			return
		}
	}
}

// joinSome associates an endpoint with as many children as a transaction takes, and
// reports whether there are more.
func (a Endpoints) joinSome(tx *table.Txn, e *model.VPCEndpoint) (more bool, err error) {
	var some []*model.ResourceConfiguration
	for child := range alloc.Missing(tx, e) {
		if more = len(some) == alloc.PerCommit(len(e.Interfaces)); more {
			break
		}
		some = append(some, child)
	}
	for _, child := range some {
		if err := a.Alloc().Join(tx, e, child, a.Now()); err != nil {
			return false, iface.Fault(err)
		}
	}
	return more, nil
}
