// SPDX-License-Identifier: Apache-2.0

// Package acl is EC2's network ACLs.
package acl

import (
	"context"
	"strconv"
	"strings"

	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/ec2/request"
	"github.com/posternhq/postern/internal/service/ec2/vpc"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// ACLs are the operations on network ACLs.
type ACLs struct{ *service.Env }

// DescribeNetworkAcls lists the caller's network ACLs, which are the default
// ones of VPCs: no others can be made yet. They let everything pass.
func (a ACLs) DescribeNetworkAcls(ctx context.Context, in *shape.DescribeNetworkAclsInput) (*shape.DescribeNetworkAclsOutput, error) {
	rows, tx, next, err := request.Describe(ctx, a.DB, request.Listing[*model.NetworkACL]{
		Operation: "DescribeNetworkAcls", Table: state.NetworkACLs, Filters: aclFilters,
	}, request.Query{Filters: in.Filters, IDs: in.NetworkAclIds, Token: in.NextToken, Max: in.MaxResults})
	if err != nil {
		return nil, err
	}
	out := &shape.DescribeNetworkAclsOutput{NextToken: next, NetworkAcls: []shape.NetworkAcl{}}
	for _, n := range rows {
		out.NetworkAcls = append(out.NetworkAcls, shape.NetworkAcl{
			NetworkAclId: new(n.ID), VpcId: new(n.VPC), OwnerId: new(n.Account), IsDefault: new(n.Default),
			Tags: request.TagList(n.Tags), Entries: aclEntries(tx, n), Associations: aclAssociations(tx, n),
		})
	}
	return out, nil
}

// The rule numbers of default ACLs
// (https://docs.aws.amazon.com/vpc/latest/userguide/default-network-acl.html).
const (
	aclAllow4, aclDeny4 = 100, 32767
	aclAllow6, aclDeny6 = 101, 32768
)

// aclEntries makes the entries of a default ACL: all passes in both directions,
// with the entries for IPv6 when the VPC has it.
func aclEntries(tx *table.Txn, n *model.NetworkACL) []shape.NetworkAclEntry {
	v, ok := state.VPCs.Get(tx, n.Account, n.Region, n.VPC)
	has6 := ok && len(v.CIDRs6) > 0
	var entries []shape.NetworkAclEntry
	add := func(number int32, egress, six bool, action string) {
		e := shape.NetworkAclEntry{Egress: new(egress), Protocol: new("-1"), RuleAction: new(action), RuleNumber: new(number)}
		if six {
			e.Ipv6CidrBlock = new(vpc.Everywhere6.String())
		} else {
			e.CidrBlock = new(vpc.Everywhere4.String())
		}
		entries = append(entries, e)
	}
	for _, egress := range []bool{true, false} {
		add(aclAllow4, egress, false, shape.RuleActionAllow)
		add(aclDeny4, egress, false, shape.RuleActionDeny)
		if has6 {
			add(aclAllow6, egress, true, shape.RuleActionAllow)
			add(aclDeny6, egress, true, shape.RuleActionDeny)
		}
	}
	return entries
}

// aclAssociations joins the default ACL with each subnet of its VPC. The ids of
// associations are made from those of the subnets.
func aclAssociations(tx *table.Txn, n *model.NetworkACL) []shape.NetworkAclAssociation {
	out := []shape.NetworkAclAssociation{}
	for s := range state.SubnetsByVPC.Rows(tx, n.Sibling(n.VPC)) {
		out = append(out, shape.NetworkAclAssociation{
			NetworkAclAssociationId: new("aclassoc-" + strings.TrimPrefix(s.ID, "subnet-")),
			NetworkAclId:            new(n.ID), SubnetId: new(s.ID),
		})
	}
	return out
}

func aclFilters(tx *table.Txn) service.Filters[*model.NetworkACL] {
	type row = *model.NetworkACL
	entries := func(value func(shape.NetworkAclEntry) string) func(row) []string {
		return func(n row) []string {
			var values []string
			for _, e := range aclEntries(tx, n) {
				values = append(values, request.One(value(e))...)
			}
			return values
		}
	}
	associations := func(value func(shape.NetworkAclAssociation) *string) func(row) []string {
		return func(n row) []string {
			var values []string
			for _, each := range aclAssociations(tx, n) {
				values = append(values, *value(each))
			}
			return values
		}
	}
	none := func(row) []string { return nil } // entries for all protocols have neither types nor ports
	return service.Filters[row]{
		Properties: map[string]func(row) []string{
			"association.association-id": associations(func(a shape.NetworkAclAssociation) *string { return a.NetworkAclAssociationId }),
			"association.network-acl-id": func(n row) []string { return request.One(n.ID) },
			"association.subnet-id":      associations(func(a shape.NetworkAclAssociation) *string { return a.SubnetId }),
			"default":                    func(n row) []string { return request.YesNo(n.Default) },
			"entry.cidr":                 entries(func(e shape.NetworkAclEntry) string { return service.Value(e.CidrBlock) }),
			"entry.egress":               entries(func(e shape.NetworkAclEntry) string { return strconv.FormatBool(*e.Egress) }),
			"entry.icmp.code":            none,
			"entry.icmp.type":            none,
			"entry.port-range.from":      none,
			"entry.port-range.to":        none,
			"entry.ipv6-cidr":            entries(func(e shape.NetworkAclEntry) string { return service.Value(e.Ipv6CidrBlock) }),
			"entry.protocol":             entries(func(e shape.NetworkAclEntry) string { return *e.Protocol }),
			"entry.rule-action":          entries(func(e shape.NetworkAclEntry) string { return *e.RuleAction }),
			"entry.rule-number":          entries(func(e shape.NetworkAclEntry) string { return strconv.Itoa(int(*e.RuleNumber)) }),
			"network-acl-id":             func(n row) []string { return request.One(n.ID) },
			"owner-id":                   func(n row) []string { return request.One(n.Account) },
			"vpc-id":                     func(n row) []string { return request.One(n.VPC) },
		},
	}
}
