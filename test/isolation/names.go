// SPDX-License-Identifier: Apache-2.0

package isolation

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/aws/shape/route53"
	"github.com/posternhq/postern/test/postern"
	"github.com/posternhq/postern/test/testnet"
)

// resolvers are the addresses of every VPC's resolver here: the VPCs have one block.
var resolvers = []string{"10.0.0.2", "169.254.169.253", "fd00:ec2::253"}

// Name is what a VPC calls something, and other VPCs something else or nothing.
type Name struct {
	Text string
	VPC  *VPC
	// Addresses are those that it leads to, by zone: of the family of the resource. Records
	// of hosted zones are in no zone, and those of databases in their own VPC neither. While
	// there are none the name is not known.
	Addresses map[string][]netip.Addr
}

// known is a domain that each resolver answers for, also where nothing in it has a name.
const known = ".postern.internal"

// name gives what a VPC has under a name; nil when that is nothing.
func (w *World) name(v *VPC, text string) *Name {
	for _, n := range w.Names {
		if n.VPC == v && n.Text == text && len(n.Addresses) > 0 {
			return n
		}
	}
	return nil
}

// named waits until the names of an endpoint are told, and notes them.
func (m *maker) named(v *VPC, e *postern.Endpoint, r *Resource, private bool) {
	addresses := map[string][]netip.Addr{}
	for zone, all := range e.Addresses {
		for _, a := range all {
			if a.Is4() == r.IP.Is4() {
				addresses[zone] = append(addresses[zone], a)
			}
		}
	}
	m.told(v, e, addresses, private)
}

func (m *maker) told(v *VPC, e *postern.Endpoint, addresses map[string][]netip.Addr, private bool) {
	m.p.Await("the names of "+e.ID, func() (bool, error) {
		var out ec2.DescribeVpcEndpointAssociationsOutput
		err := m.p.Do(ec2.Service, "DescribeVpcEndpointAssociations", &ec2.DescribeVpcEndpointAssociationsInput{VpcEndpointIds: []string{e.ID}}, &out)
		if err != nil || len(out.VpcEndpointAssociations) != 1 {
			return false, err
		}
		own, custom := out.VpcEndpointAssociations[0].DnsEntry, out.VpcEndpointAssociations[0].PrivateDnsEntry
		if own == nil || private && custom == nil {
			return false, nil
		}
		m.w.Names = append(m.w.Names, &Name{*own.DnsName, v, addresses})
		if private {
			m.w.Names = append(m.w.Names, &Name{*custom.DnsName, v, addresses})
		}
		return true, nil
	})
}

// group offers a workload of one VPC as the only child of a group, to another VPC. The
// endpoint has an address of its own, at which nothing is, and one for the child.
func (m *maker) group(provider, consumer *VPC) {
	m.p.T.Helper()
	zones := map[string]*postern.Subnet{}
	for _, s := range provider.Subnets {
		zones[s.Zone] = s
	}
	common := slices.IndexFunc(consumer.Subnets, func(s *postern.Subnet) bool { return zones[s.Zone] != nil })
	at := consumer.Subnets[common]
	subnets := []*postern.Subnet{zones[at.Zone]}
	made := provider.Gateway("grouped", subnets, nil)
	gateway := sender(provider, "grouped", made, defaultGroup())
	group := made.Group("grouped", "group.example")
	child := &Resource{Gateway: gateway, Sources: made.Sources(), Subnets: subnets, IP: host(provider.Subnets[0], 10), Ports: [][2]uint16{{5432, 5432}}}
	group.CustomChild("child", "child.group.example", child.IP, "5432")
	e := consumer.PrivateEndpoint(group, []*postern.Subnet{at}, groupIDs(consumer.Groups[:1])...)
	all, six := e.Addresses[at.Zone], slices.DeleteFunc(slices.Clone(e.Addresses[at.Zone]), netip.Addr.Is4)
	all = slices.DeleteFunc(slices.Clone(all), netip.Addr.Is6)
	m.told(consumer, e, map[string][]netip.Addr{at.Zone: all[1:]}, true) // the first one is the endpoint's own
	consumer.add(&Interface{Name: "own address of " + e.ID, Zone: at.Zone, Addresses: append(six, all[0]), Groups: consumer.Groups[:1]})
	consumer.add(&Interface{Name: e.ID, Zone: at.Zone, Addresses: all[1:], Groups: consumer.Groups[:1], Endpoint: child})
}

// defaultGroup is the one of who says none: it lets everything out, and in from itself.
func defaultGroup() []*Group {
	g := &Group{}
	for _, all := range []string{"0.0.0.0/0", "::/0"} {
		g.Rules = append(g.Rules, Rule{Direction: out, Protocol: "-1", CIDR: netip.MustParsePrefix(all)})
	}
	g.Rules = append(g.Rules, Rule{Direction: in, Protocol: "-1", Group: g})
	return []*Group{g}
}

// question is one look-up and what came of it.
type question struct {
	from *Interface
	text string
	name *Name  // that its VPC has; nil when it has none
	at   string // of which resolver

	found []netip.Addr
	err   error
}

