// SPDX-License-Identifier: Apache-2.0

package elbv2

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/alloc"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/elbv2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/view"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// site is one subnet of a load balancer, as a request has it.
type site struct {
	subnet string
	addr   netip.Addr // unset for one that is chosen for it
	eni    string     // made before the transaction
}

// sites reads where a load balancer is to be: Subnets or SubnetMappings.
func (a *API) sites(subnets []string, mappings []shape.SubnetMapping) (list []site, err error) {
	switch {
	case len(subnets) > 0 && len(mappings) > 0:
		return nil, invalid("Subnets and SubnetMappings cannot both be specified")
	case len(subnets) == 0 && len(mappings) == 0:
		return nil, invalid("At least one subnet must be specified: Subnets or SubnetMappings")
	}
	for _, id := range subnets {
		list = append(list, site{subnet: id})
	}
	for i := range mappings {
		m := &mappings[i]
		if err := refuseOthers(m, "SubnetId", "PrivateIPv4Address"); err != nil {
			return nil, err
		}
		s := site{subnet: service.Value(m.SubnetId)}
		if text := service.Value(m.PrivateIPv4Address); text != "" {
			if s.addr, err = netip.ParseAddr(text); err != nil || !s.addr.Is4() {
				return nil, invalid("SubnetMappings: PrivateIPv4Address: '%s' is not an IPv4 address", text)
			}
		}
		list = append(list, s)
	}
	for i := range list {
		list[i].eni = a.NewID("eni")
		if slices.ContainsFunc(list[:i], func(s site) bool { return s.subnet == list[i].subnet }) {
			return nil, unserved("Subnets: %s is named twice", list[i].subnet)
		}
	}
	return list, nil
}

// newBalancer is a request for a load balancer, with what it needs made beforehand.
type newBalancer struct {
	in    *shape.CreateLoadBalancerInput
	who   access.View
	id    string
	sites []site
	tags  map[string]string
	now   time.Time
}

