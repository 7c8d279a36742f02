// SPDX-License-Identifier: Apache-2.0

// Package tag is EC2's tags: it knows all kinds of resources that can have some.
package tag

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/ec2/acl"
	"github.com/posternhq/postern/internal/service/ec2/dhcp"
	"github.com/posternhq/postern/internal/service/ec2/group"
	"github.com/posternhq/postern/internal/service/ec2/request"
	"github.com/posternhq/postern/internal/service/ec2/route"
	"github.com/posternhq/postern/internal/service/ec2/subnet"
	"github.com/posternhq/postern/internal/service/ec2/vpc"
	"github.com/posternhq/postern/internal/service/view"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// Tags are the operations on tags.
type Tags struct{ *service.Env }

// change gives the new tags of a resource that has the given ones, which it
// must not change.
type change func(have map[string]string) (map[string]string, error)

// taggable is a kind of resources that can have tags.
type taggable struct {
	// prefix is that of the resources' ids.
	prefix       string
	resourceType string
	// retag changes the tags of the caller's resource.
	retag func(*table.Txn, access.View, string, change) error
	// each yields the ids and tags of all the caller's resources.
	each func(*table.Txn, access.View, func(id string, tags map[string]string))
}

// taggables are all kinds of resources of EC2 that can have tags here.
var taggables = []taggable{
	kind("vpc-", shape.ResourceTypeVpc, state.VPCs, vpc.Missing, func(v *model.VPC) *model.Meta { return &v.Meta }),
	kind("subnet-", shape.ResourceTypeSubnet, state.Subnets, subnet.Missing, func(s *model.Subnet) *model.Meta { return &s.Meta }),
	kind("sg-", shape.ResourceTypeSecurityGroup, state.SecurityGroups, group.Missing, func(g *model.SecurityGroup) *model.Meta { return &g.Meta }),
	kind("rtb-", shape.ResourceTypeRouteTable, state.RouteTables, route.Missing, func(r *model.RouteTable) *model.Meta { return &r.Meta }),
	kind("acl-", shape.ResourceTypeNetworkAcl, state.NetworkACLs, acl.Missing, func(n *model.NetworkACL) *model.Meta { return &n.Meta }),
	kind("dopt-", shape.ResourceTypeDhcpOptions, state.DHCPOptions, dhcp.Missing, func(o *model.DHCPOptions) *model.Meta { return &o.Meta }),
	kind("eni-", shape.ResourceTypeNetworkInterface, state.NetworkInterfaces, request.Missing("InvalidNetworkInterfaceID.NotFound", "networkInterface"), func(n *model.NetworkInterface) *model.Meta { return &n.Meta }),
	kind("vpce-", shape.ResourceTypeVpcEndpoint, state.VPCEndpoints, request.Missing("InvalidVpcEndpointId.NotFound", "VPC endpoint"), func(e *model.VPCEndpoint) *model.Meta { return &e.Meta }),
	{prefix: "sgr-", resourceType: shape.ResourceTypeSecurityGroupRule, retag: retagRule, each: eachRule},
}

// cloner is a row that can be copied to be changed.
type cloner[T any] interface {
	table.Row
	Clone() T
}

// kind makes the taggable of a table whose rows have a Meta.
func kind[T cloner[T]](prefix, resourceType string, rows *table.Table[T], missing func(string) error, meta func(T) *model.Meta) taggable {
	return taggable{
		prefix: prefix, resourceType: resourceType,
		retag: func(tx *table.Txn, who access.View, id string, with change) error {
			row, ok := view.Get(tx, who, rows, id)
			if !ok {
				return missing(id)
			}
			tags, err := with(meta(row).Tags)
			if err != nil {
				return err
			}
			row = row.Clone()
			meta(row).Tags = tags
			rows.Put(tx, row)
			return nil
		},
		each: func(tx *table.Txn, who access.View, yield func(string, map[string]string)) {
			for row := range view.All(tx, who, rows) {
				yield(meta(row).ID, meta(row).Tags)
			}
		},
	}
}

func retagRule(tx *table.Txn, who access.View, id string, with change) error {
	for g := range view.All(tx, who, state.SecurityGroups) {
		i := slices.IndexFunc(g.Rules, func(r model.SecurityGroupRule) bool { return r.ID == id })
		if i < 0 {
			continue
		}
		tags, err := with(g.Rules[i].Tags)
		if err != nil {
			return err
		}
		g = g.Clone()
		g.Rules[i].Tags = tags
		state.SecurityGroups.Put(tx, g)
		return nil
	}
	return group.MissingRule(id)
}

