// SPDX-License-Identifier: Apache-2.0

package elbv2

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/elbv2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// everyZone is the availability zone of a target outside of the VPC.
const everyZone = "all"

// outside are where targets may be that are not in the VPC:
// https://docs.aws.amazon.com/elasticloadbalancing/latest/network/load-balancer-target-groups.html
var outside = []netip.Prefix{
	netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16"),
}

// described reads which target a request means.
func described(g *model.TargetGroup, d *shape.TargetDescription) (t model.BalancedTarget, err error) {
	if err := refuseOthers(d, "Id", "Port", "AvailabilityZone"); err != nil {
		return t, err
	}
	t.Addr, err = netip.ParseAddr(service.Value(d.Id))
	if err != nil || !t.Addr.Is4() {
		return t, invalid("Targets: Id: the IP address '%s' is not a valid IPv4 address", service.Value(d.Id))
	}
	if t.Port = g.Port; d.Port != nil {
		t.Port, err = portOf("Targets: Port", d.Port)
	}
	return t, err
}

// RegisterTargets adds targets to a group. One that is there stays, and one that was taken
// away and is draining is back.
func (a *API) RegisterTargets(ctx context.Context, in *shape.RegisterTargetsInput) (*shape.RegisterTargetsOutput, error) {
	now := a.Now()
	_, err := service.Change(ctx, a.Env, state.TargetGroups, findTargetGroup, *in.TargetGroupArn, func(tx *table.Txn, g *model.TargetGroup) error {
		for i := range in.Targets {
			t, err := described(g, &in.Targets[i])
			if err != nil {
				return err
			}
			if t.Anywhere, err = place(tx, g, t.Addr, in.Targets[i].AvailabilityZone); err != nil {
				return err
			}
			t.Since = now
			if at, is := slices.BinarySearchFunc(g.Targets, t, model.BalancedTarget.Compare); !is {
				g.Targets = slices.Insert(g.Targets, at, t)
			} else if g.Targets[at].Draining() {
				g.Targets[at] = t
			}
		}
		if most := a.Quotas.TargetsPerTargetGroup; len(g.Targets) > most {
			return fault.ELB("TooManyTargets", "Targets: target group '%s' would have %d targets, and can have %d", g.ARN(), len(g.Targets), most)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &shape.RegisterTargetsOutput{}, nil
}

// place checks where a target is, and says whether it is of all zones.
func place(tx *table.Txn, g *model.TargetGroup, addr netip.Addr, zone *string) (anywhere bool, err error) {
	vpc, ok := state.VPCs.Get(tx, g.Account, g.Region, g.VPC)
	if !ok {
		return false, fault.ELB("InvalidTarget", "The VPC of the target group does not exist any more: %s", g.VPC)
	}
	inside := func(p netip.Prefix) bool { return p.Contains(addr) }
	if !slices.ContainsFunc(vpc.Networks(), inside) {
		switch {
		case !slices.ContainsFunc(outside, inside):
			return false, fault.ELB("InvalidTarget", "Targets: Id: the IP address '%s' is neither of %s nor a private one that is routed to", addr, vpc.ID)
		case service.Value(zone) != everyZone:
			return false, fault.ELB("InvalidTarget", "Targets: AvailabilityZone: the IP address '%s' is outside of %s, so the zone must be '%s'", addr, vpc.ID, everyZone)
		}
		return true, nil
	}
	for _, b := range vpc.Networks() {
		if what := model.ReservedFor(b, addr); what != "" {
			return false, fault.ELB("InvalidTarget", "Targets: Id: nothing can answer at '%s': it is %s of %s", addr, what, b)
		}
	}
	if ni, ok := state.InterfaceAt(tx, vpc.Ref(), addr); ok {
		switch ni.Type {
		case model.InterfaceBalancer, model.InterfaceEndpoint, model.InterfaceGateway, model.InterfaceNAT:
			return false, fault.ELB("InvalidTarget", "Targets: Id: '%s' is an address of %s, which is no target of a load balancer", addr, ni.Owner)
		}
	}
	own := state.ZoneAt(tx, vpc.Ref(), addr)
	switch z := service.Value(zone); {
	case z == everyZone:
		return true, nil
	case z != "" && z != own:
		return false, fault.ELB("InvalidTarget", "Targets: AvailabilityZone: '%s' is in '%s', not in '%s'", addr, own, z)
	}
	return false, nil
}

// DeregisterTargets takes targets away. They get no new connections, and are shown as draining
// for a while when a load balancer leads to them. One that is not there is no error.
func (a *API) DeregisterTargets(ctx context.Context, in *shape.DeregisterTargetsInput) (*shape.DeregisterTargetsOutput, error) {
	now := a.Now()
	_, err := service.Change(ctx, a.Env, state.TargetGroups, findTargetGroup, *in.TargetGroupArn, func(tx *table.Txn, g *model.TargetGroup) error {
		for i := range in.Targets {
			t, err := described(g, &in.Targets[i])
			if err != nil {
				return err
			}
			at, is := slices.BinarySearchFunc(g.Targets, t, model.BalancedTarget.Compare)
			_, used := balancerOf(tx, g)
			switch {
			case !is || g.Targets[at].Draining():
			case used && g.DrainSeconds > 0:
				g.Targets[at].DrainsUntil = now.Add(time.Duration(g.DrainSeconds) * time.Second)
			default:
				g.Targets = slices.Delete(g.Targets, at, at+1)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &shape.DeregisterTargetsOutput{}, nil
}
