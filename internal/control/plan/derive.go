// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"net/netip"
	"slices"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// derive gives what a unit asks for now, and the subjects that wait for it.
// Both are nil when its row is gone; a row that is being deleted asks for
// nothing but still has its subject.
func (p *Plan) derive(tx *table.Txn, id unitID) ([]desired.Entry, []Subject) {
	switch id.kind {
	case unitVPC:
		return p.deriveVPC(tx, id.ref), nil
	case unitInterface:
		return p.deriveInterface(tx, id.ref)
	case unitClass:
		return p.deriveClass(tx, id), nil
	case unitWorkload:
		return p.deriveWorkload(tx, id.ref)
	case unitGateway:
		return p.deriveGateway(tx, id.ref)
	case unitConfiguration:
		return p.deriveConfiguration(tx, id.ref)
	case unitEndpoint:
		return p.deriveEndpoint(tx, id.ref)
	}
	panic("plan: unknown unit kind " + string(id.kind))
}

// deriveVPC asks for the VPC's router when anything lives in the VPC.
func (p *Plan) deriveVPC(tx *table.Txn, ref model.Ref) []desired.Entry {
	vpc, ok := state.VPCs.Get(tx, ref.Account, ref.Region, ref.ID)
	if !ok || state.NetworkInterfaces.Count(tx, state.ByVPC, ref.String()) == 0 {
		return nil
	}
	r := desired.Router{
		VPC:      vpc.ID,
		Networks: vpc.Networks(),
		Source4:  model.TransitSource4(p.host.Index, vpc.TransitIndex),
		Source6:  model.TransitSource6(p.host.Index, vpc.TransitIndex),
	}
	for s := range state.Subnets.By(tx, state.ByVPC, ref.String()) {
		if s.CIDR.IsValid() {
			r.Gateways = append(r.Gateways, s.Router())
		}
	}
	slices.SortFunc(r.Gateways, netip.Addr.Compare)
	slices.SortFunc(r.Networks, netip.Prefix.Compare)
	return []desired.Entry{r}
}

// deriveInterface puts the interface's addresses into their class, and into
// the groups that rules refer to. An IPv6 prefix has too many addresses to name
// each.
func (p *Plan) deriveInterface(tx *table.Txn, ref model.Ref) ([]desired.Entry, []Subject) {
	ni, ok := state.NetworkInterfaces.Get(tx, ref.Account, ref.Region, ref.ID)
	if !ok {
		return nil, released(tx, ref)
	}
	name, _ := classOf(ni)
	var entries []desired.Entry
	add := func(a netip.Addr, bits int) {
		entries = append(entries, desired.Address{VPC: ni.VPC, Addr: a, Bits: bits, Class: name})
		for _, g := range ni.Groups {
			if p.referenced[sibling(&ni.Meta, g)] {
				entries = append(entries, desired.Member{VPC: ni.VPC, Group: g, Addr: a, Bits: bits})
			}
		}
	}
	for _, a := range slices.Concat(ni.All(), ni.Delegated(), poolAddresses6(ni)) {
		add(a, 0)
	}
	for _, prefix := range ni.Prefixes6 {
		add(prefix.Addr(), prefix.Bits())
	}
	return entries, append(released(tx, ref), interfaceSubject(ni))
}

// released are the addresses that an interface has given up and that nobody else
// gets before what it had is gone.
func released(tx *table.Txn, ref model.Ref) (subjects []Subject) {
	for c := range state.AddressClaims.By(tx, state.ByInterface, ref.String()) {
		subjects = append(subjects, Subject{SubjectAddress, c.Ref()})
	}
	return subjects
}

// interfaceSubject is the resource that an interface is a part of.
func interfaceSubject(ni *model.NetworkInterface) Subject {
	switch ni.Type {
	case model.InterfaceEndpoint:
		return Subject{SubjectEndpoint, sibling(&ni.Meta, ni.Owner)}
	case model.InterfaceGateway:
		return Subject{SubjectGateway, sibling(&ni.Meta, ni.Owner)}
	}
	return Subject{SubjectAttachment, ni.Ref()}
}

