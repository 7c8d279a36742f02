// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"fmt"
	"time"

	"github.com/posternhq/postern/internal/aws/schema"
	"github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/aws/shape/vpclattice"
)

// The addresses of the story. Both networks are the same on purpose.
const (
	networkCIDR     = "10.0.0.0/16"
	subnetCIDR      = "10.0.1.0/24"
	clientAddress   = "10.0.1.10"
	databaseAddress = "10.0.1.10"
	endpointAddress = "10.0.1.100"
	databasePort    = 5432
	wrongPort       = 5433
)

// settled bounds how long a resource may take to become active, on a busy machine too.
const settled = 2 * time.Minute

// world is what the story makes, by identifier.
type world struct {
	consumer, provider            network
	client                        string // as in the story
	clientGroup, endpointGroup    string
	databaseGroup, gatewayGroup   string
	gateway                       string
	configuration                 string
	configurationARN              string
	endpoint                      string
	gatewayAddresses              []string
	requested, answered, attempts int64
}

// network is a VPC and its one subnet.
type network struct{ vpc, subnet string }

// call shows a call as a command line and makes it.
func call[Out any](ctx context.Context, d *demo, service *schema.Service, operation string, in any) (*Out, error) {
	d.screen.command(commandLine(service, operation, in))
	return quietly[Out](ctx, d, service, operation, in)
}

// quietly makes a call that is no part of the story, such as asking again.
func quietly[Out any](ctx context.Context, d *demo, service *schema.Service, operation string, in any) (*Out, error) {
	out := new(Out)
	return out, d.api.Do(ctx, service, operation, in, out)
}

func (d *demo) makeNetwork(ctx context.Context) (n network, err error) {
	vpc, err := call[ec2.CreateVpcOutput](ctx, d, ec2.Service, "CreateVpc", &ec2.CreateVpcInput{CidrBlock: new(networkCIDR)})
	if err != nil {
		return network{}, err
	}
	n.vpc = *vpc.Vpc.VpcId
	n.subnet, err = d.makeSubnet(ctx, n.vpc, subnetCIDR, "us-east-1a")
	return n, err
}

func (d *demo) makeSubnet(ctx context.Context, vpc, block, zone string) (id string, err error) {
	out, err := call[ec2.CreateSubnetOutput](ctx, d, ec2.Service, "CreateSubnet", &ec2.CreateSubnetInput{
		VpcId: &vpc, CidrBlock: &block, AvailabilityZone: &zone,
	})
	if err != nil {
		return "", err
	}
	return *out.Subnet.SubnetId, nil
}

func (d *demo) makeGroup(ctx context.Context, n network, name, description string) (id string, err error) {
	out, err := call[ec2.CreateSecurityGroupOutput](ctx, d, ec2.Service, "CreateSecurityGroup", &ec2.CreateSecurityGroupInput{
		VpcId: &n.vpc, GroupName: &name, Description: &description,
	})
	if err != nil {
		return "", err
	}
	return *out.GroupId, nil
}

// ports are a range of ports that a rule admits.
type ports struct{ from, to int32 }

var (
	// anyPort is what the endpoint's group admits: which of the ports lead
	// somewhere is the provider's choice.
	anyPort = ports{0, 65535}
	itsPort = ports{databasePort, databasePort}
)

// fromGroup is the rule that lets the members of a group come to these ports.
func fromGroup(group string, p ports) []ec2.IpPermission {
	return []ec2.IpPermission{{
		IpProtocol: new("tcp"), FromPort: &p.from, ToPort: &p.to,
		UserIdGroupPairs: []ec2.UserIdGroupPair{{GroupId: &group}},
	}}
}

func (d *demo) admit(ctx context.Context, group, from string, p ports) error {
	_, err := call[ec2.AuthorizeSecurityGroupIngressOutput](ctx, d, ec2.Service, "AuthorizeSecurityGroupIngress",
		&ec2.AuthorizeSecurityGroupIngressInput{GroupId: &group, IpPermissions: fromGroup(from, p)})
	return err
}

func (d *demo) refuse(ctx context.Context, group, from string, p ports) error {
	_, err := call[ec2.RevokeSecurityGroupIngressOutput](ctx, d, ec2.Service, "RevokeSecurityGroupIngress",
		&ec2.RevokeSecurityGroupIngressInput{GroupId: &group, IpPermissions: fromGroup(from, p)})
	return err
}

// makeGateway makes a gateway in the provider's subnet, and in others of its VPC.
func (d *demo) makeGateway(ctx context.Context, others ...string) error {
	out, err := call[vpclattice.CreateResourceGatewayOutput](ctx, d, vpclattice.Service, "CreateResourceGateway",
		&vpclattice.CreateResourceGatewayInput{
			Name: new("database-gateway"), VpcIdentifier: &d.world.provider.vpc,
			SubnetIds: append([]string{d.world.provider.subnet}, others...), SecurityGroupIds: []string{d.world.gatewayGroup},
		})
	if err != nil {
		return err
	}
	d.world.gateway = *out.Id
	return d.gatewayActive(ctx)
}

