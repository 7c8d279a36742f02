// SPDX-License-Identifier: Apache-2.0

package model

import (
	"net/netip"
	"slices"
	"time"
)

// IPFamily is the address family choice of a resource gateway.
type IPFamily string

// The choices of VPC Lattice for IpAddressType.
const (
	FamilyIPv4      IPFamily = "IPV4"
	FamilyIPv6      IPFamily = "IPV6"
	FamilyDualstack IPFamily = "DUALSTACK"
)

// Has4 reports whether the choice includes IPv4.
func (f IPFamily) Has4() bool { return f != FamilyIPv6 }

// Has6 reports whether the choice includes IPv6.
func (f IPFamily) Has6() bool { return f != FamilyIPv4 }

// ResourceGateway is the way into a provider's VPC.
type ResourceGateway struct {
	Meta
	Name    string   `json:"name"`
	VPC     string   `json:"vpc"`
	Subnets []string `json:"subnets"`
	Groups  []string `json:"groups"`
	Family  IPFamily `json:"family"`
	// AddressesPerInterface is the number of IPv4 source addresses of each
	// network interface.
	AddressesPerInterface int    `json:"addressesPerInterface,omitempty"`
	DNSResolution         string `json:"dnsResolution"`
	// Interfaces are its network interfaces, one per subnet, in the order of Subnets.
	Interfaces []string `json:"interfaces"`
}

// Clone copies the row so that the copy can be changed.
func (g *ResourceGateway) Clone() *ResourceGateway {
	c := *g
	c.Meta = g.Meta.clone()
	c.Subnets = slices.Clone(g.Subnets)
	c.Groups = slices.Clone(g.Groups)
	c.Interfaces = slices.Clone(g.Interfaces)
	return &c
}

// ResolvesInVPC reports whether the names of its resources are those that its VPC knows:
// https://docs.aws.amazon.com/vpc-lattice/latest/ug/resource-gateway.html
func (g *ResourceGateway) ResolvesInVPC() bool { return g.DNSResolution == "IN_VPC" }

// ARN names the gateway.
func (g *ResourceGateway) ARN() string {
	return ARN("vpc-lattice", g.Region, g.Account, "resourcegateway/"+g.ID)
}

// PortRange is a range of ports, both ends included.
type PortRange struct {
	From uint16 `json:"from"`
	To   uint16 `json:"to"`
}

// TransitTarget is one way to a resource: through one network interface of its
// gateway.
type TransitTarget struct {
	Interface string `json:"interface"`
	Zone      string `json:"zone"`
	// Host is the place in the transit realm of the host on which the interface
	// forwards, see Host.Index: connections to the target are routed there. Rows of
	// versions that knew one host have none, which is the first one's.
	Host int `json:"host,omitempty"`
	// Index is the target's place among those of the host.
	Index int `json:"index"`
}

// Addr gives the target's address in the transit realm, in a family.
func (t TransitTarget) Addr(is4 bool) netip.Addr {
	if is4 {
		return TransitTarget4(t.Host, t.Index)
	}
	return TransitTarget6(t.Host, t.Index)
}

// ResourceConfiguration describes what a gateway leads to.
type ResourceConfiguration struct {
	Meta
	Name string `json:"name"`
	// Type is one of the Type constants.
	Type string `json:"type"`
	// Gateway is for a child that of its group.
	Gateway  string      `json:"gateway"`
	Protocol string      `json:"protocol"`
	Ports    []PortRange `json:"ports"`
	// IP is the resource's address. A group has no resource of its own, and one that has
	// a name has DNS instead.
	IP  netip.Addr  `json:"ip,omitzero"`
	DNS DNSResource `json:"dns,omitzero"`
	// Group is the group that a child is part of, of the same account.
	Group string `json:"group,omitempty"`

	AllowShareable bool `json:"allowShareable"`
	// CustomDomain and GroupDomain are as the user wrote them, and names by NormalName.
	CustomDomain string `json:"customDomain,omitempty"`
	GroupDomain  string `json:"groupDomain,omitempty"`
	// Verification is the account's domain verification that speaks for these domains; for
	// a child that of its group.
	Verification string          `json:"verification,omitempty"`
	Targets      []TransitTarget `json:"targets"`

	// DatabaseARN is what one of type ARN names, as the user wrote it.
	DatabaseARN string `json:"databaseArn,omitempty"`
	// Database is the id of the cluster or instance that one of type ARN was made for, and
	// of its children. Another one with the same ARN has another id. Part and Member say
	// what of it a child leads to.
	Database string `json:"database,omitempty"`
	// Part is one of the Part constants, for children that Postern makes.
	Part string `json:"part,omitempty"`
	// Member is the id of the instance for PartMember, and of the cluster endpoint for
	// PartCustom.
	Member string `json:"member,omitempty"`
	// AmazonManaged says that the row is Postern's, and no user changes it.
	AmazonManaged bool `json:"amazonManaged,omitempty"`
}

