// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/table"
)

// gatewayEndpoint is the rows of an endpoint of type Gateway in vpc-a to a service that the
// operator registered as S3, and of a subnet whose table leads there.
func gatewayEndpoint() []table.Row {
	list, _ := model.GatewayListOf(region, "com.amazonaws.us-east-1.s3")
	return append(withNames(interfaceEndpoint()[:5]),
		&model.EndpointService{
			Meta: meta("vpce-svc-1"), Name: list.Name, Registered: true, Ports: []model.PortRange{{From: 443, To: 443}}, Families: []string{"ipv4"},
			Targets: []model.ServiceTarget{{Address: "127.0.0.1", Port: 9000}},
		},
		&model.RouteTable{Meta: meta("rtb-1"), VPC: "vpc-a", Number: 1, Routes: []model.Route{{PrefixList: list.ID, Target: "vpce-i"}}},
		&model.RouteTableAssociation{Account: account, Region: region, ID: "rtbassoc-1", Table: "rtb-1", Subnet: "subnet-a"},
		&model.NetworkInterface{Meta: meta("eni-w"), VPC: "vpc-a", Subnet: "subnet-a", Zone: "us-east-1a", Type: model.InterfaceWorkload},
		&model.VPCEndpoint{
			Meta: meta("vpce-i"), Type: model.EndpointGateway, VPC: "vpc-a", ServiceName: list.Name, Service: ref("vpce-svc-1"),
			RouteTables: []string{"rtb-1"}, Targets: []model.TransitTarget{{Index: 9}},
		})
}

// The service's address is a door that admits the subnets whose table has the route, and its
// name leads there in the endpoint's VPC. Without such a subnet there is neither.
func TestAGatewayEndpointIsADoorForSubnets(t *testing.T) {
	w := newNamedWorld(t)
	rows := gatewayEndpoint()
	w.put(t, append(rows, ready())...)
	lines := func(kind desired.Kind, with string) (all []string) {
		for _, e := range w.plan.Entries() {
			if text := e.String(); e.Key().Kind == kind && strings.Contains(text, with) {
				all = append(all, text)
			}
		}
		return all
	}
	class := desired.ClassName([]string{"vpce-i"})
	want := map[desired.Kind]string{
		desired.KindEndpoint: "endpoint vpc-a 198.51.100.1 target=240.8.0.9 ports=443",
		desired.KindClass:    "class vpc-a " + class + " in=all@10.0.1.0/24",
		desired.KindAddress:  "address vpc-a 198.51.100.1 class=" + class,
	}
	for kind, line := range want {
		with := "198.51.100.1"
		if kind == desired.KindClass {
			with = class
		}
		if diff := cmp.Diff([]string{line}, lines(kind, with)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", kind, diff)
		}
	}
	if got := lines(desired.KindRecord, "198.51.100.1"); len(got) != 1 || !strings.Contains(got[0], "s3.us-east-1.") {
		t.Errorf("names that lead there: %q", got)
	}
	vpc := find[*model.VPC](t, rows).Clone()
	vpc.CIDRs = append(vpc.CIDRs, model.CIDRAssociation{Prefix: prefix("198.51.100.0/24")})
	w.put(t, vpc)
	if text := desired.Text(w.plan.Entries()); strings.Contains(text, "endpoint vpc-a 198.51.100.1") {
		t.Error("an address of the VPC's own is a door")
	}
	w.put(t, find[*model.VPC](t, rows))
	if got := lines(desired.KindEndpoint, "198.51.100.1"); len(got) != 1 {
		t.Errorf("without the VPC's block there are %q", got)
	}
	w.remove(t, &model.RouteTableAssociation{Account: account, Region: region, ID: "rtbassoc-1", Table: "rtb-1", Subnet: "subnet-a"})
	if text := desired.Text(w.plan.Entries()); strings.Contains(text, "198.51.100.1") || strings.Contains(text, class) {
		t.Errorf("without a subnet there is still:\n%s", text)
	}
}
