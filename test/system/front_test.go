// SPDX-License-Identifier: Apache-2.0

package system

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/test/child"
	"github.com/posternhq/postern/test/postern"
	"github.com/posternhq/postern/test/testnet"
)

// TestAPIByEndpoints reaches Postern's own API from a VPC without internet, by an interface
// endpoint: with clients of AWS as they are, which know nothing but the certificate authority.
func TestAPIByEndpoints(t *testing.T) {
	p := postern.Start(t, "--aws-names")
	vpc := p.VPC("10.0.0.0/16")
	for _, in := range []*ec2.ModifyVpcAttributeInput{
		{EnableDnsHostnames: &ec2.AttributeBooleanValue{Value: new(true)}}, {EnableDnsSupport: &ec2.AttributeBooleanValue{Value: new(true)}},
	} {
		in.VpcId = &vpc.ID
		postern.Call[ec2.ModifyVpcAttributeOutput](p, ec2.Service, "ModifyVpcAttribute", in)
	}
	subnet := vpc.Subnet(0, "10.0.1.0/24")
	open := vpc.OpenGroup()
	dual := ec2.IpAddressTypeDualstack
	e, err := vpc.EndpointTo(&ec2.CreateVpcEndpointInput{
		ServiceName: new("com.amazonaws.us-east-1.ec2"), SubnetIds: []string{subnet.ID}, SecurityGroupIds: []string{open},
		IpAddressType: &dual, PrivateDnsEnabled: new(true),
	})
	if err != nil {
		t.Fatal(err)
	}
	w := subnet.Workload("10.0.1.10", open)
	bundle := filepath.Join(p.Data, "api-ca.pem")
	text, err := os.ReadFile(bundle)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)

	// A connection in each family, which is kept.
	var kept []*tls.Conn
	for _, addr := range e.Addresses[subnet.Zone] {
		c, err := w.Dial(t.Context(), "tcp", net.JoinHostPort(addr.String(), "443"))
		if err != nil {
			t.Fatalf("%s: %v", addr, err)
		}
		defer c.Close()
		secure := tls.Client(c, &tls.Config{RootCAs: roots, ServerName: "ec2.us-east-1.amazonaws.com"})
		_ = secure.SetDeadline(time.Now().Add(testnet.Patience))
		if _, err := io.WriteString(secure, "GET / HTTP/1.1\r\nHost: ec2\r\n\r\n"); err != nil {
			t.Fatalf("%s: %v", addr, err)
		}
		got := make([]byte, 12)
		if _, err := io.ReadFull(secure, got); err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 4") {
			t.Fatalf("%s: %q, %v", addr, got, err)
		}
		kept = append(kept, secure)
	}
	if len(kept) != 2 {
		t.Errorf("the endpoint has the addresses %v, want one of each family", e.Addresses)
	}
	askWithClients(t, p, subnet, open, e)

	// What the endpoint's policy does not allow does not come by it, and goes on elsewhere.
	policy := `{"Statement":{"Effect":"Allow","Principal":"*","Action":"ec2:Describe*","Resource":"*"}}`
	postern.Call[ec2.ModifyVpcEndpointOutput](p, ec2.Service, "ModifyVpcEndpoint", &ec2.ModifyVpcEndpointInput{VpcEndpointId: &e.ID, PolicyDocument: &policy})
	if _, err := exec.LookPath("aws"); err == nil {
		r := fromVPC(p, subnet, open, `aws ec2 create-vpc --cidr-block 10.9.0.0/16`)
		if r.Status == 0 || !strings.Contains(r.Stderr, "UnauthorizedOperation") || !strings.Contains(r.Stderr, "because no VPC endpoint policy allows the ec2:CreateVpc action") {
			t.Errorf("what the endpoint's policy leaves out: status %d, %s%s", r.Status, r.Stdout, r.Stderr)
		}
	}
	p.VPC("10.9.0.0/16")

	givesUpAnAddress(t, p, e, w, kept[1])

	e.Delete()
	for _, c := range kept {
		if _, err := io.ReadAll(c); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error("a connection outlives its endpoint")
		}
	}
	p.Verify()
}

// givesUpAnAddress has an endpoint keep its IPv4 address alone: what is open by the other one
// ends, and somebody else can have that.
func givesUpAnAddress(t *testing.T, p *postern.Postern, e *postern.Endpoint, w *postern.Workload, open net.Conn) {
	t.Helper()
	postern.Call[ec2.ModifyVpcEndpointOutput](p, ec2.Service, "ModifyVpcEndpoint", &ec2.ModifyVpcEndpointInput{VpcEndpointId: &e.ID, IpAddressType: new(ec2.IpAddressTypeIpv4)})
	if _, err := io.ReadAll(open); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("a connection outlives the address that it came by")
	}
	expectRefusal(t, w, hostPort(e.Address6(), 443))
	p.Await("the address to be somebody else's", func() (bool, error) {
		err := p.Do(ec2.Service, "CreateNetworkInterface", &ec2.CreateNetworkInterfaceInput{SubnetId: &w.Subnet.ID, Ipv6Addresses: []ec2.InstanceIpv6Address{{Ipv6Address: new(e.Address6().String())}}}, nil)
		if postern.Code(err) == "InvalidIPAddress.InUse" {
			return false, nil
		}
		return err == nil, err
	})
	if c, err := w.Dial(t.Context(), "tcp", hostPort(e.Address(), 443)); err != nil {
		t.Errorf("by the address that stays: %v", err)
	} else {
		c.Close()
	}
}

// fromVPC runs a shell command as a workload, with the first account's key and nothing that says
// where the API is.
func fromVPC(p *postern.Postern, s *postern.Subnet, group, command string) child.Result {
	prefix := `eval "$(` + p.Binary + ` env --data ` + p.Data + `)"; unset AWS_ENDPOINT_URL; `
	return p.Command("run", "--subnet", s.ID, "--security-group", group, "--", "sh", "-c", prefix+command)
}

// askWithClients asks by all names, as far as the clients are there.
func askWithClients(t *testing.T, p *postern.Postern, s *postern.Subnet, group string, e *postern.Endpoint) {
	t.Helper()
	found := postern.Call[ec2.DescribeVpcEndpointsOutput](p, ec2.Service, "DescribeVpcEndpoints", &ec2.DescribeVpcEndpointsInput{VpcEndpointIds: []string{e.ID}})
	var programs []string
	if _, err := exec.LookPath("aws"); err == nil {
		programs = append(programs, `aws ec2 describe-vpcs`)
		for _, name := range []string{"ec2.us-east-1.postern.internal", *found.VpcEndpoints[0].DnsEntries[0].DnsName} {
			programs = append(programs, fmt.Sprintf(`aws --endpoint-url https://%s ec2 describe-vpcs`, name))
		}
	}
	if child.Exec(child.Environment(), "/usr/bin/python3", "-c", "import boto3").Status == 0 {
		programs = append(programs, `/usr/bin/python3 -c 'import boto3; print(boto3.client("ec2").describe_vpcs())'`)
	}
	for _, program := range programs {
		if r := fromVPC(p, s, group, program); r.Status != 0 || !strings.Contains(r.Stdout, s.VPC.ID) {
			t.Errorf("%s: status %d, %s%s", program, r.Status, r.Stdout, r.Stderr)
		}
	}
}
