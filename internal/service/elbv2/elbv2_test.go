// SPDX-License-Identifier: Apache-2.0

package elbv2_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/posternhq/postern/internal/aws/fault"
	ec2shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	shape "github.com/posternhq/postern/internal/aws/shape/elbv2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/ec2/ec2test"
	"github.com/posternhq/postern/internal/service/elbv2"
	"github.com/posternhq/postern/internal/service/servicetest"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// world is Elastic Load Balancing with a VPC of two subnets in as many zones.
type world struct {
	*ec2test.Network
	t       *testing.T
	elb     *elbv2.API
	subnets []string
}

func newWorld(t *testing.T) *world {
	w := &world{Network: ec2test.NewNetwork(t), t: t}
	w.elb = &elbv2.API{Env: w.Env}
	for i, zone := range []string{"a", "b"} {
		w.subnets = append(w.subnets, w.AddSubnet(t, w.Net, zone, []string{"10.0.1.0/24", "10.0.2.0/24"}[i], -1))
	}
	return w
}

// get gives the answer of a call that must not fail.
func get[T any](t *testing.T, out T, err error) T {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// refused wants a call to fail with a code, and the message to name a field.
func (w *world) refused(what, code, field string, _ any, err error) {
	w.t.Helper()
	if !fault.Is(err, code) || !strings.Contains(err.Error(), field) {
		w.t.Errorf("%s: got %v, want %s that names %q", what, err, code, field)
	}
}

func newBalancer(subnets ...string) *shape.CreateLoadBalancerInput {
	return &shape.CreateLoadBalancerInput{
		Name: new("shop"), Type: new(shape.LoadBalancerTypeEnumNetwork), Scheme: new(shape.LoadBalancerSchemeEnumInternal), Subnets: subnets,
	}
}

func newTargetGroup(vpc string) *shape.CreateTargetGroupInput {
	return &shape.CreateTargetGroupInput{
		Name: new("shop"), Protocol: new(shape.ProtocolEnumTcp), Port: new(int32(8443)), VpcId: &vpc, TargetType: new(shape.TargetTypeEnumIp),
	}
}

func (w *world) balancer() shape.LoadBalancer {
	w.t.Helper()
	out, err := w.elb.CreateLoadBalancer(w.Ctx, newBalancer(w.subnets...))
	return get(w.t, out, err).LoadBalancers[0]
}

func (w *world) group() shape.TargetGroup {
	w.t.Helper()
	out, err := w.elb.CreateTargetGroup(w.Ctx, newTargetGroup(*w.Net.VpcId))
	return get(w.t, out, err).TargetGroups[0]
}

func forward(group *string) []shape.Action {
	return []shape.Action{{Type: new(shape.ActionTypeEnumForward), TargetGroupArn: group}}
}

func (w *world) listener(balancer, group *string, port int32) shape.Listener {
	w.t.Helper()
	out, err := w.elb.CreateListener(w.Ctx, &shape.CreateListenerInput{LoadBalancerArn: balancer, Protocol: new(shape.ProtocolEnumTcp), Port: &port, DefaultActions: forward(group)})
	return get(w.t, out, err).Listeners[0]
}

// health gives the state of a target and the reason.
func (w *world) health(group *string, id string) string {
	w.t.Helper()
	out, err := w.elb.DescribeTargetHealth(w.Ctx, &shape.DescribeTargetHealthInput{TargetGroupArn: group, Targets: []shape.TargetDescription{{Id: &id}}})
	h := get(w.t, out, err).TargetHealthDescriptions[0].TargetHealth
	return *h.State + " " + service.Value(h.Reason)
}

// TestSameRequestGivesTheSame: creations are idempotent by the name, as on AWS; other settings
// are another one's.
func TestSameRequestGivesTheSame(t *testing.T) {
	w := newWorld(t)
	b, g := w.balancer(), w.group()
	if again := w.balancer(); *again.LoadBalancerArn != *b.LoadBalancerArn {
		t.Errorf("got %s, want the one that is there", *again.LoadBalancerArn)
	}
	if again := w.group(); *again.TargetGroupArn != *g.TargetGroupArn {
		t.Errorf("got %s, want the one that is there", *again.TargetGroupArn)
	}
	l := w.listener(b.LoadBalancerArn, g.TargetGroupArn, 443)
	if again := w.listener(b.LoadBalancerArn, g.TargetGroupArn, 443); *again.ListenerArn != *l.ListenerArn {
		t.Errorf("got %s, want the one that is there", *again.ListenerArn)
	}
	other, err := w.elb.CreateLoadBalancer(w.Ctx, newBalancer(w.subnets[0]))
	w.refused("fewer subnets", "DuplicateLoadBalancerName", "shop", other, err)
	in := newTargetGroup(*w.Net.VpcId)
	in.Port = new(int32(80))
	group, err := w.elb.CreateTargetGroup(w.Ctx, in)
	w.refused("another port", "DuplicateTargetGroupName", "shop", group, err)
}

// TestWhatIsNotServedIsRefused: nothing is accepted and forgotten.
func TestWhatIsNotServedIsRefused(t *testing.T) {
	w := newWorld(t)
	for field, c := range map[string]struct {
		code   string
		change func(*shape.CreateLoadBalancerInput)
	}{
		"Type":               {"InvalidConfigurationRequest", func(in *shape.CreateLoadBalancerInput) { in.Type = nil }},
		"Scheme":             {"InvalidScheme", func(in *shape.CreateLoadBalancerInput) { in.Scheme = nil }},
		"IpAddressType":      {"InvalidConfigurationRequest", func(in *shape.CreateLoadBalancerInput) { in.IpAddressType = new("dualstack") }},
		"hyphen":             {"ValidationError", func(in *shape.CreateLoadBalancerInput) { in.Name = new("-shop") }},
		"Subnets":            {"ValidationError", func(in *shape.CreateLoadBalancerInput) { in.Subnets = nil }},
		"subnet-none":        {"SubnetNotFound", func(in *shape.CreateLoadBalancerInput) { in.Subnets = []string{"subnet-none"} }},
		"SecurityGroups":     {"InvalidSecurityGroup", func(in *shape.CreateLoadBalancerInput) { in.SecurityGroups = []string{"sg-none"} }},
		"AllocationId":       {"InvalidConfigurationRequest", mapped(func(m *shape.SubnetMapping) { m.AllocationId = new("eipalloc-1") })},
		"PrivateIPv4Address": {"InvalidConfigurationRequest", mapped(func(m *shape.SubnetMapping) { m.PrivateIPv4Address = new("10.9.9.9") })},
	} {
		in := newBalancer(w.subnets...)
		c.change(in)
		for i := range in.SubnetMappings {
			in.SubnetMappings[i].SubnetId = &w.subnets[i]
		}
		out, err := w.elb.CreateLoadBalancer(w.Ctx, in)
		w.refused("load balancer with another "+field, c.code, field, out, err)
	}
	for field, change := range map[string]func(*shape.CreateTargetGroupInput){
		"TargetType":                 func(in *shape.CreateTargetGroupInput) { in.TargetType = nil },
		"Protocol":                   func(in *shape.CreateTargetGroupInput) { in.Protocol = new("UDP") },
		"HealthCheckEnabled":         func(in *shape.CreateTargetGroupInput) { in.HealthCheckEnabled = new(false) },
		"HealthCheckPort":            func(in *shape.CreateTargetGroupInput) { in.HealthCheckPort = new("no") },
		"HealthCheckTimeoutSeconds":  func(in *shape.CreateTargetGroupInput) { in.HealthCheckTimeoutSeconds = new(int32(60)) },
		"HealthCheckIntervalSeconds": func(in *shape.CreateTargetGroupInput) { in.HealthCheckIntervalSeconds = new(int32(4)) },
		"VpcId":                      func(in *shape.CreateTargetGroupInput) { in.VpcId = new("vpc-none") },
	} {
		in := newTargetGroup(*w.Net.VpcId)
		change(in)
		if out, err := w.elb.CreateTargetGroup(w.Ctx, in); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("target group with another %s: got %v, %v", field, out, err)
		}
	}
	tx := w.DB.Snapshot()
	if n := state.LoadBalancers.CountScope(tx, servicetest.Account, servicetest.Region) + state.TargetGroups.CountScope(tx, servicetest.Account, servicetest.Region) +
		state.NetworkInterfaces.CountScope(tx, servicetest.Account, servicetest.Region); n > 0 {
		t.Errorf("there are %d rows of what was refused", n)
	}
}

