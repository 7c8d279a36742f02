// SPDX-License-Identifier: Apache-2.0

package elbv2

import (
	"context"
	"slices"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/elbv2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/view"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// CreateListener has a load balancer listen at a port. Asked again for a listener that is
// there, it answers with that.
func (a *API) CreateListener(ctx context.Context, in *shape.CreateListenerInput) (*shape.CreateListenerOutput, error) {
	if err := refuseOthers(in, "LoadBalancerArn", "Protocol", "Port", "DefaultActions", "Tags"); err != nil {
		return nil, err
	}
	if in.Protocol == nil || in.Port == nil {
		return nil, invalid("A listener protocol and a port must be specified: Protocol, Port")
	}
	port, err := listensAt(in.Protocol, in.Port)
	if err != nil {
		return nil, err
	}
	group, err := forwardedTo(in.DefaultActions)
	if err != nil {
		return nil, err
	}
	tags, err := makeTags(in.Tags)
	if err != nil {
		return nil, err
	}
	who, now, digits := access.From(ctx), a.Now(), a.NewDigits()
	var out shape.Listener
	_, err = a.DB.Update(ctx, func(tx *table.Txn) error {
		b, err := findBalancer(tx, who, *in.LoadBalancerArn)
		if err != nil {
			return err
		}
		l := &model.Listener{
			Meta:         model.Meta{Account: b.Account, Region: b.Region, ID: b.ID + "/" + digits, CreatedAt: now, Tags: tags},
			LoadBalancer: b.ID, Port: port,
		}
		if err := lead(tx, who, b, l, group); err != nil {
			return err
		}
		for same := range state.ListenersByLoadBalancer.Rows(tx, b.Ref()) {
			switch {
			case same.Port == port && same.TargetGroup == l.TargetGroup:
				out = listenerShape(same)
				return nil
			case same.Port == port:
				return duplicate(b)
			}
		}
		if most := a.Quotas.ListenersPerLoadBalancer; state.ListenersByLoadBalancer.Count(tx, b.Ref()) >= most {
			return fault.ELB("TooManyListeners", "The limit of %d listeners of load balancer '%s' has been reached", most, b.ARN())
		}
		state.Listeners.Put(tx, l)
		out = listenerShape(l)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &shape.CreateListenerOutput{Listeners: []shape.Listener{out}}, nil
}

func duplicate(b *model.LoadBalancer) error {
	return fault.ELB("DuplicateListener", "A listener already exists on this port for this load balancer '%s'", b.ARN())
}

// listensAt reads what a listener is to listen at; a protocol that is not given stays.
func listensAt(protocol *string, port *int32) (uint16, error) {
	if p := service.Or(protocol, shape.ProtocolEnumTcp); p != shape.ProtocolEnumTcp {
		return 0, fault.ELB("UnsupportedProtocol", "Protocol: listeners speak TCP only, not %s; TLS goes through to the targets", p)
	}
	return portOf("Port", port)
}

// forwardedTo reads the actions of a listener, which are one: to forward to one target group.
func forwardedTo(actions []shape.Action) (arn string, err error) {
	if len(actions) != 1 {
		return "", fault.ELB("TooManyActions", "DefaultActions: a listener of a network load balancer has exactly one action, not %d", len(actions))
	}
	action := &actions[0]
	if service.Value(action.Type) != shape.ActionTypeEnumForward {
		return "", fault.ELB("InvalidLoadBalancerAction", "DefaultActions: Type: listeners of network load balancers forward, and do nothing else")
	}
	if err := refuseOthers(action, "Type", "TargetGroupArn", "Order", "ForwardConfig"); err != nil {
		return "", err
	}
	named := service.Value(action.TargetGroupArn)
	if f := action.ForwardConfig; f != nil {
		sticky := f.TargetGroupStickinessConfig
		switch {
		case len(f.TargetGroups) > 1:
			return "", unserved("DefaultActions: ForwardConfig: TargetGroups: a listener forwards to one target group here")
		case sticky != nil && service.Value(sticky.Enabled):
			return "", unserved("DefaultActions: ForwardConfig: TargetGroupStickinessConfig: there is one target group, so nothing to stick to")
		case len(f.TargetGroups) == 1:
			arn = service.Value(f.TargetGroups[0].TargetGroupArn)
		}
	}
	switch {
	case arn == "":
		arn = named
	case named != "" && named != arn:
		return "", invalid("DefaultActions: TargetGroupArn and ForwardConfig name different target groups")
	}
	if arn == "" {
		return "", invalid("DefaultActions: a target group ARN must be specified: TargetGroupArn")
	}
	return arn, nil
}

// lead has a listener lead to a target group, which no other load balancer does.
func lead(tx *table.Txn, who access.View, b *model.LoadBalancer, l *model.Listener, arn string) error {
	g, err := findTargetGroup(tx, who, arn)
	if err != nil {
		return err
	}
	if g.VPC != b.VPC {
		return unserved("DefaultActions: target group '%s' is in %s, and the load balancer in %s", arn, g.VPC, b.VPC)
	}
	if other, ok := balancerOf(tx, g); ok && other.ID != b.ID {
		return fault.ELB("TargetGroupAssociationLimit", "The following target groups cannot be associated with more than one load balancer: %s", arn)
	}
	l.TargetGroup = g.ID
	return nil
}

// ModifyListener has a listener listen at another port, or lead to another target group.
func (a *API) ModifyListener(ctx context.Context, in *shape.ModifyListenerInput) (*shape.ModifyListenerOutput, error) {
	if err := refuseOthers(in, "ListenerArn", "Protocol", "Port", "DefaultActions"); err != nil {
		return nil, err
	}
	who := access.From(ctx)
	changed, err := service.Change(ctx, a.Env, state.Listeners, findListener, *in.ListenerArn, func(tx *table.Txn, l *model.Listener) error {
		b, ok := state.LoadBalancers.Get(tx, l.Account, l.Region, l.LoadBalancer)
		if !ok {
			return fault.ELB("LoadBalancerNotFound", "Load balancer of listener '%s' not found", l.ARN())
		}
		port, err := listensAt(in.Protocol, new(service.Or(in.Port, int32(l.Port))))
		if err != nil {
			return err
		}
		if in.DefaultActions != nil {
			group, err := forwardedTo(in.DefaultActions)
			if err != nil {
				return err
			}
			if err := lead(tx, who, b, l, group); err != nil {
				return err
			}
		}
		for other := range state.ListenersByLoadBalancer.Rows(tx, b.Ref()) {
			if other.Port == port && other.ID != l.ID {
				return duplicate(b)
			}
		}
		l.Port = port
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &shape.ModifyListenerOutput{Listeners: []shape.Listener{listenerShape(changed)}}, nil
}

// DeleteListener has a load balancer listen no more.
func (a *API) DeleteListener(ctx context.Context, in *shape.DeleteListenerInput) (*shape.DeleteListenerOutput, error) {
	who := access.From(ctx)
	_, err := a.DB.Update(ctx, func(tx *table.Txn) error {
		l, err := findListener(tx, who, *in.ListenerArn)
		if err != nil {
			return err
		}
		removeListener(tx, l)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &shape.DeleteListenerOutput{}, nil
}

func removeListener(tx *table.Txn, l *model.Listener) {
	state.Listeners.Delete(tx, l.Account, l.Region, l.ID)
}

// DescribeListeners lists the listeners of a load balancer, or shows those that are named.
func (a *API) DescribeListeners(ctx context.Context, in *shape.DescribeListenersInput) (*shape.DescribeListenersOutput, error) {
	if (in.LoadBalancerArn == nil) == (len(in.ListenerArns) == 0) {
		return nil, invalid("You must specify either listener ARNs or a load balancer ARN: ListenerArns, LoadBalancerArn")
	}
	who := access.From(ctx)
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	all := view.All(tx, who, state.Listeners)
	if in.LoadBalancerArn != nil {
		b, err := findBalancer(tx, who, *in.LoadBalancerArn)
		if err != nil {
			return nil, err
		}
		all = state.ListenersByLoadBalancer.Rows(tx, b.Ref())
	}
	rows, err := chosen(in.ListenerArns, nil, func(arn string) (*model.Listener, error) { return findListener(tx, who, arn) }, nil, all)
	if err != nil {
		return nil, err
	}
	page, marker, err := paginate(query{who, "DescribeListeners", []any{in.LoadBalancerArn, in.ListenerArns}, in.Marker, in.PageSize}, slices.Clone(rows), func(l *model.Listener) string { return l.ID })
	if err != nil {
		return nil, err
	}
	return &shape.DescribeListenersOutput{Listeners: service.Each(page, listenerShape), NextMarker: marker}, nil
}

func listenerShape(l *model.Listener) shape.Listener {
	b, g := model.LoadBalancer{Meta: l.Meta}, model.TargetGroup{Meta: l.Meta}
	b.ID, g.ID = l.LoadBalancer, l.TargetGroup
	group := g.ARN()
	return shape.Listener{
		ListenerArn: new(l.ARN()), LoadBalancerArn: new(b.ARN()), Port: new(int32(l.Port)), Protocol: new(shape.ProtocolEnumTcp),
		DefaultActions: []shape.Action{{
			Type: new(shape.ActionTypeEnumForward), TargetGroupArn: &group, Order: new(int32(1)),
			ForwardConfig: &shape.ForwardActionConfig{TargetGroups: []shape.TargetGroupTuple{{TargetGroupArn: &group}}},
		}},
	}
}
