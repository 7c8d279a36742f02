// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/posternhq/postern/internal/dataplane"
	"github.com/posternhq/postern/internal/desired"
)

// carriedOut are the kinds that the data plane carries out: all but what the agent turns
// into another one; names have a process of their own, and databases a keeper.
func carriedOut() []desired.Kind {
	return slices.DeleteFunc(desired.Kinds(), func(k desired.Kind) bool {
		followed := k == desired.KindFollow || k == desired.KindFollowDatabase || k == desired.KindBalance
		return k.Sort() == desired.Zones || k.Sort() == desired.Databases || followed
	})
}

// ofRouters are those of them that live in routers; the others have tests of their own.
func ofRouters() []desired.Kind {
	return slices.DeleteFunc(carriedOut(), func(k desired.Kind) bool { return k.Sort() != desired.Routers })
}

// The data plane makes, reads back and takes away entries of every kind that there
// is in routers, one by one.
func TestEveryKindIsCarriedOut(t *testing.T) {
	if got, want := dataplane.Kinds(), carriedOut(); !slices.Equal(got, want) {
		t.Errorf("the data plane carries out %v, there are %v", got, want)
	}
	s := scenario4(t)
	eni := s.entry(consumer, desired.KindWorkload).Key().ID
	s.entries[consumer] = append(s.entries[consumer],
		desired.Table{VPC: consumer, Number: 7, Routes: []desired.TableRoute{{Prefix: prefix("0.0.0.0/0"), To: desired.Unreachable}, {Prefix: prefix("::/0"), To: desired.Outside}}},
		desired.Steer{VPC: consumer, From: eni, Table: 7}, desired.Through{VPC: consumer, ENI: eni, Class: "c-open"})
	s.entries[provider] = append(s.entries[provider], acl()...)
	s.entries[consumer] = append(s.entries[consumer], desired.Peering{VPC: consumer, Peer: provider, Own: []netip.Prefix{prefix("10.0.0.0/16")}, Theirs: []netip.Prefix{prefix("10.9.0.0/16")}})
	s.entries[provider] = append(s.entries[provider],
		desired.Public{VPC: provider, Addr: addr("203.0.113.17"), Private: addr("10.0.1.10")}, desired.Opened{VPC: provider, Prefix: prefix("2001:db8:0:1::/64")})
	s.apply()
	there := map[desired.Key]bool{}
	for _, vpc := range vpcs() {
		entries, err := s.host.Dump(t.Context(), desired.Realm(vpc))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			there[e.Key()] = true
		}
	}
	all := slices.Concat(s.entries[provider], s.entries[consumer])
	desired.Sort(all)
	slices.Reverse(all)
	seen := map[desired.Kind]bool{}
	for _, e := range all {
		key := e.Key()
		if !there[key] {
			t.Errorf("%s is not read back", key)
		}
		seen[key.Kind] = true
		if failed := s.host.Apply(t.Context(), key.Realm, nil, []desired.Entry{e}); failed != nil {
			t.Errorf("delete %s: %v", key, failed)
		}
		if strings.Contains(s.dump(string(key.Realm)), key.String()) {
			t.Errorf("%s is there after it was deleted", key)
		}
	}
	for _, k := range ofRouters() {
		if !seen[k] {
			t.Errorf("no entry of kind %q was tried", k)
		}
	}
}

// stranger is an entry of a kind that the data plane does not have.
type stranger struct{ VPC string }

var kindStranger = desired.Define(desired.Description[stranger]{
	Name: "stranger", Stage: desired.StageRoute, Sort: desired.Routers, Spell: func(e *stranger, s *desired.Spelling) { s.Realm(&e.VPC) },
	Ends: desired.EndsNothing[stranger], Turns: desired.TurnsNothing[stranger], Examples: []stranger{{"vpc-1"}},
})

func (s stranger) Key() desired.Key {
	return desired.Key{Realm: desired.Realm(s.VPC), Kind: kindStranger, ID: "x"}
}
func (s stranger) String() string { return desired.State(s) }

// What the data plane cannot do is an error, be it put or deleted, also where there
// is no router, and the rest of a call is done.
func TestWhatTheDataPlaneDoesNotHave(t *testing.T) {
	h, _ := newHost(t)
	router := desired.Router{VPC: consumer}
	if failed := h.Apply(t.Context(), consumer, []desired.Entry{router}, nil); failed != nil {
		t.Fatal(failed)
	}
	for _, c := range []struct {
		realm desired.Realm
		entry desired.Entry
		says  string
	}{
		{consumer, stranger{consumer}, "the data plane has no such kind"},
		{provider, stranger{provider}, "the data plane has no such kind"},
		{consumer, desired.Member{VPC: provider, Group: "sg-1", Addr: addr("10.0.1.10")}, "it lives in another realm"},
		{desired.Host, desired.Member{VPC: string(desired.Host), Group: "sg-1", Addr: addr("10.0.1.10")}, "it lives in another realm"},
	} {
		good := desired.Entry(desired.Member{VPC: string(c.realm), Group: "sg-1", Addr: addr("10.0.1.11")})
		for _, verb := range []string{"put", "delete"} {
			put, del := []desired.Entry{good, c.entry}, []desired.Entry(nil)
			if verb == "delete" {
				put, del = nil, put
			}
			failed := h.Apply(t.Context(), c.realm, put, del)
			if err := failed[c.entry.Key()]; err == nil || err.Error() != verb+" "+c.entry.Key().String()+": "+c.says {
				t.Errorf("%s %s in %s: %v", verb, c.entry, c.realm, failed)
			}
			if err := failed[good.Key()]; c.realm == consumer && err != nil {
				t.Errorf("%s %s: %v", verb, good, err)
			}
		}
	}
}
