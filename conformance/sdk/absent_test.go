// SPDX-License-Identifier: Apache-2.0

package sdk

import (
	"maps"
	"reflect"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice"
)

// TestWhatCannotBeHere asks for what clients look at before they act. The lists
// are there and empty.
func TestWhatCannotBeHere(t *testing.T) {
	t.Parallel()
	c := newAccount(t)
	v := c.vpc("10.0.0.0/16")
	s := c.subnet(v, "10.0.1.0/24", "a")
	groups := must(c.ec2.DescribeSecurityGroups(c.ctx, &ec2.DescribeSecurityGroupsInput{Filters: []types.Filter{{Name: new("vpc-id"), Values: []string{v}}}}))(c)
	group := *groups.SecurityGroups[0].GroupId
	calls := c.emptyLatticeLists(v)
	maps.Copy(calls, map[string]func() (any, error){
		"addresses":        func() (any, error) { return c.ec2.DescribeAddresses(c.ctx, &ec2.DescribeAddressesInput{}) },
		"carrier gateways": func() (any, error) { return c.ec2.DescribeCarrierGateways(c.ctx, &ec2.DescribeCarrierGatewaysInput{}) },
		"customer gateways": func() (any, error) {
			return c.ec2.DescribeCustomerGateways(c.ctx, &ec2.DescribeCustomerGatewaysInput{})
		},
		"egress-only gateways": func() (any, error) {
			return c.ec2.DescribeEgressOnlyInternetGateways(c.ctx, &ec2.DescribeEgressOnlyInternetGatewaysInput{})
		},
		"flow logs": func() (any, error) { return c.ec2.DescribeFlowLogs(c.ctx, &ec2.DescribeFlowLogsInput{}) },
		"instances": func() (any, error) { return c.ec2.DescribeInstances(c.ctx, &ec2.DescribeInstancesInput{}) },
		"references of groups": func() (any, error) {
			return c.ec2.DescribeSecurityGroupReferences(c.ctx, &ec2.DescribeSecurityGroupReferencesInput{GroupId: []string{group}})
		},
		"associations of groups": func() (any, error) {
			return c.ec2.DescribeSecurityGroupVpcAssociations(c.ctx, &ec2.DescribeSecurityGroupVpcAssociationsInput{})
		},
		"stale groups": func() (any, error) {
			return c.ec2.DescribeStaleSecurityGroups(c.ctx, &ec2.DescribeStaleSecurityGroupsInput{VpcId: &v})
		},
		"transit gateways": func() (any, error) { return c.ec2.DescribeTransitGateways(c.ctx, &ec2.DescribeTransitGatewaysInput{}) },
		"transit attachments": func() (any, error) {
			return c.ec2.DescribeTransitGatewayAttachments(c.ctx, &ec2.DescribeTransitGatewayAttachmentsInput{})
		},
		"transit attachments of VPCs": func() (any, error) {
			return c.ec2.DescribeTransitGatewayVpcAttachments(c.ctx, &ec2.DescribeTransitGatewayVpcAttachmentsInput{})
		},
		"VPN connections": func() (any, error) { return c.ec2.DescribeVpnConnections(c.ctx, &ec2.DescribeVpnConnectionsInput{}) },
		"VPN gateways":    func() (any, error) { return c.ec2.DescribeVpnGateways(c.ctx, &ec2.DescribeVpnGatewaysInput{}) },
		"reserved blocks": func() (any, error) {
			return c.ec2.GetSubnetCidrReservations(c.ctx, &ec2.GetSubnetCidrReservationsInput{SubnetId: &s})
		},
	})
	for name, call := range calls {
		out, err := call()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		lists := 0
		for i := range reflect.ValueOf(out).Elem().NumField() {
			if field := reflect.ValueOf(out).Elem().Field(i); field.Kind() == reflect.Slice {
				lists++
				if field.IsNil() || field.Len() > 0 {
					t.Errorf("%s: %s is %v, want an empty list", name, reflect.TypeOf(out).Elem().Field(i).Name, field)
				}
			}
		}
		if lists == 0 {
			t.Errorf("%s: no list in %T", name, out)
		}
	}
}

