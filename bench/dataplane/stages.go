// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/posternhq/postern/bench/report"
)

// scale compares Posterns with little and with much programmed. Each is an
// instance of its own, so that they can be measured in turns.
func (b *bench) scale(ctx context.Context) (err error) {
	const title = "Postern by what is programmed"
	trials := b.wanted(title, part()...)
	if len(trials) == 0 {
		return nil
	}
	small := candidate{name: "1 endpoint", clients: b.world.clients[:1], targets: b.world.candidate("").targets[:1]}
	candidates := []candidate{small}
	var worlds belongings
	defer func() { err = errors.Join(err, worlds.Close()) }()
	grow := func(name string, fill func(*world) error) error {
		b.Log.Info("program", "world", name)
		begin := time.Now()
		w, err := newWorld(ctx, b.PosternBin, 1)
		worlds.Add(w.Close)
		if err != nil {
			return err
		}
		if err := fill(w); err != nil {
			return fmt.Errorf("make %s: %w", name, err)
		}
		b.Log.Info("programmed", "world", name, "took", time.Since(begin).Round(time.Millisecond))
		candidates = append(candidates, w.candidate(name))
		return nil
	}
	for _, n := range b.endpoints {
		if err := grow(count(n, "endpoint"), func(w *world) error { return w.moreEndpoints(ctx, n-1) }); err != nil {
			return err
		}
	}
	if err := grow(count(b.vpcs, "VPC"), func(w *world) error { return w.moreVPCs(ctx, b.vpcs-2) }); err != nil {
		return err
	}
	b.section.Notes = append(b.section.Notes,
		"More endpoints are in the clients' VPC; more VPCs have an endpoint each to the same resource, so that the server's router is joined to all of them.")
	return b.run(ctx, b.table(title, small.name, candidates), candidates, trials...)
}

// sustain makes connections for long, to one resource, and compares the end
// with the beginning: ports and connection tracking fill up meanwhile.
func (b *bench) sustain(ctx context.Context) error {
	of := func(names ...string) (chosen []candidate) {
		for _, name := range names {
			for _, c := range b.candidates {
				if c.name == name {
					chosen = append(chosen, c)
				}
			}
		}
		return chosen
	}
	many, single := of(routing, ours, haproxy), of(ours)
	if b.Quick {
		many = single
	}
	title := fmt.Sprintf("connections to one resource for %v", b.sustained)
	var t *report.Table
	for _, clients := range []int{clientCount, 1} {
		if !b.Wants(title, count(clients, "client")) {
			continue
		}
		if t == nil {
			t = b.table(title, routing, of(routing, ours, haproxy))
		}
		chosen := many
		if clients == 1 {
			chosen = single
		}
		for _, c := range chosen {
			if err := b.sustainOne(ctx, t, c, clients); err != nil {
				return err
			}
		}
	}
	return nil
}

// sustainOne does one candidate, once: it is long enough to need no rounds, and
// what it leaves behind would spoil a second.
func (b *bench) sustainOne(ctx context.Context, t *report.Table, c candidate, clients int) error {
	b.Log.Info("sustain connections", "candidate", c.name, "clients", clients, "for", b.sustained)
	result, _, err := b.once(ctx, connections(clients), c, b.sustained)
	if err != nil {
		return err
	}
	part := max(1, int(b.sustained/time.Second)/6)
	from := count(clients, "client")
	first, last := rate(result.Each[:part]), rate(result.Each[len(result.Each)-part:])
	t.More(fmt.Sprintf("%s, first %d s", from, part), "1/s").Add(c.name, first)
	t.More(fmt.Sprintf("%s, last %d s", from, part), "1/s").Add(c.name, last)
	kept := t.More(from+", last to first", "")
	kept.Add(c.name, last/first)
	if c.name == ours {
		kept.Within(ours, 0.85)
	}
	t.Less(from+", failed", "").Add(c.name, float64(result.Failed))
	return nil
}

// rate is the mean of counts of a second each.
func rate(each []int64) (sum float64) {
	for _, n := range each {
		sum += float64(n)
	}
	return sum / float64(len(each))
}
