// SPDX-License-Identifier: Apache-2.0

// Package state holds the tables of Postern: one per kind of row, with the
// indexes by which services and controllers find rows.
//
// Indexes by a resource take its reference, so that equal ids of different
// accounts never meet.
package state

import (
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/store"
	"github.com/posternhq/postern/internal/table"
)

// Everything is the only value of the HostsByAll index.
const Everything = "all"

// Open loads the tables from the store and follows it. The caller closes the
// database, then the store.
func Open(ctx context.Context, s store.Store, log *slog.Logger) (*table.DB, error) {
	return table.Open(ctx, s, log, Tables()...)
}

// Tables gives every table, in no particular order.
func Tables() []table.Any {
	return []table.Any{
		Accounts, AccessKeys, Hosts, ClientTokens, Elections, Statuses,
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

	Hosts = table.Define[*model.Host]("host")
	// HostsByAll is to hand out host indexes.
	HostsByAll = byText(Hosts, "all", func(*model.Host) []string { return []string{Everything} })

	ClientTokens = table.Define[*model.ClientToken]("client-token")
	// ClientTokensByExpiry has the ones that expire first first.
	ClientTokensByExpiry = table.NewTimeline(ClientTokens, "expiry", (*model.ClientToken).Expires)

	Elections = table.Define[*model.Election]("election")

	// Statuses are keyed like the resource they are about; identifiers of all
	// kinds differ by their prefix.
	Statuses = table.Define[*model.Status]("status")

	TransitClaims        = table.Define[*model.TransitClaim]("transit-claim")
	TransitClaimsBySpace = byText(TransitClaims, "space", func(c *model.TransitClaim) []string { return []string{c.Space} })
)

// Tables of networks.
var (
	VPCs = table.Define[*model.VPC]("vpc")
	// VPCsByFormer has those that lost a block of addresses, which is still shown.
	VPCsByFormer = table.NewTimeline(VPCs, "former", func(v *model.VPC) time.Time { return model.FormerUntil(v.FormerCIDRs) })

	Subnets      = table.Define[*model.Subnet]("subnet")
	SubnetsByVPC = byRef(Subnets, "vpc", func(s *model.Subnet) []model.Ref { return siblings(s.Meta, s.VPC) })

	// SubnetsByFormer is as VPCsByFormer.
	SubnetsByFormer = table.NewTimeline(Subnets, "former", func(s *model.Subnet) time.Time { return model.FormerUntil(s.FormerCIDRs) })

	AddressClaims         = table.Define[*model.AddressClaim]("address-claim")
	AddressClaimsBySubnet = byRef(AddressClaims, "subnet", func(c *model.AddressClaim) []model.Ref {
		return []model.Ref{{Account: c.Account, Region: c.Region, ID: c.Subnet}}
	})
	// AddressClaimsByInterface finds those that were released.
	AddressClaimsByInterface = byRef(AddressClaims, "interface", func(c *model.AddressClaim) []model.Ref {
		if !c.Released() {
			return nil
		}
		return []model.Ref{{Account: c.Account, Region: c.Region, ID: c.Interface}}
	})

	RouteTables      = table.Define[*model.RouteTable]("route-table")
	RouteTablesByVPC = byRef(RouteTables, "vpc", func(r *model.RouteTable) []model.Ref { return siblings(r.Meta, r.VPC) })

	NetworkACLs      = table.Define[*model.NetworkACL]("network-acl")
	NetworkACLsByVPC = byRef(NetworkACLs, "vpc", func(n *model.NetworkACL) []model.Ref { return siblings(n.Meta, n.VPC) })

	DHCPOptions = table.Define[*model.DHCPOptions]("dhcp-options")

	SecurityGroups      = table.Define[*model.SecurityGroup]("security-group")
	SecurityGroupsByVPC = byRef(SecurityGroups, "vpc", func(g *model.SecurityGroup) []model.Ref { return siblings(g.Meta, g.VPC) })
	// SecurityGroupsByReferenced finds those whose rules refer to a group.
	SecurityGroupsByReferenced = byRef(SecurityGroups, "referenced", func(g *model.SecurityGroup) []model.Ref {
		var refs []model.Ref
		for _, r := range g.Rules {
			if r.Group != "" {
				refs = append(refs, g.Sibling(r.Group))
			}
		}
		return refs
	})

	NetworkInterfaces         = table.Define[*model.NetworkInterface]("network-interface")
	NetworkInterfacesByVPC    = byRef(NetworkInterfaces, "vpc", func(n *model.NetworkInterface) []model.Ref { return siblings(n.Meta, n.VPC) })
	NetworkInterfacesBySubnet = byRef(NetworkInterfaces, "subnet", func(n *model.NetworkInterface) []model.Ref { return siblings(n.Meta, n.Subnet) })
	NetworkInterfacesByGroup  = byRef(NetworkInterfaces, "group", func(n *model.NetworkInterface) []model.Ref { return siblings(n.Meta, n.Groups...) })
	NetworkInterfacesByOwner  = byRef(NetworkInterfaces, "owner", func(n *model.NetworkInterface) []model.Ref {
		if n.Owner == "" {
			return nil
		}
		return siblings(n.Meta, n.Owner)
	})

	Attachments = table.Define[*model.Attachment]("attachment")
	// AttachmentsByHost finds those of the host with a name.
	AttachmentsByHost = byText(Attachments, "host", func(a *model.Attachment) []string { return []string{a.Host} })
)

// Tables of resources and the ways to them. What refers to a configuration or an
// endpoint may do so across accounts.
var (
	ResourceGateways         = table.Define[*model.ResourceGateway]("resource-gateway")
	ResourceGatewaysByVPC    = byRef(ResourceGateways, "vpc", func(g *model.ResourceGateway) []model.Ref { return siblings(g.Meta, g.VPC) })
	ResourceGatewaysBySubnet = byRef(ResourceGateways, "subnet", func(g *model.ResourceGateway) []model.Ref { return siblings(g.Meta, g.Subnets...) })
	ResourceGatewaysByGroup  = byRef(ResourceGateways, "group", func(g *model.ResourceGateway) []model.Ref { return siblings(g.Meta, g.Groups...) })
	// ResourceGatewaysByName takes the name as an id.
	ResourceGatewaysByName = byRef(ResourceGateways, "name", func(g *model.ResourceGateway) []model.Ref { return siblings(g.Meta, g.Name) })

	ResourceConfigurations          = table.Define[*model.ResourceConfiguration]("resource-configuration")
	ResourceConfigurationsByGateway = byRef(ResourceConfigurations, "gateway", func(r *model.ResourceConfiguration) []model.Ref { return siblings(r.Meta, r.Gateway) })
	// ResourceConfigurationsByName takes the name as an id.
	ResourceConfigurationsByName = byRef(ResourceConfigurations, "name", func(r *model.ResourceConfiguration) []model.Ref { return siblings(r.Meta, r.Name) })

	VPCEndpoints                = table.Define[*model.VPCEndpoint]("vpc-endpoint")
	VPCEndpointsByVPC           = byRef(VPCEndpoints, "vpc", func(e *model.VPCEndpoint) []model.Ref { return siblings(e.Meta, e.VPC) })
	VPCEndpointsByGroup         = byRef(VPCEndpoints, "group", func(e *model.VPCEndpoint) []model.Ref { return siblings(e.Meta, e.Groups...) })
	VPCEndpointsByConfiguration = byRef(VPCEndpoints, "configuration", func(e *model.VPCEndpoint) []model.Ref { return []model.Ref{e.Configuration} })

	EndpointAssociations                = table.Define[*model.EndpointAssociation]("endpoint-association")
	EndpointAssociationsByConfiguration = byRef(EndpointAssociations, "configuration", func(a *model.EndpointAssociation) []model.Ref { return []model.Ref{a.Configuration} })
	EndpointAssociationsByEndpoint      = byRef(EndpointAssociations, "endpoint", func(a *model.EndpointAssociation) []model.Ref { return []model.Ref{a.Endpoint} })
	// EndpointAssociationsByAddress finds those that have an address as their own: one,
	// or none when it is the endpoint's.
	EndpointAssociationsByAddress = table.NewIndex(EndpointAssociations, "address", Address.String, ownAddresses)
	// EndpointAssociationsByInterface finds those that are being deleted and take
	// addresses of an interface along.
	EndpointAssociationsByInterface = byRef(EndpointAssociations, "interface", func(a *model.EndpointAssociation) (taken []model.Ref) {
		for _, own := range a.Addresses {
			if ref := a.Interface(own); a.Deleting() && !slices.Contains(taken, ref) {
				taken = append(taken, ref)
			}
		}
		return taken
	})
)

// Address is an address of a network interface, as an index finds it.
type Address struct {
	Interface model.Ref
	Addr      netip.Addr
}

// String makes different addresses differ.
func (a Address) String() string { return a.Interface.String() + "/" + a.Addr.String() }

func ownAddresses(a *model.EndpointAssociation) (all []Address) {
	for _, own := range a.Addresses {
		all = append(all, Address{a.Interface(own), own.Addr})
	}
	return all
}

func byRef[T table.Row](t *table.Table[T], name string, values func(T) []model.Ref) table.Index[T, model.Ref] {
	return table.NewIndex(t, name, model.Ref.String, values)
}

func byText[T table.Row](t *table.Table[T], name string, values func(T) []string) table.Index[T, string] {
	return table.NewIndex(t, name, func(text string) string { return text }, values)
}

// siblings are references to resources of the same account and region.
func siblings(m model.Meta, ids ...string) []model.Ref {
	refs := make([]model.Ref, len(ids))
	for i, id := range ids {
		refs[i] = m.Sibling(id)
	}
	return refs
}
