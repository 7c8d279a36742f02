// SPDX-License-Identifier: Apache-2.0

package system

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/test/postern"
	"github.com/posternhq/postern/test/testnet"
)

// introduce has a workload answer each connection to a port with its own address and the
// other's, until the listener is closed; connections that are there go on.
func introduce(t *testing.T, w *postern.Workload, port int) net.Listener {
	t.Helper()
	l, err := w.Listen("tcp", fmt.Sprintf(":%d", port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				if _, err := fmt.Fprintf(c, "%s %s\n", w.IP, c.RemoteAddr()); err == nil {
					_, _ = io.Copy(c, c)
				}
			}()
		}
	}()
	return l
}

// meet connects and says who answers, and whom that one sees.
func meet(from *postern.Workload, address string) (who, sees netip.Addr, conn net.Conn, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), testnet.Patience)
	defer cancel()
	if conn, err = from.Dial(ctx, "tcp", address); err != nil {
		return who, sees, nil, err
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	name, other, _ := strings.Cut(strings.TrimSpace(line), " ")
	if err == nil {
		who, err = netip.ParseAddr(name)
	}
	source, otherErr := netip.ParseAddrPort(other)
	if err == nil {
		err = otherErr
	}
	if err != nil {
		conn.Close()
		return who, sees, nil, err
	}
	return who, source.Addr().Unmap(), conn, nil
}

// expectMeetings connects several times, and wants the same to answer and to see the same.
func expectMeetings(t *testing.T, from *postern.Workload, address string, who, sees netip.Addr) {
	t.Helper()
	for range 8 {
		is, source, conn, err := meet(from, address)
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
		if is != who || source != sees {
			t.Fatalf("%s answers and sees %s, want %s, which sees %s", is, source, who, sees)
		}
	}
}

// TestNetworkLoadBalancer leads clients of its VPC to targets at another port: to those of the
// zone, then to all, and when one does not answer any more to the other.
func TestNetworkLoadBalancer(t *testing.T) {
	p := postern.Start(t)
	vpc := p.VPC("10.0.0.0/16")
	a, b := vpc.Subnet(0, "10.0.1.0/24"), vpc.Subnet(1, "10.0.2.0/24")
	open := vpc.OpenGroup()
	client, one, two := a.Workload("10.0.1.9", open), a.Workload("10.0.1.10", open), b.Workload("10.0.2.10", open)
	first := introduce(t, one, 8443)
	introduce(t, two, 8443)
	lb := vpc.Balancer("shop", []*postern.Subnet{a, b}, nil, 443, 8443)
	lb.Register(one.IP, two.IP)
	lb.AwaitHealth(one.IP, "healthy")
	lb.AwaitHealth(two.IP, "healthy")
	door := hostPort(lb.Addresses[a.Zone], 443)
	expectMeetings(t, client, door, one.IP, lb.Addresses[a.Zone])
	expectRefusal(t, client, hostPort(lb.Addresses[a.Zone], 8443)) // no listener's
	if _, _, conn, err := meet(one, door); err != nil {
		t.Errorf("a target that is a client, too: %v", err)
	} else {
		conn.Close()
	}
	expectNames(t, client, lb.Name, lb.Addresses[a.Zone], lb.Addresses[b.Zone])

	far, faraway, service := byEndpoint(t, p, lb)
	who, sees, live, err := meet(far, hostPort(faraway.Address(), 443))
	if err != nil || who != one.IP || sees != lb.Addresses[a.Zone] {
		t.Fatalf("by an endpoint of another account %s answers and sees %s, %v; want %s of the zone, which sees %s", who, sees, err, one.IP, lb.Addresses[a.Zone])
	}
	t.Cleanup(func() { live.Close() })
	expectRefusal(t, far, hostPort(faraway.Address(), 8443))
	expectOwnEndpoint(t, p, a, open, client, service, one.IP, lb.Addresses[a.Zone])

	lb.Set("load_balancing.cross_zone.enabled", "true")
	kept := map[netip.Addr]net.Conn{}
	p.Await("both targets to answer", func() (bool, error) {
		who, _, conn, err := meet(client, door)
		if err != nil {
			return false, err
		}
		if kept[who] != nil {
			conn.Close()
		} else {
			t.Cleanup(func() { conn.Close() })
			kept[who] = conn
		}
		return len(kept) == 2, nil
	})

	first.Close()
	lb.AwaitHealth(one.IP, "unhealthy")
	expectReset(t, "a client of what is unhealthy", kept[one.IP])
	expectMeetings(t, client, door, two.IP, lb.Addresses[a.Zone])
	if _, err := fmt.Fprintln(kept[two.IP], "still"); err != nil {
		t.Error(err)
	} else if line, err := bufio.NewReader(kept[two.IP]).ReadString('\n'); err != nil || line != "still\n" {
		t.Errorf("a connection to the other one: %q, %v", line, err)
	}
	expectReset(t, "a client of what is unhealthy, by an endpoint", live)
	if who, _, conn, err := meet(far, hostPort(faraway.Address(), 443)); err != nil || who != two.IP {
		t.Errorf("by an endpoint %s answers, %v, want %s", who, err, two.IP)
	} else {
		conn.Close()
	}
	p.Verify()

	faraway.Delete()
	withdraw(p, service)
	lb.Delete()
	expectReset(t, "a client of what is gone", kept[two.IP])
	expectRefusal(t, client, door)
	p.Verify()
}

