// SPDX-License-Identifier: Apache-2.0

package system

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/aws/shape/sts"
	lattice "github.com/posternhq/postern/internal/aws/shape/vpclattice"
	"github.com/posternhq/postern/test/postern"
	"github.com/posternhq/postern/test/testnet"
)

// terraform makes the calls that Terraform's AWS provider makes for its
// resources, in the order in which it makes them: create, wait, read, update,
// delete, wait. What the provider would stop at ends the test.
// https://github.com/hashicorp/terraform-provider-aws
type terraform struct {
	*postern.Postern
	t *testing.T
}

// stack is what `terraform apply` makes of the usual example.
type stack struct {
	consumer, provider           string // VPCs
	clients, servers             string // subnets
	endpointGroup, resourceGroup string
	rule                         string
	server                       string // network interface
	gateway, configuration       string // ARNs
	gatewayID, configurationID   string
	endpoint                     string
}

func TestTerraformApplyUpdateDestroy(t *testing.T) {
	tf := terraform{postern.Start(t), t}
	postern.Call[sts.GetCallerIdentityOutput](tf.Postern, sts.Service, "GetCallerIdentity", &sts.GetCallerIdentityInput{})
	postern.Call[ec2.DescribeAccountAttributesOutput](tf.Postern, ec2.Service, "DescribeAccountAttributes",
		&ec2.DescribeAccountAttributesInput{AttributeNames: []string{"supported-platforms"}})
	postern.Call[ec2.DescribeAvailabilityZonesOutput](tf.Postern, ec2.Service, "DescribeAvailabilityZones", &ec2.DescribeAvailabilityZonesInput{})
	s := tf.apply()
	before := tf.refresh(s)
	if diff := cmp.Diff(before, tf.refresh(s)); diff != "" {
		t.Errorf("a second plan would want changes: %s", diff)
	}
	tf.update(s) // the endpoint had the default group, which admits nobody else
	tf.refresh(s)
	tf.traffic(s)
	tf.destroy(s)
	tf.Await("the routers to go", func() (bool, error) { return len(tf.Routers()) == 0, nil })
}

func (tf terraform) apply() stack {
	var s stack
	s.consumer, s.provider = tf.createVPC(), tf.createVPC()
	s.clients, s.servers = tf.createSubnet(s.consumer), tf.createSubnet(s.provider)
	s.endpointGroup, s.resourceGroup = tf.createGroup(s.consumer), tf.createGroup(s.provider)
	s.rule = tf.createRule(s.endpointGroup)
	s.server = *postern.Call[ec2.CreateNetworkInterfaceOutput](tf.Postern, ec2.Service, "CreateNetworkInterface", &ec2.CreateNetworkInterfaceInput{
		ClientToken: new("terraform-eni"), SubnetId: &s.servers, PrivateIpAddress: new("10.0.1.10"), Groups: []string{s.resourceGroup},
		TagSpecifications: tags(ec2.ResourceTypeNetworkInterface),
	}).NetworkInterface.NetworkInterfaceId
	tf.createGateway(&s)
	tf.createConfiguration(&s)
	tf.createEndpoint(&s)
	return s
}

func tags(kind string) []ec2.TagSpecification {
	return []ec2.TagSpecification{{ResourceType: &kind, Tags: []ec2.Tag{{Key: new("Name"), Value: new("stack")}, {Key: new("Owner"), Value: new("terraform")}}}}
}

// refresh reads everything as `terraform plan` does and returns what it saw.
func (tf terraform) refresh(s stack) []any {
	return []any{
		tf.readVPC(s.consumer), tf.readVPC(s.provider), tf.readSubnet(s.clients), tf.readSubnet(s.servers),
		tf.readGroup(s.endpointGroup), tf.readGroup(s.resourceGroup), tf.readRule(s.rule),
		tf.Interfaces("network-interface-id", s.server),
		tf.readGateway(s), tf.readConfiguration(s), tf.readEndpoint(s),
	}
}

