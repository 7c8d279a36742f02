// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"context"
	"net/netip"

	"github.com/posternhq/postern/bench/load"
)

// further is how much higher the ports of a load balancer's target are than its own.
const further = 100

// balancedClient is where the client of a load balancer is.
const balancedClient = "10.0.1.11"

// newBalanced makes a Postern with a client, a server and a load balancer in one VPC, whose
// ports lead to others of the server's. The caller calls Close, also when this fails.
func newBalanced(ctx context.Context, binary string, flags ...string) (*world, error) {
	w, err := begin(ctx, binary, flags...)
	if err != nil {
		return w, err
	}
	if w.consumer, err = w.postern.VPC(ctx, network, serverSubnet); err != nil {
		return w, err
	}
	answering, err := w.workload(ctx, w.consumer, theServer)
	if err != nil {
		return w, err
	}
	if err := answering.Serve(netip.AddrPortFrom(netip.IPv4Unspecified(), posternBase+further)); err != nil {
		return w, err
	}
	client, err := w.workload(ctx, w.consumer, balancedClient)
	if err != nil {
		return w, err
	}
	w.clients = []*load.Agent{client}
	var ports []int32
	for service := range load.Ports {
		ports = append(ports, int32(posternBase+service))
	}
	w.balancer, err = w.consumer.Balance(ctx, "balancer", theServer, ports, further)
	return w, err
}

// balance compares the way by a load balancer in the VPC of client and server, which passes
// one router and changes ports and both addresses.
func (b *bench) balance(ctx context.Context) error {
	return b.compareWays(ctx, comparison{
		title: "by a load balancer of the VPC",
		plain: []plainWay{{oneRouter, 1}},
		make:  newBalanced,
		bulk:  0.9, requests: 1.0, connections: 0.7,
	})
}
