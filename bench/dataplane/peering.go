// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"context"
	"net/netip"

	"github.com/posternhq/postern/bench/load"
)

// The addresses of a peer, in which the server is.
const (
	peerNetwork = "10.1.0.0/16"
	peerSubnet  = "10.1.1.0/24"
	peerServer  = "10.1.1.10"
)

// newPeers makes a Postern with a client and a server in two VPCs with an active peering
// connection. The caller calls Close, also when this fails.
func newPeers(ctx context.Context, binary string, flags ...string) (*world, error) {
	w, err := begin(ctx, binary, flags...)
	if err != nil {
		return w, err
	}
	if w.consumer, err = w.postern.VPC(ctx, network, serverSubnet); err != nil {
		return w, err
	}
	peer, err := w.postern.VPC(ctx, peerNetwork, peerSubnet)
	if err != nil {
		return w, err
	}
	if err := w.postern.Peer(ctx, w.consumer, peer); err != nil {
		return w, err
	}
	answering, err := w.workload(ctx, peer, peerServer)
	if err != nil {
		return w, err
	}
	if err := answering.Serve(netip.AddrPortFrom(netip.IPv4Unspecified(), posternBase)); err != nil {
		return w, err
	}
	client, err := w.workload(ctx, w.consumer, theServer)
	if err != nil {
		return w, err
	}
	w.clients = []*load.Agent{client}
	return w, w.postern.Programmed(ctx)
}

// peer compares the way to a peer, which passes the routers of both VPCs and is translated
// nowhere.
func (b *bench) peer(ctx context.Context) error {
	return b.compareWays(ctx, comparison{
		title: "over a VPC peering connection",
		plain: []plainWay{{twoRouters, 2}},
		make:  newPeers, target: peerServer,
		bulk: 0.85, requests: 1.0, connections: 0.75,
	})
}
