// SPDX-License-Identifier: Apache-2.0

// Package dataplane measures how fast packets pass: Postern against a wire,
// plain routing, and proxies, over the same number of hops with the same frame
// sizes and the same load generators.
package dataplane

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"time"

	"github.com/posternhq/postern/bench/report"
	"github.com/posternhq/postern/bench/wiring"
)

// Names of the candidates.
const (
	direct  = "direct"
	routing = "routing"
	ours    = "Postern"
	slow    = "Postern, nftables"
	other   = "the other Postern"
	haproxy = "HAProxy"
	nginx   = "nginx"
	copying = "io.Copy"
)

// plan is how much is measured.
type plan struct {
	measure   time.Duration // one measurement
	idle      int           // idle connections
	sustained time.Duration
	endpoints []int // besides one
	vpcs      int
	tables    int // of routes, besides one
}

var (
	full  = plan{500 * time.Millisecond, 10_000, 30 * time.Second, []int{1000, 10_000}, 1000, 200}
	quick = plan{100 * time.Millisecond, 500, 3 * time.Second, []int{100}, 10, 10}
)

// bench is one run.
type bench struct {
	report.Settings
	plan
	runner
	files      int // that a process may open
	section    report.Section
	lab        *lab
	world      *world
	slow       *world // without the express lane
	other      *world // of another binary, if one is to be compared
	candidates []candidate
}

// Run measures the data plane. It needs root, haproxy and nginx. Whatever it
// made is gone when it returns, also when the context ends or something fails.
func Run(ctx context.Context, s report.Settings) (section report.Section, err error) {
	b := &bench{Settings: s, plan: full}
	if s.Quick {
		b.plan = quick
	}
	b.runner = runner{rounds: s.Rounds, each: b.measure, log: s.Log, failed: map[string]int64{}}
	b.section.Name = "data plane"
	limit, err := raiseFileLimit()
	if err != nil {
		return b.section, err
	}
	b.files = int(limit)
	if most := b.files/2 - 2*spareFiles; b.idle > most {
		b.idle = most
		b.section.Notes = append(b.section.Notes,
			fmt.Sprintf("A process may open %d files here, so that no more than %d idle connections fit into a proxy.", b.files, most))
	}
	defer func() {
		err = errors.Join(err, b.close())
		section = b.section
	}()
	if err := b.build(ctx); err != nil {
		return b.section, fmt.Errorf("build topologies: %w", err)
	}
	for _, stage := range []func(context.Context) error{b.compare, b.compareIdle, b.peer, b.passOn, b.balance, b.goOut, b.compareTables, b.scale, b.sustain} {
		if err := stage(ctx); err != nil {
			return b.section, err
		}
	}
	b.describe()
	return b.section, nil
}

// build builds the lab with its proxies, and Postern's world.
func (b *bench) build(ctx context.Context) (err error) {
	b.Log.Info("build topologies")
	if b.lab, err = newLab(ctx); err != nil {
		return err
	}
	err = errors.Join(b.lab.haproxy(ctx, b.files), b.lab.nginx(ctx, b.files), b.lab.copying(ctx, runtime.NumCPU()))
	if err != nil {
		return err
	}
	if b.world, err = newWorld(ctx, b.PosternBin, clientCount); err != nil {
		return err
	}
	if b.slow, err = newWorld(ctx, b.PosternBin, clientCount, "--no-express-lane"); err != nil {
		return err
	}
	if b.Against != "" {
		if b.other, err = newWorld(ctx, b.Against, clientCount); err != nil {
			return fmt.Errorf("with %s: %w", b.Against, err)
		}
	}
	via := func(name string, address netip.Addr, port uint16) candidate {
		c := candidate{name: name, clients: b.lab.clients}
		for range c.clients {
			c.targets = append(c.targets, netip.AddrPortFrom(address, port))
		}
		return c
	}
	wire := candidate{name: direct, clients: b.lab.clients}
	for i := range wire.clients {
		_, far := directAddress(i)
		wire.targets = append(wire.targets, netip.AddrPortFrom(far, directBase))
	}
	b.candidates = []candidate{
		wire, via(routing, server, routingBase), b.world.candidate(ours), b.slow.candidate(slow),
		via(haproxy, routerA, haproxyBase), via(nginx, routerA, nginxBase), via(copying, routerA, copyBase),
	}
	if b.other != nil {
		b.candidates = []candidate{via(routing, server, routingBase), b.world.candidate(ours), b.other.candidate(other)}
	}
	return nil
}

