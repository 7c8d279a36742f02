// SPDX-License-Identifier: Apache-2.0

package convention_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/posternhq/postern/internal/aws/codec"
	"github.com/posternhq/postern/internal/aws/convention"
	"github.com/posternhq/postern/internal/aws/fault"
	"github.com/posternhq/postern/internal/aws/schema"
	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
)

// idPrefixes are what the ids begin with that a parameter can hold, by the
// parameter's name without the words that say what is done with it.
var idPrefixes = map[string]string{
	"AssociatedSubnetId": "subnet-", "AttachmentId": "eni-attach-", "CarrierGatewayId": "cagw-",
	"CustomerGatewayId": "cgw-", "DhcpOptionsId": "dopt-", "EgressOnlyInternetGatewayId": "eigw-",
	"FlowLogId": "fl-", "Group": "sg-", "GroupId": "sg-", "InstanceId": "i-", "InternetGatewayId": "igw-", "NatGatewayId": "nat-",
	"NetworkAclId": "acl-", "NetworkInterfaceId": "eni-", "PrefixListId": "pl-",
	"DestinationPrefixListId": "pl-", "LocalGatewayId": "lgw-",
	"ReferencedGroupId": "sg-", "Resource": "vpc-", "RouteTableId": "rtb-", "SecurityGroupId": "sg-", "SecurityGroupRuleId": "sgr-",
	"ServiceId": "vpce-svc-", "SubnetId": "subnet-", "TransitGatewayAttachmentId": "tgw-attach-", "TransitGatewayId": "tgw-",
	"VpcEndpointId": "vpce-", "VpcId": "vpc-", "VpcPeeringConnectionId": "pcx-", "PeerVpcId": "vpc-", "VpnConnectionId": "vpn-", "VpnGatewayId": "vgw-",
}

// noIDs are parameters that end like ids and hold something else, or an id of
// something of AWS that is never looked up here.
var noIDs = map[string]string{
	"AvailabilityZoneId": "a zone", "ZoneId": "a zone", "UserId": "an account", "PeerOwnerId": "an account", "SourceSecurityGroupOwnerId": "an account",
	"IpamPoolId": "refused altogether", "Ipv4IpamPoolId": "refused altogether", "Ipv6IpamPoolId": "refused altogether", "AllocationId": "EC2 has no Malformed error for these",
	"SecondaryAllocationId": "EC2 has no Malformed error for these", "DisassociateNatGatewayAddress.AssociationIds[]": "found among those of a gateway",
	"DisassociateAddress.AssociationId": "EC2 has no Malformed error for these",
	"AssociateRouteTable.GatewayId":     "a gateway of any kind", "CreateRoute.GatewayId": "a gateway of any kind", "ReplaceRoute.GatewayId": "a gateway of any kind",
}

// idsOf are what ids begin with in parameters that have the name of others.
var idsOf = map[string]string{
	"DisassociateVpcCidrBlock.AssociationId": "vpc-cidr-assoc-", "DisassociateSubnetCidrBlock.AssociationId": "subnet-cidr-assoc-",
	"DisassociateRouteTable.AssociationId": "rtbassoc-", "ReplaceRouteTableAssociation.AssociationId": "rtbassoc-",
	"ReplaceNetworkAclAssociation.AssociationId": "aclassoc-",
	"EnableVgwRoutePropagation.GatewayId":        "vgw-", "DisableVgwRoutePropagation.GatewayId": "vgw-",
}

// idParameters gives a function for each parameter of an operation that holds
// ids, which makes an input that has that id and nothing else.
func idParameters(op *schema.Operation) map[string]func(id string) any {
	found := map[string]func(string) any{}
	var paths func(s *schema.Shape, name, path string, way []func(reflect.Value) reflect.Value)
	paths = func(s *schema.Shape, name, path string, way []func(reflect.Value) reflect.Value) {
		switch s.Kind {
		case schema.Structure:
			for i := range s.Members {
				m := &s.Members[i]
				next := func(v reflect.Value) reflect.Value {
					field := codec.Field(v, m)
					if m.Shape.Kind == schema.List {
						return field
					}
					return codec.Settable(field)
				}
				paths(m.Shape, m.Name, path+"."+m.Name, append(way[:len(way):len(way)], next))
			}
		case schema.List:
			next := func(v reflect.Value) reflect.Value {
				v.Set(reflect.MakeSlice(v.Type(), 1, 1))
				return v.Index(0)
			}
			paths(s.Element.Shape, strings.TrimSuffix(name, "s"), path+"[]", append(way[:len(way):len(way)], next))
		case schema.String:
			if !strings.HasSuffix(name, "Id") && !strings.HasSuffix(name, "Ids") && name != "Group" && name != "Resource" {
				return
			}
			found[path] = func(id string) any {
				in := op.NewInput()
				v := reflect.ValueOf(in).Elem()
				for _, next := range way {
					v = next(v)
				}
				v.SetString(id)
				return in
			}
		}
	}
	paths(op.Input, "", op.Name, nil)
	return found
}

