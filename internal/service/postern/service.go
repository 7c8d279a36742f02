// SPDX-License-Identifier: Apache-2.0

package postern

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/authority"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/postern"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/view"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// RegisterService has something that answers at addresses be a service that every account of
// the region can have interface endpoints to.
func (a *API) RegisterService(ctx context.Context, in *shape.RegisterServiceInput) (*shape.RegisterServiceOutput, error) {
	who := access.From(ctx)
	s, err := a.newService(who, in)
	if err != nil {
		return nil, err
	}
	var out shape.RegisteredService
	_, err = a.DB.Update(ctx, func(tx *table.Txn) error {
		if err := a.checkService(tx, s); err != nil {
			return err
		}
		if err := leadToBalancers(tx, who, s, in.LoadBalancerArns); err != nil {
			return err
		}
		state.EndpointServices.Put(tx, s)
		out = a.registeredService(tx, s)
		return nil
	})
	return (*shape.RegisterServiceOutput)(&out), err
}

// newService checks what can be checked without looking at anything else.
func (a *API) newService(who access.View, in *shape.RegisterServiceInput) (*model.EndpointService, error) {
	now := a.Now()
	s := &model.EndpointService{
		Meta: model.Meta{Account: who.Account, Region: who.Region, ID: a.NewID("vpce-svc"), CreatedAt: now, UpdatedAt: now, Tags: in.Tags},
		Name: strings.ToLower(*in.Name), Registered: true,
	}
	if err := service.CheckTagMap(in.Tags); err != nil {
		return nil, fault.Validation("tags", "%v", err)
	}
	if err := a.checkServiceName(s); err != nil {
		return nil, err
	}
	for i, t := range in.Targets {
		target, err := serviceTarget(fmt.Sprintf("targets.%d", i), t)
		if err != nil {
			return nil, err
		}
		if slices.Contains(s.Targets, target) {
			return nil, fault.Validation(fmt.Sprintf("targets.%d", i), "%s is named twice", targetText(target))
		}
		s.Targets = append(s.Targets, target)
	}
	if err := setServicePorts(s, in); err != nil {
		return nil, err
	}
	return s, a.setPrivateName(s, in)
}

// takenNames begins the names of endpoint service configurations.
const takenNames = "com.amazonaws.vpce."

// checkServiceName sees that a name is one, and that neither it nor its label is that of a
// service which is always there.
func (a *API) checkServiceName(s *model.EndpointService) error {
	labels := strings.Split(s.Name, ".")
	for _, l := range labels {
		if l == "" || len(l) > 63 || strings.Trim(l, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" || l[0] == '-' || l[len(l)-1] == '-' {
			return fault.Validation("name", "%q is not the name of a service: it is of labels like those of host names, with dots between them, such as com.example.s3", s.Name)
		}
	}
	label := s.Label()
	switch {
	case len(labels) < 2:
		return fault.Validation("name", "%q has one label; the name of a service has two or more, such as com.example.s3", s.Name)
	case strings.HasPrefix(s.Name, takenNames) || strings.HasPrefix(label, "vpce-"):
		return fault.Validation("name", "%s is like the names of endpoint service configurations, which EC2 gives", s.Name)
	}
	if rest, is := strings.CutPrefix(s.Name, "com.amazonaws."); is {
		region, _, _ := strings.Cut(rest, ".")
		if slices.Contains(a.Regions, region) && region != s.Region {
			return fault.Validation("name", "%s names region %s, and the service would be in %s; ask in that region", s.Name, region, s.Region)
		}
	}
	for _, own := range model.OwnServices {
		if own.Label == label {
			return fault.Conflict(kindService, own.Name(s.Region), "%s is an API of Postern itself, %s, whose endpoints would have the same names", label, own.Name(s.Region))
		}
	}
	return nil
}

