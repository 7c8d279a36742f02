// SPDX-License-Identifier: Apache-2.0

package elbv2

import (
	"cmp"
	"context"
	"slices"
	"strconv"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/elbv2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/view"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// usualDrain is for how many seconds targets that are taken away drain.
const usualDrain = 300

// CreateTargetGroup makes a target group of TCP and addresses. Asked again for one that is
// there, with the same settings, it answers with that.
func (a *API) CreateTargetGroup(ctx context.Context, in *shape.CreateTargetGroupInput) (*shape.CreateTargetGroupOutput, error) {
	who := access.From(ctx)
	g, err := a.newTargetGroup(who, in)
	if err != nil {
		return nil, err
	}
	var out shape.TargetGroup
	_, err = a.DB.Update(ctx, func(tx *table.Txn) error {
		for same := range state.TargetGroupsByName.Rows(tx, who.Own(model.FoldName(g.Name))) {
			if same.Name != g.Name || same.VPC != g.VPC || same.Port != g.Port || same.Check != g.Check {
				return fault.ELB("DuplicateTargetGroupName", "A target group with the same name '%s' exists, but with different settings", g.Name)
			}
			out = targetGroupShape(tx, same)
			return nil
		}
		if _, ok := view.Get(tx, who, state.VPCs, g.VPC); !ok {
			return invalid("VpcId: the VPC ID '%s' is not found", g.VPC)
		}
		if most := a.Quotas.TargetGroupsPerRegion; view.Count(tx, who, state.TargetGroups) >= most {
			return fault.ELB("TooManyTargetGroups", "The limit of %d target groups in this region has been reached", most)
		}
		state.TargetGroups.Put(tx, g)
		out = targetGroupShape(tx, g)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &shape.CreateTargetGroupOutput{TargetGroups: []shape.TargetGroup{out}}, nil
}

// newTargetGroup reads a request for a target group.
func (a *API) newTargetGroup(who access.View, in *shape.CreateTargetGroupInput) (*model.TargetGroup, error) {
	name := service.Value(in.Name)
	if err := checkName("Target group", name); err != nil {
		return nil, err
	}
	switch {
	case service.Value(in.TargetType) != shape.TargetTypeEnumIp:
		return nil, unserved("TargetType: %s; without one it would be instance", reasons["TargetType"])
	case in.Protocol == nil:
		return nil, invalid("A protocol must be specified: Protocol")
	case *in.Protocol != shape.ProtocolEnumTcp:
		return nil, unserved("Protocol: target groups are of TCP only, not of %s", *in.Protocol)
	case in.Port == nil:
		return nil, invalid("A port must be specified: Port")
	case in.VpcId == nil:
		return nil, invalid("A VPC ID must be specified: VpcId")
	}
	port, err := portOf("Port", in.Port)
	if err != nil {
		return nil, err
	}
	if err := refuseOthers(in, append(checkMembers, "Name", "Protocol", "Port", "VpcId", "TargetType", "Tags")...); err != nil {
		return nil, err
	}
	tags, err := makeTags(in.Tags)
	if err != nil {
		return nil, err
	}
	now := a.Now()
	g := &model.TargetGroup{
		Meta: model.Meta{Account: who.Account, Region: who.Region, ID: name + "/" + a.NewDigits(), CreatedAt: now, Tags: tags},
		Name: name, VPC: *in.VpcId, Port: port, DrainSeconds: usualDrain,
		Check: model.HealthCheck{Protocol: shape.ProtocolEnumTcp, Interval: usualInterval, Timeout: usualTimeout, Healthy: usualHealthy, Unhealthy: usualUnhealthy},
	}
	if service.Value(in.HealthCheckProtocol) == shape.ProtocolEnumHttp {
		g.Check.Timeout = usualHTTPTimeout
	}
	err = check{
		in.HealthCheckProtocol, in.HealthCheckPort, in.HealthCheckEnabled, in.HealthCheckPath,
		in.HealthCheckIntervalSeconds, in.HealthCheckTimeoutSeconds, in.HealthyThresholdCount, in.UnhealthyThresholdCount, in.Matcher,
	}.apply(&g.Check)
	return g, err
}

// portOf reads a port, which the model lets be from 1 to 65535.
func portOf(member string, port *int32) (uint16, error) {
	if p := service.Value(port); p > 0 && p <= 65535 {
		return uint16(p), nil
	}
	return 0, invalid("%s: %d is not a port from 1 to 65535", member, service.Value(port))
}

func decimal(n int) *string { return new(strconv.Itoa(n)) }

// ModifyTargetGroup changes how targets are asked.
func (a *API) ModifyTargetGroup(ctx context.Context, in *shape.ModifyTargetGroupInput) (*shape.ModifyTargetGroupOutput, error) {
	if err := refuseOthers(in, append(checkMembers, "TargetGroupArn")...); err != nil {
		return nil, err
	}
	var out shape.TargetGroup
	_, err := service.Change(ctx, a.Env, state.TargetGroups, findTargetGroup, *in.TargetGroupArn, func(tx *table.Txn, g *model.TargetGroup) error {
		err := check{
			in.HealthCheckProtocol, in.HealthCheckPort, in.HealthCheckEnabled, in.HealthCheckPath,
			in.HealthCheckIntervalSeconds, in.HealthCheckTimeoutSeconds, in.HealthyThresholdCount, in.UnhealthyThresholdCount, in.Matcher,
		}.apply(&g.Check)
		out = targetGroupShape(tx, g)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &shape.ModifyTargetGroupOutput{TargetGroups: []shape.TargetGroup{out}}, nil
}

// DeleteTargetGroup removes a target group that no listener leads to. One that does not exist
// is no error.
func (a *API) DeleteTargetGroup(ctx context.Context, in *shape.DeleteTargetGroupInput) (*shape.DeleteTargetGroupOutput, error) {
	if err := checkARN("targetgroup", "target group", *in.TargetGroupArn); err != nil {
		return nil, err
	}
	who := access.From(ctx)
	_, err := a.DB.Update(ctx, func(tx *table.Txn) error {
		g, ok := view.Get(tx, who, state.TargetGroups, idIn(who, "targetgroup", *in.TargetGroupArn))
		if !ok {
			return nil
		}
		for range state.ListenersByTargetGroup.Rows(tx, g.Ref()) {
			return fault.ELB(inUse, "Target group '%s' is currently in use by a listener or a rule", g.ARN())
		}
		state.TargetGroups.Delete(tx, g.Account, g.Region, g.ID)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &shape.DeleteTargetGroupOutput{}, nil
}

// DescribeTargetGroups lists target groups: all, those of a load balancer, or those that are
// named.
func (a *API) DescribeTargetGroups(ctx context.Context, in *shape.DescribeTargetGroupsInput) (*shape.DescribeTargetGroupsOutput, error) {
	ways := 0
	for _, given := range []bool{in.LoadBalancerArn != nil, len(in.TargetGroupArns) > 0, len(in.Names) > 0} {
		if given {
			ways++
		}
	}
	if ways > 1 {
		return nil, invalid("Only one of LoadBalancerArn, TargetGroupArns and Names can be specified")
	}
	who := access.From(ctx)
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	all := view.All(tx, who, state.TargetGroups)
	if in.LoadBalancerArn != nil {
		b, err := findBalancer(tx, who, *in.LoadBalancerArn)
		if err != nil {
			return nil, err
		}
		all = slices.Values(groupsOf(tx, b))
	}
	rows, err := chosen(in.TargetGroupArns, in.Names,
		func(arn string) (*model.TargetGroup, error) { return findTargetGroup(tx, who, arn) },
		func(name string) (*model.TargetGroup, error) {
			for g := range state.TargetGroupsByName.Rows(tx, who.Own(model.FoldName(name))) {
				return g, nil
			}
			return nil, fault.ELB("TargetGroupNotFound", "One or more target groups not found: '%s'", name)
		}, all)
	if err != nil {
		return nil, err
	}
	choice := []any{in.LoadBalancerArn, in.TargetGroupArns, in.Names}
	page, marker, err := paginate(query{who, "DescribeTargetGroups", choice, in.Marker, in.PageSize}, rows, func(g *model.TargetGroup) string { return g.ID })
	if err != nil {
		return nil, err
	}
	show := func(g *model.TargetGroup) shape.TargetGroup { return targetGroupShape(tx, g) }
	return &shape.DescribeTargetGroupsOutput{TargetGroups: service.Each(page, show), NextMarker: marker}, nil
}

// groupsOf gives the target groups that a load balancer's listeners lead to, each once.
func groupsOf(tx *table.Txn, b *model.LoadBalancer) (groups []*model.TargetGroup) {
	for l := range state.ListenersByLoadBalancer.Rows(tx, b.Ref()) {
		if g, ok := state.TargetGroups.Get(tx, l.Account, l.Region, l.TargetGroup); ok {
			groups = append(groups, g)
		}
	}
	slices.SortFunc(groups, func(a, b *model.TargetGroup) int { return cmp.Compare(a.ID, b.ID) })
	return slices.CompactFunc(groups, func(a, b *model.TargetGroup) bool { return a.ID == b.ID })
}

// balancerOf gives the load balancer that leads to a target group, which is one at most.
func balancerOf(tx *table.Txn, g *model.TargetGroup) (*model.LoadBalancer, bool) {
	for l := range state.ListenersByTargetGroup.Rows(tx, g.Ref()) {
		return state.LoadBalancers.Get(tx, l.Account, l.Region, l.LoadBalancer)
	}
	return nil, false
}

func targetGroupShape(tx *table.Txn, g *model.TargetGroup) shape.TargetGroup {
	out := shape.TargetGroup{
		TargetGroupArn: new(g.ARN()), TargetGroupName: &g.Name, Protocol: new(shape.ProtocolEnumTcp), Port: new(int32(g.Port)), VpcId: &g.VPC,
		HealthCheckProtocol: &g.Check.Protocol, HealthCheckPort: checkPort(g), HealthCheckEnabled: new(true),
		HealthCheckIntervalSeconds: new(int32(g.Check.Interval)), HealthCheckTimeoutSeconds: new(int32(g.Check.Timeout)),
		HealthyThresholdCount: new(int32(g.Check.Healthy)), UnhealthyThresholdCount: new(int32(g.Check.Unhealthy)),
		HealthCheckPath: service.Optional(g.Check.Path), LoadBalancerArns: []string{}, TargetType: new(shape.TargetTypeEnumIp), IpAddressType: new(shape.TargetGroupIpAddressTypeEnumIpv4),
	}
	if g.Check.Codes != "" {
		out.Matcher = &shape.Matcher{HttpCode: &g.Check.Codes}
	}
	if b, ok := balancerOf(tx, g); ok {
		out.LoadBalancerArns = append(out.LoadBalancerArns, b.ARN())
	}
	return out
}

func checkPort(g *model.TargetGroup) *string {
	if g.Check.Port == 0 {
		return new(trafficPort)
	}
	return decimal(int(g.Check.Port))
}