func (d *demo) gatewayActive(ctx context.Context) error {
	return waitFor(ctx, d.postern.Process(), d.world.gateway, settled, func() (bool, error) {
		got, err := quietly[vpclattice.GetResourceGatewayOutput](ctx, d, vpclattice.Service, "GetResourceGateway",
			&vpclattice.GetResourceGatewayInput{ResourceGatewayIdentifier: &d.world.gateway})
		if err != nil {
			return false, err
		}
		return active(d.world.gateway, *got.Status, vpclattice.ResourceGatewayStatusActive, vpclattice.ResourceGatewayStatusCreateInProgress)
	})
}

func (d *demo) makeConfiguration(ctx context.Context, name string, port int) error {
	out, err := call[vpclattice.CreateResourceConfigurationOutput](ctx, d, vpclattice.Service, "CreateResourceConfiguration",
		&vpclattice.CreateResourceConfigurationInput{
			Name: &name, Type: new(vpclattice.ResourceConfigurationTypeSingle),
			ResourceGatewayIdentifier: &d.world.gateway, PortRanges: []string{fmt.Sprint(port)},
			ResourceConfigurationDefinition: &vpclattice.ResourceConfigurationDefinition{
				IpResource: &vpclattice.IpResource{IpAddress: new(databaseAddress)},
			},
		})
	if err != nil {
		return err
	}
	d.world.configuration, d.world.configurationARN = *out.Id, *out.Arn
	return d.configurationActive(ctx, *out.Id)
}

func (d *demo) configurationActive(ctx context.Context, id string) error {
	return waitFor(ctx, d.postern.Process(), id, settled, func() (bool, error) {
		got, err := quietly[vpclattice.GetResourceConfigurationOutput](ctx, d, vpclattice.Service, "GetResourceConfiguration",
			&vpclattice.GetResourceConfigurationInput{ResourceConfigurationIdentifier: &id})
		if err != nil {
			return false, err
		}
		return active(id, *got.Status, vpclattice.ResourceConfigurationStatusActive, vpclattice.ResourceConfigurationStatusCreateInProgress)
	})
}

// active tells whether a resource is there; any state but that and being made
// is an error.
func active(id, status, want, meanwhile string) (bool, error) {
	if status != want && status != meanwhile {
		return false, fmt.Errorf("%s is %s, want %s", id, status, want)
	}
	return status == want, nil
}

// findGatewayAddresses learns from where the gateway goes to the database.
func (d *demo) findGatewayAddresses(ctx context.Context) error {
	out, err := quietly[ec2.DescribeNetworkInterfacesOutput](ctx, d, ec2.Service, "DescribeNetworkInterfaces",
		&ec2.DescribeNetworkInterfacesInput{Filters: []ec2.Filter{{Name: new("group-id"), Values: []string{d.world.gatewayGroup}}}})
	if err != nil {
		return err
	}
	for _, eni := range out.NetworkInterfaces {
		for _, a := range eni.PrivateIpAddresses {
			d.world.gatewayAddresses = append(d.world.gatewayAddresses, *a.PrivateIpAddress)
		}
	}
	if len(d.world.gatewayAddresses) == 0 {
		return fmt.Errorf("%s has no addresses", d.world.gateway)
	}
	return nil
}

func (d *demo) makeEndpoint(ctx context.Context) error {
	in := &ec2.CreateVpcEndpointInput{
		VpcEndpointType: new(ec2.VpcEndpointTypeResource), VpcId: &d.world.consumer.vpc, SecurityGroupIds: []string{d.world.endpointGroup},
		SubnetConfigurations:     []ec2.SubnetConfiguration{{SubnetId: &d.world.consumer.subnet, Ipv4: new(endpointAddress)}},
		ResourceConfigurationArn: &d.world.configurationARN,
	}
	d.screen.command(commandLine(ec2.Service, "CreateVpcEndpoint", in))
	d.world.requested = monotonic()
	out, err := quietly[ec2.CreateVpcEndpointOutput](ctx, d, ec2.Service, "CreateVpcEndpoint", in)
	if err != nil {
		return err
	}
	d.world.endpoint = *out.VpcEndpoint.VpcEndpointId
	return nil
}

func (d *demo) deleteEndpoint(ctx context.Context) error {
	return d.deleteEndpoints(ctx, d.world.endpoint)
}

func (d *demo) deleteEndpoints(ctx context.Context, ids ...string) error {
	out, err := call[ec2.DeleteVpcEndpointsOutput](ctx, d, ec2.Service, "DeleteVpcEndpoints", &ec2.DeleteVpcEndpointsInput{VpcEndpointIds: ids})
	if err == nil && len(out.Unsuccessful) > 0 {
		err = fmt.Errorf("delete %s: %s", text(out.Unsuccessful[0].ResourceId), *out.Unsuccessful[0].Error.Message)
	}
	return err
}
