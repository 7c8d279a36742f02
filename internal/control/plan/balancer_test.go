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

// balancerRows are a load balancer in two zones, with listeners at 443 and 80 that lead to one
// group, which has a target in each zone, one of all zones, and one that drains.
func balancerRows() (b *model.LoadBalancer, g *model.TargetGroup, rows []table.Row) {
	b = &model.LoadBalancer{Meta: meta("net/web/1"), Name: "Web", VPC: "vpc-a"}
	g = &model.TargetGroup{
		Meta: meta("web/1"), Name: "web", VPC: "vpc-a", Check: model.HealthCheck{Protocol: "HTTP", Path: "/", Codes: "200", Interval: 5, Timeout: 2, Healthy: 3, Unhealthy: 2},
		Targets: []model.BalancedTarget{
			{Addr: addr("10.0.1.10"), Port: 8443}, {Addr: addr("10.0.1.11"), Port: 8443, DrainsUntil: time.Unix(1, 0)}, {Addr: addr("10.0.2.10"), Port: 8443},
			{Addr: addr("192.168.1.1"), Port: 8443, Anywhere: true},
		},
	}
	rows = []table.Row{
		&model.VPC{Meta: meta("vpc-a"), CIDRs: []model.CIDRAssociation{{Prefix: prefix("10.0.0.0/16")}}, TransitIndex: 3},
		&model.Subnet{Meta: meta("subnet-1"), VPC: "vpc-a", Zone: "z1", CIDR: prefix("10.0.1.0/24")},
		&model.Subnet{Meta: meta("subnet-2"), VPC: "vpc-a", Zone: "z2", CIDR: prefix("10.0.2.0/24")},
		g,
	}
	for i, eni := range []string{"eni-1", "eni-2"} {
		number := string(rune('1' + i))
		rows = append(rows, &model.NetworkInterface{
			Meta: meta(eni), VPC: "vpc-a", Subnet: "subnet-" + number, Zone: "z" + number, Type: model.InterfaceBalancer, Owner: b.ID,
			Addresses: []netip.Addr{addr("10.0." + number + ".100")},
		})
		b.Interfaces = append(b.Interfaces, eni)
		b.Targets = append(b.Targets, model.TransitTarget{Interface: eni, Zone: "z" + number, Index: 7 + i})
	}
	for _, port := range []uint16{443, 80} {
		rows = append(rows, &model.Listener{Meta: meta(b.ID + "/" + string(rune('a'+port%2))), LoadBalancer: b.ID, Port: port, TargetGroup: g.ID})
	}
	return b, g, append(rows, b)
}

// kinds gives the lines of the plan that are of some kinds.
func (w *world) kinds(kinds ...string) string {
	var b strings.Builder
	for _, kind := range kinds {
		for line := range strings.Lines(desired.Text(w.plan.Entries())) {
			if strings.HasPrefix(line, kind+" ") {
				b.WriteString(line)
			}
		}
	}
	return b.String()
}

// TestABalancerSpreadsInItsZone: each address leads to the targets of its own zone, and to those
// of all, until it is to lead to all zones; with the deletion all goes that waits for it.
func TestABalancerSpreadsInItsZone(t *testing.T) {
	w := newWorld(t)
	b, g, rows := balancerRows()
	w.put(t, rows...)
	const group = "group=web/1 check=http path=/ codes=200 interval=5 timeout=2 healthy=3 unhealthy=2"
	want := `endpoint vpc-a 10.0.1.100 target=10.0.1.100 ports=80,443
endpoint vpc-a 10.0.2.100 target=10.0.2.100 ports=80,443
balance vpc-a 10.0.1.100 gateway=10.0.1.100 listeners=80=web/1,443=web/1 ` + group + ` members=10.0.1.10:8443,192.168.1.1:8443 draining=10.0.1.11:8443 cut-unhealthy=yes
balance vpc-a 10.0.2.100 gateway=10.0.2.100 listeners=80=web/1,443=web/1 ` + group + ` members=10.0.2.10:8443,192.168.1.1:8443 cut-unhealthy=yes
pool vpc-a 10.0.1.100 addresses=10.0.1.100/32
pool vpc-a 10.0.2.100 addresses=10.0.2.100/32
`
	if diff := cmp.Diff(want, w.kinds("endpoint", "balance", "pool")); diff != "" {
		t.Error(diff)
	}
	if text := w.kinds("address"); strings.Count(text, "class=everything") != 2 {
		t.Errorf("a load balancer without groups does not admit everybody:\n%s", text)
	}
	g = g.Clone()
	g.CrossZone, g.CutDrained, g.KeepUnhealthy = model.CrossZoneOn, true, true
	w.put(t, g)
	if text := w.kinds("balance"); strings.Count(text, "members=10.0.1.10:8443,10.0.2.10:8443,192.168.1.1:8443 draining=10.0.1.11:8443 cut-gone=yes") != 2 {
		t.Errorf("connections do not go to all zones:\n%s", text)
	}
	b = b.Clone()
	b.Delete(time.Unix(2, 0))
	w.put(t, b)
	if text := w.kinds("balance", "endpoint", "pool", "address", "record"); text != "" {
		t.Errorf("of a load balancer that is to go there is still\n%s", text)
	}
}

