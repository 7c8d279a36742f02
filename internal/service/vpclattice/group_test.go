// SPDX-License-Identifier: Apache-2.0

package vpclattice

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	shape "github.com/posternhq/postern/internal/aws/shape/vpclattice"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service/servicetest"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

func groupInput(name, gateway string) *shape.CreateResourceConfigurationInput {
	return &shape.CreateResourceConfigurationInput{Name: &name, Type: new("GROUP"), ResourceGatewayIdentifier: &gateway}
}

func childInput(name, group, ip string) *shape.CreateResourceConfigurationInput {
	in := configurationInput(name, "", ip)
	in.Type, in.ResourceGatewayIdentifier, in.ResourceConfigurationGroupIdentifier = new("CHILD"), nil, &group
	return in
}

// Each type has its members, and what it must not have is refused in AWS's words.
func TestEachTypeHasItsMembers(t *testing.T) {
	f := newFixture(t)
	gate := *f.gateway(t, gatewayInput("gate", subnetA)).Id
	group := *f.configuration(t, groupInput("group", gate)).Id
	inputs := map[string]func() *shape.CreateResourceConfigurationInput{
		"SINGLE": func() *shape.CreateResourceConfigurationInput { return configurationInput("new", gate, "10.0.1.10") },
		"GROUP":  func() *shape.CreateResourceConfigurationInput { return groupInput("new", gate) },
		"CHILD":  func() *shape.CreateResourceConfigurationInput { return childInput("new", group, "10.0.1.10") },
	}
	definition := configurationInput("", "", "10.0.1.10").ResourceConfigurationDefinition
	type edit = func(*shape.CreateResourceConfigurationInput)
	for _, c := range []struct {
		field string
		types string // that do not have it
		add   edit
	}{
		{"resourceGatewayIdentifier", "CHILD", func(in *shape.CreateResourceConfigurationInput) { in.ResourceGatewayIdentifier = &gate }},
		{"resourceConfigurationGroupIdentifier", "SINGLE GROUP", func(in *shape.CreateResourceConfigurationInput) { in.ResourceConfigurationGroupIdentifier = &group }},
		{"resourceConfigurationDefinition", "GROUP", func(in *shape.CreateResourceConfigurationInput) { in.ResourceConfigurationDefinition = definition }},
		{"protocol", "CHILD", func(in *shape.CreateResourceConfigurationInput) { in.Protocol = new("TCP") }},
		{"allowAssociationToShareableServiceNetwork", "CHILD", func(in *shape.CreateResourceConfigurationInput) {
			in.AllowAssociationToShareableServiceNetwork = new(false)
		}},
		{"customDomainName", "GROUP", func(in *shape.CreateResourceConfigurationInput) { in.CustomDomainName = new("db.example.com") }},
		{"groupDomain", "SINGLE CHILD", func(in *shape.CreateResourceConfigurationInput) { in.GroupDomain = new("example.com") }},
		{"domainVerificationIdentifier", "CHILD", func(in *shape.CreateResourceConfigurationInput) {
			in.DomainVerificationIdentifier = new("dv-0123456789abcdef0")
		}},
	} {
		for _, kind := range strings.Fields(c.types) {
			in := inputs[kind]()
			c.add(in)
			want := fmt.Sprintf("Unexpected attribute %s for type %s", c.field, kind)
			f.refused(t, want, "ValidationException", func() error {
				_, err := f.api.CreateResourceConfiguration(f.ctx, in)
				if err != nil && !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want %s", err, want)
				}
				return err
			})
		}
	}
	for name, c := range map[string]struct {
		kind string
		take edit
	}{
		"a group without a gateway":    {"GROUP", func(in *shape.CreateResourceConfigurationInput) { in.ResourceGatewayIdentifier = nil }},
		"a child without a group":      {"CHILD", func(in *shape.CreateResourceConfigurationInput) { in.ResourceConfigurationGroupIdentifier = nil }},
		"a child without a definition": {"CHILD", func(in *shape.CreateResourceConfigurationInput) { in.ResourceConfigurationDefinition = nil }},
	} {
		in := inputs[c.kind]()
		c.take(in)
		f.refused(t, name, "ValidationException", func() error { _, err := f.api.CreateResourceConfiguration(f.ctx, in); return err })
	}
}

