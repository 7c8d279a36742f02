// SPDX-License-Identifier: Apache-2.0

package service

import (
	"fmt"
	"strings"
)

// Quotas bound what an account can have. Each can be set by its name, which is
// given beside the field.
//
// Defaults are those of AWS
// (https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html,
// https://docs.aws.amazon.com/vpc-lattice/latest/ug/quotas.html), except where a
// comment says otherwise.
type Quotas struct {
	// VPCsPerRegion is 1000, where AWS starts with 5.
	VPCsPerRegion      int
	SubnetsPerVPC      int
	IPv4BlocksPerVPC   int
	IPv6BlocksPerVPC   int
	GroupsPerRegion    int
	GroupsPerInterface int
	// RulesPerGroup holds for each direction and each address family; a rule
	// that refers to a group counts for both families.
	RulesPerGroup       int
	InterfacesPerRegion int
	// EndpointsPerVPC holds for endpoints of type Resource, and InterfaceEndpointsPerVPC for
	// those of type Interface.
	EndpointsPerVPC          int
	InterfaceEndpointsPerVPC int
	// GatewayEndpointsPerRegion holds for endpoints of type Gateway.
	GatewayEndpointsPerRegion int
	GatewaysPerVPC            int
	// EndpointServicesPerRegion and PrincipalsPerEndpointService have no published defaults.
	EndpointServicesPerRegion    int
	PrincipalsPerEndpointService int
	// GroupsPerGateway is the number of security groups of a resource gateway.
	GroupsPerGateway        int
	ConfigurationsPerRegion int
	// ChildrenPerGroup is the number of children of a resource configuration of type GROUP.
	ChildrenPerGroup int
	// VerificationsPerRegion is the number of domain verifications of an account.
	VerificationsPerRegion int
	// PortRangesPerConfiguration has no published default.
	PortRangesPerConfiguration int
	// ACLsPerVPC counts the default one too. RulesPerACL holds for each direction, and
	// not for the last rules that nobody makes; AWS raises it to 40 at most.
	ACLsPerVPC  int
	RulesPerACL int
	// DHCPOptionsPerRegion is the number of DHCP option sets.
	DHCPOptionsPerRegion int
	RouteTablesPerVPC    int
	// RoutesPerTable holds for each address family; a prefix list counts for as many as
	// it may have.
	RoutesPerTable       int
	PrefixListsPerRegion int
	EntriesPerPrefixList int
	// AddressesPerRegion is the number of elastic addresses.
	AddressesPerRegion int
	// InternetGatewaysPerRegion and EgressOnlyGatewaysPerRegion are as many as there can be
	// VPCs, as with AWS.
	InternetGatewaysPerRegion   int
	EgressOnlyGatewaysPerRegion int
	// NATGatewaysPerZone is of an account, in each availability zone.
	NATGatewaysPerZone int
	// AddressesPerNATGateway holds for elastic addresses too, where AWS starts with 2.
	AddressesPerNATGateway int
	// PeeringConnectionsPerVPC counts active ones, of which AWS has up to 125, and
	// PeeringRequestsPerVPC those that the VPC's owner has made and that wait:
	// https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html.
	PeeringConnectionsPerVPC int
	PeeringRequestsPerVPC    int
	// SharesPerRegion is the number of resource shares of an account, deleted ones that are
	// still shown counted, PermissionsPerRegion of its own permissions:
	// https://docs.aws.amazon.com/ram/latest/userguide/what-is.html. SharesPerResource is how
	// many shares a resource can be in, which AWS does not say.
	SharesPerRegion      int
	SharesPerResource    int
	PermissionsPerRegion int
	// Those of Route 53 are of
	// https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/DNSLimitations.html.
	ZonesPerAccount       int
	RecordSetsPerZone     int
	VPCsPerZone           int
	AuthorizationsPerZone int
	// Those of IAM are of
	// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html.
	UsersPerAccount    int
	GroupsPerAccount   int
	RolesPerAccount    int
	PoliciesPerAccount int
	GroupsPerUser      int
	KeysPerUser        int
	// PoliciesPerEntity is how many managed policies a user, a group or a role can have.
	PoliciesPerEntity int
	VersionsPerPolicy int
	// Those of RDS are of
	// https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/CHAP_Limits.html. Snapshots of
	// instances and of clusters are counted apart, and those that users make only.
	DBInstancesPerRegion    int
	DBClustersPerRegion     int
	DBSubnetGroupsPerRegion int
	SubnetsPerDBSubnetGroup int
	// EndpointsPerDBCluster counts custom endpoints.
	EndpointsPerDBCluster             int
	DBParameterGroupsPerRegion        int
	DBClusterParameterGroupsPerRegion int
	DBSnapshotsPerRegion              int
	// ReplicasPerDB is how many read replicas an instance can have, and how many readers a
	// cluster.
	ReplicasPerDB int
	// Those of Elastic Load Balancing are of
	// https://docs.aws.amazon.com/elasticloadbalancing/latest/network/load-balancer-limits.html.
	LoadBalancersPerRegion   int
	ListenersPerLoadBalancer int
	TargetGroupsPerRegion    int
	TargetsPerTargetGroup    int
}

// quota ties a name to the place of its value.
type quota struct {
	name     string
	value    *int
	fallback int
}

