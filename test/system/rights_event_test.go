// SPDX-License-Identifier: Apache-2.0

package system

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/posternhq/postern/internal/aws/shape/ec2"
	shape "github.com/posternhq/postern/internal/aws/shape/postern"
	lattice "github.com/posternhq/postern/internal/aws/shape/vpclattice"
	"github.com/posternhq/postern/test/postern"
	"github.com/posternhq/postern/test/testnet"
)

// event draws one, carries it out and says what it means.
func (m *rights) event() (string, loss) {
	events := []func() (string, loss){
		m.reattach, m.replace, m.unassignOne, m.moveOne, m.moveOne, m.deleteWay, m.deleteAssociation,
		m.redirect, m.reopen, m.regroup, m.restart,
	}
	return events[m.IntN(len(events))]()
}

// perhapsKill kills the process after a call, sometimes, and starts it again.
func (m *rights) perhapsKill() string {
	if m.IntN(3) > 0 {
		return ""
	}
	time.Sleep(time.Duration(m.IntN(8)) * time.Millisecond) // anywhere in what the call began
	m.Kill()
	m.Up()
	return ", killed"
}

func (m *rights) anyone() *party {
	all := append(slices.Clone(m.clients), m.servers...)
	return all[m.IntN(len(all))]
}

// reattach detaches an interface and attaches it again, to the same namespace or
// to another one.
func (m *rights) reattach() (string, loss) {
	p := m.anyone()
	postern.Call[shape.DetachNetworkInterfaceOutput](m.Postern, shape.Service, "DetachNetworkInterface", &shape.DetachNetworkInterfaceInput{NetworkInterfaceId: &p.eni})
	killed := m.perhapsKill()
	awaitDetached(m.Postern, p.eni)
	where := "the same"
	if m.IntN(2) == 0 {
		where = "another"
		p.ns = testnet.New(m.t)
	}
	m.attach(p)
	if where == "another" {
		m.listen(p)
	}
	return fmt.Sprintf("%s is detached and attached to %s namespace%s", p.eni, where, killed), ofAddress(p, p.addrs...)
}

func (m *rights) attach(p *party) {
	m.t.Helper()
	if err := m.Attach(p.eni, p.ns.Name); err != nil {
		m.t.Fatal(err)
	}
}

// replace detaches and deletes an interface; another workload gets one with its
// addresses.
func (m *rights) replace() (string, loss) {
	p := m.anyone()
	detach(m.Postern, p.eni)
	postern.Call[ec2.DeleteNetworkInterfaceOutput](m.Postern, ec2.Service, "DeleteNetworkInterface", &ec2.DeleteNetworkInterfaceInput{NetworkInterfaceId: &p.eni})
	killed := m.perhapsKill()
	in := &ec2.CreateNetworkInterfaceInput{SubnetId: &p.subnet.ID, Groups: []string{p.group}}
	for i, a := range p.addrs {
		if a.Is4() {
			in.PrivateIpAddresses = append(in.PrivateIpAddresses, ec2.PrivateIpAddressSpecification{PrivateIpAddress: new(a.String()), Primary: new(i == 0)})
		} else {
			in.Ipv6Addresses = append(in.Ipv6Addresses, ec2.InstanceIpv6Address{Ipv6Address: new(a.String())})
		}
	}
	gone := p.eni
	p.eni = *postern.Call[ec2.CreateNetworkInterfaceOutput](m.Postern, ec2.Service, "CreateNetworkInterface", in).NetworkInterface.NetworkInterfaceId
	p.ns = testnet.New(m.t)
	m.attach(p)
	m.listen(p)
	return fmt.Sprintf("%s is deleted and its addresses given to %s%s", gone, p.eni, killed), ofAddress(p, p.addrs...)
}

// floating draws an address that can be taken from its holder, if there is one.
func (m *rights) floating(family func(netip.Addr) bool) (*party, netip.Addr) {
	p := m.anyone()
	for _, a := range p.addrs[p.kept:] {
		if family(a) && !m.isResource(p, a) {
			return p, a
		}
	}
	return nil, netip.Addr{}
}

func (m *rights) isResource(p *party, a netip.Addr) bool {
	for _, at := range m.resources {
		if at == a && slices.Contains(m.servers, p) {
			return true
		}
	}
	return false
}

// give makes an address another party's of the same VPC in the model.
func (m *rights) give(from *party, a netip.Addr) *party {
	among := m.clients
	if slices.Contains(m.servers, from) {
		among = m.servers
	}
	to := among[m.IntN(len(among))]
	from.addrs = slices.DeleteFunc(slices.Clone(from.addrs), func(b netip.Addr) bool { return a == b })
	to.addrs = append(to.addrs, a)
	return to
}

// unassignOne takes an address from its holder, and gives it to somebody else as
// soon as it is free.
func (m *rights) unassignOne() (string, loss) {
	p, a := m.floating(func(netip.Addr) bool { return true })
	if p == nil {
		return "nothing", nothing()
	}
	unassign(m.Postern, p.eni, a)
	killed := m.perhapsKill()
	to := m.give(p, a)
	if to != p { // who gets it back at once has not lost it for sure
		assign(m.Postern, to.eni, false, a)
		return fmt.Sprintf("%s is unassigned from %s and given to %s%s", a, p.eni, to.eni, killed), ofAddress(p, a)
	}
	m.Await(a.String()+" to be free", func() (bool, error) { return !m.claimed(p, a), nil })
	assign(m.Postern, to.eni, false, a)
	return fmt.Sprintf("%s is unassigned from %s and given back%s", a, p.eni, killed), ofAddress(p, a)
}

