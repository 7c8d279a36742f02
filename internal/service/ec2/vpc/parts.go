// SPDX-License-Identifier: Apache-2.0

package vpc

import (
	"cmp"
	"fmt"
	"net/netip"

	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// DefaultGroup is the name of the group that every VPC has.
const DefaultGroup = "default"

// QuotaError says that the account has as many VPCs in the region as it may
// have.
type QuotaError struct{ Limit int }

// Error names the limit.
func (e *QuotaError) Error() string {
	return fmt.Sprintf("The maximum number of VPCs (%d) has been reached.", e.Limit)
}

// Parts are the rows that make up a new VPC, with all their ids. They are made
// before the transaction and written in it, so that an attempt that is repeated
// makes the same ones.
type Parts struct {
	// VPC may be changed until Insert.
	VPC     *model.VPC
	table   *model.RouteTable
	acl     *model.NetworkACL
	group   *model.SecurityGroup
	options *model.DHCPOptions // used when the region has none yet
	subnets []*model.Subnet
}

// New makes the rows of a VPC: with a main route table, a default network ACL,
// a default security group that lets IPv6 out when with6 is set, and DHCP
// options.
func New(env *service.Env, account, region string, block netip.Prefix, with6 bool) *Parts {
	now := env.Now()
	meta := func(kind string) model.Meta {
		return model.Meta{Account: account, Region: region, ID: env.NewID(kind), CreatedAt: now, UpdatedAt: now}
	}
	p := &Parts{
		VPC: &model.VPC{
			Meta:    meta("vpc"),
			CIDRs:   []model.CIDRAssociation{{ID: env.NewID("vpc-cidr-assoc"), Prefix: block}},
			Tenancy: shape.TenancyDefault, DNSSupport: true,
		},
		table:   &model.RouteTable{Meta: meta("rtb"), Main: true, MainAssociation: env.NewID("rtbassoc")},
		acl:     &model.NetworkACL{Meta: meta("acl"), Default: true},
		group:   &model.SecurityGroup{Meta: meta("sg"), Name: DefaultGroup, Description: "default VPC security group"},
		options: &model.DHCPOptions{Meta: meta("dopt"), DomainName: DefaultDomain(region), DomainNameServers: []string{model.AmazonDNS}},
	}
	p.table.VPC, p.acl.VPC, p.group.VPC = p.VPC.ID, p.VPC.ID, p.VPC.ID
	p.VPC.MainTable, p.VPC.DefaultACL, p.VPC.DefaultGroup = p.table.ID, p.acl.ID, p.group.ID
	p.group.Rules = append(AllEgress(env, with6), model.SecurityGroupRule{
		ID: env.NewID("sgr"), Protocol: "-1", From: -1, To: -1, Group: p.group.ID,
	})
	return p
}

// Insert writes the rows. It fails with a *QuotaError, or with
// alloc.ErrTransitFull; then the transaction must be given up.
func (p *Parts) Insert(tx *table.Txn, env *service.Env) error {
	v := p.VPC
	if n := env.Quotas.VPCsPerRegion; state.VPCs.CountScope(tx, v.Account, v.Region) >= n {
		return &QuotaError{Limit: n}
	}
	index, err := env.Alloc().ClaimTransit(tx, model.SpaceSource, model.FrontTransit, v.Ref())
	if err != nil {
		return err
	}
	v.TransitIndex = index
	v.DHCPOptions = p.options.ID
	if have := defaultOptions(tx, v.Account, v.Region); have != nil {
		v.DHCPOptions = have.ID
	} else {
		state.DHCPOptions.Put(tx, p.options)
	}
	state.VPCs.Put(tx, v)
	state.RouteTables.Put(tx, p.table)
	state.NetworkACLs.Put(tx, p.acl)
	state.SecurityGroups.Put(tx, p.group)
	for _, s := range p.subnets {
		state.Subnets.Put(tx, s)
	}
	return nil
}

// defaultOptions gives the DHCP options of a region that all new VPCs of the account
// have there; nil before the first VPC, or when they were deleted.
func defaultOptions(tx *table.Txn, account, region string) *model.DHCPOptions {
	for o := range state.DHCPOptions.Scope(tx, account, region) {
		if !o.Custom {
			return o
		}
	}
	return nil
}

// optionsOf gives the id of a VPC's DHCP options as it is shown.
func optionsOf(v *model.VPC) string { return cmp.Or(v.DHCPOptions, model.NoDHCPOptions) }

// DefaultDomain is the domain of workloads in a region:
// https://docs.aws.amazon.com/vpc/latest/userguide/DHCPOptionSetConcepts.html
func DefaultDomain(region string) string {
	if region == "us-east-1" {
		return "ec2.internal"
	}
	return region + ".compute.internal"
}

// Everywhere4 and Everywhere6 are all addresses of a family.
var Everywhere4, Everywhere6 = netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")

// AllEgress makes the rules of a new security group, which let everything out.
func AllEgress(env *service.Env, with6 bool) []model.SecurityGroupRule {
	rules := []model.SecurityGroupRule{AllOut(env.NewID("sgr"), Everywhere4)}
	if with6 {
		rules = append(rules, AllOut(env.NewID("sgr"), Everywhere6))
	}
	return rules
}

// AllOut makes a rule that lets everything out to a block.
func AllOut(id string, to netip.Prefix) model.SecurityGroupRule {
	return model.SecurityGroupRule{ID: id, Egress: true, Protocol: "-1", From: -1, To: -1, CIDR: to}
}
