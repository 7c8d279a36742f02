// SPDX-License-Identifier: Apache-2.0

package endpointservice

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
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

// amazon is the owner of Postern's own APIs, which are those of AWS.
const amazon = "amazon"

// DescribeVpcEndpointServices lists what the caller may have endpoints to: the APIs of
// Postern itself, services that the operator registered, and endpoint services that are the
// caller's own or whose owner let it.
func (a Services) DescribeVpcEndpointServices(ctx context.Context, in *shape.DescribeVpcEndpointServicesInput) (*shape.DescribeVpcEndpointServicesOutput, error) {
	who := access.From(ctx)
	for _, r := range in.ServiceRegions {
		if !slices.Contains(a.Regions, r) {
			return nil, fault.EC2("InvalidParameterValue", "Invalid region: '%s'. The regions served here are %s", r, strings.Join(a.Regions, ", "))
		}
	}
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	all, err := a.asked(tx, who, in)
	if err != nil {
		return nil, err
	}
	query := request.Query{Filters: in.Filters, IDs: slices.Concat(in.ServiceNames, in.ServiceRegions), Token: in.NextToken, Max: in.MaxResults}
	page, next, err := request.Paginate(who, "DescribeVpcEndpointServices", query, slices.Values(all), offerFilters, offer.key)
	if err != nil {
		return nil, err
	}
	out := &shape.DescribeVpcEndpointServicesOutput{NextToken: next, ServiceNames: []string{}, ServiceDetails: []shape.ServiceDetail{}}
	for _, o := range page {
		out.ServiceNames = append(out.ServiceNames, o.Name)
		out.ServiceDetails = append(out.ServiceDetails, a.detail(who, o))
	}
	out.ServiceNames = slices.Compact(out.ServiceNames)
	return out, nil
}

// offer is a service as the type of endpoints to it makes it one of the list. One that both
// types lead to is in it twice, as S3 is on AWS.
type offer struct {
	state.Offer
	kind string
}

func (o offer) key() string { return o.Name + " " + o.kind }

// owner is who has the service: amazon or an account.
func (o offer) owner() string {
	if o.Row == nil {
		return amazon
	}
	return o.Row.Account
}

// id is that of the row; that of an own service follows from its name.
func (o offer) id() string {
	if o.Row != nil {
		return o.Row.ID
	}
	sum := sha256.Sum256([]byte(o.Name))
	return "vpce-svc-" + hex.EncodeToString(sum[:])[:17]
}

// families are the address types that endpoints can have.
func (o offer) families() []string {
	if o.Row == nil {
		return []string{shape.ServiceConnectivityTypeIpv4, shape.ServiceConnectivityTypeIpv6}
	}
	return o.Row.Families
}

// asked gives the services that a request names, or all, in the order of their keys. There
// are none of other regions: an endpoint is in the region of its service here.
func (a Services) asked(tx *table.Txn, who access.View, in *shape.DescribeVpcEndpointServicesInput) ([]offer, error) {
	var all []state.Offer
	for _, name := range in.ServiceNames {
		o, ok := view.OfferNamed(tx, who, name)
		if !ok {
			return nil, fault.EC2("InvalidServiceName", "The Vpc Endpoint Service '%s' does not exist", name)
		}
		all = append(all, o)
	}
	if len(in.ServiceRegions) > 0 && !slices.Contains(in.ServiceRegions, who.Region) {
		return nil, nil
	}
	if len(in.ServiceNames) == 0 {
		for _, own := range model.OwnServices {
			all = append(all, state.Offer{Name: own.Name(who.Region), Region: who.Region, Own: &own})
		}
		for _, s := range view.OfferedServices(tx, who) {
			all = append(all, state.Offer{Name: s.Name, Region: who.Region, Row: s})
		}
	}
	var kinds []offer
	for _, o := range all {
		for _, kind := range o.EndpointTypes() {
			kinds = append(kinds, offer{o, kind})
		}
	}
	slices.SortFunc(kinds, func(a, b offer) int { return cmp.Compare(a.key(), b.key()) })
	return slices.CompactFunc(kinds, func(a, b offer) bool { return a.key() == b.key() }), nil
}

var offerFilters = service.Filters[offer]{
	Properties: map[string]func(offer) []string{
		"owner":                      func(o offer) []string { return request.One(o.owner()) },
		"service-name":               func(o offer) []string { return request.One(o.Name) },
		"service-region":             func(o offer) []string { return request.One(o.Region) },
		"service-type":               func(o offer) []string { return request.One(o.kind) },
		"supported-ip-address-types": offer.families,
	},
	Tags: func(o offer) map[string]string {
		if o.Row == nil {
			return nil
		}
		return o.Row.Tags
	},
}

func (a Services) detail(who access.View, o offer) shape.ServiceDetail {
	d := shape.ServiceDetail{
		ServiceName: new(o.Name), ServiceId: new(o.id()), ServiceType: []shape.ServiceTypeDetail{{ServiceType: new(o.kind)}}, ServiceRegion: new(o.Region),
		Owner: new(o.owner()), AcceptanceRequired: new(o.Row != nil && o.Row.Acceptance), ManagesVpcEndpoints: new(false), VpcEndpointPolicySupported: new(o.EnforcesPolicies()),
		BaseEndpointDnsNames: []string{shown(o.Domain(a.Naming()))}, PrivateDnsNames: []shape.PrivateDnsDetails{}, SupportedIpAddressTypes: o.families(), Tags: []shape.Tag{},
	}
	d.AvailabilityZones, d.AvailabilityZoneIds = a.zones(o.Region)
	for _, n := range o.PrivateNames(a.Naming()) {
		d.PrivateDnsNames = append(d.PrivateDnsNames, shape.PrivateDnsDetails{PrivateDnsName: new(shown(n.Name))})
		if n.Wild {
			d.PrivateDnsNames = append(d.PrivateDnsNames, shape.PrivateDnsDetails{PrivateDnsName: new("*." + shown(n.Name))})
		}
	}
	if len(d.PrivateDnsNames) > 0 {
		d.PrivateDnsName = d.PrivateDnsNames[0].PrivateDnsName
		d.PrivateDnsNameVerificationState = new(shape.DnsNameStateVerified)
	}
	if o.Row != nil && who.Owns(o.Row.Account) {
		d.Tags = request.TagList(o.Row.Tags)
	}
	return d
}

// zones are where endpoints to a service can be: everywhere in its region.
func (a Services) zones(region string) (names, ids []string) {
	for _, z := range a.Zones(region) {
		names, ids = append(names, z.Name), append(ids, z.ID)
	}
	return names, ids
}

// shown is a name in normal form as EC2 tells names.
func shown(name string) string { return strings.TrimSuffix(name, model.RootName) }