// expectOwnEndpoint has an endpoint in the VPC of a service's load balancer lead to a target,
// until it is deleted.
func expectOwnEndpoint(t *testing.T, p *postern.Postern, in *postern.Subnet, group string, client *postern.Workload, service string, target, seen netip.Addr) {
	t.Helper()
	near, err := in.VPC.EndpointTo(&ec2.CreateVpcEndpointInput{
		ServiceName: new("com.amazonaws.vpce.us-east-1." + service), SubnetIds: []string{in.ID}, SecurityGroupIds: []string{group},
	})
	if err != nil {
		t.Fatal(err)
	}
	who, sees, conn, err := meet(client, hostPort(near.Address(), 443))
	if err != nil {
		t.Fatalf("by an endpoint of the load balancer's own VPC: %v", err)
	}
	conn.Close()
	if who != target || sees != seen {
		t.Errorf("by an endpoint of the load balancer's own VPC %s answers and sees %s, want %s, which sees %s", who, sees, target, seen)
	}
	near.Delete()
	p.Await("the endpoint to lead nowhere", func() (bool, error) { return refusal(client, hostPort(near.Address(), 443)) == nil, nil })
}

// withdraw deletes a service when its last endpoint is gone.
func withdraw(p *postern.Postern, service string) {
	p.T.Helper()
	p.Await("the service to be without endpoints", func() (bool, error) {
		var out ec2.DeleteVpcEndpointServiceConfigurationsOutput
		err := p.Do(ec2.Service, "DeleteVpcEndpointServiceConfigurations", &ec2.DeleteVpcEndpointServiceConfigurationsInput{ServiceIds: []string{service}}, &out)
		return err == nil && len(out.Unsuccessful) == 0, err
	})
}

// expectNames has a name lead to addresses, which are in order.
func expectNames(t *testing.T, client *postern.Workload, name string, want ...netip.Addr) {
	t.Helper()
	addrs, err := resolve(client, name)
	slices.SortFunc(addrs, netip.Addr.Compare)
	if err != nil || !slices.Equal(addrs, want) {
		t.Errorf("the name leads to %v, %v, want %v", addrs, err, want)
	}
}

// byEndpoint makes a service of a load balancer, and in another account a VPC with the same
// addresses, a workload and an endpoint to the service.
func byEndpoint(t *testing.T, p *postern.Postern, lb *postern.Balancer) (client *postern.Workload, e *postern.Endpoint, service string) {
	t.Helper()
	const account = "444455556666"
	made := postern.Call[ec2.CreateVpcEndpointServiceConfigurationOutput](p, ec2.Service, "CreateVpcEndpointServiceConfiguration", &ec2.CreateVpcEndpointServiceConfigurationInput{
		NetworkLoadBalancerArns: []string{lb.ARN}, AcceptanceRequired: new(false),
	}).ServiceConfiguration
	postern.Call[ec2.ModifyVpcEndpointServicePermissionsOutput](p, ec2.Service, "ModifyVpcEndpointServicePermissions", &ec2.ModifyVpcEndpointServicePermissionsInput{
		ServiceId: made.ServiceId, AddAllowedPrincipals: []string{"arn:aws:iam::" + account + ":root"},
	})
	other := p.Tenant(account).Caller()
	if r := p.Command("account", "trust", account); r.Status != 0 {
		t.Fatal(r.Stderr)
	}
	vpc := other.VPC("10.0.0.0/16")
	subnet := vpc.Subnet(0, "10.0.1.0/24")
	open := vpc.OpenGroup()
	client = subnet.Workload("10.0.1.10", open)
	e, err := vpc.EndpointTo(&ec2.CreateVpcEndpointInput{ServiceName: made.ServiceName, SubnetIds: []string{subnet.ID}, SecurityGroupIds: []string{open}})
	if err != nil {
		t.Fatal(err)
	}
	return client, e, *made.ServiceId
}
