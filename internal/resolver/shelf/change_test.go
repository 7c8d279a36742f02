// SPDX-License-Identifier: Apache-2.0

package shelf_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/resolver/shelf"
)

// first gives the first address of an answer.
func first(t *testing.T, answer []byte) string {
	t.Helper()
	var m dns.Msg
	if err := m.Unpack(answer); err != nil {
		t.Fatalf("answer %x: %v", answer, err)
	}
	for _, rr := range m.Answer {
		if a, ok := rr.(*dns.A); ok {
			return a.A.String()
		}
	}
	return ""
}

// When a change is done there is no answer of before, however many ask at the same time:
// of a record, and of what the VPC sees. What has not changed stays where it is.
func TestAChangeIsSeenAtOnce(t *testing.T) {
	r := newRig(t)
	r.put(desired.NameZone{ID: "Z2", Name: "other.example.com."}, desired.View{VPC: "vpc-a", Zone: "Z2"},
		desired.NameRecord{Zone: "Z2", Name: "www.other.example.com.", Type: "A", TTL: 60, Data: []string{"10.0.9.9"}})
	message := question(t, "www.db.example.com.", dns.TypeA, nil)
	var done atomic.Bool
	var others sync.WaitGroup
	defer others.Wait()
	defer done.Store(true)
	for range 2 {
		conn := r.dial(r.Client, asked[0])
		others.Go(func() {
			for b := make([]byte, 512); !done.Load(); {
				conn.SetReadDeadline(time.Now().Add(patience))
				conn.Write(message)
				conn.Read(b)
			}
		})
	}
	conn := r.dial(r.Client, asked[0])
	stays := question(t, "www.other.example.com.", dns.TypeA, nil)
	r.byLane(conn, stays)
	for i := range 300 {
		want := fmt.Sprintf("10.0.%d.%d", 2+i/200, 1+i%200)
		r.put(address("www", want))
		if got := first(t, r.ask(conn, message, patience)); got != want {
			t.Fatalf("after change %d: %s, want %s", i, got, want)
		}
		if i%10 == 0 {
			r.byLane(conn, message)
		}
	}
	before := r.names().Answered
	for end := time.Now().Add(patience); r.names().Answered == before && time.Now().Before(end); {
		r.ask(conn, stays, patience)
	}
	// The zone goes out of sight, and comes back.
	r.byLane(conn, message)
	for range 20 {
		next, _ := r.world.With(nil, []desired.Entry{desired.View{VPC: "vpc-a", Zone: "Z1"}})
		r.world = next
		r.server.Swap(next)
		if got := r.ask(conn, message, patience); first(t, got) != "" {
			t.Fatalf("of a zone that is not seen any more: %x", got)
		}
		r.put(desired.View{VPC: "vpc-a", Zone: "Z1"})
		if got := r.ask(conn, message, patience); first(t, got) == "" {
			t.Fatalf("of a zone that is seen again: %x", got)
		}
		r.byLane(conn, message)
	}
	// Its resolver is switched off.
	r.put(desired.Resolver{VPC: "vpc-a", Networks: []netip.Prefix{network}, Off: true})
	if got := r.ask(conn, message, patience); got == nil || got[3]&15 != dns.RcodeRefused {
		t.Errorf("of a resolver that is off: %x", got)
	}
}

// A change of a zone leaves the answers of others where they are.
func TestAChangeOfAZoneLeavesOthers(t *testing.T) {
	r := newRig(t)
	r.put(desired.NameZone{ID: "Z2", Name: "other.example.com."}, desired.View{VPC: "vpc-a", Zone: "Z2"},
		desired.NameRecord{Zone: "Z2", Name: "www.other.example.com.", Type: "A", TTL: 60, Data: []string{"10.0.9.9"}})
	conn := r.dial(r.Client, asked[1])
	message := question(t, "www.other.example.com.", dns.TypeA, nil)
	r.byLane(conn, message)
	r.put(address("www", "10.0.7.7"))
	before, kept := r.names().Answered, r.shelf.Kept()
	if got := first(t, r.ask(conn, message, patience)); got != "10.0.9.9" || r.names().Answered != before+1 || r.shelf.Kept() != kept {
		t.Errorf("%s, %d answers of the kernel, was %d", got, r.names().Answered, before)
	}
}

