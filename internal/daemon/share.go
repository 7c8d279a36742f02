// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"fmt"
	"time"

	"github.com/posternhq/postern/internal/dataplane"
	"github.com/posternhq/postern/internal/dataplane/nft"
	"github.com/posternhq/postern/internal/service/postern"
)

// sharesOf reads shares by their names.
func sharesOf(numbers map[string]int) (nft.Shares, error) {
	var s nft.Shares
	for name, n := range numbers {
		of := map[string]*int{"client": &s.Client, "nat": &s.NAT, "association": &s.Association, "fabric": &s.Fabric, "outside": &s.Outside, "ports": &s.Ports, "queries": &s.Queries}[name]
		if of == nil {
			return s, fmt.Errorf("--share %s: want client, nat, association, fabric, outside, ports or queries", name)
		}
		if n < 1 {
			return s, fmt.Errorf("--share %s=%d: want a number of connections, or of packets a second", name, n)
		}
		*of = n
	}
	return s, s.Validate()
}

// usualWatch is how often shares are looked at when nothing else is said.
const usualWatch = 30 * time.Second

// watchShares tells of shares that are nearly used up, and of what was refused,
// when there is news of it.
func (p *plane) watchShares(ctx context.Context, every time.Duration) {
	if every <= 0 {
		every = usualWatch
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	known := map[string]dataplane.Share{}
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		list, err := p.dataplane.Shares(ctx)
		if err != nil && ctx.Err() == nil {
			p.log.Warn("shares cannot be looked at", "error", err)
		}
		now := map[string]dataplane.Share{}
		for _, s := range list {
			key := s.VPC + " " + s.Of
			now[key] = s
			before := known[key]
			if s.Full() && !before.Full() {
				p.log.Warn("a share is nearly used up", "share", s.String())
			}
			if s.Refused > before.Refused {
				p.log.Warn("refused beyond a share", "share", s.String())
			}
		}
		known = now
	}
}

// addShares adds what there is to say of shares.
func (p *plane) addShares(s *postern.DataplaneStatus) {
	ctx, cancel := context.WithTimeout(context.Background(), sharesPatience)
	defer cancel()
	list, err := p.dataplane.Shares(ctx)
	if err != nil {
		p.log.Warn("shares cannot be looked at", "error", err)
	}
	for _, share := range list {
		s.Shares = append(s.Shares, postern.Share(share))
		if share.Refused > 0 {
			s.Counters["refused beyond shares: "+share.Of] += share.Refused
		}
	}
}

// addNATs adds what NAT gateways have and have done.
func (p *plane) addNATs(s *postern.DataplaneStatus) {
	ctx, cancel := context.WithTimeout(context.Background(), sharesPatience)
	defer cancel()
	list, err := p.dataplane.NATs(ctx)
	if err != nil {
		p.log.Warn("nat gateways cannot be looked at", "error", err)
	}
	for _, n := range list {
		for what, value := range map[string]uint64{
			"connections": uint64(n.Connections), "first packets without a port or room": n.Lost, "packets after an idle timeout": n.Late, "refused beyond a client's share": n.Refused, "packets": n.Packets, "bytes": n.Bytes,
		} {
			s.Counters[n.ID+": "+what] = int64(value)
		}
	}
}

// sharesPatience is how long a person waits for the shares.
const sharesPatience = 5 * time.Second
