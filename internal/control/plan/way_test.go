// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/posternhq/postern/internal/alloc"
	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// several is the rows of connection, of a second configuration of the same gateway,
// and of a second association of the endpoint that has an address of its own on the
// same interface.
func several() []table.Row {
	rows := connection()
	for _, row := range rows {
		if ni, ok := row.(*model.NetworkInterface); ok && ni.ID == "eni-e" {
			ni.Addresses = append(ni.Addresses, addr("10.0.1.101"))
		}
	}
	return append(rows,
		&model.AddressClaim{Account: account, Region: region, Subnet: "subnet-a", Addr: addr("10.0.1.101"), Interface: "eni-e"},
		&model.ResourceConfiguration{Meta: meta("rcfg-2"), Gateway: "rgw-1", IP: addr("10.0.1.20"), Ports: []model.PortRange{{From: 80, To: 80}}, Targets: []model.TransitTarget{{Interface: "eni-g", Zone: "us-east-1a", Index: 6}}},
		further())
}

func further() *model.EndpointAssociation {
	return &model.EndpointAssociation{
		Meta: meta("rea-2"), Endpoint: ref("vpce-1"), Configuration: ref("rcfg-2"),
		Addresses: []model.InterfaceAddress{{Interface: "eni-e", Addr: addr("10.0.1.101")}},
	}
}

func TestEachAssociationLeadsFromItsOwnAddresses(t *testing.T) {
	w := newWorld(t)
	w.put(t, several()...)
	want := `link vpc-a vpc-b
route vpc-a 240.8.0.5/32 peer=vpc-b
route vpc-a 240.8.0.6/32 peer=vpc-b
route vpc-b 240.0.0.0/26 peer=vpc-a
target vpc-b 240.8.0.5 dest=10.0.1.10 gateway=10.0.1.50
target vpc-b 240.8.0.6 dest=10.0.1.20 gateway=10.0.1.50
allow vpc-b 240.0.0.0/26>240.8.0.5
allow vpc-b 240.0.0.0/26>240.8.0.6
endpoint vpc-a 10.0.1.100 target=240.8.0.5 ports=5432
endpoint vpc-a 10.0.1.101 target=240.8.0.6 ports=80
`
	if diff := cmp.Diff(want, w.way()); diff != "" {
		t.Errorf("ways (-want +got):\n%s", diff)
	}
	endpoint, first, second := Subject{SubjectEndpoint, ref("vpce-1")}, Subject{SubjectAssociation, ref("rea-1")}, Subject{SubjectAssociation, ref("rea-2")}
	for id, want := range map[string][]Subject{"10.0.1.100": {first, endpoint}, "10.0.1.101": {second, endpoint}} {
		if got := w.plan.Subjects(desired.Key{Kind: desired.KindEndpoint, Realm: "vpc-a", ID: id}); !slices.Equal(got, want) {
			t.Errorf("endpoint entry %s belongs to %v, want %v", id, got, want)
		}
	}
}

// What a removed association had goes, also its address: the association waits for
// that, and the other one for nothing.
func TestARemovedAssociationTakesItsAddressesAlong(t *testing.T) {
	w := newWorld(t)
	w.put(t, several()...)
	gone := further()
	gone.DeletedAt = time.Unix(1, 0)
	before := w.plan.derivations
	r := w.put(t, gone)
	var deleted []string
	for _, k := range r.Delete {
		deleted = append(deleted, k.String())
		if want := (Subject{SubjectAssociation, ref("rea-2")}); !contains(r.Released[k], want) {
			t.Errorf("%v is released for %v, want %v among them", k, r.Released[k], want)
		}
	}
	want := []string{
		"endpoint vpc-a 10.0.1.101", "allow vpc-b 240.0.0.0/26>240.8.0.6", "address vpc-a 10.0.1.101",
		"member vpc-a sg-a/10.0.1.101", "route vpc-a 240.8.0.6/32",
	}
	if diff := cmp.Diff(want, deleted); diff != "" || len(r.Put) > 0 {
		t.Errorf("deleted (-want +got):\n%sput: %v", diff, r.Put)
	}
	if first := (Subject{SubjectAssociation, ref("rea-1")}); contains(r.Touched, first) {
		t.Errorf("%v has something to wait for", first)
	}
	if n := w.plan.derivations - before; n != 4 { // itself, its names, its interface, and who has what is nobody's own
		t.Errorf("%d units are derived, want 4", n)
	}
	if _, err := w.db.Update(t.Context(), func(tx *table.Txn) error { alloc.DeleteAssociation(tx, gone); return nil }); err != nil {
		t.Fatal(err)
	}
	if r := w.follow(); len(r.Put)+len(r.Delete) > 0 {
		t.Errorf("its end changes something: %v %v", r.Put, r.Delete)
	}
	if _, claimed := state.AddressClaims.Get(w.last, account, region, "subnet-a/10.0.1.101"); claimed {
		t.Error("its address is claimed still")
	}
}

