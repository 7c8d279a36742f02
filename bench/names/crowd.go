// SPDX-License-Identifier: Apache-2.0

package names

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/posternhq/postern/bench/report"
	"github.com/posternhq/postern/internal/aws/shape/route53"
)

// How many VPCs of the crowd are made at once, and where.
const (
	crowdLanes   = 16
	crowdNetwork = "172.16.0.0/16"
	crowdSubnet  = "172.16.0.0/24"
)

// wantedMemory is what the resolver may have resident, in MiB.
const wantedMemory = 100

// measureCrowd measures changes and memory with many records and VPCs.
func (b *bench) measureCrowd(ctx context.Context) (err error) {
	w, err := newWorld(ctx, b.PosternBin)
	defer func() { err = errors.Join(err, w.Close()) }()
	if err != nil {
		return err
	}
	if err := w.makeZones(ctx); err != nil {
		return err
	}
	vpcs, err := w.makeCrowd(ctx, b.crowd, b.crowdTime())
	if err != nil {
		return err
	}
	if err := w.Programmed(ctx); err != nil {
		return err
	}
	b.Log.Info("made", "vpcs", vpcs)
	with := func(records int) string {
		return fmt.Sprintf("with %s records in %d zones and %s VPCs", count(records), zoneCount, count(vpcs))
	}
	if err := w.fill(ctx, b.stock[0]); err != nil {
		return err
	}
	for range b.rounds {
		took, err := w.changeToAnswer(ctx, b.changes)
		if err != nil {
			return err
		}
		p50, p99 := report.Milliseconds(took)
		b.crowded.Less("ChangeResourceRecordSets → new answer "+with(b.stock[0])+", p50", "ms").Add(own, p50)
		row := b.crowded.Less("ChangeResourceRecordSets → new answer "+with(b.stock[0])+", p99", "ms")
		row.Add(own, p99)
		if len(row.Targets) == 0 {
			row.Within(own, 50)
		}
	}
	if err := w.fill(ctx, b.stock[1]); err != nil {
		return err
	}
	if err := w.Programmed(ctx); err != nil {
		return err
	}
	now, most, err := w.memory()
	if err != nil {
		return err
	}
	b.crowded.Less("memory of the resolver "+with(b.stock[1])+", resident", "MiB").Within(own, wantedMemory).Add(own, now)
	b.crowded.Less("memory of the resolver "+with(b.stock[1])+", resident at most", "MiB").Add(own, most)
	return nil
}

// makeCrowd makes VPCs, each with a gateway, so that it has a router and a
// resolver, until there are n or the time is over. Each sees one of the zones.
func (w *world) makeCrowd(ctx context.Context, n int, within time.Duration) (made int, err error) {
	var all atomic.Int64
	end := time.Now().Add(within)
	err = parallel(ctx, n, crowdLanes, func(ctx context.Context, i int) error {
		if time.Now().After(end) {
			return nil
		}
		v, err := w.network(ctx, crowdNetwork, crowdSubnet)
		if err != nil {
			return err
		}
		if _, err := v.Gateway(ctx, fmt.Sprintf("crowd-%d", i)); err != nil {
			return err
		}
		all.Add(1)
		return w.Client.Do(ctx, route53.Service, "AssociateVPCWithHostedZone", &route53.AssociateVPCWithHostedZoneInput{
			HostedZoneId: &w.zones[i%zoneCount], VPC: seenBy(v),
		}, nil)
	})
	if err != nil {
		return 0, fmt.Errorf("make %d VPCs: %w", n, err)
	}
	return int(all.Load()), nil
}

// changeToAnswer gives one record after the other another address, each of
// another zone, and tells how long it took until the client was answered with
// it.
func (w *world) changeToAnswer(ctx context.Context, n int) (took []time.Duration, err error) {
	a, err := newAsker(ctx, w.client, resolving)
	if err != nil {
		return nil, err
	}
	defer a.close()
	for i := range n {
		old, err := a.ask(hostName(i))
		if err != nil {
			return nil, err
		}
		d, err := w.changeOne(ctx, a, i, old)
		if err != nil {
			return nil, err
		}
		took = append(took, d)
	}
	return took, nil
}

// changeOne changes record i to another address than its old one.
func (w *world) changeOne(ctx context.Context, a *asker, i int, old netip.Addr) (time.Duration, error) {
	address := old.As4()
	address[0] ^= 128
	wanted := netip.AddrFrom4(address)
	changed := make(chan error, 1)
	begun := time.Now()
	go func() { changed <- w.change(ctx, w.zones[i%zoneCount], upsert(hostName(i), wanted, 60)) }()
	_, err := a.await(ctx, hostName(i), func(got netip.Addr) bool { return got == wanted })
	took := time.Since(begun)
	return took, errors.Join(<-changed, err)
}

// memory gives what the resolver has resident now, and had at most, in MiB.
func (w *world) memory() (now, most float64, err error) {
	pid, err := w.resolver()
	if err != nil {
		return 0, 0, err
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0, fmt.Errorf("read memory of the resolver: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		var what string
		var kib float64
		if n, _ := fmt.Sscanf(line, "%s %f kB", &what, &kib); n != 2 {
			continue
		}
		switch what {
		case "VmRSS:":
			now = kib / 1024
		case "VmHWM:":
			most = kib / 1024
		}
	}
	return now, most, nil
}
