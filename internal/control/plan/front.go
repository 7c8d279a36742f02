// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"net/netip"
	"slices"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
)

// frontRef is the place of the unit of the host's front, which is no row.
var frontRef = model.Ref{ID: model.FrontVPC}

// deriveFront asks for the router and the namespace of the front: an endpoint leads there,
// or this unit would not be. Who answers is asked for elsewhere: it lives in the namespace.
func (r *reading) deriveFront() derived {
	n := network{
		id:      model.FrontVPC,
		source4: model.TransitSource4(r.plan.host.Index, model.FrontTransit),
		source6: model.TransitSource6(r.plan.host.Index, model.FrontTransit),
	}
	entries := []desired.Entry{
		desired.Router{
			VPC: n.id, Networks: []netip.Prefix{model.FrontNetwork4, model.FrontNetwork6}, Gateways: []netip.Addr{model.FrontRouter4},
			Source4: n.source4, Source6: n.source6,
		},
		openClass(n.id),
	}
	entries = append(entries, frontRoom(model.FrontSandbox, model.FrontInterface, frontMAC,
		[]netip.Prefix{model.FrontHost4, model.FrontHost6}, []netip.Prefix{model.FrontBlock4, model.FrontBlock6})...)
	for _, pool := range []netip.Prefix{model.FrontPool4, model.FrontPool6} {
		p := desired.Pool{VPC: n.id, Gateway: pool.Addr()}
		for _, a := range model.AddressesOf(pool) {
			if pool.Addr().Is4() {
				p.Addresses = append(p.Addresses, netip.PrefixFrom(a, a.BitLen()))
			}
			entries = append(entries, frontAddress(a))
		}
		if pool.Addr().Is6() {
			p.Addresses = []netip.Prefix{pool}
		}
		entries = append(entries, p)
	}
	return derived{entries: entries, value: n}
}

// deriveRelay asks for the namespace of the relay: an endpoint leads there.
func (r *reading) deriveRelay() derived {
	n, ok := valueOf[network](r, unitFront, frontRef)
	if !ok {
		return derived{}
	}
	return derived{value: n, entries: frontRoom(model.RelaySandbox, model.RelayInterface, relayMAC,
		[]netip.Prefix{model.RelayHost4, model.RelayHost6}, []netip.Prefix{model.RelayBlock4, model.RelayBlock6})}
}

// frontRoom is a namespace behind the front's router, in which all addresses of some blocks
// are at home.
func frontRoom(id, eni, mac string, hosts, blocks []netip.Prefix) []desired.Entry {
	sandbox := desired.Sandbox{ID: id, VPC: model.FrontVPC, Local: blocks}
	entries := []desired.Entry{sandbox, desired.Workload{
		VPC: model.FrontVPC, ENI: eni, MAC: mac, Addresses: hosts,
		Prefixes: slices.Clone(blocks), Gateway: model.FrontRouter4, Namespace: desired.Namespace{Realm: sandbox.Key().Realm}, Device: ownDevice,
	}}
	for _, host := range hosts {
		entries = append(entries, frontAddress(host.Addr()))
	}
	return entries
}

// frontMAC and relayMAC are the hardware addresses of the interfaces there.
const (
	frontMAC = "02:66:72:6f:6e:74"
	relayMAC = "02:72:65:6c:61:79"
)

// frontAddress lets an address of the front be sent to, and send: nobody else is there.
func frontAddress(a netip.Addr) desired.Address {
	return desired.Address{VPC: model.FrontVPC, Addr: a, Class: admitsAll}
}

// fronted says where connections of an endpoint to an own or a relayed service arrive in a
// family: at the address of the front that is the endpoint's own.
func (r *reading) fronted(ep *model.VPCEndpoint, is4 bool) *resource {
	res := &resource{is4: is4}
	if problem := r.frontPorts(ep, res); problem != "" {
		res.problem = problem
		return res
	}
	kind, arrives, eni := unitFront, model.TransitTarget.FrontAddr, model.FrontInterface
	if ep.Service != (model.Ref{}) {
		kind, arrives, eni = unitRelay, model.TransitTarget.RelayAddr, model.RelayInterface
	}
	n, ok := valueOf[network](r, kind, frontRef)
	if !ok {
		res.problem = "service " + ep.ServiceName + " is nowhere yet"
		return res
	}
	res.provider = n
	pool := model.FrontPool6
	if is4 {
		pool = model.FrontPool4
	}
	for _, t := range ep.Targets {
		addr := arrives(t, is4)
		res.targets = append(res.targets, target{
			zone: t.Zone, host: t.Host, ni: eni, addr: t.Addr(is4), ok: t.Host == r.plan.host.Index,
			entry: desired.Target{VPC: n.id, Addr: t.Addr(is4), Dest: addr, Gateway: pool.Addr()},
		})
		res.onward = append(res.onward, frontAddress(addr))
	}
	if len(res.targets) == 0 {
		res.problem = "endpoint " + ep.ID + " has no place in the transit realm"
	}
	return res
}

// apiPort is where Postern's own APIs are.
const apiPort = 443

// frontPorts gives a resource the ports of the service that an endpoint is for.
func (r *reading) frontPorts(ep *model.VPCEndpoint, res *resource) (problem string) {
	if ep.Service == (model.Ref{}) {
		if _, ok := model.OwnServiceOf(ep.Region, ep.ServiceName); !ok {
			return "there is no service " + ep.ServiceName
		}
		res.setPorts([]model.PortRange{{From: apiPort, To: apiPort}})
		return ""
	}
	s, ok := state.EndpointServices.Get(r.tx, ep.Service.Account, ep.Service.Region, ep.Service.ID)
	if !ok {
		return "service " + ep.ServiceName + " is gone"
	}
	res.setPorts(s.Ports)
	return ""
}
