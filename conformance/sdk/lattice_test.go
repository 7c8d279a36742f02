// SPDX-License-Identifier: Apache-2.0

package sdk

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice"
	lattice "github.com/aws/aws-sdk-go-v2/service/vpclattice/types"
)

func TestResourceGatewayLife(t *testing.T) {
	t.Parallel()
	c := newAccount(t)
	v := c.vpc("10.0.0.0/16")
	a, b := c.subnet(v, "10.0.1.0/24", "a"), c.subnet(v, "10.0.2.0/24", "b")
	group := c.group(v, "gateway")
	made := must(c.lattice.CreateResourceGateway(c.ctx, &vpclattice.CreateResourceGatewayInput{
		Name: new("to-databases"), VpcIdentifier: &v, SubnetIds: []string{a, b}, SecurityGroupIds: []string{group},
		IpAddressType: lattice.ResourceGatewayIpAddressTypeIpv4, Ipv4AddressesPerEni: new(int32(3)), Tags: map[string]string{"team": "data"},
	}))(c)
	id := *made.Id
	matches(t, "id", made.Id, "rgw-[0-9a-f]{17}")
	equal(t, "ARN", made.Arn, "arn:aws:vpc-lattice:us-east-1:"+c.key.Account+":resourcegateway/"+id)
	equal(t, "VPC", made.VpcIdentifier, v)
	got := c.awaitGateway(*made.Arn) // an ARN is as good as an id
	equal(t, "name", got.Name, "to-databases")
	equal(t, "addresses", got.Ipv4AddressesPerEni, 3)
	equal(t, "groups", got.SecurityGroupIds, []string{group})
	equal(t, "subnets", got.SubnetIds, []string{a, b})
	if got.CreatedAt == nil || got.LastUpdatedAt == nil {
		t.Errorf("times are %v and %v, want both", got.CreatedAt, got.LastUpdatedAt)
	}
	equal(t, "free addresses", must(c.ec2.DescribeSubnets(c.ctx, &ec2.DescribeSubnetsInput{SubnetIds: []string{a}}))(c).Subnets[0].AvailableIpAddressCount, 248)

	other := c.group(v, "other")
	updated := must(c.lattice.UpdateResourceGateway(c.ctx, &vpclattice.UpdateResourceGatewayInput{
		ResourceGatewayIdentifier: &id, SecurityGroupIds: []string{other},
	}))(c)
	equal(t, "groups", updated.SecurityGroupIds, []string{other})
	c.awaitGateway(id)
	latticeTags(c, *made.Arn)
	must(c.lattice.DeleteResourceGateway(c.ctx, &vpclattice.DeleteResourceGatewayInput{ResourceGatewayIdentifier: &id}))(c)
	c.awaitGone("gateway "+id, func() error {
		return failure(c.lattice.GetResourceGateway(c.ctx, &vpclattice.GetResourceGatewayInput{ResourceGatewayIdentifier: &id}))
	})
	c.leave(v, []string{a, b}, []string{group, other})
}

// latticeTags adds, changes and removes tags of a resource that has the tag team.
func latticeTags(c *client, arn string) {
	c.t.Helper()
	must(c.lattice.TagResource(c.ctx, &vpclattice.TagResourceInput{ResourceArn: &arn, Tags: map[string]string{"stage": "test é/&", "team": "other"}}))(c)
	list := func() map[string]string {
		return must(c.lattice.ListTagsForResource(c.ctx, &vpclattice.ListTagsForResourceInput{ResourceArn: &arn}))(c).Tags
	}
	equal(c.t, "tags", list(), map[string]string{"stage": "test é/&", "team": "other"})
	must(c.lattice.UntagResource(c.ctx, &vpclattice.UntagResourceInput{ResourceArn: &arn, TagKeys: []string{"team", "absent"}}))(c)
	equal(c.t, "tags", list(), map[string]string{"stage": "test é/&"})
}

