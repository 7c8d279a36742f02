// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"context"
	"fmt"
)

// newHub makes a Postern with a way of two steps: by an endpoint of the consumer and a
// gateway of a hub, whose resource is an endpoint of the hub, and by that and the provider's
// gateway to the server. All three VPCs have the same addresses. The caller calls Close,
// also when this fails.
func newHub(ctx context.Context, binary string, flags ...string) (*world, error) {
	w, err := begin(ctx, binary, flags...)
	if err != nil {
		return w, err
	}
	if err := w.provider(ctx); err != nil {
		return w, fmt.Errorf("make the resource: %w", err)
	}
	if err := w.hub(ctx); err != nil {
		return w, fmt.Errorf("make the hub: %w", err)
	}
	return w, w.consume(ctx, 1)
}

// hub passes the resource on: what is offered now is an endpoint to what was before.
func (w *world) hub(ctx context.Context) error {
	vpc, err := w.postern.VPC(ctx, network, serverSubnet)
	if err != nil {
		return err
	}
	endpoint, err := vpc.Endpoint(ctx, w.resource, theEndpoint)
	if err != nil {
		return err
	}
	if err := w.postern.Available(ctx, endpoint); err != nil {
		return err
	}
	gateway, err := vpc.Gateway(ctx, "hub")
	if err != nil {
		return err
	}
	w.resource, err = w.postern.Resource(ctx, gateway, "passed-on", theEndpoint, ports()...)
	return err
}

// passOn compares the way of two steps, which passes the routers of three VPCs.
func (b *bench) passOn(ctx context.Context) error {
	return b.compareWays(ctx, comparison{
		title: "by endpoint, gateway, endpoint and gateway",
		plain: []plainWay{{threeRouters, 3}},
		make:  newHub, target: theEndpoint,
		bulk: 0.9, requests: 1.0, connections: 0.7,
	})
}
