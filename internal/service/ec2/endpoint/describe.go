// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"context"
	"strings"

	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/ec2/request"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// DescribeVpcEndpoints lists the caller's endpoints. The names of endpoints of
// type Resource are told by DescribeVpcEndpointAssociations, not here.
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_VpcEndpoint.html
func (a Endpoints) DescribeVpcEndpoints(ctx context.Context, in *shape.DescribeVpcEndpointsInput) (*shape.DescribeVpcEndpointsOutput, error) {
	rows, tx, next, err := request.Describe(ctx, a.DB, request.Listing[*model.VPCEndpoint]{
		Operation: "DescribeVpcEndpoints", Table: state.VPCEndpoints, Filters: endpointFilters,
	}, request.Query{Filters: in.Filters, IDs: in.VpcEndpointIds, Token: in.NextToken, Max: in.MaxResults})
	if err != nil {
		return nil, err
	}
	out := &shape.DescribeVpcEndpointsOutput{NextToken: next, VpcEndpoints: make([]shape.VpcEndpoint, len(rows))}
	for i, e := range rows {
		out.VpcEndpoints[i] = a.endpointShape(tx, e)
	}
	return out, nil
}

func endpointFilters(tx *table.Txn) service.Filters[*model.VPCEndpoint] {
	type row = *model.VPCEndpoint
	return service.Filters[row]{
		Properties: map[string]func(row) []string{
			"ip-address-type": func(e row) []string { return request.One(e.IPAddressType) },
			"service-name":    func(e row) []string { return optional(e.ServiceName) },
			"service-region": func(e row) []string {
				if e.Type == model.EndpointResource {
					return nil
				}
				return request.One(e.Region)
			},
			"vpc-endpoint-id": func(e row) []string { return request.One(e.ID) },
			// The API spells the states in either way.
			"vpc-endpoint-state": func(e row) []string {
				s, _ := endpointState(tx, e)
				return []string{s, lowered[s]}
			},
			"vpc-endpoint-type": func(e row) []string { return request.One(e.Type) },
			"vpc-id":            func(e row) []string { return request.One(e.VPC) },
		},
	}
}

func optional(value string) []string {
	if value == "" {
		return nil
	}
	return request.One(value)
}

// endpointState gives the life cycle of an endpoint in the words of EC2, and
// the reason of a failure. EC2 has no word for an endpoint that is being modified
// but Pending, which clients wait through after a modification, and none for a
// deletion that fails.
//
// One of type Interface waits for its owner first, and is available when its names are out,
// too: whoever waits for it asks for them next. That they cannot be is not said here: packets
// get through.
func endpointState(tx *table.Txn, e *model.VPCEndpoint) (state, reason string) {
	status := statusOf(tx, e.Ref())
	if word := acceptanceWords[e.Acceptance]; word != "" && !e.Deleting() {
		return word, ""
	}
	switch model.LifecycleOf(&e.Meta, status) {
	case model.Ready:
		if e.Type == model.EndpointInterface && len(e.Interfaces) > 0 && status.Names.State == model.StatusUnsaid {
			return shape.StatePending, ""
		}
		return shape.StateAvailable, ""
	case model.Failed, model.UpdateFailed:
		if leadsSomewhere(tx, e) {
			return shape.StatePartial, status.Reason
		}
		return shape.StateFailed, status.Reason
	case model.Deleting:
		return shape.StateDeleting, ""
	case model.DeleteFailed:
		return shape.StateDeleting, status.Reason
	}
	return shape.StatePending, ""
}

// leadsSomewhere reports whether one of several ways of an endpoint is there.
func leadsSomewhere(tx *table.Txn, e *model.VPCEndpoint) bool {
	for row := range state.EndpointAssociationsByEndpoint.Rows(tx, e.Ref()) {
		if row.Owns() && model.LifecycleOf(&row.Meta, statusOf(tx, row.Ref())) == model.Ready {
			return true
		}
	}
	return false
}

// acceptanceWords are the states of endpoints that were not accepted.
var acceptanceWords = map[string]string{
	model.AcceptancePending: shape.StatePendingAcceptance, model.AcceptanceRejected: shape.StateRejected, model.AcceptanceExpired: shape.StateExpired,
}