// emptyLatticeLists are the calls for the lists of VPC Lattice that are empty.
func (c *client) emptyLatticeLists(v string) map[string]func() (any, error) {
	something := new("sn-0123456789abcdef0")
	return map[string]func() (any, error){
		"services": func() (any, error) { return c.lattice.ListServices(c.ctx, &vpclattice.ListServicesInput{}) },
		"service networks": func() (any, error) {
			return c.lattice.ListServiceNetworks(c.ctx, &vpclattice.ListServiceNetworksInput{})
		},
		"target groups": func() (any, error) { return c.lattice.ListTargetGroups(c.ctx, &vpclattice.ListTargetGroupsInput{}) },
		"access logs": func() (any, error) {
			return c.lattice.ListAccessLogSubscriptions(c.ctx, &vpclattice.ListAccessLogSubscriptionsInput{ResourceIdentifier: something})
		},
		"domains": func() (any, error) {
			return c.lattice.ListDomainVerifications(c.ctx, &vpclattice.ListDomainVerificationsInput{})
		},
		"resources of networks": func() (any, error) {
			return c.lattice.ListServiceNetworkResourceAssociations(c.ctx, &vpclattice.ListServiceNetworkResourceAssociationsInput{})
		},
		"services of networks": func() (any, error) {
			return c.lattice.ListServiceNetworkServiceAssociations(c.ctx, &vpclattice.ListServiceNetworkServiceAssociationsInput{})
		},
		"VPCs of networks": func() (any, error) {
			return c.lattice.ListServiceNetworkVpcAssociations(c.ctx, &vpclattice.ListServiceNetworkVpcAssociationsInput{VpcIdentifier: &v})
		},
		"endpoints of networks": func() (any, error) {
			return c.lattice.ListServiceNetworkVpcEndpointAssociations(c.ctx, &vpclattice.ListServiceNetworkVpcEndpointAssociationsInput{ServiceNetworkIdentifier: something})
		},
	}
}

// TestPrefixListsOfAWS finds the list of a service by its name and reads it.
func TestPrefixListsOfAWS(t *testing.T) {
	t.Parallel()
	c := newAccount(t)
	byName := []types.Filter{{Name: new("prefix-list-name"), Values: []string{"com.amazonaws." + c.region + ".s3"}}}
	old := must(c.ec2.DescribePrefixLists(c.ctx, &ec2.DescribePrefixListsInput{Filters: byName}))(c).PrefixLists
	managed := must(c.ec2.DescribeManagedPrefixLists(c.ctx, &ec2.DescribeManagedPrefixListsInput{Filters: byName}))(c).PrefixLists
	if len(old) != 1 || len(managed) != 1 || *old[0].PrefixListId != *managed[0].PrefixListId || *managed[0].OwnerId != "AWS" {
		t.Fatalf("got %v and %v", old, managed)
	}
	entries := must(c.ec2.GetManagedPrefixListEntries(c.ctx, &ec2.GetManagedPrefixListEntriesInput{PrefixListId: old[0].PrefixListId}))(c).Entries
	if len(entries) == 0 || *entries[0].Cidr != old[0].Cidrs[0] {
		t.Errorf("entries are %v, want %v", entries, old[0].Cidrs)
	}
}

// TestListsOfNewThings are there before there is anything in them.
func TestListsOfNewThings(t *testing.T) {
	t.Parallel()
	c := newAccount(t)
	v := must(c.ec2.CreateVpc(c.ctx, &ec2.CreateVpcInput{CidrBlock: new("10.0.0.0/16")}))(c).Vpc
	s := must(c.ec2.CreateSubnet(c.ctx, &ec2.CreateSubnetInput{VpcId: v.VpcId, CidrBlock: new("10.0.1.0/24")}))(c).Subnet
	n := must(c.ec2.CreateNetworkInterface(c.ctx, &ec2.CreateNetworkInterfaceInput{SubnetId: s.SubnetId}))(c).NetworkInterface
	if v.Ipv6CidrBlockAssociationSet == nil || v.Tags == nil || s.Ipv6CidrBlockAssociationSet == nil || s.Tags == nil || n.Ipv6Addresses == nil || n.TagSet == nil {
		t.Errorf("a list is missing in %+v, %+v or %+v", v, s, n)
	}
	equal(t, "name", *n.PrivateDnsName, "ip-"+strings.ReplaceAll(*n.PrivateIpAddress, ".", "-")+".ec2.internal")
	equal(t, "requester", *n.RequesterId, *n.OwnerId)
}