func mapped(change func(*shape.SubnetMapping)) func(*shape.CreateLoadBalancerInput) {
	return func(in *shape.CreateLoadBalancerInput) {
		in.Subnets, in.SubnetMappings = nil, []shape.SubnetMapping{{}}
		change(&in.SubnetMappings[0])
	}
}

// TestInterfacesAreTheBalancers: EC2 shows them as AWS does, and nobody else changes them.
func TestInterfacesAreTheBalancers(t *testing.T) {
	w := newWorld(t)
	b := w.balancer()
	id := strings.SplitAfter(*b.LoadBalancerArn, "loadbalancer/")[1]
	out, err := w.API.DescribeNetworkInterfaces(w.Ctx, &ec2shape.DescribeNetworkInterfacesInput{Filters: ec2test.Filter("description", "ELB "+id)})
	list := get(t, out, err).NetworkInterfaces
	if len(list) != 2 {
		t.Fatalf("got %d interfaces, want 2", len(list))
	}
	ni := list[0]
	if *ni.InterfaceType != "network_load_balancer" || !*ni.RequesterManaged || *ni.RequesterId != "amazon-elb" || *ni.Attachment.InstanceOwnerId != "amazon-aws" {
		t.Errorf("got type %s, requester %s, owner %s", *ni.InterfaceType, *ni.RequesterId, *ni.Attachment.InstanceOwnerId)
	}
	if err := ec2test.Failure(w.API.DeleteNetworkInterface(w.Ctx, &ec2shape.DeleteNetworkInterfaceInput{NetworkInterfaceId: ni.NetworkInterfaceId})); err == nil {
		t.Error("an interface of a load balancer was deleted")
	}
}