// traffic attaches a client and the server and sees that the stack works.
func (tf terraform) traffic(s stack) {
	tf.t.Helper()
	client, server := testnet.New(tf.t), testnet.New(tf.t)
	made := postern.Call[ec2.CreateNetworkInterfaceOutput](tf.Postern, ec2.Service, "CreateNetworkInterface",
		&ec2.CreateNetworkInterfaceInput{SubnetId: &s.clients, Groups: []string{s.endpointGroup}})
	eni := *made.NetworkInterface.NetworkInterfaceId
	for eni, ns := range map[string]*testnet.NS{eni: client, s.server: server} {
		if err := tf.Attach(eni, ns.Name); err != nil {
			tf.t.Fatal(err)
		}
	}
	l, err := server.Serve("tcp", ":5432")
	if err != nil {
		tf.t.Fatal(err)
	}
	defer l.Close()
	address := *tf.endpointInterfaces(s)[0].PrivateIpAddress
	ctx, cancel := context.WithTimeout(tf.t.Context(), testnet.Patience)
	defer cancel()
	if _, err := client.Ask(ctx, "tcp", address+":5432"); err != nil {
		tf.t.Errorf("the stack does not work: %v", err)
	}
	for _, eni := range []string{eni, s.server} {
		if r := tf.Command("detach", eni); r.Status != 0 {
			tf.t.Error(r.Stderr)
		}
	}
	postern.Call[ec2.DeleteNetworkInterfaceOutput](tf.Postern, ec2.Service, "DeleteNetworkInterface", &ec2.DeleteNetworkInterfaceInput{NetworkInterfaceId: &eni})
}

// update changes one argument of each resource that can be changed in place.
func (tf terraform) update(s stack) {
	tf.t.Helper()
	tf.updateVPC(s.consumer)
	tf.updateRule(s.endpointGroup, s.rule)
	postern.Call[lattice.UpdateResourceGatewayOutput](tf.Postern, lattice.Service, "UpdateResourceGateway",
		&lattice.UpdateResourceGatewayInput{ResourceGatewayIdentifier: &s.gatewayID, SecurityGroupIds: []string{s.resourceGroup}})
	tf.waitGateway(s)
	postern.Call[lattice.UpdateResourceConfigurationOutput](tf.Postern, lattice.Service, "UpdateResourceConfiguration", &lattice.UpdateResourceConfigurationInput{
		ResourceConfigurationIdentifier: &s.configurationID, PortRanges: []string{"5432", "6000-6010"},
		AllowAssociationToShareableServiceNetwork: new(false),
	})
	tf.waitConfiguration(s)
	for _, arn := range []string{s.gateway, s.configuration} {
		postern.Call[lattice.UntagResourceOutput](tf.Postern, lattice.Service, "UntagResource", &lattice.UntagResourceInput{ResourceArn: &arn, TagKeys: []string{"Owner"}})
		postern.Call[lattice.TagResourceOutput](tf.Postern, lattice.Service, "TagResource", &lattice.TagResourceInput{ResourceArn: &arn, Tags: map[string]string{"Name": "renamed"}})
	}
	tf.updateEndpoint(s)
}

// destroy deletes in the reverse order.
func (tf terraform) destroy(s stack) {
	tf.deleteEndpoint(s)
	tf.deleteConfiguration(s)
	tf.deleteGateway(s)
	postern.Call[ec2.DeleteNetworkInterfaceOutput](tf.Postern, ec2.Service, "DeleteNetworkInterface", &ec2.DeleteNetworkInterfaceInput{NetworkInterfaceId: &s.server})
	tf.deleteRule(s.endpointGroup, s.rule)
	for _, group := range []string{s.endpointGroup, s.resourceGroup} {
		tf.deleteGroup(group)
	}
	for _, subnet := range []string{s.clients, s.servers} {
		tf.deleteSubnet(subnet)
	}
	for _, vpc := range []string{s.consumer, s.provider} {
		tf.deleteVPC(vpc)
	}
}
