// SPDX-License-Identifier: Apache-2.0

package vpclattice

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/vpclattice"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/servicetest"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

func TestGatewayHasAnInterfaceInEachSubnet(t *testing.T) {
	f := newFixture(t)
	in := gatewayInput("gate", subnetA, subnetB)
	in.IpAddressType, in.Ipv4AddressesPerEni = new("DUALSTACK"), new(int32(5))
	out := f.gateway(t, in)
	tx := f.DB.Snapshot()
	g, _ := state.ResourceGateways.Get(tx, servicetest.Account, servicetest.Region, *out.Id)
	if len(g.Interfaces) != 2 {
		t.Fatalf("gateway has interfaces %v", g.Interfaces)
	}
	for i, id := range g.Interfaces {
		ni, ok := state.NetworkInterfaces.Get(tx, servicetest.Account, servicetest.Region, id)
		if !ok || ni.Subnet != g.Subnets[i] || len(ni.Addresses) != 5 || !ni.Prefix6.IsValid() ||
			ni.Type != model.InterfaceGateway || ni.Owner != g.ID {
			t.Errorf("interface %d is %+v", i, ni)
		}
	}
	want := &shape.CreateResourceGatewayOutput{
		Name: new("gate"), Id: &g.ID, Arn: new("arn:aws:vpc-lattice:us-east-1:111122223333:resourcegateway/" + g.ID),
		Status: new("CREATE_IN_PROGRESS"), VpcIdentifier: new(vpcID), SubnetIds: []string{subnetA, subnetB},
		SecurityGroupIds: []string{defaultID}, IpAddressType: new("DUALSTACK"), Ipv4AddressesPerEni: new(int32(5)),
		ResourceConfigDnsResolution: new("PUBLIC"),
	}
	if diff := cmp.Diff(want, out); diff != "" {
		t.Errorf("reply (-want +got):\n%s", diff)
	}
}

func TestGatewayCountsItsAddressesByFamily(t *testing.T) {
	f := newFixture(t)
	four := f.gateway(t, gatewayInput("four", subnetA))
	in := gatewayInput("six", subnet6)
	in.IpAddressType = new("IPV6")
	six := f.gateway(t, in)
	in = gatewayInput("six-of-both", subnetB) // the subnet has IPv4 too
	in.IpAddressType = new("IPV6")
	f.gateway(t, in)
	if *four.Ipv4AddressesPerEni != 16 || six.Ipv4AddressesPerEni != nil {
		t.Errorf("addresses per interface: %v for IPv4, %v for IPv6", four.Ipv4AddressesPerEni, six.Ipv4AddressesPerEni)
	}
	claims := make(map[string]int)
	for c := range state.AddressClaims.Scope(f.DB.Snapshot(), servicetest.Account, servicetest.Region) {
		claims[c.Subnet]++
	}
	if diff := cmp.Diff(map[string]int{subnetA: 16, subnetB: 1, subnet6: 1}, claims); diff != "" {
		t.Errorf("claims (-want +got):\n%s", diff)
	}
}

