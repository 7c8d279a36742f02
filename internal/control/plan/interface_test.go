// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/table"
)

// interfaceEndpoint is the rows of an endpoint in vpc-a to an API of Postern.
func interfaceEndpoint() []table.Row {
	return append(connection()[:5],
		&model.VPCEndpoint{
			Meta: meta("vpce-i"), Type: model.EndpointInterface, VPC: "vpc-a", Subnets: []string{"subnet-a"}, Interfaces: []string{"eni-i"},
			ServiceName: "com.amazonaws.us-east-1.ec2", PrivateDNS: true, Targets: []model.TransitTarget{{Index: 9}},
		},
		&model.NetworkInterface{Meta: meta("eni-i"), VPC: "vpc-a", Subnet: "subnet-a", Zone: "us-east-1a", Type: model.InterfaceEndpoint, Owner: "vpce-i", Groups: []string{"sg-a"}, Addresses: []netip.Addr{addr("10.0.1.100")}},
		&model.AddressClaim{Account: account, Region: region, Subnet: "subnet-a", Addr: addr("10.0.1.100"), Interface: "eni-i"})
}

// ready says that the host has had the endpoint.
func ready() *model.Status {
	return &model.Status{Account: account, Region: region, ID: "vpce-i", State: model.StatusReady, Established: true}
}

// withNames lets the VPCs have private names, and somebody live in each.
func withNames(rows []table.Row) []table.Row {
	for _, row := range rows {
		if vpc, ok := row.(*model.VPC); ok {
			vpc.DNSSupport, vpc.DNSHostnames = true, true
		}
	}
	return append(rows, &model.NetworkInterface{Meta: meta("eni-x"), VPC: "vpc-b", Subnet: "subnet-b", Zone: "us-east-1a", Type: model.InterfaceWorkload, Addresses: []netip.Addr{addr("10.0.1.20")}})
}

func TestAnInterfaceEndpointLeadsToTheFront(t *testing.T) {
	w := newWorld(t)
	w.put(t, interfaceEndpoint()...)
	front := w.plan.Entries()
	want := `link vpc-a vpc-front
route vpc-a 240.8.0.9/32 peer=vpc-front
route vpc-front 240.0.0.0/26 peer=vpc-a
target vpc-front 240.8.0.9 dest=` + (model.TransitTarget{Index: 9}).FrontAddr(true).String() + ` gateway=` + model.FrontPool4.Addr().String() + `
allow vpc-front 240.0.0.0/26>240.8.0.9
endpoint vpc-a 10.0.1.100 target=240.8.0.9 ports=443
`
	if diff := cmp.Diff(want, w.way()); diff != "" {
		t.Errorf("way (-want +got):\n%s", diff)
	}
	for _, key := range []desired.Key{{Kind: desired.KindTarget, Realm: "vpc-front", ID: "240.8.0.9"}, {Kind: desired.KindEndpoint, Realm: "vpc-a", ID: "10.0.1.100"}} {
		if !contains(w.plan.Subjects(key), Subject{SubjectEndpoint, ref("vpce-i")}) {
			t.Errorf("the endpoint does not wait for %v", key)
		}
	}
	gone := find[*model.VPCEndpoint](t, interfaceEndpoint()).Clone()
	gone.DeletedAt = time.Unix(1, 0)
	w.put(t, gone)
	if left := desired.Text(w.plan.Entries()); strings.Contains(left, "front") {
		t.Errorf("of %d entries there are left:\n%s", len(front), left)
	}
}

// Whoever the owner of the service has not accepted leads nowhere, and what leads somewhere
// goes when it is rejected.
func TestOnlyAcceptedEndpointsLeadSomewhere(t *testing.T) {
	for _, acceptance := range []string{model.AcceptancePending, model.AcceptanceRejected, model.AcceptanceExpired} {
		w := newNamedWorld(t)
		rows := withNames(interfaceEndpoint())
		w.put(t, append(rows, ready())...)
		row := find[*model.VPCEndpoint](t, rows).Clone()
		row.Acceptance = acceptance
		r := w.put(t, row)
		if text := desired.Text(w.plan.Entries()); strings.Contains(text, "vpc-front") || strings.Contains(text, "vpce-i") {
			t.Errorf("%s: it leads somewhere:\n%s", acceptance, text)
		}
		door := desired.Key{Kind: desired.KindEndpoint, Realm: "vpc-a", ID: "10.0.1.100"}
		if !slices.Contains(r.Delete, door) || !contains(r.Released[door], Subject{SubjectEndpoint, ref("vpce-i")}) {
			t.Errorf("%s: its door is released for %v", acceptance, r.Released[door])
		}
		row = row.Clone()
		row.Acceptance = model.AcceptanceAccepted
		row.Update(time.Unix(2, 0))
		w.put(t, row)
		if names := namesIn(w.plan.Entries()); strings.Contains(names, "record") {
			t.Errorf("%s, and accepted: before any packet got through there are\n%s", acceptance, names)
		}
		if !strings.Contains(w.way(), "endpoint vpc-a 10.0.1.100") {
			t.Errorf("%s, and accepted: it leads nowhere", acceptance)
		}
	}
}

