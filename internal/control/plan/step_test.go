// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/table"
)

// hub is the rows of connection, and of an endpoint in vpc-b that leads to vpc-c and
// is what the configuration in vpc-b leads to.
func hub() []table.Row {
	rows := connection()
	find := func(id string) int {
		for i, row := range rows {
			if _, _, is := row.RowKey(); is == id {
				return i
			}
		}
		panic(id)
	}
	rows[find("rcfg-1")].(*model.ResourceConfiguration).IP = addr("10.0.1.200")
	return append(rows,
		&model.AddressClaim{Account: account, Region: region, Subnet: "subnet-b", Addr: addr("10.0.1.200"), Interface: "eni-f"},
		&model.NetworkInterface{Meta: meta("eni-f"), VPC: "vpc-b", Subnet: "subnet-b", Zone: "us-east-1a", Type: model.InterfaceEndpoint, Owner: "vpce-2", Groups: []string{"sg-b"}, Addresses: []netip.Addr{addr("10.0.1.200")}},
		&model.VPCEndpoint{Meta: meta("vpce-2"), VPC: "vpc-b", Configuration: ref("rcfg-2")},
		&model.EndpointAssociation{Meta: meta("rea-2"), Endpoint: ref("vpce-2"), Configuration: ref("rcfg-2")},
		&model.VPC{Meta: meta("vpc-c"), CIDRs: []model.CIDRAssociation{{Prefix: prefix("10.0.0.0/16")}}, TransitIndex: 2},
		&model.Subnet{Meta: meta("subnet-c"), VPC: "vpc-c", Zone: "us-east-1a", CIDR: prefix("10.0.1.0/24")},
		&model.NetworkInterface{Meta: meta("eni-h"), VPC: "vpc-c", Subnet: "subnet-c", Zone: "us-east-1a", Type: model.InterfaceGateway, Owner: "rgw-2", Addresses: []netip.Addr{addr("10.0.1.60")}},
		&model.ResourceGateway{Meta: meta("rgw-2"), VPC: "vpc-c", Subnets: []string{"subnet-c"}, Interfaces: []string{"eni-h"}},
		&model.ResourceConfiguration{Meta: meta("rcfg-2"), Gateway: "rgw-2", IP: addr("10.0.1.10"), Ports: []model.PortRange{{From: 5432, To: 5432}}, Targets: []model.TransitTarget{{Interface: "eni-h", Zone: "us-east-1a", Index: 6}}},
	)
}

// way is what of the desired state leads connections.
func (w *world) way() string {
	var b strings.Builder
	for line := range strings.Lines(desired.Text(w.plan.Entries())) {
		for _, kind := range []desired.Kind{desired.KindLink, desired.KindRoute, desired.KindTarget, desired.KindAllow, desired.KindEndpoint} {
			if strings.HasPrefix(line, kind.String()+" ") {
				b.WriteString(line)
			}
		}
	}
	return b.String()
}

func TestAWayLeadsOnThroughAnEndpoint(t *testing.T) {
	w := newWorld(t)
	w.put(t, hub()...)
	want := `link vpc-a vpc-b
link vpc-b vpc-c
route vpc-a 240.8.0.5/32 peer=vpc-b
route vpc-b 240.0.0.0/26 peer=vpc-a
route vpc-b 240.8.0.6/32 peer=vpc-c
route vpc-c 240.0.0.64/26 peer=vpc-b
target vpc-b 240.8.0.5 dest=10.0.1.200 gateway=10.0.1.50 onward=yes
target vpc-c 240.8.0.6 dest=10.0.1.10 gateway=10.0.1.60
allow vpc-b 240.0.0.0/26>240.8.0.5
allow vpc-c 240.0.0.64/26>240.8.0.6
endpoint vpc-a 10.0.1.100 target=240.8.0.5 ports=5432
endpoint vpc-b 10.0.1.200 target=240.8.0.6 ports=5432
`
	if diff := cmp.Diff(want, w.way()); diff != "" {
		t.Errorf("way (-want +got):\n%s", diff)
	}
	for _, key := range []desired.Key{
		{Kind: desired.KindTarget, Realm: "vpc-c", ID: "240.8.0.6"}, {Kind: desired.KindEndpoint, Realm: "vpc-b", ID: "10.0.1.200"},
	} {
		if !contains(w.plan.Subjects(key), Subject{SubjectEndpoint, ref("vpce-1")}) {
			t.Errorf("the endpoint at the beginning does not wait for %v", key)
		}
	}
}