// Resolves asks for every name from every workload: whoever has the way gets its
// addresses, and nobody else gets anything. It returns what differs.
func (w *World) Resolves() (tried int, findings []string, err error) {
	var all []*question
	asked := map[string]bool{}
	for i, name := range w.Names {
		if asked[name.Text] {
			continue
		}
		asked[name.Text] = true
		for _, from := range w.Workloads {
			at := resolvers[(len(all)+i)%len(resolvers)]
			if len(from.source(netip.MustParseAddr(at))) == 0 {
				at = resolvers[0]
			}
			all = append(all, &question{from: from, text: name.Text, name: w.name(from.VPC, name.Text), at: at})
		}
	}
	for each := range slices.Chunk(all, 100) { // a resolver answers so many of an interface in a second
		var wg sync.WaitGroup
		for _, q := range each {
			wg.Go(q.ask)
		}
		wg.Wait()
	}
	for _, q := range all {
		if difference := q.difference(); difference != "" {
			findings = append(findings, difference)
		}
	}
	return len(all), findings, nil
}

func (q *question) ask() {
	ctx, cancel := context.WithTimeout(context.Background(), testnet.Patience)
	defer cancel()
	r := net.Resolver{PreferGo: true, StrictErrors: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return q.from.Workload.Dial(ctx, network, net.JoinHostPort(q.at, "53"))
	}}
	q.found, q.err = r.LookupNetIP(ctx, "ip", q.text+".")
	for i, a := range q.found {
		q.found[i] = a.Unmap()
	}
}

// difference says how the outcome differs from what is right; empty when it does not.
// Of addresses in the zone of who asks, and there are some, no others come. Names of
// domains that nobody knows are refused: there is no upstream.
func (q *question) difference() string {
	what := fmt.Sprintf("%s asks %s for %s: %v, %v", q.from.Name, q.at, q.text, q.found, q.err)
	if q.name == nil {
		var refusal *net.DNSError
		if len(q.found) == 0 && errors.As(q.err, &refusal) && !refusal.IsTimeout && refusal.IsNotFound == q.isKnown() {
			return ""
		}
		return what + ", want no such name"
	}
	want := slices.Clone(q.name.Addresses[q.from.Zone])
	if len(want) == 0 {
		for _, addresses := range q.name.Addresses {
			want = append(want, addresses...)
		}
	}
	slices.SortFunc(want, netip.Addr.Compare)
	slices.SortFunc(q.found, netip.Addr.Compare)
	if q.err != nil || !slices.Equal(q.found, want) {
		return what + fmt.Sprintf(", want %v", want)
	}
	return ""
}

// isKnown reports whether the resolver that is asked has a zone that the name is in: then
// it says that there is no such name.
func (q *question) isKnown() bool { return strings.HasSuffix(q.text, known) }

// zones gives a VPC a hosted zone of the name that all others have too, with one record by
// which they differ, and another one of a name that no other has.
func (m *maker) zones(v *VPC, index int) {
	m.p.T.Helper()
	postern.Call[ec2.ModifyVpcAttributeOutput](m.p, ec2.Service, "ModifyVpcAttribute",
		&ec2.ModifyVpcAttributeInput{VpcId: &v.ID, EnableDnsHostnames: &ec2.AttributeBooleanValue{Value: new(true)}})
	address := netip.AddrFrom4([4]byte{198, 51, 100, byte(index)})
	m.zone(v, "corp.example", "who.corp.example", address)
	own := fmt.Sprintf("vpc%d.example", index)
	m.zone(v, own, "who."+own, address)
}

// zone makes a hosted zone with one record.
func (m *maker) zone(v *VPC, domain, name string, address netip.Addr) {
	m.p.T.Helper()
	made := postern.Call[route53.CreateHostedZoneOutput](m.p, route53.Service, "CreateHostedZone", &route53.CreateHostedZoneInput{
		Name: &domain, CallerReference: new(v.ID + domain), VPC: &route53.VPC{VPCId: &v.ID, VPCRegion: new("us-east-1")},
	})
	id := strings.TrimPrefix(*made.HostedZone.Id, "/hostedzone/")
	change := postern.Call[route53.ChangeResourceRecordSetsOutput](m.p, route53.Service, "ChangeResourceRecordSets", &route53.ChangeResourceRecordSetsInput{
		HostedZoneId: &id, ChangeBatch: &route53.ChangeBatch{Changes: []route53.Change{{Action: new("CREATE"), ResourceRecordSet: &route53.ResourceRecordSet{
			Name: &name, Type: new("A"), TTL: new(int64(60)), ResourceRecords: []route53.ResourceRecord{{Value: new(address.String())}},
		}}}},
	})
	id = strings.TrimPrefix(*change.ChangeInfo.Id, "/change/")
	m.p.Await("change "+id, func() (bool, error) {
		var out route53.GetChangeOutput
		err := m.p.Do(route53.Service, "GetChange", &route53.GetChangeInput{Id: &id}, &out)
		return err == nil && *out.ChangeInfo.Status == route53.ChangeStatusInsync, err
	})
	m.w.Names = append(m.w.Names, &Name{name, v, map[string][]netip.Addr{"": {address}}})
}