// The types of resource configurations that there are. A group is what endpoints and
// shares name for all of its children, each of which leads to a resource as a single
// one does. One of type ARN names a database, and is a group whose children are made by
// Postern, one for each name of the database. Of a child, DNS is that name:
// https://docs.aws.amazon.com/vpc-lattice/latest/ug/resource-configuration.html
const (
	TypeSingle = "SINGLE"
	TypeGroup  = "GROUP"
	TypeChild  = "CHILD"
	TypeARN    = "ARN"
)

// What children of a database lead to.
const (
	PartWriter = "writer" // whichever instance takes writes
	PartReader = "reader" // the replicas in turn
	PartMember = "member" // one instance
	PartCustom = "custom" // the instances of a cluster endpoint that users made
)

// DNSResource is a resource that is known by a name.
type DNSResource struct {
	// Name is as the user wrote it, and one by NormalName.
	Name string `json:"name"`
	// Family is FamilyIPv4 or FamilyIPv6: which of the name's addresses are meant.
	Family IPFamily `json:"family"`
}

// IsGroup reports whether the configuration leads nowhere itself, but its children do.
func (r *ResourceConfiguration) IsGroup() bool { return r.Type == TypeGroup || r.Type == TypeARN }

// LeadsToDatabase reports whether the configuration is a child that leads to a part of a
// database, and not to where its name does.
func (r *ResourceConfiguration) LeadsToDatabase() bool { return r.Part != "" }

// HasName reports whether the resource is known by a name.
func (r *ResourceConfiguration) HasName() bool { return r.DNS.Name != "" }

// Is4 reports whether the resource is reached by IPv4.
func (r *ResourceConfiguration) Is4() bool {
	if r.HasName() {
		return r.DNS.Family == FamilyIPv4
	}
	return r.IP.Is4()
}

// TagProbe is the tag of a resource configuration that says, with the value ProbeOff, that
// nobody asks whether the addresses of the resource's name answer.
const (
	TagProbe = "postern:probe"
	ProbeOff = "off"
)

// ProbedPort gives the port at which the addresses of the resource's name are asked
// whether they answer: the first one; zero when nobody asks, or all ports are offered.
func (r *ResourceConfiguration) ProbedPort() uint16 {
	if len(r.Ports) == 0 || r.Ports[0] == (PortRange{1, 65535}) || r.Tags[TagProbe] == ProbeOff {
		return 0
	}
	return r.Ports[0].From
}

// TagWatch is the tag of a resource configuration that says, with the value WatchOff, that
// nobody looks whether connections to the addresses of the resource's name are answered.
const (
	TagWatch = "postern:watch"
	WatchOff = "off"
)

// WatchedPort gives the port at which an address of the resource's name is asked whether
// it answers when connections to it did not: the first one; zero when nobody looks, or all
// ports are offered.
func (r *ResourceConfiguration) WatchedPort() uint16 {
	if len(r.Ports) == 0 || r.Ports[0] == (PortRange{1, 65535}) || r.Tags[TagWatch] == WatchOff {
		return 0
	}
	return r.Ports[0].From
}

// Later reports whether versions that knew resources with addresses alone would take
// the row for something else.
func (r *ResourceConfiguration) Later() bool { return r.Type != TypeSingle || r.HasName() }

// Latest reports whether versions that knew no databases would take the row for something
// else: for a resource of its own, or for a name to be looked up.
func (r *ResourceConfiguration) Latest() bool { return r.Type == TypeARN || r.LeadsToDatabase() }

// Clone copies the row so that the copy can be changed.
func (r *ResourceConfiguration) Clone() *ResourceConfiguration {
	c := *r
	c.Meta = r.Meta.clone()
	c.Ports = slices.Clone(r.Ports)
	c.Targets = slices.Clone(r.Targets)
	return &c
}