// deriveClass collects the rules of a combination of groups.
func (p *Plan) deriveClass(tx *table.Txn, id unitID) []desired.Entry {
	used := p.classes.byID[id]
	if used == nil {
		return nil
	}
	c := desired.Class{VPC: used.vpc, Name: desired.ClassName(used.groups)}
	for _, g := range used.groups {
		group, ok := state.SecurityGroups.Get(tx, id.ref.Account, id.ref.Region, g)
		if !ok {
			continue
		}
		for _, r := range group.Rules {
			if r.Egress {
				c.Out = append(c.Out, filterRule(r))
			} else {
				c.In = append(c.In, filterRule(r))
			}
		}
	}
	c.In, c.Out = sortedRules(c.In), sortedRules(c.Out)
	return []desired.Entry{c}
}

// deriveWorkload attaches an interface to its workload's namespace.
func (p *Plan) deriveWorkload(tx *table.Txn, ref model.Ref) ([]desired.Entry, []Subject) {
	a, ok := state.Attachments.Get(tx, ref.Account, ref.Region, ref.ID)
	if !ok || a.Host != p.host.Name {
		return nil, released(tx, ref)
	}
	subjects := append(released(tx, ref), Subject{SubjectAttachment, ref})
	ni, ok := state.NetworkInterfaces.Get(tx, ref.Account, ref.Region, ref.ID)
	if !ok || !a.DeletedAt.IsZero() {
		return nil, subjects
	}
	w := desired.Workload{
		VPC: ni.VPC, ENI: ni.ID, MAC: ni.MAC, Device: a.Device,
		Namespace: Namespace(a), Prefixes: slices.Concat(ni.Prefixes4, ni.Prefixes6),
	}
	if s, ok := state.Subnets.Get(tx, ref.Account, ref.Region, ni.Subnet); ok {
		w.Gateway = s.Router()
		for _, addr := range ni.Addresses {
			w.Addresses = append(w.Addresses, netip.PrefixFrom(addr, s.CIDR.Bits()))
		}
	}
	for _, addr := range ni.Addresses6 {
		w.Addresses = append(w.Addresses, netip.PrefixFrom(addr, addr.BitLen()))
	}
	return []desired.Entry{w}, subjects
}

// Namespace is the namespace of an attachment as entries have it.
func Namespace(a *model.Attachment) desired.Namespace {
	return desired.Namespace{Name: a.NamespaceName, PID: a.PID, Inode: a.Inode, Identity: a.Identity}
}

// deriveGateway asks for the source addresses of a resource gateway.
func (p *Plan) deriveGateway(tx *table.Txn, ref model.Ref) ([]desired.Entry, []Subject) {
	gw, ok := state.ResourceGateways.Get(tx, ref.Account, ref.Region, ref.ID)
	if !ok {
		return nil, nil
	}
	subjects := []Subject{{SubjectGateway, ref}}
	if gw.Deleting() {
		return nil, subjects
	}
	var entries []desired.Entry
	for ni := range state.NetworkInterfaces.By(tx, state.ByOwner, ref.String()) {
		entries = append(entries, pools(ni)...)
	}
	return entries, subjects
}

// pools gives the source addresses of a gateway's interface, by family.
func pools(ni *model.NetworkInterface) []desired.Entry {
	var entries []desired.Entry
	if len(ni.Addresses) > 0 {
		pool := desired.Pool{VPC: ni.VPC, Gateway: ni.Addresses[0]}
		for _, a := range ni.Addresses {
			pool.Addresses = append(pool.Addresses, netip.PrefixFrom(a, a.BitLen()))
		}
		entries = append(entries, pool)
	}
	if p := pool6(ni); p.IsValid() {
		entries = append(entries, desired.Pool{VPC: ni.VPC, Gateway: p.Addr(), Addresses: []netip.Prefix{p}})
	}
	return entries
}

// pool6 is the part of a gateway interface's IPv6 prefix that connections
// leave from: sixteen addresses, as many as IPv4 has by default. The rest of
// the prefix is room to grow.
func pool6(ni *model.NetworkInterface) netip.Prefix {
	if !ni.Prefix6.IsValid() {
		return netip.Prefix{}
	}
	return netip.PrefixFrom(ni.Prefix6.Masked().Addr(), 124)
}

func poolAddresses6(ni *model.NetworkInterface) []netip.Addr {
	return model.AddressesOf(pool6(ni))
}
