// SPDX-License-Identifier: Apache-2.0

package elbv2

import (
	"context"
	"slices"
	"strings"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/elbv2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/view"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// DescribeLoadBalancers lists load balancers, or shows those that are named.
func (a *API) DescribeLoadBalancers(ctx context.Context, in *shape.DescribeLoadBalancersInput) (*shape.DescribeLoadBalancersOutput, error) {
	if len(in.LoadBalancerArns) > 0 && len(in.Names) > 0 {
		return nil, invalid("Load balancer names and load balancer ARNs cannot be specified at the same time")
	}
	who := access.From(ctx)
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := chosen(in.LoadBalancerArns, in.Names,
		func(arn string) (*model.LoadBalancer, error) { return findBalancer(tx, who, arn) },
		func(name string) (*model.LoadBalancer, error) {
			for b := range state.LoadBalancersByName.Rows(tx, who.Own(model.FoldName(name))) {
				return b, nil
			}
			return nil, fault.ELB("LoadBalancerNotFound", "Load balancers '[%s]' not found", name)
		}, view.All(tx, who, state.LoadBalancers))
	if err != nil {
		return nil, err
	}
	rows = slices.DeleteFunc(rows, func(b *model.LoadBalancer) bool { return b.Deleting() })
	page, marker, err := paginate(query{who, "DescribeLoadBalancers", [][]string{in.LoadBalancerArns, in.Names}, in.Marker, in.PageSize}, rows, func(b *model.LoadBalancer) string { return b.ID })
	if err != nil {
		return nil, err
	}
	show := func(b *model.LoadBalancer) shape.LoadBalancer { return a.balancerShape(tx, b) }
	return &shape.DescribeLoadBalancersOutput{LoadBalancers: service.Each(page, show), NextMarker: marker}, nil
}

func (a *API) balancerShape(tx *table.Txn, b *model.LoadBalancer) shape.LoadBalancer {
	domain := model.BalancerDomain(b.Region, a.Suffix)
	out := shape.LoadBalancer{
		LoadBalancerArn: new(b.ARN()), LoadBalancerName: &b.Name, CreatedTime: &b.CreatedAt, VpcId: &b.VPC,
		DNSName: new(strings.TrimSuffix(b.NameIn(domain), model.RootName)), CanonicalHostedZoneId: new(model.EndpointZoneID(domain)),
		Scheme: new(shape.LoadBalancerSchemeEnumInternal), Type: new(shape.LoadBalancerTypeEnumNetwork), IpAddressType: new(shape.IpAddressTypeIpv4),
		State: balancerState(tx, b), AvailabilityZones: zoneShapes(tx, b), SecurityGroups: b.Groups,
		EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic: enforcement(b),
		EnablePrefixForIpv6SourceNat:                         new(shape.EnablePrefixForIpv6SourceNatEnumOff),
	}
	return out
}

// enforcement says of a load balancer with security groups that they are not asked about
// connections by endpoints.
func enforcement(b *model.LoadBalancer) *string {
	if len(b.Groups) == 0 {
		return nil
	}
	return new(shape.EnforceSecurityGroupInboundRulesOnPrivateLinkTrafficEnumOff)
}

// balancerState is where a load balancer stands. One that was changed stays active.
func balancerState(tx *table.Txn, b *model.LoadBalancer) *shape.LoadBalancerState {
	status, _ := state.Statuses.Get(tx, b.Account, b.Region, b.ID)
	life := model.LifecycleOf(&b.Meta, status)
	code := shape.LoadBalancerStateEnumActive
	switch life {
	case model.Pending:
		code = shape.LoadBalancerStateEnumProvisioning
	case model.Failed:
		code = shape.LoadBalancerStateEnumFailed
	case model.UpdateFailed:
		code = shape.LoadBalancerStateEnumActiveImpaired
	}
	out := &shape.LoadBalancerState{Code: &code}
	if life.InError() {
		out.Reason = &status.Reason
	}
	return out
}

// zoneShapes shows the zones of a load balancer, with the addresses that users chose.
func zoneShapes(tx *table.Txn, b *model.LoadBalancer) []shape.AvailabilityZone {
	zones := []shape.AvailabilityZone{}
	for i, id := range b.Interfaces {
		ni, ok := state.NetworkInterfaces.Get(tx, b.Account, b.Region, id)
		if !ok {
			continue
		}
		zone := shape.AvailabilityZone{ZoneName: &ni.Zone, SubnetId: &b.Subnets[i], LoadBalancerAddresses: []shape.LoadBalancerAddress{}}
		for _, addr := range ni.Addresses {
			if slices.Contains(b.Chosen, addr) {
				zone.LoadBalancerAddresses = append(zone.LoadBalancerAddresses, shape.LoadBalancerAddress{PrivateIPv4Address: new(addr.String())})
			}
		}
		zones = append(zones, zone)
	}
	return zones
}

// DescribeAccountLimits shows the quotas of the account in the region.
func (a *API) DescribeAccountLimits(ctx context.Context, in *shape.DescribeAccountLimitsInput) (*shape.DescribeAccountLimitsOutput, error) {
	limit := func(name string, most int) shape.Limit { return shape.Limit{Name: &name, Max: decimal(most)} }
	q := a.Quotas
	limits := []shape.Limit{
		limit("application-load-balancers", 0), limit("gateway-load-balancers", 0), limit("network-load-balancers", q.LoadBalancersPerRegion),
		limit("listeners-per-network-load-balancer", q.ListenersPerLoadBalancer), limit("target-groups", q.TargetGroupsPerRegion),
		limit("targets-per-network-load-balancer", q.TargetsPerTargetGroup), limit("target-groups-per-action-on-network-load-balancer", 1),
	}
	page, marker, err := paginate(query{access.From(ctx), "DescribeAccountLimits", nil, in.Marker, in.PageSize}, limits, func(l shape.Limit) string { return *l.Name })
	if err != nil {
		return nil, err
	}
	return &shape.DescribeAccountLimitsOutput{Limits: page, NextMarker: marker}, nil
}