// A child is in its group's account and gateway, has ports and a target of its own, and a
// custom domain below the group's.
func TestAChildIsPartOfItsGroup(t *testing.T) {
	f := newFixture(t)
	gate := *f.gateway(t, gatewayInput("gate", subnetA, subnetB)).Id
	in := groupInput("group", gate)
	in.GroupDomain, in.AllowAssociationToShareableServiceNetwork = new("Example.com"), new(false)
	group := f.configuration(t, in)
	if group.ResourceConfigurationDefinition != nil || len(group.PortRanges) > 0 || *group.GroupDomain != "Example.com" {
		t.Errorf("the group is %+v", group)
	}
	child := childInput("child", *group.Arn, "10.0.1.10")
	child.CustomDomainName, child.PortRanges = new("db.example.com."), []string{"5432"}
	made := f.configuration(t, child)
	if *made.ResourceConfigurationGroupId != *group.Id || *made.ResourceGatewayId != gate || *made.Protocol != "TCP" || made.PortRanges[0] != "5432" {
		t.Errorf("the child is %+v", made)
	}
	row, _ := state.ResourceConfigurations.Get(f.DB.Snapshot(), servicetest.Account, servicetest.Region, *made.Id)
	if len(row.Targets) != 2 || row.AllowShareable {
		t.Errorf("the child's row is %+v", row)
	}
	single := f.configuration(t, configurationInput("single", gate, "10.0.1.11"))
	leaving := f.configuration(t, groupInput("leaving", gate))
	if _, err := f.api.DeleteResourceConfiguration(f.ctx, &shape.DeleteResourceConfigurationInput{ResourceConfigurationIdentifier: leaving.Id}); err != nil {
		t.Fatal(err)
	}
	other := func(ip, group, domain string) *shape.CreateResourceConfigurationInput {
		in := childInput("new", group, ip)
		if domain != "" {
			in.CustomDomainName = &domain
		}
		return in
	}
	for name, c := range map[string]struct {
		code string
		in   *shape.CreateResourceConfigurationInput
	}{
		"below another domain":     {"ValidationException", other("10.0.1.12", *group.Id, "db.example.org")},
		"the group's own domain":   {"ValidationException", other("10.0.1.12", *group.Id, "example.com")},
		"a domain that only ends":  {"ValidationException", other("10.0.1.12", *group.Id, "badexample.com")},
		"no domain at all":         {"ValidationException", other("10.0.1.12", *group.Id, "no domain")},
		"a public address":         {"ValidationException", other("8.8.8.8", *group.Id, "")},
		"no such group":            {"ResourceNotFoundException", other("10.0.1.12", "rcfg-00000000000000000", "")},
		"a group that is none":     {"ValidationException", other("10.0.1.12", *single.Id, "")},
		"a child as a group":       {"ValidationException", other("10.0.1.12", *made.Id, "")},
		"a group that is deleted":  {"ConflictException", other("10.0.1.12", *leaving.Id, "")},
		"the address of a gateway": {"ValidationException", other(f.gatewayAddress(gate), *group.Id, "")},
	} {
		f.refused(t, name, c.code, func() error { _, err := f.api.CreateResourceConfiguration(f.ctx, c.in); return err })
	}
	f.refused(t, "in another account", "ResourceNotFoundException", func() error {
		_, err := f.api.CreateResourceConfiguration(servicetest.As(t, "444455556666", servicetest.Region), other("10.0.1.12", *group.Arn, ""))
		return err
	})
	again := other("10.0.1.12", *group.Id, "DB.Example.COM")
	f.refused(t, "the name of another child", "ConflictException", func() error {
		_, err := f.api.CreateResourceConfiguration(f.ctx, again)
		if err != nil && !strings.Contains(err.Error(), *made.Id) {
			t.Errorf("%v does not say which has the name: %s", err, *made.Id)
		}
		return err
	})
	if _, err := f.api.DeleteResourceConfiguration(f.ctx, &shape.DeleteResourceConfigurationInput{ResourceConfigurationIdentifier: made.Id}); err != nil {
		t.Fatal(err)
	}
	f.configuration(t, again)
	f.Quotas.ChildrenPerGroup = 1
	f.refused(t, "too many", "ServiceQuotaExceededException", func() error {
		_, err := f.api.CreateResourceConfiguration(f.ctx, other("10.0.1.12", *group.Id, ""))
		return err
	})
}

