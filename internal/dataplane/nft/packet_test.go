// SPDX-License-Identifier: Apache-2.0

package nft_test

import (
	"bufio"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/dataplane/nft"
	"github.com/posternhq/postern/internal/dataplane/nft/lab"
	"github.com/posternhq/postern/internal/desired"
)

var (
	addr   = netip.MustParseAddr
	prefix = netip.MustParsePrefix
)

const (
	silence = 400 * time.Millisecond // after which a connection attempt counts as dropped
	prompt  = time.Second            // before which a refusal must come
)

// rig is the lab with rules: clients in A reach port 5432 and the ranges of a
// port set of the server in B through an endpoint, in both families.
type rig struct {
	*lab.Lab
	t      testing.TB
	ta, tb *nft.Table
}

func openTable(t testing.TB, n *lab.Namespace, r desired.Router) *nft.Table {
	t.Helper()
	table, err := nft.Open(n.FD)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { table.Close() })
	if err := table.Load(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	return table
}

var anyRules = []desired.Rule{
	{Protocol: desired.AllProtocols, From: -1, To: -1, Peer: prefix("0.0.0.0/0")},
	{Protocol: desired.AllProtocols, From: -1, To: -1, Peer: prefix("::/0")},
}

func class(vpc, name string, in, out []desired.Rule) desired.Class {
	return desired.Class{VPC: vpc, Name: name, In: in, Out: out}
}

func address(vpc, a, class string) desired.Address {
	return desired.Address{VPC: vpc, Addr: addr(a), Class: class}
}

var (
	endpoint4 = desired.Endpoint{VPC: "vpc-a", Addr: addr("10.0.1.100"), Target: lab.Target4, Ports: []desired.PortRange{{From: 5432, To: 5432}}, PortSet: "p-1"}
	endpoint6 = desired.Endpoint{VPC: "vpc-a", Addr: addr("2001:db8:0:1::100"), Target: lab.Target6, Ports: []desired.PortRange{{From: 5432, To: 5432}}}
	allow4    = desired.Allow{VPC: "vpc-b", Source: lab.SourceA4, Target: lab.Target4}
	allow6    = desired.Allow{VPC: "vpc-b", Source: lab.SourceA6, Target: lab.Target6}
)

func consumerEntries() []desired.Entry {
	return []desired.Entry{
		class("vpc-a", "c-work", anyRules, anyRules),
		class("vpc-a", "c-end", anyRules, nil),
		desired.PortSet{VPC: "vpc-a", Name: "p-1", Ranges: []desired.PortRange{{From: 8000, To: 8010}, {From: 9000, To: 9000}}},
		address("vpc-a", "10.0.1.10", "c-work"), address("vpc-a", "2001:db8:0:1::10", "c-work"),
		address("vpc-a", "10.0.1.74", "c-work"), address("vpc-a", "2001:db8:0:1::74", "c-work"),
		address("vpc-a", "10.0.2.11", "c-work"), address("vpc-a", "2001:db8:0:2::11", "c-work"),
		address("vpc-a", "10.0.1.100", "c-end"), address("vpc-a", "2001:db8:0:1::100", "c-end"),
		endpoint4, endpoint6,
	}
}

func providerEntries() []desired.Entry {
	gateway6 := addr("2001:db8:0:1::50")
	return []desired.Entry{
		class("vpc-b", "c-server", anyRules, nil),
		class("vpc-b", "c-gateway", nil, anyRules),
		desired.Pool{VPC: "vpc-b", Gateway: addr("10.0.1.50"), Addresses: []netip.Prefix{prefix("10.0.1.50/32"), prefix("10.0.1.51/32")}},
		desired.Pool{VPC: "vpc-b", Gateway: gateway6, Addresses: []netip.Prefix{netip.PrefixFrom(gateway6, 128)}},
		address("vpc-b", "10.0.1.10", "c-server"), address("vpc-b", "2001:db8:0:1::10", "c-server"),
		address("vpc-b", "10.0.1.50", "c-gateway"), address("vpc-b", "10.0.1.51", "c-gateway"), address("vpc-b", gateway6.String(), "c-gateway"),
		desired.Target{VPC: "vpc-b", Addr: lab.Target4, Dest: addr("10.0.1.10"), Gateway: addr("10.0.1.50")},
		desired.Target{VPC: "vpc-b", Addr: lab.Target6, Dest: addr("2001:db8:0:1::10"), Gateway: gateway6},
		allow4, allow6,
	}
}

