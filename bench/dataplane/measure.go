// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/posternhq/postern/bench/load"
	"github.com/posternhq/postern/bench/report"
)

// candidate is one way from clients to a server.
type candidate struct {
	name    string
	clients []*load.Agent
	targets []netip.AddrPort // what each client connects to
}

// trial is one thing that is measured of candidates.
type trial struct {
	name string
	// run puts the load on a candidate.
	run func(c candidate, d time.Duration) (load.Result, error)
	// keep adds what came of it, with the CPU seconds of the whole machine, to
	// the rows of a table.
	keep func(t *report.Table, row, candidate string, r load.Result, cpu float64)
}

func upload(streams int) trial {
	return trial{fmt.Sprintf("bulk to the server, %s", count(streams, "stream")), func(c candidate, d time.Duration) (load.Result, error) {
		return c.clients[0].Upload(c.targets[0], streams, d)
	}, keepBulk}
}

func download(streams int) trial {
	return trial{fmt.Sprintf("bulk from the server, %s", count(streams, "stream")), func(c candidate, d time.Duration) (load.Result, error) {
		return c.clients[0].Download(c.targets[0], streams, d)
	}, keepBulk}
}

func requests(connections int) trial {
	return trial{fmt.Sprintf("requests, %s", count(connections, "connection")), func(c candidate, d time.Duration) (load.Result, error) {
		return c.clients[0].Request(c.targets[0], connections, d)
	}, keepRequests}
}

// atOnce is how many connections are under way at once, of all clients
// together.
const atOnce = 32

func connections(clients int) trial {
	return trial{fmt.Sprintf("connections, %s", count(clients, "client")), func(c candidate, d time.Duration) (load.Result, error) {
		return c.connect(clients, d)
	}, keepConnections}
}

// connect makes connections from several clients at once and adds up what they
// did. Times are those of the slowest client.
func (c candidate) connect(clients int, d time.Duration) (total load.Result, err error) {
	var g errgroup.Group
	results := make([]load.Result, clients)
	for i := range results {
		g.Go(func() (err error) {
			results[i], err = c.clients[i].Connect(c.targets[i], atOnce/clients, d)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return total, err
	}
	total.Each = make([]int64, int(d/time.Second))
	for _, r := range results {
		total.Count += r.Count
		total.Failed += r.Failed
		total.Seconds = max(total.Seconds, r.Seconds)
		total.P50, total.P99 = max(total.P50, r.P50), max(total.P99, r.P99)
		for i, n := range r.Each {
			total.Each[i] += n
		}
	}
	return total, nil
}

func keepBulk(t *report.Table, row, name string, r load.Result, cpu float64) {
	t.More(row, "Gb/s").Add(name, float64(r.Bytes)*8/1e9/r.Seconds)
	t.Less(row+": CPU", "s/GB").Add(name, cpu/(float64(r.Bytes)/1e9))
}

func keepRequests(t *report.Table, row, name string, r load.Result, cpu float64) {
	keepRate(t, row, name, r)
	t.Less(row+": CPU", "s/million").Add(name, cpu/(float64(r.Count)/1e6))
}

func keepConnections(t *report.Table, row, name string, r load.Result, cpu float64) {
	keepRate(t, row, name, r)
	t.Less(row+": CPU", "s/thousand").Add(name, cpu/(float64(r.Count)/1e3))
}

func keepRate(t *report.Table, row, name string, r load.Result) {
	t.More(row, "1/s").Add(name, float64(r.Count)/r.Seconds)
	t.Less(row+": p50", "ms").Add(name, r.P50)
	t.Less(row+": p99", "ms").Add(name, r.P99)
}

// runner runs trials in rounds.
type runner struct {
	rounds int
	each   time.Duration // how long one measurement takes
	log    *slog.Logger
	failed map[string]int64 // connections that failed, by candidate
}

// warmup is how long each candidate is used before it is measured: neighbours
// are resolved and path sizes learnt then.
const warmup = 50 * time.Millisecond

// run measures every trial of every candidate in every round. The candidate
// that begins is another one in each round.
func (r *runner) run(ctx context.Context, t *report.Table, candidates []candidate, trials ...trial) error {
	for _, trial := range trials {
		for _, c := range candidates {
			if _, _, err := r.once(ctx, trial, c, warmup); err != nil {
				return err
			}
		}
	}
	for round := range r.rounds {
		r.log.Info("round", "table", t.Title, "number", round+1, "of", r.rounds)
		for _, trial := range trials {
			for k := range candidates {
				c := candidates[(k+round)%len(candidates)]
				result, cpu, err := r.once(ctx, trial, c, r.each)
				if err != nil {
					return err
				}
				trial.keep(t, trial.name, c.name, result, cpu)
			}
		}
	}
	return nil
}

// once does one measurement and returns the CPU seconds it took.
func (r *runner) once(ctx context.Context, t trial, c candidate, d time.Duration) (load.Result, float64, error) {
	if err := ctx.Err(); err != nil {
		return load.Result{}, 0, err
	}
	before, err := report.CPUSeconds()
	if err != nil {
		return load.Result{}, 0, err
	}
	result, err := t.run(c, d)
	if err != nil {
		return load.Result{}, 0, fmt.Errorf("measure %s of %s: %w", t.name, c.name, err)
	}
	after, err := report.CPUSeconds()
	if result.Failed > 0 {
		r.failed[c.name] += result.Failed
		r.log.Warn("connections failed", "candidate", c.name, "trial", t.name, "failed", result.Failed, "good", result.Count)
	}
	return result, after - before, err
}

// notes says which candidates failed connections.
func (r *runner) notes(candidates []candidate) (notes []string) {
	for _, c := range candidates {
		if n := r.failed[c.name]; n > 0 {
			notes = append(notes, fmt.Sprintf("%s failed %d connections in all.", c.name, n))
		}
	}
	return notes
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