// CreateLoadBalancer makes an internal network load balancer with an interface in each of its
// subnets. Asked again for one that is there, with the same settings, it answers with that.
func (a *API) CreateLoadBalancer(ctx context.Context, in *shape.CreateLoadBalancerInput) (*shape.CreateLoadBalancerOutput, error) {
	n, err := a.newBalancer(access.From(ctx), in)
	if err != nil {
		return nil, err
	}
	var out shape.LoadBalancer
	_, err = a.DB.Update(ctx, func(tx *table.Txn) error {
		b, err := a.createBalancer(tx, n)
		if err != nil {
			return asFault(err)
		}
		out = a.balancerShape(tx, b)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &shape.CreateLoadBalancerOutput{LoadBalancers: []shape.LoadBalancer{out}}, nil
}

// newBalancer checks what can be checked without looking at anything else.
func (a *API) newBalancer(who access.View, in *shape.CreateLoadBalancerInput) (*newBalancer, error) {
	name := service.Value(in.Name)
	if err := checkName("Load balancer", name); err != nil {
		return nil, err
	}
	switch {
	case len(name) >= len("internal-") && name[:len("internal-")] == "internal-":
		return nil, invalid("Load balancer name '%s' cannot begin with 'internal-'", name)
	case service.Value(in.Type) != shape.LoadBalancerTypeEnumNetwork:
		return nil, unserved("Type: %s; without one it would be application", reasons["Type"])
	case service.Value(in.Scheme) != shape.LoadBalancerSchemeEnumInternal:
		return nil, fault.ELB("InvalidScheme", "Scheme: only internal is served, and without one it would be internet-facing; lead to a load balancer from outside with a resource gateway, or an endpoint")
	}
	if err := refuseOthers(in, "Name", "Type", "Scheme", "Subnets", "SubnetMappings", "SecurityGroups", "Tags"); err != nil {
		return nil, err
	}
	tags, err := makeTags(in.Tags)
	if err != nil {
		return nil, err
	}
	sites, err := a.sites(in.Subnets, in.SubnetMappings)
	if err != nil {
		return nil, err
	}
	return &newBalancer{in: in, who: who, id: "net/" + name + "/" + a.NewDigits(), sites: sites, tags: tags, now: a.Now()}, nil
}

// createBalancer checks the request against the state, and adds the load balancer and its
// interfaces.
func (a *API) createBalancer(tx *table.Txn, n *newBalancer) (*model.LoadBalancer, error) {
	name := *n.in.Name
	for same := range state.LoadBalancersByName.Rows(tx, n.who.Own(model.FoldName(name))) {
		if same.Name == name && sameSites(tx, same, n.sites) && sameMembers(same.Groups, n.in.SecurityGroups) {
			return same, nil
		}
		return nil, fault.ELB("DuplicateLoadBalancerName", "A load balancer with the same name '%s' exists, but with different settings", name)
	}
	if most := a.Quotas.LoadBalancersPerRegion; view.Count(tx, n.who, state.LoadBalancers) >= most {
		return nil, fault.ELB("TooManyLoadBalancers", "The limit of %d network load balancers in this region has been reached", most)
	}
	b := &model.LoadBalancer{
		Meta: model.Meta{Account: n.who.Account, Region: n.who.Region, ID: n.id, CreatedAt: n.now, Tags: n.tags}, Name: name,
	}
	subnets, err := findSubnets(tx, n.who, n.sites)
	if err != nil {
		return nil, err
	}
	b.VPC = subnets[0].VPC
	if b.Groups, err = a.checkGroups(tx, n.who, b.VPC, n.in.SecurityGroups); err != nil {
		return nil, err
	}
	if err := a.settle(tx, b, n.sites, subnets); err != nil {
		return nil, err
	}
	state.LoadBalancers.Put(tx, b)
	return b, nil
}

// sameSites reports whether a load balancer is in the subnets of a request, at its addresses.
func sameSites(tx *table.Txn, b *model.LoadBalancer, sites []site) bool {
	for _, s := range sites {
		i := slices.Index(b.Subnets, s.subnet)
		if i < 0 {
			return false
		}
		ni, ok := state.NetworkInterfaces.Get(tx, b.Account, b.Region, b.Interfaces[i])
		if !ok || s.addr.IsValid() && !slices.Contains(ni.Addresses, s.addr) {
			return false
		}
	}
	return len(sites) == len(b.Subnets)
}

func sameMembers(a, b []string) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(slices.Compact(a), slices.Compact(b))
}

// findSubnets finds the subnets of a request: the caller's own, of one VPC, in as many zones.
func findSubnets(tx *table.Txn, who access.View, sites []site) (subnets []*model.Subnet, err error) {
	for _, at := range sites {
		s, ok := view.Get(tx, who, state.Subnets, at.subnet)
		if !ok {
			return nil, fault.ELB("SubnetNotFound", "The subnet ID '%s' does not exist", at.subnet)
		}
		for _, other := range subnets {
			switch {
			case other.VPC != s.VPC:
				return nil, unserved("Subnets: %s is in %s, and %s in %s; all must be of one VPC", other.ID, other.VPC, s.ID, s.VPC)
			case other.Zone == s.Zone:
				return nil, unserved("A load balancer cannot be attached to multiple subnets in the same Availability Zone: Subnets: %s and %s are in %s", other.ID, s.ID, s.Zone)
			}
		}
		subnets = append(subnets, s)
	}
	return subnets, nil
}

// checkGroups checks the security groups of a load balancer.
func (a *API) checkGroups(tx *table.Txn, who access.View, vpc string, ids []string) ([]string, error) {
	if most := a.Quotas.GroupsPerInterface; len(ids) > most {
		return nil, unserved("SecurityGroups: %d are more than the %d that a load balancer can have", len(ids), most)
	}
	var groups []string
	for _, id := range ids {
		g, ok := view.Get(tx, who, state.SecurityGroups, id)
		switch {
		case !ok:
			return nil, fault.ELB("InvalidSecurityGroup", "One or more security groups are invalid: SecurityGroups: '%s' does not exist", id)
		case g.VPC != vpc:
			return nil, fault.ELB("InvalidSecurityGroup", "SecurityGroups: '%s' is of %s, and the load balancer in %s", id, g.VPC, vpc)
		case !slices.Contains(groups, id):
			groups = append(groups, id)
		}
	}
	return groups, nil
}

// settle gives a load balancer an interface in each of some subnets, and a transit target for
// each of these.
func (a *API) settle(tx *table.Txn, b *model.LoadBalancer, sites []site, subnets []*model.Subnet) error {
	var made []string
	for i, at := range sites {
		want := alloc.Want{Count: 1}
		if at.addr.IsValid() {
			want = alloc.Want{Addresses: []netip.Addr{at.addr}}
			b.Chosen = append(b.Chosen, at.addr)
		}
		if _, err := a.Alloc().CreateInterface(tx, alloc.Params{
			ID: at.eni, CreatedAt: a.Now(), Subnet: subnets[i], Type: model.InterfaceBalancer, Description: "ELB " + b.ID,
			Groups: b.Groups, Owner: b.ID, SourceDestCheck: true, IPv4: want,
		}); err != nil {
			return err
		}
		b.Subnets, made = append(b.Subnets, at.subnet), append(made, at.eni)
	}
	b.Interfaces = append(b.Interfaces, made...)
	targets, err := a.Alloc().Lead(tx, b.Meta, made, a.Host)
	b.Targets = append(b.Targets, targets...)
	return err
}

// SetSubnets gives a load balancer further subnets; those that it has stay.
func (a *API) SetSubnets(ctx context.Context, in *shape.SetSubnetsInput) (*shape.SetSubnetsOutput, error) {
	if err := refuseOthers(in, "LoadBalancerArn", "Subnets", "SubnetMappings"); err != nil {
		return nil, err
	}
	sites, err := a.sites(in.Subnets, in.SubnetMappings)
	if err != nil {
		return nil, err
	}
	who := access.From(ctx)
	var zones []shape.AvailabilityZone
	_, err = service.Change(ctx, a.Env, state.LoadBalancers, findBalancer, *in.LoadBalancerArn, func(tx *table.Txn, b *model.LoadBalancer) error {
		subnets, err := findSubnets(tx, who, sites)
		switch {
		case err != nil:
			return err
		case subnets[0].VPC != b.VPC:
			return fault.ELB("InvalidSubnet", "Subnets: %s is in %s, and the load balancer in %s", subnets[0].ID, subnets[0].VPC, b.VPC)
		}
		var news []site
		var at []*model.Subnet
		for i, s := range sites {
			if !slices.Contains(b.Subnets, s.subnet) {
				news, at = append(news, s), append(at, subnets[i])
			} else if !sameSites(tx, part(b, s.subnet), []site{s}) {
				return unserved("SubnetMappings: PrivateIPv4Address: the address in %s cannot be changed", s.subnet)
			}
		}
		if len(news) != len(sites)-len(b.Subnets) {
			return unserved("Subnet removal is not supported for Network Load Balancers. You must specify all existing subnets along with any new ones")
		}
		if len(news) > 0 {
			b.Update(b.UpdatedAt)
			if err := a.settle(tx, b, news, at); err != nil {
				return asFault(err)
			}
		}
		zones = zoneShapes(tx, b)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &shape.SetSubnetsOutput{AvailabilityZones: zones, IpAddressType: new(shape.IpAddressTypeIpv4)}, nil
}

// part is a load balancer in one of its subnets alone.
func part(b *model.LoadBalancer, subnet string) *model.LoadBalancer {
	c, i := b.Clone(), slices.Index(b.Subnets, subnet)
	c.Subnets, c.Interfaces = c.Subnets[i:i+1], c.Interfaces[i:i+1]
	return c
}

// SetSecurityGroups gives a load balancer other security groups.
func (a *API) SetSecurityGroups(ctx context.Context, in *shape.SetSecurityGroupsInput) (*shape.SetSecurityGroupsOutput, error) {
	if err := refuseOthers(in, "LoadBalancerArn", "SecurityGroups"); err != nil {
		return nil, err
	}
	who := access.From(ctx)
	changed, err := service.Change(ctx, a.Env, state.LoadBalancers, findBalancer, *in.LoadBalancerArn, func(tx *table.Txn, b *model.LoadBalancer) error {
		groups, err := a.checkGroups(tx, who, b.VPC, in.SecurityGroups)
		switch {
		case err != nil:
			return err
		case len(b.Groups) == 0 && len(groups) > 0:
			return unserved("SecurityGroups: load balancer '%s' was made without security groups, and cannot get some", b.Name)
		case len(b.Groups) > 0 && len(groups) == 0:
			return unserved("SecurityGroups: load balancer '%s' was made with security groups, and keeps at least one", b.Name)
		}
		b.Groups = groups
		b.Update(b.UpdatedAt)
		alloc.Regroup(tx, &b.Meta, b.Interfaces, groups)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &shape.SetSecurityGroupsOutput{SecurityGroupIds: changed.Groups, EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic: enforcement(changed)}, nil
}

// SetIpAddressType leaves the type as it is: load balancers have IPv4 addresses.
func (a *API) SetIpAddressType(ctx context.Context, in *shape.SetIpAddressTypeInput) (*shape.SetIpAddressTypeOutput, error) {
	if err := refuseOthers(in, "LoadBalancerArn"); err != nil {
		return nil, err
	}
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := findBalancer(tx, access.From(ctx), *in.LoadBalancerArn); err != nil {
		return nil, err
	}
	return &shape.SetIpAddressTypeOutput{IpAddressType: new(shape.IpAddressTypeIpv4)}, nil
}

// DeleteLoadBalancer deletes a load balancer with its listeners. One that does not exist is
// no error.
func (a *API) DeleteLoadBalancer(ctx context.Context, in *shape.DeleteLoadBalancerInput) (*shape.DeleteLoadBalancerOutput, error) {
	if err := checkARN("loadbalancer", "load balancer", *in.LoadBalancerArn); err != nil {
		return nil, err
	}
	who, now := access.From(ctx), a.Now()
	_, err := a.DB.Update(ctx, func(tx *table.Txn) error {
		b, ok := view.Get(tx, who, state.LoadBalancers, idIn(who, "loadbalancer", *in.LoadBalancerArn))
		switch {
		case !ok || b.Deleting():
			return nil
		case b.Protected:
			return fault.ELB("OperationNotPermitted", "Load balancer '%s' cannot be deleted because deletion protection is enabled", b.ARN())
		}
		for s := range state.EndpointServicesByLoadBalancer.Rows(tx, b.Ref()) {
			return fault.ELB(inUse, "Load balancer '%s' is currently associated with VPC endpoint service '%s'", b.ARN(), s.ID)
		}
		for l := range state.ListenersByLoadBalancer.Rows(tx, b.Ref()) {
			removeListener(tx, l)
		}
		service.MarkDeleted(tx, state.LoadBalancers, b, now)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &shape.DeleteLoadBalancerOutput{}, nil
}
