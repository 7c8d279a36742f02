// SPDX-License-Identifier: Apache-2.0

package vpclattice

import (
	"cmp"
	"context"
	"net/netip"
	"time"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/vpclattice"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/view"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// newConfiguration is a request for a resource configuration with what it needs
// made beforehand.
type newConfiguration struct {
	in    *shape.CreateResourceConfigurationInput
	who   access.View
	id    string
	now   time.Time
	ip    netip.Addr
	dns   model.DNSResource
	arn   string
	ports []model.PortRange
}

// CreateResourceConfiguration makes a resource configuration: a group, which leads nowhere
// itself, one of type ARN, whose children are made for it, or one of type SINGLE or CHILD for
// an IP address or a name, with a transit target for each interface of its gateway.
func (a *API) CreateResourceConfiguration(ctx context.Context, in *shape.CreateResourceConfigurationInput) (*shape.CreateResourceConfigurationOutput, error) {
	who := access.From(ctx)
	fingerprint := *in
	fingerprint.ClientToken = nil
	request := a.Idempotent(who, "CreateResourceConfiguration", in.ClientToken, fingerprint)
	n, err := a.newConfiguration(who, in)
	if err != nil {
		return nil, err
	}
	out, err := service.Create(ctx, request,
		func(tx *table.Txn, id string) (*model.ResourceConfiguration, error) {
			return replayed(tx, state.ResourceConfigurations, who, kindConfiguration, id)
		},
		func(tx *table.Txn) (*model.ResourceConfiguration, error) { return a.createConfiguration(tx, n) },
		createdConfiguration)
	return out, asFault(err)
}

// newConfiguration checks what can be checked without looking at anything else.
func (a *API) newConfiguration(who access.View, in *shape.CreateResourceConfigurationInput) (*newConfiguration, error) {
	if err := checkForm(in); err != nil {
		return nil, err
	}
	n := &newConfiguration{in: in, who: who, id: a.NewID("rcfg"), now: a.Now()}
	var err error
	switch d := in.ResourceConfigurationDefinition; {
	case d == nil:
	case *in.Type == model.TypeARN:
		if n.arn, err = definedARN(who, d); err != nil {
			return nil, err
		}
	default:
		if n.ip, n.dns, err = defined(d); err != nil {
			return nil, err
		}
	}
	isGroup := *in.Type == model.TypeGroup || *in.Type == model.TypeARN
	if in.PortRanges != nil || !isGroup { // a group's are shown, and those of its children hold
		if n.ports, err = parsePorts(in.PortRanges, a.Quotas.PortRangesPerConfiguration); err != nil {
			return nil, err
		}
	}
	return n, asFault(service.CheckTagMap(in.Tags))
}

// createConfiguration checks the request against the state and adds the
// configuration and its transit targets. A child is what its group is, and is associated
// with the group's endpoints.
func (a *API) createConfiguration(tx *table.Txn, n *newConfiguration) (*model.ResourceConfiguration, error) {
	r, err := a.newRow(tx, n)
	if err != nil {
		return nil, err
	}
	g, err := find(tx, state.ResourceGateways, n.who, kindGateway, r.Gateway)
	if err != nil {
		return nil, err
	}
	if g.Deleting() {
		return nil, fault.Conflict(kindGateway, g.ID, "resource gateway %s is being deleted", g.ID)
	}
	r.Gateway = g.ID
	if err := a.checkConfigurationRoom(tx, n); err != nil {
		return nil, err
	}
	switch {
	case r.Type == model.TypeARN:
		err = bind(tx, n, r, g)
	case !r.IsGroup():
		err = a.lead(tx, r, g)
	}
	if err != nil {
		return nil, err
	}
	state.ResourceConfigurations.Put(tx, r)
	if r.Group != "" {
		return r, a.joinEndpoints(tx, r)
	}
	return r, nil
}

// newRow gives the row of a new configuration, without targets and with its gateway as it
// is named.
func (a *API) newRow(tx *table.Txn, n *newConfiguration) (*model.ResourceConfiguration, error) {
	in := n.in
	r := &model.ResourceConfiguration{
		Meta: model.Meta{Account: n.who.Account, Region: n.who.Region, ID: n.id, CreatedAt: n.now, Tags: in.Tags},
		Name: *in.Name, Type: *in.Type, Gateway: service.Value(in.ResourceGatewayIdentifier), Ports: n.ports, IP: n.ip, DNS: n.dns,
		Protocol:     cmp.Or(service.Value(in.Protocol), shape.ProtocolTypeTcp),
		CustomDomain: service.Value(in.CustomDomainName), GroupDomain: service.Value(in.GroupDomain),
		// The documentation says that the default is false; the replies it
		// shows for requests without a value say true.
		AllowShareable: in.AllowAssociationToShareableServiceNetwork == nil || *in.AllowAssociationToShareableServiceNetwork,
	}
	if r.Type == model.TypeChild {
		group, err := a.groupFor(tx, n)
		if err != nil {
			return nil, err
		}
		r.Group, r.Gateway, r.Protocol, r.AllowShareable = group.ID, group.Gateway, group.Protocol, group.AllowShareable
		r.Verification = group.Verification
	}
	if in.DomainVerificationIdentifier != nil {
		v, err := verificationFor(tx, n)
		if err != nil {
			return nil, err
		}
		r.Verification = v.ID
	}
	return r, nil
}

// lead sees that a resource can be reached through its gateway, and takes what leads there.
func (a *API) lead(tx *table.Txn, r *model.ResourceConfiguration, g *model.ResourceGateway) error {
	vpc, ok := state.VPCs.Get(tx, g.Account, g.Region, g.VPC)
	if !ok {
		return fault.NotFound(kindVPC, g.VPC)
	}
	if err := checkResource(tx, r, g, vpc); err != nil {
		return err
	}
	var err error
	r.Targets, err = a.Alloc().Lead(tx, r.Meta, g.Interfaces, a.Host)
	return err
}

// checkConfigurationRoom sees to the name's uniqueness and to the quota.
func (a *API) checkConfigurationRoom(tx *table.Txn, n *newConfiguration) error {
	name := *n.in.Name
	for other := range state.ResourceConfigurationsByName.Rows(tx, n.who.Own(name)) {
		return fault.Conflict(kindConfiguration, other.ID, "a resource configuration named %s exists already: %s", name, other.ID)
	}
	most := a.Quotas.ConfigurationsPerRegion
	if view.Count(tx, n.who, state.ResourceConfigurations) >= most {
		return fault.QuotaExceeded(kindConfiguration, "", "configurations-per-region", "the account has %d resource configurations in this region, the most it can have", most)
	}
	return nil
}

func createdConfiguration(tx *table.Txn, r *model.ResourceConfiguration) *shape.CreateResourceConfigurationOutput {
	verification, domainARN, _ := verificationOf(tx, r)
	state, reason := status(tx, &r.Meta)
	return &shape.CreateResourceConfigurationOutput{
		DomainVerificationId: verification, DomainVerificationArn: domainARN,
		Id: &r.ID, Name: &r.Name, Arn: new(r.ARN()), ResourceGatewayId: &r.Gateway, ResourceConfigurationGroupId: service.Optional(r.Group),
		Type: &r.Type, PortRanges: formatPorts(r.Ports), Protocol: &r.Protocol,
		Status: &state, FailureReason: reason, ResourceConfigurationDefinition: definition(r),
		AllowAssociationToShareableServiceNetwork: &r.AllowShareable,
		CreatedAt: &r.CreatedAt, CustomDomainName: service.Optional(r.CustomDomain), GroupDomain: service.Optional(r.GroupDomain),
	}
}
