// SPDX-License-Identifier: Apache-2.0

// Package prefixlist is EC2's lists of blocks that AWS manages.
package prefixlist

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"iter"
	"net/netip"
	"slices"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/ec2/request"
)

// PrefixLists are the operations on prefix lists.
type PrefixLists struct{ *service.Env }

// prefixList is a list of blocks that AWS manages
// (https://docs.aws.amazon.com/vpc/latest/userguide/working-with-aws-managed-prefix-lists.html).
// Customers' own cannot be made here.
type prefixList struct {
	id, name string
	blocks   []netip.Prefix
}

// prefixLists gives the lists of a region, in ascending order of their ids,
// which are made from the names. The blocks of VPC Lattice are AWS's. Those of
// S3 and DynamoDB are of the networks for documentation (RFC 5737): AWS's own
// differ from region to region, and neither service is here to be reached.
func prefixLists(region string) []prefixList {
	lists := []prefixList{
		{name: "com.amazonaws." + region + ".s3", blocks: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}},
		{name: "com.amazonaws." + region + ".dynamodb", blocks: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}},
		{name: "com.amazonaws." + region + ".vpc-lattice", blocks: []netip.Prefix{netip.MustParsePrefix("169.254.171.0/24")}},
		{name: "com.amazonaws." + region + ".ipv6.vpc-lattice", blocks: []netip.Prefix{netip.MustParsePrefix("fd00:ec2:80::/64")}},
	}
	for i := range lists {
		sum := sha256.Sum256([]byte(lists[i].name))
		lists[i].id = "pl-" + hex.EncodeToString(sum[:4])
	}
	slices.SortFunc(lists, func(x, y prefixList) int { return cmp.Compare(x.id, y.id) })
	return lists
}

// prefixListOwner is who the lists belong to.
const prefixListOwner = "AWS"

// chosenLists gives the lists with these ids, or all.
func chosenLists(region string, ids []string, missing func(string) error) (iter.Seq[prefixList], error) {
	lists := prefixLists(region)
	for _, id := range ids {
		if !slices.ContainsFunc(lists, func(l prefixList) bool { return l.id == id }) {
			return nil, missing(id)
		}
	}
	return request.Taken(slices.Values(lists), func(l prefixList) bool { return len(ids) == 0 || slices.Contains(ids, l.id) }), nil
}

func prefixListID(l prefixList) string { return l.id }

// DescribePrefixLists lists the blocks of services of AWS.
func (a PrefixLists) DescribePrefixLists(ctx context.Context, in *shape.DescribePrefixListsInput) (*shape.DescribePrefixListsOutput, error) {
	who := access.From(ctx)
	lists, err := chosenLists(who.Region, in.PrefixListIds, request.Missing("InvalidPrefixListId.NotFound", "prefix list"))
	if err != nil {
		return nil, err
	}
	page, next, err := request.Paginate(who, "DescribePrefixLists", request.Query{Filters: in.Filters, IDs: in.PrefixListIds, Token: in.NextToken, Max: in.MaxResults}, lists, prefixListFilters(false), prefixListID)
	if err != nil {
		return nil, err
	}
	out := &shape.DescribePrefixListsOutput{NextToken: next}
	for _, l := range page {
		out.PrefixLists = append(out.PrefixLists, shape.PrefixList{PrefixListId: new(l.id), PrefixListName: new(l.name), Cidrs: prefixTexts(l.blocks)})
	}
	return out, nil
}

// DescribeManagedPrefixLists lists the same, as prefix lists that customers
// could have made too.
func (a PrefixLists) DescribeManagedPrefixLists(ctx context.Context, in *shape.DescribeManagedPrefixListsInput) (*shape.DescribeManagedPrefixListsOutput, error) {
	who := access.From(ctx)
	lists, err := chosenLists(who.Region, in.PrefixListIds, noPrefixList)
	if err != nil {
		return nil, err
	}
	page, next, err := request.Paginate(who, "DescribeManagedPrefixLists", request.Query{Filters: in.Filters, IDs: in.PrefixListIds, Token: in.NextToken, Max: in.MaxResults}, lists, prefixListFilters(true), prefixListID)
	if err != nil {
		return nil, err
	}
	out := &shape.DescribeManagedPrefixListsOutput{NextToken: next}
	for _, l := range page {
		family := "IPv4"
		if l.blocks[0].Addr().Is6() {
			family = "IPv6"
		}
		out.PrefixLists = append(out.PrefixLists, shape.ManagedPrefixList{
			PrefixListId: new(l.id), PrefixListName: new(l.name), AddressFamily: new(family), OwnerId: new(prefixListOwner),
			State: new(shape.PrefixListStateCreateComplete), PrefixListArn: new(model.ARN("ec2", who.Region, "aws", "prefix-list/"+l.id)),
		})
	}
	return out, nil
}

var noPrefixList = request.Missing("InvalidPrefixListID.NotFound", "prefix list")

// GetManagedPrefixListEntries tells the blocks of one list. AWS's own lists have
// no versions to ask for.
func (a PrefixLists) GetManagedPrefixListEntries(ctx context.Context, in *shape.GetManagedPrefixListEntriesInput) (*shape.GetManagedPrefixListEntriesOutput, error) {
	who := access.From(ctx)
	lists, err := chosenLists(who.Region, []string{service.Value(in.PrefixListId)}, noPrefixList)
	if err != nil {
		return nil, err
	}
	if in.TargetVersion != nil {
		return nil, fault.EC2("InvalidParameterValue", "TargetVersion: prefix list %s is managed by AWS and has no versions", *in.PrefixListId)
	}
	var blocks []netip.Prefix
	for l := range lists {
		blocks = append(blocks, l.blocks...)
	}
	none := service.Filters[netip.Prefix]{}
	q := request.Query{IDs: []string{*in.PrefixListId}, Token: in.NextToken, Max: in.MaxResults}
	page, next, err := request.Paginate(who, "GetManagedPrefixListEntries", q, slices.Values(blocks), none, netip.Prefix.String)
	if err != nil {
		return nil, err
	}
	out := &shape.GetManagedPrefixListEntriesOutput{NextToken: next}
	for _, b := range page {
		out.Entries = append(out.Entries, shape.PrefixListEntry{Cidr: new(b.String())})
	}
	return out, nil
}

func prefixListFilters(managed bool) service.Filters[prefixList] {
	f := service.Filters[prefixList]{Properties: map[string]func(prefixList) []string{
		"prefix-list-id":   func(l prefixList) []string { return request.One(l.id) },
		"prefix-list-name": func(l prefixList) []string { return request.One(l.name) },
	}}
	if managed {
		f.Properties["owner-id"] = func(prefixList) []string { return request.One(prefixListOwner) }
		f.Tags = func(prefixList) map[string]string { return nil }
	}
	return f
}

func prefixTexts(blocks []netip.Prefix) []string {
	var out []string
	for _, b := range blocks {
		out = append(out, b.String())
	}
	return out
}
