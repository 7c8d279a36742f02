// SPDX-License-Identifier: Apache-2.0

package validate_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/posternhq/postern/internal/aws/schema"
	"github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/aws/shape/postern"
	"github.com/posternhq/postern/internal/aws/shape/vpclattice"
	"github.com/posternhq/postern/internal/aws/validate"
)

func ptr[T any](v T) *T { return &v }

const (
	vpcID    = "vpc-0123456789abcdef0"
	subnetID = "subnet-0123456789abcdef0"
	rgwID    = "rgw-0123456789abcdef0"
)

type inputTest struct {
	name    string
	service *schema.Service
	op      string
	in      any
	want    []string // field rule
}

func latticeTests() []inputTest {
	long := strings.Repeat("é", 41)
	return []inputTest{
		{
			"a good gateway", vpclattice.Service, "CreateResourceGateway",
			&vpclattice.CreateResourceGatewayInput{
				Name: ptr("my-gateway"), VpcIdentifier: ptr(vpcID), SubnetIds: []string{subnetID}, IpAddressType: ptr("IPV4"),
				SecurityGroupIds: []string{"sg-12345678"}, Ipv4AddressesPerEni: ptr(int32(62)), Tags: map[string]string{"Name": ""},
			},
			nil,
		},
		{"missing", vpclattice.Service, "CreateResourceGateway", &vpclattice.CreateResourceGatewayInput{}, []string{"name required"}},
		{
			"all at once, in model order", vpclattice.Service, "CreateResourceGateway",
			&vpclattice.CreateResourceGatewayInput{
				Name: ptr("rgw-x"), VpcIdentifier: ptr("v"), SecurityGroupIds: []string{"sg-12345678", "sg-1", "", "", "", ""},
				IpAddressType: ptr("ipv4"), Ipv4AddressesPerEni: ptr(int32(63)), Tags: map[string]string{"": "v"},
			},
			[]string{
				"name pattern", "vpcIdentifier length", "vpcIdentifier pattern", "securityGroupIds size",
				"securityGroupIds[1] length", "securityGroupIds[1] pattern",
				"securityGroupIds[2] length", "securityGroupIds[2] pattern", "securityGroupIds[3] length", "securityGroupIds[3] pattern",
				"securityGroupIds[4] length", "securityGroupIds[4] pattern", "securityGroupIds[5] length", "securityGroupIds[5] pattern",
				"ipAddressType enum", "ipv4AddressesPerEni range", "tags. length",
			},
		},
		{
			"length counts code points", vpclattice.Service, "CreateResourceGateway",
			&vpclattice.CreateResourceGatewayInput{Name: &long}, []string{"name length", "name pattern"},
		},
		{
			"empty union", vpclattice.Service, "CreateResourceConfiguration",
			&vpclattice.CreateResourceConfigurationInput{
				Name: ptr("db-1"), Type: ptr("SINGLE"), ResourceGatewayIdentifier: ptr(rgwID),
				ResourceConfigurationDefinition: &vpclattice.ResourceConfigurationDefinition{},
			},
			[]string{"resourceConfigurationDefinition union"},
		},
		{
			"union with two members", vpclattice.Service, "CreateResourceConfiguration",
			&vpclattice.CreateResourceConfigurationInput{
				Name: ptr("db-1"), Type: ptr("SINGLE"), PortRanges: []string{"1-"},
				ResourceConfigurationDefinition: &vpclattice.ResourceConfigurationDefinition{
					IpResource: &vpclattice.IpResource{}, DnsResource: &vpclattice.DnsResource{DomainName: ptr("a.example"), IpAddressType: ptr("IPV4")},
				},
			},
			[]string{"portRanges[0] pattern", "resourceConfigurationDefinition union"},
		},
	}
}

func otherTests() []inputTest {
	return []inputTest{
		{
			"forms count from one", ec2.Service, "CreateVpcEndpoint",
			&ec2.CreateVpcEndpointInput{TagSpecifications: []ec2.TagSpecification{{ResourceType: ptr("vpc")}, {ResourceType: ptr("vpx")}}},
			[]string{"VpcId required", "TagSpecification.2.ResourceType enum"},
		},
		{
			"enums in any case", ec2.Service, "CreateVpcEndpoint",
			&ec2.CreateVpcEndpointInput{VpcId: ptr(vpcID), VpcEndpointType: ptr("resource")}, nil,
		},
		{
			"attribute names that the model does not list", ec2.Service, "DescribeAccountAttributes",
			&ec2.DescribeAccountAttributesInput{AttributeNames: []string{"max-instances"}}, nil,
		},
		{
			"page size", ec2.Service, "DescribeVpcs", &ec2.DescribeVpcsInput{MaxResults: ptr(int32(4))}, []string{"MaxResults range"},
		},
		{
			"our own service", postern.Service, "AttachNetworkInterface",
			&postern.AttachNetworkInterfaceInput{
				NetworkInterfaceId: ptr("eni-0123456789abcdef0"), NetnsName: ptr("../x"), DeviceName: ptr("eth0123456789012"), Pid: ptr(int64(0)),
				NetnsHandle: ptr("a b"), NewNetworkInterface: &postern.NewNetworkInterface{},
			},
			[]string{"newNetworkInterface.subnetId required", "netnsHandle pattern", "netnsName pattern", "pid range", "deviceName length"},
		},
	}
}

func TestInput(t *testing.T) {
	for _, test := range slices.Concat(latticeTests(), otherTests()) {
		t.Run(test.name, func(t *testing.T) {
			var got []string
			for _, p := range validate.Input(test.service.Operation(test.op), test.in) {
				got = append(got, p.Field+" "+p.Rule.String())
				if p.Message == "" {
					t.Errorf("%s has no message", p.Field)
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// TestSensitiveValuesAreNotRepeated: a problem shows the value, shortened, but
// never a secret.
func TestSensitiveValuesAreNotRepeated(t *testing.T) {
	most := int64(3)
	op := &schema.Operation{Input: &schema.Shape{Kind: schema.Structure, Members: []schema.Member{
		{Name: "Secret", Wire: "secret", Index: 0, Shape: &schema.Shape{Kind: schema.String, Max: &most, Sensitive: true}},
		{Name: "Text", Wire: "text", Index: 1, Shape: &schema.Shape{Kind: schema.String, Max: &most}},
	}}}
	in := &struct{ Secret, Text *string }{ptr("hunter2"), ptr(strings.Repeat("é", 500))}
	got := validate.Input(op, in)
	want := []validate.Problem{
		{Field: "secret", Rule: validate.Length, Message: "must have at most 3 characters"},
		{Field: "text", Rule: validate.Length, Message: "must have at most 3 characters", Value: strings.Repeat("é", 64) + "…"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
