// SPDX-License-Identifier: Apache-2.0

package elbv2

import (
	"context"
	"slices"
	"strconv"

	"github.com/posternhq/postern/internal/access"
	shape "github.com/posternhq/postern/internal/aws/shape/elbv2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// attribute is one setting of a kind of rows that has a key.
type attribute[T any] struct {
	key string
	get func(T) string
	// set is nil for one that cannot be changed, and then why says why.
	set func(row T, value string) error
	why string
}

// pair is a setting as requests and answers have it.
type pair struct{ key, value string }

// apply puts settings into a row.
func apply[T any](known []attribute[T], row T, pairs []pair) error {
	for _, p := range pairs {
		i := slices.IndexFunc(known, func(a attribute[T]) bool { return a.key == p.key })
		switch {
		case i < 0:
			return invalid("Attributes: the attribute key '%s' is not recognized", p.key)
		case known[i].set != nil:
			if err := known[i].set(row, p.value); err != nil {
				return err
			}
		case known[i].get(row) != p.value:
			return unserved("Attributes: '%s' is '%s' and cannot be '%s': %s", p.key, known[i].get(row), p.value, known[i].why)
		}
	}
	return nil
}

// yes is a setting that is true or false.
func yes[T any](key string, at func(T) *bool) attribute[T] {
	return attribute[T]{key: key, get: func(row T) string { return strconv.FormatBool(*at(row)) }, set: func(row T, value string) error {
		if value != "true" && value != "false" {
			return invalid("Attributes: '%s' must be 'true' or 'false', not '%s'", key, value)
		}
		*at(row) = value == "true"
		return nil
	}}
}

// not is yes of a row that has the opposite.
func not[T any](key string, at func(T) *bool) attribute[T] {
	a := yes(key, at)
	return attribute[T]{key: key, get: func(row T) string { return strconv.FormatBool(!*at(row)) }, set: func(row T, value string) error {
		if err := a.set(row, value); err != nil {
			return err
		}
		*at(row) = !*at(row)
		return nil
	}}
}

// fixed is a setting that has one value.
func fixed[T any](key, value, why string) attribute[T] {
	return attribute[T]{key: key, get: func(T) string { return value }, why: why}
}

const (
	noLogs     = "there is no S3 here; connections are on record in the flow of the endpoint and in the audit log"
	noAffinity = "names are answered with all addresses, whoever asks"
	noShift    = "there is no Application Recovery Controller here"
	noProxy    = "no process is in the way that could write the header"
	noSticky   = "clients come by a load balancer's address"
	noFailover = "names are answered with all addresses of the load balancer, whatever its targets do"
	failsOpen  = "connections go to all targets when none answers"
	noClient   = "targets see the load balancer's address"
)

// balancerAttributes are those of
// https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_LoadBalancerAttribute.html
var balancerAttributes = []attribute[*model.LoadBalancer]{
	fixed[*model.LoadBalancer]("access_logs.s3.bucket", "", noLogs),
	fixed[*model.LoadBalancer]("access_logs.s3.enabled", "false", noLogs),
	fixed[*model.LoadBalancer]("access_logs.s3.prefix", "", noLogs),
	yes("deletion_protection.enabled", func(b *model.LoadBalancer) *bool { return &b.Protected }),
	fixed[*model.LoadBalancer]("dns_record.client_routing_policy", "any_availability_zone", noAffinity),
	fixed[*model.LoadBalancer]("ipv6.deny_all_igw_traffic", "false", "load balancers have IPv4 addresses only"),
	yes("load_balancing.cross_zone.enabled", func(b *model.LoadBalancer) *bool { return &b.CrossZone }),
	fixed[*model.LoadBalancer]("secondary_ips.auto_assigned.per_subnet", "0", "a load balancer has one address in a subnet"),
	fixed[*model.LoadBalancer]("zonal_shift.config.enabled", "false", noShift),
}

// groupAttributes are those of
// https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_TargetGroupAttribute.html
var groupAttributes = []attribute[*model.TargetGroup]{
	yes("deregistration_delay.connection_termination.enabled", func(g *model.TargetGroup) *bool { return &g.CutDrained }),
	{
		key: "deregistration_delay.timeout_seconds", get: func(g *model.TargetGroup) string { return strconv.Itoa(g.DrainSeconds) },
		set: func(g *model.TargetGroup, value string) error {
			n, err := strconv.Atoi(value)
			if err != nil || n < 0 || n > 3600 {
				return invalid("Attributes: 'deregistration_delay.timeout_seconds' must be from '0' to '3600', not '%s'", value)
			}
			g.DrainSeconds = n
			return nil
		},
	},
	{
		key: "load_balancing.cross_zone.enabled", get: func(g *model.TargetGroup) string {
			return service.Or(service.Optional(g.CrossZone), model.CrossZoneAsBalancer)
		},
		set: func(g *model.TargetGroup, value string) error {
			switch value {
			case model.CrossZoneOn, model.CrossZoneOff:
				g.CrossZone = value
			case model.CrossZoneAsBalancer:
				g.CrossZone = ""
			default:
				return invalid("Attributes: 'load_balancing.cross_zone.enabled' must be 'true', 'false' or '%s', not '%s'", model.CrossZoneAsBalancer, value)
			}
			return nil
		},
	},
	fixed[*model.TargetGroup]("preserve_client_ip.enabled", "false", noClient),
	fixed[*model.TargetGroup]("proxy_protocol_v2.enabled", "false", noProxy),
	fixed[*model.TargetGroup]("stickiness.enabled", "false", noSticky),
	fixed[*model.TargetGroup]("stickiness.type", "source_ip", noSticky),
	fixed[*model.TargetGroup]("target_group_health.dns_failover.minimum_healthy_targets.count", "1", noFailover),
	fixed[*model.TargetGroup]("target_group_health.dns_failover.minimum_healthy_targets.percentage", "off", noFailover),
	fixed[*model.TargetGroup]("target_group_health.unhealthy_state_routing.minimum_healthy_targets.count", "1", failsOpen),
	fixed[*model.TargetGroup]("target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage", "off", failsOpen),
	not("target_health_state.unhealthy.connection_termination.enabled", func(g *model.TargetGroup) *bool { return &g.KeepUnhealthy }),
	fixed[*model.TargetGroup]("target_health_state.unhealthy.draining_interval_seconds", "0", "what does not answer gets no new connections at once"),
}

// listenerAttributes are those of
// https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_ListenerAttribute.html
var listenerAttributes = []attribute[*model.Listener]{
	fixed[*model.Listener]("tcp.idle_timeout.seconds", "350", "how long connections may be idle is the same for all that is served here"),
}

// DescribeLoadBalancerAttributes shows the settings of a load balancer.
func (a *API) DescribeLoadBalancerAttributes(ctx context.Context, in *shape.DescribeLoadBalancerAttributesInput) (*shape.DescribeLoadBalancerAttributesOutput, error) {
	list, err := settings(ctx, a, findBalancer, *in.LoadBalancerArn, balancerAttributes, balancerPair)
	return &shape.DescribeLoadBalancerAttributesOutput{Attributes: list}, err
}

// ModifyLoadBalancerAttributes changes settings of a load balancer.
func (a *API) ModifyLoadBalancerAttributes(ctx context.Context, in *shape.ModifyLoadBalancerAttributesInput) (*shape.ModifyLoadBalancerAttributesOutput, error) {
	pairs := service.Each(in.Attributes, func(p shape.LoadBalancerAttribute) pair { return pair{service.Value(p.Key), service.Value(p.Value)} })
	list, err := set(ctx, a, state.LoadBalancers, findBalancer, *in.LoadBalancerArn, balancerAttributes, pairs, balancerPair)
	return &shape.ModifyLoadBalancerAttributesOutput{Attributes: list}, err
}

// DescribeTargetGroupAttributes shows the settings of a target group.
func (a *API) DescribeTargetGroupAttributes(ctx context.Context, in *shape.DescribeTargetGroupAttributesInput) (*shape.DescribeTargetGroupAttributesOutput, error) {
	list, err := settings(ctx, a, findTargetGroup, *in.TargetGroupArn, groupAttributes, groupPair)
	return &shape.DescribeTargetGroupAttributesOutput{Attributes: list}, err
}

// ModifyTargetGroupAttributes changes settings of a target group.
func (a *API) ModifyTargetGroupAttributes(ctx context.Context, in *shape.ModifyTargetGroupAttributesInput) (*shape.ModifyTargetGroupAttributesOutput, error) {
	pairs := service.Each(in.Attributes, func(p shape.TargetGroupAttribute) pair { return pair{service.Value(p.Key), service.Value(p.Value)} })
	list, err := set(ctx, a, state.TargetGroups, findTargetGroup, *in.TargetGroupArn, groupAttributes, pairs, groupPair)
	return &shape.ModifyTargetGroupAttributesOutput{Attributes: list}, err
}

// DescribeListenerAttributes shows the settings of a listener.
func (a *API) DescribeListenerAttributes(ctx context.Context, in *shape.DescribeListenerAttributesInput) (*shape.DescribeListenerAttributesOutput, error) {
	list, err := settings(ctx, a, findListener, *in.ListenerArn, listenerAttributes, listenerPair)
	return &shape.DescribeListenerAttributesOutput{Attributes: list}, err
}

// ModifyListenerAttributes changes settings of a listener.
func (a *API) ModifyListenerAttributes(ctx context.Context, in *shape.ModifyListenerAttributesInput) (*shape.ModifyListenerAttributesOutput, error) {
	pairs := service.Each(in.Attributes, func(p shape.ListenerAttribute) pair { return pair{service.Value(p.Key), service.Value(p.Value)} })
	list, err := set(ctx, a, state.Listeners, findListener, *in.ListenerArn, listenerAttributes, pairs, listenerPair)
	return &shape.ModifyListenerAttributesOutput{Attributes: list}, err
}

func balancerPair(p pair) shape.LoadBalancerAttribute {
	return shape.LoadBalancerAttribute{Key: &p.key, Value: &p.value}
}
func groupPair(p pair) shape.TargetGroupAttribute {
	return shape.TargetGroupAttribute{Key: &p.key, Value: &p.value}
}
func listenerPair(p pair) shape.ListenerAttribute {
	return shape.ListenerAttribute{Key: &p.key, Value: &p.value}
}

// settings shows those of the row that an ARN names.
func settings[T, S any](ctx context.Context, a *API, find service.Finder[T, string], arn string, known []attribute[T], show func(pair) S) ([]S, error) {
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	row, err := find(tx, access.From(ctx), arn)
	if err != nil {
		return nil, err
	}
	return shown(known, row, show), nil
}

func shown[T, S any](known []attribute[T], row T, show func(pair) S) []S {
	return service.Each(known, func(at attribute[T]) S { return show(pair{at.key, at.get(row)}) })
}

// set changes settings of the row that an ARN names, all or none, and shows them all.
func set[T state.Resource[T], S any](ctx context.Context, a *API, rows *table.Table[T], find service.Finder[T, string], arn string, known []attribute[T], pairs []pair, show func(pair) S) ([]S, error) {
	row, err := service.Change(ctx, a.Env, rows, find, arn, func(_ *table.Txn, row T) error { return apply(known, row, pairs) })
	if err != nil {
		return nil, err
	}
	return shown(known, row, show), nil
}