// parameterName is the last name of a path, without what is done with the id.
func parameterName(path string) string {
	name := path[strings.LastIndexByte(path, '.')+1:]
	name = strings.TrimSuffix(strings.TrimSuffix(name, "[]"), "s")
	return strings.TrimPrefix(strings.TrimPrefix(name, "Add"), "Remove")
}

// TestEveryIDHasItsMalformedError walks the parameters of all served operations
// and gives each that holds ids what is none.
func TestEveryIDHasItsMalformedError(t *testing.T) {
	for _, op := range shape.Service.Operations {
		for path, with := range idParameters(op) {
			name := parameterName(path)
			prefix, known := idPrefixes[name]
			if noIDs[name] != "" || noIDs[path] != "" {
				continue
			}
			if other, ok := idsOf[path]; ok {
				prefix, known = other, true
			}
			if !known {
				t.Errorf("%s: neither an id nor known to be none", path)
				continue
			}
			bad := []string{"", "foobar", prefix, prefix + "foo", prefix + "malformed", prefix + "123456789", prefix + "0123456789ABCDEF0", prefix + "12345678 "}
			if name != "Resource" { // which may be of any kind
				bad = append(bad, "x"+prefix+"12345678", "other-12345678")
			}
			for _, id := range bad {
				if err := convention.EC2(op, with(id)); !malformed(err) {
					t.Errorf("%s = %q: got %v", path, id, err)
				}
			}
			for _, good := range []string{prefix + "12345678", prefix + "0123456789abcdef0"} {
				if err := convention.EC2(op, with(good)); err != nil {
					t.Errorf("%s = %q: %v", path, good, err)
				}
			}
		}
	}
}

func malformed(err error) bool {
	f, ok := err.(*fault.Error)
	return ok && (strings.HasSuffix(f.Code, ".Malformed") || f.Code == "InvalidID" || f.Code == "NatGatewayMalformed")
}

// TestMalformedCodes has AWS's spellings, which clients compare.
func TestMalformedCodes(t *testing.T) {
	for _, test := range []struct {
		operation string
		in        any
		code      string
	}{
		{"DescribeVpcs", &shape.DescribeVpcsInput{VpcIds: []string{"foobar"}}, "InvalidVpcId.Malformed"},
		{"CreateSubnet", &shape.CreateSubnetInput{VpcId: new("vpc-012345678")}, "InvalidVpcId.Malformed"},
		{"DescribeSubnets", &shape.DescribeSubnetsInput{SubnetIds: []string{"foobar"}}, "InvalidSubnetID.Malformed"},
		{"DescribeSecurityGroups", &shape.DescribeSecurityGroupsInput{GroupIds: []string{"sg-foo"}}, "InvalidGroupId.Malformed"},
		{"AuthorizeSecurityGroupIngress", &shape.AuthorizeSecurityGroupIngressInput{IpPermissions: []shape.IpPermission{
			{UserIdGroupPairs: []shape.UserIdGroupPair{{GroupId: new("sg-malformed")}}},
		}}, "InvalidGroupId.Malformed"},
		{"DescribeSecurityGroupRules", &shape.DescribeSecurityGroupRulesInput{Filters: filter("group-id", "foobar")}, "InvalidGroupId.Malformed"},
		{"DescribeSecurityGroupRules", &shape.DescribeSecurityGroupRulesInput{Filters: filter("security-group-rule-id", "foobar")}, "InvalidSecurityGroupRuleId.Malformed"},
		{"DescribeSecurityGroupRules", &shape.DescribeSecurityGroupRulesInput{Filters: filter("group-id", "sg-*", "sg-005216b55886f0fdc")}, ""},
		{"DescribeSecurityGroups", &shape.DescribeSecurityGroupsInput{Filters: filter("group-id", "foobar")}, ""},
		{"DescribeNetworkInterfaces", &shape.DescribeNetworkInterfacesInput{NetworkInterfaceIds: []string{"eni-x"}}, "InvalidNetworkInterfaceId.Malformed"},
		{"DescribeVpcEndpoints", &shape.DescribeVpcEndpointsInput{VpcEndpointIds: []string{"vpce-x"}}, "InvalidVpcEndpointId.Malformed"},
		{"DescribeRouteTables", &shape.DescribeRouteTablesInput{RouteTableIds: []string{"rtb-x"}}, "InvalidRouteTableId.Malformed"},
		{"DescribeNetworkAcls", &shape.DescribeNetworkAclsInput{NetworkAclIds: []string{"acl-x"}}, "InvalidNetworkAclId.Malformed"},
		{"DescribeDhcpOptions", &shape.DescribeDhcpOptionsInput{DhcpOptionsIds: []string{"dopt-x"}}, "InvalidDhcpOptionsId.Malformed"},
		{"AssociateDhcpOptions", &shape.AssociateDhcpOptionsInput{DhcpOptionsId: new("default"), VpcId: new("vpc-12345678")}, ""},
		{"AssociateDhcpOptions", &shape.AssociateDhcpOptionsInput{DhcpOptionsId: new("none"), VpcId: new("vpc-12345678")}, "InvalidDhcpOptionsId.Malformed"},
		{"DeleteDhcpOptions", &shape.DeleteDhcpOptionsInput{DhcpOptionsId: new("default")}, "InvalidDhcpOptionsId.Malformed"},
		{"DescribePrefixLists", &shape.DescribePrefixListsInput{PrefixListIds: []string{"pl-x"}}, "InvalidPrefixListId.Malformed"},
		{"DescribeInternetGateways", &shape.DescribeInternetGatewaysInput{InternetGatewayIds: []string{"igw-x"}}, "InvalidInternetGatewayId.Malformed"},
		{"CreateTags", &shape.CreateTagsInput{Resources: []string{"vpc-foo"}}, "InvalidID"},
	} {
		err := convention.EC2(shape.Service.Operation(test.operation), test.in)
		if test.code == "" && err != nil || test.code != "" && !fault.Is(err, test.code) {
			t.Errorf("%s: got %v, want %s", test.operation, err, test.code)
		}
	}
}