// A problem of one association is the endpoint's too, and stays when the other one
// has none.
func TestAnEndpointHasTheProblemsOfItsAssociations(t *testing.T) {
	w := newWorld(t)
	rows := append(several(),
		&model.AddressClaim{Account: account, Region: region, Subnet: "subnet-b", Addr: addr("10.0.1.20"), Interface: "eni-f"},
		&model.NetworkInterface{Meta: meta("eni-f"), VPC: "vpc-b", Subnet: "subnet-b", Zone: "us-east-1a", Type: model.InterfaceEndpoint, Owner: "vpce-2", Addresses: []netip.Addr{addr("10.0.1.20")}},
		&model.VPCEndpoint{Meta: meta("vpce-2"), VPC: "vpc-b", Configuration: ref("rcfg-2")},
		&model.EndpointAssociation{Meta: meta("rea-3"), Endpoint: ref("vpce-2"), Configuration: ref("rcfg-2")})
	w.put(t, rows...)
	endpoint := Subject{SubjectEndpoint, ref("vpce-1")}
	ports := find[*model.ResourceConfiguration](t, several())
	ports.Ports = []model.PortRange{{From: 5433, To: 5433}}
	w.put(t, ports) // derives the association without a problem anew
	if problem := w.plan.Problem(endpoint); !strings.Contains(problem, "leads back to itself") {
		t.Errorf("the endpoint has the problem %q", problem)
	}
	if problem := w.plan.Problem(Subject{SubjectAssociation, ref("rea-1")}); problem != "" {
		t.Errorf("the other association has the problem %q", problem)
	}
	want := "endpoint vpc-a 10.0.1.100 target=240.8.0.5 ports=5433\n"
	if way := w.way(); !strings.Contains(way, want) || strings.Contains(way, "10.0.1.101") {
		t.Errorf("ways, want %s\ngot\n%s", want, way)
	}
	w.remove(t, rows[len(rows)-1])
	if problem := w.plan.Problem(endpoint); problem != "" {
		t.Errorf("when it leads to itself no more the endpoint has the problem %q", problem)
	}
}

// A way leads on through the association that has the address, whatever others the
// endpoint has.
func TestAWayLeadsOnThroughTheAssociationOfTheAddress(t *testing.T) {
	w := newWorld(t)
	rows := hub()
	for _, row := range rows {
		switch row := row.(type) {
		case *model.NetworkInterface:
			if row.ID == "eni-f" {
				row.Addresses = append(row.Addresses, addr("10.0.1.201"))
			}
		case *model.ResourceConfiguration:
			if row.ID == "rcfg-1" {
				row.IP = addr("10.0.1.201")
			}
		}
	}
	third := find[*model.ResourceConfiguration](t, rows[len(rows)-1:]).Clone()
	third.ID, third.IP, third.Targets[0].Index = "rcfg-3", addr("10.0.1.30"), 7
	own := &model.EndpointAssociation{
		Meta: meta("rea-3"), Endpoint: ref("vpce-2"), Configuration: ref("rcfg-3"),
		Addresses: []model.InterfaceAddress{{Interface: "eni-f", Addr: addr("10.0.1.201")}},
	}
	w.put(t, append(rows, third, own,
		&model.AddressClaim{Account: account, Region: region, Subnet: "subnet-b", Addr: addr("10.0.1.201"), Interface: "eni-f"})...)
	way := w.way()
	for _, want := range []string{
		"target vpc-b 240.8.0.5 dest=10.0.1.201 gateway=10.0.1.50 onward=yes\n",
		"endpoint vpc-b 10.0.1.200 target=240.8.0.6 ports=5432\n", "endpoint vpc-b 10.0.1.201 target=240.8.0.7 ports=5432\n",
	} {
		if !strings.Contains(way, want) {
			t.Errorf("%s is missing in\n%s", want, way)
		}
	}
	outer := Subject{SubjectAssociation, ref("rea-1")}
	for id, waits := range map[string]bool{"240.8.0.6": false, "240.8.0.7": true} {
		if key := (desired.Key{Kind: desired.KindTarget, Realm: "vpc-c", ID: id}); contains(w.plan.Subjects(key), outer) != waits {
			t.Errorf("that the outer association waits for %v is not %v", key, waits)
		}
	}
	own = own.Clone()
	own.DeletedAt = time.Unix(1, 0)
	w.put(t, own)
	if way := w.way(); strings.Contains(way, "onward") || !strings.Contains(way, "endpoint vpc-b 10.0.1.200") {
		t.Errorf("when the association is removed, ways are\n%s", way)
	}
}

