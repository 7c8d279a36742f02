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

// Name is that of an endpoint, which its VPC alone has.
type Name struct {
	Text string
	VPC  *VPC
	// Addresses are those that it leads to: of the family of the resource.
	Addresses []netip.Addr
	// Shared says that every VPC has a name of that text, each its own.
	Shared bool
}

// named waits until the name of an endpoint is told, and notes it.
func (m *maker) named(v *VPC, e *postern.Endpoint, r *Resource) {
	n := &Name{VPC: v}
	m.p.Await("the name of "+e.ID, func() (bool, error) {
		var out ec2.DescribeVpcEndpointAssociationsOutput
		err := m.p.Do(ec2.Service, "DescribeVpcEndpointAssociations", &ec2.DescribeVpcEndpointAssociationsInput{VpcEndpointIds: []string{e.ID}}, &out)
		if err != nil || len(out.VpcEndpointAssociations) != 1 || out.VpcEndpointAssociations[0].DnsEntry == nil {
			return false, err
		}
		n.Text = *out.VpcEndpointAssociations[0].DnsEntry.DnsName
		return true, nil
	})
	for _, addresses := range e.Addresses {
		for _, a := range addresses {
			if a.Is4() == r.IP.Is4() {
				n.Addresses = append(n.Addresses, a)
			}
		}
	}
	m.w.Names = append(m.w.Names, n)
}

// question is one look-up and what came of it.
type question struct {
	from *Interface
	name *Name
	at   string // of which resolver

	found []netip.Addr
	err   error
}

// Resolves asks for every name from every workload: whoever has the way gets its
// addresses, and nobody else gets anything. It returns what differs.
func (w *World) Resolves() (tried int, findings []string, err error) {
	var all []*question
	for _, from := range w.Workloads {
		for i, name := range w.Names {
			if name.Shared && name.VPC != from.VPC {
				continue // it gets its own
			}
			all = append(all, &question{from: from, name: name, at: resolvers[(len(all)+i)%len(resolvers)]})
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
	q.found, q.err = r.LookupNetIP(ctx, "ip", q.name.Text+".")
	for i, a := range q.found {
		q.found[i] = a.Unmap()
	}
}

// difference says how the outcome differs from what is right; empty when it does not.
// Of addresses in the zone of who asks, and there are some, no others come.
func (q *question) difference() string {
	what := fmt.Sprintf("%s asks %s for %s: %v, %v", q.from.Name, q.at, q.name.Text, q.found, q.err)
	var refusal *net.DNSError
	if q.from.VPC != q.name.VPC {
		if errors.As(q.err, &refusal) && refusal.IsNotFound {
			return ""
		}
		return what + ", want no such name"
	}
	near := slices.DeleteFunc(slices.Clone(q.name.Addresses), func(a netip.Addr) bool {
		at := q.name.VPC.At[a]
		return at == nil || at.Zone != q.from.Zone
	})
	want := near
	if len(near) == 0 {
		want = q.name.Addresses
	}
	slices.SortFunc(want, netip.Addr.Compare)
	slices.SortFunc(q.found, netip.Addr.Compare)
	if q.err != nil || !slices.Equal(q.found, want) {
		return what + fmt.Sprintf(", want %v", want)
	}
	return ""
}

// zone gives a VPC a hosted zone of its own, of the name that all others have too, with
// one record by which they differ.
func (m *maker) zone(v *VPC, index int) {
	m.p.T.Helper()
	postern.Call[ec2.ModifyVpcAttributeOutput](m.p, ec2.Service, "ModifyVpcAttribute",
		&ec2.ModifyVpcAttributeInput{VpcId: &v.ID, EnableDnsHostnames: &ec2.AttributeBooleanValue{Value: new(true)}})
	made := postern.Call[route53.CreateHostedZoneOutput](m.p, route53.Service, "CreateHostedZone", &route53.CreateHostedZoneInput{
		Name: new("corp.example"), CallerReference: &v.ID, VPC: &route53.VPC{VPCId: &v.ID, VPCRegion: new("us-east-1")},
	})
	own := &Name{Text: "who.corp.example", VPC: v, Addresses: []netip.Addr{netip.AddrFrom4([4]byte{198, 51, 100, byte(index)})}, Shared: true}
	id := strings.TrimPrefix(*made.HostedZone.Id, "/hostedzone/")
	change := postern.Call[route53.ChangeResourceRecordSetsOutput](m.p, route53.Service, "ChangeResourceRecordSets", &route53.ChangeResourceRecordSetsInput{
		HostedZoneId: &id, ChangeBatch: &route53.ChangeBatch{Changes: []route53.Change{{Action: new("CREATE"), ResourceRecordSet: &route53.ResourceRecordSet{
			Name: &own.Text, Type: new("A"), TTL: new(int64(60)), ResourceRecords: []route53.ResourceRecord{{Value: new(own.Addresses[0].String())}},
		}}}},
	})
	id = strings.TrimPrefix(*change.ChangeInfo.Id, "/change/")
	m.p.Await("change "+id, func() (bool, error) {
		var out route53.GetChangeOutput
		err := m.p.Do(route53.Service, "GetChange", &route53.GetChangeInput{Id: &id}, &out)
		return err == nil && *out.ChangeInfo.Status == route53.ChangeStatusInsync, err
	})
	m.w.Names = append(m.w.Names, own)
}
