// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// unitsOf gives the units that are there because of a row. Whatever else depends
// on it is found by what it has read.
func unitsOf(row table.Row) []unitID {
	switch row := row.(type) {
	case *model.NetworkInterface:
		return []unitID{idOf(unitInterface, row.Ref())}
	case *model.AddressClaim:
		if row.Released() { // its former interface waits with it, if it is there or not
			ref := row.InterfaceRef()
			return []unitID{idOf(unitInterface, ref), idOf(unitWorkload, ref)}
		}
	case *model.Attachment:
		return []unitID{idOf(unitWorkload, model.Ref{Account: row.Account, Region: row.Region, ID: row.Interface})}
	case *model.NATGateway:
		return []unitID{idOf(unitNAT, row.Ref())}
	case *model.PeeringConnection:
		if row.Asks() {
			return []unitID{idOf(unitPeering, row.Ref())}
		}
	case *model.ResourceGateway:
		return []unitID{idOf(unitGateway, row.Ref())}
	case *model.LoadBalancer:
		return []unitID{idOf(unitBalancer, row.Ref())}
	case *model.DBCluster:
		return []unitID{idOf(unitDBCluster, row.Ref()), idOf(unitDBNames, row.Ref())}
	case *model.DBInstance:
		return []unitID{idOf(unitDBInstance, row.Ref())}
	case *model.DBClusterEndpoint:
		return []unitID{idOf(unitDBEndpoint, row.Ref())}
	case *model.DBSnapshot:
		return []unitID{idOf(unitDBSnapshot, row.Ref())}
	case *model.ResourceConfiguration:
		return []unitID{idOf(unitConfiguration, row.Ref())}
	case *model.VPCEndpoint:
		if row.ToService() {
			return []unitID{idOf(unitEndpoint, row.Ref()), idOf(unitCalled, row.Ref())}
		}
		if row.HasPrivateNames() {
			return []unitID{idOf(unitEndpoint, row.Ref()), idOf(unitDomain, row.Ref())}
		}
		return []unitID{idOf(unitEndpoint, row.Ref())}
	case *model.EndpointAssociation:
		return []unitID{idOf(unitAssociation, row.Ref()), idOf(unitNames, row.Ref())}
	case *model.InternetGateway:
		if row.VPC != "" {
			return []unitID{idOf(unitExit, row.Sibling(row.VPC))}
		}
	case *model.EgressOnlyGateway:
		return []unitID{idOf(unitExit, row.Sibling(row.VPC))}
	case *model.PublicClaim:
		return []unitID{idOf(unitPublic, row.Ref())}
	case *model.RouteTableAssociation:
		if row.Gateway != "" {
			return []unitID{idOf(unitEdge, model.Ref{Account: row.Account, Region: row.Region, ID: row.ID})}
		}
	case *model.HostedZone:
		return []unitID{idOf(unitZone, row.Ref())}
	case *model.RecordSet:
		account, region, id := row.RowKey()
		return []unitID{idOf(unitRecord, model.Ref{Account: account, Region: region, ID: id})}
	}
	return nil
}

