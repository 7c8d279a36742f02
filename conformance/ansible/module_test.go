// SPDX-License-Identifier: Apache-2.0

package ansible

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice"
	lattice "github.com/aws/aws-sdk-go-v2/service/vpclattice/types"

	"github.com/posternhq/postern/conformance/harness"
	"github.com/posternhq/postern/test/instance"
)

func TestModules(t *testing.T) {
	t.Parallel()
	for _, module := range []string{"ec2_vpc_net", "ec2_vpc_subnet", "ec2_security_group", "ec2_eni"} {
		t.Run(module, func(t *testing.T) {
			t.Parallel()
			play(t, module, server.NewAccount(t))
		})
	}
	t.Run("others", func(t *testing.T) {
		t.Parallel()
		key := server.NewAccount(t)
		play(t, "others", key, `{"account":"`+key.Account+`"}`)
	})
	t.Run("ec2_vpc_endpoint", func(t *testing.T) {
		t.Parallel()
		key := server.NewAccount(t)
		vpc, subnet, endpoint := newEndpoint(t, key)
		play(t, "ec2_vpc_endpoint", key, "vpc="+vpc, "subnet="+subnet, "endpoint="+endpoint)
	})
}

// patience is how long a state may take to come true.
const patience = 2 * time.Minute

// resource is in no subnet, so that no gateway has it for itself.
const resource = "10.0.200.10"

// newEndpoint makes an endpoint to a resource, which Ansible cannot.
func newEndpoint(t *testing.T, key harness.Key) (vpc, subnet, endpoint string) {
	t.Helper()
	config := aws.Config{
		Region: harness.Region, BaseEndpoint: aws.String(server.URL),
		Credentials: credentials.NewStaticCredentialsProvider(key.ID, key.Secret, ""),
	}
	c, l, ctx := ec2.NewFromConfig(config), vpclattice.NewFromConfig(config), t.Context()
	network := func() (vpc, subnet string) {
		v := harness.Must(c.CreateVpc(ctx, &ec2.CreateVpcInput{CidrBlock: aws.String("10.0.0.0/16")}))(t).Vpc.VpcId
		s := harness.Must(c.CreateSubnet(ctx, &ec2.CreateSubnetInput{VpcId: v, CidrBlock: aws.String("10.0.1.0/24"), AvailabilityZone: aws.String(harness.Region + "a")}))(t)
		return *v, *s.Subnet.SubnetId
	}
	provider, behind := network()
	vpc, subnet = network()
	harness.Must(c.ModifyVpcAttribute(ctx, &ec2.ModifyVpcAttributeInput{VpcId: &vpc, EnableDnsHostnames: &ec2types.AttributeBooleanValue{Value: aws.Bool(true)}}))(t)
	gateway := harness.Must(l.CreateResourceGateway(ctx, &vpclattice.CreateResourceGatewayInput{
		Name: aws.String("databases"), VpcIdentifier: &provider, SubnetIds: []string{behind},
	}))(t)
	database := harness.Must(l.CreateResourceConfiguration(ctx, &vpclattice.CreateResourceConfigurationInput{
		Name: aws.String("database"), Type: lattice.ResourceConfigurationTypeSingle, ResourceGatewayIdentifier: gateway.Id, PortRanges: []string{"5432"},
		ResourceConfigurationDefinition: &lattice.ResourceConfigurationDefinitionMemberIpResource{Value: lattice.IpResource{IpAddress: aws.String(resource)}},
	}))(t)
	made := harness.Must(c.CreateVpcEndpoint(ctx, &ec2.CreateVpcEndpointInput{
		VpcEndpointType: ec2types.VpcEndpointTypeResource, VpcId: &vpc, ResourceConfigurationArn: database.Arn, SubnetIds: []string{subnet},
	}))(t)
	endpoint = *made.VpcEndpoint.VpcEndpointId
	err := instance.Poll(ctx, patience, "the endpoint", func() (bool, error) {
		out, err := c.DescribeVpcEndpoints(ctx, &ec2.DescribeVpcEndpointsInput{VpcEndpointIds: []string{endpoint}})
		return err == nil && out.VpcEndpoints[0].State == "available", err
	})
	if err != nil {
		t.Fatal(err)
	}
	return vpc, subnet, endpoint
}
