// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/posternhq/postern/internal/dataplane/express"
	"github.com/posternhq/postern/internal/dataplane/network"
	"github.com/posternhq/postern/internal/dataplane/nft"
)

// Share is a limit of a router that is worth a person's attention: eight tenths
// of it are in use, or something was refused because of it.
type Share struct {
	// VPC is whose router it is.
	VPC string
	// Of says what the share is of: "connections" for all that the router
	// tracks, "client", "nat", "association", "fabric", "outside", "ports" or "queries" as in nft.Shares,
	// "express lane" for connections that it carries.
	Of string
	// Holder names who has most of it, if somebody was looked for.
	Holder string
	// Used is how much of Limit is in use, as far as it was looked for.
	Used, Limit int64
	// Refused counts what was beyond the limit since the router was made:
	// connections, packets to the VPC's resolver, or packets that took the slow path.
	Refused int64
}

// Full reports whether eight tenths of the limit are in use.
func (s Share) Full() bool { return s.Limit > 0 && s.Used*10 >= s.Limit*8 }

// String is the share in a few words.
func (s Share) String() string {
	text := fmt.Sprintf("%s of %s", s.Of, s.VPC)
	if s.Holder != "" {
		text += ", " + s.Holder
	}
	if s.Used > 0 {
		text += fmt.Sprintf(": %d of %d in use", s.Used, s.Limit)
	} else {
		text += fmt.Sprintf(": limit %d", s.Limit)
	}
	return text + fmt.Sprintf(", %d refused", s.Refused)
}

// Shares looks at what each router uses of its limits. It asks each of them, and
// reads the connections of those that have so many that a share could be full.
func (h *Host) Shares(ctx context.Context) ([]Share, error) {
	vpcs, err := h.routers.Names()
	if err != nil {
		return nil, err
	}
	var list []Share
	var errs []error
	for _, vpc := range vpcs {
		found, err := h.sharesOf(ctx, vpc)
		if err != nil && !errors.Is(err, ErrNoRouter) {
			errs = append(errs, fmt.Errorf("look at the shares of %s: %w", vpc, err))
		}
		list = append(list, found...)
	}
	return list, errors.Join(errs...)
}

func (h *Host) sharesOf(ctx context.Context, vpc string) ([]Share, error) {
	r, table, err := h.opened(vpc)
	if err != nil {
		return nil, err
	}
	defer r.Release()
	defer table.Close()
	use, err := table.Use(ctx)
	if err != nil {
		return nil, err
	}
	var held nft.Held
	if least := min(h.shares.Client, h.shares.NAT, h.shares.Association, h.shares.Fabric, h.shares.Ports); use.Connections*10 >= least*8 {
		nats, err := h.natsOf(ctx, vpc)
		if err != nil {
			return nil, err
		}
		if held, err = table.Held(ctx, nats); err != nil {
			return nil, err
		}
	}
	row := func(of string, holder nft.Holder, limit int, refused uint64) Share {
		return Share{VPC: vpc, Of: of, Holder: holder.Name, Used: int64(holder.Connections), Limit: int64(limit), Refused: int64(refused)}
	}
	all := []Share{
		row("connections", nft.Holder{Connections: use.Connections}, use.Room, use.Lost),
		row("client", held.Client, h.shares.Client, use.Refused.Client),
		row("nat", held.NAT, h.shares.NAT, use.Refused.NAT),
		row("association", held.Association, h.shares.Association, use.Refused.Association),
		row("fabric", held.Fabric, h.shares.Fabric, use.Refused.Fabric),
		row("outside", nft.Holder{}, h.shares.Outside, use.Refused.Outside),
		row("ports", held.Ports, h.shares.Ports, use.Refused.Ports),
	}
	lane, err := h.laneUse(r)
	all = append(all, row("queries", nft.Holder{}, h.shares.Queries, use.Refused.Queries+lane.Names.Refused), row("express lane", nft.Holder{Connections: lane.Connections}, express.Share, lane.NoRoom))
	var list []Share
	for _, s := range all {
		if s.Full() || s.Refused > 0 {
			list = append(list, s)
		}
	}
	return list, err
}

// RouterUse is what one router has of connection tracking and of the express lane.
type RouterUse struct {
	VPC string
	// Connections are those that it tracks, Limit is how many it can.
	Connections, Limit int64
	// Lost counts first packets that were lost because there was no room or no port.
	Lost int64
	// Express is about how many connections the express lane carries, Carried what
	// it has carried through the router.
	Express int64
	Carried express.Traffic
}

// Uses asks each router what it uses, as long as the context lasts.
func (h *Host) Uses(ctx context.Context) ([]RouterUse, error) {
	vpcs, err := h.routers.Names()
	if err != nil {
		return nil, err
	}
	var list []RouterUse
	for _, vpc := range vpcs {
		u, err := h.useOf(ctx, vpc)
		switch {
		case errors.Is(err, ErrNoRouter): // it has gone just now
		case err != nil:
			return nil, fmt.Errorf("look at the use of %s: %w", vpc, err)
		default:
			list = append(list, u)
		}
	}
	return list, nil
}

func (h *Host) useOf(ctx context.Context, vpc string) (RouterUse, error) {
	r, table, err := h.opened(vpc)
	if err != nil {
		return RouterUse{}, err
	}
	defer r.Release()
	defer table.Close()
	use, err := table.Use(ctx)
	if err != nil {
		return RouterUse{}, err
	}
	lane, err := h.laneUse(r)
	return RouterUse{
		VPC: vpc, Connections: int64(use.Connections), Limit: int64(use.Room), Lost: int64(use.Lost), Express: int64(lane.Connections), Carried: lane.Traffic,
	}, err
}

// opened opens a router, and its table once more, so that nobody waits for the
// other. The caller releases and closes them.
func (h *Host) opened(vpc string) (*network.Router, *nft.Table, error) {
	r, err := h.routers.Open(vpc)
	if err != nil {
		return nil, nil, err
	}
	table, err := nft.OpenShared(r.FD(), h.shares)
	if err != nil {
		r.Release()
		return nil, nil, err
	}
	return r, table, nil
}

// laneUse asks the express lane what it has of a router.
func (h *Host) laneUse(r *network.Router) (express.Use, error) {
	if h.lane == nil {
		return express.Use{}, nil
	}
	return h.lane.Use(r.Cookie())
}

// trackingRoom is how many connections each namespace may track, or zero when
// the kernel does not say: the setting is one for all namespaces
// (Documentation/networking/nf_conntrack-sysctl.rst).
func trackingRoom() int {
	text, err := os.ReadFile("/proc/sys/net/netfilter/nf_conntrack_max")
	if err != nil {
		return 0
	}
	n, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	return n
}