// The regional and the zonal name are in a zone that all VPCs see, and that of the service
// in one that the endpoint's VPC sees alone. None is there before packets have got through.
func TestNamesOfAnInterfaceEndpoint(t *testing.T) {
	w := newNamedWorld(t)
	w.put(t, withNames(interfaceEndpoint())...)
	if names := namesIn(w.plan.Entries()); strings.Contains(names, "record") || strings.Contains(names, "name=ec2") {
		t.Errorf("before any packet got through there are\n%s", names)
	}
	w.put(t, ready())
	var got []string
	for line := range strings.Lines(namesIn(w.plan.Entries())) {
		if strings.Contains(line, "interface-endpoints") || strings.Contains(line, "vpce-i") {
			got = append(got, strings.TrimSpace(line))
		}
	}
	label := strings.TrimSuffix(find[*model.VPCEndpoint](t, interfaceEndpoint()).NameIn(""), ".")
	want := []string{
		"zone zone:interface-endpoints self name=vpce.postern.internal. negative=5 public=yes",
		"zone zone:vpce-i/ec2.us-east-1.postern.internal. self name=ec2.us-east-1.postern.internal. negative=5",
		"record zone:interface-endpoints " + label + "-us-east-1a.ec2.us-east-1.vpce.postern.internal./A ttl=60 near=10.0.1.100@us-east-1a",
		"record zone:interface-endpoints " + label + ".ec2.us-east-1.vpce.postern.internal./A ttl=60 near=10.0.1.100@us-east-1a",
		"record zone:vpce-i/ec2.us-east-1.postern.internal. ec2.us-east-1.postern.internal./A ttl=60 near=10.0.1.100@us-east-1a",
		"view zone:vpc-a interface-endpoints",
		"view zone:vpc-a vpce-i/ec2.us-east-1.postern.internal.",
		"view zone:vpc-b interface-endpoints",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
	record := desired.Key{Realm: desired.Zone(serviceNames), Kind: desired.KindRecord, ID: label + ".ec2.us-east-1.vpce.postern.internal./A"}
	if got := w.plan.Subjects(record); !slices.Equal(got, []Subject{{SubjectNames, ref("vpce-i/names")}}) {
		t.Errorf("for its name wait %v", got)
	}
	lost := ready()
	lost.State, lost.Reason, lost.Names.State = model.StatusFailed, "no kernel", model.StatusReady
	if r := w.put(t, lost); len(r.Put)+len(r.Delete) > 0 {
		t.Errorf("what packets suffer changes names: %v %v", r.Put, r.Delete)
	}
}

// An interface that the endpoint has given up leads nowhere, and what it had goes.
func TestAGivenUpInterfaceGoes(t *testing.T) {
	w := newWorld(t)
	rows := interfaceEndpoint()
	w.put(t, rows...)
	row := find[*model.VPCEndpoint](t, rows).Clone()
	row.Interfaces, row.Leaving = nil, row.Interfaces
	r := w.put(t, row)
	for _, key := range []desired.Key{{Kind: desired.KindEndpoint, Realm: "vpc-a", ID: "10.0.1.100"}, {Kind: desired.KindAddress, Realm: "vpc-a", ID: "10.0.1.100"}} {
		if !contains(r.Released[key], Subject{SubjectEndpoint, ref("vpce-i")}) {
			t.Errorf("%v is released for %v", key, r.Released[key])
		}
	}
}

// A resource may be an interface endpoint of its gateway's VPC: what comes by the gateway goes
// on to the service.
func TestAWayLeadsOnToAService(t *testing.T) {
	w := newWorld(t)
	rows := connection()
	find[*model.ResourceConfiguration](t, rows).IP = addr("10.0.1.200")
	there := interfaceEndpoint()[5:]
	for _, row := range there {
		switch row := row.(type) {
		case *model.VPCEndpoint:
			row.VPC, row.Subnets = "vpc-b", []string{"subnet-b"}
		case *model.NetworkInterface:
			row.VPC, row.Subnet, row.Addresses, row.Groups = "vpc-b", "subnet-b", []netip.Addr{addr("10.0.1.200")}, []string{"sg-b"}
		case *model.AddressClaim:
			row.Subnet, row.Addr = "subnet-b", addr("10.0.1.200")
		}
	}
	w.put(t, append(rows, there...)...)
	way := w.way()
	for _, want := range []string{
		"target vpc-b 240.8.0.5 dest=10.0.1.200 gateway=10.0.1.50 onward=yes\n", "route vpc-b 240.8.0.9/32 peer=vpc-front\n",
		"allow vpc-front 240.0.0.64/26>240.8.0.9\n", "endpoint vpc-b 10.0.1.200 target=240.8.0.9 ports=443\n",
	} {
		if !strings.Contains(way, want) {
			t.Errorf("there is no %s in\n%s", want, way)
		}
	}
	if door := (desired.Key{Kind: desired.KindAllow, Realm: "vpc-front", ID: "240.0.0.64/26>240.8.0.9"}); !contains(w.plan.Subjects(door), Subject{SubjectEndpoint, ref("vpce-1")}) {
		t.Errorf("the endpoint at the beginning does not wait for %v", door)
	}
	pending := find[*model.VPCEndpoint](t, there).Clone()
	pending.Acceptance = model.AcceptancePending
	if w.put(t, pending); strings.Contains(w.way(), "onward") {
		t.Errorf("it leads on through an endpoint that was not accepted:\n%s", w.way())
	}
}
