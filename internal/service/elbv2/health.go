// SPDX-License-Identifier: Apache-2.0

package elbv2

import (
	"context"
	"net/netip"
	"slices"

	"github.com/posternhq/postern/internal/access"
	shape "github.com/posternhq/postern/internal/aws/shape/elbv2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// DescribeTargetHealth says how the targets of a group are, or those that are named.
func (a *API) DescribeTargetHealth(ctx context.Context, in *shape.DescribeTargetHealthInput) (*shape.DescribeTargetHealthOutput, error) {
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	g, err := findTargetGroup(tx, access.From(ctx), *in.TargetGroupArn)
	if err != nil {
		return nil, err
	}
	out := &shape.DescribeTargetHealthOutput{TargetHealthDescriptions: []shape.TargetHealthDescription{}}
	if len(in.Targets) == 0 {
		for _, t := range g.Targets {
			out.TargetHealthDescriptions = append(out.TargetHealthDescriptions, a.healthShape(tx, g, t, true))
		}
	}
	for i := range in.Targets {
		t, err := described(g, &in.Targets[i])
		if err != nil {
			return nil, err
		}
		at, is := slices.BinarySearchFunc(g.Targets, t, model.BalancedTarget.Compare)
		if is {
			t = g.Targets[at]
		}
		out.TargetHealthDescriptions = append(out.TargetHealthDescriptions, a.healthShape(tx, g, t, is))
	}
	return out, nil
}

func (a *API) healthShape(tx *table.Txn, g *model.TargetGroup, t model.BalancedTarget, registered bool) shape.TargetHealthDescription {
	zone, port := everyZone, int(g.Check.Port)
	if !t.Anywhere {
		zone = state.ZoneAt(tx, g.Sibling(g.VPC), t.Addr)
	}
	if port == 0 {
		port = int(t.Port)
	}
	return shape.TargetHealthDescription{
		Target:          &shape.TargetDescription{Id: new(t.Addr.String()), Port: new(int32(t.Port)), AvailabilityZone: service.Optional(zone)},
		HealthCheckPort: decimal(port), TargetHealth: a.health(tx, g, t, zone, registered),
	}
}

// health is how a target is:
// https://docs.aws.amazon.com/elasticloadbalancing/latest/network/target-group-health-checks.html
func (a *API) health(tx *table.Txn, g *model.TargetGroup, t model.BalancedTarget, zone string, registered bool) *shape.TargetHealth {
	say := func(code, reason, text string) *shape.TargetHealth {
		return &shape.TargetHealth{State: &code, Reason: service.Optional(reason), Description: service.Optional(text)}
	}
	b, used := balancerOf(tx, g)
	switch {
	case !registered:
		return say(shape.TargetHealthStateEnumUnused, shape.TargetHealthReasonEnumTargetNotRegistered, "Target is not registered to the target group")
	case t.Draining():
		return say(shape.TargetHealthStateEnumDraining, shape.TargetHealthReasonEnumTargetDeregistrationInProgress, "Target deregistration is in progress")
	case !used:
		return say(shape.TargetHealthStateEnumUnused, shape.TargetHealthReasonEnumTargetNotInUse, "Target group is not configured to receive traffic from the load balancer")
	case !t.Anywhere && !g.CrossesZones(b) && !slices.ContainsFunc(b.Targets, func(at model.TransitTarget) bool { return at.Zone == zone }):
		return say(shape.TargetHealthStateEnumUnused, shape.TargetHealthReasonEnumTargetNotInUse, "Target is in an Availability Zone that is not enabled for the load balancer")
	}
	known := false
	for _, f := range a.findings(g, t) {
		if f.Unhealthy { // from one of the addresses is enough
			return say(shape.TargetHealthStateEnumUnhealthy, shape.TargetHealthReasonEnumTargetFailedHealthChecks, service.Or(service.Optional(f.Why), "Health checks failed"))
		}
		known = known || f.Healthy
	}
	if known {
		return say(shape.TargetHealthStateEnumHealthy, "", "")
	}
	return say(shape.TargetHealthStateEnumInitial, shape.TargetHealthReasonEnumElbInitialHealthChecking, "Initial health checks in progress")
}

// findings are those of one target.
func (a *API) findings(g *model.TargetGroup, t model.BalancedTarget) (of []Finding) {
	if a.Findings == nil {
		return nil
	}
	for _, f := range a.Findings(g.ID) {
		if f.At == netip.AddrPortFrom(t.Addr, t.Port) {
			of = append(of, f)
		}
	}
	return of
}