// TestNamesOfABalancer are seen by every VPC: that of all addresses, and one for each zone.
func TestNamesOfABalancer(t *testing.T) {
	w := newNamedWorld(t)
	_, _, rows := balancerRows()
	other := &model.VPC{Meta: meta("vpc-b"), CIDRs: []model.CIDRAssociation{{Prefix: prefix("10.1.0.0/16")}}, TransitIndex: 4}
	somebody := &model.NetworkInterface{Meta: meta("eni-9"), VPC: "vpc-b", Subnet: "subnet-9", Addresses: []netip.Addr{addr("10.1.1.10")}}
	w.put(t, append(rows, other, somebody)...)
	text := w.kinds("record", "view")
	for _, line := range []string{
		"record zone:load-balancers/us-east-1 web-1.elb.us-east-1.postern.internal./A ttl=60 data=10.0.1.100,10.0.2.100\n",
		"record zone:load-balancers/us-east-1 z1.web-1.elb.us-east-1.postern.internal./A ttl=60 data=10.0.1.100\n",
		"view zone:vpc-a load-balancers/us-east-1\n", "view zone:vpc-b load-balancers/us-east-1\n",
	} {
		if !strings.Contains(text, line) {
			t.Errorf("there is no %s in\n%s", line, text)
		}
	}
}

// TestTwoBalancersOfAService may listen at the same port, which an endpoint has once.
func TestTwoBalancersOfAService(t *testing.T) {
	w := newWorld(t)
	first, _, rows := balancerRows()
	second := first.Clone()
	second.ID, second.Interfaces, second.Targets = "net/web/2", []string{"eni-3"}, []model.TransitTarget{{Interface: "eni-3", Zone: "z1", Index: 9}}
	w.put(t, append(rows, second,
		&model.NetworkInterface{Meta: meta("eni-3"), VPC: "vpc-a", Subnet: "subnet-1", Zone: "z1", Type: model.InterfaceBalancer, Owner: second.ID, Addresses: []netip.Addr{addr("10.0.1.101")}},
		&model.Listener{Meta: meta("net/web/2/a"), LoadBalancer: second.ID, Port: 443, TargetGroup: "web/1"},
		&model.EndpointService{Meta: meta("vpce-svc-1"), Name: "vpce-svc-1", LoadBalancers: []string{first.ID, second.ID}, Families: []string{"ipv4"}},
		&model.VPC{Meta: meta("vpc-b"), CIDRs: []model.CIDRAssociation{{Prefix: prefix("10.0.0.0/16")}}, TransitIndex: 4},
		&model.Subnet{Meta: meta("subnet-b"), VPC: "vpc-b", Zone: "z1", CIDR: prefix("10.0.9.0/24")},
		&model.NetworkInterface{Meta: meta("eni-b"), VPC: "vpc-b", Subnet: "subnet-b", Zone: "z1", Type: model.InterfaceEndpoint, Owner: "vpce-1", Addresses: []netip.Addr{addr("10.0.9.9")}},
		&model.VPCEndpoint{Meta: meta("vpce-1"), Type: model.EndpointInterface, VPC: "vpc-b", Interfaces: []string{"eni-b"}, Service: meta("vpce-svc-1").Ref(), ServiceName: "vpce-svc-1"})...)
	text := w.kinds("endpoint")
	if _, line, _ := strings.Cut(text, "endpoint vpc-b 10.0.9.9 "); !strings.HasSuffix(strings.SplitN(line, "\n", 2)[0], " ports=80,443") {
		t.Errorf("the endpoint's ports are not those of the load balancers, each once:\n%s", text)
	}
}
