// SPDX-License-Identifier: Apache-2.0

package nft_test

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/test/lab"
)

func TestLoadingAgainKeepsElementsAndConnections(t *testing.T) {
	r := newRig(t)
	_, live, err := lab.Greeting(r.Client, "10.0.1.100:5432", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer live.Close()
	before, err := r.TableA.Dump(t.Context(), "vpc-a")
	if err != nil {
		t.Fatal(err)
	}
	other := desired.Router{VPC: "vpc-a", Source4: netip.MustParsePrefix("240.0.0.128/26")}
	if err := r.TableA.Load(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	after, err := r.TableA.Dump(t.Context(), "vpc-a")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := desired.Text(after.Entries), desired.Text(before.Entries); got != want {
		t.Errorf("entries after loading:\n%s\nwant:\n%s", got, want)
	}
	if !after.Intact || after.Source4 != other.Source4 || after.Source6.IsValid() {
		t.Errorf("skeleton: intact %v, sources %s and %s", after.Intact, after.Source4, after.Source6)
	}
	if !echoes(live) {
		t.Error("the connection is broken")
	}
	if text := r.A.Nft("list", "chains"); strings.Count(text, "skeleton-") != 1 {
		t.Errorf("not just one marker is left:\n%s", text)
	}
}

func TestATableThatCannotBeUpdatedIsReplaced(t *testing.T) {
	n := lab.NewNamespace(t)
	n.Nft("add", "table", "inet", "postern")
	n.Nft("add", "map", "inet", "postern", "class4", "{ type ipv6_addr : verdict; }")
	n.Nft("add", "chain", "inet", "postern", "old")
	n.Nft("add", "table", "inet", "foreign")
	table := lab.OpenTable(t, n, router)
	reads(t, table, nil)
	if text := n.Nft("list", "tables"); !strings.Contains(text, "foreign") {
		t.Errorf("the table of somebody else is gone: %s", text)
	}
}

func TestDumpSeesDamage(t *testing.T) {
	r := newRig(t)
	for _, c := range []struct {
		name, command string
		want          string // a line of the text, without its VPC
	}{
		{"door", "delete element inet postern door4 { 10.0.1.100 }", "endpoint vpc-a 10.0.1.100 target=240.8.0.1 ports=5432 damaged"},
		{"port", "delete element inet postern port4 { 10.0.1.100 . 5432 }", "endpoint vpc-a 10.0.1.100 target=240.8.0.1 portset=p-1"},
		{"class", "delete element inet postern class4 { 10.0.1.10 }", ""},
		{"number of a class", "delete element inet postern classout { %c-work% }", "damaged"},
		{"rules of a class", "flush chain inet postern in-c-end", "class vpc-a c-end damaged"},
		{"ranges", "flush chain inet postern ports-p-1", "portset vpc-a p-1 damaged"},
	} {
		command := c.command
		if before, rest, ok := strings.Cut(command, "%"); ok {
			class, after, _ := strings.Cut(rest, "%")
			command = before + number(r.A.Nft("list", "map", "inet", "postern", "classout"), class) + after
		}
		r.A.Nft(command)
		content, err := r.TableA.Dump(t.Context(), "vpc-a")
		if err != nil {
			t.Fatal(err)
		}
		text := desired.Text(content.Entries)
		if text == desired.Text(lab.ConsumerEntries()) || !strings.Contains(text, c.want) {
			t.Errorf("%s: the text says nothing of it, want %q:\n%s", c.name, c.want, text)
		}
		r.Put(r.TableA, lab.ConsumerEntries()...)
		content, err = r.TableA.Dump(t.Context(), "vpc-a")
		if got, want := desired.Text(content.Entries), desired.Text(lab.ConsumerEntries()); err != nil || got != want {
			t.Fatalf("%s: after putting again, %v:\n%s\nwant:\n%s", c.name, err, got, want)
		}
		r.works(r.Client, "10.0.1.100:5432")
	}
}

// number finds the number of a class in a listing of classout.
func number(listing, class string) string {
	fields := strings.Fields(listing)
	for i, f := range fields {
		if strings.HasPrefix(f, "out-"+class) {
			return fields[i-3]
		}
	}
	return "?"
}

// What is known of a table is not lost with a reading that was ended for a change: the
// change would have to read it all again.
func TestAReadingThatIsEndedForgetsNothing(t *testing.T) {
	table, n := newTable(t)
	if failed := table.Apply(t.Context(), many(2), nil); failed != nil {
		t.Fatal(failed)
	}
	n.Nft("delete element inet postern door4 { 10.0.0.1 }") // who reads sees it
	ended, end := context.WithCancel(t.Context())
	end()
	if _, err := table.Dump(ended, vpc); !errors.Is(err, context.Canceled) {
		t.Errorf("a reading that is ended says %v", err)
	}
	content, err := table.Content(t.Context(), vpc)
	if got, want := desired.Text(content.Entries), desired.Text(many(2)); err != nil || got != want {
		t.Errorf("known after that is, with %v:\n%s\nwant:\n%s", err, got, want)
	}
	if failed := table.Apply(t.Context(), one(2), nil); failed != nil {
		t.Errorf("a change after that: %v", failed)
	}
	content, err = table.Dump(t.Context(), vpc)
	if err != nil || desired.Text(content.Entries) == desired.Text(many(3)) {
		t.Errorf("the next reading does not see what is missing: %v", err)
	}
}

func TestDumpSeesADamagedSkeleton(t *testing.T) {
	for _, command := range []string{
		"flush chain inet postern refuse",
		"add rule inet postern forward accept",
		"delete element inet postern classin { * }",
		"delete table inet postern",
	} {
		table, n := newTable(t)
		n.Nft(command)
		content, err := table.Dump(t.Context(), vpc)
		if err != nil || content.Intact {
			t.Errorf("%s: intact %v, %v", command, content.Intact, err)
		}
		if err := table.Load(t.Context(), router); err != nil {
			t.Errorf("%s: %v", command, err)
		}
		reads(t, table, nil)
	}
}

func TestOneBadEntryDoesNotStopTheOthers(t *testing.T) {
	table, n := newTable(t)
	good := []desired.Entry{
		lab.Class(vpc, "c-1", lab.AnyRules, nil),
		lab.Address(vpc, "10.0.0.1", "c-1"),
	}
	bad := []desired.Entry{
		lab.Address(vpc, "10.0.0.2", "c-none"),
		lab.Class(vpc, "c-2", []desired.Rule{{Protocol: 999, Peer: prefix("0.0.0.0/0")}}, nil),
		desired.Address{VPC: vpc, Addr: addr("2001:db8::1"), Bits: 80, Class: "c-1"},
		desired.Address{VPC: vpc, Addr: addr("2001:db8::"), Bits: 64, Class: "c-1"},
		desired.Member{VPC: vpc, Group: "sg-1", Addr: addr("10.0.0.0"), Bits: 28},
		desired.Endpoint{VPC: vpc, Addr: addr("10.0.0.3"), Target: addr("240.1.1.1")},
		desired.Endpoint{VPC: vpc, Addr: addr("10.0.0.4"), Target: addr("fd00::1"), Ports: []desired.PortRange{{From: 1, To: 1}}},
		// A name that the kernel refuses.
		desired.PortSet{VPC: vpc, Name: strings.Repeat("x", 300), Ranges: []desired.PortRange{{From: 1, To: 2}}},
	}
	failed := table.Apply(t.Context(), slices.Concat(good, bad), nil)
	if len(failed) != len(bad) {
		t.Errorf("failed: %v", failed)
	}
	for _, e := range bad {
		if failed[e.Key()] == nil {
			t.Errorf("%s was taken", e)
		}
	}
	reads(t, table, good)
	n.Nft("flush", "map", "inet", "postern", "class4") // behind the table's back
	if failed := table.Apply(t.Context(), nil, good); failed != nil {
		t.Errorf("delete: %v", failed)
	}
}

func TestApplyWithoutSkeletonSaysSo(t *testing.T) {
	table, n := newTable(t)
	n.Nft("delete table inet postern")
	class := lab.Class(vpc, "c-1", nil, nil)
	if failed := table.Apply(t.Context(), []desired.Entry{class}, nil); failed[class.Key()] == nil {
		t.Error("nothing failed")
	}
}

// Entries of other kinds are none of the table's, be they put or deleted.
func TestOtherKindsAreRefused(t *testing.T) {
	table, _ := newTable(t)
	link, good := desired.NewLink(vpc, "vpc-z"), desired.Member{VPC: vpc, Group: "sg-1", Addr: netip.MustParseAddr("10.0.1.10")}
	entries := []desired.Entry{link, good}
	for verb, failed := range map[string]map[desired.Key]error{
		"put": table.Apply(t.Context(), entries, nil), "delete": table.Apply(t.Context(), nil, entries),
	} {
		if len(failed) != 1 || failed[link.Key()] == nil || failed[link.Key()].Error() != verb+" "+link.Key().String()+": entries of its kind do not live in nftables" {
			t.Errorf("%s: %v", verb, failed)
		}
	}
}
