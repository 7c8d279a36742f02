// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/posternhq/postern/internal/dataplane/flow"
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