func TestBadGatewayRequestsAreRefused(t *testing.T) {
	f := newFixture(t)
	f.gateway(t, gatewayInput("taken", subnetA))
	six := func(subnet string) func(*shape.CreateResourceGatewayInput) {
		return func(in *shape.CreateResourceGatewayInput) {
			in.IpAddressType, in.SubnetIds = new("IPV6"), []string{subnet}
		}
	}
	for name, c := range map[string]struct {
		code   string
		change func(*shape.CreateResourceGatewayInput)
	}{
		"no VPC":                {"ValidationException", func(in *shape.CreateResourceGatewayInput) { in.VpcIdentifier = nil }},
		"unknown VPC":           {"ResourceNotFoundException", func(in *shape.CreateResourceGatewayInput) { in.VpcIdentifier = new("vpc-1") }},
		"no subnet":             {"ValidationException", func(in *shape.CreateResourceGatewayInput) { in.SubnetIds = nil }},
		"unknown subnet":        {"ResourceNotFoundException", func(in *shape.CreateResourceGatewayInput) { in.SubnetIds = []string{"subnet-1"} }},
		"subnet of another VPC": {"ValidationException", func(in *shape.CreateResourceGatewayInput) { in.SubnetIds = []string{subnetOther} }},
		"two subnets of a zone": {"ValidationException", func(in *shape.CreateResourceGatewayInput) { in.SubnetIds = []string{subnetA, subnetA2} }},
		"the same subnet twice": {"ValidationException", func(in *shape.CreateResourceGatewayInput) { in.SubnetIds = []string{subnetA, subnetA} }},
		"IPv4 in IPv6 subnet":   {"ValidationException", func(in *shape.CreateResourceGatewayInput) { in.SubnetIds = []string{subnet6} }},
		"IPv6 in IPv4 subnet":   {"ValidationException", six(subnetA2)},
		"addresses with IPv6": {"ValidationException", func(in *shape.CreateResourceGatewayInput) {
			six(subnet6)(in)
			in.Ipv4AddressesPerEni = new(int32(1))
		}},
		"IN_VPC with IPv6": {"ValidationException", func(in *shape.CreateResourceGatewayInput) {
			six(subnet6)(in)
			in.ResourceConfigDnsResolution = new("IN_VPC")
		}},
		"unknown group":        {"ResourceNotFoundException", func(in *shape.CreateResourceGatewayInput) { in.SecurityGroupIds = []string{"sg-1"} }},
		"group of another VPC": {"ValidationException", func(in *shape.CreateResourceGatewayInput) { in.SecurityGroupIds = []string{groupOther} }},
		"a group twice":        {"ValidationException", func(in *shape.CreateResourceGatewayInput) { in.SecurityGroupIds = []string{groupID, groupID} }},
		"name taken":           {"ConflictException", func(in *shape.CreateResourceGatewayInput) { in.Name = new("taken") }},
		"too few addresses":    {"ValidationException", func(in *shape.CreateResourceGatewayInput) { in.SubnetIds = []string{subnetB, subnetSmall} }},
		"reserved tag":         {"ValidationException", func(in *shape.CreateResourceGatewayInput) { in.Tags = map[string]string{"aws:x": "y"} }},
	} {
		in := gatewayInput("new", subnetB)
		c.change(in)
		f.refused(t, name, c.code, func() error { _, err := f.api.CreateResourceGateway(f.ctx, in); return err })
	}
}

func TestGatewayQuota(t *testing.T) {
	f := newFixture(t)
	f.Quotas.GatewaysPerVPC = 1
	f.gateway(t, gatewayInput("one", subnetA))
	f.refused(t, "second gateway", "ServiceQuotaExceededException", func() error {
		_, err := f.api.CreateResourceGateway(f.ctx, gatewayInput("two", subnetA))
		return err
	})
}

func TestRepeatedCreateGivesTheSameGateway(t *testing.T) {
	f := newFixture(t)
	in := gatewayInput("gate", subnetA)
	in.ClientToken = new("token-1")
	first, second := f.gateway(t, in), f.gateway(t, in)
	if diff := cmp.Diff(first, second); diff != "" {
		t.Errorf("the repetition answered otherwise:\n%s", diff)
	}
	changed := gatewayInput("other", subnetA)
	changed.ClientToken = in.ClientToken
	f.refused(t, "token with other parameters", "ConflictException", func() error {
		_, err := f.api.CreateResourceGateway(f.ctx, changed)
		return err
	})
}

func TestGatewayStatesAreTrue(t *testing.T) {
	f := newFixture(t)
	id := f.gateway(t, gatewayInput("gate", subnetA)).Id
	check := func(want string) {
		t.Helper()
		got, err := f.api.GetResourceGateway(f.ctx, &shape.GetResourceGatewayInput{ResourceGatewayIdentifier: id})
		if err != nil {
			t.Fatal(err)
		}
		if *got.Status != want || *got.VpcId != vpcID {
			t.Errorf("status %s of %s, want %s", *got.Status, *got.VpcId, want)
		}
	}
	check("CREATE_IN_PROGRESS")
	f.acknowledge(t, *id, model.StatusFailed, "no kernel")
	check("CREATE_FAILED")
	f.acknowledge(t, *id, model.StatusReady, "")
	check("ACTIVE")
	for range 2 {
		out, err := f.api.DeleteResourceGateway(f.ctx, &shape.DeleteResourceGatewayInput{ResourceGatewayIdentifier: id})
		if err != nil || *out.Status != "DELETE_IN_PROGRESS" {
			t.Fatalf("delete: %v, %v", out, err)
		}
	}
	check("DELETE_IN_PROGRESS")
}