func (b *bench) close() error {
	var errs []error
	for _, w := range []*world{b.world, b.slow, b.other} {
		if w != nil {
			errs = append(errs, w.Close())
		}
	}
	if b.lab != nil {
		errs = append(errs, b.lab.Close())
	}
	return errors.Join(errs...)
}

// reference is what everybody is divided by.
func (b *bench) reference() string {
	if b.other != nil {
		return other
	}
	return routing
}

// table adds a table for these candidates.
func (b *bench) table(title, reference string, candidates []candidate) *report.Table {
	var names []string
	for _, c := range candidates {
		names = append(names, c.name)
	}
	return b.section.Table(title, reference, names...)
}

// part is what is measured where a whole comparison would take too long.
func part() []trial { return []trial{download(1), requests(atOnce), connections(1)} }

// wanted gives those of the trials that are to be done.
func (b *bench) wanted(table string, trials ...trial) (chosen []trial) {
	for _, t := range trials {
		if b.Wants(table, t.name) {
			chosen = append(chosen, t)
		}
	}
	return chosen
}

// compare measures everything of everybody, with nothing else going on.
func (b *bench) compare(ctx context.Context) error {
	const title = "one way against another"
	bulk := []trial{upload(1), upload(clientCount), download(1), download(clientCount)}
	busy := requests(atOnce)
	connecting := []trial{connections(1), connections(clientCount)}
	trials := b.wanted(title, append(append(slices.Clone(bulk), requests(1), busy), connecting...)...)
	if len(trials) == 0 {
		return nil
	}
	t := b.table(title, b.reference(), b.candidates)
	if err := b.run(ctx, t, b.candidates, trials...); err != nil || b.other != nil {
		return err
	}
	for _, m := range t.Measures {
		is := func(t trial) bool { return t.name == m.Name }
		switch {
		case slices.ContainsFunc(bulk, is):
			m.AtLeast(ours, routing, 0.85).AtLeast(ours, haproxy, 2)
		case is(busy):
			m.AtLeast(ours, routing, 0.80).AtLeast(ours, haproxy, 1.5)
		case slices.ContainsFunc(connecting, is):
			m.AtLeast(ours, routing, 0.75).AtLeast(ours, haproxy, 2)
		}
	}
	return nil
}

// filesOfCopy is how many files io.Copy needs for a connection: two sockets, and
// a pipe for each direction.
const filesOfCopy = 6

// compareIdle does a part of it again while many connections are held through
// every candidate. Each is held by another client, which has files enough for
// one.
func (b *bench) compareIdle(ctx context.Context) (err error) {
	title := fmt.Sprintf("the same with %d idle connections through each", b.idle)
	trials := b.wanted(title, part()...)
	if len(trials) == 0 {
		return nil
	}
	candidates := slices.DeleteFunc(slices.Clone(b.candidates), func(c candidate) bool { return c.name == slow })
	if b.files < filesOfCopy*b.idle+spareFiles {
		candidates = slices.DeleteFunc(candidates, func(c candidate) bool { return c.name == copying })
		b.section.Notes = append(b.section.Notes,
			fmt.Sprintf("%s needs %d files for each connection, which is too many here with idle ones.", copying, filesOfCopy))
	}
	defer func() {
		for k, c := range candidates {
			err = errors.Join(err, c.clients[k].Release())
		}
	}()
	for k, c := range candidates {
		b.Log.Info("hold idle connections", "candidate", c.name, "connections", b.idle)
		if err := c.clients[k].Hold(c.targets[k], b.idle); err != nil {
			return fmt.Errorf("hold idle connections through %s: %w", c.name, err)
		}
	}
	return b.run(ctx, b.table(title, b.reference(), candidates), candidates, trials...)
}

// describe says how it was measured.
func (b *bench) describe() {
	b.section.Notes = append([]string{
		fmt.Sprintf("Every measurement takes %v; the rounds are interleaved, and each begins with another candidate.", b.measure),
		"Clients, routers, proxies, server and interrupts share the machine's cores. A load generator has one thread; proxies have one for each core.",
		fmt.Sprintf("All ways but the direct one are client, A, B, server: three links, of %d, %d and %d bytes. Proxies run in A, B routes.", wiring.WorkloadMTU, wiring.FabricMTU, wiring.WorkloadMTU),
		fmt.Sprintf("Requests and answers have %d bytes. Of connections the server closes first; %d are under way at once, of all clients together.", 128, atOnce),
		"CPU seconds are the whole machine's, load generators included.",
	}, b.section.Notes...)
	b.section.Notes = append(b.section.Notes, b.notes(b.candidates)...)
}
