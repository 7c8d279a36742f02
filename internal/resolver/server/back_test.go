// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
	"pgregory.net/rapid"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/resolver/server"
	"github.com/posternhq/postern/internal/resolver/wire"
	"github.com/posternhq/postern/internal/resolver/zone"
)

// public is what an upstream knows: a CNAME, or an address, of each name.
type public map[string]string

// Ask implements server.Upstream as servers that follow chains do.
func (p public) Ask(q server.Onward, done func(wire.Reply)) {
	var r wire.Reply
	for name := wire.NameText(q.Name); ; {
		if len(r.Answer) > 16 {
			done(wire.Reply{Code: wire.ServerFailure})
			return
		}
		owner, _ := wire.AppendName(nil, name)
		value, ok := p[name]
		if !ok {
			r.Code = wire.NameError
			break
		}
		if strings.HasPrefix(value, "192.") {
			rr, _ := dns.NewRR("x. A " + value)
			r.Answer = append(r.Answer, wire.Record{Name: owner, Type: wire.TypeA, TTL: 7, Data: rr.(*dns.A).A.To4()})
			break
		}
		data, _ := wire.AppendName(nil, value)
		r.Answer = append(r.Answer, wire.Record{Name: owner, Type: wire.TypeCNAME, TTL: 7, Data: data})
		name = value
	}
	done(r)
}

// expected follows a name by hand: names of the zone are the VPC's, all others the
// upstream's, whoever led there.
func expected(own, others public, name string) string {
	var list []string
	for range 16 {
		from := others
		if strings.HasSuffix(name, ".db.example.com.") {
			from = own
		}
		value, ok := from[name]
		if !ok {
			return fmt.Sprint(list, "NXDOMAIN")
		}
		list = append(list, name+" "+value)
		if strings.HasPrefix(value, "1") {
			return fmt.Sprint(list, "NOERROR")
		}
		name = value
	}
	return fmt.Sprint([]string(nil), "SERVFAIL")
}

func told(r wire.Reply) string {
	var list []string
	if r.Code == wire.ServerFailure {
		r.Answer = nil // how far it led says nothing
	}
	for _, rec := range r.Answer {
		value := ""
		if rec.Type == wire.TypeCNAME {
			value = wire.NameText(rec.Data)
		} else {
			value = fmt.Sprintf("%d.%d.%d.%d", rec.Data[0], rec.Data[1], rec.Data[2], rec.Data[3])
		}
		list = append(list, wire.NameText(rec.Name)+" "+value)
	}
	return fmt.Sprint(list, dns.RcodeToString[r.Code])
}

// Whatever leads where: what a zone of the VPC has is answered from there, also when the
// upstream led to it, and a chain that has no end is a failure.
func TestChainsComeBackToTheVPCsZones(t *testing.T) {
	inside := []string{"a.db.example.com.", "b.db.example.com.", "c.db.example.com.", "d.db.example.com."}
	outside := []string{"a.example.net.", "b.example.net.", "c.example.net.", "d.example.net."}
	all := slices.Concat(inside, outside)
	rapid.Check(t, func(t *rapid.T) {
		draw := func(names []string, address string, most int) public {
			p := public{}
			for i, n := range names {
				switch rapid.IntRange(0, most).Draw(t, n) {
				case 0: // it has nothing
				case 1:
					p[n] = fmt.Sprintf("%s.%d", address, i+1)
				default:
					p[n] = rapid.SampledFrom(all).Draw(t, "to")
				}
			}
			return p
		}
		own, others := draw(inside, "10.0.0", 5), draw(outside, "192.0.2", 5)
		for name, address := range draw(inside, "192.0.3", 1) { // others have names of the zone too
			others[name] = address
		}
		entries := []desired.Entry{
			desired.Resolver{VPC: "vpc-1"}, desired.View{VPC: "vpc-1", Zone: "Z1"}, desired.NameZone{ID: "Z1", Name: "db.example.com.", Negative: 5},
		}
		for name, value := range own {
			kind := "CNAME"
			if strings.HasPrefix(value, "1") {
				kind = "A"
			}
			entries = append(entries, desired.NameRecord{Zone: "Z1", Name: name, Type: kind, TTL: 60, Data: []string{value}})
		}
		w, failed := (&zone.World{}).With(entries, nil)
		for _, err := range failed {
			t.Fatal(err)
		}
		s, err := server.New(server.Options{Upstream: others, Workers: 1})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		s.Swap(w)
		for _, name := range all {
			r, err := s.Resolve(context.Background(), "vpc-1", name, wire.TypeA)
			if got, want := told(r), expected(own, others, name); err != nil || got != want {
				t.Fatalf("%s: %s, %v, want %s; the zone has %v, others %v", name, got, err, want, own, others)
			}
		}
	})
}
