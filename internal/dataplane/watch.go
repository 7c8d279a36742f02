// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/posternhq/postern/internal/dataplane/flow"
	"github.com/posternhq/postern/internal/dataplane/network"
	"github.com/posternhq/postern/internal/desired"
)

// Watch calls failed with each of some addresses to which a VPC's router has opened a TCP
// connection that was not answered, or was refused, until ctx is done; see flow.Watch.
func (h *Host) Watch(ctx context.Context, vpc string, addrs []netip.Addr, failed func(netip.Addr)) error {
	r, err := h.routers.Open(vpc)
	if err != nil {
		return fmt.Errorf("watch connections: %w", err)
	}
	defer r.Release()
	if err := flow.Watch(ctx, r.FD(), addrs, failed); err != nil {
		return fmt.Errorf("watch connections of %s: %w", vpc, err)
	}
	return nil
}

// Leads reports whether the way out of an edge is there, see network.Router.Leads. When it
// is not, what the express lane would still send there is refused from now on.
func (h *Host) Leads(uplink, device string) (bool, error) {
	r, err := h.routers.Open(network.NameOf(desired.EdgeRealm(uplink)))
	if errors.Is(err, ErrNoRouter) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look at uplink %s: %w", uplink, err)
	}
	defer r.Release()
	leads, err := r.Leads(device)
	if err == nil && !leads {
		err = h.recheck(r)
	}
	return leads, err
}