// What nobody can have is not led to, whatever has come after the configuration, and
// again when that has gone.
func TestAnAddressThatNobodyCanHaveIsNotLedTo(t *testing.T) {
	at := func(ip string, rows ...table.Row) []table.Row {
		rc := find[*model.ResourceConfiguration](t, connection())
		rc.IP = addr(ip)
		return append(rows, rc)
	}
	subnet := func(cidr, cidr6 string) *model.Subnet {
		s := &model.Subnet{Meta: meta("subnet-later"), VPC: "vpc-b", Zone: "us-east-1a", CIDR: prefix(cidr)}
		if cidr6 != "" {
			s.CIDR6 = model.CIDRAssociation{Prefix: prefix(cidr6)}
		}
		return s
	}
	block := &model.VPC{Meta: meta("vpc-b"), TransitIndex: 1, CIDRs: []model.CIDRAssociation{{Prefix: prefix("10.0.0.0/16")}, {Prefix: prefix("10.7.0.0/16")}}}
	for name, c := range map[string]struct {
		before []table.Row
		later  table.Row
		says   string
	}{
		"router of a subnet":    {at("10.0.2.1"), subnet("10.0.2.0/24", ""), "nothing can answer at 10.0.2.1: it is the address of the VPC's router of subnet subnet-later, 10.0.2.0/24"},
		"end of a subnet":       {at("10.0.2.255"), subnet("10.0.2.0/24", ""), "the broadcast address of subnet subnet-later"},
		"IPv6 of a subnet":      {at("2001:db8:0:9::3"), subnet("10.0.2.0/24", "2001:db8:0:9::/64"), "a reserved address of subnet subnet-later"},
		"resolver of a block":   {at("10.7.0.2"), block, "the address of the DNS resolver of 10.7.0.0/16, a block of vpc-b"},
		"address of a gateway":  {at("10.0.1.50"), &model.AddressClaim{Account: account, Region: region, Subnet: "subnet-b", Addr: addr("10.0.1.50"), Interface: "eni-g"}, "it belongs to resource gateway rgw-1"},
		"somebody's in between": {at("10.0.2.4"), subnet("10.0.2.0/24", ""), ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.put(t, append(connection(), c.before...)...)
			before := w.way()
			r := w.put(t, c.later)
			for _, s := range []Subject{{SubjectConfiguration, ref("rcfg-1")}, {SubjectAssociation, ref("rea-1")}, {SubjectEndpoint, ref("vpce-1")}} {
				if problem := w.plan.Problem(s); !strings.Contains(problem, c.says) || (c.says == "") != (problem == "") || contains(r.Touched, s) != (c.says != "") {
					t.Errorf("%v has the problem %q, want %q; touched: %v", s, problem, c.says, contains(r.Touched, s))
				}
			}
			if way := w.way(); (way == "") != (c.says != "") {
				t.Errorf("way:\n%s", way)
			}
			if c.later == table.Row(block) {
				w.put(t, connection()[1])
			} else {
				w.remove(t, c.later)
			}
			if diff := cmp.Diff(before, w.way()); diff != "" || len(w.plan.problems) > 0 {
				t.Errorf("when it has gone (-want +got):\n%s%v", diff, w.plan.problems)
			}
		})
	}
}

