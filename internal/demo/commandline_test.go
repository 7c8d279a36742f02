// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"testing"

	"github.com/posternhq/postern/internal/aws/schema"
	"github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/aws/shape/vpclattice"
)

func TestCommandLineIsWhatTheCLITakes(t *testing.T) {
	tests := []struct {
		service   *schema.Service
		operation string
		in        any
		want      string
	}{
		{
			ec2.Service, "CreateVpc", &ec2.CreateVpcInput{CidrBlock: new("10.0.0.0/16"), AmazonProvidedIpv6CidrBlock: new(true)},
			"aws ec2 create-vpc --cidr-block 10.0.0.0/16 --amazon-provided-ipv6-cidr-block",
		},
		{
			ec2.Service, "DescribeVpcs", &ec2.DescribeVpcsInput{DryRun: new(false), VpcIds: []string{"vpc-1", "vpc-2"}},
			"aws ec2 describe-vpcs --vpc-ids vpc-1 vpc-2 --no-dry-run",
		},
		{
			ec2.Service, "CreateSecurityGroup", &ec2.CreateSecurityGroupInput{GroupName: new("web"), Description: new("who's there")},
			`aws ec2 create-security-group --description 'who'\''s there' --group-name web`,
		},
		{
			ec2.Service, "AuthorizeSecurityGroupIngress",
			&ec2.AuthorizeSecurityGroupIngressInput{GroupId: new("sg-1"), IpPermissions: fromGroup("sg-2", ports{1, 2})},
			"aws ec2 authorize-security-group-ingress --group-id sg-1 --ip-permissions 'IpProtocol=tcp,FromPort=1,ToPort=2,UserIdGroupPairs=[{GroupId=sg-2}]'",
		},
		{
			vpclattice.Service, "CreateResourceConfiguration",
			&vpclattice.CreateResourceConfigurationInput{
				Name: new("db"), PortRanges: []string{"5432", "6000-6010"}, Tags: map[string]string{"b": "2", "a": "1"},
				ResourceConfigurationDefinition: &vpclattice.ResourceConfigurationDefinition{
					IpResource: &vpclattice.IpResource{IpAddress: new("10.0.1.10")},
				},
			},
			"aws vpc-lattice create-resource-configuration --name db --port-ranges 5432 6000-6010" +
				" --resource-configuration-definition 'ipResource={ipAddress=10.0.1.10}' --tags a=1,b=2",
		},
		{
			vpclattice.Service, "CreateResourceGateway", &vpclattice.CreateResourceGatewayInput{Name: new("g"), Ipv4AddressesPerEni: new(int32(4))},
			"aws vpc-lattice create-resource-gateway --name g --ipv4-addresses-per-eni 4",
		},
	}
	for _, tt := range tests {
		if got := commandLine(tt.service, tt.operation, tt.in); got != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", tt.operation, got, tt.want)
		}
	}
}