func eachRule(tx *table.Txn, who access.View, yield func(string, map[string]string)) {
	for _, r := range group.Rules(tx, who) {
		yield(r.Rule.ID, r.Rule.Tags)
	}
}

// kindOf finds the kind of a resource by its id.
func kindOf(id string) (taggable, error) {
	for _, k := range taggables {
		if strings.HasPrefix(id, k.prefix) {
			return k, nil
		}
	}
	return taggable{}, fault.EC2("InvalidID", "The ID '%s' is not valid: it is not of a kind of resource that can be tagged here", id)
}

// retag changes the tags of all resources, or of none when one does not exist.
func (a Tags) retag(ctx context.Context, ids []string, with change) error {
	who := access.From(ctx)
	for _, id := range ids {
		if _, err := kindOf(id); err != nil {
			return err
		}
	}
	err := table.UpdateInParts(ctx, a.DB, ids, func(tx *table.Txn, ids []string) error {
		for _, id := range ids {
			k, err := kindOf(id)
			if err != nil {
				return err
			}
			if err := k.retag(tx, who, id, with); err != nil {
				return request.Fault(err)
			}
		}
		return nil
	})
	return err
}

// CreateTags adds tags to resources, or gives tags that they have new values.
func (a Tags) CreateTags(ctx context.Context, in *shape.CreateTagsInput) (*shape.CreateTagsOutput, error) {
	more, err := service.MakeTags(request.Tags(in.Tags))
	if err != nil {
		return nil, request.Fault(err)
	}
	err = a.retag(ctx, in.Resources, func(have map[string]string) (map[string]string, error) {
		return service.AddTags(have, more)
	})
	return &shape.CreateTagsOutput{}, err
}

// DeleteTags takes tags from resources: those that have the given key and, if
// one is given, value; all when no tag is given. Tags that are not there are no
// error.
func (a Tags) DeleteTags(ctx context.Context, in *shape.DeleteTagsInput) (*shape.DeleteTagsOutput, error) {
	err := a.retag(ctx, in.Resources, func(have map[string]string) (map[string]string, error) {
		if in.Tags == nil {
			return nil, nil
		}
		left := maps.Clone(have)
		for _, t := range in.Tags {
			if value, ok := left[service.Value(t.Key)]; ok && (t.Value == nil || *t.Value == value) {
				delete(left, service.Value(t.Key))
			}
		}
		return left, nil
	})
	return &shape.DeleteTagsOutput{}, err
}

// taggedResource is one tag of one resource.
type taggedResource struct{ resourceType, id, key, value string }

// sortKey orders tags by resource and key. No id holds a zero byte.
func (t taggedResource) sortKey() string { return t.id + "\x00" + t.key }

// DescribeTags lists the tags of the caller's resources.
func (a Tags) DescribeTags(ctx context.Context, in *shape.DescribeTagsInput) (*shape.DescribeTagsOutput, error) {
	who := access.From(ctx)
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	var all []taggedResource
	for _, k := range taggables {
		k.each(tx, who, func(id string, tags map[string]string) {
			for key, value := range tags {
				all = append(all, taggedResource{k.resourceType, id, key, value})
			}
		})
	}
	slices.SortFunc(all, func(x, y taggedResource) int { return cmp.Compare(x.sortKey(), y.sortKey()) })
	q := request.Query{Filters: in.Filters, Token: in.NextToken, Max: in.MaxResults}
	page, next, err := request.Paginate(who, "DescribeTags", q, slices.Values(all), tagFilters, taggedResource.sortKey)
	if err != nil {
		return nil, err
	}
	out := &shape.DescribeTagsOutput{NextToken: next, Tags: []shape.TagDescription{}}
	for _, t := range page {
		out.Tags = append(out.Tags, shape.TagDescription{
			ResourceType: new(t.resourceType), ResourceId: new(t.id), Key: new(t.key), Value: new(t.value),
		})
	}
	return out, nil
}

var tagFilters = service.Filters[taggedResource]{
	// The filter tag:<key> takes the tags with that key and value.
	Tags: func(t taggedResource) map[string]string { return map[string]string{t.key: t.value} },
	Properties: map[string]func(taggedResource) []string{
		"key":           func(t taggedResource) []string { return []string{t.key} },
		"resource-id":   func(t taggedResource) []string { return []string{t.id} },
		"resource-type": func(t taggedResource) []string { return []string{t.resourceType} },
		"value":         func(t taggedResource) []string { return []string{t.value} },
	},
}
