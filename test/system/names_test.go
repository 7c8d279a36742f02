// SPDX-License-Identifier: Apache-2.0

package system

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/posternhq/postern/internal/aws/shape/ec2"
	lattice "github.com/posternhq/postern/internal/aws/shape/vpclattice"
	"github.com/posternhq/postern/test/postern"
	"github.com/posternhq/postern/test/testnet"
)

// resolve looks a name up at the resolver of a workload's VPC.
func resolve(from *postern.Workload, name string) ([]netip.Addr, error) {
	ctx, cancel := context.WithTimeout(context.Background(), testnet.Patience)
	defer cancel()
	r := net.Resolver{PreferGo: true, StrictErrors: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return from.Dial(ctx, network, "169.254.169.253:53")
	}}
	found, err := r.LookupNetIP(ctx, "ip", name+".")
	for i, a := range found {
		found[i] = a.Unmap()
	}
	return found, err
}

// noSuchName reports whether a resolver said that there is no such name.
func noSuchName(err error) bool {
	var refusal *net.DNSError
	return errors.As(err, &refusal) && refusal.IsNotFound
}

// awaitResolves waits until a name has exactly these addresses; none is that there is no
// such name.
func awaitResolves(t *testing.T, s *pair, name string, want ...netip.Addr) {
	t.Helper()
	s.Await(name, func() (bool, error) {
		found, err := resolve(s.client, name)
		if len(want) == 0 {
			return noSuchName(err), nil
		}
		return err == nil && slices.Equal(found, want), nil
	})
}

// told gives the name that is told of the pair's endpoint, once it is told one.
func (s *pair) told() (name, zone string) {
	s.t.Helper()
	s.Await("the name of "+s.endpoint.ID, func() (bool, error) {
		var out ec2.DescribeVpcEndpointAssociationsOutput
		err := s.Do(ec2.Service, "DescribeVpcEndpointAssociations", &ec2.DescribeVpcEndpointAssociationsInput{VpcEndpointIds: []string{s.endpoint.ID}}, &out)
		if err != nil || len(out.VpcEndpointAssociations) != 1 || out.VpcEndpointAssociations[0].DnsEntry == nil {
			return false, err
		}
		name, zone = *out.VpcEndpointAssociations[0].DnsEntry.DnsName, *out.VpcEndpointAssociations[0].DnsEntry.HostedZoneId
		return true, nil
	})
	return name, zone
}

// An endpoint is reached by its names from its VPC, and from nowhere else. With another
// suffix it is called otherwise, and with its association its names go.
func TestAnEndpointIsReachedByName(t *testing.T) {
	s := newPair(t)
	address := s.endpoint.Address()
	name, zone := s.told()
	if want := s.endpoint.ID + "." + s.resource.ID + ".4232ccc.vpc-lattice-rsc.us-east-1.postern.internal"; name != want || !strings.HasPrefix(zone, "Z") {
		t.Errorf("the endpoint is called %s in %s, want %s", name, zone, want)
	}
	zonal := strings.Replace(name, s.endpoint.ID, s.endpoint.ID+"-us-east-1a", 1)
	for _, each := range []string{name, zonal, strings.ToUpper(name)} { // when one is told it resolves
		found, err := resolve(s.client, each)
		if err != nil || !slices.Equal(found, []netip.Addr{address}) {
			t.Errorf("%s is %v, %v; want %s", each, found, err, address)
			continue
		}
		expectAnswer(t, s.client, hostPort(found[0], 5432))
	}
	if found, err := resolve(s.server, name); !noSuchName(err) {
		t.Errorf("in another VPC %s is %v, %v", name, found, err)
	}
	if text := s.Command("status").Stdout; !strings.Contains(text, name) {
		t.Errorf("the status does not have %s:\n%s", name, text)
	}

	s.Stop()
	s.Flags = append(s.Flags, "--dns-suffix", "Example.NET")
	s.Up()
	other := strings.TrimSuffix(name, "postern.internal") + "example.net"
	if now, in := s.told(); now != other || in == zone {
		t.Errorf("with another suffix the endpoint is called %s in %s, want %s", now, in, other)
	}
	awaitResolves(t, s, other, address)
	if found, err := resolve(s.client, name); err == nil { // it is nobody's now, and there is no upstream
		t.Errorf("the former name %s is %v", name, found)
	}

	items := postern.Call[lattice.ListResourceEndpointAssociationsOutput](s.Postern, lattice.Service, "ListResourceEndpointAssociations",
		&lattice.ListResourceEndpointAssociationsInput{ResourceConfigurationIdentifier: &s.resource.ID}).Items
	postern.Call[lattice.DeleteResourceEndpointAssociationOutput](s.Postern, lattice.Service, "DeleteResourceEndpointAssociation",
		&lattice.DeleteResourceEndpointAssociationInput{ResourceEndpointAssociationIdentifier: items[0].Id})
	awaitResolves(t, s, other)
}

// What a VPC's attributes say of its resolver holds at once: names of addresses need
// both, and without DNS support every question is refused.
func TestAttributesOfAVPCRuleItsResolver(t *testing.T) {
	s := newPair(t)
	name := "ip-10-0-1-10.ec2.internal"
	set := func(in *ec2.ModifyVpcAttributeInput) {
		in.VpcId = &s.consumer.ID
		postern.Call[ec2.ModifyVpcAttributeOutput](s.Postern, ec2.Service, "ModifyVpcAttribute", in)
	}
	yes, no := &ec2.AttributeBooleanValue{Value: new(true)}, &ec2.AttributeBooleanValue{Value: new(false)}
	set(&ec2.ModifyVpcAttributeInput{EnableDnsHostnames: yes})
	awaitResolves(t, s, name, s.client.IP)
	set(&ec2.ModifyVpcAttributeInput{EnableDnsHostnames: no})
	s.Await("no names of addresses", func() (bool, error) {
		_, err := resolve(s.client, name)
		return err != nil, nil
	})
	endpoint, _ := s.told()
	awaitResolves(t, s, endpoint, s.endpoint.Address())
	set(&ec2.ModifyVpcAttributeInput{EnableDnsSupport: no})
	s.Await("refusal", func() (bool, error) {
		_, err := resolve(s.client, endpoint)
		return err != nil && !noSuchName(err), nil
	})
	if found, err := resolve(s.server, "x.example.com"); err == nil || noSuchName(err) { // there is no upstream
		t.Errorf("a name that nobody has is %v, %v", found, err)
	}
}
