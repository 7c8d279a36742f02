// SPDX-License-Identifier: Apache-2.0

package postern

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/posternhq/postern/internal/aws/shape/ec2"
	lattice "github.com/posternhq/postern/internal/aws/shape/vpclattice"
	"github.com/posternhq/postern/test/instance"
	"github.com/posternhq/postern/test/testnet"
)

func ids(subnets []*Subnet) []string {
	var all []string
	for _, s := range subnets {
		all = append(all, s.ID)
	}
	return all
}

// Gateway is a resource gateway.
type Gateway struct {
	p    *Postern
	ID   string
	VPC  *VPC
	name string
	made int
}

// Gateway makes a resource gateway of both families with two IPv4 addresses in
// each subnet, unless an edit of the request says otherwise, and waits until it
// is active.
func (v *VPC) Gateway(name string, subnets []*Subnet, groups []string, edit ...func(*lattice.CreateResourceGatewayInput)) *Gateway {
	p := v.p
	p.T.Helper()
	in := &lattice.CreateResourceGatewayInput{
		Name: &name, VpcIdentifier: &v.ID, SubnetIds: ids(subnets), SecurityGroupIds: groups,
		IpAddressType: new(lattice.ResourceGatewayIpAddressTypeDualstack), Ipv4AddressesPerEni: new(int32(2)),
	}
	for _, e := range edit {
		e(in)
	}
	g := &Gateway{p: p, VPC: v, name: name}
	g.ID = *Call[lattice.CreateResourceGatewayOutput](p, lattice.Service, "CreateResourceGateway", in).Id
	p.Await("gateway "+g.ID, func() (bool, error) {
		var out lattice.GetResourceGatewayOutput
		err := p.Do(lattice.Service, "GetResourceGateway", &lattice.GetResourceGatewayInput{ResourceGatewayIdentifier: &g.ID}, &out)
		return err == nil && *out.Status == lattice.ResourceGatewayStatusActive, err
	})
	return g
}

// Sources are the addresses that connections leave the gateway from, by zone.
func (g *Gateway) Sources() map[string][]netip.Prefix {
	g.p.T.Helper()
	all := map[string][]netip.Prefix{}
	for _, ni := range g.p.Interfaces("description", "VPC Lattice resource gateway "+g.ID) {
		zone := *ni.AvailabilityZone
		for _, a := range ni.PrivateIpAddresses {
			all[zone] = append(all[zone], netip.MustParsePrefix(*a.PrivateIpAddress+"/32"))
		}
		for _, p := range ni.Ipv6Prefixes {
			all[zone] = append(all[zone], netip.MustParsePrefix(*p.Ipv6Prefix))
		}
	}
	return all
}

// Configuration is a resource configuration of type SINGLE.
type Configuration struct {
	p       *Postern
	Gateway *Gateway
	ID, ARN string
}

// Configuration makes a resource configuration for an address and waits until
// it is active.
func (g *Gateway) Configuration(ip netip.Addr, ports ...string) *Configuration {
	g.p.T.Helper()
	return g.Custom("", ip, ports...)
}

// Custom is Configuration with a custom domain.
func (g *Gateway) Custom(domain string, ip netip.Addr, ports ...string) *Configuration {
	g.p.T.Helper()
	g.made++
	in := &lattice.CreateResourceConfigurationInput{
		Name: new(fmt.Sprintf("%s-%d", g.name, g.made)), Type: new(lattice.ResourceConfigurationTypeSingle),
		ResourceGatewayIdentifier: &g.ID, PortRanges: ports,
		ResourceConfigurationDefinition: &lattice.ResourceConfigurationDefinition{IpResource: &lattice.IpResource{IpAddress: new(ip.String())}},
	}
	if domain != "" {
		in.CustomDomainName = &domain
	}
	return g.p.configuration(g, in)
}

// Group makes a resource configuration of type GROUP, with a domain if it has one, and waits
// until it is active.
func (g *Gateway) Group(name string, domain ...string) *Configuration {
	in := &lattice.CreateResourceConfigurationInput{
		Name: &name, Type: new(lattice.ResourceConfigurationTypeGroup), ResourceGatewayIdentifier: &g.ID,
	}
	if len(domain) > 0 {
		in.GroupDomain = &domain[0]
	}
	return g.p.configuration(g, in)
}

// Child makes a child of the group for an address and waits until it is active.
func (c *Configuration) Child(name string, ip netip.Addr, ports ...string) *Configuration {
	return c.CustomChild(name, "", ip, ports...)
}

