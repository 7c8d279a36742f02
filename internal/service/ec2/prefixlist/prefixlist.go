// SPDX-License-Identifier: Apache-2.0

// Package prefixlist is EC2's lists of blocks: those that AWS manages, and customers'.
package prefixlist

import (
	"cmp"
	"context"
	"iter"
	"slices"

	"github.com/posternhq/postern/internal/access"
	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/ec2/request"
	"github.com/posternhq/postern/internal/service/view"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// PrefixLists are the operations on prefix lists.
type PrefixLists struct{ *service.Env }

// listOwner is who the lists of AWS belong to.
const listOwner = "AWS"

var awsListID = func(l model.AWSPrefixList) string { return l.ID }

// DescribePrefixLists lists the blocks of services of AWS.
func (a PrefixLists) DescribePrefixLists(ctx context.Context, in *shape.DescribePrefixListsInput) (*shape.DescribePrefixListsOutput, error) {
	who := access.From(ctx)
	lists := model.AWSPrefixLists(who.Region)
	for _, id := range in.PrefixListIds {
		if _, ok := model.AWSPrefixListOf(who.Region, id); !ok {
			return nil, request.Missing("InvalidPrefixListId.NotFound", "prefix list")(id)
		}
	}
	chosen := request.Taken(slices.Values(lists), func(l model.AWSPrefixList) bool {
		return len(in.PrefixListIds) == 0 || slices.Contains(in.PrefixListIds, l.ID)
	})
	filters := service.Filters[model.AWSPrefixList]{Properties: map[string]func(model.AWSPrefixList) []string{
		"prefix-list-id":   func(l model.AWSPrefixList) []string { return request.One(l.ID) },
		"prefix-list-name": func(l model.AWSPrefixList) []string { return request.One(l.Name) },
	}}
	q := request.Query{Filters: in.Filters, IDs: in.PrefixListIds, Token: in.NextToken, Max: in.MaxResults}
	page, next, err := request.Paginate(who, "DescribePrefixLists", q, chosen, filters, awsListID)
	if err != nil {
		return nil, err
	}
	out := &shape.DescribePrefixListsOutput{NextToken: next}
	for _, l := range page {
		s := shape.PrefixList{PrefixListId: new(l.ID), PrefixListName: new(l.Name)}
		for _, b := range l.Blocks {
			s.Cidrs = append(s.Cidrs, b.String())
		}
		out.PrefixLists = append(out.PrefixLists, s)
	}
	return out, nil
}

// managed is a list as DescribeManagedPrefixLists has it, AWS's or a customer's.
type managed struct {
	shape   shape.ManagedPrefixList
	tags    map[string]string
	entries []model.PrefixEntry
	row     *model.PrefixList // nil for one of AWS's
}

func (m managed) id() string { return *m.shape.PrefixListId }

func awsManaged(l model.AWSPrefixList, region string) managed {
	m := managed{shape: shape.ManagedPrefixList{
		PrefixListId: new(l.ID), PrefixListName: new(l.Name), AddressFamily: new(family(l.Blocks[0].Addr().Is6())), OwnerId: new(listOwner),
		State: new(shape.PrefixListStateCreateComplete), PrefixListArn: new(model.ARN("ec2", region, "aws", "prefix-list/"+l.ID)),
	}}
	for _, b := range l.Blocks {
		m.entries = append(m.entries, model.PrefixEntry{CIDR: b})
	}
	return m
}

func ownManaged(p *model.PrefixList) managed {
	state := cmp.Or(p.Last, "create") + "-complete"
	return managed{shape: *listShape(p, string(state)), tags: p.Tags, entries: p.Entries, row: p}
}

// all yields AWS's lists and the caller's own, in ascending order of their ids.
func all(tx *table.Txn, who access.View) iter.Seq[managed] {
	var lists []managed
	for _, l := range model.AWSPrefixLists(who.Region) {
		lists = append(lists, awsManaged(l, who.Region))
	}
	for p := range view.All(tx, who, state.PrefixLists) {
		lists = append(lists, ownManaged(p))
	}
	slices.SortFunc(lists, func(x, y managed) int { return cmp.Compare(x.id(), y.id()) })
	return slices.Values(lists)
}

// find gives the list with an id, AWS's or the caller's.
func find(tx *table.Txn, who access.View, id string) (managed, error) {
	if l, ok := model.AWSPrefixListOf(who.Region, id); ok {
		return awsManaged(l, who.Region), nil
	}
	p, err := request.Get(tx, who, state.PrefixLists, id)
	if err != nil {
		return managed{}, err
	}
	return ownManaged(p), nil
}

// DescribeManagedPrefixLists lists prefix lists, AWS's and the caller's own.
func (a PrefixLists) DescribeManagedPrefixLists(ctx context.Context, in *shape.DescribeManagedPrefixListsInput) (*shape.DescribeManagedPrefixListsOutput, error) {
	who := access.From(ctx)
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	for _, id := range in.PrefixListIds {
		if _, err := find(tx, who, id); err != nil {
			return nil, err
		}
	}
	chosen := request.Taken(all(tx, who), func(m managed) bool {
		return len(in.PrefixListIds) == 0 || slices.Contains(in.PrefixListIds, m.id())
	})
	filters := service.Filters[managed]{
		Tags: func(m managed) map[string]string { return m.tags },
		Properties: map[string]func(managed) []string{
			"owner-id":         func(m managed) []string { return request.One(*m.shape.OwnerId) },
			"prefix-list-id":   func(m managed) []string { return request.One(m.id()) },
			"prefix-list-name": func(m managed) []string { return request.One(*m.shape.PrefixListName) },
		},
	}
	q := request.Query{Filters: in.Filters, IDs: in.PrefixListIds, Token: in.NextToken, Max: in.MaxResults}
	page, next, err := request.Paginate(who, "DescribeManagedPrefixLists", q, chosen, filters, managed.id)
	if err != nil {
		return nil, err
	}
	out := &shape.DescribeManagedPrefixListsOutput{NextToken: next, PrefixLists: []shape.ManagedPrefixList{}}
	for _, m := range page {
		out.PrefixLists = append(out.PrefixLists, m.shape)
	}
	return out, nil
}

// GetManagedPrefixListEntries tells the blocks of one list, also of an earlier version.
// AWS's own lists have no versions to ask for.
func (a PrefixLists) GetManagedPrefixListEntries(ctx context.Context, in *shape.GetManagedPrefixListEntriesInput) (*shape.GetManagedPrefixListEntriesOutput, error) {
	who := access.From(ctx)
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	m, err := find(tx, who, service.Value(in.PrefixListId))
	if err != nil {
		return nil, err
	}
	entries := m.entries
	if in.TargetVersion != nil {
		if entries, err = m.version(*in.TargetVersion, "TargetVersion"); err != nil {
			return nil, err
		}
	}
	entries = slices.SortedFunc(slices.Values(entries), func(x, y model.PrefixEntry) int { return cmp.Compare(x.CIDR.String(), y.CIDR.String()) })
	q := request.Query{IDs: []string{m.id()}, Token: in.NextToken, Max: in.MaxResults}
	page, next, err := request.Paginate(who, "GetManagedPrefixListEntries", q, slices.Values(entries), service.Filters[model.PrefixEntry]{},
		func(e model.PrefixEntry) string { return e.CIDR.String() })
	if err != nil {
		return nil, err
	}
	out := &shape.GetManagedPrefixListEntriesOutput{NextToken: next, Entries: []shape.PrefixListEntry{}}
	for _, e := range page {
		out.Entries = append(out.Entries, shape.PrefixListEntry{Cidr: new(e.CIDR.String()), Description: service.Optional(e.Description)})
	}
	return out, nil
}

// GetManagedPrefixListAssociations tells which of the caller's route tables and security
// groups refer to a list.
func (a PrefixLists) GetManagedPrefixListAssociations(ctx context.Context, in *shape.GetManagedPrefixListAssociationsInput) (*shape.GetManagedPrefixListAssociationsOutput, error) {
	who := access.From(ctx)
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	m, err := find(tx, who, service.Value(in.PrefixListId))
	if err != nil {
		return nil, err
	}
	var ids []string
	for r := range view.All(tx, who, state.RouteTables) {
		if slices.ContainsFunc(r.Routes, func(r model.Route) bool { return r.PrefixList == m.id() }) {
			ids = append(ids, r.ID)
		}
	}
	for g := range view.All(tx, who, state.SecurityGroups) {
		if slices.ContainsFunc(g.Rules, func(r model.SecurityGroupRule) bool { return r.PrefixList == m.id() }) {
			ids = append(ids, g.ID)
		}
	}
	slices.Sort(ids)
	q := request.Query{IDs: []string{m.id()}, Token: in.NextToken, Max: in.MaxResults}
	page, next, err := request.Paginate(who, "GetManagedPrefixListAssociations", q, slices.Values(ids), service.Filters[string]{}, func(id string) string { return id })
	if err != nil {
		return nil, err
	}
	out := &shape.GetManagedPrefixListAssociationsOutput{NextToken: next, PrefixListAssociations: []shape.PrefixListAssociation{}}
	for _, id := range page {
		out.PrefixListAssociations = append(out.PrefixListAssociations, shape.PrefixListAssociation{ResourceId: new(id), ResourceOwner: new(who.Account)})
	}
	return out, nil
}

func family(six bool) string {
	if six {
		return "IPv6"
	}
	return "IPv4"
}

func listShape(p *model.PrefixList, state string) *shape.ManagedPrefixList {
	return &shape.ManagedPrefixList{
		PrefixListId: new(p.ID), PrefixListName: new(p.Name), AddressFamily: new(family(p.IPv6)), OwnerId: new(p.Account), State: new(state),
		PrefixListArn: new(model.ARN("ec2", p.Region, p.Account, "prefix-list/"+p.ID)), MaxEntries: new(int32(p.MaxEntries)),
		Version: new(p.Version), Tags: request.TagList(p.Tags),
	}
}
