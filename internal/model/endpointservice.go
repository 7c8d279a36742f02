// SPDX-License-Identifier: Apache-2.0

package model

import (
	"maps"
	"slices"
	"strings"
)

// EndpointService is what endpoints of the types Interface and Gateway lead to, unless that
// is an API of Postern itself: those are services without a row, see OwnServices. A row is
// either an endpoint service configuration, which leads to network load balancers of its
// account (https://docs.aws.amazon.com/vpc/latest/privatelink/privatelink-share-your-services.html),
// or a service that the operator registered, which leads to its Targets.
type EndpointService struct {
	// Meta.ID is vpce-svc-….
	Meta
	// Name is what endpoints call the service: com.amazonaws.vpce.REGION.vpce-svc-…, or
	// what the operator said.
	Name string `json:"name"`
	// Registered says that the operator made it; then it is of his account, and all
	// accounts see it.
	Registered bool `json:"registered,omitempty"`
	// Targets are where a registered service is, as the host's own network knows it, and
	// Ports at which ports it is offered. One that leads to load balancers has neither.
	Targets []ServiceTarget `json:"targets,omitempty"`
	Ports   []PortRange     `json:"ports,omitempty"`
	// LoadBalancers are the ids of the network load balancers of the account that a
	// configuration leads to, or a registered service in place of Targets.
	LoadBalancers []string `json:"loadBalancers,omitempty"`
	// Acceptance says that endpoints of others wait until they are accepted.
	Acceptance bool `json:"acceptance,omitempty"`
	// Principals are who may have endpoints to a configuration, beside its own account.
	Principals []ServicePrincipal `json:"principals,omitempty"`
	// OwnerPays says that the account said that it pays for the endpoints of others.
	OwnerPays bool `json:"ownerPays,omitempty"`
	// Families are the address types that endpoints may have, in EC2's words.
	Families []string `json:"families"`
	// PrivateName is the name by which clients call the service; the VPC of an endpoint
	// with private DNS has it.
	PrivateName  string              `json:"privateName,omitempty"`
	Verification ServiceVerification `json:"verification,omitzero"`
}

// ServiceTarget is one address of a registered service, in the host's own network.
type ServiceTarget struct {
	// Address is an address or a name.
	Address string `json:"address"`
	// Port is where the service listens there; zero is at the port of the connection.
	Port uint16 `json:"port,omitempty"`
}

// ServicePrincipal is who may have endpoints to a service.
type ServicePrincipal struct {
	// ID is vpce-svc-perm-….
	ID string `json:"id"`
	// ARN is that of an account's root, a user or a role, or * for everybody.
	ARN  string            `json:"arn"`
	Tags map[string]string `json:"tags,omitempty"`
}

// ServiceVerification is how an account shows that the private name of its service is its
// own. State is empty until it asks to be looked for.
// https://docs.aws.amazon.com/vpc/latest/privatelink/manage-dns-names.html
type ServiceVerification struct {
	// Label is the first label of the TXT record's name, and Value its text; both are empty
	// when there is no name.
	Label string `json:"label,omitempty"`
	Value string `json:"value,omitempty"`
	Proof
}

// RecordName is the name of the TXT record that shows that the private name is the account's,
// without the final dot. Names that one wildcard is for are below its domain.
func (s *EndpointService) RecordName() string {
	return s.Verification.Label + "." + strings.TrimPrefix(s.PrivateName, "*.")
}

// Clone copies the row so that the copy can be changed.
func (s *EndpointService) Clone() *EndpointService {
	c := *s
	c.Meta = s.Meta.clone()
	c.Targets = slices.Clone(s.Targets)
	c.Ports = slices.Clone(s.Ports)
	c.LoadBalancers = slices.Clone(s.LoadBalancers)
	c.Principals = slices.Clone(s.Principals)
	for i := range c.Principals {
		c.Principals[i].Tags = maps.Clone(c.Principals[i].Tags)
	}
	c.Families = slices.Clone(s.Families)
	return &c
}

// ARN names the service.
func (s *EndpointService) ARN() string {
	return ARN("ec2", s.Region, s.Account, "vpc-endpoint-service/"+s.ID)
}

// Relayed reports whether connections to the service are handed on by a process of the
// host, and not by a router alone.
func (s *EndpointService) Relayed() bool { return len(s.Targets) > 0 }

// Label is the label of the service in the names of its endpoints: its id, or the last one
// of a registered service's name.
func (s *EndpointService) Label() string {
	if !s.Registered {
		return s.ID
	}
	return s.Name[strings.LastIndexByte(s.Name, '.')+1:]
}

// OwnService is an API of Postern, as a service for interface endpoints.
type OwnService struct {
	// Label is the word for it in names, such as ec2, and Signing the service that requests
	// are signed for.
	Label, Signing string
	// Global says that there is one for all regions, whose standard name has no region but
	// Home, if that is not empty.
	Global bool
	Home   string
	// Bare is a region in which AWS's own clients leave the region out of the name.
	Bare string
}

// OwnServices are the APIs that workloads reach by interface endpoints.
var OwnServices = []OwnService{
	{Label: "cloudtrail", Signing: "cloudtrail"},
	{Label: "ec2", Signing: "ec2"},
	{Label: "elasticloadbalancing", Signing: "elasticloadbalancing"},
	{Label: "iam", Signing: "iam", Global: true},
	{Label: "organizations", Signing: "organizations", Global: true, Home: "us-east-1"},
	{Label: "ram", Signing: "ram"},
	{Label: "rds", Signing: "rds", Bare: "us-east-1"},
	{Label: "route53", Signing: "route53", Global: true},
	{Label: "sts", Signing: "sts"},
	{Label: "vpc-lattice", Signing: "vpc-lattice"},
}

// Name is what endpoints in a region call the service.
func (s OwnService) Name(region string) string { return "com.amazonaws." + region + "." + s.Label }

// StandardName is the name by which clients call the service in a region, in a domain in
// normal form that stands where AWS has amazonaws.com.
func (s OwnService) StandardName(region, domain string) string {
	if s.Global {
		region = s.Home
	}
	if region == "" {
		return s.Label + "." + domain
	}
	return s.Label + "." + region + "." + domain
}

// OwnServiceOf finds an API by the name that endpoints in a region call it.
func OwnServiceOf(region, name string) (OwnService, bool) {
	i := slices.IndexFunc(OwnServices, func(s OwnService) bool { return s.Name(region) == name })
	if i < 0 {
		return OwnService{}, false
	}
	return OwnServices[i], true
}

// ServiceDomain is the domain of the regional and zonal names of the interface endpoints to
// a service, by its label, in a region; the suffix takes the place of amazonaws.com. All
// names in it have one label more, so that one certificate is for all of them:
// https://docs.aws.amazon.com/vpc/latest/privatelink/privatelink-access-aws-services.html
func ServiceDomain(label, region, suffix string) string {
	return label + "." + region + ".vpce." + suffix
}

// What became of an endpoint to a service whose owner is asked.
const (
	AcceptancePending  = "pendingAcceptance"
	AcceptanceAccepted = "accepted"
	AcceptanceRejected = "rejected"
	AcceptanceExpired  = "expired"
)
