// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"context"
	"net/netip"

	"github.com/posternhq/postern/internal/dataplane/network"
	"github.com/posternhq/postern/internal/dataplane/nft"
	"github.com/posternhq/postern/internal/desired"
)

// steers reports whether an entry changes by which marks the express lane has to look
// routes up: who is steered, and the interfaces that are there.
func steers(e desired.Entry) bool {
	switch e.Key().Kind {
	case desired.KindSteer, desired.KindWorkload, desired.KindExit:
		return true
	}
	return false
}

// steer tells the express lane what the rules of a router go by.
func (h *Host) steer(ctx context.Context, r *network.Router, table *nft.Table) error {
	if h.lane == nil {
		return nil
	}
	all, err := table.Steers(ctx)
	if err != nil || len(all) == 0 && !h.lane.Steered(r.Cookie()) {
		return err
	}
	there, err := r.Devices()
	if err != nil {
		return err
	}
	devices, targets := map[int]uint32{}, map[netip.Addr]uint32{}
	for from, number := range all {
		if device, ok := there[from]; ok {
			devices[device] = network.TableMark(number)
		} else if a, err := netip.ParseAddr(from); err == nil {
			targets[a] = network.TableMark(number)
		}
	}
	return h.lane.Steer(r.Cookie(), devices, targets)
}