// serviceTarget reads one target.
func serviceTarget(field string, in shape.ServiceTarget) (t model.ServiceTarget, err error) {
	t = model.ServiceTarget{Address: *in.Address, Port: uint16(service.Value(in.Port))}
	addr, err := netip.ParseAddr(t.Address)
	switch {
	case err == nil && (addr.IsUnspecified() || addr.IsMulticast() || model.Transit4.Contains(addr) || model.Transit6.Contains(addr)):
		return t, fault.Validation(field+".address", "nothing can answer at %s", addr)
	case err == nil:
		t.Address = addr.Unmap().String()
		return t, nil
	}
	name, err := model.NormalName(t.Address)
	if err != nil || name == model.RootName || strings.Contains(name, `\`) || strings.Trim(t.Address, "0123456789.") == "" {
		return t, fault.Validation(field+".address", "%q is neither an IP address nor the name of a host", t.Address)
	}
	return t, nil
}

// setServicePorts says at which ports a service is offered: at those of the request, or at
// the one at which all targets listen. Load balancers say it by their listeners.
func setServicePorts(s *model.EndpointService, in *shape.RegisterServiceInput) error {
	ports := in.Ports
	switch {
	case (len(s.Targets) > 0) == (len(in.LoadBalancerArns) > 0):
		return fault.Validation("targets", "a service leads either to targets or to loadBalancerArns")
	case len(s.Targets) == 0 && len(ports) > 0:
		return fault.Validation("ports", "the ports of a service that leads to load balancers are those of their listeners")
	case len(s.Targets) == 0:
		return nil
	case len(ports) == 0:
		ports = []int32{int32(s.Targets[0].Port)}
		for _, t := range s.Targets {
			if t.Port == 0 || t.Port != s.Targets[0].Port {
				return fault.Validation("ports", "the targets do not say one port at which all of them listen, so ports must say at which the service is offered")
			}
		}
	}
	seen := map[int32]bool{}
	for _, p := range ports {
		if seen[p] {
			return fault.Validation("ports", "port %d is named twice", p)
		}
		seen[p] = true
		s.Ports = append(s.Ports, model.PortRange{From: uint16(p), To: uint16(p)})
	}
	slices.SortFunc(s.Ports, func(a, b model.PortRange) int { return cmp.Compare(a.From, b.From) })
	for i, t := range s.Targets {
		if t.Port != 0 && len(s.Ports) > 1 {
			return fault.Validation(fmt.Sprintf("targets.%d.port", i), "a service with %d ports has targets that listen at the same ones: %s must be without a port", len(s.Ports), targetText(t))
		}
	}
	return nil
}

// setPrivateName gives a service the name by which clients call it, beside those of its
// endpoints.
func (a *API) setPrivateName(s *model.EndpointService, in *shape.RegisterServiceInput) error {
	wild := service.Value(in.Wildcard)
	text := service.Value(in.PrivateName)
	if text == "" && !wild {
		return nil // it has the one that its label makes
	}
	if text == "" {
		text = s.Label() + "." + s.Region + "." + a.Suffix
	}
	name, err := model.NormalName(text)
	if err != nil || strings.Contains(name, `\`) || strings.Count(name, ".") < 2 {
		return fault.Validation("privateName", "privateName %q is not a domain name of two labels or more, such as s3.example.com; names below it are asked for by wildcard", text)
	}
	s.PrivateName = shown(name)
	if wild {
		s.PrivateName = "*." + s.PrivateName
	}
	return nil
}

// checkService holds a new service against those that are there.
func (a *API) checkService(tx *table.Txn, s *model.EndpointService) error {
	own := state.Offer{Name: s.Name, Region: s.Region, Row: s}
	var taken []state.Offer
	for _, o := range model.OwnServices {
		taken = append(taken, state.Offer{Name: o.Name(s.Region), Region: s.Region, Own: &o})
	}
	for other := range state.EndpointServicesByRegion.Rows(tx, model.Ref{Region: s.Region}) {
		switch {
		case other.Name == s.Name:
			return fault.Conflict(kindService, other.ID, "a service %s exists already: %s", s.Name, other.ID)
		case other.Registered && other.Label() == s.Label():
			return fault.Conflict(kindService, other.ID, "service %s has the label %s already, so that endpoints to both would have the same names; give this one another last label", other.Name, s.Label())
		}
		taken = append(taken, state.Offer{Name: other.Name, Region: other.Region, Row: other})
	}
	for _, o := range taken {
		for _, theirs := range o.PrivateNames(a.Naming()) {
			for _, name := range own.PrivateNames(a.Naming()) {
				if name.Name == theirs.Name {
					return fault.Conflict(kindService, o.Name, "service %s has the private name %s already", o.Name, shown(name.Name))
				}
			}
		}
	}
	return nil
}

// bothFamilies are the address types of endpoints to a service that the host relays to: which
// family it speaks itself does not matter.
var bothFamilies = []string{"ipv4", "ipv6"}

// leadToBalancers has a service lead to load balancers of the caller's, if it names some.
func leadToBalancers(tx *table.Txn, who access.View, s *model.EndpointService, arns []string) error {
	s.LoadBalancers, s.Families = nil, bothFamilies
	for _, arn := range arns {
		b, ok := view.BalancerNamed(tx, who, arn)
		if !ok {
			return fault.NotFound(kindBalancer, arn)
		}
		if slices.Contains(s.LoadBalancers, b.ID) {
			return fault.Validation("loadBalancerArns", "%s is named twice", arn)
		}
		s.LoadBalancers = append(s.LoadBalancers, b.ID)
		s.Families = bothFamilies[:1] // load balancers have no addresses of IPv6
	}
	return nil
}

// serviceNamed finds a registered service of the region.
func serviceNamed(tx *table.Txn, who access.View, name string) (*model.EndpointService, error) {
	o, ok := view.OfferNamed(tx, who, strings.ToLower(name))
	switch {
	case !ok:
		return nil, fault.NotFound(kindService, name)
	case o.Row == nil || !o.Row.Registered:
		return nil, fault.Conflict(kindService, name, "%s was not registered: it is an API of Postern itself or an endpoint service configuration", name)
	}
	return o.Row, nil
}

// DeregisterService offers a service no more. What answers there is left as it is. One that
// endpoints lead to stays.
func (a *API) DeregisterService(ctx context.Context, in *shape.DeregisterServiceInput) (*shape.DeregisterServiceOutput, error) {
	who := access.From(ctx)
	var out shape.RegisteredService
	_, err := a.DB.Update(ctx, func(tx *table.Txn) error {
		s, err := serviceNamed(tx, who, *in.Name)
		if err != nil {
			return err
		}
		var ids []string
		for e := range state.VPCEndpointsByService.Rows(tx, s.Ref()) {
			ids = append(ids, e.ID+" of account "+e.Account)
		}
		if len(ids) > 0 {
			slices.Sort(ids)
			return fault.Conflict(kindService, s.ID, "service %s has %d endpoints, which lead there until they are deleted: %s", s.Name, len(ids), strings.Join(ids, ", "))
		}
		out = a.registeredService(tx, s)
		state.EndpointServices.Delete(tx, s.Account, s.Region, s.ID)
		return nil
	})
	return (*shape.DeregisterServiceOutput)(&out), err
}

// ListRegisteredServices lists the services of the region that the operator registered, by
// their names.
func (a *API) ListRegisteredServices(ctx context.Context, _ *shape.ListRegisteredServicesInput) (*shape.ListRegisteredServicesOutput, error) {
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	out := &shape.ListRegisteredServicesOutput{Services: []shape.RegisteredService{}}
	for _, s := range view.OfferedServices(tx, access.From(ctx)) {
		if s.Registered {
			out.Services = append(out.Services, a.registeredService(tx, s))
		}
	}
	return out, nil
}

// IssueServiceCertificate makes a certificate for a registered service by all names that
// clients in VPCs call it, which the operator's own server shows. Each call makes another one.
func (a *API) IssueServiceCertificate(ctx context.Context, in *shape.IssueServiceCertificateInput) (*shape.IssueServiceCertificateOutput, error) {
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	s, err := serviceNamed(tx, access.From(ctx), *in.Name)
	if err != nil {
		return nil, err
	}
	ca, err := authority.Office{DB: a.DB, Seal: a.Seal, Now: a.Now}.Installation(ctx)
	if err != nil {
		return nil, err
	}
	if problem := ca.Problem(); problem != nil {
		return nil, fault.Conflict(kindService, s.ID, "the authority of the installation certifies nothing: %v; put the former sealing keys back into the data folder", problem)
	}
	names := state.Offer{Name: s.Name, Region: s.Region, Row: s}.Subjects(a.Naming())
	made, err := ca.Certify(names, nil, a.Now())
	if err != nil {
		return nil, err
	}
	return &shape.IssueServiceCertificateOutput{
		Name: &s.Name, Names: names, Certificate: new(string(made.Certificate)), PrivateKey: new(string(made.Key)), Authority: new(string(ca.Bundle())),
		ValidTill: new(made.Till.UTC().Format(time.RFC3339)),
	}, nil
}

// registeredService tells of a service.
func (a *API) registeredService(tx *table.Txn, s *model.EndpointService) shape.RegisteredService {
	offer := state.Offer{Name: s.Name, Region: s.Region, Row: s}
	out := shape.RegisteredService{
		Name: &s.Name, Id: &s.ID, Arn: new(s.ARN()), Region: &s.Region, BaseName: new(shown(offer.Domain(a.Naming()))), PrivateNames: []string{},
		Targets: []shape.ServiceTarget{}, Ports: []int32{}, Endpoints: new(int64(state.VPCEndpointsByService.Count(tx, s.Ref()))),
		CreatedAt: new(s.CreatedAt.UTC().Format(time.RFC3339)),
	}
	for _, t := range s.Targets {
		out.Targets = append(out.Targets, shape.ServiceTarget{Address: new(t.Address), Port: service.Optional(int32(t.Port))})
	}
	for _, id := range s.LoadBalancers {
		if b, ok := state.LoadBalancers.Get(tx, s.Account, s.Region, id); ok {
			out.LoadBalancerArns = append(out.LoadBalancerArns, b.ARN())
		}
	}
	for _, p := range s.Ports {
		out.Ports = append(out.Ports, int32(p.From))
	}
	for _, n := range offer.PrivateNames(a.Naming()) {
		out.PrivateNames = append(out.PrivateNames, shown(n.Name))
		if n.Wild {
			out.PrivateNames = append(out.PrivateNames, "*."+shown(n.Name))
		}
	}
	return out
}

// targetText is a target as people write it.
func targetText(t model.ServiceTarget) string {
	text := t.Address
	if strings.Contains(text, ":") {
		text = "[" + text + "]"
	}
	if t.Port != 0 {
		text += fmt.Sprintf(":%d", t.Port)
	}
	return text
}

// offeredService shows a service with what it waits for: nothing of it is in the data plane but
// the ways of its endpoints.
func offeredService(tx *table.Txn, s *model.EndpointService) shape.Resource {
	r := named(always("endpoint-service", &s.Meta), s.Name)
	var why []string
	waiting := 0
	for e := range state.VPCEndpointsByService.Rows(tx, s.Ref()) {
		if !e.ExpiresAt().IsZero() {
			waiting++
		}
	}
	if waiting > 0 {
		why = append(why, fmt.Sprintf("%d endpoints wait to be accepted", waiting))
	}
	switch v := s.Verification; {
	case s.Registered || s.PrivateName == "" || v.State == model.DomainVerified:
	case v.State == "":
		why = append(why, "nobody has asked to verify "+s.PrivateName)
	default:
		why = append(why, s.PrivateName+" is not verified: "+cmp.Or(v.Problem, "its record was not looked for yet"))
	}
	r.Reason = service.Optional(strings.Join(why, "; "))
	return r
}
