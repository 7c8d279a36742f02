// SPDX-License-Identifier: Apache-2.0

package names

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
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
	file := filepath.Join(folder, "questions")
	if err := os.WriteFile(file, questionsFor(n), 0o600); err != nil {
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
	candidates := append([]candidate{{own, w.client, resolving, pid}}, p.all...)
	for _, c := range candidates {
		if _, err := c.ask(ctx, file, b.asking/2, 0); err != nil {
			return fmt.Errorf("warm up: %w", err)
		}
	}
	for round := range b.rounds {
		for i := range candidates {
			if err := b.measureOne(ctx, candidates[(round+i)%len(candidates)], file, n); err != nil {
				return err
			}
		}
	}
	return nil
}

// measureOne measures one candidate at its maximum, and then at half of it.
func (b *bench) measureOne(ctx context.Context, c candidate, file string, n int) error {
	most, err := c.ask(ctx, file, b.asking, 0)
	if err != nil {
		return err
	}
	half, err := c.ask(ctx, file, b.asking, most.rate/2)
	if err != nil {
		return fmt.Errorf("at half of %.0f questions a second: %w", most.rate, err)
	}
	b.Log.Debug("questions", "records", n, "of", c.name, "rate", int(most.rate), "for a CPU second", int(most.perCPU), "of both", int(most.perBoth), "p99", half.p99)
	suffix := ", " + count(n) + " records"
	perCPU, p99 := b.questions.More("for a CPU second of the machine"+suffix, "1/s"), b.questions.Less("p99 at half of the maximum"+suffix, "ms")
	b.questions.More("at most"+suffix, "1/s").Add(c.name, most.rate)
	perCPU.Add(c.name, most.perCPU)
	b.questions.More("for a CPU second of server and dnsperf"+suffix, "1/s").Add(c.name, most.perBoth)
	p99.Add(c.name, half.p99)
	if len(p99.Targets) == 0 {
		perCPU.AtLeast(own, unbound, wantedRatio).AtLeast(own, dnsmasq, wantedRatio)
		p99.Within(own, wantedP99)
	}
	return nil
}
