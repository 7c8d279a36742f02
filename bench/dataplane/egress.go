// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"strings"

	"github.com/posternhq/postern/bench/load"
	"github.com/posternhq/postern/bench/postern"
	"github.com/posternhq/postern/bench/wiring"
	"github.com/posternhq/postern/test/testnet"
)

// Names of the ways through routers in a row.
const (
	oneRouter    = "one router"
	twoRouters   = "two routers"
	threeRouters = "three routers"
	fiveRouters  = "five routers"
	masquerade   = "nftables masquerade"
)

// chain is routers in a row, between a client and a server. Link i joins what has the
// numbers i and i + 1, of which the client is 0.
type chain struct {
	belongings
	nodes  []*testnet.NS
	client *load.Agent
	server netip.Addr
}

// on gives the addresses of the ends of a link.
func (c *chain) on(link int) (near, far netip.Addr) {
	return netip.AddrFrom4([4]byte{10, 5, byte(link), 1}), netip.AddrFrom4([4]byte{10, 5, byte(link), 2})
}

// newChain builds a chain of so many routers. The caller calls Close, also when this
// fails.
func newChain(ctx context.Context, routers int) (*chain, error) {
	c := &chain{}
	last := routers // the link to the server
	for range routers + 2 {
		ns, err := c.Namespace()
		if err != nil {
			return c, err
		}
		c.nodes = append(c.nodes, ns)
	}
	for link := range routers + 1 {
		near, far := c.on(link)
		mtu := wiring.FabricMTU
		if link == 0 || link == last {
			mtu = wiring.WorkloadMTU
		}
		if err := wiring.Wire(wiring.End{NS: c.nodes[link], Device: "next", Address: near}, wiring.End{NS: c.nodes[link+1], Device: "before", Address: far}, mtu); err != nil {
			return c, err
		}
	}
	_, first := c.on(0)
	before, server := c.on(last)
	errs := []error{wiring.Route(c.nodes[0], "0.0.0.0/0", first), wiring.Route(c.nodes[routers+1], "0.0.0.0/0", before)}
	for n := 1; n <= routers; n++ {
		back, _ := c.on(n - 1)
		_, on := c.on(n)
		if n > 1 {
			errs = append(errs, wiring.Route(c.nodes[n], "10.5.0.0/24", back))
		}
		if n < routers {
			errs = append(errs, wiring.Route(c.nodes[n], fmt.Sprintf("10.5.%d.0/24", last), on))
		}
		errs = append(errs, wiring.Forward(c.nodes[n]))
	}
	if err := errors.Join(errs...); err != nil {
		return c, fmt.Errorf("build a chain of routers: %w", err)
	}
	c.server = server
	return c, c.populate(ctx)
}

// populate starts the client and the server.
func (c *chain) populate(ctx context.Context) (err error) {
	if c.client, err = c.agent(ctx, c.nodes[0], 1); err != nil {
		return err
	}
	answering, err := c.agent(ctx, c.nodes[len(c.nodes)-1], 1)
	if err != nil {
		return err
	}
	return answering.Serve(netip.AddrPortFrom(netip.IPv4Unspecified(), routingBase))
}

// masquerade has the first router translate sources, as one does who has no more than
// nftables.
func (c *chain) masquerade() error {
	const rules = `table ip nat {
	chain srcnat {
		type nat hook postrouting priority srcnat
		oifname "next" masquerade
	}
}`
	return c.nodes[1].Run(func() error {
		cmd := exec.Command("nft", "-f", "-")
		cmd.Stdin = strings.NewReader(rules)
		if said, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("masquerade: %w: %s", err, said)
		}
		return nil
	})
}

func (c *chain) candidate(name string) candidate {
	return candidate{name: name, clients: []*load.Agent{c.client}, targets: []netip.AddrPort{netip.AddrPortFrom(c.server, routingBase)}}
}

// The addresses of the way out.
const (
	pool        = "198.51.100.0/28"
	publicBlock = "10.0.2.0/24"
	// outside is an address that a resource can have by itself: a private one.
	outside      = "172.20.0.10"
	outsideBlock = "172.20.0.0/24"
)

// newAbroad makes a Postern whose resource is outside: by endpoint, resource gateway, NAT
// gateway and internet gateway. The caller calls Close, also when this fails.
func newAbroad(ctx context.Context, binary string, flags ...string) (*world, error) {
	a := &world{}
	internet, err := a.Namespace()
	if err != nil {
		return a, err
	}
	if err := internet.Give(netip.MustParseAddr(outside)); err != nil {
		return a, err
	}
	answering, err := a.agent(ctx, internet, 1)
	if err != nil {
		return a, err
	}
	if err := answering.Serve(netip.AddrPortFrom(netip.IPv4Unspecified(), posternBase)); err != nil {
		return a, err
	}
	flags = append([]string{"--log-level", "warn", "--uplink", "internet=netns:" + internet.Name, "--public-pool", pool, "--uplink-allow", outsideBlock}, flags...)
	if a.postern, err = postern.New(binary, flags...); err != nil {
		return a, err
	}
	a.Add(a.postern.Close)
	if err := a.postern.Up(ctx); err != nil {
		return a, err
	}
	return a, a.joinOutside(ctx)
}

// joinOutside makes the way from a consumer to the outside.
func (a *world) joinOutside(ctx context.Context) error {
	central, err := a.postern.VPC(ctx, network, serverSubnet)
	if err != nil {
		return err
	}
	if err := central.GoOut(ctx, publicBlock); err != nil {
		return err
	}
	gateway, err := central.Gateway(ctx, "central")
	if err != nil {
		return err
	}
	if a.resource, err = a.postern.Resource(ctx, gateway, "outside", outside, ports()...); err != nil {
		return err
	}
	return a.consume(ctx, 1)
}

// goOut compares ways to a server outside. Postern's passes five namespaces: the routers of
// the consumer and of the central VPC, the NAT gateway, the second router once more, and
// the edge.
func (b *bench) goOut(ctx context.Context) error {
	return b.compareWays(ctx, comparison{
		title: "out by endpoint, resource gateway and NAT gateway",
		plain: []plainWay{{threeRouters, 3}, {fiveRouters, 5}, {masquerade, 1}}, like: 1,
		make: newAbroad, target: theEndpoint,
		bulk: 0.9, requests: 1.0, connections: 0.7,
	})
}