// TestWhatIsInUseStays: a target group with a listener, and a load balancer that a service
// leads to, or that is protected.
func TestWhatIsInUseStays(t *testing.T) {
	w := newWorld(t)
	b, g := w.balancer(), w.group()
	w.listener(b.LoadBalancerArn, g.TargetGroupArn, 443)
	gone, err := w.elb.DeleteTargetGroup(w.Ctx, &shape.DeleteTargetGroupInput{TargetGroupArn: g.TargetGroupArn})
	w.refused("target group with a listener", "ResourceInUse", *g.TargetGroupArn, gone, err)
	id := strings.SplitAfter(*b.LoadBalancerArn, "loadbalancer/")[1]
	meta := model.Meta{Account: servicetest.Account, Region: servicetest.Region, ID: "vpce-svc-1"}
	w.Put(t, func(tx *table.Txn) {
		state.EndpointServices.Put(tx, &model.EndpointService{Meta: meta, Name: "com.amazonaws.vpce.us-east-1.vpce-svc-1", LoadBalancers: []string{id}})
	})
	remove := &shape.DeleteLoadBalancerInput{LoadBalancerArn: b.LoadBalancerArn}
	out, err := w.elb.DeleteLoadBalancer(w.Ctx, remove)
	w.refused("load balancer of a service", "ResourceInUse", "vpce-svc-1", out, err)
	w.Put(t, func(tx *table.Txn) { state.EndpointServices.Delete(tx, meta.Account, meta.Region, meta.ID) })
	protect := func(value string) {
		_, err := w.elb.ModifyLoadBalancerAttributes(w.Ctx, &shape.ModifyLoadBalancerAttributesInput{
			LoadBalancerArn: b.LoadBalancerArn, Attributes: []shape.LoadBalancerAttribute{{Key: new("deletion_protection.enabled"), Value: &value}},
		})
		get(t, 0, err)
	}
	protect("true")
	out, err = w.elb.DeleteLoadBalancer(w.Ctx, remove)
	w.refused("protected load balancer", "OperationNotPermitted", "deletion protection", out, err)
	protect("false")
	for range 2 { // the second time it is no error
		get(t, out, ec2test.Failure(w.elb.DeleteLoadBalancer(w.Ctx, remove)))
	}
	get(t, gone, ec2test.Failure(w.elb.DeleteTargetGroup(w.Ctx, &shape.DeleteTargetGroupInput{TargetGroupArn: g.TargetGroupArn})))
}

