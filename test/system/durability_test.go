// SPDX-License-Identifier: Apache-2.0

package system

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/aws/shape/ec2"
	lattice "github.com/posternhq/postern/internal/aws/shape/vpclattice"
	"github.com/posternhq/postern/test/postern"
)

// acknowledged is what Postern has said yes to.
type acknowledged struct {
	groups, interfaces, configurations, endpoints []string
	configurationNames                            []string
}

// What was acknowledged is there after a kill at any moment, what was not can
// be asked for again, and nothing half-made stands in the way of deleting all.
func TestNothingAcknowledgedIsLost(t *testing.T) {
	s := newPair(t)
	var have acknowledged
	for round := range 4 {
		stopped := make(chan struct{})
		go func() {
			defer close(stopped)
			have.grow(s, round)
		}()
		time.Sleep(time.Duration(50+rand.IntN(400)) * time.Millisecond)
		s.Kill()
		<-stopped
		s.Up()
		have.check(t, s)
	}
	t.Logf("%d groups, %d interfaces, %d configurations, %d endpoints",
		len(have.groups), len(have.interfaces), len(have.configurations), len(have.endpoints))
	expectAnswer(t, s.client, at(s.endpoint.Address()))
	for _, name := range have.configurationNames { // those that are there, and those that are not
		if err := s.Do(lattice.Service, "CreateResourceConfiguration", configuration(s, name), nil); err != nil && postern.Code(err) != "ConflictException" {
			t.Errorf("make %s again: %v", name, err)
		}
	}
	deleteAll(t, s)
}

// grow makes things until the first call that fails.
func (a *acknowledged) grow(s *pair, round int) {
	for i := 0; ; i++ {
		name := fmt.Sprintf("thing-%d-%d", round, i)
		var group ec2.CreateSecurityGroupOutput
		if s.Do(ec2.Service, "CreateSecurityGroup", &ec2.CreateSecurityGroupInput{VpcId: &s.consumer.ID, GroupName: &name, Description: &name}, &group) != nil {
			return
		}
		a.groups = append(a.groups, *group.GroupId)
		var eni ec2.CreateNetworkInterfaceOutput
		if s.Do(ec2.Service, "CreateNetworkInterface", &ec2.CreateNetworkInterfaceInput{SubnetId: &s.clients.ID, Groups: []string{*group.GroupId}}, &eni) != nil {
			return
		}
		a.interfaces = append(a.interfaces, *eni.NetworkInterface.NetworkInterfaceId)
		var rc lattice.CreateResourceConfigurationOutput
		a.configurationNames = append(a.configurationNames, name)
		if s.Do(lattice.Service, "CreateResourceConfiguration", configuration(s, name), &rc) != nil {
			return
		}
		a.configurations = append(a.configurations, *rc.Id)
		var endpoint ec2.CreateVpcEndpointOutput
		if s.Do(ec2.Service, "CreateVpcEndpoint", &ec2.CreateVpcEndpointInput{
			VpcId: &s.consumer.ID, VpcEndpointType: new(ec2.VpcEndpointTypeResource), ResourceConfigurationArn: rc.Arn, SubnetIds: []string{s.clients.ID},
		}, &endpoint) != nil {
			return
		}
		a.endpoints = append(a.endpoints, *endpoint.VpcEndpoint.VpcEndpointId)
	}
}

func configuration(s *pair, name string) *lattice.CreateResourceConfigurationInput {
	return &lattice.CreateResourceConfigurationInput{
		Name: &name, Type: new(lattice.ResourceConfigurationTypeSingle), ResourceGatewayIdentifier: &s.gateway.ID, PortRanges: []string{"5432"},
		ResourceConfigurationDefinition: &lattice.ResourceConfigurationDefinition{IpResource: &lattice.IpResource{IpAddress: new("10.0.200.10")}},
	}
}

// check asks for everything by its identifier; what is not there is an error.
func (a *acknowledged) check(t *testing.T, s *pair) {
	t.Helper()
	describe := func(operation string, in any) {
		t.Helper()
		if err := s.Do(ec2.Service, operation, in, nil); err != nil {
			t.Errorf("%s: %v", operation, err)
		}
	}
	if len(a.groups) > 0 {
		describe("DescribeSecurityGroups", &ec2.DescribeSecurityGroupsInput{GroupIds: a.groups})
	}
	if len(a.interfaces) > 0 {
		describe("DescribeNetworkInterfaces", &ec2.DescribeNetworkInterfacesInput{NetworkInterfaceIds: a.interfaces})
	}
	if len(a.endpoints) > 0 {
		describe("DescribeVpcEndpoints", &ec2.DescribeVpcEndpointsInput{VpcEndpointIds: a.endpoints})
	}
	for _, id := range a.configurations {
		err := s.Do(lattice.Service, "GetResourceConfiguration", &lattice.GetResourceConfigurationInput{ResourceConfigurationIdentifier: &id}, nil)
		if err != nil {
			t.Errorf("configuration %s: %v", id, err)
		}
	}
}

