// SPDX-License-Identifier: Apache-2.0

package ec2_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	lattice "github.com/posternhq/postern/internal/aws/shape/vpclattice"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service/ec2/ec2test"
	"github.com/posternhq/postern/internal/service/servicetest"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

func own(id string) model.Meta {
	return model.Meta{Account: servicetest.Account, Region: servicetest.Region, ID: id}
}

// removal is how users delete a kind of resource that others can hold.
type removal struct {
	row  func(*table.Txn)
	call func(w *ec2test.Network) error
	code string
}

var removals = map[string]removal{
	"vpc": {
		func(tx *table.Txn) {
			state.VPCs.Put(tx, &model.VPC{Meta: own("vpc-1"), DefaultGroup: "sg-default", MainTable: "rtb-main", DefaultACL: "acl-default"})
		},
		func(w *ec2test.Network) error {
			return ec2test.Failure(w.API.DeleteVpc(w.Ctx, &shape.DeleteVpcInput{VpcId: new("vpc-1")}))
		},
		"DependencyViolation",
	},
	"subnet": {
		func(tx *table.Txn) { state.Subnets.Put(tx, &model.Subnet{Meta: own("subnet-1"), VPC: "vpc-none"}) },
		func(w *ec2test.Network) error {
			return ec2test.Failure(w.API.DeleteSubnet(w.Ctx, &shape.DeleteSubnetInput{SubnetId: new("subnet-1")}))
		},
		"DependencyViolation",
	},
	"security-group": {
		func(tx *table.Txn) {
			state.SecurityGroups.Put(tx, &model.SecurityGroup{Meta: own("sg-1"), VPC: "vpc-none", Name: "x"})
		},
		func(w *ec2test.Network) error {
			return ec2test.Failure(w.API.DeleteSecurityGroup(w.Ctx, &shape.DeleteSecurityGroupInput{GroupId: new("sg-1")}))
		},
		"DependencyViolation",
	},
	"network-interface": {
		func(tx *table.Txn) { state.NetworkInterfaces.Put(tx, &model.NetworkInterface{Meta: own("eni-1")}) },
		func(w *ec2test.Network) error {
			return ec2test.Failure(w.API.DeleteNetworkInterface(w.Ctx, &shape.DeleteNetworkInterfaceInput{NetworkInterfaceId: new("eni-1")}))
		},
		"InvalidNetworkInterface.InUse",
	},
	"dhcp-options": {
		func(tx *table.Txn) { state.DHCPOptions.Put(tx, &model.DHCPOptions{Meta: own("dopt-1")}) },
		func(w *ec2test.Network) error {
			return ec2test.Failure(w.API.DeleteDhcpOptions(w.Ctx, &shape.DeleteDhcpOptionsInput{DhcpOptionsId: new("dopt-1")}))
		},
		"DependencyViolation",
	},
	"route-table": {
		func(tx *table.Txn) {
			state.RouteTables.Put(tx, &model.RouteTable{Meta: own("rtb-1"), VPC: "vpc-none"})
		},
		func(w *ec2test.Network) error {
			return ec2test.Failure(w.API.DeleteRouteTable(w.Ctx, &shape.DeleteRouteTableInput{RouteTableId: new("rtb-1")}))
		},
		"DependencyViolation",
	},
	"prefix-list": {
		func(tx *table.Txn) { state.PrefixLists.Put(tx, &model.PrefixList{Meta: own("pl-1")}) },
		func(w *ec2test.Network) error {
			return ec2test.Failure(w.API.DeleteManagedPrefixList(w.Ctx, &shape.DeleteManagedPrefixListInput{PrefixListId: new("pl-1")}))
		},
		"DependencyViolation",
	},
	"network-acl": {
		func(tx *table.Txn) { state.NetworkACLs.Put(tx, &model.NetworkACL{Meta: own("acl-1"), VPC: "vpc-none"}) },
		func(w *ec2test.Network) error {
			return ec2test.Failure(w.API.DeleteNetworkAcl(w.Ctx, &shape.DeleteNetworkAclInput{NetworkAclId: new("acl-1")}))
		},
		"DependencyViolation",
	},
	"internet-gateway": {
		func(tx *table.Txn) { state.InternetGateways.Put(tx, &model.InternetGateway{Meta: own("igw-1")}) },
		func(w *ec2test.Network) error {
			return ec2test.Failure(w.API.DeleteInternetGateway(w.Ctx, &shape.DeleteInternetGatewayInput{InternetGatewayId: new("igw-1")}))
		},
		"DependencyViolation",
	},
	"resource-gateway": {
		func(tx *table.Txn) { state.ResourceGateways.Put(tx, &model.ResourceGateway{Meta: own("rgw-1")}) },
		func(w *ec2test.Network) error {
			return ec2test.Failure(w.Lattice().DeleteResourceGateway(w.Ctx, &lattice.DeleteResourceGatewayInput{ResourceGatewayIdentifier: new("rgw-1")}))
		},
		"ConflictException",
	},
	"resource-configuration": {
		func(tx *table.Txn) {
			state.ResourceConfigurations.Put(tx, &model.ResourceConfiguration{Meta: own("rcfg-1")})
		},
		func(w *ec2test.Network) error {
			return ec2test.Failure(w.Lattice().DeleteResourceConfiguration(w.Ctx, &lattice.DeleteResourceConfigurationInput{ResourceConfigurationIdentifier: new("rcfg-1")}))
		},
		"ConflictException",
	},
}

