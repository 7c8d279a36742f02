// SPDX-License-Identifier: Apache-2.0

package route53

import (
	"cmp"
	"context"
	"slices"
	"strconv"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/route53"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/view"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// zonesPerPage is how many zones the lists give at once.
const zonesPerPage = 100

// ListHostedZones lists the caller's zones in the order of their ids. A marker is the id
// of the first zone of the next page.
func (a *API) ListHostedZones(ctx context.Context, in *shape.ListHostedZonesInput) (*shape.ListHostedZonesOutput, error) {
	size, err := pageSize("MaxItems", in.MaxItems, zonesPerPage)
	if err != nil {
		return nil, err
	}
	if in.DelegationSetId != nil {
		return nil, noSuchDelegationSet(*in.DelegationSetId)
	}
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	marker := bareID(zonePrefix, service.Value(in.Marker))
	out := &shape.ListHostedZonesOutput{
		HostedZones: []shape.HostedZone{}, Marker: new(service.Value(in.Marker)), MaxItems: new(strconv.Itoa(size)), IsTruncated: new(false),
	}
	for zone := range view.All(tx, access.From(ctx), state.HostedZones) {
		if zone.ID < marker {
			continue
		}
		if len(out.HostedZones) == size {
			out.IsTruncated, out.NextMarker = new(true), new(zone.ID)
			break
		}
		out.HostedZones = append(out.HostedZones, *zoneShape(tx, zone))
	}
	return out, nil
}

// compareZones is the order of names as Route 53 lists them, then of ids.
func compareZones(a, b *model.HostedZone) int {
	return cmp.Or(cmp.Compare(model.ReversedName(a.Name), model.ReversedName(b.Name)), cmp.Compare(a.ID, b.ID))
}

// ListHostedZonesByName lists the caller's zones in the order of their reversed names, from
// a name on, or from a zone of that name on.
func (a *API) ListHostedZonesByName(ctx context.Context, in *shape.ListHostedZonesByNameInput) (*shape.ListHostedZonesByNameOutput, error) {
	size, err := pageSize("MaxItems", in.MaxItems, zonesPerPage)
	if err != nil {
		return nil, err
	}
	from := &model.HostedZone{Meta: model.Meta{ID: bareID(zonePrefix, service.Value(in.HostedZoneId))}}
	switch {
	case in.DNSName != nil:
		if from.Name, err = model.NormalName(*in.DNSName); err != nil {
			return nil, fault.Route53("InvalidDomainName", "%s", fatal(err))
		}
	case in.HostedZoneId != nil:
		return nil, invalidInput("HostedZoneId cannot be specified without DNSName.")
	}
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	zones := slices.SortedFunc(view.All(tx, access.From(ctx), state.HostedZones), compareZones)
	if in.DNSName != nil {
		first, _ := slices.BinarySearchFunc(zones, from, compareZones)
		zones = zones[first:]
	}
	out := &shape.ListHostedZonesByNameOutput{
		HostedZones: []shape.HostedZone{}, DNSName: in.DNSName, HostedZoneId: in.HostedZoneId, MaxItems: new(strconv.Itoa(size)), IsTruncated: new(len(zones) > size),
	}
	if len(zones) > size {
		out.NextDNSName, out.NextHostedZoneId = new(zones[size].Name), new(zones[size].ID)
		zones = zones[:size]
	}
	for _, zone := range zones {
		out.HostedZones = append(out.HostedZones, *zoneShape(tx, zone))
	}
	return out, nil
}

// latticeService is whose zones are those of endpoints' private domains: the principal of
// the service that makes them on AWS. Those of interface endpoints are linkService's.
const (
	latticeService = "vpc-lattice.amazonaws.com"
	linkService    = "vpce.amazonaws.com"
)

// seenZones gives the zones that a VPC is associated with in the order of their ids: hosted
// zones, and those that VPC Lattice has for the private domains of endpoints. These can be
// seen here alone.
func (a *API) seenZones(tx *table.Txn, vpc model.Ref) []shape.HostedZoneSummary {
	var all []shape.HostedZoneSummary
	for z := range state.HostedZonesByVPC.Rows(tx, vpc) {
		all = append(all, shape.HostedZoneSummary{HostedZoneId: new(z.ID), Name: new(z.Name), Owner: &shape.HostedZoneOwner{OwningAccount: new(z.Account)}})
	}
	for _, d := range state.PrivateDomains(tx, a.Naming(), vpc) {
		if d.LeftOut != "" {
			continue
		}
		owner := latticeService
		if d.Endpoint.Type == model.EndpointInterface {
			owner = linkService
		}
		all = append(all, shape.HostedZoneSummary{
			HostedZoneId: new(model.EndpointZoneID(d.Endpoint.PrivateZone(d.Domain))), Name: new(d.Domain), Owner: &shape.HostedZoneOwner{OwningService: &owner},
		})
	}
	slices.SortFunc(all, func(a, b shape.HostedZoneSummary) int { return cmp.Compare(*a.HostedZoneId, *b.HostedZoneId) })
	return all
}

// ListHostedZonesByVPC lists the zones that a VPC of the caller's sees, other accounts'
// and services' too.
func (a *API) ListHostedZonesByVPC(ctx context.Context, in *shape.ListHostedZonesByVPCInput) (*shape.ListHostedZonesByVPCOutput, error) {
	size, err := pageSize("MaxItems", in.MaxItems, zonesPerPage)
	if err != nil {
		return nil, err
	}
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	who := access.From(ctx)
	vpc, ok := view.InRegion(tx, who, state.VPCs, *in.VPCRegion, *in.VPCId)
	if !ok {
		return nil, fault.Route53("AccessDenied", "The VPC %s in region %s is not owned by you.", *in.VPCId, *in.VPCRegion)
	}
	page := service.NewPage(who, "ListHostedZonesByVPC", []string{*in.VPCRegion, *in.VPCId}, in.NextToken, new(int32(size)), zonesPerPage)
	zones, next, err := service.Paginate(page, slices.Values(a.seenZones(tx, vpc.Ref())), func(z shape.HostedZoneSummary) string { return *z.HostedZoneId })
	if err != nil {
		return nil, asFault(err)
	}
	out := &shape.ListHostedZonesByVPCOutput{HostedZoneSummaries: zones, MaxItems: new(strconv.Itoa(size)), NextToken: service.Optional(next)}
	if zones == nil {
		out.HostedZoneSummaries = []shape.HostedZoneSummary{}
	}
	return out, nil
}
