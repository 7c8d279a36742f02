// SPDX-License-Identifier: Apache-2.0

package vpclattice

import (
	"context"
	"iter"
	"slices"
	"strings"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/vpclattice"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/policy/permission"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/view"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// actionGet is what those may do who know of a resource configuration of another account.
const actionGet = "vpc-lattice:GetResourceConfiguration"

// GetResourceConfiguration tells of one resource configuration.
func (a *API) GetResourceConfiguration(ctx context.Context, in *shape.GetResourceConfigurationInput) (*shape.GetResourceConfigurationOutput, error) {
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	r, err := find(tx, state.ResourceConfigurations, access.From(ctx), kindConfiguration, *in.ResourceConfigurationIdentifier)
	if err != nil {
		return nil, err
	}
	if !view.May(tx, access.From(ctx), r.Ref(), actionGet) {
		return nil, fault.AccessDenied("resource configuration %s is shared with account %s for other actions than %s", *in.ResourceConfigurationIdentifier, access.From(ctx).Account, actionGet)
	}
	verification, domainARN, verified := verificationOf(tx, r)
	state, reason := status(tx, &r.Meta)
	return &shape.GetResourceConfigurationOutput{
		DomainVerificationId: verification, DomainVerificationArn: domainARN, DomainVerificationStatus: verified,
		Id: &r.ID, Name: &r.Name, Arn: new(r.ARN()), ResourceGatewayId: &r.Gateway, ResourceConfigurationGroupId: service.Optional(r.Group),
		Type: &r.Type, PortRanges: formatPorts(r.Ports), Protocol: &r.Protocol,
		Status: &state, FailureReason: reason, ResourceConfigurationDefinition: definition(r),
		AllowAssociationToShareableServiceNetwork: &r.AllowShareable, AmazonManaged: &r.AmazonManaged,
		CustomDomainName: service.Optional(r.CustomDomain), GroupDomain: service.Optional(r.GroupDomain),
		CreatedAt: &r.CreatedAt, LastUpdatedAt: lastUpdated(&r.Meta),
	}, nil
}

// ListResourceConfigurations lists the caller's resource configurations and those that others
// share with it, or those of one gateway, the children of one group, or those that one domain verification
// speaks for.
func (a *API) ListResourceConfigurations(ctx context.Context, in *shape.ListResourceConfigurationsInput) (*shape.ListResourceConfigurationsOutput, error) {
	who := access.From(ctx)
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := chosenConfigurations(tx, who, in)
	if err != nil {
		return nil, err
	}
	chosen := []*string{in.ResourceGatewayIdentifier, in.ResourceConfigurationGroupIdentifier, in.DomainVerificationIdentifier}
	page, next, err := paginate(who, "ListResourceConfigurations", chosen, in.NextToken, in.MaxResults, rows)
	if err != nil {
		return nil, err
	}
	out := &shape.ListResourceConfigurationsOutput{Items: []shape.ResourceConfigurationSummary{}, NextToken: next}
	for _, r := range page {
		state, _ := status(tx, &r.Meta)
		out.Items = append(out.Items, shape.ResourceConfigurationSummary{
			Id: &r.ID, Name: &r.Name, Arn: new(r.ARN()), ResourceGatewayId: &r.Gateway, ResourceConfigurationGroupId: service.Optional(r.Group),
			Type: &r.Type, Status: &state, AmazonManaged: &r.AmazonManaged,
			CustomDomainName: service.Optional(r.CustomDomain), GroupDomain: service.Optional(r.GroupDomain), DomainVerificationId: service.Optional(r.Verification),
			CreatedAt: &r.CreatedAt, LastUpdatedAt: lastUpdated(&r.Meta),
		})
	}
	return out, nil
}

// chosenConfigurations gives those which all that the request names have.
func chosenConfigurations(tx *table.Txn, who access.View, in *shape.ListResourceConfigurationsInput) (iter.Seq[*model.ResourceConfiguration], error) {
	gateway, err := identify(tx, who, kindGateway, service.Value(in.ResourceGatewayIdentifier))
	if err != nil {
		return nil, err
	}
	group, err := identify(tx, who, kindConfiguration, service.Value(in.ResourceConfigurationGroupIdentifier))
	if err != nil {
		return nil, err
	}
	verification, err := identify(tx, who, kindVerification, service.Value(in.DomainVerificationIdentifier))
	if err != nil {
		return nil, err
	}
	rows := view.All(tx, who, state.ResourceConfigurations)
	if shared := view.Shared(tx, who, state.ResourceConfigurations, permission.ResourceConfiguration, actionGet); len(shared) > 0 {
		shared = slices.AppendSeq(shared, rows)
		slices.SortFunc(shared, func(a, b *model.ResourceConfiguration) int { return strings.Compare(a.ID, b.ID) })
		rows = slices.Values(shared)
	}
	switch {
	case in.ResourceConfigurationGroupIdentifier != nil:
		rows = state.ResourceConfigurationsByGroup.Rows(tx, group)
	case in.DomainVerificationIdentifier != nil:
		rows = state.ResourceConfigurationsByVerification.Rows(tx, verification)
	case in.ResourceGatewayIdentifier != nil:
		rows = state.ResourceConfigurationsByGateway.Rows(tx, gateway)
	}
	return func(yield func(*model.ResourceConfiguration) bool) {
		for r := range rows {
			chosen := (in.ResourceGatewayIdentifier == nil || r.Sibling(r.Gateway) == gateway) &&
				(in.DomainVerificationIdentifier == nil || r.Sibling(r.Verification) == verification)
			if chosen && !yield(r) {
				return
			}
		}
	}, nil
}

// UpdateResourceConfiguration changes the address, the ports and the sharing
// rule of a resource configuration, which hold for its endpoints from then on.
func (a *API) UpdateResourceConfiguration(ctx context.Context, in *shape.UpdateResourceConfigurationInput) (*shape.UpdateResourceConfigurationOutput, error) {
	var out *shape.UpdateResourceConfigurationOutput
	_, err := change(ctx, a, state.ResourceConfigurations, kindConfiguration, *in.ResourceConfigurationIdentifier, func(tx *table.Txn, r *model.ResourceConfiguration) error {
		if r.Deleting() {
			return fault.Validation("resourceConfigurationIdentifier", "resource configuration %s is being deleted", r.ID)
		}
		if err := changeable(r); err != nil {
			return err
		}
		if err := a.amend(tx, r, in); err != nil {
			return err
		}
		r.Update(r.UpdatedAt)
		out = updatedConfiguration(tx, r)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// amend puts what the request says into the row.
func (a *API) amend(tx *table.Txn, r *model.ResourceConfiguration, in *shape.UpdateResourceConfigurationInput) error {
	if r.Type == model.TypeARN {
		return amendARN(r, in)
	}
	switch shareable := in.AllowAssociationToShareableServiceNetwork; {
	case in.ResourceConfigurationDefinition != nil && r.IsGroup():
		return unexpected(memberDefinition, r.Type)
	case shareable != nil && *shareable != r.AllowShareable && r.Type == model.TypeChild:
		return unexpected(memberShareable, r.Type) // clients send what they were told
	}
	if in.ResourceConfigurationDefinition != nil {
		if err := redefine(tx, r, in.ResourceConfigurationDefinition); err != nil {
			return err
		}
	}
	if in.PortRanges != nil {
		ports, err := parsePorts(in.PortRanges, a.Quotas.PortRangesPerConfiguration)
		if err != nil {
			return err
		}
		r.Ports = ports
	}
	if in.AllowAssociationToShareableServiceNetwork != nil {
		r.AllowShareable = *in.AllowAssociationToShareableServiceNetwork
	}
	return nil
}

func redefine(tx *table.Txn, r *model.ResourceConfiguration, d *shape.ResourceConfigurationDefinition) error {
	addr, named, err := defined(d)
	if err != nil {
		return err
	}
	g, ok := state.ResourceGateways.Get(tx, r.Account, r.Region, r.Gateway)
	if !ok {
		return fault.NotFound(kindGateway, r.Gateway)
	}
	vpc, ok := state.VPCs.Get(tx, g.Account, g.Region, g.VPC)
	if !ok {
		return fault.NotFound(kindVPC, g.VPC)
	}
	was4 := r.Is4()
	r.IP, r.DNS = addr, named
	if n := state.EndpointAssociationsByConfiguration.Count(tx, r.Ref()); n > 0 && r.Is4() != was4 {
		return fault.Validation(memberDefinition, "the resource cannot change to the other address family while %s has %d endpoint(s)", r.ID, n)
	}
	return checkResource(tx, r, g, vpc)
}

func updatedConfiguration(tx *table.Txn, r *model.ResourceConfiguration) *shape.UpdateResourceConfigurationOutput {
	state, _ := status(tx, &r.Meta)
	return &shape.UpdateResourceConfigurationOutput{
		Id: &r.ID, Name: &r.Name, Arn: new(r.ARN()), ResourceGatewayId: &r.Gateway, ResourceConfigurationGroupId: service.Optional(r.Group),
		Type: &r.Type, PortRanges: formatPorts(r.Ports), Protocol: &r.Protocol,
		Status: &state, ResourceConfigurationDefinition: definition(r),
		AllowAssociationToShareableServiceNetwork: &r.AllowShareable,
	}
}
