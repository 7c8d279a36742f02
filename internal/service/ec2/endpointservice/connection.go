// SPDX-License-Identifier: Apache-2.0

package endpointservice

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/ec2/endpoint"
	"github.com/posternhq/postern/internal/service/ec2/request"
	"github.com/posternhq/postern/internal/service/view"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// DescribeVpcEndpointConnections lists the endpoints to services of the caller's, whoever has
// them and whether or not the caller is asked.
func (a Services) DescribeVpcEndpointConnections(ctx context.Context, in *shape.DescribeVpcEndpointConnectionsInput) (*shape.DescribeVpcEndpointConnectionsOutput, error) {
	who := access.From(ctx)
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	var all []*model.VPCEndpoint
	for s := range view.All(tx, who, state.EndpointServices) {
		if !s.Registered {
			all = slices.AppendSeq(all, state.VPCEndpointsByService.Rows(tx, s.Ref()))
		}
	}
	slices.SortFunc(all, func(a, b *model.VPCEndpoint) int { return cmp.Compare(a.ID, b.ID) })
	query := request.Query{Filters: in.Filters, Token: in.NextToken, Max: in.MaxResults}
	page, next, err := request.Paginate(who, "DescribeVpcEndpointConnections", query, slices.Values(all), connectionFilters(tx), func(e *model.VPCEndpoint) string { return e.ID })
	if err != nil {
		return nil, err
	}
	out := &shape.DescribeVpcEndpointConnectionsOutput{NextToken: next, VpcEndpointConnections: []shape.VpcEndpointConnection{}}
	for _, e := range page {
		out.VpcEndpointConnections = append(out.VpcEndpointConnections, a.connection(tx, e))
	}
	return out, nil
}

func connectionFilters(tx *table.Txn) service.Filters[*model.VPCEndpoint] {
	type row = *model.VPCEndpoint
	return service.Filters[row]{Properties: map[string]func(row) []string{
		"ip-address-type":     func(e row) []string { return request.One(e.IPAddressType) },
		"service-id":          func(e row) []string { return request.One(e.Service.ID) },
		"vpc-endpoint-id":     func(e row) []string { return request.One(e.ID) },
		"vpc-endpoint-owner":  func(e row) []string { return request.One(e.Account) },
		"vpc-endpoint-region": func(e row) []string { return request.One(e.Region) },
		"vpc-endpoint-state":  func(e row) []string { return request.One(endpoint.State(tx, e)) },
	}}
}

func (a Services) connection(tx *table.Txn, e *model.VPCEndpoint) shape.VpcEndpointConnection {
	sum := sha256.Sum256([]byte(e.ID))
	out := shape.VpcEndpointConnection{
		ServiceId: new(e.Service.ID), VpcEndpointId: &e.ID, VpcEndpointOwner: &e.Account, VpcEndpointState: new(endpoint.State(tx, e)), CreationTimestamp: &e.CreatedAt,
		DnsEntries: (endpoint.Endpoints{Env: a.Env}).Names(tx, e), IpAddressType: &e.IPAddressType, VpcEndpointConnectionId: new("vpce-con-" + hex.EncodeToString(sum[:])[:17]),
		VpcEndpointRegion: &e.Region, Tags: []shape.Tag{}, NetworkLoadBalancerArns: []string{},
	}
	if s, ok := state.EndpointServices.Get(tx, e.Service.Account, e.Service.Region, e.Service.ID); ok {
		out.NetworkLoadBalancerArns = balancerARNs(tx, s)
	}
	return out
}

// AcceptVpcEndpointConnections lets endpoints lead to a service of the caller's, also such that
// it has rejected before.
func (a Services) AcceptVpcEndpointConnections(ctx context.Context, in *shape.AcceptVpcEndpointConnectionsInput) (*shape.AcceptVpcEndpointConnectionsOutput, error) {
	failed, err := a.answer(ctx, service.Value(in.ServiceId), in.VpcEndpointIds, model.AcceptanceAccepted, model.AcceptancePending, model.AcceptanceRejected)
	if err != nil {
		return nil, err
	}
	return &shape.AcceptVpcEndpointConnectionsOutput{Unsuccessful: failed}, nil
}

// RejectVpcEndpointConnections has endpoints not lead to a service of the caller's: neither
// such as wait, nor such as led there, whose connections are cut.
func (a Services) RejectVpcEndpointConnections(ctx context.Context, in *shape.RejectVpcEndpointConnectionsInput) (*shape.RejectVpcEndpointConnectionsOutput, error) {
	failed, err := a.answer(ctx, service.Value(in.ServiceId), in.VpcEndpointIds, model.AcceptanceRejected, model.AcceptancePending, model.AcceptanceAccepted)
	if err != nil {
		return nil, err
	}
	return &shape.RejectVpcEndpointConnectionsOutput{Unsuccessful: failed}, nil
}

// answer answers endpoints that are in one of some states. One that was answered so already
// stays as it is.
func (a Services) answer(ctx context.Context, id string, endpoints []string, answer string, from ...string) ([]shape.UnsuccessfulItem, error) {
	who, now := access.From(ctx), a.Now()
	var failed []shape.UnsuccessfulItem
	told := make(map[string]*model.VPCEndpoint)
	err := table.UpdateInParts(ctx, a.DB.Update, endpoints, func(tx *table.Txn, endpoints []string) error {
		s, err := configuration(tx, who, id)
		if err != nil {
			return err
		}
		for _, of := range endpoints {
			e, err := asking(tx, s, of, answer, from)
			if err != nil {
				failed = append(slices.DeleteFunc(failed, func(i shape.UnsuccessfulItem) bool { return *i.ResourceId == of }), unsuccessful(of, err))
				continue
			}
			if e.Acceptance != answer {
				e = e.Clone()
				e.Answer(answer, now)
				state.VPCEndpoints.Put(tx, e)
				told[of] = e
			}
		}
		return nil
	})
	what := map[string]string{model.AcceptanceAccepted: endpoint.Accepts, model.AcceptanceRejected: endpoint.Rejects}[answer]
	for _, e := range told {
		endpoint.Notify(ctx, e.Account, what, e)
	}
	return items(failed), err
}

// asking finds an endpoint to a service that can be answered so.
func asking(tx *table.Txn, s *model.EndpointService, id, answer string, from []string) (*model.VPCEndpoint, error) {
	for e := range state.VPCEndpointsByService.Rows(tx, s.Ref()) {
		switch {
		case e.ID != id:
		case e.Deleting():
			return nil, fault.EC2("InvalidState", "The VPC endpoint %s is being deleted", id)
		case e.Acceptance == answer || slices.Contains(from, e.Acceptance):
			return e, nil
		default:
			return nil, fault.EC2("InvalidState", "The VPC endpoint %s is %s, and cannot be %s any more", id, endpoint.State(tx, e), answer)
		}
	}
	return nil, fault.EC2("InvalidVpcEndpointId.NotFound", "The Vpc Endpoint Id '%s' does not exist for the service %s", id, s.ID)
}