// Several addresses come in turn, each of them first as often as the others.
func TestAddressesComeInTurn(t *testing.T) {
	r := newRig(t)
	conn := r.dial(r.Client, asked[1])
	for _, edns := range []bool{false, true} {
		message := question(t, "many.db.example.com.", dns.TypeA, func(m *dns.Msg) {
			if edns {
				m.SetEdns0(1232, false)
			}
		})
		r.byLane(conn, message)
		before, count := r.names().Answered, map[string]int{}
		for range 30 {
			answer := r.ask(conn, message, patience)
			var m dns.Msg
			if err := m.Unpack(answer); err != nil || len(m.Answer) != 3 || (m.IsEdns0() != nil) != edns {
				t.Fatalf("%x: %v", answer, err)
			}
			all := map[string]bool{}
			for _, rr := range m.Answer {
				all[rr.(*dns.A).A.String()] = true
			}
			if len(all) != 3 {
				t.Fatalf("an address twice: %v", m.Answer)
			}
			count[first(t, answer)]++
		}
		if r.names().Answered != before+30 || count["10.0.1.1"] != 10 || count["10.0.1.2"] != 10 {
			t.Errorf("first were %v, %d of the kernel", count, r.names().Answered-before)
		}
	}
}

// What depends on more than one realm, or on who asks, is for the process.
func TestOtherAnswersAreLeftToTheProcess(t *testing.T) {
	r := newRig(t)
	near := desired.NameRecord{Zone: "Z1", Name: "near.db.example.com.", Type: "A", TTL: 60, Near: []desired.ZoneAddr{
		{Addr: netip.MustParseAddr("10.0.1.1"), Zone: "a"}, {Addr: netip.MustParseAddr("10.0.1.2"), Zone: "b"},
	}}
	weighted := func(id, to string) desired.NameRecord {
		w := address("weighted", to)
		w.Set, w.Weighted, w.Weight = id, true, 1
		return w
	}
	r.put(near, weighted("one", "10.0.3.1"), weighted("two", "10.0.3.2"),
		desired.NameZone{ID: "Z2", Name: "other.example.com."}, desired.View{VPC: "vpc-a", Zone: "Z2"},
		desired.NameRecord{Zone: "Z2", Name: "www.other.example.com.", Type: "CNAME", TTL: 60, Data: []string{"www.db.example.com"}})
	conn := r.dial(r.Client, asked[1])
	before := r.names().Answered
	for _, name := range []string{"near.db.example.com.", "weighted.db.example.com.", "www.other.example.com.", "far.db.example.com.", "example.net."} {
		for range 20 {
			if r.ask(conn, question(t, name, dns.TypeA, nil), patience) == nil {
				t.Errorf("no answer for %s", name)
			}
		}
	}
	if n := r.names().Answered - before; n != 0 {
		t.Errorf("%d answers came from the kernel", n)
	}
}

// What a process has put counts until another one has the shelf; what it puts later does
// not. When the sockets are shut nothing is answered.
func TestAProcessHasTheShelfAlone(t *testing.T) {
	r := newRig(t)
	conn := r.dial(r.Client, asked[1])
	message := question(t, "www.db.example.com.", dns.TypeA, nil)
	r.byLane(conn, message)
	next := shelf.New()
	given, err := r.lane.Hand()
	if err != nil {
		t.Fatal(err)
	}
	before := r.names().Answered
	for range 20 {
		r.ask(conn, message, patience) // the old one keeps it again and again
	}
	if n := r.names().Answered - before; n != 0 {
		t.Errorf("%d answers of a process whose term is over", n)
	}
	if err := next.Use(shelf.Given(given)); err != nil {
		t.Fatal(err)
	}
	next.Open(r.cookie, netip.MustParseAddr("10.0.0.2"))
	for range 20 {
		r.ask(conn, message, patience)
	}
	if n := r.names().Answered - before; n != 0 {
		t.Errorf("%d answers of a process whose term is over, in the one of another", n)
	}
	next.Shut(r.cookie)
	r.hand(r.shelf)
	r.byLane(conn, message)
	r.shelf.Shut(r.cookie)
	before = r.names().Answered
	if got := r.ask(conn, message, patience); first(t, got) != "10.0.1.100" || r.names().Answered != before {
		t.Errorf("where there is no shelf: %x", got)
	}
	r.shelf.Open(r.cookie, netip.MustParseAddr("10.0.0.2"))
	r.byLane(conn, message)
	r.shelf.GiveUp()
	if !bytes.Equal(r.ask(conn, message, patience)[:2], message[:2]) {
		t.Error("no answer after the shelf was given up")
	}
}