// derive gives what a unit asks for now, the subjects that wait for it, and what
// others want to know of it. Of a row that is not there all are nil; a row that
// is being deleted asks for nothing but still has its subject.
func (r *reading) derive(id unitID) derived {
	ref := id.place.ref()
	switch id.kind {
	case unitResolver:
		return r.deriveResolver(ref)
	case unitVPC:
		return r.deriveVPC(ref)
	case unitSubnet:
		return r.deriveSubnet(ref)
	case unitSubnets:
		return r.deriveSubnets(ref)
	case unitTable:
		return r.deriveTable(ref)
	case unitMain:
		return r.deriveMain(ref)
	case unitCourse:
		return r.deriveCourse(ref)
	case unitEdge:
		return r.deriveEdge(ref)
	case unitPeopled:
		return derived{value: state.NetworkInterfacesByVPC.Count(r.tx, ref) > 0}
	case unitUplink:
		return r.deriveUplink(ref)
	case unitFront:
		return r.deriveFront()
	case unitRelay:
		return r.deriveRelay()
	case unitExit:
		return r.deriveExit(ref)
	case unitPublic:
		return r.derivePublic(ref)
	case unitACL:
		return r.deriveACL(ref)
	case unitBorder:
		return r.deriveBorder(ref)
	case unitReferenced:
		return r.deriveReferenced(ref)
	case unitClass:
		return r.deriveClass(ref)
	case unitInterface:
		return r.deriveInterface(ref)
	case unitGateway:
		return r.deriveGateway(ref)
	case unitDBCluster, unitDBInstance, unitDBNames, unitDBEndpoint, unitDBSnapshot:
		return r.deriveDatabase(id.kind, ref)
	case unitBalancer:
		return r.deriveBalancer(ref)
	case unitConfiguration:
		return r.deriveConfiguration(ref)
	case unitWorkload:
		return r.deriveWorkload(ref)
	case unitPeering:
		return r.derivePeering(ref)
	case unitNAT:
		return r.deriveNAT(ref)
	case unitEndpoint:
		return r.deriveEndpoint(ref)
	case unitAssociation:
		return r.deriveAssociation(ref)
	case unitNames:
		return r.deriveNames(ref)
	case unitCalled:
		return r.deriveCalled(ref)
	case unitBalancers:
		return derived{value: r.balancerRegions()}
	case unitHubs:
		return derived{value: state.VPCEndpointsByType.Count(r.tx, model.EndpointInterface) > 0}
	case unitDomain:
		return r.deriveDomain(ref)
	case unitSight:
		return r.deriveSight(ref)
	case unitZone:
		return r.deriveZone(ref)
	case unitRecord:
		return r.deriveRecord(ref)
	}
	panic(fmt.Sprintf("plan: unknown kind of unit %d", id.kind))
}

// network is what is worth knowing of a VPC, besides its router.
type network struct {
	id               string
	source4, source6 netip.Prefix
}

// source gives where connections that leave the VPC come from, in a family.
func (n network) source(is4 bool) netip.Prefix {
	if is4 {
		return n.source4
	}
	return n.source6
}

// deriveVPC asks for the VPC's router: somebody lives there, or this unit would
// not be. It makes the VPC have a resolver.
func (r *reading) deriveVPC(ref model.Ref) derived {
	vpc, ok := state.VPCs.Get(r.tx, ref.Account, ref.Region, ref.ID)
	if !ok {
		return derived{}
	}
	if r.named() {
		r.value(idOf(unitResolver, ref))
	}
	r.value(idOf(unitBorder, ref))
	n := network{
		id:      vpc.ID,
		source4: model.TransitSource4(r.plan.host.Index, vpc.TransitIndex),
		source6: model.TransitSource6(r.plan.host.Index, vpc.TransitIndex),
	}
	e := desired.Router{VPC: n.id, Networks: vpc.Networks(), Source4: n.source4, Source6: n.source6}
	for s := range state.SubnetsByVPC.Rows(r.tx, ref) {
		if s.CIDR.IsValid() {
			e.Gateways = append(e.Gateways, s.Router())
		}
	}
	slices.SortFunc(e.Gateways, netip.Addr.Compare)
	slices.SortFunc(e.Networks, netip.Prefix.Compare)
	return derived{entries: []desired.Entry{e}, value: n}
}

// segment is what an interface has of its subnet.
type segment struct {
	vpc    string
	router netip.Addr
	bits   int
}

func (r *reading) deriveSubnet(ref model.Ref) derived {
	s, ok := state.Subnets.Get(r.tx, ref.Account, ref.Region, ref.ID)
	if !ok {
		return derived{}
	}
	return derived{value: segment{s.VPC, s.Router(), s.CIDR.Bits()}}
}

// land is the blocks of a VPC, and those of its subnets.
type land struct {
	vpc     string
	blocks  []netip.Prefix
	subnets []block
}

// block is a block of a subnet.
type block struct {
	subnet model.Ref
	cidr   netip.Prefix
}

