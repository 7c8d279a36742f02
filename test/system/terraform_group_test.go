// SPDX-License-Identifier: Apache-2.0

package system

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	lattice "github.com/posternhq/postern/internal/aws/shape/vpclattice"
	"github.com/posternhq/postern/test/postern"
)

// The calls of Terraform's provider for a group and a child: what it was told of a child it
// sends back when it updates it.
func TestTerraformGroup(t *testing.T) {
	tf := terraform{postern.Start(t), t}
	var s stack
	s.provider = tf.createVPC()
	s.servers = tf.createSubnet(s.provider)
	tf.createGateway(&s)
	create := func(in *lattice.CreateResourceConfigurationInput) stack {
		made := postern.Call[lattice.CreateResourceConfigurationOutput](tf.Postern, lattice.Service, "CreateResourceConfiguration", in)
		of := s
		of.configuration, of.configurationID = *made.Arn, *made.Id
		tf.waitConfiguration(of)
		return of
	}
	group := create(&lattice.CreateResourceConfigurationInput{
		ClientToken: new("terraform-group"), Name: new("group"), Type: new(lattice.ResourceConfigurationTypeGroup), ResourceGatewayIdentifier: &s.gatewayID,
		Protocol: new(lattice.ProtocolTypeTcp), Tags: map[string]string{"Name": "group"},
	})
	child := create(&lattice.CreateResourceConfigurationInput{
		ClientToken: new("terraform-child"), Name: new("child"), Type: new(lattice.ResourceConfigurationTypeChild), ResourceConfigurationGroupIdentifier: &group.configurationID,
		PortRanges:                      []string{"443"},
		ResourceConfigurationDefinition: &lattice.ResourceConfigurationDefinition{IpResource: &lattice.IpResource{IpAddress: new("10.0.200.10")}},
	})
	read := func() *lattice.GetResourceConfigurationOutput {
		return postern.Call[lattice.GetResourceConfigurationOutput](tf.Postern, lattice.Service, "GetResourceConfiguration",
			&lattice.GetResourceConfigurationInput{ResourceConfigurationIdentifier: &child.configurationID})
	}
	told := read()
	if *told.ResourceConfigurationGroupId != group.configurationID || *told.ResourceGatewayId != s.gatewayID || !slices.Equal(told.PortRanges, []string{"443"}) {
		t.Errorf("the child is %+v", told)
	}
	postern.Call[lattice.UpdateResourceConfigurationOutput](tf.Postern, lattice.Service, "UpdateResourceConfiguration", &lattice.UpdateResourceConfigurationInput{
		ResourceConfigurationIdentifier: &child.configurationID, PortRanges: []string{"443", "8000-8010"},
		ResourceConfigurationDefinition: told.ResourceConfigurationDefinition, AllowAssociationToShareableServiceNetwork: told.AllowAssociationToShareableServiceNetwork,
	})
	tf.waitConfiguration(child)
	if got := read().PortRanges; !slices.Equal(got, []string{"443", "8000-8010"}) {
		t.Errorf("after the update its ports are %v", got)
	}
	tf.deleteConfiguration(child)
	tf.deleteConfiguration(group)
	tf.verification(&s)
	tf.deleteGateway(s)
}

// verification makes the calls of aws_vpclattice_domain_verification and of a resource
// configuration with a custom domain, which later providers have: what was sent is read back
// as it was, twice the same, and goes in the order that the references give.
func (tf terraform) verification(s *stack) {
	tf.t.Helper()
	started := postern.Call[lattice.StartDomainVerificationOutput](tf.Postern, lattice.Service, "StartDomainVerification",
		&lattice.StartDomainVerificationInput{DomainName: new("customer.example"), Tags: map[string]string{"Name": "stack"}})
	made := postern.Call[lattice.CreateResourceConfigurationOutput](tf.Postern, lattice.Service, "CreateResourceConfiguration", &lattice.CreateResourceConfigurationInput{
		ClientToken: new("terraform-custom"), Name: new("custom"), Type: new(lattice.ResourceConfigurationTypeSingle), ResourceGatewayIdentifier: &s.gatewayID,
		PortRanges: []string{"5432"}, CustomDomainName: new("Db.customer.example"), DomainVerificationIdentifier: started.Id,
		ResourceConfigurationDefinition: &lattice.ResourceConfigurationDefinition{IpResource: &lattice.IpResource{IpAddress: new("10.0.200.10")}},
	})
	s.configuration, s.configurationID = *made.Arn, *made.Id
	tf.waitConfiguration(*s)
	read := func() []any {
		v := postern.Call[lattice.GetDomainVerificationOutput](tf.Postern, lattice.Service, "GetDomainVerification",
			&lattice.GetDomainVerificationInput{DomainVerificationIdentifier: started.Id})
		return append(tf.readConfiguration(*s), v, tf.readTags(*started.Arn))
	}
	first := read()
	if diff := cmp.Diff(first, read()); diff != "" {
		tf.t.Errorf("a second plan would want changes: %s", diff)
	}
	told := first[0].(*lattice.GetResourceConfigurationOutput)
	if *told.CustomDomainName != "Db.customer.example" || *told.DomainVerificationId != *started.Id || *told.DomainVerificationStatus != *started.Status {
		tf.t.Errorf("the configuration is %+v", told)
	}
	if diff := cmp.Diff(started.TxtMethodConfig, first[2].(*lattice.GetDomainVerificationOutput).TxtMethodConfig); diff != "" {
		tf.t.Errorf("the record is another one than was told: %s", diff)
	}
	tf.deleteConfiguration(*s)
	postern.Call[lattice.DeleteDomainVerificationOutput](tf.Postern, lattice.Service, "DeleteDomainVerification",
		&lattice.DeleteDomainVerificationInput{DomainVerificationIdentifier: started.Id})
	err := tf.Do(lattice.Service, "GetDomainVerification", &lattice.GetDomainVerificationInput{DomainVerificationIdentifier: started.Id}, nil)
	if postern.Code(err) != "ResourceNotFoundException" {
		tf.t.Errorf("the verification after its deletion: %v", err)
	}
}