// ARN names the configuration.
func (r *ResourceConfiguration) ARN() string {
	return ARN("vpc-lattice", r.Region, r.Account, "resourceconfiguration/"+r.ID)
}

// The types of VPC endpoints that there are, in EC2's words.
const (
	EndpointResource  = "Resource"
	EndpointInterface = "Interface"
	EndpointGateway   = "Gateway"
)

// VPCEndpoint is a consumer's way to a resource or a service.
type VPCEndpoint struct {
	Meta
	// Type is one of those above.
	Type       string   `json:"type"`
	VPC        string   `json:"vpc"`
	Subnets    []string `json:"subnets"`
	Groups     []string `json:"groups"`
	Interfaces []string `json:"interfaces"`
	// Leaving are interfaces that the endpoint has given up, and that go when nothing leads
	// from their addresses any more.
	Leaving       []string `json:"leaving,omitempty"`
	IPAddressType string   `json:"ipAddressType"`
	PrivateDNS    bool     `json:"privateDns,omitempty"`
	// OfDatabase says that it is for a configuration of type ARN, whose names the VPC has
	// whatever PrivateDNS says:
	// https://docs.aws.amazon.com/vpc-lattice/latest/ug/resource-configuration.html
	OfDatabase    bool     `json:"ofDatabase,omitempty"`
	DNSRecordType string   `json:"dnsRecordType,omitempty"`
	DNSPreference string   `json:"dnsPreference,omitempty"`
	DNSDomains    []string `json:"dnsDomains,omitempty"`
	// Configuration is the resource configuration of an endpoint of type Resource, perhaps
	// of another account.
	Configuration Ref `json:"configuration,omitzero"`
	// ServiceName is what one of another type leads to, and Service its row, perhaps of
	// another account; none when it is one of OwnServices.
	ServiceName string `json:"serviceName,omitempty"`
	Service     Ref    `json:"service,omitzero"`
	// Acceptance is one of the Acceptance constants, since AcceptanceAt, where the owner of
	// the service is asked; empty where nobody is.
	Acceptance   string    `json:"acceptance,omitempty"`
	AcceptanceAt time.Time `json:"acceptanceAt,omitzero"`
	// Policy is the policy document, as the user wrote it; empty is the default one, which
	// allows everything.
	Policy string `json:"policy,omitempty"`
	// RouteTables are those that lead to one of type Gateway.
	RouteTables []string `json:"routeTables,omitempty"`
	// Targets are the transit targets of an endpoint to an own or a relayed service, by which
	// its connections are known where they arrive.
	Targets []TransitTarget `json:"targets,omitempty"`
	// Parted are children of a group from which the endpoint was dissociated: it is
	// not associated with them again. They may be gone.
	Parted []string `json:"parted,omitempty"`
}

// Clone copies the row so that the copy can be changed.
func (e *VPCEndpoint) Clone() *VPCEndpoint {
	c := *e
	c.Meta = e.Meta.clone()
	c.Subnets = slices.Clone(e.Subnets)
	c.Groups = slices.Clone(e.Groups)
	c.Interfaces = slices.Clone(e.Interfaces)
	c.Leaving = slices.Clone(e.Leaving)
	c.DNSDomains = slices.Clone(e.DNSDomains)
	c.RouteTables = slices.Clone(e.RouteTables)
	c.Targets = slices.Clone(e.Targets)
	c.Parted = slices.Clone(e.Parted)
	return &c
}

// Later reports whether versions that knew endpoints of type Resource alone would take the
// row for one.
func (e *VPCEndpoint) Later() bool { return e.Type != EndpointResource }

// ToService reports whether the endpoint leads to a service, and not to a resource.
func (e *VPCEndpoint) ToService() bool {
	return e.Type == EndpointInterface || e.Type == EndpointGateway
}

// Accepted reports whether nobody keeps the endpoint from leading to its service: its owner
// is not asked, or has said yes.
func (e *VPCEndpoint) Accepted() bool {
	return e.Acceptance == "" || e.Acceptance == AcceptanceAccepted
}

// AcceptancePatience is for how long the owner of a service is asked. AWS does not say; it is
// as long as for peering connections.
const AcceptancePatience = PeeringPatience

// ExpiresAt is when the owner of the service is asked no more; zero when he is not asked.
func (e *VPCEndpoint) ExpiresAt() time.Time {
	if e.Acceptance != AcceptancePending || e.Deleting() {
		return time.Time{}
	}
	return e.AcceptanceAt.Add(AcceptancePatience)
}