// gatewayAddress is an address that a gateway has.
func (f *fixture) gatewayAddress(gateway string) string {
	for ni := range state.NetworkInterfacesByOwner.Rows(f.DB.Snapshot(), model.Ref{Account: servicetest.Account, Region: servicetest.Region, ID: gateway}) {
		return ni.Addresses[0].String()
	}
	return ""
}

// A group is listed by what it has, updated as far as it has something, and stays while it
// has children or endpoints.
func TestAGroupIsListedUpdatedAndHeld(t *testing.T) {
	f := newFixture(t)
	gate := *f.gateway(t, gatewayInput("gate", subnetA)).Id
	group := *f.configuration(t, groupInput("group", gate)).Id
	child := *f.configuration(t, childInput("child", group, "10.0.1.10")).Id
	single := *f.configuration(t, configurationInput("single", gate, "10.0.1.11")).Id
	list := func(in *shape.ListResourceConfigurationsInput) (ids []string) {
		out, err := f.api.ListResourceConfigurations(f.ctx, in)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range out.Items {
			ids = append(ids, *r.Id)
		}
		return ids
	}
	if got := list(&shape.ListResourceConfigurationsInput{ResourceConfigurationGroupIdentifier: &group}); !slices.Equal(got, []string{child}) {
		t.Errorf("children are %v", got)
	}
	if got := list(&shape.ListResourceConfigurationsInput{ResourceGatewayIdentifier: &gate}); len(got) != 3 {
		t.Errorf("behind the gateway are %v", got)
	}
	if got := list(&shape.ListResourceConfigurationsInput{ResourceGatewayIdentifier: &single, ResourceConfigurationGroupIdentifier: &group}); len(got) != 0 {
		t.Errorf("behind no gateway are %v", got)
	}

	update := func(id string, in shape.UpdateResourceConfigurationInput) error {
		in.ResourceConfigurationIdentifier = &id
		_, err := f.api.UpdateResourceConfiguration(f.ctx, &in)
		return err
	}
	definition := configurationInput("", "", "10.0.1.20").ResourceConfigurationDefinition
	f.refused(t, "a definition for a group", "ValidationException", func() error {
		return update(group, shape.UpdateResourceConfigurationInput{ResourceConfigurationDefinition: definition})
	})
	f.refused(t, "another sharing rule for a child", "ValidationException", func() error {
		return update(child, shape.UpdateResourceConfigurationInput{AllowAssociationToShareableServiceNetwork: new(false)})
	})
	for _, err := range []error{
		update(group, shape.UpdateResourceConfigurationInput{PortRanges: []string{"80"}, AllowAssociationToShareableServiceNetwork: new(false)}),
		update(child, shape.UpdateResourceConfigurationInput{ResourceConfigurationDefinition: definition, PortRanges: []string{"81"}, AllowAssociationToShareableServiceNetwork: new(true)}),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	got, err := f.api.GetResourceConfiguration(f.ctx, &shape.GetResourceConfigurationInput{ResourceConfigurationIdentifier: &child})
	if err != nil || got.PortRanges[0] != "81" || *got.ResourceConfigurationDefinition.IpResource.IpAddress != "10.0.1.20" || *got.ResourceConfigurationGroupId != group {
		t.Errorf("the child is %+v, %v", got, err)
	}

	remove := func(id string) error {
		_, err := f.api.DeleteResourceConfiguration(f.ctx, &shape.DeleteResourceConfigurationInput{ResourceConfigurationIdentifier: &id})
		return err
	}
	f.refused(t, "delete a group with a child", "ConflictException", func() error { return remove(group) })
	if err := remove(child); err != nil {
		t.Error(err)
	}
	f.refused(t, "delete a group whose child is on its way out", "ConflictException", func() error { return remove(group) })
	f.update(t, func(tx *table.Txn) {
		state.ResourceConfigurations.Delete(tx, servicetest.Account, servicetest.Region, child)
		state.VPCEndpoints.Put(tx, &model.VPCEndpoint{Meta: meta("vpce-1"), Configuration: meta(group).Ref()})
	})
	f.refused(t, "delete a group with an endpoint", "ConflictException", func() error { return remove(group) })
	f.update(t, func(tx *table.Txn) { state.VPCEndpoints.Delete(tx, servicetest.Account, servicetest.Region, "vpce-1") })
	if err := remove(group); err != nil {
		t.Error(err)
	}
}