func (r *reading) deriveSubnets(ref model.Ref) derived {
	l := land{vpc: ref.ID}
	if vpc, ok := state.VPCs.Get(r.tx, ref.Account, ref.Region, ref.ID); ok {
		l.blocks = vpc.Networks()
	}
	for s := range state.SubnetsByVPC.Rows(r.tx, ref) {
		for _, cidr := range []netip.Prefix{s.CIDR, s.CIDR6.Prefix} {
			if cidr.IsValid() {
				l.subnets = append(l.subnets, block{s.Ref(), cidr})
			}
		}
	}
	return derived{value: l}
}

// at gives the subnet that an address is in, and what of the VPC reserves the address;
// false when it is in no subnet, and empty when nothing does.
func (l land) at(addr netip.Addr) (subnet model.Ref, found bool, reserved string) {
	for _, b := range l.blocks {
		if what := model.ReservedFor(b, addr); what != "" {
			reserved = fmt.Sprintf("%s of %s, a block of %s", what, b, l.vpc)
		}
	}
	for _, b := range l.subnets {
		if !b.cidr.Contains(addr) {
			continue
		}
		if what := model.ReservedFor(b.cidr, addr); what != "" {
			reserved = fmt.Sprintf("%s of subnet %s, %s", what, b.subnet.ID, b.cidr)
		}
		return b.subnet, true, reserved
	}
	return subnet, false, reserved
}

// deriveInterface puts the interface's addresses into their class, and into
// the groups that rules refer to. It makes its VPC have a router, and its
// combination of groups a class. An IPv6 prefix has too many addresses to name each.
func (r *reading) deriveInterface(ref model.Ref) derived {
	ni, ok := state.NetworkInterfaces.Get(r.tx, ref.Account, ref.Region, ref.ID)
	if !ok {
		return derived{subjects: r.released(ref)}
	}
	taken, subjects := r.taken(ni)
	d := derived{subjects: append(append(r.released(ref), interfaceStanding(ni)), subjects...)}
	if r.leaving(ni) {
		return d
	}
	r.value(idOf(unitVPC, ni.VPCRef()))
	name := r.classOf(ni)
	var named []desired.Member
	for _, g := range ni.Groups {
		vpcs, _ := valueOf[referenced](r, unitReferenced, ni.Sibling(g))
		for _, vpc := range vpcs {
			named = append(named, desired.Member{VPC: vpc, Group: g})
		}
	}
	if group, _ := r.circle(ni); group != "" {
		named = append(named, desired.Member{VPC: ni.VPC, Group: group})
	}
	add := func(a netip.Addr, bits int) {
		d.entries = append(d.entries, desired.Address{VPC: ni.VPC, Addr: a, Bits: bits, Class: name})
		for _, m := range named {
			m.Addr, m.Bits = a, bits
			d.entries = append(d.entries, m)
		}
	}
	for _, a := range slices.Concat(ni.All(), ni.Delegated(), poolAddresses6(ni)) {
		if !slices.Contains(taken, a) {
			add(a, 0)
		}
	}
	for _, prefix := range ni.Prefixes6 {
		add(prefix.Addr(), prefix.Bits())
	}
	if ni.Type == model.InterfaceGateway || ni.Type == model.InterfaceBalancer {
		d.value = newExit(ni)
	}
	if (ni.Type == model.InterfaceEndpoint || ni.Type == model.InterfaceBalancer) && r.hasPeers(ni.VPCRef()) {
		for _, a := range ni.All() {
			d.entries = append(d.entries, r.steer(ni.VPC, a.String(), ni.SubnetRef())...)
		}
	}
	return d
}

// taken gives the addresses of an endpoint's interface that go with associations
// which are being deleted, and these associations: they are not gone before.
func (r *reading) taken(ni *model.NetworkInterface) (addrs []netip.Addr, subjects []standing) {
	if ni.Type != model.InterfaceEndpoint {
		return nil, nil
	}
	for a := range state.EndpointAssociationsByInterface.Rows(r.tx, ni.Ref()) {
		subjects = append(subjects, newStanding(SubjectAssociation, a.Ref(), 0, false))
		for _, own := range a.Addresses {
			if own.Interface == ni.ID {
				addrs = append(addrs, own.Addr)
			}
		}
	}
	return addrs, subjects
}

