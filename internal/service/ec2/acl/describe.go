// SPDX-License-Identifier: Apache-2.0

package acl

import (
	"context"
	"slices"
	"strconv"

	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/ec2/request"
	"github.com/posternhq/postern/internal/service/view"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// The numbers of the last rules of each direction, which refuse what no other has
// matched. They cannot be changed
// (https://docs.aws.amazon.com/vpc/latest/userguide/default-network-acl.html).
const (
	lastNumber4 = model.MaxACLNumber + 1
	lastNumber6 = model.MaxACLNumber + 2
)

// DescribeNetworkAcls lists the caller's network ACLs.
func (a ACLs) DescribeNetworkAcls(ctx context.Context, in *shape.DescribeNetworkAclsInput) (*shape.DescribeNetworkAclsOutput, error) {
	rows, tx, next, err := request.Describe(ctx, a.DB, request.Listing[*model.NetworkACL]{
		Operation: "DescribeNetworkAcls", Table: state.NetworkACLs, Filters: aclFilters, Others: view.OthersNetworkACLs,
	}, request.Query{Filters: in.Filters, IDs: in.NetworkAclIds, Token: in.NextToken, Max: in.MaxResults})
	if err != nil {
		return nil, err
	}
	out := &shape.DescribeNetworkAclsOutput{NextToken: next, NetworkAcls: []shape.NetworkAcl{}}
	for _, n := range rows {
		out.NetworkAcls = append(out.NetworkAcls, aclShape(tx, n))
	}
	return out, nil
}

func aclShape(tx *table.Txn, n *model.NetworkACL) shape.NetworkAcl {
	out := shape.NetworkAcl{
		NetworkAclId: new(n.ID), VpcId: new(n.VPC), OwnerId: new(n.Account), IsDefault: new(n.Default), Tags: request.TagList(n.Tags),
		Entries: []shape.NetworkAclEntry{}, Associations: []shape.NetworkAclAssociation{},
	}
	for _, e := range entriesOf(tx, n) {
		out.Entries = append(out.Entries, entryShape(e))
	}
	for _, each := range associationsOf(tx, vpcOf(tx, n), n) {
		out.Associations = append(out.Associations, shape.NetworkAclAssociation{
			NetworkAclAssociationId: new(each.ID), NetworkAclId: new(n.ID), SubnetId: new(each.Subnet),
		})
	}
	return out
}

// vpcOf gives the VPC of an ACL.
func vpcOf(tx *table.Txn, n *model.NetworkACL) *model.VPC {
	v, ok := state.VPCs.Get(tx, n.Account, n.Region, n.VPC)
	if !ok {
		return &model.VPC{}
	}
	return v
}

// entriesOf gives all entries of an ACL as they are shown: outgoing ones first, and the
// last ones of each direction too.
func entriesOf(tx *table.Txn, n *model.NetworkACL) (all []model.ACLEntry) {
	v := vpcOf(tx, n)
	entries := n.EntriesIn(v)
	for _, egress := range []bool{true, false} {
		for _, e := range entries {
			if e.Egress == egress {
				all = append(all, e)
			}
		}
		last := model.ACLEntry{Number: lastNumber4, Egress: egress, Protocol: model.AllProtocols, CIDR: model.Everywhere4}
		all = append(all, last)
		if len(v.CIDRs6) > 0 {
			last.Number, last.CIDR = lastNumber6, model.Everywhere6
			all = append(all, last)
		}
	}
	return all
}

func entryShape(e model.ACLEntry) shape.NetworkAclEntry {
	out := shape.NetworkAclEntry{
		RuleNumber: new(int32(e.Number)), Egress: new(e.Egress), RuleAction: new(action(e)), Protocol: new(strconv.Itoa(e.Protocol)),
	}
	if e.CIDR.Addr().Is4() {
		out.CidrBlock = new(e.CIDR.String())
	} else {
		out.Ipv6CidrBlock = new(e.CIDR.String())
	}
	switch {
	case hasPorts(e.Protocol):
		out.PortRange = &shape.PortRange{From: new(int32(e.From)), To: new(int32(e.To))}
	case hasTypes(e.Protocol):
		out.IcmpTypeCode = &shape.IcmpTypeCode{Type: new(int32(e.From)), Code: new(int32(e.To))}
	}
	return out
}

func action(e model.ACLEntry) string {
	if e.Allow {
		return shape.RuleActionAllow
	}
	return shape.RuleActionDeny
}

func aclFilters(tx *table.Txn) service.Filters[*model.NetworkACL] {
	type row = *model.NetworkACL
	entries := func(value func(model.ACLEntry) string) func(row) []string {
		return func(n row) []string {
			var values []string
			for _, e := range entriesOf(tx, n) {
				values = append(values, request.One(value(e))...)
			}
			return values
		}
	}
	number := func(has func(int) bool, of func(model.ACLEntry) int) func(row) []string {
		return entries(func(e model.ACLEntry) string {
			if !has(e.Protocol) {
				return ""
			}
			return strconv.Itoa(of(e))
		})
	}
	block := func(four bool) func(row) []string {
		return entries(func(e model.ACLEntry) string {
			if e.CIDR.Addr().Is4() != four {
				return ""
			}
			return e.CIDR.String()
		})
	}
	associations := func(value func(*model.NetworkACLAssociation) string) func(row) []string {
		return func(n row) []string {
			var values []string
			for _, each := range associationsOf(tx, vpcOf(tx, n), n) {
				values = append(values, value(each))
			}
			return values
		}
	}
	from, to := func(e model.ACLEntry) int { return e.From }, func(e model.ACLEntry) int { return e.To }
	return service.Filters[row]{
		Properties: map[string]func(row) []string{
			"association.association-id": associations(func(a *model.NetworkACLAssociation) string { return a.ID }),
			"association.network-acl-id": func(n row) []string { return request.One(n.ID) },
			"association.subnet-id":      associations(func(a *model.NetworkACLAssociation) string { return a.Subnet }),
			"default":                    func(n row) []string { return request.YesNo(n.Default) },
			"entry.cidr":                 block(true),
			"entry.egress":               entries(func(e model.ACLEntry) string { return strconv.FormatBool(e.Egress) }),
			"entry.icmp.code":            number(hasTypes, to),
			"entry.icmp.type":            number(hasTypes, from),
			"entry.port-range.from":      number(hasPorts, from),
			"entry.port-range.to":        number(hasPorts, to),
			"entry.ipv6-cidr":            block(false),
			"entry.protocol":             func(n row) []string { return protocolsOf(entriesOf(tx, n)) },
			"entry.rule-action":          entries(action),
			"entry.rule-number":          entries(func(e model.ACLEntry) string { return strconv.Itoa(e.Number) }),
			"network-acl-id":             func(n row) []string { return request.One(n.ID) },
			"owner-id":                   func(n row) []string { return request.One(n.Account) },
			"vpc-id":                     func(n row) []string { return request.One(n.VPC) },
		},
	}
}

// protocolsOf gives the protocols of entries, by their numbers and by the names that the
// filter takes as well.
func protocolsOf(entries []model.ACLEntry) (all []string) {
	for _, e := range entries {
		all = append(all, strconv.Itoa(e.Protocol))
		for name, number := range protocolNumbers {
			if number == e.Protocol {
				all = append(all, name)
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}
