// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"slices"

	"github.com/posternhq/postern/internal/state"
)

// loadBalancers wants a load balancer to have an interface in each of its subnets, and a
// transit target for each of these; its listeners to have ports of their own; and a target
// group to be led to by one load balancer.
func (a *auditor) loadBalancers() {
	for b := range state.LoadBalancers.All(a.tx) {
		object := name(state.LoadBalancers, b)
		if len(b.Interfaces) != len(b.Subnets) || len(b.Targets) != len(b.Subnets) {
			a.wrong(object, "it has %d subnets, %d interfaces and %d targets", len(b.Subnets), len(b.Interfaces), len(b.Targets))
			continue
		}
		for i, id := range b.Interfaces {
			ni, ok := state.NetworkInterfaces.Get(a.tx, b.Account, b.Region, id)
			switch {
			case !ok: // it is found otherwise
			case ni.Subnet != b.Subnets[i]:
				a.wrong(object, "its interface %s is in %s, not in %s", id, ni.Subnet, b.Subnets[i])
			case !slices.Equal(ni.Groups, b.Groups):
				a.wrong(object, "its interface %s has the groups %v, and it has %v", id, ni.Groups, b.Groups)
			case b.Targets[i].Interface != id:
				a.wrong(object, "its target for interface %s is that of %s", id, b.Targets[i].Interface)
			}
		}
		ports := map[uint16]string{}
		for l := range state.ListenersByLoadBalancer.Rows(a.tx, b.Ref()) {
			if other := ports[l.Port]; other != "" {
				a.wrong(name(state.Listeners, l), "it has port %d of %s", l.Port, other)
			}
			ports[l.Port] = l.ID
		}
	}
	leads := map[string]string{}
	for l := range state.Listeners.All(a.tx) {
		group := l.Sibling(l.TargetGroup).String()
		if other := leads[group]; other != "" && other != l.LoadBalancer {
			a.wrong(name(state.Listeners, l), "it leads to %s, as %s does", l.TargetGroup, other)
		}
		leads[group] = l.LoadBalancer
	}
}
