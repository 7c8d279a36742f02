// SPDX-License-Identifier: Apache-2.0

package endpointservice

import (
	"context"
	"slices"
	"strings"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/ec2/request"
	"github.com/posternhq/postern/internal/service/view"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// CreateVpcEndpointServiceConfiguration offers network load balancers of the caller's as a
// service that other accounts can have endpoints to, once they are allowed to.
func (a Services) CreateVpcEndpointServiceConfiguration(ctx context.Context, in *shape.CreateVpcEndpointServiceConfigurationInput) (*shape.CreateVpcEndpointServiceConfigurationOutput, error) {
	who, now := access.From(ctx), a.Now()
	fingerprint := *in
	fingerprint.ClientToken = nil
	once := a.Idempotent(who, "CreateVpcEndpointServiceConfiguration", in.ClientToken, fingerprint)
	tags, err := request.TagsFor(in.TagSpecifications, shape.ResourceTypeVpcEndpointService)
	if err != nil {
		return nil, err
	}
	fresh := &model.EndpointService{Meta: request.Meta(a.Env, who, "vpce-svc", now, tags), Acceptance: service.Or(in.AcceptanceRequired, true)}
	fresh.Name = "com.amazonaws.vpce." + who.Region + "." + fresh.ID
	c := change{addBalancers: in.NetworkLoadBalancerArns, addFamilies: in.SupportedIpAddressTypes, addRegions: in.SupportedRegions, name: service.Value(in.PrivateDnsName)}
	if len(c.addFamilies) == 0 {
		c.addFamilies = []string{shape.ServiceConnectivityTypeIpv4}
	}
	if err := c.check(who, in.GatewayLoadBalancerArns); err != nil {
		return nil, err
	}
	out, err := service.Create(ctx, once,
		func(tx *table.Txn, id string) (*model.EndpointService, error) { return configuration(tx, who, id) },
		func(tx *table.Txn) (*model.EndpointService, error) {
			if most := a.Quotas.EndpointServicesPerRegion; view.Count(tx, who, state.EndpointServices) >= most {
				return nil, fault.EC2("VpcEndpointServiceLimitExceeded", "The account has %d VPC endpoint services in this region, and can have no more.", most)
			}
			s := fresh.Clone()
			if err := a.apply(tx, who, s, c); err != nil {
				return nil, err
			}
			state.EndpointServices.Put(tx, s)
			return s, nil
		},
		func(tx *table.Txn, s *model.EndpointService) *shape.ServiceConfiguration {
			return a.configurationShape(tx, s)
		})
	if err != nil {
		return nil, request.Fault(err)
	}
	return &shape.CreateVpcEndpointServiceConfigurationOutput{ServiceConfiguration: out, ClientToken: in.ClientToken}, nil
}

// ModifyVpcEndpointServiceConfiguration changes what a service of the caller's leads to, and
// how. Endpoints that were accepted stay so when acceptance is asked for from now on.
func (a Services) ModifyVpcEndpointServiceConfiguration(ctx context.Context, in *shape.ModifyVpcEndpointServiceConfigurationInput) (*shape.ModifyVpcEndpointServiceConfigurationOutput, error) {
	who := access.From(ctx)
	c := change{
		addBalancers: in.AddNetworkLoadBalancerArns, removeBalancers: in.RemoveNetworkLoadBalancerArns, addFamilies: in.AddSupportedIpAddressTypes,
		removeFamilies: in.RemoveSupportedIpAddressTypes, addRegions: in.AddSupportedRegions, name: service.Value(in.PrivateDnsName), noName: service.Value(in.RemovePrivateDnsName),
	}
	if c.name != "" && c.noName {
		return nil, fault.EC2("InvalidParameterCombination", "PrivateDnsName and RemovePrivateDnsName do not go together")
	}
	if slices.Contains(in.RemoveSupportedRegions, who.Region) {
		return nil, fault.EC2("InvalidParameter", "%s is the region of the service, and supported always", who.Region)
	}
	if err := c.check(who, slices.Concat(in.AddGatewayLoadBalancerArns, in.RemoveGatewayLoadBalancerArns)); err != nil {
		return nil, err
	}
	_, err := a.change(ctx, service.Value(in.ServiceId), func(tx *table.Txn, s *model.EndpointService) error {
		s.Acceptance = service.Or(in.AcceptanceRequired, s.Acceptance)
		return a.apply(tx, who, s, c)
	})
	if err != nil {
		return nil, err
	}
	return &shape.ModifyVpcEndpointServiceConfigurationOutput{Return: new(true)}, nil
}

// change is what is to become of a service.
type change struct {
	addBalancers, removeBalancers, addFamilies, removeFamilies, addRegions []string
	name                                                                   string
	noName                                                                 bool
}

// check checks what can be checked without looking at anything else.
func (c change) check(who access.View, gateways []string) error {
	if len(gateways) > 0 {
		return request.Unserved("Gateway Load Balancers")
	}
	for _, r := range c.addRegions {
		if r != who.Region {
			return fault.EC2("UnsupportedOperation", "SupportedRegions: endpoints are in the region of their service here, which is %s, not in %s", who.Region, r)
		}
	}
	for _, f := range c.addFamilies {
		if f != shape.ServiceConnectivityTypeIpv4 && f != shape.ServiceConnectivityTypeIpv6 {
			return fault.EC2("InvalidParameter", "The IP address type %s is not supported: SupportedIpAddressTypes has ipv4 and ipv6", f)
		}
	}
	if c.name == "" {
		return nil
	}
	name, err := model.NormalName(strings.TrimPrefix(c.name, "*."))
	if err != nil || strings.Contains(name, `\`) || strings.Count(name, ".") < 2 {
		return fault.EC2("InvalidParameter", "The private DNS name %s is not valid", c.name)
	}
	return nil
}

// apply makes the caller's copy of a service what a change says.
func (a Services) apply(tx *table.Txn, who access.View, s *model.EndpointService, c change) error {
	for _, arn := range c.addBalancers {
		b, ok := view.BalancerNamed(tx, who, arn)
		if !ok {
			return fault.EC2("InvalidParameter", "The network load balancer %s does not exist in this account and region", arn)
		}
		if !slices.Contains(s.LoadBalancers, b.ID) {
			s.LoadBalancers = append(s.LoadBalancers, b.ID)
		}
	}
	for _, arn := range c.removeBalancers {
		b, ok := view.BalancerNamed(tx, who, arn)
		if !ok || !slices.Contains(s.LoadBalancers, b.ID) {
			return fault.EC2("InvalidParameter", "The load balancer %s is not one of the service %s", arn, s.ID)
		}
		s.LoadBalancers = slices.DeleteFunc(s.LoadBalancers, func(have string) bool { return have == b.ID })
	}
	if len(s.LoadBalancers) == 0 {
		return fault.EC2("InvalidParameter", "A VPC endpoint service must have at least one network load balancer")
	}
	s.Families = slices.DeleteFunc(slices.Concat(s.Families, c.addFamilies), func(f string) bool { return slices.Contains(c.removeFamilies, f) })
	slices.Sort(s.Families)
	s.Families = slices.Compact(s.Families)
	if len(s.Families) == 0 {
		return fault.EC2("InvalidParameter", "A VPC endpoint service must support at least one IP address type")
	}
	if err := checkFamilies(tx, s); err != nil {
		return err
	}
	switch {
	case c.noName:
		s.PrivateName, s.Verification = "", model.ServiceVerification{}
	case c.name != "" && c.name != s.PrivateName:
		// Nobody can guess the record: who puts it there was told.
		random := func() string { return strings.TrimPrefix(a.NewID(""), "-") }
		s.PrivateName, s.Verification = c.name, model.ServiceVerification{Label: "_" + random(), Value: "vpce:" + random()}
		if _, err := model.NormalName(s.RecordName()); err != nil {
			return fault.EC2("InvalidParameter", "The private DNS name %s is too long: with the label of its record in front it is no domain name", c.name)
		}
	}
	return nil
}

// checkFamilies sees that the load balancers of a service have addresses of the types that its
// endpoints can have.
func checkFamilies(tx *table.Txn, s *model.EndpointService) error {
	for _, id := range s.LoadBalancers {
		has := map[string]bool{}
		for ni := range state.NetworkInterfacesByOwner.Rows(tx, s.Sibling(id)) {
			has[shape.ServiceConnectivityTypeIpv4] = has[shape.ServiceConnectivityTypeIpv4] || len(ni.Addresses) > 0
			has[shape.ServiceConnectivityTypeIpv6] = has[shape.ServiceConnectivityTypeIpv6] || len(ni.Addresses6) > 0
		}
		for _, f := range s.Families {
			if !has[f] {
				return fault.EC2("InvalidParameter", "The IP address type %s is not supported: load balancer %s has no such addresses", f, id)
			}
		}
	}
	return nil
}

// DeleteVpcEndpointServiceConfigurations deletes services of the caller's to which no endpoint
// leads or waits to lead. Those that were rejected do not count.
func (a Services) DeleteVpcEndpointServiceConfigurations(ctx context.Context, in *shape.DeleteVpcEndpointServiceConfigurationsInput) (*shape.DeleteVpcEndpointServiceConfigurationsOutput, error) {
	who := access.From(ctx)
	var failed []shape.UnsuccessfulItem
	_, err := a.DB.Update(ctx, func(tx *table.Txn) error {
		failed = nil
		for _, id := range in.ServiceIds {
			if err := deleteConfiguration(tx, who, id); err != nil {
				failed = append(failed, unsuccessful(id, err))
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &shape.DeleteVpcEndpointServiceConfigurationsOutput{Unsuccessful: items(failed)}, nil
}

func deleteConfiguration(tx *table.Txn, who access.View, id string) error {
	s, err := configuration(tx, who, id)
	if err != nil {
		return fault.EC2("InvalidVpcEndpointService.NotFound", "The VpcEndpointService Id '%s' does not exist", id)
	}
	for e := range state.VPCEndpointsByService.Rows(tx, s.Ref()) {
		if !e.Refused() {
			return fault.EC2("ExistingVpcEndpointConnections", "Service %s has existing active VPC Endpoint connections: %s of account %s is one. Reject them first.", s.ID, e.ID, e.Account)
		}
	}
	state.EndpointServices.Delete(tx, s.Account, s.Region, s.ID)
	return nil
}

// unsuccessful tells of something that a request was not carried out for.
func unsuccessful(id string, err error) shape.UnsuccessfulItem {
	item := shape.UnsuccessfulItem{ResourceId: &id, Error: &shape.UnsuccessfulItemError{Message: new(err.Error())}}
	if f, ok := err.(*fault.Error); ok {
		item.Error.Code, item.Error.Message = &f.Code, &f.Message
	}
	return item
}

// items gives a list that is not nil.
func items(list []shape.UnsuccessfulItem) []shape.UnsuccessfulItem {
	if list == nil {
		return []shape.UnsuccessfulItem{}
	}
	return list
}

// configuration finds an endpoint service configuration of the caller's.
func configuration(tx *table.Txn, who access.View, id string) (*model.EndpointService, error) {
	s, err := request.Get(tx, who, state.EndpointServices, id)
	if err == nil && s.Registered {
		err = request.Unknown(state.EndpointServices.Kind(), id)
	}
	return s, err
}

// change changes an endpoint service configuration of the caller's.
func (a Services) change(ctx context.Context, id string, with func(*table.Txn, *model.EndpointService) error) (*model.EndpointService, error) {
	return service.Change(ctx, a.Env, state.EndpointServices, configuration, id, with)
}

// DescribeVpcEndpointServiceConfigurations lists the caller's endpoint services.
func (a Services) DescribeVpcEndpointServiceConfigurations(ctx context.Context, in *shape.DescribeVpcEndpointServiceConfigurationsInput) (*shape.DescribeVpcEndpointServiceConfigurationsOutput, error) {
	rows, tx, next, err := request.Describe(ctx, a.DB, request.Listing[*model.EndpointService]{
		Operation: "DescribeVpcEndpointServiceConfigurations", Table: state.EndpointServices, Filters: configurationFilters,
		Except: func(s *model.EndpointService) bool { return s.Registered },
	}, request.Query{Filters: in.Filters, IDs: in.ServiceIds, Token: in.NextToken, Max: in.MaxResults})
	if err != nil {
		return nil, err
	}
	out := &shape.DescribeVpcEndpointServiceConfigurationsOutput{NextToken: next, ServiceConfigurations: []shape.ServiceConfiguration{}}
	for _, s := range rows {
		out.ServiceConfigurations = append(out.ServiceConfigurations, *a.configurationShape(tx, s))
	}
	return out, nil
}

func configurationFilters(*table.Txn) service.Filters[*model.EndpointService] {
	type row = *model.EndpointService
	return service.Filters[row]{Properties: map[string]func(row) []string{
		"service-id":   func(s row) []string { return request.One(s.ID) },
		"service-name": func(s row) []string { return request.One(s.Name) },
		// The API spells the states in either way.
		"service-state": func(row) []string {
			return []string{shape.ServiceStateAvailable, strings.ToLower(shape.ServiceStateAvailable)}
		},
		"supported-ip-address-types": func(s row) []string { return s.Families },
	}}
}

func (a Services) configurationShape(tx *table.Txn, s *model.EndpointService) *shape.ServiceConfiguration {
	domain := state.Offer{Name: s.Name, Region: s.Region, Row: s}.Domain(a.Naming())
	out := &shape.ServiceConfiguration{
		ServiceType: []shape.ServiceTypeDetail{{ServiceType: new(shape.ServiceTypeInterface)}}, ServiceId: &s.ID, ServiceName: &s.Name,
		ServiceState: new(shape.ServiceStateAvailable), AcceptanceRequired: &s.Acceptance, ManagesVpcEndpoints: new(false), NetworkLoadBalancerArns: balancerARNs(tx, s),
		SupportedIpAddressTypes: s.Families, BaseEndpointDnsNames: []string{shown(domain)}, PrivateDnsName: service.Optional(s.PrivateName), Tags: request.TagList(s.Tags),
		SupportedRegions:    []shape.SupportedRegionDetail{{Region: &s.Region, ServiceState: new(shape.ServiceStateAvailable)}},
		RemoteAccessEnabled: new(false), PrivateDnsNameConfiguration: verification(s),
	}
	if s.OwnerPays {
		out.PayerResponsibility = new(shape.PayerResponsibilityServiceOwner)
	}
	out.AvailabilityZones, out.AvailabilityZoneIds = a.zones(s.Region)
	return out
}

func balancerARNs(tx *table.Txn, s *model.EndpointService) []string {
	arns := []string{}
	for _, id := range s.LoadBalancers {
		if b, ok := state.LoadBalancers.Get(tx, s.Account, s.Region, id); ok {
			arns = append(arns, b.ARN())
		}
	}
	return arns
}

// ModifyVpcEndpointServicePayerResponsibility notes that the owner of a service pays for its
// endpoints. Nobody pays anything here; it is told as it was said.
func (a Services) ModifyVpcEndpointServicePayerResponsibility(ctx context.Context, in *shape.ModifyVpcEndpointServicePayerResponsibilityInput) (*shape.ModifyVpcEndpointServicePayerResponsibilityOutput, error) {
	_, err := a.change(ctx, service.Value(in.ServiceId), func(_ *table.Txn, s *model.EndpointService) error {
		s.OwnerPays = true // the only value that there is
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &shape.ModifyVpcEndpointServicePayerResponsibilityOutput{ReturnValue: new(true)}, nil
}
