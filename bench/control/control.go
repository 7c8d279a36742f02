// SPDX-License-Identifier: Apache-2.0

// Package control measures the control plane of Postern: how long a change
// takes from the request to its effect on packets, how many requests the API
// answers, and what a start costs, each with few, some and many endpoints.
//
// There is a daemon for each number of endpoints. They live side by side, so
// that the rounds can go around them; while one is measured the others stand
// still. Where somebody else does the same there is a peer: a bare HTTP handler
// that verifies signatures and gives a fixed answer is the floor of the API.
package control

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/posternhq/postern/bench/report"
)

// scale is how much is measured.
type scale struct {
	crowds   []int
	made     int           // endpoints, one after the other, a round
	changes  int           // of the group, a round
	describe time.Duration // for each number of clients, a round
	created  int           // endpoints for each number of clients, a round
	rounds   int

	vpcs     int           // in which routes and network ACLs change
	settling time.Duration // in which as many of them are made as can be
	turned   int           // changes of each kind, a round

	market marketScale
	hub    hubScale
}

func scaleOf(s report.Settings) scale {
	if s.Quick {
		return scale{crowds: []int{10, 1000}, made: 20, changes: 5, describe: 300 * time.Millisecond, created: 60, rounds: min(s.Rounds, 1),
			vpcs: 10, settling: 10 * time.Second, turned: 5,
			market: marketScale{vendors: 4, customers: 16, serving: 2, buying: 8, each: 10, rounds: 1},
			hub:    hubScale{children: 6, vpcs: 10, added: 2, rounds: 1}}
	}
	return scale{crowds: []int{10, 1_000, 10_000}, made: 200, changes: 50, describe: time.Second, created: 200, rounds: s.Rounds,
		vpcs: 1_000, settling: 30 * time.Second, turned: 40,
		market: marketScale{vendors: 100, customers: 900, serving: 10, buying: 100, each: 100, rounds: min(s.Rounds, 3)},
		hub:    hubScale{children: 60, vpcs: 200, added: 5, rounds: min(s.Rounds, 3)}}
}

var clients = []int{1, 16, 64}

func cores() int { return runtime.NumCPU() }

// bench is one run.
type bench struct {
	report.Settings
	scale
	worlds    []*world
	countries []*country
	markets   []*market
	hubs      []*hub
	floor     *floorProcess

	change, describes, creations, starts, turned, asked, decisions, shared, sharedReads, spread *report.Table
}

// Run measures everything. It needs root, and leaves nothing behind.
func Run(ctx context.Context, s report.Settings) (section report.Section, err error) {
	b := &bench{Settings: s, scale: scaleOf(s)}
	section.Name = "Control plane"
	b.tables(&section)
	for _, part := range []struct {
		tables []*report.Table
		do     func(context.Context) error
	}{
		{[]*report.Table{b.change, b.describes, b.creations, b.starts, b.asked}, b.measureWorlds},
		{[]*report.Table{b.decisions}, b.measureDecisions},
		{[]*report.Table{b.turned}, b.measureCountries},
		{[]*report.Table{b.shared, b.sharedReads}, b.measureSharing},
		{[]*report.Table{b.spread}, b.measureHub},
	} {
		if !slices.ContainsFunc(part.tables, func(t *report.Table) bool { return s.Wants(t.Title, "") }) {
			continue
		}
		if err := errors.Join(part.do(ctx), b.close()); err != nil {
			return section, err
		}
	}
	section.Notes = b.notes()
	return section, nil
}

// measureWorlds measures what depends on the number of endpoints.
func (b *bench) measureWorlds(ctx context.Context) error {
	if err := b.prepare(ctx); err != nil {
		return err
	}
	for round := range b.rounds {
		b.Log.Info("control plane", "round", round+1, "of", b.rounds)
		for _, step := range []func(context.Context, *world) error{b.measureCreation, b.measureGroup, b.measureStart} {
			for _, w := range b.worlds {
				if err := alone(ctx, w, step); err != nil {
					return fmt.Errorf("with %s present: %w", w.name, err)
				}
			}
		}
		if err := b.measureAPI(ctx); err != nil {
			return err
		}
		if err := alone(ctx, b.worlds[0], b.measureAskers); err != nil {
			return err
		}
	}
	return nil
}

