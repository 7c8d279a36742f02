// SPDX-License-Identifier: Apache-2.0

package vpclattice

import (
	"context"
	"iter"
	"slices"
	"strings"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/alloc"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/vpclattice"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/view"
	"github.com/posternhq/postern/internal/share"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// ListResourceEndpointAssociations lists the endpoints, of whatever account,
// that lead to one resource configuration of the caller; for a group, what leads to its
// children. Of another account's it lists the caller's own endpoints, as long as it is shared or there are some.
// For an id that does not exist the list is empty: the operation has no error for it.
func (a *API) ListResourceEndpointAssociations(ctx context.Context, in *shape.ListResourceEndpointAssociationsInput) (*shape.ListResourceEndpointAssociationsOutput, error) {
	who := access.From(ctx)
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := chosenAssociations(tx, who, in)
	if err != nil {
		return nil, err
	}
	chosen := []*string{in.ResourceConfigurationIdentifier, in.ResourceEndpointAssociationIdentifier, in.VpcEndpointId, in.VpcEndpointOwner}
	page, next, err := paginate(who, "ListResourceEndpointAssociations", chosen, in.NextToken, in.MaxResults, rows)
	if err != nil {
		return nil, err
	}
	out := &shape.ListResourceEndpointAssociationsOutput{Items: []shape.ResourceEndpointAssociationSummary{}, NextToken: next}
	for _, row := range page {
		out.Items = append(out.Items, summary(tx, who, row))
	}
	return out, nil
}

func chosenAssociations(tx *table.Txn, who access.View, in *shape.ListResourceEndpointAssociationsInput) (iter.Seq[*model.EndpointAssociation], error) {
	configuration, err := refer(who, kindConfiguration, *in.ResourceConfigurationIdentifier)
	if err != nil {
		return nil, err
	}
	if !view.May(tx, who, configuration, share.ListEndpoints) {
		return nil, fault.NotFound(kindConfiguration, *in.ResourceConfigurationIdentifier)
	}
	association, err := identify(tx, who, kindAssociation, service.Value(in.ResourceEndpointAssociationIdentifier))
	if err != nil {
		return nil, err
	}
	rows := associationsFor(tx, configuration)
	owner := view.Own(who, configuration)
	fits := func(want *string, got string) bool { return want == nil || *want == got }
	return func(yield func(*model.EndpointAssociation) bool) {
		for row := range rows {
			if (owner || who.Owns(row.Endpoint.Account)) && fits(service.Optional(association.ID), row.ID) && fits(in.VpcEndpointId, row.Endpoint.ID) &&
				fits(in.VpcEndpointOwner, row.Endpoint.Account) && !yield(row) {
				return
			}
		}
	}, nil
}

// associationsFor yields the associations of a configuration, or of a group's children, in
// the order of their ids.
func associationsFor(tx *table.Txn, configuration model.Ref) iter.Seq[*model.EndpointAssociation] {
	rows := slices.Collect(state.EndpointAssociationsByConfiguration.Rows(tx, configuration))
	for child := range state.ResourceConfigurationsByGroup.Rows(tx, configuration) {
		rows = slices.AppendSeq(rows, state.EndpointAssociationsByConfiguration.Rows(tx, child.Ref()))
	}
	slices.SortFunc(rows, func(a, b *model.EndpointAssociation) int { return strings.Compare(a.ID, b.ID) })
	return slices.Values(rows)
}

// summary tells of an association under the name that it has in the caller's account.
func summary(tx *table.Txn, who access.View, row *model.EndpointAssociation) shape.ResourceEndpointAssociationSummary {
	out := shape.ResourceEndpointAssociationSummary{
		Id: &row.ID, Arn: new(row.ARNFor(who.Account)), ResourceConfigurationId: &row.Configuration.ID,
		VpcEndpointId: &row.Endpoint.ID, VpcEndpointOwner: &row.Endpoint.Account,
		CreatedBy: &row.Endpoint.Account, CreatedAt: &row.CreatedAt,
	}
	if r, ok := configurationOf(tx, row); ok {
		out.ResourceConfigurationArn, out.ResourceConfigurationName = new(r.ARN()), &r.Name
	}
	return out
}

func configurationOf(tx *table.Txn, row *model.EndpointAssociation) (*model.ResourceConfiguration, bool) {
	ref := row.Configuration
	return state.ResourceConfigurations.Get(tx, ref.Account, ref.Region, ref.ID)
}

// eitherSide finds an association with a resource configuration of the caller's, or with an
// endpoint of the caller's: both may end it, each under the name in its own account.
func eitherSide(tx *table.Txn, who access.View, identifier string) (*model.EndpointAssociation, error) {
	row, err := find(tx, state.EndpointAssociations, who, kindAssociation, identifier)
	if err == nil {
		return row, nil
	}
	ref, unnamed := identify(tx, who, kindAssociation, identifier)
	if unnamed != nil {
		return nil, err
	}
	for row := range view.Consumed(tx, who, ref) {
		return row, nil
	}
	return nil, err
}

// DeleteResourceEndpointAssociation starts the removal of an endpoint's way to
// a resource configuration, by the owner of either. The endpoint stays and does not lead there
// again: nowhere, or to the other children of its group.
// Removing it again changes nothing.
func (a *API) DeleteResourceEndpointAssociation(ctx context.Context, in *shape.DeleteResourceEndpointAssociationInput) (*shape.DeleteResourceEndpointAssociationOutput, error) {
	return remove(ctx, a, state.EndpointAssociations, kindAssociation, *in.ResourceEndpointAssociationIdentifier, eitherSide, alloc.Part,
		func(tx *table.Txn, row *model.EndpointAssociation) *shape.DeleteResourceEndpointAssociationOutput {
			gone := summary(tx, access.From(ctx), row)
			return &shape.DeleteResourceEndpointAssociationOutput{
				Id: gone.Id, Arn: gone.Arn, ResourceConfigurationId: gone.ResourceConfigurationId,
				ResourceConfigurationArn: gone.ResourceConfigurationArn, VpcEndpointId: gone.VpcEndpointId,
			}
		})
}