// holders makes a row for each relation that holds what it names, and says what the
// error calls it.
var holders = map[string]struct {
	text string
	put  func(*table.Txn)
}{
	"vpc dhcp-options": {"VPC x", func(tx *table.Txn) { state.VPCs.Put(tx, &model.VPC{Meta: own("x"), DHCPOptions: "dopt-1"}) }},
	"subnet vpc":       {"subnet x", func(tx *table.Txn) { state.Subnets.Put(tx, &model.Subnet{Meta: own("x"), VPC: "vpc-1"}) }},
	"route-table prefix-list": {"route table x", func(tx *table.Txn) {
		state.RouteTables.Put(tx, &model.RouteTable{Meta: own("x"), Routes: []model.Route{{PrefixList: "pl-1"}}})
	}},
	"route-table-association table": {"route table association x", func(tx *table.Txn) {
		state.RouteTableAssociations.Put(tx, &model.RouteTableAssociation{Account: servicetest.Account, Region: servicetest.Region, ID: "x", Table: "rtb-1"})
	}},
	"security-group prefix-list": {"security group x", func(tx *table.Txn) {
		state.SecurityGroups.Put(tx, &model.SecurityGroup{Meta: own("x"), Rules: []model.SecurityGroupRule{{PrefixList: "pl-1"}}})
	}},
	"route-table vpc":    {"route table x", func(tx *table.Txn) { state.RouteTables.Put(tx, &model.RouteTable{Meta: own("x"), VPC: "vpc-1"}) }},
	"network-acl vpc":    {"network ACL x", func(tx *table.Txn) { state.NetworkACLs.Put(tx, &model.NetworkACL{Meta: own("x"), VPC: "vpc-1"}) }},
	"security-group vpc": {"security group x", func(tx *table.Txn) { state.SecurityGroups.Put(tx, &model.SecurityGroup{Meta: own("x"), VPC: "vpc-1"}) }},
	"security-group referenced": {"a rule of security group x", func(tx *table.Txn) {
		state.SecurityGroups.Put(tx, &model.SecurityGroup{Meta: own("x"), Rules: []model.SecurityGroupRule{{Group: "sg-1"}}})
	}},
	"network-interface vpc": {"network interface x", func(tx *table.Txn) {
		state.NetworkInterfaces.Put(tx, &model.NetworkInterface{Meta: own("x"), VPC: "vpc-1"})
	}},
	"network-interface subnet": {"network interface x", func(tx *table.Txn) {
		state.NetworkInterfaces.Put(tx, &model.NetworkInterface{Meta: own("x"), Subnet: "subnet-1"})
	}},
	"network-interface group": {"network interface x", func(tx *table.Txn) {
		state.NetworkInterfaces.Put(tx, &model.NetworkInterface{Meta: own("x"), Groups: []string{"sg-1"}})
	}},
	"vpc-peering-connection vpc": {"VPC peering connection x", func(tx *table.Txn) {
		state.PeeringConnections.Put(tx, &model.PeeringConnection{Meta: own("x"), Requester: model.PeeringSide{Account: servicetest.Account, VPC: "vpc-1"}, Code: model.PeeringActive})
	}},
	"internet-gateway vpc": {"internet gateway x", func(tx *table.Txn) {
		state.InternetGateways.Put(tx, &model.InternetGateway{Meta: own("x"), VPC: "vpc-1"})
	}},
	"egress-only-internet-gateway vpc": {"egress only internet gateway x", func(tx *table.Txn) {
		state.EgressOnlyGateways.Put(tx, &model.EgressOnlyGateway{Meta: own("x"), VPC: "vpc-1"})
	}},
	"route-table-association gateway": {"route table association x", func(tx *table.Txn) {
		state.RouteTableAssociations.Put(tx, &model.RouteTableAssociation{Account: servicetest.Account, Region: servicetest.Region, ID: "x", Gateway: "igw-1"})
	}},
	"resource-gateway vpc": {"resource gateway x", func(tx *table.Txn) {
		state.ResourceGateways.Put(tx, &model.ResourceGateway{Meta: own("x"), VPC: "vpc-1"})
	}},
	"resource-gateway subnet": {"resource gateway x", func(tx *table.Txn) {
		state.ResourceGateways.Put(tx, &model.ResourceGateway{Meta: own("x"), Subnets: []string{"subnet-1"}})
	}},
	"resource-gateway group": {"resource gateway x", func(tx *table.Txn) {
		state.ResourceGateways.Put(tx, &model.ResourceGateway{Meta: own("x"), Groups: []string{"sg-1"}})
	}},
	"load-balancer vpc": {"load balancer x", func(tx *table.Txn) {
		state.LoadBalancers.Put(tx, &model.LoadBalancer{Meta: own("x"), VPC: "vpc-1"})
	}},
	"load-balancer subnet": {"load balancer x", func(tx *table.Txn) {
		state.LoadBalancers.Put(tx, &model.LoadBalancer{Meta: own("x"), Subnets: []string{"subnet-1"}})
	}},
	"load-balancer group": {"load balancer x", func(tx *table.Txn) {
		state.LoadBalancers.Put(tx, &model.LoadBalancer{Meta: own("x"), Groups: []string{"sg-1"}})
	}},
	"vpc-endpoint vpc": {"VPC endpoint x", func(tx *table.Txn) { state.VPCEndpoints.Put(tx, &model.VPCEndpoint{Meta: own("x"), VPC: "vpc-1"}) }},
	"vpc-endpoint group": {"VPC endpoint x", func(tx *table.Txn) {
		state.VPCEndpoints.Put(tx, &model.VPCEndpoint{Meta: own("x"), Groups: []string{"sg-1"}})
	}},
	"network-acl-association acl": {"network ACL association x", func(tx *table.Txn) {
		state.NetworkACLAssociations.Put(tx, &model.NetworkACLAssociation{Account: servicetest.Account, Region: servicetest.Region, ID: "x", ACL: "acl-1", Subnet: "subnet-none"})
	}},
	"address-claim subnet": {"address 10.0.0.9", func(tx *table.Txn) {
		state.AddressClaims.Put(tx, &model.AddressClaim{Account: servicetest.Account, Region: servicetest.Region, Subnet: "subnet-1", Addr: netip.MustParseAddr("10.0.0.9")})
	}},
	"attachment interface": {"it is attached", func(tx *table.Txn) {
		state.Attachments.Put(tx, &model.Attachment{Account: servicetest.Account, Region: servicetest.Region, Interface: "eni-1"})
	}},
	"resource-configuration gateway": {"1 resource configuration(s)", func(tx *table.Txn) {
		state.ResourceConfigurations.Put(tx, &model.ResourceConfiguration{Meta: own("x"), Gateway: "rgw-1"})
	}},
	"resource-configuration group": {"1 resource configuration(s)", func(tx *table.Txn) {
		state.ResourceConfigurations.Put(tx, &model.ResourceConfiguration{Meta: own("x"), Group: "rcfg-1"})
	}},
	"db-subnet-group subnet": {"DB subnet group x", func(tx *table.Txn) {
		state.DBSubnetGroups.Put(tx, &model.DBSubnetGroup{Meta: own("x"), Subnets: []string{"subnet-1"}})
	}},
	"db-cluster vpc": {"DB cluster x", func(tx *table.Txn) {
		state.DBClusters.Put(tx, &model.DBCluster{Meta: own("x"), Database: model.Database{VPC: "vpc-1"}})
	}},
	"db-cluster group": {"DB cluster x", func(tx *table.Txn) {
		state.DBClusters.Put(tx, &model.DBCluster{Meta: own("x"), Database: model.Database{Groups: []string{"sg-1"}}})
	}},
	"db-instance vpc": {"DB instance x", func(tx *table.Txn) {
		state.DBInstances.Put(tx, &model.DBInstance{Meta: own("x"), Database: model.Database{VPC: "vpc-1"}})
	}},
	"endpoint-association configuration": {"1 resource endpoint association(s)", func(tx *table.Txn) {
		state.EndpointAssociations.Put(tx, &model.EndpointAssociation{Meta: own("x"), Configuration: own("rcfg-1").Ref()})
	}},
}