// name is how a number of endpoints is called in the tables.
func name(crowd int) string { return thousands(crowd) + " endpoints" }

// thousands shows a number below a million with its thousands apart.
func thousands(n int) string {
	text := fmt.Sprint(n)
	if n := len(text); n > 3 {
		text = text[:n-3] + "," + text[n-3:]
	}
	return text
}

func (b *bench) tables(s *report.Section) {
	var names []string
	for _, crowd := range b.crowds {
		names = append(names, name(crowd))
	}
	b.change = s.Table("From a request to its effect on packets", names[0], names...)
	b.describes = s.Table("API: DescribeVpcEndpoints of one by its id", "floor", append([]string{"floor", names[0] + encrypted}, names...)...)
	b.creations = s.Table("API: CreateVpcEndpoint", names[0], names...)
	b.decisionTables(s)
	b.starts = s.Table("Start, restart and memory of postern up", names[0], append([]string{"empty"}, names...)...)
	b.turned = s.Table("From a change of routes and network ACLs to its effect on packets", vpcsName(1), vpcsName(1))
	b.sharingTables(s)
	b.spread = s.Table("One child more of a hub", "", b.scale.hub.name())
}

// prepare starts the daemons and fills them.
func (b *bench) prepare(ctx context.Context) error {
	for _, crowd := range b.crowds {
		w, err := makeWorld(ctx, b.PosternBin, name(crowd), crowd)
		b.worlds = append(b.worlds, w)
		if err != nil {
			return fmt.Errorf("prepare %s: %w", name(crowd), err)
		}
		b.Log.Info("filled", "endpoints", crowd, "took", w.filled, "a second", int(float64(crowd)/w.filled.Seconds()))
		b.creations.More("creation of all, 16 clients", "1/s").Add(w.name, float64(crowd)/w.filled.Seconds())
		w.rest()
	}
	return b.makeFloor(ctx)
}

// makeFloor starts the floor with a true answer of the first daemon.
func (b *bench) makeFloor(ctx context.Context) error {
	w := b.worlds[0]
	return alone(ctx, w, func(ctx context.Context, w *world) error {
		answer, err := w.answer(ctx)
		if err != nil {
			return err
		}
		b.floor, err = startFloor(ctx, floorSetup{w.Access().AccessKeyID, w.Access().SecretAccessKey, answer})
		return err
	})
}

// alone lets one daemon run while the others stand still.
func alone[W interface {
	wake()
	rest()
}](ctx context.Context, w W, step func(context.Context, W) error) error {
	w.wake()
	defer w.rest()
	return step(ctx, w)
}

func (b *bench) close() (err error) {
	if b.floor != nil {
		err = b.floor.close()
	}
	for _, w := range b.worlds {
		err = errors.Join(err, w.close())
	}
	for _, c := range b.countries {
		err = errors.Join(err, c.close())
	}
	for _, m := range b.markets {
		err = errors.Join(err, m.close())
	}
	for _, h := range b.hubs {
		err = errors.Join(err, h.close())
	}
	b.floor, b.worlds, b.countries, b.markets, b.hubs = nil, nil, nil, nil, nil
	return err
}

func (b *bench) measureCreation(ctx context.Context, w *world) error {
	took, err := w.createdToFirstByte(ctx, b.made)
	if err != nil {
		return err
	}
	p50, p99 := report.Milliseconds(took)
	b.Log.Debug("created to first byte", "present", w.name, "p50", p50, "p99", p99)
	thousand, many := name(1_000), name(10_000)
	b.change.Less("CreateVpcEndpoint → first byte, p50", "ms").Add(w.name, p50)
	b.change.Less("CreateVpcEndpoint → first byte, p99", "ms").Add(w.name, p99)
	if row := b.change.Less("CreateVpcEndpoint → first byte, p50", "ms"); len(row.Targets) == 0 {
		row.Within(thousand, 30).AtLeast(many, thousand, 1.5)
		b.change.Less("CreateVpcEndpoint → first byte, p99", "ms").Within(thousand, 150).AtLeast(many, thousand, 1.5)
	}
	return nil
}