// lowered are the states as most replies spell them.
var lowered = map[string]string{
	shape.StatePendingAcceptance: "pendingAcceptance", shape.StateRejected: "rejected", shape.StateExpired: "expired",
	shape.StateAvailable: strings.ToLower(shape.StateAvailable), shape.StatePartial: strings.ToLower(shape.StatePartial), shape.StateFailed: strings.ToLower(shape.StateFailed),
	shape.StateDeleting: strings.ToLower(shape.StateDeleting), shape.StatePending: strings.ToLower(shape.StatePending),
}

// statusOf gives what the data plane acknowledged about a resource, or nil.
func statusOf(tx *table.Txn, ref model.Ref) *model.Status {
	status, _ := state.Statuses.Get(tx, ref.Account, ref.Region, ref.ID)
	return status
}

// endpointShape is an endpoint as it is described: EC2 spells states and address
// types in lower case here. It has the row's own values, which nobody changes.
func (a Endpoints) endpointShape(tx *table.Txn, e *model.VPCEndpoint) shape.VpcEndpoint {
	state, reason := endpointState(tx, e)
	return a.shapeIn(tx, e, lowered[state], reason)
}

func (a Endpoints) shapeIn(tx *table.Txn, e *model.VPCEndpoint, state, reason string) shape.VpcEndpoint {
	out := shape.VpcEndpoint{
		VpcEndpointId: &e.ID, VpcEndpointType: &e.Type, VpcId: &e.VPC, OwnerId: &e.Account,
		State: &state, SubnetIds: e.Subnets, NetworkInterfaceIds: e.Interfaces,
		IpAddressType: &e.IPAddressType, PrivateDnsEnabled: &e.PrivateDNS, RequesterManaged: new(false),
		DnsOptions: dnsOptionsShape(e), DnsEntries: a.dnsEntries(tx, e), RouteTableIds: routeTables(tx, e), Groups: endpointGroups(tx, e),
		CreationTimestamp: &e.CreatedAt, Tags: request.TagList(e.Tags),
		PolicyDocument: policyOf(e),
	}
	if e.Type == model.EndpointResource {
		out.ResourceConfigurationArn = new(configurationARN(e.Configuration))
	} else {
		out.ServiceName, out.ServiceRegion = &e.ServiceName, &e.Region
	}
	if reason != "" {
		out.FailureReason = new(reason)
		out.LastError = &shape.LastError{Code: new("InternalError"), Message: new(reason)}
	}
	return out
}

// createdEndpoint is an endpoint as EC2 shows it in the reply to its creation: of one of type
// Resource state and address type are spelled in other letter cases than later, and the
// interfaces are not told yet.
func (a Endpoints) createdEndpoint(tx *table.Txn, e *model.VPCEndpoint) *shape.VpcEndpoint {
	if e.Type != model.EndpointResource {
		return new(a.endpointShape(tx, e))
	}
	state, reason := endpointState(tx, e)
	out := a.shapeIn(tx, e, state, reason)
	out.IpAddressType = new(strings.ToUpper(e.IPAddressType))
	out.NetworkInterfaceIds = []string{}
	return &out
}

func dnsOptionsShape(e *model.VPCEndpoint) *shape.DnsOptions {
	record := &e.DNSRecordType
	if *record == "" {
		record = &e.IPAddressType
	}
	if e.Type != model.EndpointResource {
		return &shape.DnsOptions{DnsRecordIpType: record, PrivateDnsOnlyForInboundResolverEndpoint: new(false)}
	}
	preference := e.DNSPreference
	if preference == "" && e.PrivateDNS {
		preference = model.PreferVerified
	}
	return &shape.DnsOptions{
		DnsRecordIpType: record, PrivateDnsPreference: service.Optional(preference),
		PrivateDnsSpecifiedDomains: e.DNSDomains,
	}
}

func endpointGroups(tx *table.Txn, e *model.VPCEndpoint) []shape.SecurityGroupIdentifier {
	groups := make([]shape.SecurityGroupIdentifier, len(e.Groups))
	for i := range e.Groups {
		groups[i].GroupId = &e.Groups[i]
		if row, ok := state.SecurityGroups.Get(tx, e.Account, e.Region, e.Groups[i]); ok {
			groups[i].GroupName = &row.Name
		}
	}
	return groups
}

// configurationARN names a resource configuration whose row may be gone.
func configurationARN(ref model.Ref) string {
	return (&model.ResourceConfiguration{Meta: model.Meta{Account: ref.Account, Region: ref.Region, ID: ref.ID}}).ARN()
}
