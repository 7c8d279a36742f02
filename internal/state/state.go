// SPDX-License-Identifier: Apache-2.0

// Package state holds the tables of Postern: one per kind of row, with the
// indexes by which services and controllers find rows.
//
// Values of an index that crosses accounts are full references
// (model.Ref.String); values of one that stays within an account and region
// are made by In, so that equal ids of different accounts never meet.
package state

import (
	"context"
	"log/slog"

	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/store"
	"github.com/posternhq/postern/internal/table"
)

// In makes the value of an index for an id within an account and region.
func In(account, region, id string) string {
	return model.Ref{Account: account, Region: region, ID: id}.String()
}

// The names of indexes. Which table has which is said at the table.
const (
	ByVPC           = "vpc"
	BySubnet        = "subnet"
	ByGroup         = "group"
	ByOwner         = "owner"
	ByInterface     = "interface"
	ByGateway       = "gateway"
	ByConfiguration = "configuration"
	ByEndpoint      = "endpoint"
	ByName          = "name"
	ByHost          = "host"
	ByAll           = "all"
	BySpace         = "space"
	ByReferenced    = "referenced"
)

// Everything is the only value of the ByAll index.
const Everything = "all"

// Open loads the tables from the store and follows it. The caller closes the
// database, then the store.
func Open(ctx context.Context, s store.Store, log *slog.Logger) (*table.DB, error) {
	return table.Open(ctx, s, log, Tables()...)
}

// Tables gives every table, in no particular order.
func Tables() []table.Any {
	return []table.Any{
		Accounts, AccessKeys, Hosts, ClientTokens, Statuses,
		VPCs, Subnets, AddressClaims, RouteTables, NetworkACLs, DHCPOptions,
		SecurityGroups, NetworkInterfaces, Attachments,
		ResourceGateways, ResourceConfigurations, VPCEndpoints, EndpointAssociations,
		TransitClaims,
	}
}

// Tables of the installation itself.
var (
	Accounts   = table.Define[*model.Account]("account")
	AccessKeys = table.Define[*model.AccessKey]("access-key")
	// Hosts has ByAll, to hand out host indexes.
	Hosts        = table.Define("host", index(ByAll, func(*model.Host) []string { return []string{Everything} }))
	ClientTokens = table.Define[*model.ClientToken]("client-token")
	// Statuses are keyed like the resource they are about; identifiers of all
	// kinds differ by their prefix.
	Statuses = table.Define[*model.Status]("status")
	// TransitClaims has BySpace.
	TransitClaims = table.Define("transit-claim",
		index(BySpace, func(c *model.TransitClaim) []string { return []string{c.Space} }))
)

// Tables of networks.
var (
	VPCs = table.Define[*model.VPC]("vpc")
	// Subnets has ByVPC.
	Subnets = table.Define("subnet",
		index(ByVPC, func(s *model.Subnet) []string { return in(&s.Meta, s.VPC) }))
	// AddressClaims has BySubnet, and ByInterface for those that were released.
	AddressClaims = table.Define("address-claim",
		index(BySubnet, func(c *model.AddressClaim) []string {
			return []string{In(c.Account, c.Region, c.Subnet)}
		}),
		index(ByInterface, func(c *model.AddressClaim) []string {
			if !c.Released() {
				return nil
			}
			return []string{In(c.Account, c.Region, c.Interface)}
		}))
	// RouteTables has ByVPC.
	RouteTables = table.Define("route-table",
		index(ByVPC, func(r *model.RouteTable) []string { return in(&r.Meta, r.VPC) }))
	// NetworkACLs has ByVPC.
	NetworkACLs = table.Define("network-acl",
		index(ByVPC, func(n *model.NetworkACL) []string { return in(&n.Meta, n.VPC) }))
	DHCPOptions = table.Define[*model.DHCPOptions]("dhcp-options")
	// SecurityGroups has ByVPC, and ByReferenced for the groups that a group's
	// rules refer to.
	SecurityGroups = table.Define("security-group",
		index(ByVPC, func(g *model.SecurityGroup) []string { return in(&g.Meta, g.VPC) }),
		index(ByReferenced, func(g *model.SecurityGroup) []string {
			var refs []string
			for _, r := range g.Rules {
				if r.Group != "" {
					refs = append(refs, In(g.Account, g.Region, r.Group))
				}
			}
			return refs
		}))
	// NetworkInterfaces has ByVPC, BySubnet, ByGroup and ByOwner.
	NetworkInterfaces = table.Define("network-interface",
		index(ByVPC, func(n *model.NetworkInterface) []string { return in(&n.Meta, n.VPC) }),
		index(BySubnet, func(n *model.NetworkInterface) []string { return in(&n.Meta, n.Subnet) }),
		index(ByGroup, func(n *model.NetworkInterface) []string { return in(&n.Meta, n.Groups...) }),
		index(ByOwner, func(n *model.NetworkInterface) []string { return in(&n.Meta, nonEmpty(n.Owner)...) }))
	// Attachments has ByHost, whose value is the host's name.
	Attachments = table.Define("attachment",
		index(ByHost, func(a *model.Attachment) []string { return []string{a.Host} }))
)

// Tables of resources and the ways to them.
var (
	// ResourceGateways has ByVPC, ByGroup, BySubnet and ByName.
	ResourceGateways = table.Define("resource-gateway",
		index(ByVPC, func(g *model.ResourceGateway) []string { return in(&g.Meta, g.VPC) }),
		index(BySubnet, func(g *model.ResourceGateway) []string { return in(&g.Meta, g.Subnets...) }),
		index(ByGroup, func(g *model.ResourceGateway) []string { return in(&g.Meta, g.Groups...) }),
		index(ByName, func(g *model.ResourceGateway) []string { return in(&g.Meta, g.Name) }))
	// ResourceConfigurations has ByGateway and ByName.
	ResourceConfigurations = table.Define("resource-configuration",
		index(ByGateway, func(r *model.ResourceConfiguration) []string { return in(&r.Meta, r.Gateway) }),
		index(ByName, func(r *model.ResourceConfiguration) []string { return in(&r.Meta, r.Name) }))
	// VPCEndpoints has ByVPC, ByGroup, and ByConfiguration across accounts.
	VPCEndpoints = table.Define("vpc-endpoint",
		index(ByVPC, func(e *model.VPCEndpoint) []string { return in(&e.Meta, e.VPC) }),
		index(ByGroup, func(e *model.VPCEndpoint) []string { return in(&e.Meta, e.Groups...) }),
		index(ByConfiguration, func(e *model.VPCEndpoint) []string { return []string{e.Configuration.String()} }))
	// EndpointAssociations has ByConfiguration and ByEndpoint, both across
	// accounts.
	EndpointAssociations = table.Define("endpoint-association",
		index(ByConfiguration, func(a *model.EndpointAssociation) []string { return []string{a.Configuration.String()} }),
		index(ByEndpoint, func(a *model.EndpointAssociation) []string { return []string{a.Endpoint.String()} }))
)

func index[T table.Row](name string, values func(T) []string) table.Index[T] {
	return table.Index[T]{Name: name, Values: values}
}

// in makes index values for ids in the account and region of a row.
func in(m *model.Meta, ids ...string) []string {
	values := make([]string, len(ids))
	for i, id := range ids {
		values[i] = In(m.Account, m.Region, id)
	}
	return values
}

func nonEmpty(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}
