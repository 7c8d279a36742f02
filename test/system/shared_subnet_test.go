// SPDX-License-Identifier: Apache-2.0

package system

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/aws/shape/organizations"
	"github.com/posternhq/postern/internal/aws/shape/ram"
	"github.com/posternhq/postern/test/postern"
)

// fromGroup admits TCP to a port from a group, of another account when one is given.
func fromGroup(port int32, group, account string) []ec2.IpPermission {
	pair := ec2.UserIdGroupPair{GroupId: &group}
	if account != "" {
		pair.UserId = &account
	}
	return []ec2.IpPermission{{IpProtocol: new("tcp"), FromPort: &port, ToPort: &port, UserIdGroupPairs: []ec2.UserIdGroupPair{pair}}}
}

// TestWorkloadsInSharedSubnets has a workload of one account in a subnet of another: packets
// pass between it and the owner's as the security groups of both say, also when the subnet is
// not shared any more, and for as long as its interface is there the subnet stays.
func TestWorkloadsInSharedSubnets(t *testing.T) {
	p := postern.Start(t)
	guest := p.Tenant(stranger).Caller()
	if r := p.Command("account", "trust", stranger); r.Status != 0 {
		t.Fatal(r.Stderr)
	}
	postern.Call[organizations.CreateOrganizationOutput](p, organizations.Service, "CreateOrganization", &organizations.CreateOrganizationInput{})
	postern.Call[ram.EnableSharingWithAwsOrganizationOutput](p, ram.Service, "EnableSharingWithAwsOrganization", &ram.EnableSharingWithAwsOrganizationInput{})
	vpc := p.VPC("10.0.0.0/16")
	subnet := vpc.Subnet(0, "10.0.1.0/24")
	share := subnet.Share(stranger)
	shared := subnet.As(guest)
	clients := shared.VPC.Group("clients", nil, postern.Open)
	client := shared.Workload("10.0.1.10", clients)
	bystander := shared.Workload("10.0.1.11", shared.VPC.Group("others", nil, postern.Open))
	server := subnet.Workload("10.0.1.20", vpc.Group("servers", fromGroup(80, clients, stranger), postern.Open))
	server.Serve(80)

	var conn net.Conn
	p.Await("the participant to reach the owner", func() (bool, error) {
		var err error
		conn, err = client.Dial(context.Background(), "tcp", "10.0.1.20:80")
		return err == nil, nil
	})
	defer conn.Close()
	line := make([]byte, 128)
	n, err := conn.Read(line)
	if err != nil || !strings.Contains(string(line[:n]), "10.0.1.10:") {
		t.Fatalf("the server saw %q, %v", line[:n], err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if c, err := bystander.Dial(ctx, "tcp", "10.0.1.20:80"); err == nil {
		c.Close()
		t.Error("a workload of the participant gets through that is not in the group")
	}

	p.Unshare(share)
	if _, err := io.WriteString(conn, "still\n"); err != nil {
		t.Error(err)
	}
	if n, err := conn.Read(line); err != nil || string(line[:n]) != "still\n" {
		t.Errorf("after unsharing the connection gives %q, %v", line[:n], err)
	}
	err = guest.Do(ec2.Service, "CreateNetworkInterface", &ec2.CreateNetworkInterfaceInput{SubnetId: &subnet.ID, Groups: []string{clients}}, nil)
	if postern.Code(err) != "InvalidSubnetID.NotFound" {
		t.Errorf("a new interface: got %v, want InvalidSubnetID.NotFound", err)
	}
	err = p.Do(ec2.Service, "DeleteSubnet", &ec2.DeleteSubnetInput{SubnetId: &subnet.ID}, nil)
	if postern.Code(err) != "DependencyViolation" {
		t.Errorf("deleting the subnet: got %v, want DependencyViolation", err)
	}
	p.Verify()
}

// TestRunInASharedSubnet has the command line of a participant run a program there.
func TestRunInASharedSubnet(t *testing.T) {
	p := postern.Start(t)
	tenant := p.Tenant(stranger)
	guest := tenant.Caller()
	if r := p.Command("account", "trust", stranger); r.Status != 0 {
		t.Fatal(r.Stderr)
	}
	postern.Call[organizations.CreateOrganizationOutput](p, organizations.Service, "CreateOrganization", &organizations.CreateOrganizationInput{})
	postern.Call[ram.EnableSharingWithAwsOrganizationOutput](p, ram.Service, "EnableSharingWithAwsOrganization", &ram.EnableSharingWithAwsOrganizationInput{})
	subnet := p.VPC("10.0.0.0/16").Subnet(0, "10.0.1.0/24")
	subnet.Share(stranger)
	group := subnet.As(guest).VPC.OpenGroup()
	r := tenant.CommandAs(0, "run", "--subnet", subnet.ID, "--security-group", group, "--private-ip", "10.0.1.30", "--", "ip", "-brief", "address")
	if r.Status != 0 || !strings.Contains(r.Stdout, " 10.0.1.30/") {
		t.Errorf("status %d, %q, %q", r.Status, r.Stdout, r.Stderr)
	}
	p.Verify()
}