func TestUpdateGatewayChangesGroupsEverywhere(t *testing.T) {
	f := newFixture(t)
	id := f.gateway(t, gatewayInput("gate", subnetA, subnetB)).Id
	update := func(groups ...string) ([]string, error) {
		out, err := f.api.UpdateResourceGateway(f.ctx, &shape.UpdateResourceGatewayInput{ResourceGatewayIdentifier: id, SecurityGroupIds: groups})
		if err != nil {
			return nil, err
		}
		for ni := range state.NetworkInterfacesByOwner.Rows(f.DB.Snapshot(), model.Ref{Account: servicetest.Account, Region: servicetest.Region, ID: *id}) {
			if diff := cmp.Diff(out.SecurityGroupIds, ni.Groups); diff != "" {
				t.Errorf("interface %s has other groups than the gateway:\n%s", ni.ID, diff)
			}
		}
		return out.SecurityGroupIds, nil
	}
	if got, err := update(groupID); err != nil || !cmp.Equal(got, []string{groupID}) {
		t.Errorf("update gave %v, %v", got, err)
	}
	f.refused(t, "group of another VPC", "ValidationException", func() error { _, err := update(groupOther); return err })
	if got, err := update(); err != nil || !cmp.Equal(got, []string{groupID}) {
		t.Errorf("an update without groups gave %v, %v", got, err)
	}
	f.refused(t, "empty list", "ValidationException", func() error { _, err := update([]string{}...); return err })
}

