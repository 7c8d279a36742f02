// SPDX-License-Identifier: Apache-2.0

// Package state holds the tables of Postern: one per kind of row, with the
// indexes by which services and controllers find rows.
//
// Indexes by a resource take its reference, so that equal ids of different
// accounts never meet.
package state

import (
	"context"
	"iter"
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

// Tables gives every table. Of several rows that keep another one from being deleted,
// errors name one whose table comes first: rather what users made than what came
// along.
func Tables() []table.Any {
	return []table.Any{
		Accounts, AccessKeys, Hosts, ClientTokens, Elections, Statuses,
		VPCs, Subnets, NetworkInterfaces, VPCEndpoints, ResourceGateways, EndpointServices, LoadBalancers, Listeners, TargetGroups, SecurityGroups,
		NATGateways, InternetGateways, EgressOnlyGateways, PeeringConnections, ElasticAddresses, PrefixLists,
		RouteTables, RouteTableAssociations, NetworkACLs, NetworkACLAssociations, DHCPOptions, AddressClaims, PublicClaims, Attachments,
		ResourceConfigurations, EndpointAssociations, TransitClaims, DomainVerifications,
		HostedZones, RecordSets, VPCAssociationAuthorizations, ZoneChanges,
		Users, Groups, Roles, Policies, PolicyVersions, InlinePolicies, LastUses,
		ResourceShares, ShareAssociations, ShareInvitations, Permissions,
		OrganizationalUnits, OrganizationAccounts, ControlPolicies, Organizations,
		DBInstances, DBClusters, DBSubnetGroups, DBParameterGroups, DBClusterParameterGroups, DBClusterEndpoints, DBSnapshots, DBEvents, DatabaseStates, Authorities,
	}
}

// Tables of the installation itself.
var (
	Accounts = table.Define[*model.Account]("account")
	// AccountsByAlias finds the one that has another name.
	AccountsByAlias = byText(Accounts, "alias", func(a *model.Account) []string {
		if a.Alias == "" {
			return nil
		}
		return []string{a.Alias}
	})
	// AccessKeys have sealed secrets in their second form. Programs that know the first
	// one only would take them for keys with an empty secret.
	AccessKeys = table.Define[*model.AccessKey]("access-key").Converted(func(map[string]any) error { return nil })
	// AccessKeysByAccount finds all keys of an account.
	AccessKeysByAccount = refer(AccessKeys, "account", Follows, func(k *model.AccessKey) []model.Ref { return []model.Ref{{ID: k.Account}} }, to(Accounts))

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
	VPCs = tagged(EC2, table.Define[*model.VPC]("vpc"), "vpc", "vpc-")
	// VPCsByFormer has those that lost a block of addresses, which is still shown.
	VPCsByFormer = table.NewTimeline(VPCs, "former", func(v *model.VPC) time.Time { return model.FormerUntil(v.FormerCIDRs) })

	Subnets      = tagged(EC2, table.Define[*model.Subnet]("subnet"), "subnet", "subnet-")
	SubnetsByVPC = refer(Subnets, "vpc", Holds, func(s *model.Subnet) []model.Ref { return siblings(s.Meta, s.VPC) }, to(VPCs))

	// SubnetsByFormer is as VPCsByFormer.
	SubnetsByFormer = table.NewTimeline(Subnets, "former", func(s *model.Subnet) time.Time { return model.FormerUntil(s.FormerCIDRs) })

	AddressClaims         = table.Define[*model.AddressClaim]("address-claim")
	AddressClaimsBySubnet = refer(AddressClaims, "subnet", Holds, func(c *model.AddressClaim) []model.Ref {
		return []model.Ref{c.SubnetRef()}
	}, to(Subnets))
	// AddressClaimsByInterface finds those that were released.
	AddressClaimsByInterface = byRef(AddressClaims, "interface", func(c *model.AddressClaim) []model.Ref {
		if !c.Released() {
			return nil
		}
		return []model.Ref{c.InterfaceRef()}
	})

	RouteTables      = tagged(EC2, table.Define[*model.RouteTable]("route-table"), "route-table", "rtb-")
	RouteTablesByVPC = refer(RouteTables, "vpc", Holds, func(r *model.RouteTable) []model.Ref { return siblings(r.Meta, r.VPC) }, to(VPCs))

	// RouteTablesByTarget finds those with a route to something.
	RouteTablesByTarget = refer(RouteTables, "target", Outlives, func(r *model.RouteTable) (all []model.Ref) {
		for _, route := range r.Routes {
			all = append(all, r.Sibling(route.Target))
		}
		return all
	}, to(InternetGateways), to(NATGateways), to(EgressOnlyGateways), to(NetworkInterfaces), to(PeeringConnections))
	// RouteTablesByPrefixList finds those with a route to a list.
	RouteTablesByPrefixList = refer(RouteTables, "prefix-list", Holds, func(r *model.RouteTable) (all []model.Ref) {
		for _, route := range r.Routes {
			all = append(all, ownList(r.Meta, route.PrefixList)...)
		}
		return all
	}, to(PrefixLists))

	RouteTableAssociations        = table.Define[*model.RouteTableAssociation]("route-table-association")
	RouteTableAssociationsByTable = refer(RouteTableAssociations, "table", Holds, func(a *model.RouteTableAssociation) []model.Ref { return []model.Ref{a.Sibling(a.Table)} }, to(RouteTables))
	// RouteTableAssociationsBySubnet finds the one of a subnet, if it has one.
	RouteTableAssociationsBySubnet = refer(RouteTableAssociations, "subnet", Follows, func(a *model.RouteTableAssociation) []model.Ref {
		return optional(model.Meta{Account: a.Account, Region: a.Region}, a.Subnet)
	}, to(Subnets))
	// RouteTableAssociationsByGateway finds the one of an internet gateway, if it has one.
	RouteTableAssociationsByGateway = refer(RouteTableAssociations, "gateway", Holds, func(a *model.RouteTableAssociation) []model.Ref {
		return optional(model.Meta{Account: a.Account, Region: a.Region}, a.Gateway)
	}, to(InternetGateways))

	PrefixLists = tagged(EC2, table.Define[*model.PrefixList]("prefix-list"), "prefix-list", "pl-")
	// SecurityGroupsByPrefixList finds those with a rule about a list.
	SecurityGroupsByPrefixList = refer(SecurityGroups, "prefix-list", Holds, func(g *model.SecurityGroup) (all []model.Ref) {
		for _, r := range g.Rules {
			all = append(all, ownList(g.Meta, r.PrefixList)...)
		}
		return all
	}, to(PrefixLists))

	NetworkACLAssociations      = table.Define[*model.NetworkACLAssociation]("network-acl-association")
	NetworkACLAssociationsByACL = refer(NetworkACLAssociations, "acl", Holds, func(a *model.NetworkACLAssociation) []model.Ref { return []model.Ref{a.Sibling(a.ACL)} }, to(NetworkACLs))
	// NetworkACLAssociationsBySubnet finds the one of a subnet, if it has one.
	NetworkACLAssociationsBySubnet = refer(NetworkACLAssociations, "subnet", Follows, func(a *model.NetworkACLAssociation) []model.Ref { return []model.Ref{a.Sibling(a.Subnet)} }, to(Subnets))

	InternetGateways      = tagged(EC2, table.Define[*model.InternetGateway]("internet-gateway"), "internet-gateway", "igw-")
	InternetGatewaysByVPC = refer(InternetGateways, "vpc", Holds, func(g *model.InternetGateway) []model.Ref { return optional(g.Meta, g.VPC) }, to(VPCs))

	EgressOnlyGateways      = tagged(EC2, table.Define[*model.EgressOnlyGateway]("egress-only-internet-gateway"), "egress-only-internet-gateway", "eigw-")
	EgressOnlyGatewaysByVPC = refer(EgressOnlyGateways, "vpc", Holds, func(g *model.EgressOnlyGateway) []model.Ref { return siblings(g.Meta, g.VPC) }, to(VPCs))

	ElasticAddresses = tagged(EC2, table.Define[*model.ElasticAddress]("elastic-ip"), "elastic-ip", "eipalloc-")
	// ElasticAddressesByInterface finds those that an interface has.
	ElasticAddressesByInterface = refer(ElasticAddresses, "interface", Loses, func(e *model.ElasticAddress) []model.Ref { return optional(e.Meta, e.Interface) }, to(NetworkInterfaces))

	PublicClaims = table.Define[*model.PublicClaim]("public-claim")
	// PublicClaimsByOwner finds those that an elastic address or an interface has, or has
	// released.
	PublicClaimsByOwner = byRef(PublicClaims, "owner", func(c *model.PublicClaim) []model.Ref { return []model.Ref{c.Owner} })

	// NATGateways are shown for a while when all else is gone. Before that their interfaces
	// hold what they are in.
	NATGateways         = tagged(EC2, table.Define[*model.NATGateway]("nat-gateway"), "natgateway", "nat-")
	NATGatewaysByVPC    = refer(NATGateways, "vpc", Outlives, func(n *model.NATGateway) []model.Ref { return siblings(n.Meta, n.VPC) }, to(VPCs))
	NATGatewaysBySubnet = refer(NATGateways, "subnet", Outlives, func(n *model.NATGateway) []model.Ref { return siblings(n.Meta, n.Subnet) }, to(Subnets))
	// NATGatewaysByGone has those first that are not shown any more first.
	NATGatewaysByGone = table.NewTimeline(NATGateways, "gone", (*model.NATGateway).ShownUntil)
	// NATGatewaysByDraining has those first that lose an address first.
	NATGatewaysByDraining = table.NewTimeline(NATGateways, "draining", (*model.NATGateway).DrainsAt)

	NetworkACLs      = tagged(EC2, table.Define[*model.NetworkACL]("network-acl"), "network-acl", "acl-")
	NetworkACLsByVPC = refer(NetworkACLs, "vpc", Holds, func(n *model.NetworkACL) []model.Ref { return siblings(n.Meta, n.VPC) }, to(VPCs))

	DHCPOptions = tagged(EC2, table.Define[*model.DHCPOptions]("dhcp-options"), "dhcp-options", "dopt-")
	// VPCsByDHCPOptions finds those that have a set of options.
	VPCsByDHCPOptions = refer(VPCs, "dhcp-options", Holds, func(v *model.VPC) []model.Ref {
		if v.DHCPOptions == "" {
			return nil
		}
		return siblings(v.Meta, v.DHCPOptions)
	}, to(DHCPOptions))

	SecurityGroups      = tagged(EC2, table.Define[*model.SecurityGroup]("security-group"), "security-group", "sg-")
	SecurityGroupsByVPC = refer(SecurityGroups, "vpc", Holds, func(g *model.SecurityGroup) []model.Ref { return []model.Ref{g.VPCRef()} }, to(VPCs))
	// SecurityGroupsByReferenced finds those whose rules refer to a group.
	SecurityGroupsByReferenced = refer(SecurityGroups, "referenced", Holds, func(g *model.SecurityGroup) []model.Ref {
		var refs []model.Ref
		for _, r := range g.Rules {
			if r.Group != "" && r.Peering == "" {
				refs = append(refs, g.Peer(r))
			}
		}
		return refs
	}, to(SecurityGroups))
	// SecurityGroupsByPeers finds those whose rules refer to a group of a peer's, which can
	// be deleted all the same.
	SecurityGroupsByPeers = refer(SecurityGroups, "peers", Outlives, func(g *model.SecurityGroup) []model.Ref {
		var refs []model.Ref
		for _, r := range g.Rules {
			if r.Peering != "" {
				refs = append(refs, g.Peer(r))
			}
		}
		return refs
	}, to(SecurityGroups))
	// SecurityGroupsByPeering finds those with a rule about a peer's group.
	SecurityGroupsByPeering = refer(SecurityGroups, "peering", Outlives, func(g *model.SecurityGroup) (refs []model.Ref) {
		for _, r := range g.Rules {
			if r.Peering != "" {
				refs = append(refs, g.Sibling(r.Peering))
			}
		}
		return refs
	}, to(PeeringConnections))

	// SecurityGroupsByNetwork finds those that others have in VPCs of an account, which with
	// the region makes the reference.
	SecurityGroupsByNetwork = byRef(SecurityGroups, "network", func(g *model.SecurityGroup) []model.Ref { return network(g.Meta, g.Network) })

	// SecurityGroupRules are parts of groups, with ids and tags of their own.
	SecurityGroupRules = taggedParts(EC2, SecurityGroups, "security-group-rule", "sgr-", func(g *model.SecurityGroup) iter.Seq2[string, *map[string]string] {
		return func(yield func(string, *map[string]string) bool) {
			for i := range g.Rules {
				if r := &g.Rules[i]; !yield(r.ID, &r.Tags) {
					return
				}
			}
		}
	})

	NetworkInterfaces         = tagged(EC2, table.Define[*model.NetworkInterface]("network-interface"), "network-interface", "eni-")
	NetworkInterfacesByVPC    = refer(NetworkInterfaces, "vpc", Holds, func(n *model.NetworkInterface) []model.Ref { return []model.Ref{n.VPCRef()} }, to(VPCs))
	NetworkInterfacesBySubnet = refer(NetworkInterfaces, "subnet", Holds, func(n *model.NetworkInterface) []model.Ref { return []model.Ref{n.SubnetRef()} }, to(Subnets))
	// NetworkInterfacesByNetwork is as SecurityGroupsByNetwork.
	NetworkInterfacesByNetwork = byRef(NetworkInterfaces, "network", func(n *model.NetworkInterface) []model.Ref { return network(n.Meta, n.Network) })
	NetworkInterfacesByGroup   = refer(NetworkInterfaces, "group", Holds, func(n *model.NetworkInterface) []model.Ref { return siblings(n.Meta, n.Groups...) }, to(SecurityGroups))
	NetworkInterfacesByOwner   = refer(NetworkInterfaces, "owner", Follows, func(n *model.NetworkInterface) []model.Ref {
		if n.Owner == "" {
			return nil
		}
		return siblings(n.Meta, n.Owner)
	}, to(VPCEndpoints), to(ResourceGateways), to(NATGateways), to(DBInstances), to(LoadBalancers))

	Attachments = table.Define[*model.Attachment]("attachment")
	// AttachmentsByHost finds those of the host with a name.
	AttachmentsByHost = byText(Attachments, "host", func(a *model.Attachment) []string { return []string{a.Host} })
)

// Tables of resources and the ways to them. What refers to a configuration or an
// endpoint may do so across accounts.
var (
	ResourceGateways         = tagged(Lattice, table.Define[*model.ResourceGateway]("resource-gateway"), "resourcegateway", "rgw-")
	ResourceGatewaysByVPC    = refer(ResourceGateways, "vpc", Holds, func(g *model.ResourceGateway) []model.Ref { return siblings(g.Meta, g.VPC) }, to(VPCs))
	ResourceGatewaysBySubnet = refer(ResourceGateways, "subnet", Holds, func(g *model.ResourceGateway) []model.Ref { return siblings(g.Meta, g.Subnets...) }, to(Subnets))
	ResourceGatewaysByGroup  = refer(ResourceGateways, "group", Holds, func(g *model.ResourceGateway) []model.Ref { return siblings(g.Meta, g.Groups...) }, to(SecurityGroups))
	// ResourceGatewaysByName takes the name as an id.
	ResourceGatewaysByName = byRef(ResourceGateways, "name", func(g *model.ResourceGateway) []model.Ref { return siblings(g.Meta, g.Name) })

	ResourceConfigurations          = tagged(Lattice, table.Define[*model.ResourceConfiguration]("resource-configuration").Apart((*model.ResourceConfiguration).Later).Apart((*model.ResourceConfiguration).Latest), "resourceconfiguration", "rcfg-")
	ResourceConfigurationsByGateway = refer(ResourceConfigurations, "gateway", Holds, func(r *model.ResourceConfiguration) []model.Ref { return siblings(r.Meta, r.Gateway) }, to(ResourceGateways))
	// ResourceConfigurationsByGroup finds the children of a group.
	ResourceConfigurationsByGroup = refer(ResourceConfigurations, "group", Holds, func(r *model.ResourceConfiguration) []model.Ref {
		if r.Group == "" {
			return nil
		}
		return siblings(r.Meta, r.Group)
	}, to(ResourceConfigurations))
	// ResourceGroups has the configurations that are groups, in the order of their creation.
	ResourceGroups = table.NewTimeline(ResourceConfigurations, "groups", func(r *model.ResourceConfiguration) time.Time {
		if !r.IsGroup() {
			return time.Time{}
		}
		return r.CreatedAt
	})
	// DatabaseConfigurations has the configurations that name databases, in the order of
	// their creation.
	DatabaseConfigurations = table.NewTimeline(ResourceConfigurations, "databases", func(r *model.ResourceConfiguration) time.Time {
		if r.Type != model.TypeARN {
			return time.Time{}
		}
		return r.CreatedAt
	})
	// ResourceConfigurationsByName takes the name as an id.
	ResourceConfigurationsByName = byRef(ResourceConfigurations, "name", func(r *model.ResourceConfiguration) []model.Ref { return siblings(r.Meta, r.Name) })

	// ResourceConfigurationsByDatabase finds those that lead to a database or to an instance
	// of it, which may be gone.
	ResourceConfigurationsByDatabase = refer(ResourceConfigurations, "database", Outlives, func(r *model.ResourceConfiguration) []model.Ref {
		return optional(r.Meta, r.Database)
	}, to(DBClusters), to(DBInstances))

	VPCEndpoints                = tagged(EC2, table.Define[*model.VPCEndpoint]("vpc-endpoint").Apart((*model.VPCEndpoint).Later), "vpc-endpoint", "vpce-")
	VPCEndpointsByVPC           = refer(VPCEndpoints, "vpc", Holds, func(e *model.VPCEndpoint) []model.Ref { return siblings(e.Meta, e.VPC) }, to(VPCs))
	VPCEndpointsByGroup         = refer(VPCEndpoints, "group", Holds, func(e *model.VPCEndpoint) []model.Ref { return siblings(e.Meta, e.Groups...) }, to(SecurityGroups))
	VPCEndpointsByConfiguration = refer(VPCEndpoints, "configuration", Outlives, func(e *model.VPCEndpoint) []model.Ref { return named(e.Configuration) }, to(ResourceConfigurations))

	// VPCEndpointsByType finds those of one type that is not Resource.
	VPCEndpointsByType = byText(VPCEndpoints, "type", func(e *model.VPCEndpoint) []string {
		if !e.Later() {
			return nil
		}
		return []string{e.Type}
	})

	// VPCEndpointsByPrivate finds those of a VPC that have private DNS.
	VPCEndpointsByPrivate = byRef(VPCEndpoints, "private", func(e *model.VPCEndpoint) []model.Ref {
		if !e.HasPrivateNames() || e.Deleting() {
			return nil
		}
		return siblings(e.Meta, e.VPC)
	})

	DomainVerifications = tagged(Lattice, table.Define[*model.DomainVerification]("domain-verification"), "domainverification", "dv-")
	// DomainVerificationsByNext has those first whose record is looked for next.
	DomainVerificationsByNext = table.NewTimeline(DomainVerifications, "next", func(v *model.DomainVerification) time.Time { return v.NextAt })
	// ResourceConfigurationsByVerification finds those that a verification speaks for.
	ResourceConfigurationsByVerification = refer(ResourceConfigurations, "verification", Outlives, func(r *model.ResourceConfiguration) []model.Ref {
		if r.Verification == "" {
			return nil
		}
		return siblings(r.Meta, r.Verification)
	}, to(DomainVerifications))

	EndpointAssociations                = tagged(Lattice, table.Define[*model.EndpointAssociation]("endpoint-association").Apart((*model.EndpointAssociation).Owns), "resourceendpointassociation", "rea-")
	EndpointAssociationsByConfiguration = refer(EndpointAssociations, "configuration", Holds, func(a *model.EndpointAssociation) []model.Ref { return []model.Ref{a.Configuration} }, to(ResourceConfigurations))
	EndpointAssociationsByEndpoint      = refer(EndpointAssociations, "endpoint", Follows, func(a *model.EndpointAssociation) []model.Ref { return []model.Ref{a.Endpoint} }, to(VPCEndpoints))
	// EndpointAssociationsByConsumer finds one by the id that it has in the endpoint's account,
	// when that is another one: each account has a name for it.
	EndpointAssociationsByConsumer = byRef(EndpointAssociations, "consumer", func(a *model.EndpointAssociation) []model.Ref {
		if a.Endpoint.Account == a.Account {
			return nil
		}
		return []model.Ref{a.ConsumerRef()}
	})
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

// Tables of names. They are in no region: references to what is in them have an empty
// one.
var (
	HostedZones = tagged(Route53, table.Define[*model.HostedZone]("hosted-zone"), "hostedzone", "Z")
	// HostedZonesByVPC finds those that a VPC sees, of whatever account.
	HostedZonesByVPC = refer(HostedZones, "vpc", Loses, func(z *model.HostedZone) []model.Ref { return z.VPCs }, to(VPCs))
	// HostedZonesByName takes the name as an id.
	HostedZonesByName = byRef(HostedZones, "name", func(z *model.HostedZone) []model.Ref { return siblings(z.Meta, z.Name) })
	// HostedZonesByID finds one without knowing its account.
	HostedZonesByID = byText(HostedZones, "id", func(z *model.HostedZone) []string { return []string{z.ID} })
	// HostedZonesByReference takes the reference of the request that made them as an id.
	HostedZonesByReference = byRef(HostedZones, "reference", func(z *model.HostedZone) []model.Ref { return siblings(z.Meta, z.CallerReference) })

	RecordSets = table.Define[*model.RecordSet]("record-set")
	// RecordSetsByZone has them in the order in which Route 53 lists them, see
	// model.RecordSetID.
	RecordSetsByZone = refer(RecordSets, "zone", Follows, func(r *model.RecordSet) []model.Ref { return []model.Ref{r.ZoneRef()} }, to(HostedZones))
	// RecordSetsByName finds those of one name of a zone.
	RecordSetsByName = table.NewIndex(RecordSets, "name", ZoneName.String, func(r *model.RecordSet) []ZoneName {
		return []ZoneName{{r.ZoneRef(), r.Name}}
	})

	VPCAssociationAuthorizations       = table.Define[*model.VPCAssociationAuthorization]("vpc-association-authorization")
	VPCAssociationAuthorizationsByZone = refer(VPCAssociationAuthorizations, "zone", Follows, func(a *model.VPCAssociationAuthorization) []model.Ref {
		return []model.Ref{a.ZoneRef()}
	}, to(HostedZones))

	ZoneChanges       = table.Define[*model.ZoneChange]("zone-change")
	ZoneChangesByZone = refer(ZoneChanges, "zone", Outlives, func(c *model.ZoneChange) []model.Ref { return []model.Ref{c.Zone} }, to(HostedZones))
	// ZoneChangesByExpiry has the ones that expire first first, pending ones too.
	ZoneChangesByExpiry = table.NewTimeline(ZoneChanges, "expiry", (*model.ZoneChange).Expires)
)

// What rows name and nothing looks for them by.
var _ = []*Relation{
	// Accounts and hosts are never deleted.
	name(VPCs, "account", Relies, func(v *model.VPC) []model.Ref { return []model.Ref{{ID: v.Account}} }, to(Accounts)),
	name(Attachments, "host", Relies, func(a *model.Attachment) []model.Ref { return []model.Ref{{ID: a.Host}} }, to(Hosts)),

	name(VPCs, "main-table", Has, func(v *model.VPC) []model.Ref { return siblings(v.Meta, v.MainTable) }, to(RouteTables)),
	name(VPCs, "default-acl", Has, func(v *model.VPC) []model.Ref { return siblings(v.Meta, v.DefaultACL) }, to(NetworkACLs)),
	name(VPCs, "default-group", Has, func(v *model.VPC) []model.Ref { return siblings(v.Meta, v.DefaultGroup) }, to(SecurityGroups)),
	name(AddressClaims, "claimant", Follows, func(c *model.AddressClaim) []model.Ref {
		return []model.Ref{c.InterfaceRef()}
	}, to(NetworkInterfaces)),
	keyed(Attachments, "interface", Holds, to(NetworkInterfaces)),

	name(NATGateways, "interface", Outlives, func(n *model.NATGateway) []model.Ref { return optional(n.Meta, n.Interface) }, to(NetworkInterfaces)),
	name(NATGateways, "allocation", Outlives, func(n *model.NATGateway) (all []model.Ref) {
		for _, a := range n.Addresses {
			all = append(all, optional(n.Meta, a.Allocation)...)
		}
		return all
	}, to(ElasticAddresses)),
	name(PublicClaims, "claimant", Outlives, func(c *model.PublicClaim) []model.Ref { return []model.Ref{c.Owner} }, to(ElasticAddresses), to(NetworkInterfaces)),
	name(ResourceGateways, "interface", Has, func(g *model.ResourceGateway) []model.Ref { return siblings(g.Meta, g.Interfaces...) }, to(NetworkInterfaces)),
	name(LoadBalancers, "interface", Has, func(b *model.LoadBalancer) []model.Ref { return siblings(b.Meta, b.Interfaces...) }, to(NetworkInterfaces)),
	name(LoadBalancers, "target", Relies, func(b *model.LoadBalancer) (all []model.Ref) {
		for _, t := range b.Targets {
			all = append(all, b.Sibling(t.Interface))
		}
		return all
	}, to(NetworkInterfaces)),
	name(VPCEndpoints, "interface", Has, func(e *model.VPCEndpoint) []model.Ref {
		return siblings(e.Meta, slices.Concat(e.Interfaces, e.Leaving)...)
	}, to(NetworkInterfaces)),
	// An endpoint's subnets stay because of its interfaces, and the interfaces of
	// targets and associations because of the gateway and the endpoint.
	name(VPCEndpoints, "subnet", Relies, func(e *model.VPCEndpoint) []model.Ref { return siblings(e.Meta, e.Subnets...) }, to(Subnets)),
	name(VPCEndpoints, "route-table", Outlives, func(e *model.VPCEndpoint) []model.Ref { return siblings(e.Meta, e.RouteTables...) }, to(RouteTables)),
	name(ResourceConfigurations, "target", Relies, func(r *model.ResourceConfiguration) (all []model.Ref) {
		for _, t := range r.Targets {
			all = append(all, r.Sibling(t.Interface))
		}
		return all
	}, to(NetworkInterfaces)),
	name(ResourceConfigurations, "member", Outlives, func(r *model.ResourceConfiguration) []model.Ref { return optional(r.Meta, r.Member) }, to(DBInstances), to(DBClusterEndpoints)),
	name(EndpointAssociations, "own", Relies, func(a *model.EndpointAssociation) (all []model.Ref) {
		for _, own := range a.Addresses {
			all = append(all, a.Interface(own))
		}
		return all
	}, to(NetworkInterfaces)),
	// An association of a child is gone before the child, and that before its group.
	name(EndpointAssociations, "group", Relies, func(a *model.EndpointAssociation) []model.Ref {
		if a.Group == "" {
			return nil
		}
		return siblings(a.Meta, a.Group)
	}, to(ResourceConfigurations)),
	name(VPCEndpoints, "parted", Outlives, func(e *model.VPCEndpoint) (all []model.Ref) {
		for _, id := range e.Parted {
			all = append(all, model.Ref{Account: e.Configuration.Account, Region: e.Configuration.Region, ID: id})
		}
		return all
	}, to(ResourceConfigurations)),
	name(TransitClaims, "owner", Follows, func(c *model.TransitClaim) []model.Ref { return []model.Ref{c.Owner} }, to(VPCs), to(ResourceConfigurations), to(VPCEndpoints), to(LoadBalancers)),
}

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

// ZoneName is a name of a zone, as an index finds it.
type ZoneName struct {
	Zone model.Ref
	Name string
}

// String makes different names differ.
func (n ZoneName) String() string { return n.Zone.String() + "/" + n.Name }

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

// network is the account, with the region, that the VPC of a row is of when it is another
// one than the row's.
func network(m model.Meta, account string) []model.Ref {
	if account == "" {
		return nil
	}
	return []model.Ref{{Account: account, Region: m.Region}}
}

// optional is a reference to a resource of the same account and region, if an id names
// one.
func optional(m model.Meta, id string) []model.Ref {
	if id == "" {
		return nil
	}
	return siblings(m, id)
}
