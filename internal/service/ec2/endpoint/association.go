// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"context"
	"iter"
	"strings"

	"github.com/posternhq/postern/internal/access"
	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/ec2/request"
	"github.com/posternhq/postern/internal/service/view"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// endpointAssociation is what one endpoint leads to.
type endpointAssociation struct {
	endpoint *model.VPCEndpoint
	row      *model.EndpointAssociation
}

// key orders associations by endpoint, then as their table does.
func (e endpointAssociation) key() string {
	return e.endpoint.ID + "/" + e.row.Ref().String()
}

// DescribeVpcEndpointAssociations tells what the caller's endpoints lead to and
// under which names.
func (a Endpoints) DescribeVpcEndpointAssociations(ctx context.Context, in *shape.DescribeVpcEndpointAssociationsInput) (*shape.DescribeVpcEndpointAssociationsOutput, error) {
	who := access.From(ctx)
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	endpoints := view.All(tx, who, state.VPCEndpoints)
	if len(in.VpcEndpointIds) > 0 {
		l := request.Listing[*model.VPCEndpoint]{Table: state.VPCEndpoints}
		if endpoints, err = l.ByID(tx, who, in.VpcEndpointIds); err != nil {
			return nil, err
		}
	}
	q := request.Query{Filters: in.Filters, IDs: in.VpcEndpointIds, Token: in.NextToken, Max: in.MaxResults}
	page, next, err := request.Paginate(who, "DescribeVpcEndpointAssociations", q, associationsOf(tx, endpoints), associationFilters(tx), endpointAssociation.key)
	if err != nil {
		return nil, err
	}
	out := &shape.DescribeVpcEndpointAssociationsOutput{NextToken: next, VpcEndpointAssociations: []shape.VpcEndpointAssociation{}}
	for _, each := range page {
		out.VpcEndpointAssociations = append(out.VpcEndpointAssociations, a.associationShape(tx, each))
	}
	return out, nil
}

func associationsOf(tx *table.Txn, endpoints iter.Seq[*model.VPCEndpoint]) iter.Seq[endpointAssociation] {
	return func(yield func(endpointAssociation) bool) {
		for e := range endpoints {
			for row := range state.EndpointAssociationsByEndpoint.Rows(tx, e.Ref()) {
				if !yield(endpointAssociation{e, row}) {
					return
				}
			}
		}
	}
}

func associationFilters(tx *table.Txn) service.Filters[endpointAssociation] {
	type row = endpointAssociation
	return service.Filters[row]{Properties: map[string]func(row) []string{
		"associated-resource-accessibility": func(r row) []string {
			a, _ := accessibility(tx, r)
			return accessibilityWords[a]
		},
		"associated-resource-id": func(r row) []string { return request.One(r.row.Configuration.ID) },
		"association-id":         func(r row) []string { return request.One(r.row.EndpointSideID) },
		"resource-configuration-group-arn": func(r row) []string {
			if arn := groupARN(r.row); arn != nil {
				return request.One(*arn)
			}
			return nil
		},
		"service-network-arn": func(row) []string { return nil },
		"vpc-endpoint-id":     func(r row) []string { return request.One(r.endpoint.ID) },
	}}
}

// What AssociatedResourceAccessibility says. AWS publishes the first word only.
const (
	accessible   = "Accessible"
	inaccessible = "Failed"
	pending      = "Pending"
	deleting     = "Deleting"
)

// accessibilityWords are the words that filters may use, the reference's own
// and those of the replies.
var accessibilityWords = map[string][]string{
	accessible:   {accessible, "AVAILABLE"},
	inaccessible: {inaccessible, "FAILED"},
	pending:      {pending, "PENDING"},
	deleting:     {deleting, "DELETING"},
}

// accessibility tells whether a resource can be reached, and else why not: what the
// data plane says about the association. Others of the endpoint may be doing better.
func accessibility(tx *table.Txn, each endpointAssociation) (word, reason string) {
	status := statusOf(tx, each.row.Ref())
	switch model.LifecycleOf(&each.row.Meta, status) {
	case model.Ready:
		return accessible, ""
	case model.Failed, model.UpdateFailed:
		return inaccessible, status.Reason
	case model.Deleting:
		return deleting, ""
	case model.DeleteFailed:
		return deleting, status.Reason
	}
	return pending, ""
}

func (a Endpoints) associationShape(tx *table.Txn, each endpointAssociation) shape.VpcEndpointAssociation {
	word, reason := accessibility(tx, each)
	out := shape.VpcEndpointAssociation{
		Id: new(each.row.EndpointSideID), VpcEndpointId: new(each.endpoint.ID),
		AssociatedResourceAccessibility: new(word), FailureReason: service.Optional(reason),
		AssociatedResourceArn: new(configurationARN(each.row.Configuration)), ResourceConfigurationGroupArn: groupARN(each.row), Tags: []shape.Tag{},
		DnsEntry: a.nameOf(tx, each.row), PrivateDnsEntry: a.privateNameOf(tx, each),
	}
	if reason != "" {
		out.FailureCode = new("InternalError")
	}
	return out
}

// groupARN names the group that an association is one of a child of, nil when it is none.
func groupARN(row *model.EndpointAssociation) *string {
	if row.Group == "" {
		return nil
	}
	return new(configurationARN(row.Sibling(row.Group)))
}

// nameOf gives the name under which an endpoint leads to a resource, when every resolver
// that is asked for it has it: whoever is told a name is to find it.
// https://docs.aws.amazon.com/vpc/latest/privatelink/use-resource-endpoint.html
func (a Endpoints) nameOf(tx *table.Txn, row *model.EndpointAssociation) *shape.DnsEntry {
	domain := model.EndpointDomain(row.Endpoint.Region, a.Suffix)
	if _, out := state.NamesOut(tx, &row.Meta, domain); !out {
		return nil
	}
	return &shape.DnsEntry{
		DnsName: new(strings.TrimSuffix(row.NameIn(domain), model.RootName)), HostedZoneId: new(model.EndpointZoneID(domain)),
	}
}