func TestGatewayIsDeletedAfterItsConfigurations(t *testing.T) {
	f := newFixture(t)
	id := f.gateway(t, gatewayInput("gate", subnetA)).Id
	f.configuration(t, configurationInput("db", *id, "10.0.1.10"))
	f.configuration(t, configurationInput("web", *id, "10.0.1.11"))
	f.refused(t, "gateway in use", "ConflictException", func() error {
		_, err := f.api.DeleteResourceGateway(f.ctx, &shape.DeleteResourceGatewayInput{ResourceGatewayIdentifier: id})
		if want := "ResourceGateway " + *id + " has 2 resource configuration(s)"; err != nil && !strings.HasSuffix(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
		return err
	})
}

func TestGatewaysAreNamedByIDOrARNOfTheirAccount(t *testing.T) {
	f := newFixture(t)
	out := f.gateway(t, gatewayInput("gate", subnetA))
	get := func(account, region, identifier string) error {
		_, err := f.api.GetResourceGateway(servicetest.As(t, account, region), &shape.GetResourceGatewayInput{ResourceGatewayIdentifier: &identifier})
		return err
	}
	for _, identifier := range []string{*out.Id, *out.Arn} {
		if err := get(servicetest.Account, servicetest.Region, identifier); err != nil {
			t.Errorf("by %s: %v", identifier, err)
		}
	}
	for _, c := range []struct{ account, region, identifier, code string }{
		{servicetest.OtherAccount, servicetest.Region, *out.Id, "ResourceNotFoundException"},
		{servicetest.OtherAccount, servicetest.Region, *out.Arn, "ResourceNotFoundException"}, // denied before, in server
		{servicetest.Account, servicetest.OtherRegion, *out.Id, "ResourceNotFoundException"},
		{servicetest.Account, servicetest.OtherRegion, *out.Arn, "ResourceNotFoundException"},
		{servicetest.Account, servicetest.Region, "arn:aws:vpc-lattice:us-east-1:111122223333:resourceconfiguration/rcfg-1", "ValidationException"},
	} {
		if err := get(c.account, c.region, c.identifier); !fault.Is(err, c.code) {
			t.Errorf("%s of %s in %s: %v, want %s", c.identifier, c.account, c.region, err, c.code)
		}
	}
}

func TestGatewaysAreListedInPages(t *testing.T) {
	f := newFixture(t)
	for i := range 5 {
		in := gatewayInput(fmt.Sprintf("gate-%d", i), subnetA)
		in.Ipv4AddressesPerEni = new(int32(1))
		f.gateway(t, in)
	}
	seen := make(map[string]bool)
	in := &shape.ListResourceGatewaysInput{MaxResults: new(int32(2))}
	for {
		out, err := f.api.ListResourceGateways(f.ctx, in)
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range out.Items {
			seen[*g.Name] = true
		}
		if in.NextToken = out.NextToken; in.NextToken == nil {
			break
		}
	}
	if len(seen) != 5 {
		t.Errorf("pages showed %v", seen)
	}
	in.NextToken = new("forged")
	f.refused(t, "forged token", "ValidationException", func() error { _, err := f.api.ListResourceGateways(f.ctx, in); return err })
}

func TestParallelGatewaysShareNoAddress(t *testing.T) {
	f := newFixture(t)
	done := make(chan error)
	for i := range 12 {
		go func() {
			_, err := f.api.CreateResourceGateway(f.ctx, gatewayInput(fmt.Sprintf("gate-%d", i), subnetA, subnetB))
			done <- err
		}()
	}
	for range 12 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	seen := make(map[netip.Addr]bool)
	for ni := range state.NetworkInterfaces.Scope(f.DB.Snapshot(), servicetest.Account, servicetest.Region) {
		for _, addr := range ni.All() {
			if seen[addr] {
				t.Errorf("%v was given twice", addr)
			}
			seen[addr] = true
		}
	}
	if len(seen) != 12*2*16 {
		t.Errorf("%d addresses given, want %d", len(seen), 12*2*16)
	}
}

// The words for updates and deletions are told from what the data plane says of
// the generation that was asked for, and of no earlier one.
func TestUpdatesAndDeletionsHaveStatesOfTheirOwn(t *testing.T) {
	f := newFixture(t)
	id := f.gateway(t, gatewayInput("gate", subnetA)).Id
	configuration := f.configuration(t, configurationInput("db", *id, "10.0.1.10")).Id
	say := func(about string, generation int64, s model.StatusState, reason string) {
		t.Helper()
		f.update(t, func(tx *table.Txn) {
			state.Statuses.Put(tx, &model.Status{
				Account: servicetest.Account, Region: servicetest.Region, ID: about, State: s, Reason: reason, Generation: generation, Established: true,
			})
		})
	}
	check := func(gate, resource, reason string) {
		t.Helper()
		g, err := f.api.GetResourceGateway(f.ctx, &shape.GetResourceGatewayInput{ResourceGatewayIdentifier: id})
		if err != nil {
			t.Fatal(err)
		}
		r, err := f.api.GetResourceConfiguration(f.ctx, &shape.GetResourceConfigurationInput{ResourceConfigurationIdentifier: configuration})
		if err != nil {
			t.Fatal(err)
		}
		if *g.Status != gate || *r.Status != resource || service.Value(r.FailureReason) != reason {
			t.Errorf("gateway is %s and configuration %s (%s), want %s and %s (%s)", *g.Status, *r.Status, service.Value(r.FailureReason), gate, resource, reason)
		}
	}
	say(*id, 0, model.StatusReady, "")
	say(*configuration, 0, model.StatusReady, "")
	check("ACTIVE", "ACTIVE", "")
	g, err := f.api.UpdateResourceGateway(f.ctx, &shape.UpdateResourceGatewayInput{ResourceGatewayIdentifier: id, SecurityGroupIds: []string{groupID}})
	if err != nil || *g.Status != "UPDATE_IN_PROGRESS" {
		t.Errorf("update of the gateway: %+v, %v", g, err)
	}
	r, err := f.api.UpdateResourceConfiguration(f.ctx, &shape.UpdateResourceConfigurationInput{ResourceConfigurationIdentifier: configuration, PortRanges: []string{"1-2"}})
	if err != nil || *r.Status != "UPDATE_IN_PROGRESS" {
		t.Errorf("update of the configuration: %+v, %v", r, err)
	}
	say(*configuration, 0, model.StatusFailed, "of before")
	check("UPDATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "")
	say(*id, 1, model.StatusReady, "")
	say(*configuration, 1, model.StatusFailed, "no room")
	check("ACTIVE", "UPDATE_FAILED", "no room")
	if _, err := f.api.DeleteResourceConfiguration(f.ctx, &shape.DeleteResourceConfigurationInput{ResourceConfigurationIdentifier: configuration}); err != nil {
		t.Fatal(err)
	}
	check("ACTIVE", "DELETE_IN_PROGRESS", "")
	say(*configuration, 2, model.StatusFailed, "device or resource busy")
	check("ACTIVE", "DELETE_FAILED", "device or resource busy")
}
