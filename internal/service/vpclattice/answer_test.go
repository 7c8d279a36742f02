// SPDX-License-Identifier: Apache-2.0

package vpclattice

import (
	"net/netip"
	"strings"
	"testing"

	shape "github.com/posternhq/postern/internal/aws/shape/vpclattice"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service/servicetest"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

func TestAddressesThatNeverAnswerAreRefused(t *testing.T) {
	f := newFixture(t)
	f.update(t, func(tx *table.Txn) {
		v, _ := state.VPCs.Get(tx, servicetest.Account, servicetest.Region, vpcID)
		v = v.Clone()
		v.CIDRs = append(v.CIDRs, model.CIDRAssociation{ID: "second", Prefix: netip.MustParsePrefix("10.9.0.0/20")})
		state.VPCs.Put(tx, v)
	})
	in := gatewayInput("gate", subnetA)
	in.IpAddressType, in.Ipv4AddressesPerEni = new("DUALSTACK"), new(int32(2))
	gate := f.gateway(t, in)
	var own *model.NetworkInterface
	for own = range state.NetworkInterfacesByOwner.Rows(f.DB.Snapshot(), model.Ref{Account: servicetest.Account, Region: servicetest.Region, ID: *gate.Id}) {
	}
	db := f.configuration(t, configurationInput("db", *gate.Id, "10.0.1.200"))
	for _, c := range []struct{ ip, why string }{
		{"10.0.1.0", "the network address of subnet subnet-a"},
		{"10.0.1.1", "the address of the VPC's router of subnet subnet-a"},
		{"10.0.1.2", "the address of the DNS resolver of subnet subnet-a"},
		{"10.0.1.3", "a reserved address of subnet subnet-a"},
		{"10.0.1.255", "the broadcast address of subnet subnet-a"},
		{"10.0.2.1", "of subnet subnet-a2"}, // another subnet than the gateway's
		{"10.0.4.15", "the broadcast address of subnet subnet-small, 10.0.4.0/28"},
		{"10.0.0.0", "the network address of 10.0.0.0/16, a block of " + vpcID},
		{"10.0.0.2", "the address of the DNS resolver of 10.0.0.0/16"},
		{"10.0.255.255", "the broadcast address of 10.0.0.0/16"},
		{"10.9.0.1", "the address of the VPC's router of 10.9.0.0/20"},
		{"10.9.15.255", "the broadcast address of 10.9.0.0/20"},
		{own.Addresses[0].String(), "it belongs to resource gateway " + *gate.Id},
		{own.Addresses[1].String(), "it belongs to resource gateway " + *gate.Id},
		{own.Prefix6.Addr().String(), "it belongs to resource gateway " + *gate.Id},
		{own.Prefix6.Addr().Next().Next().String(), "it belongs to resource gateway " + *gate.Id},
		{"2001:db8:1:1::", "the network address of subnet subnet-a"},
		{"2001:db8:1:1::1", "the address of the VPC's router of subnet subnet-a"},
		{"2001:db8:1:1::3", "a reserved address of subnet subnet-a"},
		{"2001:db8:1:1:ffff:ffff:ffff:ffff", "of subnet subnet-a"},
		{"2001:db8:1::2", "the address of the DNS resolver of 2001:db8:1::/56"},
		{"127.0.0.1", "not a private address"}, {"224.0.0.1", "not a private address"}, {"0.0.0.0", "not a private address"},
		{"169.254.169.254", "not a private address"}, {"255.255.255.255", "not a private address"},
		{"::", "not an address of"}, {"::1", "not an address of"}, {"ff02::1", "not an address of"}, {"fe80::1", "not an address of"},
	} {
		created := func() error {
			_, err := f.api.CreateResourceConfiguration(f.ctx, configurationInput("new", *gate.Id, c.ip))
			return err
		}
		updated := func() error {
			_, err := f.api.UpdateResourceConfiguration(f.ctx, &shape.UpdateResourceConfigurationInput{
				ResourceConfigurationIdentifier: db.Id, ResourceConfigurationDefinition: configurationInput("", "", c.ip).ResourceConfigurationDefinition,
			})
			return err
		}
		for what, call := range map[string]func() error{"create": created, "update": updated} {
			f.refused(t, what+" "+c.ip, "ValidationException", call)
			if err := call(); err == nil || !strings.Contains(err.Error(), c.ip) || !strings.Contains(err.Error(), c.why) {
				t.Errorf("%s %s: got %v, want a text with %q", what, c.ip, err, c.why)
			}
		}
	}
	for _, ip := range []string{"10.0.1.4", "10.0.1.254", "10.0.4.16", "10.0.9.1", "10.9.1.255", "192.168.0.1", "10.200.0.0", "2001:db8:1:1::4", "2001:db8:1:7::1"} {
		f.configuration(t, configurationInput("can-"+strings.NewReplacer(".", "-", ":", "-").Replace(ip), *gate.Id, ip))
	}
}

// An empty list comes from a template that lost its list: it must not open more
// than there was.
func TestEmptyListsOpenNothing(t *testing.T) {
	f := newFixture(t)
	gate := f.gateway(t, gatewayInput("gate", subnetA)).Id
	in := configurationInput("db", *gate, "10.0.1.10")
	in.PortRanges = []string{"5432"}
	id := f.configuration(t, in).Id
	f.refused(t, "update", "ValidationException", func() error {
		_, err := f.api.UpdateResourceConfiguration(f.ctx, &shape.UpdateResourceConfigurationInput{ResourceConfigurationIdentifier: id, PortRanges: []string{}})
		return err
	})
	empty := configurationInput("empty", *gate, "10.0.1.11")
	empty.PortRanges = []string{}
	f.refused(t, "create", "ValidationException", func() error { _, err := f.api.CreateResourceConfiguration(f.ctx, empty); return err })
	f.refused(t, "groups of a gateway", "ValidationException", func() error {
		_, err := f.api.UpdateResourceGateway(f.ctx, &shape.UpdateResourceGatewayInput{ResourceGatewayIdentifier: gate, SecurityGroupIds: []string{}})
		return err
	})
	empty.PortRanges = nil
	if out := f.configuration(t, empty); len(out.PortRanges) != 1 || out.PortRanges[0] != "1-65535" {
		t.Errorf("a configuration without port ranges: got %v", out.PortRanges)
	}
}
