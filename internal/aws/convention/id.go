// SPDX-License-Identifier: Apache-2.0

package convention

import (
	"strings"

	"github.com/posternhq/postern/internal/aws/fault"
	"github.com/posternhq/postern/internal/aws/schema"
)

// idKind is one kind of ids: what they begin with, and the error for an id that
// cannot be one. The spellings of the codes follow no rule. They are those of
// published transcripts, else those of the page "Error codes for the Amazon EC2
// API", which has InvalidVpcID.Malformed where AWS answers InvalidVpcId.Malformed.
type idKind struct{ prefix, code string }

var (
	groupIDs = &idKind{"sg-", "InvalidGroupId.Malformed"}
	ruleIDs  = &idKind{"sgr-", "InvalidSecurityGroupRuleId.Malformed"}
	listIDs  = &idKind{"pl-", "InvalidPrefixListId.Malformed"}
	vpcIDs   = &idKind{"vpc-", "InvalidVpcId.Malformed"}
	dhcpIDs  = &idKind{"dopt-", "InvalidDhcpOptionsId.Malformed"}
	peerIDs  = &idKind{"pcx-", "InvalidVpcPeeringConnectionId.Malformed"}
)

// idShapes are the kinds of ids by the shapes that the model gives them.
var idShapes = map[string]*idKind{
	"CarrierGatewayId":             {"cagw-", "InvalidCarrierGatewayID.Malformed"},
	"CustomerGatewayId":            {"cgw-", "InvalidCustomerGatewayId.Malformed"},
	"EgressOnlyInternetGatewayId":  {"eigw-", "InvalidEgressOnlyInternetGatewayId.Malformed"},
	"InstanceId":                   {"i-", "InvalidInstanceID.Malformed"},
	"NatGatewayId":                 {"nat-", "NatGatewayMalformed"},
	"TransitGatewayAttachmentId":   {"tgw-attach-", "InvalidTransitGatewayAttachmentID.Malformed"},
	"TransitGatewayId":             {"tgw-", "InvalidTransitGatewayID.Malformed"},
	"VpcEndpointServiceId":         {"vpce-svc-", "InvalidVpcEndpointServiceId.Malformed"},
	"VpcFlowLogId":                 {"fl-", "InvalidFlowLogId.Malformed"},
	"VpnConnectionId":              {"vpn-", "InvalidVpnConnectionID.Malformed"},
	"VpnGatewayId":                 {"vgw-", "InvalidVpnGatewayID.Malformed"},
	"DefaultingDhcpOptionsId":      defaultingIDs,
	"DhcpOptionsId":                dhcpIDs,
	"InternetGatewayId":            {"igw-", "InvalidInternetGatewayId.Malformed"},
	"NetworkAclAssociationId":      {"aclassoc-", "InvalidAssociationId.Malformed"},
	"NetworkAclId":                 {"acl-", "InvalidNetworkAclId.Malformed"},
	"NetworkInterfaceAttachmentId": {"eni-attach-", "InvalidNetworkInterfaceAttachmentId.Malformed"},
	"NetworkInterfaceId":           {"eni-", "InvalidNetworkInterfaceId.Malformed"},
	"PrefixListResourceId":         listIDs,
	"LocalGatewayId":               {"lgw-", "InvalidLocalGatewayId.Malformed"},
	"RouteTableAssociationId":      {"rtbassoc-", "InvalidRouteTableAssociationId.Malformed"},
	"RouteTableId":                 {"rtb-", "InvalidRouteTableId.Malformed"},
	"SecurityGroupId":              groupIDs,
	"SecurityGroupRuleId":          ruleIDs,
	"SubnetCidrAssociationId":      {"subnet-cidr-assoc-", "InvalidSubnetCidrBlockAssociationId.Malformed"},
	"SubnetId":                     {"subnet-", "InvalidSubnetID.Malformed"},
	"VpcCidrAssociationId":         {"vpc-cidr-assoc-", "InvalidVpcCidrBlockAssociationId.Malformed"},
	"VpcEndpointId":                {"vpce-", "InvalidVpcEndpointId.Malformed"},
	"VpcId":                        vpcIDs,
	"VpcPeeringConnectionId":       peerIDs,

	"VpcPeeringConnectionIdWithResolver": peerIDs,
}

// idMembers are the kinds of ids of members that the model only calls strings.
var idMembers = map[string]*idKind{
	"GroupId":                groupIDs,
	"PeerVpcId":              vpcIDs,
	"PrefixListId":           listIDs,
	"PrefixListIds":          listIDs,
	"SecurityGroupRuleId":    ruleIDs,
	"SecurityGroupRuleIds":   ruleIDs,
	"VpcId":                  vpcIDs,
	"VpcPeeringConnectionId": peerIDs,
}

// defaultingIDs are those of DHCP options, or noOptions for none.
var defaultingIDs = &idKind{dhcpIDs.prefix, dhcpIDs.code}

const noOptions = "default"

// taggableID stands for the ids of all kinds of resources that have tags.
var taggableID = &idKind{"", "InvalidID"}

// idKindOf gives the kind of ids that a parameter holds, nil when it holds
// something else.
func idKindOf(shape *schema.Shape, name string) *idKind {
	switch shape.Name {
	case "TaggableResourceId":
		return taggableID
	case "String":
		return idMembers[name]
	}
	return idShapes[shape.Name]
}

// The lengths of ids after their prefix: those of before 2016, and all since.
const shortID, longID = 8, 17

// check refuses what no id of the kind can look like.
func (k *idKind) check(id string) error {
	rest, ok := strings.CutPrefix(id, k.prefix)
	if k == taggableID {
		i := strings.LastIndexByte(id, '-')
		if rest = id[i+1:]; i > 0 && isHex(rest) {
			return nil
		}
		return fault.EC2(k.code, "The ID '%s' is not valid", id)
	}
	if ok && isHex(rest) || k == defaultingIDs && id == noOptions {
		return nil
	}
	return fault.EC2(k.code, `Invalid id: "%s" (expecting "%s..." with %d or %d hexadecimal digits)`, id, k.prefix, shortID, longID)
}

func isHex(s string) bool {
	return (len(s) == shortID || len(s) == longID) && strings.Trim(s, "0123456789abcdef") == ""
}