// TestTargetsDrain: what is taken away is shown as draining where connections may go on.
func TestTargetsDrain(t *testing.T) {
	w := newWorld(t)
	b, g := w.balancer(), w.group()
	target := []shape.TargetDescription{{Id: new("10.0.1.10")}}
	add := func() {
		t.Helper()
		get(t, 0, ec2test.Failure(w.elb.RegisterTargets(w.Ctx, &shape.RegisterTargetsInput{TargetGroupArn: g.TargetGroupArn, Targets: target})))
	}
	remove := func() {
		t.Helper()
		get(t, 0, ec2test.Failure(w.elb.DeregisterTargets(w.Ctx, &shape.DeregisterTargetsInput{TargetGroupArn: g.TargetGroupArn, Targets: target})))
	}
	want := func(when, health string) {
		t.Helper()
		if got := w.health(g.TargetGroupArn, "10.0.1.10"); got != health {
			t.Errorf("%s: it is %s, want %s", when, got, health)
		}
	}
	want("before", "unused Target.NotRegistered")
	add()
	want("without a listener", "unused Target.NotInUse")
	remove()
	want("taken away without a listener", "unused Target.NotRegistered")
	w.listener(b.LoadBalancerArn, g.TargetGroupArn, 443)
	add()
	want("with one", "initial Elb.InitialHealthChecking")
	remove()
	want("taken away", "draining Target.DeregistrationInProgress")
	add()
	want("back", "initial Elb.InitialHealthChecking")
}

// TestTargetsAreWhereTheyCanBe refuses what nothing can answer at, and what is in another zone
// than it says.
func TestTargetsAreWhereTheyCanBe(t *testing.T) {
	w := newWorld(t)
	b, g := w.balancer(), w.group()
	tx := w.DB.Snapshot()
	own := ""
	for ni := range state.NetworkInterfaces.Scope(tx, servicetest.Account, servicetest.Region) {
		own = ni.Addresses[0].String()
	}
	for what, c := range map[string]struct{ id, zone, field string }{
		"the router's address":   {"10.0.0.1", "", "Id"},
		"the balancer's address": {own, "", "Id"},
		"a public address":       {"198.51.100.1", "all", "Id"},
		"an address of IPv6":     {"2001:db8::1", "", "Id"},
		"one outside":            {"192.168.1.1", "", "AvailabilityZone"},
		"another zone":           {"10.0.1.10", "us-east-1b", "AvailabilityZone"},
	} {
		in := &shape.RegisterTargetsInput{TargetGroupArn: g.TargetGroupArn, Targets: []shape.TargetDescription{{Id: new("10.0.2.10")}, {Id: &c.id, AvailabilityZone: service.Optional(c.zone)}}}
		if _, err := w.elb.RegisterTargets(w.Ctx, in); err == nil || !strings.Contains(err.Error(), c.field) {
			t.Errorf("%s: got %v, want an error that names %s", what, err, c.field)
		}
	}
	if got := w.health(g.TargetGroupArn, "10.0.2.10"); !strings.Contains(got, "NotRegistered") {
		t.Errorf("a target that was refused with another one is %s", got)
	}
	get(t, 0, ec2test.Failure(w.elb.RegisterTargets(w.Ctx, &shape.RegisterTargetsInput{TargetGroupArn: g.TargetGroupArn, Targets: []shape.TargetDescription{{Id: new("192.168.1.1"), AvailabilityZone: new("all")}}})))
	other := w.group2("other")
	w.listener(b.LoadBalancerArn, g.TargetGroupArn, 443)
	w.listener(b.LoadBalancerArn, other.TargetGroupArn, 80)
	out, err := w.elb.DescribeTargetGroups(w.Ctx, &shape.DescribeTargetGroupsInput{LoadBalancerArn: b.LoadBalancerArn})
	if names := service.Each(get(t, out, err).TargetGroups, func(g shape.TargetGroup) string { return *g.TargetGroupName }); !slices.Equal(names, []string{"other", "shop"}) {
		t.Errorf("the load balancer leads to %v", names)
	}
}

