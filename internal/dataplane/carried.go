// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"context"
	"errors"
	"fmt"

	"github.com/posternhq/postern/internal/dataplane/express"
)

// Carried is what the express lane has of the router of one VPC.
type Carried struct {
	// VPC is whose router it is.
	VPC string
	express.Use
}

// Carried lists what the express lane has of each router, sorted by VPC; without a
// lane there is nothing. What a router has carried counts from when its first device
// was covered, and goes with the router.
func (h *Host) Carried(ctx context.Context) ([]Carried, error) {
	if h.lane == nil {
		return nil, nil
	}
	vpcs, err := h.routers.Names()
	if err != nil {
		return nil, err
	}
	var all []Carried
	for _, vpc := range vpcs {
		if err := ctx.Err(); err != nil {
			return all, err
		}
		r, err := h.routers.Open(vpc)
		if errors.Is(err, ErrNoRouter) {
			continue
		}
		if err != nil {
			return all, fmt.Errorf("read what was carried of %s: %w", vpc, err)
		}
		use, err := h.laneUse(r)
		r.Release()
		if err != nil {
			return all, fmt.Errorf("read what was carried of %s: %w", vpc, err)
		}
		all = append(all, Carried{vpc, use})
	}
	return all, nil
}