func (b *bench) measureGroup(ctx context.Context, w *world) error {
	opened, shut, err := w.groupToEffect(ctx, b.changes)
	if err != nil {
		return err
	}
	for _, change := range []struct {
		what string
		took []time.Duration
	}{{"opened", opened}, {"shut", shut}} {
		what, took := change.what, change.took
		p50, p99 := report.Milliseconds(took)
		b.Log.Debug("group to effect", "present", w.name, "what", what, "p50", p50, "p99", p99)
		b.change.Less("security group "+what+" → effect, p50", "ms").Add(w.name, p50)
		row := b.change.Less("security group "+what+" → effect, p99", "ms")
		row.Add(w.name, p99)
		if len(row.Targets) == 0 {
			for _, crowd := range b.crowds {
				row.Within(name(crowd), 100)
			}
		}
	}
	return nil
}

// measureStart restarts the daemon under traffic. The number of endpoints that
// it finds is the crowd and one.
func (b *bench) measureStart(ctx context.Context, w *world) error {
	took, t, err := w.restart(ctx)
	if err != nil {
		return err
	}
	now, most, err := w.memory()
	if err != nil {
		return err
	}
	b.Log.Debug("restart", "present", w.name, "answers", took.answers, "adopted", took.adopted,
		"connections", t.attempts, "failed", t.failed, "slow", t.slow, "rss", now, "hwm", most)
	b.addStart(b.starts, w.name, took, now, most)
	b.starts.More("connections opened during the restart", "").Add(w.name, float64(t.attempts))
	for _, count := range []struct {
		what string
		n    int
	}{{"connections refused or broken during it", t.failed}, {"connections with a lost packet during it", t.slow}} {
		row := b.starts.Less(count.what, "")
		row.Add(w.name, float64(count.n))
		if len(row.Targets) == 0 {
			row.Within(name(10_000), 0)
		}
	}
	if w == b.worlds[0] {
		return b.measureEmpty(ctx)
	}
	return nil
}

func (b *bench) addStart(t *report.Table, candidate string, took start, now, most float64) {
	t.Less("exec → API answers", "s").Add(candidate, took.answers.Seconds())
	adopted := t.Less("exec → host adopted", "s")
	adopted.Add(candidate, took.adopted.Seconds())
	t.Less("resident after it", "MiB").Add(candidate, now)
	peak := t.Less("resident at most", "MiB")
	peak.Add(candidate, most)
	if t == b.starts && len(adopted.Targets) == 0 {
		adopted.Within(name(10_000), 5)
		peak.Within(name(10_000), 300)
	}
}

// measureEmpty starts a daemon with an empty data folder, the very first start.
func (b *bench) measureEmpty(ctx context.Context) (err error) {
	w, err := emptyWorld(b.PosternBin)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	took, err := w.daemon.start(ctx)
	if err != nil {
		return err
	}
	now, most, err := w.memory()
	if err == nil {
		b.addStart(b.starts, "empty", took, now, most)
	}
	return err
}

// measureAPI goes around floor and worlds for each number of clients.
func (b *bench) measureAPI(ctx context.Context) error {
	for _, lanes := range clients {
		request, err := b.worlds[0].describe(ctx, b.worlds[0].Client) // the floor knows this world's key
		if err != nil {
			return err
		}
		c, err := measure(ctx, b.floor.address, b.floor.process.PID, lanes, during(b.describe, request))
		if err != nil {
			return fmt.Errorf("measure the floor: %w", err)
		}
		b.addCell(b.describes, "floor", lanes, c)
		for _, w := range b.worlds {
			if err := alone(ctx, w, func(ctx context.Context, w *world) error { return b.measureCalls(ctx, w, lanes) }); err != nil {
				return fmt.Errorf("with %s present: %w", w.name, err)
			}
		}
	}
	return nil
}