// deleteAll takes both VPCs apart and wants every step to work.
func deleteAll(t *testing.T, s *pair) {
	t.Helper()
	var endpoints []string
	for _, e := range postern.Call[ec2.DescribeVpcEndpointsOutput](s.Postern, ec2.Service, "DescribeVpcEndpoints", &ec2.DescribeVpcEndpointsInput{}).VpcEndpoints {
		endpoints = append(endpoints, *e.VpcEndpointId)
	}
	out := postern.Call[ec2.DeleteVpcEndpointsOutput](s.Postern, ec2.Service, "DeleteVpcEndpoints", &ec2.DeleteVpcEndpointsInput{VpcEndpointIds: endpoints})
	for _, u := range out.Unsuccessful {
		t.Errorf("delete %s: %s", *u.ResourceId, *u.Error.Message)
	}
	s.Await("configurations to go", func() (bool, error) {
		page := postern.Call[lattice.ListResourceConfigurationsOutput](s.Postern, lattice.Service, "ListResourceConfigurations", &lattice.ListResourceConfigurationsInput{})
		for _, c := range page.Items {
			if c.AmazonManaged != nil && *c.AmazonManaged {
				continue // which goes with its database's
			}
			err := s.Do(lattice.Service, "DeleteResourceConfiguration", &lattice.DeleteResourceConfigurationInput{ResourceConfigurationIdentifier: c.Id}, nil)
			if !passing(err) {
				return false, err
			}
		}
		return len(page.Items) == 0, nil
	})
	s.Await("the gateway to go", func() (bool, error) {
		err := s.Do(lattice.Service, "DeleteResourceGateway", &lattice.DeleteResourceGatewayInput{ResourceGatewayIdentifier: &s.gateway.ID}, nil)
		if passing(err) {
			return err == nil, nil
		}
		return false, err
	})
	deleteDatabases(s.Postern)
	deleteServices(s.Postern)
	deleteNetworks(t, s)
	s.Await("an empty kernel", func() (bool, error) { return len(s.Routers()) == 0, nil })
}

func deleteNetworks(t *testing.T, s *pair) {
	t.Helper()
	for _, w := range []*postern.Workload{s.client, s.server} {
		if r := s.Command("detach", w.ENI); r.Status != 0 {
			t.Errorf("detach %s: %s", w.ENI, r.Stderr)
		}
	}
	deleteOutside(s.Postern)
	for _, v := range []*postern.VPC{s.consumer, s.provider} {
		s.Await("interfaces of services to go", func() (bool, error) {
			return !slices.ContainsFunc(s.Interfaces("vpc-id", v.ID), func(ni ec2.NetworkInterface) bool { return *ni.RequesterManaged }), nil
		})
		for _, ni := range s.Interfaces("vpc-id", v.ID) {
			postern.Call[ec2.DeleteNetworkInterfaceOutput](s.Postern, ec2.Service, "DeleteNetworkInterface", &ec2.DeleteNetworkInterfaceInput{NetworkInterfaceId: ni.NetworkInterfaceId})
		}
		filter := []ec2.Filter{{Name: new("vpc-id"), Values: []string{v.ID}}}
		for _, g := range postern.Call[ec2.DescribeSecurityGroupsOutput](s.Postern, ec2.Service, "DescribeSecurityGroups", &ec2.DescribeSecurityGroupsInput{Filters: filter}).SecurityGroups {
			if *g.GroupName != "default" {
				postern.Call[ec2.DeleteSecurityGroupOutput](s.Postern, ec2.Service, "DeleteSecurityGroup", &ec2.DeleteSecurityGroupInput{GroupId: g.GroupId})
			}
		}
		for _, n := range postern.Call[ec2.DescribeSubnetsOutput](s.Postern, ec2.Service, "DescribeSubnets", &ec2.DescribeSubnetsInput{Filters: filter}).Subnets {
			postern.Call[ec2.DeleteSubnetOutput](s.Postern, ec2.Service, "DeleteSubnet", &ec2.DeleteSubnetInput{SubnetId: n.SubnetId})
		}
		deleteTables(s.Postern, filter)
		deleteACLs(s.Postern, filter)
		postern.Call[ec2.DeleteVpcOutput](s.Postern, ec2.Service, "DeleteVpc", &ec2.DeleteVpcInput{VpcId: &v.ID})
	}
}

// passing reports that there is no error, or one that goes by itself when what
// is being deleted is gone.
func passing(err error) bool {
	code := postern.Code(err)
	return err == nil || code == "ConflictException" || code == "ResourceNotFoundException"
}
