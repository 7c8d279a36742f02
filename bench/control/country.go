// SPDX-License-Identifier: Apache-2.0

package control

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/posternhq/postern/bench/postern"
	"github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/test/testnet"
)

// Addresses of the VPC whose routes and network ACLs change. Behind both forwarders is
// the same address, which is none of the VPC's.
const (
	clientBlock    = "10.0.0.0/24"
	forwarderBlock = "10.0.1.0/24"
	faraway        = "198.18.0.1"
)

// forwarder is a workload that takes what is sent to an address behind it, and answers
// itself. What it says first tells it from others.
type forwarder struct {
	ns       *testnet.NS
	listener net.Listener
	address  string
	eni      string
	says     byte
}

// country is a daemon with a number of VPCs, each with a router, and one in which a
// client reaches forwarders in another subnet.
type country struct {
	*daemon
	name string // of the candidate in the tables

	vpc        *postern.VPC
	client     *testnet.NS
	forwarders [2]forwarder
	table      string // of the client's subnet
	acl        string // of the forwarders' subnet; it lets everything pass
}

// makeCountry starts a daemon and makes VPCs until there are so many, or the time is
// over. What was made is in the country also when it fails; the caller calls close.
func makeCountry(ctx context.Context, binary string, vpcs int, within time.Duration) (c *country, err error) {
	d, err := newDaemon(binary)
	if err != nil {
		return &country{}, err
	}
	c = &country{daemon: d}
	if _, err := d.start(ctx); err != nil {
		return c, err
	}
	made, err := c.settle(ctx, vpcs-1, within)
	if err != nil {
		return c, err
	}
	c.name = vpcsName(made + 1)
	if err := c.build(ctx); err != nil {
		return c, err
	}
	return c, c.Programmed(ctx)
}

// vpcsName is how a number of VPCs is called in the tables.
func vpcsName(n int) string {
	if n == 1 {
		return "1 VPC"
	}
	return thousands(n) + " VPCs"
}

// close takes everything away that belongs to the country.
func (c *country) close() (err error) {
	for _, f := range c.forwarders {
		if f.listener != nil {
			err = errors.Join(err, f.listener.Close())
		}
	}
	if c.daemon != nil {
		err = errors.Join(err, c.daemon.close())
	}
	for _, ns := range []*testnet.NS{c.client, c.forwarders[0].ns, c.forwarders[1].ns} {
		if ns != nil {
			err = errors.Join(err, ns.Close())
		}
	}
	return err
}

// settle makes VPCs that have a gateway each, and so a router, until there are n or the
// time is over.
func (c *country) settle(ctx context.Context, n int, within time.Duration) (made int, err error) {
	var count atomic.Int64
	end := time.Now().Add(within)
	g, inside := errgroup.WithContext(ctx)
	g.SetLimit(crowdLanes)
	for range n {
		g.Go(func() error {
			if inside.Err() != nil || time.Now().After(end) {
				return inside.Err()
			}
			v, err := c.VPC(inside, networkCIDR, networkCIDR)
			if err != nil {
				return err
			}
			count.Add(1)
			return v.AskForGateway(inside, "gateway-of-"+v.ID, v.Subnet)
		})
	}
	if err := g.Wait(); err != nil {
		return 0, fmt.Errorf("make %d VPCs: %w", n, err)
	}
	return int(count.Load()), nil
}

// build makes the VPC in which things change.
func (c *country) build(ctx context.Context) (err error) {
	if c.vpc, err = c.VPC(ctx, networkCIDR, clientBlock); err != nil {
		return err
	}
	if c.client, err = attach(ctx, c.vpc); err != nil {
		return err
	}
	subnet, err := c.vpc.MakeSubnet(ctx, forwarderBlock)
	if err != nil {
		return err
	}
	for i := range c.forwarders {
		f := &c.forwarders[i]
		f.address, f.says = fmt.Sprintf("10.0.1.%d", 10+i), byte('a'+i)
		if err := c.forwards(ctx, f, subnet); err != nil {
			return fmt.Errorf("make forwarder %d: %w", i, err)
		}
	}
	if c.table, err = c.vpc.MakeTable(ctx, c.vpc.Subnet); err != nil {
		return err
	}
	c.acl, err = c.vpc.MakeACL(ctx, subnet)
	return err
}

func (c *country) forwards(ctx context.Context, f *forwarder, subnet string) (err error) {
	if f.ns, err = testnet.Make("pbench-" + testnet.RandomName(10)); err != nil {
		return err
	}
	if f.eni, err = c.vpc.AttachForwarder(ctx, f.ns, subnet, f.address); err != nil {
		return err
	}
	if err := f.ns.Give(netip.MustParseAddr(faraway)); err != nil {
		return err
	}
	if f.listener, err = f.ns.Listen("tcp", net.JoinHostPort("0.0.0.0", port)); err != nil {
		return err
	}
	go greet(f.listener, f.says)
	return nil
}

// greet answers every connection with one byte until the listener is closed.
func greet(l net.Listener, says byte) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		_, _ = conn.Write([]byte{says}) // whoever does not wait for it is gone
		conn.Close()
	}
}

// route changes the routes of the client's subnet.
func (c *country) route(ctx context.Context, operation, dest, eni string) error {
	var in any
	switch operation {
	case "CreateRoute":
		in = &ec2.CreateRouteInput{RouteTableId: &c.table, DestinationCidrBlock: &dest, NetworkInterfaceId: &eni}
	case "ReplaceRoute":
		in = &ec2.ReplaceRouteInput{RouteTableId: &c.table, DestinationCidrBlock: &dest, NetworkInterfaceId: &eni}
	default:
		in = &ec2.DeleteRouteInput{RouteTableId: &c.table, DestinationCidrBlock: &dest}
	}
	return c.Client.Do(ctx, ec2.Service, operation, in, nil)
}

// deny adds an entry to the ACL of the forwarders that lets nobody come to a port, and
// admit takes it away.
func (c *country) deny(ctx context.Context, number, port int32) error {
	return c.Client.Do(ctx, ec2.Service, "CreateNetworkAclEntry", &ec2.CreateNetworkAclEntryInput{
		NetworkAclId: &c.acl, RuleNumber: &number, Egress: new(false), Protocol: new("6"), RuleAction: new(ec2.RuleActionDeny),
		CidrBlock: new("0.0.0.0/0"), PortRange: &ec2.PortRange{From: &port, To: &port},
	}, nil)
}

func (c *country) admit(ctx context.Context, number int32) error {
	return c.Client.Do(ctx, ec2.Service, "DeleteNetworkAclEntry",
		&ec2.DeleteNetworkAclEntryInput{NetworkAclId: &c.acl, RuleNumber: &number, Egress: new(false)}, nil)
}
