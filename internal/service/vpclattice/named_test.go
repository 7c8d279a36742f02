// SPDX-License-Identifier: Apache-2.0

package vpclattice

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	shape "github.com/posternhq/postern/internal/aws/shape/vpclattice"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

func named(domain, family string) *shape.ResourceConfigurationDefinition {
	d := &shape.DnsResource{DomainName: &domain}
	if family != "" {
		d.IpAddressType = &family
	}
	return &shape.ResourceConfigurationDefinition{DnsResource: d}
}

// A resource may have a name, of which one family of addresses is meant that its gateway
// has. What is no name, or not one of the two, is refused.
func TestAResourceMayHaveAName(t *testing.T) {
	f := newFixture(t)
	gate := *f.gateway(t, gatewayInput("gate", subnetA)).Id
	dual := gatewayInput("dual", subnetB)
	dual.IpAddressType = new("DUALSTACK")
	both := *f.gateway(t, dual).Id
	input := func(gateway string, d *shape.ResourceConfigurationDefinition) *shape.CreateResourceConfigurationInput {
		in := configurationInput("named", gateway, "")
		in.ResourceConfigurationDefinition = d
		return in
	}
	two := named("db.example.com", "IPV4")
	two.IpResource = &shape.IpResource{IpAddress: new("10.0.1.10")}
	for name, in := range map[string]*shape.CreateResourceConfigurationInput{
		"DUALSTACK":             input(both, named("db.example.com", "DUALSTACK")),
		"IPv6 through IPv4":     input(gate, named("db.example.com", "IPV6")),
		"an address":            input(gate, named("10.0.1.10", "IPV4")),
		"a label too long":      input(gate, named("a123456789012345678901234567890123456789012345678901234567890123.example.com", "IPV4")),
		"an empty label":        input(gate, named("db..example.com", "IPV4")),
		"a wildcard":            input(gate, named("*.example.com", "IPV4")),
		"a space":               input(gate, named("d b.example.com", "IPV4")),
		"no name":               input(gate, &shape.ResourceConfigurationDefinition{DnsResource: &shape.DnsResource{}}),
		"a name and an address": input(gate, two),
		"nothing":               input(gate, &shape.ResourceConfigurationDefinition{}),
	} {
		f.refused(t, name, "ValidationException", func() error { _, err := f.api.CreateResourceConfiguration(f.ctx, in); return err })
	}
	made := f.configuration(t, input(both, named("DB.example.com.", "")))
	if diff := cmp.Diff(named("DB.example.com.", "IPV4"), made.ResourceConfigurationDefinition); diff != "" {
		t.Errorf("it is shown as (-want +got):\n%s", diff)
	}

	update := func(d *shape.ResourceConfigurationDefinition) error {
		_, err := f.api.UpdateResourceConfiguration(f.ctx, &shape.UpdateResourceConfigurationInput{ResourceConfigurationIdentifier: made.Id, ResourceConfigurationDefinition: d})
		return err
	}
	f.update(t, func(tx *table.Txn) {
		state.EndpointAssociations.Put(tx, &model.EndpointAssociation{Meta: meta("rea-1"), Configuration: meta(*made.Id).Ref()})
	})
	f.refused(t, "the other family while it has an endpoint", "ValidationException", func() error { return update(named("db.example.com", "IPV6")) })
	for _, d := range []*shape.ResourceConfigurationDefinition{
		{IpResource: &shape.IpResource{IpAddress: new("10.0.1.10")}}, named("other.example.com", "IPV4"),
	} {
		if err := update(d); err != nil {
			t.Error(err)
		}
		got, err := f.api.GetResourceConfiguration(f.ctx, &shape.GetResourceConfigurationInput{ResourceConfigurationIdentifier: made.Id})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(d, got.ResourceConfigurationDefinition); diff != "" {
			t.Errorf("after an update it is shown as (-want +got):\n%s", diff)
		}
	}
}