// CustomChild is Child with a custom domain.
func (c *Configuration) CustomChild(name, domain string, ip netip.Addr, ports ...string) *Configuration {
	in := &lattice.CreateResourceConfigurationInput{
		Name: &name, Type: new(lattice.ResourceConfigurationTypeChild), ResourceConfigurationGroupIdentifier: &c.ID, PortRanges: ports,
		ResourceConfigurationDefinition: &lattice.ResourceConfigurationDefinition{IpResource: &lattice.IpResource{IpAddress: new(ip.String())}},
	}
	if domain != "" {
		in.CustomDomainName = &domain
	}
	return c.p.configuration(c.Gateway, in)
}

// NamedChild is Child for a name.
func (c *Configuration) NamedChild(name, domain string, ports ...string) *Configuration {
	return c.p.configuration(c.Gateway, &lattice.CreateResourceConfigurationInput{
		Name: &name, Type: new(lattice.ResourceConfigurationTypeChild), ResourceConfigurationGroupIdentifier: &c.ID, PortRanges: ports,
		ResourceConfigurationDefinition: &lattice.ResourceConfigurationDefinition{DnsResource: &lattice.DnsResource{
			DomainName: &domain, IpAddressType: new(lattice.ResourceConfigurationIpAddressTypeIpv4),
		}},
	})
}

// Named makes a resource configuration for a name and waits until it is active.
func (g *Gateway) Named(name, domain string, ports ...string) *Configuration {
	return g.p.configuration(g, &lattice.CreateResourceConfigurationInput{
		Name: &name, Type: new(lattice.ResourceConfigurationTypeSingle), ResourceGatewayIdentifier: &g.ID, PortRanges: ports,
		ResourceConfigurationDefinition: &lattice.ResourceConfigurationDefinition{DnsResource: &lattice.DnsResource{
			DomainName: &domain, IpAddressType: new(lattice.ResourceConfigurationIpAddressTypeIpv4),
		}},
	})
}

// Database makes a resource configuration for the database that an ARN names and waits until
// it is active. Its children come by themselves.
func (g *Gateway) Database(name, arn string) *Configuration {
	return g.p.configuration(g, &lattice.CreateResourceConfigurationInput{
		Name: &name, Type: new(lattice.ResourceConfigurationTypeArn), ResourceGatewayIdentifier: &g.ID,
		ResourceConfigurationDefinition: &lattice.ResourceConfigurationDefinition{ArnResource: &lattice.ArnResource{Arn: &arn}},
	})
}

func (p *Postern) configuration(g *Gateway, in *lattice.CreateResourceConfigurationInput) *Configuration {
	p.T.Helper()
	made := Call[lattice.CreateResourceConfigurationOutput](p, lattice.Service, "CreateResourceConfiguration", in)
	c := &Configuration{p: p, Gateway: g, ID: *made.Id, ARN: *made.Arn}
	c.Await()
	return c
}

// Delete starts the deletion of the configuration and returns when it is gone.
func (c *Configuration) Delete() {
	c.p.T.Helper()
	Call[lattice.DeleteResourceConfigurationOutput](c.p, lattice.Service, "DeleteResourceConfiguration", &lattice.DeleteResourceConfigurationInput{ResourceConfigurationIdentifier: &c.ID})
	c.p.Await("configuration "+c.ID+" to be gone", func() (bool, error) {
		err := c.p.Do(lattice.Service, "GetResourceConfiguration", &lattice.GetResourceConfigurationInput{ResourceConfigurationIdentifier: &c.ID}, nil)
		if Code(err) == "ResourceNotFoundException" {
			return true, nil
		}
		return false, err
	})
}

// Await waits until the configuration is active.
func (c *Configuration) Await() {
	c.p.T.Helper()
	c.p.Await("configuration "+c.ID, func() (bool, error) {
		var out lattice.GetResourceConfigurationOutput
		err := c.p.Do(lattice.Service, "GetResourceConfiguration", &lattice.GetResourceConfigurationInput{ResourceConfigurationIdentifier: &c.ID}, &out)
		return err == nil && *out.Status == lattice.ResourceConfigurationStatusActive, err
	})
}

// Endpoint is a VPC endpoint of type Resource.
type Endpoint struct {
	p  *Postern
	ID string
	// Addresses are its addresses by zone: one of each family.
	Addresses map[string][]netip.Addr
}

// Endpoint makes an endpoint of both families to a resource and waits until it
// is available.
func (v *VPC) Endpoint(c *Configuration, subnets []*Subnet, groups ...string) *Endpoint {
	v.p.T.Helper()
	e, err := v.MakeEndpoint(c, subnets, groups...)
	if err != nil {
		v.p.T.Fatal(err)
	}
	return e
}

// PrivateEndpoint is Endpoint with private DNS for all domains.
func (v *VPC) PrivateEndpoint(c *Configuration, subnets []*Subnet, groups ...string) *Endpoint {
	v.p.T.Helper()
	in := v.endpointInput(c, subnets, groups)
	in.PrivateDnsEnabled, in.DnsOptions = new(true), &ec2.DnsOptionsSpecification{PrivateDnsPreference: new("ALL_DOMAINS")}
	e, err := v.makeEndpoint(in)
	if err != nil {
		v.p.T.Fatal(err)
	}
	return e
}