// Either end of the second step closes it: then the target leads to an address that
// nobody answers at, and whoever wanted it lets go of the rest of the way.
func TestAWayLeadsOnNoMore(t *testing.T) {
	leaving := &model.VPCEndpoint{Meta: meta("vpce-2"), VPC: "vpc-b", Configuration: ref("rcfg-2")}
	leaving.DeletedAt = time.Unix(1, 0)
	closed := &model.EndpointAssociation{Meta: meta("rea-2"), Endpoint: ref("vpce-2"), Configuration: ref("rcfg-2")}
	closed.DeletedAt = time.Unix(1, 0)
	for name, row := range map[string]table.Row{"endpoint deleted": leaving, "association removed": closed} {
		w := newWorld(t)
		w.put(t, hub()...)
		r := w.put(t, row)
		want := `link vpc-a vpc-b
route vpc-a 240.8.0.5/32 peer=vpc-b
route vpc-b 240.0.0.0/26 peer=vpc-a
target vpc-b 240.8.0.5 dest=10.0.1.200 gateway=10.0.1.50
target vpc-c 240.8.0.6 dest=10.0.1.10 gateway=10.0.1.60
allow vpc-b 240.0.0.0/26>240.8.0.5
endpoint vpc-a 10.0.1.100 target=240.8.0.5 ports=5432
`
		if diff := cmp.Diff(want, w.way()); diff != "" {
			t.Errorf("%s: way (-want +got):\n%s", name, diff)
		}
		if key := (desired.Key{Kind: desired.KindEndpoint, Realm: "vpc-b", ID: "10.0.1.200"}); !contains(r.Released[key], Subject{SubjectEndpoint, ref("vpce-2")}) {
			t.Errorf("%s: %v is released for %v", name, key, r.Released[key])
		}
	}
}

// What leads to itself leads nowhere, and its resources say so until it is mended.
func TestAWayThatLeadsToItselfIsNotPlanned(t *testing.T) {
	w := newWorld(t)
	rows := hub()
	w.put(t, rows...)
	back := []table.Row{
		&model.AddressClaim{Account: account, Region: region, Subnet: "subnet-c", Addr: addr("10.0.1.10"), Interface: "eni-i"},
		&model.NetworkInterface{Meta: meta("eni-i"), VPC: "vpc-c", Subnet: "subnet-c", Zone: "us-east-1a", Type: model.InterfaceEndpoint, Owner: "vpce-3", Addresses: []netip.Addr{addr("10.0.1.10")}},
		&model.VPCEndpoint{Meta: meta("vpce-3"), VPC: "vpc-c", Configuration: ref("rcfg-1")},
		&model.EndpointAssociation{Meta: meta("rea-3"), Endpoint: ref("vpce-3"), Configuration: ref("rcfg-1")},
	}
	before := w.way()
	r := w.put(t, back...)
	if way := w.way(); way != "" {
		t.Errorf("planned:\n%s", way)
	}
	for _, s := range []Subject{
		{SubjectConfiguration, ref("rcfg-1")}, {SubjectConfiguration, ref("rcfg-2")}, {SubjectEndpoint, ref("vpce-1")}, {SubjectEndpoint, ref("vpce-3")},
	} {
		if problem := w.plan.Problem(s); !strings.Contains(problem, "leads back to itself") || !contains(r.Touched, s) {
			t.Errorf("%v has the problem %q, touched: %v", s, problem, contains(r.Touched, s))
		}
	}
	w.remove(t, back...)
	if diff := cmp.Diff(before, w.way()); diff != "" || len(w.plan.problems) > 0 {
		t.Errorf("mended (-want +got):\n%s%v", diff, w.plan.problems)
	}
}