func (q *Quotas) all() []quota {
	return []quota{
		{"acls-per-vpc", &q.ACLsPerVPC, 200},
		{"addresses-per-region", &q.AddressesPerRegion, 5},
		{"addresses-per-nat-gateway", &q.AddressesPerNATGateway, 8},
		{"children-per-group", &q.ChildrenPerGroup, 60},
		{"authorizations-per-zone", &q.AuthorizationsPerZone, 1000},
		{"configurations-per-region", &q.ConfigurationsPerRegion, 2000},
		{"db-cluster-parameter-groups-per-region", &q.DBClusterParameterGroupsPerRegion, 50},
		{"db-clusters-per-region", &q.DBClustersPerRegion, 40},
		{"db-instances-per-region", &q.DBInstancesPerRegion, 40},
		{"db-parameter-groups-per-region", &q.DBParameterGroupsPerRegion, 50},
		{"db-snapshots-per-region", &q.DBSnapshotsPerRegion, 100},
		{"db-subnet-groups-per-region", &q.DBSubnetGroupsPerRegion, 50},
		{"dhcp-options-per-region", &q.DHCPOptionsPerRegion, 1000},
		{"egress-only-gateways-per-region", &q.EgressOnlyGatewaysPerRegion, 1000},
		{"endpoint-services-per-region", &q.EndpointServicesPerRegion, 100},
		{"endpoints-per-db-cluster", &q.EndpointsPerDBCluster, 5},
		{"endpoints-per-vpc", &q.EndpointsPerVPC, 200},
		{"entries-per-prefix-list", &q.EntriesPerPrefixList, 1000},
		{"gateways-per-vpc", &q.GatewaysPerVPC, 500},
		{"groups-per-account", &q.GroupsPerAccount, 300},
		{"groups-per-gateway", &q.GroupsPerGateway, 5},
		{"groups-per-interface", &q.GroupsPerInterface, 5},
		{"groups-per-region", &q.GroupsPerRegion, 2500},
		{"groups-per-user", &q.GroupsPerUser, 10},
		{"interface-endpoints-per-vpc", &q.InterfaceEndpointsPerVPC, 50},
		{"gateway-endpoints-per-region", &q.GatewayEndpointsPerRegion, 20},
		{"interfaces-per-region", &q.InterfacesPerRegion, 5000},
		{"internet-gateways-per-region", &q.InternetGatewaysPerRegion, 1000},
		{"ipv4-blocks-per-vpc", &q.IPv4BlocksPerVPC, 5},
		{"ipv6-blocks-per-vpc", &q.IPv6BlocksPerVPC, 5},
		{"keys-per-user", &q.KeysPerUser, 2},
		{"listeners-per-load-balancer", &q.ListenersPerLoadBalancer, 50},
		{"load-balancers-per-region", &q.LoadBalancersPerRegion, 50},
		{"nat-gateways-per-zone", &q.NATGatewaysPerZone, 5},
		{"peering-connections-per-vpc", &q.PeeringConnectionsPerVPC, 50},
		{"peering-requests-per-vpc", &q.PeeringRequestsPerVPC, 25},
		{"permissions-per-region", &q.PermissionsPerRegion, 100},
		{"policies-per-account", &q.PoliciesPerAccount, 1500},
		{"policies-per-entity", &q.PoliciesPerEntity, 10},
		{"port-ranges-per-configuration", &q.PortRangesPerConfiguration, 64},
		{"prefix-lists-per-region", &q.PrefixListsPerRegion, 100},
		{"principals-per-endpoint-service", &q.PrincipalsPerEndpointService, 1000},
		{"record-sets-per-zone", &q.RecordSetsPerZone, 10000},
		{"replicas-per-db", &q.ReplicasPerDB, 15},
		{"roles-per-account", &q.RolesPerAccount, 1000},
		{"route-tables-per-vpc", &q.RouteTablesPerVPC, 200},
		{"routes-per-table", &q.RoutesPerTable, 50},
		{"rules-per-acl", &q.RulesPerACL, 20},
		{"rules-per-group", &q.RulesPerGroup, 60},
		{"shares-per-region", &q.SharesPerRegion, 5000},
		{"shares-per-resource", &q.SharesPerResource, 100},
		{"subnets-per-db-subnet-group", &q.SubnetsPerDBSubnetGroup, 20},
		{"subnets-per-vpc", &q.SubnetsPerVPC, 200},
		{"target-groups-per-region", &q.TargetGroupsPerRegion, 3000},
		{"targets-per-target-group", &q.TargetsPerTargetGroup, 500},
		{"users-per-account", &q.UsersPerAccount, 5000},
		{"verifications-per-region", &q.VerificationsPerRegion, 5},
		{"versions-per-policy", &q.VersionsPerPolicy, 5},
		{"vpcs-per-region", &q.VPCsPerRegion, 1000},
		{"vpcs-per-zone", &q.VPCsPerZone, 300},
		{"zones-per-account", &q.ZonesPerAccount, 500},
	}
}

// DefaultQuotas gives every quota its default.
func DefaultQuotas() Quotas {
	var q Quotas
	for _, each := range q.all() {
		*each.value = each.fallback
	}
	return q
}

// Set changes a quota by its name. It refuses unknown names and numbers below
// zero.
func (q *Quotas) Set(name string, n int) error {
	if n < 0 {
		return fmt.Errorf("set quota %s: %d is negative", name, n)
	}
	for _, each := range q.all() {
		if each.name == name {
			*each.value = n
			return nil
		}
	}
	return fmt.Errorf("set quota %s: no such quota, want one of %s", name, strings.Join(q.Names(), ", "))
}

// Names gives the names that Set takes, sorted.
func (q *Quotas) Names() []string {
	var names []string
	for _, each := range q.all() {
		names = append(names, each.name)
	}
	return names
}
