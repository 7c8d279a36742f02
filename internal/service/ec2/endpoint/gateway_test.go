// SPDX-License-Identifier: Apache-2.0

package endpoint_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service/ec2/ec2test"
	"github.com/posternhq/postern/internal/service/servicetest"
)

const s3Service = "com.amazonaws.us-east-1.s3"

// store has the operator register a store as S3.
func (h *hub) store(t *testing.T) {
	t.Helper()
	h.offer(t, "vpce-svc-1", func(s *model.EndpointService) {
		s.Name, s.Registered, s.Ports = s3Service, true, []model.PortRange{{From: 443, To: 443}}
		s.Targets = []model.ServiceTarget{{Address: "127.0.0.1", Port: 9000}}
	})
}

// table makes a route table.
func (h *hub) table(t *testing.T) string {
	t.Helper()
	out, err := h.API.CreateRouteTable(h.Ctx, &shape.CreateRouteTableInput{VpcId: h.Net.VpcId})
	if err != nil {
		t.Fatal(err)
	}
	return *out.RouteTable.RouteTableId
}

// routes are the targets of the routes of a table, by their destinations.
func (h *hub) routes(t *testing.T, id string) map[string]string {
	t.Helper()
	out, err := h.API.DescribeRouteTables(h.Ctx, &shape.DescribeRouteTablesInput{RouteTableIds: []string{id}})
	if err != nil {
		t.Fatal(err)
	}
	routes := map[string]string{}
	for _, r := range out.RouteTables[0].Routes {
		if r.DestinationPrefixListId != nil {
			routes[*r.DestinationPrefixListId] = *r.GatewayId + " " + *r.State
		}
	}
	return routes
}

// An endpoint of type Gateway, which is the type of requests that name none, has a route to the
// service's prefix list in each of its tables and nothing else: no interfaces, no groups, no
// names of its own. The routes are the endpoint's.
func TestGatewayEndpoint(t *testing.T) {
	h := newHub(t)
	h.store(t)
	list, ok := model.GatewayListOf(servicetest.Region, s3Service)
	if !ok {
		t.Fatal("there is no list")
	}
	first, second := h.table(t), h.table(t)
	e := h.AddEndpoint(t, &shape.CreateVpcEndpointInput{VpcId: h.Net.VpcId, ServiceName: new(s3Service), RouteTableIds: []string{first}})
	if *e.VpcEndpointType != "Gateway" || len(e.NetworkInterfaceIds)+len(e.Groups)+len(e.SubnetIds)+len(e.DnsEntries) > 0 || *e.PrivateDnsEnabled || e.PolicyDocument == nil {
		t.Errorf("made %+v", e)
	}
	led := map[string]string{list.ID: *e.VpcEndpointId + " active"}
	if diff := cmp.Diff(led, h.routes(t, first)); diff != "" {
		t.Errorf("routes (-want +got):\n%s", diff)
	}
	h.Refused(t, "a table that leads there", "RouteAlreadyExists", func() error {
		return ec2test.Failure(h.API.CreateVpcEndpoint(h.Ctx, &shape.CreateVpcEndpointInput{VpcId: h.Net.VpcId, ServiceName: new(s3Service), RouteTableIds: []string{first}}))
	})
	h.Refused(t, "the endpoint's route", "InvalidParameterValue", func() error {
		return ec2test.Failure(h.API.DeleteRoute(h.Ctx, &shape.DeleteRouteInput{RouteTableId: &first, DestinationPrefixListId: &list.ID}))
	})
	h.modify(t, &shape.ModifyVpcEndpointInput{VpcEndpointId: e.VpcEndpointId, AddRouteTableIds: []string{second, first}, RemoveRouteTableIds: []string{first}})
	h.modify(t, &shape.ModifyVpcEndpointInput{VpcEndpointId: e.VpcEndpointId, RemoveRouteTableIds: []string{first}})
	if got := h.routes(t, first); len(got) > 0 {
		t.Errorf("the table that was taken away has %v", got)
	}
	if diff := cmp.Diff(led, h.routes(t, second)); diff != "" {
		t.Errorf("routes of the other table (-want +got):\n%s", diff)
	}
	if _, err := h.API.DeleteVpcEndpoints(h.Ctx, &shape.DeleteVpcEndpointsInput{VpcEndpointIds: []string{*e.VpcEndpointId}}); err != nil {
		t.Fatal(err)
	}
	if got := h.routes(t, second); len(got) > 0 {
		t.Errorf("after the endpoint's deletion there is %v", got)
	}
}

// What does not go with an endpoint of type Gateway is refused, and changes nothing.
func TestGatewayEndpointsThatCannotBe(t *testing.T) {
	h := newHub(t)
	h.store(t)
	to := func(change func(*shape.CreateVpcEndpointInput)) *shape.CreateVpcEndpointInput {
		in := &shape.CreateVpcEndpointInput{VpcId: h.Net.VpcId, ServiceName: new(s3Service)}
		change(in)
		return in
	}
	for code, in := range map[string][]*shape.CreateVpcEndpointInput{
		"InvalidParameter": {
			to(func(in *shape.CreateVpcEndpointInput) { in.ServiceName = new(ec2Service) }),
			to(func(in *shape.CreateVpcEndpointInput) { in.PrivateDnsEnabled = new(true) }),
			to(func(in *shape.CreateVpcEndpointInput) { in.IpAddressType = new("ipv6") }),
			to(func(in *shape.CreateVpcEndpointInput) {
				in.PolicyDocument = new(`{"Version":"2012-10-17","Statement":{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"*"}}`)
			}),
		},
		"InvalidParameterCombination": {
			to(func(in *shape.CreateVpcEndpointInput) { in.SubnetIds = []string{h.subnet} }),
			to(func(in *shape.CreateVpcEndpointInput) { in.SecurityGroupIds = []string{"sg-1"} }),
		},
		"InvalidServiceName":           {to(func(in *shape.CreateVpcEndpointInput) { in.ServiceName = new("com.amazonaws.us-east-1.dynamodb") })},
		"MissingParameter":             {to(func(in *shape.CreateVpcEndpointInput) { in.ServiceName = nil })},
		"InvalidRouteTableID.NotFound": {to(func(in *shape.CreateVpcEndpointInput) { in.RouteTableIds = []string{"rtb-0123456789abcdef0"} })},
	} {
		for _, one := range in {
			h.Refused(t, code, code, func() error { return ec2test.Failure(h.API.CreateVpcEndpoint(h.Ctx, one)) })
		}
	}
	h.Quotas.GatewayEndpointsPerRegion = 0
	h.Refused(t, "one too many", "VpcEndpointLimitExceeded", func() error {
		return ec2test.Failure(h.API.CreateVpcEndpoint(h.Ctx, to(func(*shape.CreateVpcEndpointInput) {})))
	})
	if out, err := h.API.DescribeVpcEndpoints(h.Ctx, &shape.DescribeVpcEndpointsInput{}); err != nil || len(out.VpcEndpoints) > 0 {
		t.Errorf("there are %+v, %v", out, err)
	}
}
