// SPDX-License-Identifier: Apache-2.0

package request

import (
	"context"
	"strings"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/view"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// refusal is an error for an id; the text has one place for it.
type refusal struct{ code, text string }

// unknown are the errors for ids that do not exist, by the type of the resource, which
// is the kind of its table.
var unknown = map[string]refusal{
	shape.ResourceTypeVpc:               {"InvalidVpcID.NotFound", "The vpc ID '%s' does not exist"},
	shape.ResourceTypeSubnet:            {"InvalidSubnetID.NotFound", "The subnet ID '%s' does not exist"},
	shape.ResourceTypeSecurityGroup:     {"InvalidGroup.NotFound", "The security group '%s' does not exist"},
	shape.ResourceTypeSecurityGroupRule: {"InvalidSecurityGroupRuleId.NotFound", "The security group rule ID '%s' does not exist"},
	shape.ResourceTypeRouteTable:        {"InvalidRouteTableID.NotFound", "The routeTable ID '%s' does not exist"},
	shape.ResourceTypeNetworkAcl:        {"InvalidNetworkAclID.NotFound", "The networkAcl ID '%s' does not exist"},
	shape.ResourceTypeDhcpOptions:       {"InvalidDhcpOptionID.NotFound", "The dhcpOption ID '%s' does not exist"},
	shape.ResourceTypeNetworkInterface:  {"InvalidNetworkInterfaceID.NotFound", "The networkInterface ID '%s' does not exist"},
	shape.ResourceTypePrefixList:        {"InvalidPrefixListID.NotFound", "The prefix list ID '%s' does not exist"},
	shape.ResourceTypeInternetGateway:   {"InvalidInternetGatewayID.NotFound", "The internetGateway ID '%s' does not exist"},
	shape.ResourceTypeElasticIp:         {"InvalidAllocationID.NotFound", "The allocation ID '%s' does not exist"},
	// AWS documents no code for these; this is the one that Terraform takes for it.
	shape.ResourceTypeEgressOnlyInternetGateway: {"InvalidGatewayID.NotFound", "The eigw ID '%s' does not exist"},
	shape.ResourceTypeVpcEndpoint:               {"InvalidVpcEndpointId.NotFound", "The Vpc Endpoint Id '%s' does not exist"},
	// AWS documents no code for this one.
	shape.ResourceTypeVpcEndpointServicePermission: {"InvalidVpcEndpointServicePermissionId.NotFound", "The VpcEndpointServicePermission Id '%s' does not exist"},
	shape.ResourceTypeVpcEndpointService:           {"InvalidVpcEndpointServiceId.NotFound", "The VpcEndpointService Id '%s' does not exist"},
	shape.ResourceTypeNatgateway:                   {"InvalidNatGatewayID.NotFound", "The natGateway ID '%s' does not exist"},
	shape.ResourceTypeVpcPeeringConnection:         {"InvalidVpcPeeringConnectionID.NotFound", "The vpcPeeringConnection ID '%s' does not exist"},
	state.EndpointServices.Kind():                  {"InvalidVpcEndpointServiceId.NotFound", "The VpcEndpointService Id '%s' does not exist"},
	state.NATGateways.Kind():                       {"NatGatewayNotFound", "The Nat Gateway %s was not found"}, // to its own operations
}

// malformed are the errors for ids that do not begin as they should, of the types that
// EC2 has some for.
var malformed = map[string]struct {
	prefix string
	refusal
}{
	shape.ResourceTypeSecurityGroup:     {"sg-", refusal{"InvalidGroupId.Malformed", "Invalid id: \"%s\" (expecting \"sg-...\")"}},
	shape.ResourceTypeSecurityGroupRule: {"sgr-", refusal{"InvalidSecurityGroupRuleId.Malformed", "The security group rule ID '%s' is malformed (expecting \"sgr-...\")"}},
}

// Unknown is the error for an id of a type of resources by which the caller has nothing.
func Unknown(resourceType, id string) error {
	if m, ok := malformed[resourceType]; ok && !strings.HasPrefix(id, m.prefix) {
		return fault.EC2(m.code, m.text, id)
	}
	r, ok := unknown[resourceType]
	if !ok {
		r = refusal{"InvalidID", "The ID '%s' does not exist"}
	}
	return fault.EC2(r.code, r.text, id)
}

// Get gives the caller's row with this id.
func Get[T table.Row](tx *table.Txn, who access.View, rows *table.Table[T], id string) (T, error) {
	row, ok := view.Get(tx, who, rows, id)
	if !ok {
		return row, Unknown(rows.Kind(), id)
	}
	return row, nil
}

// Subnet gives the caller's subnet with this id, or one that is shared with it for an action.
func Subnet(tx *table.Txn, who access.View, id, action string) (*model.Subnet, error) {
	s, ok := view.Subnet(tx, who, id, action)
	if !ok {
		return nil, Unknown(state.Subnets.Kind(), id)
	}
	return s, nil
}

// VPC is as Subnet, with a VPC that has such a subnet.
func VPC(tx *table.Txn, who access.View, id, action string) (*model.VPC, error) {
	v, ok := view.VPC(tx, who, id, action)
	if !ok {
		return nil, Unknown(state.VPCs.Kind(), id)
	}
	return v, nil
}

// Change changes the caller's row with this id, as service.Change does.
func Change[T state.Resource[T]](ctx context.Context, env *service.Env, rows *table.Table[T], id string, change func(*table.Txn, T) error) (T, error) {
	find := func(tx *table.Txn, who access.View, id string) (T, error) { return Get(tx, who, rows, id) }
	return service.Change(ctx, env, rows, find, id, change)
}
