// SPDX-License-Identifier: Apache-2.0

package names

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// What is wanted of the resolver: that much more than the best peer answers for
// a second of CPU time, and its answers under half of its maximum in so many ms.
const (
	wantedRatio = 1.7
	wantedP99   = 2
)

// calming bounds how long a Postern may go on with what it was told before it is
// measured.
const calming = 5 * time.Second

// measureQuestions measures the resolver and its peers with more and more
// records.
func (b *bench) measureQuestions(ctx context.Context) (err error) {
	l, err := newLab()
	defer func() { err = errors.Join(err, l.Close()) }()
	if err != nil {
		return err
	}
	w, err := newWorld(ctx, b.PosternBin)
	defer func() { err = errors.Join(err, w.Close()) }()
	if err != nil {
		return err
	}
	if err := w.makeZones(ctx); err != nil {
		return err
	}
	if l.agent, err = l.asking(ctx, l.client); err != nil {
		return err
	}
	if w.agent, err = w.asking(ctx, w.client); err != nil {
		return err
	}
	for _, n := range b.records {
		if err := w.fill(ctx, n); err != nil {
			return err
		}
		if err := b.compare(ctx, w, l, n); err != nil {
			return fmt.Errorf("with %s records: %w", count(n), err)
		}
	}
	return nil
}

// compare measures all candidates with n records.
func (b *bench) compare(ctx context.Context, w *world, l *lab, n int) (err error) {
	p, err := l.serve(ctx, n)
	defer func() { err = errors.Join(err, p.Close()) }()
	if err != nil {
		return err
	}
	folder, err := p.folder()
	if err != nil {
		return err
	}
	ask, err := questionsFor(folder, n)
	if err != nil {
		return err
	}
	pid, err := w.resolver()
	if err != nil {
		return err
	}
	for _, busy := range []int{w.PID(), pid} {
		if err := calm(ctx, busy, calming); err != nil {
			return err
		}
	}
	candidates := append([]candidate{{own, w.client, w.agent, resolving}}, p.all...)
	for _, c := range candidates {
		if _, _, err := c.ask(ask.all, 0); err != nil {
			return fmt.Errorf("warm up: %w", err)
		}
	}
	for round := range b.rounds {
		for i := range candidates {
			if err := b.measureOne(ctx, candidates[(round+i)%len(candidates)], ask, n); err != nil {
				return err
			}
		}
	}
	return nil
}

// measureOne measures one candidate at its maximum, and then at half of what dnsperf
// gets from it at most.
func (b *bench) measureOne(ctx context.Context, c candidate, ask files, n int) error {
	rate, perCPU, err := c.ask(ask.chance, b.asking)
	if err != nil {
		return err
	}
	most, _, err := c.perf(ctx, ask.perf, b.asking, 0)
	if err != nil {
		return err
	}
	_, p99, err := c.perf(ctx, ask.perf, b.asking, most/2)
	if err != nil {
		return fmt.Errorf("at half of %.0f questions a second: %w", most, err)
	}
	b.Log.Debug("questions", "records", n, "of", c.name, "rate", int(rate), "for a CPU second", int(perCPU), "dnsperf", int(most), "p99", p99)
	suffix := ", " + count(n) + " records"
	cpu, late := b.questions.More("for a CPU second of the machine"+suffix, "1/s"), b.questions.Less("dnsperf: p99 at half of the maximum"+suffix, "ms")
	b.questions.More("at most"+suffix, "1/s").Add(c.name, rate)
	b.questions.More("dnsperf: at most"+suffix, "1/s").Add(c.name, most)
	cpu.Add(c.name, perCPU)
	late.Add(c.name, p99)
	if len(late.Targets) == 0 {
		cpu.AtLeast(own, unbound, wantedRatio).AtLeast(own, dnsmasq, wantedRatio)
		late.Within(own, wantedP99)
	}
	return nil
}
