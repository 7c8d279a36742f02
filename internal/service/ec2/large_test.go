// SPDX-License-Identifier: Apache-2.0

package ec2_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/ec2/ec2test"
	"github.com/posternhq/postern/internal/service/servicetest"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/store"
	"github.com/posternhq/postern/internal/store/etcdstore"
	"github.com/posternhq/postern/test/cluster"
)

// newNetworkOnCluster is a network whose state is in a cluster with etcd's own limit,
// 128 operations in a transaction.
func newNetworkOnCluster(t *testing.T) *ec2test.Network {
	t.Helper()
	s, err := etcdstore.Open(t.Context(), etcdstore.Config{Endpoints: []string{cluster.Start(t, 0)}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return ec2test.NewNetworkOn(t, s)
}

// excessive checks that a call is refused as too large, with words for clients, and
// changes nothing.
func excessive(t *testing.T, n *ec2test.Network, name string, call func() error) {
	t.Helper()
	before := n.Dump(t)
	err := call()
	var words interface{ Excessive() string }
	if !errors.Is(err, store.ErrTooLarge) || !errors.As(err, &words) {
		t.Errorf("%s: got %v, want that it is too large", name, err)
	}
	if after := n.Dump(t); len(after) != len(before) {
		t.Errorf("%s: %d rows, there were %d", name, len(after), len(before))
	}
}

// addSubnets makes subnets of both families in zones of their own.
func addSubnets(t *testing.T, n *ec2test.Network, many int) (ids []string) {
	t.Helper()
	zones := n.Zones
	n.Zones = func(region string) (all []service.Zone) {
		if region != servicetest.Region {
			return zones(region)
		}
		for i := range many {
			all = append(all, service.Zone{Name: region + string(rune('a'+i)), ID: fmt.Sprintf("use1-az%d", i+1)})
		}
		return all
	}
	for i := range many {
		ids = append(ids, n.AddSubnet(t, n.Net, string(rune('a'+i)), fmt.Sprintf("10.0.%d.0/24", 100+i), 100+i))
	}
	return ids
}

// TestLargeCallsOnACluster makes the largest calls that clients can: those which the
// API counts as one are made whole, or refused as too large; those of many parts are
// made in pieces.
func TestLargeCallsOnACluster(t *testing.T) {
	n := newNetworkOnCluster(t)
	n.Quotas.EndpointsPerVPC = 200
	p := n.AddProvider(t, "db", "IPV4", "10.0.1.10")
	subnets := addSubnets(t, n, 16)

	in := n.EndpointInput(p, subnets...)
	var groups []string
	for i := range n.Quotas.GroupsPerInterface {
		groups = append(groups, n.AddGroup(t, n.Net, fmt.Sprintf("g%d", i)))
	}
	in.IpAddressType, in.SecurityGroupIds, in.ClientToken = new("dualstack"), groups, new("once")
	endpoint := n.AddEndpoint(t, in)
	if got := len(endpoint.SubnetIds); got != 16 {
		t.Errorf("an endpoint in %d subnets, want 16", got)
	}
	if _, err := n.API.ModifyVpcEndpoint(n.Ctx, &shape.ModifyVpcEndpointInput{VpcEndpointId: endpoint.VpcEndpointId, RemoveSecurityGroupIds: groups[1:]}); err != nil {
		t.Errorf("modify an endpoint in 16 subnets: %v", err)
	}

	ids := []string{*endpoint.VpcEndpointId}
	for range 150 {
		ids = append(ids, *n.AddEndpoint(t, n.EndpointInput(p, subnets[0])).VpcEndpointId)
	}
	if _, err := n.API.CreateTags(n.Ctx, &shape.CreateTagsInput{Resources: ids, Tags: []shape.Tag{{Key: new("k"), Value: new("v")}}}); err != nil {
		t.Errorf("tag %d endpoints: %v", len(ids), err)
	}
	out, err := n.API.DeleteVpcEndpoints(n.Ctx, &shape.DeleteVpcEndpointsInput{VpcEndpointIds: ids})
	if err != nil || len(out.Unsuccessful) > 0 {
		t.Errorf("delete %d endpoints: %+v, %v", len(ids), out, err)
	}
}

// TestRulesThatReferToManyGroups: as many as a group can have by default fit, more are
// refused when the quota lets them pass, and the group is as it was.
func TestRulesThatReferToManyGroups(t *testing.T) {
	n := newNetworkOnCluster(t)
	group := n.AddGroup(t, n.Net, "many")
	var permissions []shape.IpPermission
	for i := range 130 {
		permissions = append(permissions, shape.IpPermission{
			IpProtocol: new("tcp"), FromPort: new(int32(i + 1)), ToPort: new(int32(i + 1)),
			UserIdGroupPairs: []shape.UserIdGroupPair{{GroupId: new(n.AddGroup(t, n.Net, fmt.Sprint("other", i)))}},
		})
	}
	authorize := func(permissions []shape.IpPermission) error {
		_, err := n.API.AuthorizeSecurityGroupIngress(n.Ctx, &shape.AuthorizeSecurityGroupIngressInput{GroupId: &group, IpPermissions: permissions})
		return err
	}
	if err := authorize(permissions[:60]); err != nil {
		t.Errorf("60 rules: %v", err)
	}
	n.Quotas.RulesPerGroup = 200
	excessive(t, n, "130 rules", func() error {
		_, err := n.API.RevokeSecurityGroupIngress(n.Ctx, &shape.RevokeSecurityGroupIngressInput{GroupId: &group, IpPermissions: permissions[:60]})
		if err != nil {
			t.Errorf("revoke 60 rules: %v", err)
		}
		return authorize(permissions)
	})
}

// TestInterfaceWithManyAddresses: an interface is made with as many addresses as a
// transaction has room for, gets more by further calls, and is deleted at once.
func TestInterfaceWithManyAddresses(t *testing.T) {
	n := newNetworkOnCluster(t)
	subnet := n.AddSubnet(t, n.Net, "a", "10.0.16.0/20", 16)
	excessive(t, n, "20 prefixes", func() error {
		_, err := n.API.CreateNetworkInterface(n.Ctx, &shape.CreateNetworkInterfaceInput{SubnetId: &subnet, Ipv4PrefixCount: new(int32(20))})
		return err
	})
	made, err := n.API.CreateNetworkInterface(n.Ctx, &shape.CreateNetworkInterfaceInput{SubnetId: &subnet, Ipv4PrefixCount: new(int32(5)), Ipv6AddressCount: new(int32(10))})
	if err != nil {
		t.Fatal(err)
	}
	id := made.NetworkInterface.NetworkInterfaceId
	for range 5 {
		if _, err := n.API.AssignPrivateIpAddresses(n.Ctx, &shape.AssignPrivateIpAddressesInput{NetworkInterfaceId: id, Ipv4PrefixCount: new(int32(5))}); err != nil {
			t.Fatal(err)
		}
	}
	if got := state.AddressClaims.CountScope(n.DB.Snapshot(), servicetest.Account, servicetest.Region); got != 30*16+1+10 {
		t.Errorf("%d addresses are claimed, want %d", got, 30*16+1+10)
	}
	begun := time.Now()
	if _, err := n.API.DeleteNetworkInterface(n.Ctx, &shape.DeleteNetworkInterfaceInput{NetworkInterfaceId: id}); err != nil {
		t.Fatalf("delete an interface with 30 prefixes: %v", err)
	}
	t.Logf("deleted in %v", time.Since(begun))
	tx := n.DB.Snapshot()
	if got := state.AddressClaims.CountScope(tx, servicetest.Account, servicetest.Region) + state.NetworkInterfaces.CountScope(tx, servicetest.Account, servicetest.Region); got != 0 {
		t.Errorf("%d claims and interfaces are left", got)
	}
}

// TestALargeCallHarmsNobody: what comes together with a call that is too large is done
// all the same.
func TestALargeCallHarmsNobody(t *testing.T) {
	n := newNetworkOnCluster(t)
	subnet := n.AddSubnet(t, n.Net, "a", "10.0.16.0/20", 16)
	var all sync.WaitGroup
	for i := range 40 {
		all.Go(func() {
			in := &shape.CreateNetworkInterfaceInput{SubnetId: &subnet, SecondaryPrivateIpAddressCount: new(int32(20))}
			if i%4 == 0 {
				in = &shape.CreateNetworkInterfaceInput{SubnetId: &subnet, Ipv4PrefixCount: new(int32(20))}
			}
			_, err := n.API.CreateNetworkInterface(n.Ctx, in)
			if i%4 == 0 && !errors.Is(err, store.ErrTooLarge) || i%4 != 0 && err != nil {
				t.Errorf("call %d: %v", i, err)
			}
		})
	}
	all.Wait()
	if got := state.NetworkInterfaces.CountScope(n.DB.Snapshot(), servicetest.Account, servicetest.Region); got != 30 {
		t.Errorf("%d interfaces are made, want 30", got)
	}
}
