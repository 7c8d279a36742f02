// SPDX-License-Identifier: Apache-2.0

package isolation

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"

	"github.com/posternhq/postern/internal/aws/shape/ec2"
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
	near := slices.DeleteFunc(slices.Clone(q.name.Addresses), func(a netip.Addr) bool { return q.name.VPC.At[a].Zone != q.from.Zone })
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