// claimed reports whether an address is kept for somebody: another interface is
// not given it.
func (m *rights) claimed(p *party, a netip.Addr) bool {
	in := &ec2.CreateNetworkInterfaceInput{SubnetId: &p.subnet.ID, Groups: []string{p.group}}
	if a.Is4() {
		in.PrivateIpAddress = new(a.String())
	} else {
		in.Ipv6Addresses = []ec2.InstanceIpv6Address{{Ipv6Address: new(a.String())}}
	}
	var made ec2.CreateNetworkInterfaceOutput
	if m.Do(ec2.Service, "CreateNetworkInterface", in, &made) != nil {
		return true
	}
	postern.Call[ec2.DeleteNetworkInterfaceOutput](m.Postern, ec2.Service, "DeleteNetworkInterface",
		&ec2.DeleteNetworkInterfaceInput{NetworkInterfaceId: made.NetworkInterface.NetworkInterfaceId})
	return false
}

// moveOne moves an address with leave to do so.
func (m *rights) moveOne() (string, loss) {
	p, a := m.floating(netip.Addr.Is4)
	if p == nil {
		return "nothing", nothing()
	}
	to := m.give(p, a)
	assign(m.Postern, to.eni, true, a)
	killed := m.perhapsKill()
	if to == p {
		return fmt.Sprintf("%s is moved to where it is%s", a, killed), nothing()
	}
	return fmt.Sprintf("%s is moved from %s to %s%s", a, p.eni, to.eni, killed), ofAddress(p, a)
}

// deleteWay deletes an endpoint and makes another one to the same resource.
func (m *rights) deleteWay() (string, loss) {
	i := m.IntN(len(m.ways))
	w := m.ways[i]
	w.Delete()
	killed := m.perhapsKill()
	m.ways = slices.Delete(m.ways, i, i+1)
	m.lead(w.to)
	return fmt.Sprintf("%s is deleted%s", w.ID, killed), ofWay(w)
}

// deleteAssociation has the provider end what an endpoint leads to.
func (m *rights) deleteAssociation() (string, loss) {
	i := m.IntN(len(m.ways))
	w := m.ways[i]
	items := postern.Call[lattice.ListResourceEndpointAssociationsOutput](m.Postern, lattice.Service, "ListResourceEndpointAssociations",
		&lattice.ListResourceEndpointAssociationsInput{ResourceConfigurationIdentifier: &w.to.ID}).Items
	for _, a := range items {
		if *a.VpcEndpointId == w.ID {
			postern.Call[lattice.DeleteResourceEndpointAssociationOutput](m.Postern, lattice.Service, "DeleteResourceEndpointAssociation",
				&lattice.DeleteResourceEndpointAssociationInput{ResourceEndpointAssociationIdentifier: a.Id})
		}
	}
	killed := m.perhapsKill()
	m.ways = slices.Delete(m.ways, i, i+1)
	m.lead(w.to)
	return fmt.Sprintf("%s has lost its association%s", w.ID, killed), ofWay(w)
}

// redirect has a configuration lead to another server.
func (m *rights) redirect() (string, loss) {
	w := m.ways[m.IntN(len(m.ways))]
	old := m.resources[w.to]
	next := m.servers[m.IntN(len(m.servers))]
	i := slices.IndexFunc(next.addrs, func(a netip.Addr) bool { return a.Is4() == old.Is4() })
	m.resources[w.to] = next.addrs[i]
	postern.Call[lattice.UpdateResourceConfigurationOutput](m.Postern, lattice.Service, "UpdateResourceConfiguration", &lattice.UpdateResourceConfigurationInput{
		ResourceConfigurationIdentifier: &w.to.ID,
		ResourceConfigurationDefinition: &lattice.ResourceConfigurationDefinition{IpResource: &lattice.IpResource{IpAddress: new(next.addrs[i].String())}},
	})
	killed := m.perhapsKill()
	w.to.Await()
	return fmt.Sprintf("%s leads to %s instead of %s%s", w.to.ID, next.addrs[i], old, killed), nothing()
}

// reopen takes all rules of a group away and puts them back.
func (m *rights) reopen() (string, loss) {
	group := []string{m.openClient, m.openServer}[m.IntN(2)]
	m.Revoke(group, postern.Open, postern.Open)
	killed := m.perhapsKill()
	m.check("the rules are gone"+killed, nothing())
	m.Authorize(group, postern.Open, postern.Open)
	return "the rules of " + group + " are gone and back", nothing()
}

// regroup puts an interface into a group that admits nothing, and back.
func (m *rights) regroup() (string, loss) {
	p := m.anyone()
	closed := p.vpc.Group("closed-"+testnet.RandomName(8), nil, nil)
	for _, groups := range [][]string{{closed}, {p.group}} {
		postern.Call[ec2.ModifyNetworkInterfaceAttributeOutput](m.Postern, ec2.Service, "ModifyNetworkInterfaceAttribute",
			&ec2.ModifyNetworkInterfaceAttributeInput{NetworkInterfaceId: &p.eni, Groups: groups})
		m.check("a change of groups", nothing())
	}
	return p.eni + " was in another group", nothing()
}

func (m *rights) restart() (string, loss) {
	m.Kill()
	m.Up()
	return "a restart", nothing()
}