// leaving reports whether an interface goes with what is being deleted: its
// addresses are free when that has gone, so nothing of them may stay until then.
func (r *reading) leaving(ni *model.NetworkInterface) bool {
	switch ni.Type {
	case model.InterfaceEndpoint:
		owner, ok := state.VPCEndpoints.Get(r.tx, ni.Account, ni.Region, ni.Owner)
		return ok && (owner.Deleting() || slices.Contains(owner.Leaving, ni.ID))
	case model.InterfaceGateway:
		owner, ok := state.ResourceGateways.Get(r.tx, ni.Account, ni.Region, ni.Owner)
		return ok && owner.Deleting()
	case model.InterfaceNAT:
		owner, ok := state.NATGateways.Get(r.tx, ni.Account, ni.Region, ni.Owner)
		return ok && owner.Deleting()
	case model.InterfaceBalancer:
		owner, ok := state.LoadBalancers.Get(r.tx, ni.Account, ni.Region, ni.Owner)
		return ok && owner.Deleting()
	case model.InterfaceDatabase:
		owner, ok := state.DBInstances.Get(r.tx, ni.Account, ni.Region, ni.Owner)
		return ok && state.InstanceLeaves(r.tx, owner)
	}
	a, ok := state.Attachments.Get(r.tx, ni.Account, ni.Region, ni.ID)
	return ok && a.DeleteOnTermination && !a.DeletedAt.IsZero()
}

// released are the addresses that an interface has given up and that nobody else
// gets before what it had is gone.
func (r *reading) released(ref model.Ref) (subjects []standing) {
	for c := range state.AddressClaimsByInterface.Rows(r.tx, ref) {
		subjects = append(subjects, newStanding(SubjectAddress, c.Ref(), stamp(c.ReleasedAt), true))
	}
	return subjects
}

// interfaceStanding is the resource that an interface is a part of. Where that
// stands is said by its own unit.
func interfaceStanding(ni *model.NetworkInterface) standing {
	switch ni.Type {
	case model.InterfaceEndpoint:
		return newStanding(SubjectEndpoint, ni.Sibling(ni.Owner), 0, false)
	case model.InterfaceGateway:
		return newStanding(SubjectGateway, ni.Sibling(ni.Owner), 0, false)
	case model.InterfaceNAT:
		return newStanding(SubjectNAT, ni.Sibling(ni.Owner), 0, false)
	case model.InterfaceBalancer:
		return newStanding(SubjectBalancer, ni.Sibling(ni.Owner), 0, false)
	case model.InterfaceDatabase:
		return newStanding(SubjectDBInstance, ni.Sibling(ni.Owner), 0, false)
	}
	return newStanding(SubjectAttachment, ni.Ref(), 0, false)
}

// classOf gives the name of an interface's class, and sees to it that there is one.
func (r *reading) classOf(ni *model.NetworkInterface) string {
	groups := slices.Clone(ni.Groups)
	if _, rules := r.circle(ni); rules != "" {
		groups = append(groups, rules)
	}
	slices.Sort(groups)
	groups = slices.Compact(groups)
	if ni.Type == model.InterfaceNAT || ni.Type == model.InterfaceBalancer && len(groups) == 0 { // they have no groups
		groups = []string{admitsAll}
	}
	name, _ := valueOf[string](r, unitClass, ni.Sibling(ni.VPC+"/"+strings.Join(groups, ",")))
	return name
}

// deriveClass collects the rules of a combination of groups. Its value is the name of
// the class.
func (r *reading) deriveClass(ref model.Ref) derived {
	vpc, list, _ := strings.Cut(ref.ID, "/")
	if list == admitsAll {
		return derived{entries: []desired.Entry{openClass(vpc)}, value: admitsAll}
	}
	var groups []string
	if list != "" {
		groups = strings.Split(list, ",")
	}
	c := desired.Class{VPC: vpc, Name: desired.ClassName(groups)}
	for _, g := range groups {
		if addCircle(&c, g) {
			continue
		}
		group, ok := state.SecurityGroups.Get(r.tx, ref.Account, ref.Region, g)
		if !ok {
			continue
		}
		for _, rule := range group.Rules {
			if rule.Egress {
				c.Out = append(c.Out, r.filterRules(group, rule)...)
			} else {
				c.In = append(c.In, r.filterRules(group, rule)...)
			}
		}
	}
	c.In, c.Out = sortedRules(c.In), sortedRules(c.Out)
	return derived{entries: []desired.Entry{c}, value: c.Name}
}