// MakeEndpoint is Endpoint for any goroutine.
func (v *VPC) MakeEndpoint(c *Configuration, subnets []*Subnet, groups ...string) (*Endpoint, error) {
	return v.makeEndpoint(v.endpointInput(c, subnets, groups))
}

func (v *VPC) endpointInput(c *Configuration, subnets []*Subnet, groups []string) *ec2.CreateVpcEndpointInput {
	return &ec2.CreateVpcEndpointInput{
		VpcId: &v.ID, VpcEndpointType: new(ec2.VpcEndpointTypeResource), ResourceConfigurationArn: &c.ARN,
		SubnetIds: ids(subnets), SecurityGroupIds: groups, IpAddressType: new(ec2.IpAddressTypeDualstack),
	}
}

func (v *VPC) makeEndpoint(in *ec2.CreateVpcEndpointInput) (*Endpoint, error) {
	p := v.p
	var made ec2.CreateVpcEndpointOutput
	err := p.Do(ec2.Service, "CreateVpcEndpoint", in, &made)
	if err != nil {
		return nil, err
	}
	e := &Endpoint{p: p, ID: *made.VpcEndpoint.VpcEndpointId, Addresses: map[string][]netip.Addr{}}
	var interfaces []string
	err = instance.Poll(context.Background(), testnet.Patience, "endpoint "+e.ID, func() (bool, error) {
		state, found, err := e.state()
		interfaces = found
		return state == "available", err
	})
	if err != nil {
		return nil, err
	}
	return e, e.readAddresses(interfaces)
}

// state gives the state in lower case, and the network interfaces.
func (e *Endpoint) state() (string, []string, error) {
	var out ec2.DescribeVpcEndpointsOutput
	err := e.p.Do(ec2.Service, "DescribeVpcEndpoints", &ec2.DescribeVpcEndpointsInput{VpcEndpointIds: []string{e.ID}}, &out)
	if err != nil {
		return "", nil, err
	}
	if len(out.VpcEndpoints) != 1 {
		return "", nil, errors.New("no such endpoint")
	}
	return strings.ToLower(*out.VpcEndpoints[0].State), out.VpcEndpoints[0].NetworkInterfaceIds, nil
}

func (e *Endpoint) readAddresses(interfaces []string) error {
	var out ec2.DescribeNetworkInterfacesOutput
	err := e.p.Do(ec2.Service, "DescribeNetworkInterfaces", &ec2.DescribeNetworkInterfacesInput{NetworkInterfaceIds: interfaces}, &out)
	for _, ni := range out.NetworkInterfaces {
		zone := *ni.AvailabilityZone
		for _, a := range ni.PrivateIpAddresses {
			e.Addresses[zone] = append(e.Addresses[zone], netip.MustParseAddr(*a.PrivateIpAddress))
		}
		for _, a := range ni.Ipv6Addresses {
			e.Addresses[zone] = append(e.Addresses[zone], netip.MustParseAddr(*a.Ipv6Address))
		}
	}
	return err
}

// Address is the endpoint's IPv4 address in its first zone, Address6 the IPv6 one.
func (e *Endpoint) Address() netip.Addr { return e.first(netip.Addr.Is4) }

// Address6 is the endpoint's IPv6 address in its first zone.
func (e *Endpoint) Address6() netip.Addr { return e.first(netip.Addr.Is6) }

func (e *Endpoint) first(family func(netip.Addr) bool) netip.Addr {
	e.p.T.Helper()
	for _, zone := range Zones {
		if i := slices.IndexFunc(e.Addresses[zone], family); i >= 0 {
			return e.Addresses[zone][i]
		}
	}
	e.p.T.Fatalf("endpoint %s has no address of the family", e.ID)
	return netip.Addr{}
}

// Delete deletes the endpoint and returns when the answer is there.
func (e *Endpoint) Delete() {
	e.p.T.Helper()
	out := Call[ec2.DeleteVpcEndpointsOutput](e.p, ec2.Service, "DeleteVpcEndpoints", &ec2.DeleteVpcEndpointsInput{VpcEndpointIds: []string{e.ID}})
	for _, u := range out.Unsuccessful {
		e.p.T.Errorf("delete %s: %s: %s", e.ID, *u.Error.Code, *u.Error.Message)
	}
}

// EndpointTo makes an interface endpoint and waits until it is available.
func (v *VPC) EndpointTo(in *ec2.CreateVpcEndpointInput) (*Endpoint, error) {
	in.VpcId, in.VpcEndpointType = &v.ID, new(ec2.VpcEndpointTypeInterface)
	return v.makeEndpoint(in)
}