// elsewhere reports whether a kind is of a service that has tests of its own for what is
// tested here.
func elsewhere(kind string) bool {
	return slices.ContainsFunc(slices.Concat(state.TaggedIn(state.IAM), state.TaggedIn(state.RAM), state.TaggedIn(state.Organization), state.TaggedIn(state.RDS), state.TaggedIn(state.Balancing)), func(k *state.Tagged) bool { return k.Table == kind })
}

// TestWhatIsHeldIsNotDeleted walks the relations of all tables: what holds
// something keeps users from deleting it, which the error says, and without the holder it
// can be deleted.
func TestWhatIsHeldIsNotDeleted(t *testing.T) {
	held := map[string]bool{}
	for _, r := range state.Relations() {
		if r.Rule != state.Holds || slices.ContainsFunc(r.To, elsewhere) {
			continue
		}
		hold, ok := holders[r.From+" "+r.Name]
		if !ok {
			t.Errorf("nothing here holds by %s of %s", r.Name, r.From)
			continue
		}
		for _, kind := range r.To {
			target, ok := removals[kind]
			if !ok {
				t.Errorf("%s of %s holds a %s, and nothing here deletes one", r.Name, r.From, kind)
				continue
			}
			held[kind] = true
			w := ec2test.NewNetwork(t)
			w.Put(t, func(tx *table.Txn) { target.row(tx); hold.put(tx) })
			w.Refused(t, r.From+" holds "+kind, target.code, func() error {
				err := target.call(w)
				if err != nil && !strings.HasSuffix(err.Error(), hold.text) {
					t.Errorf("%s holds %s: got %v, want it to end with %q", r.From, kind, err, hold.text)
				}
				return err
			})
		}
	}
	for kind, target := range removals {
		if !held[kind] {
			t.Errorf("nothing holds a %s", kind)
		}
		w := ec2test.NewNetwork(t)
		w.Put(t, target.row)
		if err := target.call(w); err != nil {
			t.Errorf("%s that nothing holds: %v", kind, err)
		}
	}
}

// TestPartsHoldNothing deletes a VPC with what came with it.
func TestPartsHoldNothing(t *testing.T) {
	n := ec2test.NewNetwork(t)
	if err := ec2test.Failure(n.API.DeleteVpc(n.Ctx, &shape.DeleteVpcInput{VpcId: n.Net.VpcId})); err != nil {
		t.Fatal(err)
	}
	tx := n.DB.Snapshot()
	for _, r := range state.Relations() {
		if slices.Contains(r.To, "vpc") {
			for row, ref := range r.Dangling(tx) {
				account, region, id := row.RowKey()
				t.Errorf("%s %s/%s/%s still names %s", r.From, account, region, id, ref.ID)
			}
		}
	}
}