// deriveWorkload attaches an interface to its workload's namespace.
func (r *reading) deriveWorkload(ref model.Ref) derived {
	d := derived{subjects: r.released(ref)}
	a, ok := state.Attachments.Get(r.tx, ref.Account, ref.Region, ref.ID)
	if !ok || a.Host != r.plan.host.Name {
		return d
	}
	d.subjects = append(d.subjects, newStanding(SubjectAttachment, ref, stamp(a.CreatedAt), !a.DeletedAt.IsZero()))
	ni, ok := state.NetworkInterfaces.Get(r.tx, ref.Account, ref.Region, ref.ID)
	if !ok || !a.DeletedAt.IsZero() {
		return d
	}
	d.entries = r.plug(ni, func(w *desired.Workload) { w.Device, w.Attachment, w.Namespace = a.Device, a.ID, Namespace(a) })
	return d
}

// plug gives an interface in a namespace, which in puts into its entry, with the way that
// packets from it take.
func (r *reading) plug(ni *model.NetworkInterface, in func(*desired.Workload)) []desired.Entry {
	w := desired.Workload{
		VPC: ni.VPC, ENI: ni.ID, MAC: ni.MAC, Prefixes: slices.Concat(ni.Prefixes4, ni.Prefixes6), Unchecked: !ni.SourceDestCheck,
	}
	in(&w)
	if s, ok := valueOf[segment](r, unitSubnet, ni.SubnetRef()); ok {
		w.Gateway = s.router
		for _, addr := range ni.Addresses {
			w.Addresses = append(w.Addresses, netip.PrefixFrom(addr, s.bits))
		}
	}
	for _, addr := range ni.Addresses6 {
		w.Addresses = append(w.Addresses, netip.PrefixFrom(addr, addr.BitLen()))
	}
	entries := append([]desired.Entry{w}, r.steer(ni.VPC, ni.ID, ni.SubnetRef())...)
	if w.Unchecked {
		entries = append(entries, desired.Through{VPC: ni.VPC, ENI: ni.ID, Class: r.classOf(ni)})
	}
	return entries
}

// Namespace is the namespace of an attachment as entries have it.
func Namespace(a *model.Attachment) desired.Namespace {
	return desired.Namespace{Name: a.NamespaceName, PID: a.PID, Inode: a.Inode, Identity: a.Identity}
}

// deriveGateway asks for the source addresses of a resource gateway. Its value is
// the reference of its VPC.
func (r *reading) deriveGateway(ref model.Ref) derived {
	gw, ok := state.ResourceGateways.Get(r.tx, ref.Account, ref.Region, ref.ID)
	if !ok {
		return derived{}
	}
	d := derived{subjects: []standing{standingOf(SubjectGateway, &gw.Meta)}, value: gw.Sibling(gw.VPC)}
	if gw.Deleting() {
		return d
	}
	for ni := range state.NetworkInterfacesByOwner.Rows(r.tx, ref) {
		for _, pool := range pools(ni) {
			d.entries = append(d.entries, pool)
			d.entries = append(d.entries, r.steer(pool.VPC, pool.Gateway.String(), ni.SubnetRef())...)
		}
	}
	return d
}

// pools gives the source addresses of a gateway's interface, by family.
func pools(ni *model.NetworkInterface) (all []desired.Pool) {
	if len(ni.Addresses) > 0 {
		pool := desired.Pool{VPC: ni.VPC, Gateway: ni.Addresses[0]}
		for _, a := range ni.Addresses {
			pool.Addresses = append(pool.Addresses, netip.PrefixFrom(a, a.BitLen()))
		}
		all = append(all, pool)
	}
	if p := pool6(ni); p.IsValid() {
		all = append(all, desired.Pool{VPC: ni.VPC, Gateway: p.Addr(), Addresses: []netip.Prefix{p}})
	}
	return all
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
