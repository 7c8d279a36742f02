// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
)

// deriveInterfaceEndpoint leads the addresses of an endpoint of type Interface to its service,
// unless the service's owner has not accepted it. Addresses that it has given up are free when
// nothing leads from them. Its value is where the ways begin.
func (r *reading) deriveInterfaceEndpoint(ep *model.VPCEndpoint, d derived) derived {
	for ni := range state.NetworkInterfacesByOwner.Rows(r.tx, ep.Ref()) {
		d.subjects = append(d.subjects, r.released(ni.Ref())...)
	}
	if ep.Deleting() || !ep.Accepted() || len(ep.Interfaces) == 0 {
		return d
	}
	offer, ok := state.OfferOf(r.tx, ep)
	if !ok {
		d.problem = "its service " + ep.ServiceName + " is gone"
		return d
	}
	vpc := ep.Sibling(ep.VPC)
	consumer, ok := valueOf[network](r, unitVPC, vpc)
	if !ok {
		return d
	}
	from := entrances{vpc: vpc}
	for _, is4 := range []bool{true, false} {
		doors := r.interfaceDoors(ep, is4)
		if len(doors) == 0 {
			continue
		}
		res := r.behind(ep, offer, is4)
		if res.problem != "" || len(res.targets) == 0 {
			d.problem = res.problem
			continue
		}
		r.open(&d, &from, doors, consumer, res)
	}
	if from.doors != nil {
		d.value = from
	}
	return d
}

// behind is what the doors of an interface endpoint lead to, in one family.
func (r *reading) behind(ep *model.VPCEndpoint, offer state.Offer, is4 bool) *resource {
	if offer.Fronted() {
		return r.fronted(ep, is4)
	}
	return r.balanced(offer.Row, is4)
}

// interfaceDoors are the addresses of an interface endpoint that are of a family.
func (r *reading) interfaceDoors(ep *model.VPCEndpoint, is4 bool) (doors []door) {
	for _, id := range ep.Interfaces {
		ni, ok := state.NetworkInterfaces.Get(r.tx, ep.Account, ep.Region, id)
		if !ok {
			continue
		}
		for _, addr := range ni.All() {
			if addr.Is4() == is4 {
				doors = append(doors, door{addr, ni.Zone, ni.ID, ep.ID})
			}
		}
	}
	return doors
}

// serviceZone is the zone of the regional and zonal names of all interface endpoints, which
// every VPC sees: they are public names, wherever they point
// (https://docs.aws.amazon.com/vpc/latest/privatelink/privatelink-access-aws-services.html).
func (r *reading) serviceZone() desired.NameZone {
	return desired.NameZone{ID: serviceNames, Name: model.ServiceNames(r.plan.domains.Endpoints), Negative: endpointNegative, Public: true}
}

// serviceNames is the identifier of the zone of serviceZone.
const serviceNames = "interface-endpoints"

// leads reports whether an endpoint to a service is to lead there from anywhere.
func leads(ep *model.VPCEndpoint) bool {
	if ep.Type == model.EndpointGateway {
		return len(ep.RouteTables) > 0
	}
	return len(ep.Interfaces) > 0
}

// deriveCalled gives the names of an endpoint to a service the addresses from which there is a
// way: the regional and the zonal ones of one of type Interface, and in its own VPC those of
// its service, if it wants them. They are not there before packets have got through for the first time, since the
// endpoint was accepted where somebody is asked. Until then the
// names of a service go on leading where they led, to which clients may have connections.
func (r *reading) deriveCalled(ref model.Ref) derived {
	ep, ok := state.VPCEndpoints.Get(r.tx, ref.Account, ref.Region, ref.ID)
	if !ok || !ep.ToService() || ep.Deleting() || !r.named() {
		return derived{}
	}
	waiting := derived{value: false} // with a value it is derived again when there is more
	status, ok := state.Statuses.Get(r.tx, ref.Account, ref.Region, ref.ID)
	offer, there := state.OfferOf(r.tx, ep)
	if !ok || !there || !ep.Accepted() || !leads(ep) {
		return waiting
	}
	if got := status.State == model.StatusReady && status.Generation >= ep.Generation; !got && status.Names.State == model.StatusUnsaid {
		return waiting
	}
	d := derived{subjects: []standing{newStanding(SubjectNames, ep.NamesRef(), stamp(ep.CreatedAt, ep.UpdatedAt), false)}}
	w, _ := valueOf[entrances](r, unitEndpoint, ref)
	if ep.Type == model.EndpointGateway && w.doors == nil {
		return waiting // no subnet has a route
	}
	for _, name := range r.privateNames(ep, offer) {
		d.entries = append(d.entries, r.serviceName(ep, name, w.doors)...)
	}
	if ep.Type == model.EndpointGateway {
		return d
	}
	zone, domain := r.serviceZone(), offer.Domain(r.plan.domains.naming())
	named := newNamedAddresses(zone.ID, ep.DNSRecordType)
	for _, door := range w.doors {
		named.add(ep.NameIn(domain), door)
		named.add(ep.ZonalNameIn(domain, door.Zone), door)
	}
	d.entries = append(append(d.entries, named.records()...), zone)
	switch {
	case len(w.doors) == 0:
		d.problem = "nothing has the names: no address of the endpoint leads to its service"
	case len(named.all) == 0:
		d.problem = "nothing has the names: the endpoint has no addresses of the kind of records that it is to have, " + ep.DNSRecordType
	}
	return d
}

// privateNames are the names of its service that an endpoint wants to have in its VPC.
func (r *reading) privateNames(ep *model.VPCEndpoint, offer state.Offer) []state.ServiceName {
	if !ep.HasPrivateNames() {
		return nil
	}
	return offer.PrivateNames(r.plan.domains.naming())
}

// serviceName gives a name of a service the doors of an endpoint, in a zone of the endpoint
// that its VPC alone sees.
func (r *reading) serviceName(ep *model.VPCEndpoint, name state.ServiceName, doors []desired.ZoneAddr) []desired.Entry {
	zone, entries := r.privateZone(ep, name.Name)
	if entries == nil {
		return nil
	}
	named := newNamedAddresses(zone, ep.DNSRecordType)
	for _, door := range doors {
		named.add(name.Name, door)
		if name.Wild {
			named.add(model.WildcardLabel+"."+name.Name, door)
		}
	}
	return append(entries, named.records()...)
}
