// SPDX-License-Identifier: Apache-2.0

package nft_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/posternhq/postern/internal/dataplane/nft"
	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/test/lab"
)

// A router that an earlier version has made, whose targets have one address each, is
// taken over with its connections and can then have several.
func TestARouterWithoutSlotsIsTakenOver(t *testing.T) {
	r := newRig(t)
	router := desired.Router{VPC: "vpc-b", Source4: lab.SourceB4, Source6: lab.SourceB6}
	r.B.Nft("delete table inet postern")
	if err := nft.LoadWithoutSlots(t.Context(), r.TableB, router); err != nil {
		t.Fatal(err)
	}
	r.Put(r.TableB, lab.ProviderEntries()...)
	if rules := r.B.Nft("list table inet postern"); strings.Contains(rules, "slot4") || strings.Contains(rules, "cut6") {
		t.Fatal("the rules are not those of an earlier version")
	}
	addresses := map[string]string{"10.0.1.10": "10.0.1.100:5432", "2001:db8:0:1::10": "[2001:db8:0:1::100]:5432"}
	var open []interface {
		Write([]byte) (int, error)
		Read([]byte) (int, error)
	}
	for _, address := range addresses {
		_, conn, err := lab.Greeting(r.Client, address, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		open = append(open, conn)
	}
	before, err := r.TableB.Dump(t.Context(), "vpc-b")
	if err != nil || before.Intact {
		t.Fatalf("the earlier rules count as intact: %v", err)
	}
	if err := r.TableB.Load(t.Context(), router); err != nil {
		t.Fatal(err)
	}
	after, err := r.TableB.Dump(t.Context(), "vpc-b")
	if err != nil || !after.Intact || desired.Text(after.Entries) != desired.Text(before.Entries) {
		t.Errorf("after the upgrade, intact %v, %v:\n%s\nbefore:\n%s", after.Intact, err, desired.Text(after.Entries), desired.Text(before.Entries))
	}
	for _, conn := range open {
		if _, err := conn.Write([]byte("x")); err != nil {
			t.Errorf("a connection that was open: %v", err)
		} else if _, err := conn.Read(make([]byte, 1)); err != nil {
			t.Errorf("a connection that was open: %v", err)
		}
	}
	for own, address := range addresses {
		r.works(r.Client, address)
		target := targetOf(own)
		target.Several, target.Dest = []netip.Addr{target.Dest, addr(own).Next()}, netip.Addr{}
		r.Put(r.TableB, target) // the second one is nobody
		target.Several = []netip.Addr{addr(own)}
		r.Put(r.TableB, target)
		r.works(r.Client, address)
	}
}

// targetOf is the target of the rig that leads to an address.
func targetOf(address string) desired.Target {
	for _, e := range lab.ProviderEntries() {
		if t, ok := e.(desired.Target); ok && t.Dest == addr(address) {
			return t
		}
	}
	return desired.Target{}
}

// A slot that somebody has taken away or changed is damage.
func TestDamagedSlotsAreSeen(t *testing.T) {
	r := newRig(t)
	target := lab.TargetEntry4
	target.Dest, target.Cut = netip.Addr{}, true
	target.Several = []netip.Addr{addr("10.0.1.10"), addr("10.0.1.11"), addr("10.0.1.12")}
	r.Put(r.TableB, target)
	for _, damage := range []string{
		"delete element inet postern slot4 { 240.8.0.1 . 5 : 10.0.1.12 }",
		"delete element inet postern cut4 { 240.8.0.1 }",
		"add element inet postern target4 { 240.8.0.1 : 10.0.1.10 }",
	} {
		r.B.Nft(damage)
		table, err := nft.Open(r.B.FD())
		if err != nil {
			t.Fatal(err)
		}
		defer table.Close()
		has := func() bool {
			content, err := table.Dump(t.Context(), "vpc-b")
			if err != nil {
				t.Fatal(err)
			}
			return strings.Contains(desired.Text(content.Entries), "\n"+target.String()+"\n")
		}
		if has() {
			t.Errorf("%s: nothing is seen", damage)
		}
		r.Put(table, target)
		if !has() {
			t.Errorf("%s: not repaired", damage)
		}
	}
}

// What cannot be dealt to slots is refused, and changes nothing.
func TestTargetsThatLeadNowhereAreRefused(t *testing.T) {
	r := newRig(t)
	for _, c := range []struct {
		name    string
		dest    netip.Addr
		several []netip.Addr
	}{
		{"both", addr("10.0.1.10"), []netip.Addr{addr("10.0.1.11")}},
		{"too many", netip.Addr{}, make([]netip.Addr, desired.Slots+1)},
		{"another family", netip.Addr{}, []netip.Addr{addr("10.0.1.10"), addr("2001:db8::1")}},
		{"one unset", netip.Addr{}, []netip.Addr{addr("10.0.1.10"), {}}},
	} {
		target := lab.TargetEntry4
		target.Dest, target.Several = c.dest, c.several
		if failed := r.TableB.Apply(t.Context(), []desired.Entry{target}, nil); failed[target.Key()] == nil {
			t.Errorf("%s: %v was taken", c.name, target)
		}
	}
	r.works(r.Client, "10.0.1.100:5432")
}

// A target that leads nowhere is one: it refuses connections at once.
func TestATargetWithoutAddressesRefuses(t *testing.T) {
	r := newRig(t)
	target := lab.TargetEntry4
	target.Dest = netip.Addr{}
	if failed := r.TableB.Apply(t.Context(), []desired.Entry{target}, nil); failed != nil {
		t.Fatal(failed)
	}
	r.refused(r.Client, "10.0.1.100:5432")
	if failed := r.TableB.Apply(t.Context(), []desired.Entry{lab.TargetEntry4}, nil); failed != nil {
		t.Fatal(failed)
	}
	r.works(r.Client, "10.0.1.100:5432")
}
