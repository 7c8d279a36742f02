// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"bufio"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/dataplane/nft"
	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/test/testnet"
)

// Patience bounds the wait for what must come.
const Patience = testnet.Patience

// Rig is the lab with rules: clients in A reach port 5432 and the ranges of a
// port set of the server in B through an endpoint, in both families.
type Rig struct {
	*Lab
	// TableA and TableB are the rules of the two routers.
	TableA, TableB *nft.Table
	t              testing.TB
}

// OpenTable opens the table of a namespace and loads the skeleton.
func OpenTable(t testing.TB, n *Namespace, r desired.Router) *nft.Table {
	t.Helper()
	return OpenShared(t, n, r, nft.Shares{})
}

// OpenShared is OpenTable with shares of the test's own.
func OpenShared(t testing.TB, n *Namespace, r desired.Router, shares nft.Shares) *nft.Table {
	t.Helper()
	table, err := nft.OpenShared(n.FD(), shares)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { table.Close() })
	if err := table.Load(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	return table
}

// AnyRules admit everything.
var AnyRules = []desired.Rule{
	{Protocol: desired.AllProtocols, From: -1, To: -1, Peer: netip.MustParsePrefix("0.0.0.0/0")},
	{Protocol: desired.AllProtocols, From: -1, To: -1, Peer: netip.MustParsePrefix("::/0")},
}

// Class makes a class.
func Class(vpc, name string, in, out []desired.Rule) desired.Class {
	return desired.Class{VPC: vpc, Name: name, In: in, Out: out}
}

// Address gives an address its class.
func Address(vpc, a, class string) desired.Address {
	return desired.Address{VPC: vpc, Addr: netip.MustParseAddr(a), Class: class}
}

// The entries that connections depend on, by family.
var (
	Endpoint4    = desired.Endpoint{VPC: "vpc-a", Addr: netip.MustParseAddr("10.0.1.100"), Target: Target4, Ports: []desired.PortRange{{From: 5432, To: 5432}}, PortSet: "p-1"}
	Endpoint6    = desired.Endpoint{VPC: "vpc-a", Addr: netip.MustParseAddr("2001:db8:0:1::100"), Target: Target6, Ports: []desired.PortRange{{From: 5432, To: 5432}}}
	Allow4       = desired.Allow{VPC: "vpc-b", Source: SourceA4, Target: Target4}
	Allow6       = desired.Allow{VPC: "vpc-b", Source: SourceA6, Target: Target6}
	TargetEntry4 = desired.Target{VPC: "vpc-b", Addr: Target4, Dest: netip.MustParseAddr("10.0.1.10"), Gateway: netip.MustParseAddr("10.0.1.50")}
)

// ConsumerEntries are the entries of router A.
func ConsumerEntries() []desired.Entry {
	return []desired.Entry{
		Class("vpc-a", "c-work", AnyRules, AnyRules),
		Class("vpc-a", "c-end", AnyRules, nil),
		desired.PortSet{VPC: "vpc-a", Name: "p-1", Ranges: []desired.PortRange{{From: 8000, To: 8010}, {From: 9000, To: 9000}}},
		Address("vpc-a", "10.0.1.10", "c-work"), Address("vpc-a", "2001:db8:0:1::10", "c-work"),
		Address("vpc-a", "10.0.1.74", "c-work"), Address("vpc-a", "2001:db8:0:1::74", "c-work"),
		Address("vpc-a", "10.0.2.11", "c-work"), Address("vpc-a", "2001:db8:0:2::11", "c-work"),
		Address("vpc-a", "10.0.1.100", "c-end"), Address("vpc-a", "2001:db8:0:1::100", "c-end"),
		Endpoint4, Endpoint6,
	}
}

// ProviderEntries are the entries of router B.
func ProviderEntries() []desired.Entry {
	gateway6 := netip.MustParseAddr("2001:db8:0:1::50")
	return []desired.Entry{
		Class("vpc-b", "c-server", AnyRules, nil),
		Class("vpc-b", "c-gateway", nil, AnyRules),
		desired.Pool{VPC: "vpc-b", Gateway: netip.MustParseAddr("10.0.1.50"), Addresses: []netip.Prefix{netip.MustParsePrefix("10.0.1.50/32"), netip.MustParsePrefix("10.0.1.51/32")}},
		desired.Pool{VPC: "vpc-b", Gateway: gateway6, Addresses: []netip.Prefix{netip.PrefixFrom(gateway6, 128)}},
		Address("vpc-b", "10.0.1.10", "c-server"), Address("vpc-b", "2001:db8:0:1::10", "c-server"),
		Address("vpc-b", "10.0.1.50", "c-gateway"), Address("vpc-b", "10.0.1.51", "c-gateway"), Address("vpc-b", gateway6.String(), "c-gateway"),
		TargetEntry4,
		desired.Target{VPC: "vpc-b", Addr: Target6, Dest: netip.MustParseAddr("2001:db8:0:1::10"), Gateway: gateway6},
		Allow4, Allow6,
	}
}

// NewRig builds the lab, loads the rules and starts the server.
func NewRig(t testing.TB) *Rig {
	t.Helper()
	l := New(t)
	r := &Rig{Lab: l, t: t,
		TableA: OpenTable(t, l.A, desired.Router{VPC: "vpc-a", Source4: SourceA4, Source6: SourceA6}),
		TableB: OpenTable(t, l.B, desired.Router{VPC: "vpc-b", Source4: SourceB4, Source6: SourceB6}),
	}
	r.Put(r.TableB, ProviderEntries()...)
	r.Put(r.TableA, ConsumerEntries()...)
	for _, port := range []int{5432, 5433, 8005, 9000} {
		l.Server.Greet(port)
	}
	return r
}

// Put applies entries or ends the test.
func (r *Rig) Put(table *nft.Table, entries ...desired.Entry) {
	r.t.Helper()
	if failed := table.Apply(r.t.Context(), entries, nil); failed != nil {
		r.t.Fatalf("put: %v", failed)
	}
}

// Remove deletes entries or ends the test.
func (r *Rig) Remove(table *nft.Table, entries ...desired.Entry) {
	r.t.Helper()
	if failed := table.Apply(r.t.Context(), nil, entries); failed != nil {
		r.t.Fatalf("delete: %v", failed)
	}
}

// Greeting opens a connection and returns it and the source that the server saw.
func Greeting(from *Namespace, address string, local net.Addr) (string, net.Conn, error) {
	conn, err := from.Dial("tcp", address, local, Patience)
	if err != nil {
		return "", nil, err
	}
	conn.SetDeadline(time.Now().Add(Patience))
	text, err := bufio.NewReader(conn).ReadString('\n')
	return strings.TrimSpace(text), conn, err
}

// OpenPort gives the endpoints one more port.
func (r *Rig) OpenPort(port uint16) {
	r.t.Helper()
	e4, e6 := Endpoint4, Endpoint6
	more := desired.PortRange{From: port, To: port}
	e4.Ports = append(slices.Clone(e4.Ports), more)
	e6.Ports = append(slices.Clone(e6.Ports), more)
	r.Put(r.TableA, e4, e6)
}