func TestWhatARequestMayNotHave(t *testing.T) {
	values := func(n int) []string {
		out := make([]string, n)
		for i := range out {
			out[i] = fmt.Sprintf("10.0.%d.%d", i/256, i%256)
		}
		return out
	}
	tags := func(types ...string) (out []shape.TagSpecification) {
		for _, t := range types {
			out = append(out, shape.TagSpecification{ResourceType: new(t)})
		}
		return out
	}
	eni := []string{"eni-12345678"}
	for _, test := range []struct {
		name, operation string
		in              any
		code            string
	}{
		{"200 values", "DescribeSubnets", &shape.DescribeSubnetsInput{Filters: filter("cidr", values(200)...)}, ""},
		{"201 values", "DescribeSubnets", &shape.DescribeSubnetsInput{Filters: filter("cidr", values(201)...)}, "FilterLimitExceeded"},
		{"of two filters", "DescribeVpcs", &shape.DescribeVpcsInput{Filters: append(filter("cidr", values(150)...), filter("owner-id", values(51)...)...)}, "FilterLimitExceeded"},
		{"long value", "DescribeVpcs", &shape.DescribeVpcsInput{Filters: filter("cidr", strings.Repeat("é", 255))}, ""},
		{"longer value", "DescribeVpcs", &shape.DescribeVpcsInput{Filters: filter("cidr", strings.Repeat("x", 256))}, "FilterLimitExceeded"},
		{"page of ids", "DescribeNetworkInterfaces", &shape.DescribeNetworkInterfacesInput{NetworkInterfaceIds: eni, MaxResults: new(int32(5))}, "InvalidParameterCombination"},
		{"ids", "DescribeNetworkInterfaces", &shape.DescribeNetworkInterfacesInput{NetworkInterfaceIds: eni}, ""},
		{"page", "DescribeNetworkInterfaces", &shape.DescribeNetworkInterfacesInput{MaxResults: new(int32(5))}, ""},
		{"page of subnets", "DescribeSubnets", &shape.DescribeSubnetsInput{SubnetIds: []string{"subnet-12345678"}, MaxResults: new(int32(5))}, ""},
		{"two specifications", "CreateVpc", &shape.CreateVpcInput{TagSpecifications: tags("vpc", "vpc")}, "InvalidParameterValue"},
		{"of two types", "CreateVpc", &shape.CreateVpcInput{TagSpecifications: tags("vpc", "subnet")}, ""},
		{"longest token", "CreateVpcEndpoint", &shape.CreateVpcEndpointInput{ClientToken: new(strings.Repeat("t", 64))}, ""},
		{"longer token", "CreateVpcEndpoint", &shape.CreateVpcEndpointInput{ClientToken: new(strings.Repeat("t", 65))}, "InvalidParameterValue"},
		{"another's longer token", "CreateNetworkInterface", &shape.CreateNetworkInterfaceInput{ClientToken: new(strings.Repeat("t", 65))}, "InvalidParameterValue"},
		{"token that is not ASCII", "CreateNetworkInterface", &shape.CreateNetworkInterfaceInput{ClientToken: new("é")}, "InvalidParameterValue"},
	} {
		err := convention.EC2(shape.Service.Operation(test.operation), test.in)
		if test.code == "" && err != nil || test.code != "" && !fault.Is(err, test.code) {
			t.Errorf("%s: got %v, want %q", test.name, err, test.code)
		}
	}
}

func filter(name string, values ...string) []shape.Filter {
	return []shape.Filter{{Name: &name, Values: values}}
}