// leave deletes a VPC with its subnets and groups; nothing else may be in it.
// What a gateway or endpoint had there goes a moment after it.
func (c *client) leave(v string, subnets, groups []string) {
	c.t.Helper()
	for _, id := range subnets {
		must(c.ec2.DeleteSubnet(c.ctx, &ec2.DeleteSubnetInput{SubnetId: &id}))(c)
	}
	for _, id := range groups {
		must(c.ec2.DeleteSecurityGroup(c.ctx, &ec2.DeleteSecurityGroupInput{GroupId: &id}))(c)
	}
	must(c.ec2.DeleteVpc(c.ctx, &ec2.DeleteVpcInput{VpcId: &v}))(c)
}

// TestEndpointLife goes the whole way, from two VPCs with the same CIDR to an
// endpoint that is available, and back.
func TestEndpointLife(t *testing.T) {
	t.Parallel()
	c := newAccount(t)
	p := c.pair()
	r := c.awaitConfiguration(p.configuration)
	matches(t, "id", r.Id, "rcfg-[0-9a-f]{17}")
	equal(t, "type, protocol, ports", []any{r.Type, r.Protocol, r.PortRanges}, []any{"SINGLE", "TCP", []string{"5432"}})
	equal(t, "gateway", r.ResourceGatewayId, p.gateway)
	equal(t, "definition", r.ResourceConfigurationDefinition, address(resource))
	if r.AllowAssociationToShareableServiceNetwork == nil {
		t.Error("allowAssociationToShareableServiceNetwork is not told")
	}

	in := newEndpoint(p.consumer, p.arn, p.consumerSubnet)
	in.PrivateDnsEnabled = new(false) // as Terraform sends it
	in.TagSpecifications = []ec2types.TagSpecification{{ResourceType: ec2types.ResourceTypeVpcEndpoint, Tags: []ec2types.Tag{{Key: new("team"), Value: new("web")}}}}
	id := *must(c.ec2.CreateVpcEndpoint(c.ctx, in))(c).VpcEndpoint.VpcEndpointId
	e := c.awaitEndpoint(id)
	matches(t, "id", e.VpcEndpointId, "vpce-[0-9a-f]{17}")
	equal(t, "type", e.VpcEndpointType, "Resource")
	equal(t, "resource configuration", e.ResourceConfigurationArn, p.arn)
	equal(t, "subnets", e.SubnetIds, []string{p.consumerSubnet})
	equal(t, "number of groups and interfaces", []int{len(e.Groups), len(e.NetworkInterfaceIds)}, []int{1, 1})
	equal(t, "DNS entries", len(e.DnsEntries), 0) // they are in the associations
	ni := must(c.ec2.DescribeNetworkInterfaces(c.ctx, &ec2.DescribeNetworkInterfacesInput{NetworkInterfaceIds: e.NetworkInterfaceIds}))(c).NetworkInterfaces[0]
	matches(t, "address", ni.PrivateIpAddress, `10\.0\.1\.[0-9]+`)
	equal(t, "managed by the requester", ni.RequesterManaged, true)

	association := endpointAssociations(c, p, id)
	endpointGroups(c, p, id)
	configurationChanges(c, p)
	endpointRefusals(c, p, id)

	must(c.lattice.DeleteResourceEndpointAssociation(c.ctx, &vpclattice.DeleteResourceEndpointAssociationInput{ResourceEndpointAssociationIdentifier: &association}))(c)
	c.await("the end of association "+association, func() (bool, error) {
		out, err := c.lattice.ListResourceEndpointAssociations(c.ctx, &vpclattice.ListResourceEndpointAssociationsInput{ResourceConfigurationIdentifier: &p.configuration})
		return err == nil && len(out.Items) == 0, err
	})
	c.removeEndpoint(id)
	c.removePair(p)
}

