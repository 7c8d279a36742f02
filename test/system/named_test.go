// SPDX-License-Identifier: Apache-2.0

package system

import (
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	lattice "github.com/posternhq/postern/internal/aws/shape/vpclattice"
	"github.com/posternhq/postern/test/postern"
	"github.com/posternhq/postern/test/testnet"
)

// nameServer answers questions for addresses and texts of the names that it is told.
type nameServer struct {
	mu    sync.Mutex
	addrs map[string][]netip.Addr
	texts map[string]string
}

// namedTTL is how many seconds its answers are good for.
const namedTTL = 5

// newNameServer starts one, and gives what --upstream takes.
func newNameServer(t *testing.T) (*nameServer, string) {
	t.Helper()
	s := &nameServer{addrs: map[string][]netip.Addr{}, texts: map[string]string{}}
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &dns.Server{PacketConn: conn, Handler: s}
	go server.ActivateAndServe()
	t.Cleanup(func() { server.Shutdown() })
	return s, conn.LocalAddr().String()
}

// set gives a name other addresses; with none it is not there.
func (s *nameServer) set(name string, addrs ...netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.addrs[dns.Fqdn(name)] = addrs
}

// setText gives a name a text; without one it has none.
func (s *nameServer) setText(name, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.texts[dns.CanonicalName(name)] = text
}

// ServeDNS implements dns.Handler.
func (s *nameServer) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := new(dns.Msg).SetReply(q)
	addrs := s.addrs[dns.CanonicalName(q.Question[0].Name)]
	text := s.texts[dns.CanonicalName(q.Question[0].Name)]
	if len(addrs) == 0 && text == "" {
		m.Rcode = dns.RcodeNameError
	}
	if text != "" && q.Question[0].Qtype == dns.TypeTXT {
		m.Answer = append(m.Answer, &dns.TXT{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: namedTTL}, Txt: []string{text}})
	}
	for _, a := range addrs {
		if q.Question[0].Qtype == dns.TypeA {
			m.Answer = append(m.Answer, &dns.A{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: namedTTL}, A: a.AsSlice()})
		}
	}
	w.WriteMsg(m)
}

// A resource that has a name is where the name is: for whoever asks upstream and whoever
// asks the VPC's resolver, alone and in a group. When the name moves new connections
// follow, and established ones live on. A name that is not there refuses, and heals.
func TestResourcesWithNames(t *testing.T) {
	names, upstream := newNameServer(t)
	g, _ := newGrouped(t, nil, "--upstream", upstream)
	one, two := g.serve("one"), g.serve("two")
	names.set("db.example.test", one.IP)
	names.set("web.example.test", two.IP)
	child := g.group.NamedChild("web", "Web.example.test.", "80")
	at := g.expectMembers(map[string]*postern.Configuration{"two": child})
	if _, who, err := g.dial(at["two"][1]); err != nil || who != "two" {
		t.Errorf("the child's name leads to %s, %v", who, err)
	}

	inside := g.provider.Gateway("inside", []*postern.Subnet{g.servers}, []string{g.open}, func(in *lattice.CreateResourceGatewayInput) {
		in.ResourceConfigDnsResolution = new(lattice.ResourceConfigDnsResolutionInVpc)
	})
	outside := g.group.Gateway
	own := g.consumer.Group("named", nil, nil)
	g.Authorize(own, postern.Open, nil)
	endpoints := map[string]netip.Addr{
		"IN_VPC": g.consumer.Endpoint(inside.Named("inside", "db.example.test", "80"), g.clients, own).Address(),
		"PUBLIC": g.consumer.Endpoint(outside.Named("outside", "db.example.test", "80"), g.clients, own).Address(),
	}
	absent := g.consumer.Endpoint(outside.Named("absent", "absent.example.test", "80"), g.clients, own).Address()
	expectRefusal(t, g.client, hostPort(absent, 80))
	kept := map[string]net.Conn{}
	for how, addr := range endpoints {
		conn, who, err := g.dial(addr)
		if err != nil || who != "one" {
			t.Fatalf("%s: the name leads to %s, %v", how, who, err)
		}
		defer conn.Close()
		kept[how] = conn
	}

	names.set("db.example.test", two.IP)
	names.set("absent.example.test", one.IP)
	moved := time.Now()
	for how, addr := range endpoints {
		g.Await(how+": the name's other address", func() (bool, error) {
			conn, who, err := g.dial(addr)
			if err == nil {
				conn.Close()
			}
			return who == "two", err
		})
	}
	t.Logf("%.1f s after the name had moved new connections followed; its answers are good for %d s", time.Since(moved).Seconds(), namedTTL)
	for how, conn := range kept {
		if err := testnet.Echo(conn, "still here"); err != nil {
			t.Errorf("%s: connection to where the name was: %v", how, err)
		}
	}
	g.Await("the name that was absent", func() (bool, error) { return answers(g.client, hostPort(absent, 80)), nil })
	g.Verify()
}
