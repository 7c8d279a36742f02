// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"context"
	"fmt"
	"net/netip"
	"strconv"

	"golang.org/x/sync/errgroup"

	"github.com/posternhq/postern/bench/load"
	"github.com/posternhq/postern/bench/postern"
)

// The addresses of a world: client and server networks are the same, and so
// are the addresses of the first client and the server.
const (
	network        = "10.0.0.0/16"
	clientSubnet   = "10.0.0.0/17" // room for ten thousand endpoints
	serverSubnet   = "10.0.1.0/24"
	workload       = "10.0.1.%d"
	firstWorkload  = 10
	theServer      = "10.0.1.10"
	theEndpoint    = "10.0.1.100"
	blocksOfOthers = "172.16.0.0/16"
	subnetOfOthers = "172.16.0.0/24"
)

// How many calls are made at once. More would only make each other repeat
// transactions when they take addresses of the same subnet.
const (
	endpointsAtOnce = 2
	vpcsAtOnce      = 8
)

// world is a Postern with workloads on two sides of an endpoint.
type world struct {
	belongings
	postern  *postern.Postern
	consumer *postern.VPC
	resource string // ARN of the resource configuration
	balancer string // address of the load balancer, if there is one
	clients  []*load.Agent
}

// begin starts a Postern, with these flags, for a world that has nothing else yet. The
// caller calls Close, also when this fails.
func begin(ctx context.Context, binary string, flags ...string) (*world, error) {
	w := &world{}
	p, err := postern.New(binary, append([]string{"--log-level", "warn"}, flags...)...)
	if err != nil {
		return w, err
	}
	w.postern = p
	w.Add(p.Close)
	return w, p.Up(ctx)
}

// newWorld starts a Postern, with these flags, and makes a world of so many
// clients. The caller calls Close, also when this fails.
func newWorld(ctx context.Context, binary string, clients int, flags ...string) (*world, error) {
	w, err := begin(ctx, binary, flags...)
	if err != nil {
		return w, err
	}
	if err := w.provider(ctx); err != nil {
		return w, fmt.Errorf("make the resource: %w", err)
	}
	return w, w.consume(ctx, clients)
}

// consume makes the clients' side, with an endpoint to the resource.
func (w *world) consume(ctx context.Context, clients int) (err error) {
	if w.consumer, err = w.postern.VPC(ctx, network, clientSubnet); err != nil {
		return err
	}
	for n := range clients {
		a, err := w.workload(ctx, w.consumer, fmt.Sprintf(workload, firstWorkload+n))
		if err != nil {
			return err
		}
		w.clients = append(w.clients, a)
	}
	endpoint, err := w.consumer.Endpoint(ctx, w.resource, theEndpoint)
	if err != nil {
		return err
	}
	return w.postern.Available(ctx, endpoint)
}

// ports are those that a server of Postern's candidates answers at.
func ports() (list []string) {
	for service := range load.Ports {
		list = append(list, strconv.Itoa(posternBase+service))
	}
	return list
}

// provider makes the server's side.
func (w *world) provider(ctx context.Context) error {
	vpc, err := w.postern.VPC(ctx, network, serverSubnet)
	if err != nil {
		return err
	}
	answering, err := w.workload(ctx, vpc, theServer)
	if err != nil {
		return err
	}
	if err := answering.Serve(netip.AddrPortFrom(netip.IPv4Unspecified(), posternBase)); err != nil {
		return err
	}
	gateway, err := vpc.Gateway(ctx, "server")
	if err != nil {
		return err
	}
	w.resource, err = w.postern.Resource(ctx, gateway, "server", theServer, ports()...)
	return err
}

func (w *world) workload(ctx context.Context, vpc *postern.VPC, address string) (*load.Agent, error) {
	ns, err := w.Namespace()
	if err != nil {
		return nil, err
	}
	if err := vpc.Attach(ctx, ns, address); err != nil {
		return nil, err
	}
	return w.agent(ctx, ns, 1)
}

// candidate names the world for a table.
func (w *world) candidate(name string) candidate { return w.at(name, theEndpoint) }

// at names the world, whose clients connect to a server at an address.
func (w *world) at(name, server string) candidate {
	c := candidate{name: name, clients: w.clients}
	for range w.clients {
		c.targets = append(c.targets, netip.AddrPortFrom(netip.MustParseAddr(server), posternBase))
	}
	return c
}

// moreEndpoints makes so many more endpoints in the clients' VPC and waits
// until the last ones are programmed.
func (w *world) moreEndpoints(ctx context.Context, n int) error {
	return w.parallel(ctx, n, endpointsAtOnce, func(ctx context.Context) (string, error) {
		return w.consumer.Endpoint(ctx, w.resource, "")
	})
}

// moreVPCs makes so many more VPCs, each with an endpoint to the same resource,
// so that each has a router joined to the server's.
func (w *world) moreVPCs(ctx context.Context, n int) error {
	return w.parallel(ctx, n, vpcsAtOnce, func(ctx context.Context) (string, error) {
		vpc, err := w.postern.VPC(ctx, blocksOfOthers, subnetOfOthers)
		if err != nil {
			return "", err
		}
		return vpc.Endpoint(ctx, w.resource, "")
	})
}

// parallel makes n endpoints, so many at once, and waits for all of them.
func (w *world) parallel(ctx context.Context, n, atOnce int, one func(context.Context) (id string, err error)) error {
	g, within := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	ids := make([]string, n)
	for k := range ids {
		g.Go(func() (err error) {
			if within.Err() != nil {
				return within.Err()
			}
			ids[k], err = one(within)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for _, id := range ids {
		if err := w.postern.Available(ctx, id); err != nil {
			return err
		}
	}
	return nil
}
