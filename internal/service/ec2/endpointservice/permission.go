// SPDX-License-Identifier: Apache-2.0

package endpointservice

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/ec2/request"
	"github.com/posternhq/postern/internal/table"
)

// everybody is the principal that all accounts are.
const everybody = "*"

// ModifyVpcEndpointServicePermissions changes who may have endpoints to a service of the
// caller's. Endpoints that are there stay, whoever has them.
func (a Services) ModifyVpcEndpointServicePermissions(ctx context.Context, in *shape.ModifyVpcEndpointServicePermissionsInput) (*shape.ModifyVpcEndpointServicePermissionsOutput, error) {
	if len(in.AddAllowedPrincipals)+len(in.RemoveAllowedPrincipals) == 0 {
		return nil, fault.EC2("MissingParameter", "The request must contain AddAllowedPrincipals or RemoveAllowedPrincipals")
	}
	for _, arn := range slices.Concat(in.AddAllowedPrincipals, in.RemoveAllowedPrincipals) {
		if principalType(arn) == "" {
			return nil, fault.EC2("InvalidPrincipal", "Invalid Principal: '%s'. It must be *, or the ARN of an account's root, of a user or of a role", arn)
		}
	}
	ids := make([]string, len(in.AddAllowedPrincipals))
	for i := range ids {
		ids[i] = a.NewID("vpce-svc-perm")
	}
	var added []shape.AddedPrincipal
	_, err := a.change(ctx, service.Value(in.ServiceId), func(_ *table.Txn, s *model.EndpointService) error {
		added = []shape.AddedPrincipal{}
		for i, arn := range in.AddAllowedPrincipals {
			if slices.ContainsFunc(s.Principals, func(p model.ServicePrincipal) bool { return p.ARN == arn }) {
				continue
			}
			s.Principals = append(s.Principals, model.ServicePrincipal{ID: ids[i], ARN: arn})
			added = append(added, shape.AddedPrincipal{PrincipalType: new(principalType(arn)), Principal: &arn, ServicePermissionId: &ids[i], ServiceId: &s.ID})
		}
		s.Principals = slices.DeleteFunc(s.Principals, func(p model.ServicePrincipal) bool { return slices.Contains(in.RemoveAllowedPrincipals, p.ARN) })
		if most := a.Quotas.PrincipalsPerEndpointService; len(s.Principals) > most {
			return fault.EC2("VpcEndpointServicePermissionLimitExceeded", "The VPC endpoint service %s can have %d principals", s.ID, most)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &shape.ModifyVpcEndpointServicePermissionsOutput{AddedPrincipals: added, ReturnValue: new(true)}, nil
}

// principalType says what a principal is; empty when it is none.
func principalType(arn string) string {
	if arn == everybody {
		return shape.PrincipalTypeAll
	}
	p, err := model.ParseARN(arn)
	if err != nil || p.Service != "iam" || p.Region != "" || len(p.Account) != 12 || strings.Trim(p.Account, "0123456789") != "" {
		return ""
	}
	switch {
	case p.Type == "" && p.ID == "root":
		return shape.PrincipalTypeAccount
	case p.Type == "user" && p.ID != "":
		return shape.PrincipalTypeUser
	case p.Type == "role" && p.ID != "":
		return shape.PrincipalTypeRole
	}
	return ""
}

// DescribeVpcEndpointServicePermissions lists who may have endpoints to a service of the
// caller's, in the order of the permissions' ids.
func (a Services) DescribeVpcEndpointServicePermissions(ctx context.Context, in *shape.DescribeVpcEndpointServicePermissionsInput) (*shape.DescribeVpcEndpointServicePermissionsOutput, error) {
	who := access.From(ctx)
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	s, err := configuration(tx, who, service.Value(in.ServiceId))
	if err != nil {
		return nil, err
	}
	all := slices.Clone(s.Principals)
	slices.SortFunc(all, func(a, b model.ServicePrincipal) int { return cmp.Compare(a.ID, b.ID) })
	query := request.Query{Filters: in.Filters, IDs: []string{s.ID}, Token: in.NextToken, Max: in.MaxResults}
	page, next, err := request.Paginate(who, "DescribeVpcEndpointServicePermissions", query, slices.Values(all), permissionFilters, func(p model.ServicePrincipal) string { return p.ID })
	if err != nil {
		return nil, err
	}
	out := &shape.DescribeVpcEndpointServicePermissionsOutput{NextToken: next, AllowedPrincipals: []shape.AllowedPrincipal{}}
	for _, p := range page {
		out.AllowedPrincipals = append(out.AllowedPrincipals, shape.AllowedPrincipal{
			PrincipalType: new(principalType(p.ARN)), Principal: &p.ARN, ServicePermissionId: &p.ID, ServiceId: &s.ID, Tags: request.TagList(p.Tags),
		})
	}
	return out, nil
}

var permissionFilters = service.Filters[model.ServicePrincipal]{
	Properties: map[string]func(model.ServicePrincipal) []string{
		"principal":      func(p model.ServicePrincipal) []string { return request.One(p.ARN) },
		"principal-type": func(p model.ServicePrincipal) []string { return request.One(principalType(p.ARN)) },
	},
	Tags: func(p model.ServicePrincipal) map[string]string { return p.Tags },
}
