// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/table"
)

// zoneRows are a zone that two VPCs see, one of them of another account, with three
// records; a third VPC has no DNS host names, and in a fourth one nobody lives.
func zoneRows() []table.Row {
	other := func(id string) model.Meta { return model.Meta{Account: "444455556666", Region: region, ID: id} }
	z := &model.HostedZone{Meta: model.Meta{Account: account, ID: "Z1"}, Name: "db.example.com."}
	rows := []table.Row{z}
	for _, vpc := range []*model.VPC{
		{Meta: meta("vpc-1"), DNSSupport: true, DNSHostnames: true}, {Meta: other("vpc-2"), DNSSupport: true, DNSHostnames: true},
		{Meta: meta("vpc-3"), DNSSupport: true}, {Meta: meta("vpc-4"), DNSSupport: true, DNSHostnames: true},
	} {
		rows = append(rows, vpc)
		if z.VPCs = append(z.VPCs, vpc.Ref()); vpc.ID != "vpc-4" {
			m := vpc.Meta
			m.ID = "eni-" + vpc.ID
			rows = append(rows, &model.NetworkInterface{Meta: m, VPC: vpc.ID, Type: model.InterfaceWorkload})
		}
	}
	return append(rows,
		&model.RecordSet{Account: account, Zone: "Z1", Name: "db.example.com.", Type: "SOA", TTL: 900, Values: []string{"NS.  mail 1 7200 900 1209600 86400"}},
		&model.RecordSet{Account: account, Zone: "Z1", Name: `\052.db.example.com.`, Type: "A", Alias: model.AliasTarget{Zone: "Z2", Name: "vpce-1.example.net."}},
		&model.RecordSet{Account: account, Zone: "Z1", Name: "www.db.example.com.", Type: "TXT", Set: "blue", TTL: 60, Values: []string{`"a""\142" `}, Routing: model.RoutingWeighted, Weight: 3},
	)
}

func zonesOf(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		if strings.Contains(line, "Z1") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}

// A hosted zone is there once, and seen by the VPCs that can: those with a router and
// both attributes, also another account's.
func TestAZoneIsSeenByItsVPCs(t *testing.T) {
	w := newNamedWorld(t)
	w.put(t, zoneRows()...)
	const zone = `zone zone:Z1 self name=db.example.com.
record zone:Z1 \052.db.example.com./A alias=vpce-1.example.net.
record zone:Z1 db.example.com./SOA ttl=900 data=ns.%20mail.%201%207200%20900%201209600%2086400
record zone:Z1 www.db.example.com./TXT/blue ttl=60 data="a"%20"b" weight=3 weighted=yes
`
	want := zone + "view zone:vpc-1 Z1\nview zone:vpc-2 Z1\n"
	if diff := cmp.Diff(want, zonesOf(namesIn(w.plan.Entries()))); diff != "" {
		t.Error(diff)
	}
	vpc := find[*model.VPC](t, zoneRows())
	vpc.DNSHostnames = false
	w.put(t, vpc)
	if diff := cmp.Diff(zone+"view zone:vpc-2 Z1\n", zonesOf(namesIn(w.plan.Entries()))); diff != "" {
		t.Errorf("without host names in one VPC: %s", diff)
	}
	w.remove(t, &model.NetworkInterface{Meta: model.Meta{Account: "444455556666", Region: region, ID: "eni-vpc-2"}})
	if text := zonesOf(namesIn(w.plan.Entries())); text != "" {
		t.Errorf("a zone that no VPC sees is there:\n%s", text)
	}
}

// One record among ten thousand is derived by itself, and so is one VPC's coming to
// see the zone.
func TestOneRecordIsDerived(t *testing.T) {
	w := newNamedWorld(t)
	rows := zoneRows()
	for i := range 10_000 {
		rows = append(rows, &model.RecordSet{Account: account, Zone: "Z1", Name: fmt.Sprintf("w%d.db.example.com.", i), Type: "A", TTL: 60, Values: []string{"10.0.1.10"}})
	}
	w.put(t, rows...)
	before := w.plan.derivations
	r := w.put(t, &model.RecordSet{Account: account, Zone: "Z1", Name: "w7.db.example.com.", Type: "A", TTL: 60, Values: []string{"10.0.1.11"}})
	if n := w.plan.derivations - before; n != 1 || len(r.Put) != 1 || len(r.Delete) != 0 {
		t.Errorf("%d units are derived, %v put", n, r.Put)
	}
	if want := (Subject{SubjectZone, model.Ref{Account: account, ID: "Z1"}}); len(r.Touched) != 1 || r.Touched[0] != want {
		t.Errorf("touched: %v, want %v", r.Touched, want)
	}
	before = w.plan.derivations
	r = w.put(t, &model.NetworkInterface{Meta: meta("eni-4"), VPC: "vpc-4", Type: model.InterfaceWorkload})
	if n := w.plan.derivations - before; n > 8 || zonesOf(namesIn(r.Put)) != "view zone:vpc-4 Z1\n" {
		t.Errorf("%d units are derived, %v put", n, r.Put)
	}
	before = w.plan.derivations
	w.put(t, &model.NetworkInterface{Meta: meta("eni-5"), VPC: "vpc-4", Type: model.InterfaceWorkload})
	if n := w.plan.derivations - before; n > 3 { // itself, whether the VPC sees zones, its attachment
		t.Errorf("%d units are derived for one more interface", n)
	}
}

// Of sets with failover the primary one is answered, and the secondary one without it.
func TestASecondarySetWaitsForThePrimaryToGo(t *testing.T) {
	w := newNamedWorld(t)
	w.put(t, zoneRows()...)
	set := func(name string, secondary bool) *model.RecordSet {
		return &model.RecordSet{
			Account: account, Zone: "Z1", Name: "f.db.example.com.", Type: "A", Set: name, Routing: model.RoutingFailover, Secondary: secondary, Values: []string{"10.0.1.1"},
		}
	}
	has := func(name string) bool {
		return w.plan.held[desired.NameRecord{Zone: "Z1", Name: "f.db.example.com.", Type: "A", Set: name}.Key()] != nil
	}
	w.put(t, set("two", true))
	if !has("two") {
		t.Error("the only set is not answered")
	}
	w.put(t, set("one", false))
	if !has("one") || has("two") {
		t.Errorf("with a primary set: primary %v, secondary %v", has("one"), has("two"))
	}
	w.remove(t, set("one", false))
	if has("one") || !has("two") {
		t.Errorf("without a primary set: primary %v, secondary %v", has("one"), has("two"))
	}
}
