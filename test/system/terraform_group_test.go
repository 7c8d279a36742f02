// SPDX-License-Identifier: Apache-2.0

package system

import (
	"slices"
	"testing"

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
		ResourceConfigurationDefinition: &lattice.ResourceConfigurationDefinition{IpResource: &lattice.IpResource{IpAddress: new("10.0.1.10")}},
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
	tf.deleteGateway(s)
}