// endpointAssociations looks at what leads from an endpoint to its resource, at
// both ends, and gives its id at the end of VPC Lattice.
func endpointAssociations(c *client, p pair, id string) string {
	c.t.Helper()
	listed := must(c.lattice.ListResourceEndpointAssociations(c.ctx, &vpclattice.ListResourceEndpointAssociationsInput{
		ResourceConfigurationIdentifier: &p.arn, VpcEndpointId: &id,
	}))(c).Items
	equal(c.t, "number of associations", len(listed), 1)
	matches(c.t, "association", listed[0].Id, "rea-[0-9a-f]{17}")
	equal(c.t, "owner of the endpoint", listed[0].VpcEndpointOwner, c.key.Account)
	var own ec2types.VpcEndpointAssociation
	c.await("the association of "+id, func() (bool, error) {
		out, err := c.ec2.DescribeVpcEndpointAssociations(c.ctx, &ec2.DescribeVpcEndpointAssociationsInput{VpcEndpointIds: []string{id}})
		if err != nil || len(out.VpcEndpointAssociations) != 1 {
			return false, err
		}
		own = out.VpcEndpointAssociations[0]
		return *own.AssociatedResourceAccessibility == "Accessible" && own.DnsEntry != nil, nil
	})
	matches(c.t, "association", own.Id, "vpce-rsc-asc-[0-9a-f]{17}")
	equal(c.t, "resource", own.AssociatedResourceArn, p.arn)
	matches(c.t, "name", own.DnsEntry.DnsName, id+`\.`+p.configuration+`\.[0-9a-f]+\.vpc-lattice-rsc\.us-east-1\.postern\.internal`)
	matches(c.t, "zone of the name", own.DnsEntry.HostedZoneId, "Z[A-Z0-9]+")
	found := must(c.ec2.DescribeVpcEndpointAssociations(c.ctx, &ec2.DescribeVpcEndpointAssociationsInput{
		Filters: []ec2types.Filter{{Name: new("vpc-endpoint-id"), Values: []string{"vpce-0*", "vpce-1*"}}},
	}))(c).VpcEndpointAssociations
	if want := strings.HasPrefix(id, "vpce-0") || strings.HasPrefix(id, "vpce-1"); (len(found) == 1) != want {
		c.t.Errorf("the filter by endpoints gives %d associations", len(found))
	}
	return *listed[0].Id
}

// endpointGroups replaces the security group of an endpoint.
func endpointGroups(c *client, p pair, id string) {
	c.t.Helper()
	group := c.group(p.consumer, "endpoint")
	old := c.awaitEndpoint(id).Groups[0].GroupId
	must(c.ec2.ModifyVpcEndpoint(c.ctx, &ec2.ModifyVpcEndpointInput{
		VpcEndpointId: &id, AddSecurityGroupIds: []string{group}, RemoveSecurityGroupIds: []string{*old},
	}))(c)
	e := c.awaitEndpoint(id)
	equal(c.t, "groups", e.Groups, []ec2types.SecurityGroupIdentifier{{GroupId: &group, GroupName: new("endpoint")}})
	refuse(c, []refusal{
		{"last group", "InvalidParameter", func() error {
			return failure(c.ec2.ModifyVpcEndpoint(c.ctx, &ec2.ModifyVpcEndpointInput{VpcEndpointId: &id, RemoveSecurityGroupIds: []string{group}}))
		}},
		{"group in use", "DependencyViolation", func() error {
			return failure(c.ec2.DeleteSecurityGroup(c.ctx, &ec2.DeleteSecurityGroupInput{GroupId: &group}))
		}},
	})
}

// configurationChanges gives a resource configuration other ports and another
// address.
func configurationChanges(c *client, p pair) {
	c.t.Helper()
	updated := must(c.lattice.UpdateResourceConfiguration(c.ctx, &vpclattice.UpdateResourceConfigurationInput{
		ResourceConfigurationIdentifier: &p.configuration, PortRanges: []string{"5432", "6000-6010"},
		ResourceConfigurationDefinition: address(otherResource), AllowAssociationToShareableServiceNetwork: new(false),
	}))(c)
	equal(c.t, "ports", updated.PortRanges, []string{"5432", "6000-6010"})
	got := c.awaitConfiguration(p.configuration)
	equal(c.t, "ports", got.PortRanges, []string{"5432", "6000-6010"})
	equal(c.t, "definition", got.ResourceConfigurationDefinition, address(otherResource))
	equal(c.t, "shareable", got.AllowAssociationToShareableServiceNetwork, false)
}