func newRig(t testing.TB) *rig {
	t.Helper()
	l := lab.New(t)
	r := &rig{Lab: l, t: t,
		ta: openTable(t, l.A, desired.Router{VPC: "vpc-a", Source4: lab.SourceA4, Source6: lab.SourceA6}),
		tb: openTable(t, l.B, desired.Router{VPC: "vpc-b", Source4: lab.SourceB4, Source6: lab.SourceB6}),
	}
	r.put(r.tb, providerEntries()...)
	r.put(r.ta, consumerEntries()...)
	for _, port := range []int{5432, 5433, 8005, 9000} {
		l.Server.Greet(port)
	}
	return r
}

func (r *rig) put(table *nft.Table, entries ...desired.Entry) {
	r.t.Helper()
	if failed := table.Apply(r.t.Context(), entries, nil); failed != nil {
		r.t.Fatalf("put: %v", failed)
	}
}

func (r *rig) remove(table *nft.Table, entries ...desired.Entry) {
	r.t.Helper()
	if failed := table.Apply(r.t.Context(), nil, entries); failed != nil {
		r.t.Fatalf("delete: %v", failed)
	}
}

// greeting opens a connection and returns the source that the server saw.
func greeting(from *lab.Namespace, address string, local net.Addr) (string, net.Conn, error) {
	conn, err := from.Dial("tcp", address, local, prompt)
	if err != nil {
		return "", nil, err
	}
	conn.SetDeadline(time.Now().Add(5 * time.Second))
	text, err := bufio.NewReader(conn).ReadString('\n')
	return strings.TrimSpace(text), conn, err
}

func (r *rig) works(from *lab.Namespace, address string, sources ...string) {
	r.t.Helper()
	seen, conn, err := greeting(from, address, nil)
	if err != nil {
		r.t.Errorf("connect to %s: %v", address, err)
		return
	}
	conn.Close()
	host, _, _ := strings.Cut(seen, " ")
	for _, source := range sources {
		if host == source {
			return
		}
	}
	if len(sources) > 0 {
		r.t.Errorf("connection to %s comes from %s, want one of %v", address, host, sources)
	}
}

func (r *rig) refused(from *lab.Namespace, address string) {
	r.t.Helper()
	start := time.Now()
	conn, err := from.Dial("tcp", address, nil, prompt)
	if err == nil {
		conn.Close()
	}
	if !errors.Is(err, unix.ECONNREFUSED) || time.Since(start) > prompt/2 {
		r.t.Errorf("connect to %s: %v after %v, want a refusal at once", address, err, time.Since(start))
	}
}

func (r *rig) silent(from *lab.Namespace, address string) {
	r.t.Helper()
	conn, err := from.Dial("tcp", address, nil, silence)
	if err == nil {
		conn.Close()
	}
	var timeout net.Error
	if !errors.As(err, &timeout) || !timeout.Timeout() {
		r.t.Errorf("connect to %s: %v, want silence", address, err)
	}
}

func TestConnectionsGoThroughOverlappingNetworks(t *testing.T) {
	r := newRig(t)
	pool := []string{"10.0.1.50", "10.0.1.51"}
	r.works(r.Client, "10.0.1.100:5432", pool...)
	r.works(r.Far, "10.0.1.100:5432", pool...)
	r.works(r.Client, "10.0.1.100:8005", pool...)
	r.works(r.Client, "10.0.1.100:9000", pool...)
	r.works(r.Client, "[2001:db8:0:1::100]:5432", "2001:db8:0:1::50")
	r.works(r.Far, "[2001:db8:0:1::100]:5432", "2001:db8:0:1::50")
	if t.Failed() {
		t.Log(r.A.Nft("list", "ruleset"), r.B.Nft("list", "ruleset"))
	}
}

func TestRefusalsAreFast(t *testing.T) {
	r := newRig(t)
	for _, host := range []string{"10.0.1.100", "[2001:db8:0:1::100]"} {
		r.refused(r.Client, host+":5433") // a port that the endpoint does not have
	}
	r.refused(r.Client, "10.0.1.100:8011")
	r.refused(r.Client, "10.0.1.200:5432") // nobody's address
	r.refused(r.Client, "[2001:db8:0:1::200]:5432")
	r.refused(r.Client, lab.Target4.String()+":5432") // the transit realm
	r.refused(r.Client, "["+lab.Target6.String()+"]:5432")
	r.refused(r.Client, "240.0.0.5:5432")
	r.refused(r.Client, "10.0.1.1:5432") // the router itself
	r.remove(r.tb, allow4, allow6)
	r.refused(r.Client, "10.0.1.100:5432")
	r.refused(r.Client, "[2001:db8:0:1::100]:5432")
	r.put(r.tb, allow4)
	r.works(r.Client, "10.0.1.100:5432")
}