// A target on another host is translated there, at an address that says so: here is
// nothing of it, and what leads to it says why not.
func TestATargetOnAnotherHostIsNotTranslatedHere(t *testing.T) {
	w := newWorld(t)
	rows := hub()
	w.put(t, rows...)
	for _, row := range rows {
		if rc, ok := row.(*model.ResourceConfiguration); ok && rc.ID == "rcfg-2" {
			rc.Targets[0].Host = 1
			w.put(t, rc)
		}
	}
	if way := w.way(); way != "" {
		t.Errorf("planned:\n%s", way)
	}
	for _, s := range []Subject{{SubjectEndpoint, ref("vpce-2")}, {SubjectAssociation, ref("rea-2")}, {SubjectConfiguration, ref("rcfg-1")}, {SubjectAssociation, ref("rea-1")}} {
		if problem := w.plan.Problem(s); !strings.Contains(problem, "eni-h on host 1") {
			t.Errorf("%v has the problem %q", s, problem)
		}
	}
	if problem := w.plan.Problem(Subject{SubjectConfiguration, ref("rcfg-2")}); problem != "" {
		t.Errorf("the configuration that is translated there has the problem %q", problem)
	}

	there := New(model.Host{Name: "there", Index: 1}, Domains{}, model.Outside{})
	there.Change(w.last, everything(w.last))
	got := desired.Text(there.Entries())
	for want, is := range map[string]bool{
		"target vpc-c 240.24.0.6 dest=10.0.1.10 gateway=10.0.1.60\n": true, "endpoint vpc-b 10.0.1.200 target=240.24.0.6 ports=5432\n": true,
		"allow vpc-c 240.16.0.64/26>240.24.0.6\n": true, "240.8.": false,
	} {
		if strings.Contains(got, want) != is {
			t.Errorf("that %q is on the other host is not %v:\n%s", want, is, got)
		}
	}
}

// The name of a resource is followed where an address is translated, as the gateway says,
// and its first port is asked unless a tag says otherwise.
func TestANameIsFollowed(t *testing.T) {
	w := newWorld(t)
	rows := connection()
	rc := find[*model.ResourceConfiguration](t, rows)
	rc.IP, rc.DNS = netip.Addr{}, model.DNSResource{Name: "DB.example.com", Family: model.FamilyIPv4}
	w.put(t, rows...)
	for want, change := range map[string]func(*model.ResourceConfiguration, *model.ResourceGateway){
		"follow vpc-b 240.8.0.5 name=db.example.com. gateway=10.0.1.50 port=5432 watched=5432\n": func(*model.ResourceConfiguration, *model.ResourceGateway) {},
		"follow vpc-b 240.8.0.5 name=db.example.com. in-vpc=yes gateway=10.0.1.50 port=5432 watched=5432\n": func(_ *model.ResourceConfiguration, g *model.ResourceGateway) {
			g.DNSResolution = "IN_VPC"
		},
		"follow vpc-b 240.8.0.5 name=db.example.com. gateway=10.0.1.50 watched=5432\n": func(rc *model.ResourceConfiguration, _ *model.ResourceGateway) {
			rc.Tags = map[string]string{model.TagProbe: model.ProbeOff}
		},
		"follow vpc-b 240.8.0.5 name=db.example.com. gateway=10.0.1.50 port=5432\n": func(rc *model.ResourceConfiguration, _ *model.ResourceGateway) {
			rc.Tags = map[string]string{model.TagWatch: model.WatchOff}
		},
		"follow vpc-b 240.8.0.5 name=db.example.com. gateway=10.0.1.50\n": func(rc *model.ResourceConfiguration, _ *model.ResourceGateway) {
			rc.Tags = map[string]string{model.TagProbe: model.ProbeOff, model.TagWatch: model.WatchOff}
		},
	} {
		g := find[*model.ResourceGateway](t, rows).Clone()
		c := rc.Clone()
		change(c, g)
		w.put(t, c, g)
		got := desired.Text(w.plan.Entries())
		if !strings.Contains(got, want) || strings.Contains(got, "target vpc-b") || !strings.Contains(got, "endpoint vpc-a 10.0.1.100 target=240.8.0.5") {
			t.Errorf("planned is, without %s\n%s", want, got)
		}
	}
}