// endpointRefusals tries to take away what the endpoint stands on.
func endpointRefusals(c *client, p pair, id string) {
	c.t.Helper()
	unchanged(c, func() {
		_, err := c.lattice.DeleteResourceConfiguration(c.ctx, &vpclattice.DeleteResourceConfigurationInput{ResourceConfigurationIdentifier: &p.configuration})
		conflict := typed[*lattice.ConflictException](c.t, err)
		equal(c.t, "resource in conflict", []*string{conflict.ResourceId, conflict.ResourceType}, []string{p.configuration, "ResourceConfiguration"})
		_, err = c.lattice.DeleteResourceGateway(c.ctx, &vpclattice.DeleteResourceGatewayInput{ResourceGatewayIdentifier: &p.gateway})
		conflict = typed[*lattice.ConflictException](c.t, err)
		equal(c.t, "resource in conflict", []*string{conflict.ResourceId, conflict.ResourceType}, []string{p.gateway, "ResourceGateway"})
	})
	endpointInterface := c.awaitEndpoint(id).NetworkInterfaceIds[0]
	refuse(c, []refusal{
		{"subnet of the gateway", "DependencyViolation", func() error {
			return failure(c.ec2.DeleteSubnet(c.ctx, &ec2.DeleteSubnetInput{SubnetId: &p.providerSubnet}))
		}},
		{"VPC of the endpoint", "DependencyViolation", func() error {
			return failure(c.ec2.DeleteVpc(c.ctx, &ec2.DeleteVpcInput{VpcId: &p.consumer}))
		}},
		{"interface of the endpoint", "OperationNotPermitted", func() error {
			return failure(c.ec2.DeleteNetworkInterface(c.ctx, &ec2.DeleteNetworkInterfaceInput{NetworkInterfaceId: &endpointInterface}))
		}},
	})
}

// removeEndpoint deletes an endpoint and waits until it is not found.
func (c *client) removeEndpoint(id string) {
	c.t.Helper()
	gone := must(c.ec2.DeleteVpcEndpoints(c.ctx, &ec2.DeleteVpcEndpointsInput{VpcEndpointIds: []string{id, "vpce-00000000000000000"}}))(c)
	equal(c.t, "number of endpoints not deleted", len(gone.Unsuccessful), 1)
	equal(c.t, "reason", gone.Unsuccessful[0].Error.Code, "InvalidVpcEndpoint.NotFound")
	c.await("the end of endpoint "+id, func() (bool, error) {
		out, err := c.ec2.DescribeVpcEndpoints(c.ctx, &ec2.DescribeVpcEndpointsInput{VpcEndpointIds: []string{id}})
		if err == nil && out.VpcEndpoints[0].State != "deleting" {
			c.t.Errorf("an endpoint on its way out is %s", out.VpcEndpoints[0].State)
		}
		return err != nil, nil
	})
	_, err := c.ec2.DescribeVpcEndpoints(c.ctx, &ec2.DescribeVpcEndpointsInput{VpcEndpointIds: []string{id}})
	refused(c.t, err, "InvalidVpcEndpointId.NotFound")
}

// removePair deletes all of a pair whose endpoints are gone.
func (c *client) removePair(p pair) {
	c.t.Helper()
	must(c.lattice.DeleteResourceConfiguration(c.ctx, &vpclattice.DeleteResourceConfigurationInput{ResourceConfigurationIdentifier: &p.configuration}))(c)
	c.awaitGone("configuration "+p.configuration, func() error {
		return failure(c.lattice.GetResourceConfiguration(c.ctx, &vpclattice.GetResourceConfigurationInput{ResourceConfigurationIdentifier: &p.configuration}))
	})
	must(c.lattice.DeleteResourceGateway(c.ctx, &vpclattice.DeleteResourceGatewayInput{ResourceGatewayIdentifier: &p.gateway}))(c)
	c.awaitGone("gateway "+p.gateway, func() error {
		return failure(c.lattice.GetResourceGateway(c.ctx, &vpclattice.GetResourceGatewayInput{ResourceGatewayIdentifier: &p.gateway}))
	})
	c.leave(p.provider, []string{p.providerSubnet}, nil)
	groups := must(c.ec2.DescribeSecurityGroups(c.ctx, &ec2.DescribeSecurityGroupsInput{
		Filters: []ec2types.Filter{{Name: new("vpc-id"), Values: []string{p.consumer}}, {Name: new("group-name"), Values: []string{"endpoint"}}},
	}))(c).SecurityGroups
	c.leave(p.consumer, []string{p.consumerSubnet}, []string{*groups[0].GroupId})
}