func (w *world) group2(name string) shape.TargetGroup {
	in := newTargetGroup(*w.Net.VpcId)
	in.Name = &name
	out, err := w.elb.CreateTargetGroup(w.Ctx, in)
	return get(w.t, out, err).TargetGroups[0]
}

// TestOneBalancerForAGroup, and one listener for a port.
func TestOneBalancerForAGroup(t *testing.T) {
	w := newWorld(t)
	b, g := w.balancer(), w.group()
	l := w.listener(b.LoadBalancerArn, g.TargetGroupArn, 443)
	in := newBalancer(w.subnets...)
	in.Name = new("second")
	second, err := w.elb.CreateLoadBalancer(w.Ctx, in)
	arn := get(t, second, err).LoadBalancers[0].LoadBalancerArn
	out, err := w.elb.CreateListener(w.Ctx, &shape.CreateListenerInput{LoadBalancerArn: arn, Protocol: new("TCP"), Port: new(int32(443)), DefaultActions: forward(g.TargetGroupArn)})
	w.refused("a group of another load balancer", "TargetGroupAssociationLimit", *g.TargetGroupArn, out, err)
	w.listener(b.LoadBalancerArn, w.group2("other").TargetGroupArn, 80)
	changed, err := w.elb.ModifyListener(w.Ctx, &shape.ModifyListenerInput{ListenerArn: l.ListenerArn, Port: new(int32(80))})
	w.refused("a port that is taken", "DuplicateListener", "port", changed, err)
	out, err = w.elb.CreateListener(w.Ctx, &shape.CreateListenerInput{LoadBalancerArn: arn, Protocol: new("TLS"), Port: new(int32(443)), DefaultActions: forward(g.TargetGroupArn)})
	w.refused("TLS", "UnsupportedProtocol", "Protocol", out, err)
}

// TestHealthIsWhatTheHostFinds: one address that finds a target unhealthy is enough, and one
// in a zone without the load balancer is not used.
func TestHealthIsWhatTheHostFinds(t *testing.T) {
	w := newWorld(t)
	out, err := w.elb.CreateLoadBalancer(w.Ctx, newBalancer(w.subnets[0]))
	b, g := get(t, out, err).LoadBalancers[0], w.group()
	w.listener(b.LoadBalancerArn, g.TargetGroupArn, 443)
	get(t, 0, ec2test.Failure(w.elb.RegisterTargets(w.Ctx, &shape.RegisterTargetsInput{TargetGroupArn: g.TargetGroupArn, Targets: []shape.TargetDescription{
		{Id: new("10.0.1.10")}, {Id: new("10.0.1.11")}, {Id: new("10.0.1.12")}, {Id: new("10.0.2.10")},
	}})))
	at := netip.MustParseAddrPort
	w.elb.Findings = func(group string) []elbv2.Finding {
		if !strings.HasSuffix(*g.TargetGroupArn, "/"+group) {
			t.Errorf("asked about %s, want the id of %s", group, *g.TargetGroupArn)
		}
		return []elbv2.Finding{
			{At: at("10.0.1.10:8443"), Healthy: true}, {At: at("10.0.1.10:8444"), Unhealthy: true},
			{At: at("10.0.1.11:8443"), Healthy: true}, {At: at("10.0.1.11:8443"), Unhealthy: true, Why: "refused"}, {At: at("10.0.1.12:8443")},
		}
	}
	for id, want := range map[string]string{
		"10.0.1.10": "healthy ", "10.0.1.11": "unhealthy Target.FailedHealthChecks", "10.0.1.12": "initial Elb.InitialHealthChecking", "10.0.2.10": "unused Target.NotInUse",
	} {
		if got := w.health(g.TargetGroupArn, id); got != want {
			t.Errorf("%s is %q, want %q", id, got, want)
		}
	}
}