func (b *bench) measureCalls(ctx context.Context, w *world, lanes int) error {
	describe, err := w.describe(ctx, w.Client)
	if err != nil {
		return err
	}
	create, err := w.create(ctx)
	if err != nil {
		return err
	}
	c, err := measure(ctx, w.address(), w.PID(), lanes, during(b.describe, describe))
	if err != nil {
		return err
	}
	b.addCell(b.describes, w.name, lanes, c)
	if w == b.worlds[0] { // how many there are makes no difference to TLS
		if c, err = measure(ctx, w.Access().TLS, w.PID(), lanes, during(b.describe, describe)); err != nil {
			return fmt.Errorf("over TLS: %w", err)
		}
		b.addCell(b.describes, w.name+encrypted, lanes, c)
	}
	if c, err = measure(ctx, w.address(), w.PID(), lanes, times(b.created, create)); err != nil {
		return err
	}
	b.addCell(b.creations, w.name, lanes, c)
	return w.clear(ctx)
}

// encrypted comes behind the name of a world whose API is called over TLS.
const encrypted = " over TLS"

func (b *bench) addCell(t *report.Table, candidate string, lanes int, c cell) {
	b.Log.Debug(t.Title, "of", candidate, "clients", lanes, "rate", int(c.rate), "p50", c.p50, "p99", c.p99, "generator", int(c.generator), "busy", int(c.busy), "machine", int(c.machine))
	suffix := fmt.Sprintf(", %d clients", lanes)
	if lanes == 1 {
		suffix = ", 1 client"
	}
	rate, p99 := t.More("rate"+suffix, "1/s"), t.Less("p99"+suffix, "ms")
	rate.Add(candidate, c.rate)
	p99.Add(candidate, c.p99)
	t.Less("generator's part of the CPU time"+suffix, "%").Add(candidate, c.generator)
	switch many := name(10_000); {
	case lanes != 16 || len(p99.Targets) > 0:
	case t == b.describes:
		few := name(b.crowds[0])
		rate.Within(many, 5_000).AtLeast(many, "floor", 0.7).AtLeast(few+encrypted, few, 0.8)
		p99.Within(many, 20)
	case t == b.creations:
		rate.Within(many, 2_000)
		p99.Within(many, 25)
	case t == b.sharedReads:
		p99.Within(getShared, wantedDescription).Within(describeShared, wantedDescription)
	}
}

func (b *bench) notes() []string {
	return []string{
		fmt.Sprintf("A daemon for each number of endpoints, %d of them a VPC, %d resources behind one gateway; the daemons that are not measured stand still.", crowdPerVPC, resourceCount),
		fmt.Sprintf("CreateVpcEndpoint → first byte: %d endpoints a round, one after the other; from before the request is sent to the server's first byte at a client that tries again and again since before.", b.made),
		fmt.Sprintf("Security group → effect: %d changes of each kind a round; an attempt waits %s when opening and %s when shutting, which bounds the resolution.", b.changes, opening, shutting),
		"By who asks: the user's policies are nine of its account, with 36 statements, and AmazonVPCReadOnlyAccess. Decisions are timed in the benchmark itself, with the policies read beforehand.",
		"API: the generator sends bytes signed beforehand over open connections and shares the cores with the server; its part of the CPU time of both is in the table. The floor is a net/http handler that verifies the signature and gives a fixed answer of " + http.MethodPost + " DescribeVpcEndpoints.",
		fmt.Sprintf("Restart: SIGTERM and exec while a client opens connections; one that took longer than %s lost a packet. Adopted means that every router was read back and compared.", retransmission),
		fmt.Sprintf("Routes and network ACLs: %d changes of each kind a round, in a VPC beside others that have a router each. A route leads a single address to one workload that forwards, then to another one, and then nowhere; an ACL's entry denies a port of one of them. The first is in a router that has no routes, or no denials, without it. From before the request is sent, at a client that tries again and again, with the resolution of the changes of groups; a route is changed when an answer comes by it, or is refused.", b.scale.turned),
		b.sharingNote(),
		b.hubNote(),
		strings.TrimSpace(fmt.Sprintf("%d cores.", cores())),
	}
}
