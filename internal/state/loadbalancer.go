// SPDX-License-Identifier: Apache-2.0

package state

import (
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/table"
)

// Tables of load balancers.
var (
	LoadBalancers = tagged(Balancing, table.Define[*model.LoadBalancer]("load-balancer"), "loadbalancer", "")
	// LoadBalancersByAll is to see in which regions there are any.
	LoadBalancersByAll    = byText(LoadBalancers, "all", func(*model.LoadBalancer) []string { return []string{Everything} })
	LoadBalancersByVPC    = refer(LoadBalancers, "vpc", Holds, func(b *model.LoadBalancer) []model.Ref { return siblings(b.Meta, b.VPC) }, to(VPCs))
	LoadBalancersBySubnet = refer(LoadBalancers, "subnet", Holds, func(b *model.LoadBalancer) []model.Ref { return siblings(b.Meta, b.Subnets...) }, to(Subnets))
	LoadBalancersByGroup  = refer(LoadBalancers, "group", Holds, func(b *model.LoadBalancer) []model.Ref { return siblings(b.Meta, b.Groups...) }, to(SecurityGroups))
	// LoadBalancersByName takes the name as an id; it has no case. One that is being deleted
	// has none any more.
	LoadBalancersByName = byRef(LoadBalancers, "name", func(b *model.LoadBalancer) []model.Ref {
		if b.Deleting() {
			return nil
		}
		return siblings(b.Meta, model.FoldName(b.Name))
	})

	TargetGroups      = tagged(Balancing, table.Define[*model.TargetGroup]("target-group"), "targetgroup", "")
	TargetGroupsByVPC = refer(TargetGroups, "vpc", Outlives, func(g *model.TargetGroup) []model.Ref { return siblings(g.Meta, g.VPC) }, to(VPCs))
	// TargetGroupsByName is as LoadBalancersByName.
	TargetGroupsByName = byRef(TargetGroups, "name", func(g *model.TargetGroup) []model.Ref { return siblings(g.Meta, model.FoldName(g.Name)) })
	// TargetGroupsByDraining has those first whose next target has drained first.
	TargetGroupsByDraining = table.NewTimeline(TargetGroups, "draining", (*model.TargetGroup).DrainsAt)

	Listeners = tagged(Balancing, table.Define[*model.Listener]("listener"), "listener", "")
	// ListenersByLoadBalancer finds those of a load balancer, which go with it.
	ListenersByLoadBalancer = refer(Listeners, "load-balancer", Follows, func(l *model.Listener) []model.Ref { return siblings(l.Meta, l.LoadBalancer) }, to(LoadBalancers))
	ListenersByTargetGroup  = refer(Listeners, "target-group", Holds, func(l *model.Listener) []model.Ref { return siblings(l.Meta, l.TargetGroup) }, to(TargetGroups))

	// EndpointServicesByLoadBalancer finds the endpoint service configurations that lead to a
	// load balancer.
	EndpointServicesByLoadBalancer = refer(EndpointServices, "load-balancer", Holds, func(s *model.EndpointService) []model.Ref {
		return siblings(s.Meta, s.LoadBalancers...)
	}, to(LoadBalancers))
)
