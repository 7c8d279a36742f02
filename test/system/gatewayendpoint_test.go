// SPDX-License-Identifier: Apache-2.0

package system

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/test/postern"
	"github.com/posternhq/postern/test/testnet"
)

// TestAGatewayEndpointIsForSubnetsWithItsRoute registers a server of the host as S3, which
// subnets of a VPC reach at the address of AWS's list whose route table leads there, and no
// others. What was connected ends with the route.
func TestAGatewayEndpointIsForSubnetsWithItsRoute(t *testing.T) {
	testnet.Require(t)
	p := postern.Start(t)
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	go testnet.Answer(server)
	const name, at, nowhere = "com.amazonaws.us-east-1.s3", "198.51.100.1", "198.51.100.2"
	expectCommand(t, p, 0, name, "service", "register", name, "--target", server.Addr().String(), "--port", "443")
	vpc := p.VPC("10.0.0.0/16")
	open := vpc.OpenGroup()
	led, other := vpc.Subnet(0, "10.0.1.0/24"), vpc.Subnet(0, "10.0.2.0/24")
	table := vpc.RouteTable(led)
	inside, outside := led.Workload("10.0.1.10", open), other.Workload("10.0.2.10", open)
	made := postern.Call[ec2.CreateVpcEndpointOutput](p, ec2.Service, "CreateVpcEndpoint", &ec2.CreateVpcEndpointInput{
		VpcId: &vpc.ID, ServiceName: new(name), RouteTableIds: []string{table},
	})
	id := made.VpcEndpoint.VpcEndpointId
	p.Await("the endpoint", func() (bool, error) {
		out := postern.Call[ec2.DescribeVpcEndpointsOutput](p, ec2.Service, "DescribeVpcEndpoints", &ec2.DescribeVpcEndpointsInput{VpcEndpointIds: []string{*id}})
		return *out.VpcEndpoints[0].State == "available", nil
	})
	kept := dialRelay(t, inside, at)
	if _, err := testnet.AskOn(kept); err != nil {
		t.Errorf("with the route: %v", err)
	}
	tries := func(w *postern.Workload, addr string) error {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		c, err := w.Dial(ctx, "tcp", net.JoinHostPort(addr, "443"))
		if err == nil {
			c.Close()
		}
		return err
	}
	if tries(outside, at) == nil {
		t.Error("a subnet without the route is led there")
	}
	if tries(inside, nowhere) == nil {
		t.Error("another address of the list leads somewhere")
	}
	p.Verify()
	postern.Call[ec2.ModifyVpcEndpointOutput](p, ec2.Service, "ModifyVpcEndpoint", &ec2.ModifyVpcEndpointInput{VpcEndpointId: id, RemoveRouteTableIds: []string{table}})
	if _, err := io.ReadAll(kept); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("a connection outlives the route")
	}
	p.Await("the end of the way", func() (bool, error) { return tries(inside, at) != nil, nil })
	p.Verify()
}