// Answer notes what became of an endpoint whose service's owner is asked, at a time.
func (e *VPCEndpoint) Answer(acceptance string, now time.Time) {
	e.Acceptance, e.AcceptanceAt = acceptance, now
	e.Update(now)
}

// Refused reports whether the owner of the service has said no, or nothing for too long.
func (e *VPCEndpoint) Refused() bool {
	return e.Acceptance == AcceptanceRejected || e.Acceptance == AcceptanceExpired
}

// HasPrivateNames reports whether the endpoint's VPC may have names of its resources.
// One of type Gateway leads its service's own name to where its routes lead.
func (e *VPCEndpoint) HasPrivateNames() bool {
	return e.PrivateDNS || e.OfDatabase || e.Type == EndpointGateway
}

// Has reports whether the endpoint has addresses of a family.
func (e *VPCEndpoint) Has(is4 bool) bool {
	if is4 {
		return e.IPAddressType != "ipv6"
	}
	return e.IPAddressType == "ipv6" || e.IPAddressType == "dualstack"
}

// EndpointAssociation joins an endpoint and a resource configuration. It
// belongs to the configuration's account, is made with the endpoint, and may be
// removed by either side; then none of the endpoint's addresses leads there.
type EndpointAssociation struct {
	// Meta.ID is the identifier on the Lattice side, rea-….
	Meta
	// EndpointSideID is the identifier on the EC2 side, vpce-rsc-asc-….
	EndpointSideID string `json:"endpointSideId"`
	Endpoint       Ref    `json:"endpoint"`
	Configuration  Ref    `json:"configuration"`
	// Addresses are the addresses of the endpoint's interfaces that are the
	// association's own: they lead to its resource and to no other, and go with it.
	// An association without any has those that are no other's, and the endpoint
	// keeps them; unless it is one of a group's child, which then leads from nowhere.
	Addresses []InterfaceAddress `json:"addresses,omitempty"`
	// Group is the group that the endpoint is for, when Configuration is a child of it.
	Group string `json:"group,omitempty"`
	// Lack is why there is a subnet of the endpoint where the association of a child has
	// no address; empty when there is none.
	Lack string `json:"lack,omitempty"`
}

// Owns reports whether the association leads from its own addresses alone.
func (a *EndpointAssociation) Owns() bool { return a.Group != "" || len(a.Addresses) > 0 }

// InterfaceAddress is one address of a network interface.
type InterfaceAddress struct {
	Interface string     `json:"interface"`
	Addr      netip.Addr `json:"addr"`
}

// Clone copies the row so that the copy can be changed.
func (a *EndpointAssociation) Clone() *EndpointAssociation {
	c := *a
	c.Meta = a.Meta.clone()
	c.Addresses = slices.Clone(a.Addresses)
	return &c
}

// Interface names the interface of an address of the association's own: it is in
// the endpoint's account.
func (a *EndpointAssociation) Interface(own InterfaceAddress) Ref {
	return Ref{Account: a.Endpoint.Account, Region: a.Endpoint.Region, ID: own.Interface}
}

// ARN names the association.
func (a *EndpointAssociation) ARN() string {
	return ARN("vpc-lattice", a.Region, a.Account, "resourceendpointassociation/"+a.ID)
}

// ConsumerRef is how the association is called in the account of the endpoint.
func (a *EndpointAssociation) ConsumerRef() Ref {
	return Ref{Account: a.Endpoint.Account, Region: a.Endpoint.Region, ID: a.ID}
}

// ARNFor names the association in an account: in that of the endpoint, if it is that one.
// Each side has a name of its own for it:
// https://docs.aws.amazon.com/vpc-lattice/latest/ug/sharing.html
func (a *EndpointAssociation) ARNFor(account string) string {
	if account == a.Endpoint.Account {
		return ARN("vpc-lattice", a.Region, account, "resourceendpointassociation/"+a.ID)
	}
	return a.ARN()
}

// TransitClaim holds one place that is handed out once in an installation. Space
// is "source" for a VPC's source addresses and "target" for a resource's targets
// in the transit realm, and "ipv6-pool" for a VPC's block of the IPv6 pool.
type TransitClaim struct {
	Space string `json:"space"`
	Index int    `json:"index"`
	// Owner is the VPC or resource configuration.
	Owner Ref `json:"owner"`
}
