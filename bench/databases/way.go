// SPDX-License-Identifier: Apache-2.0

package databases

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/posternhq/postern/bench/scope"
	"github.com/posternhq/postern/bench/wiring"
	"github.com/posternhq/postern/internal/dataplane/network"
	"github.com/posternhq/postern/test/instance"
	"github.com/posternhq/postern/test/testnet"
)

// routed is what pgbench by Postern is compared with: the same server, by two plain routers.
const routed = "routing"

const (
	// served is the server's address in its VPC, and plain its address behind the routers.
	served = "10.0.2.20"
	port   = "5432"
	// rows of pgbench are 100,000 times as many.
	scaleFactor = 10
)

var (
	plainClient  = netip.MustParseAddr("192.168.1.2")
	plainNear    = netip.MustParseAddr("192.168.1.1")
	plainRouterA = netip.MustParseAddr("192.168.2.1")
	plainRouterB = netip.MustParseAddr("192.168.2.2")
	plainFar     = netip.MustParseAddr("192.168.3.1")
	plain        = netip.MustParseAddr("192.168.3.2")
)

// contest is one server that is reached in two ways.
type contest struct {
	scope.Scope
	programs string // folder of PostgreSQL's programs
	server   *testnet.NS
	lanes    map[string]lane
}

// lane is where pgbench runs, and which address it connects to.
type lane struct {
	from *testnet.NS
	to   string
}

// measureWay runs pgbench in both ways in turns.
func (b *bench) measureWay(ctx context.Context) (err error) {
	c := &contest{lanes: map[string]lane{}}
	defer func() { err = errors.Join(err, c.Close()) }()
	if err := c.build(ctx, b.w); err != nil {
		return err
	}
	for _, kind := range []struct {
		name    string
		options []string
	}{{"select only", []string{"-S"}}, {"TPC-B", nil}} {
		row := b.way.More(fmt.Sprintf("%s, %d clients", kind.name, clients), "/s").AtLeast(own, routed, 0.97)
		for round := range b.Rounds {
			order := []string{own, routed}
			if round%2 == 1 {
				slices.Reverse(order)
			}
			for _, name := range order {
				rate, err := c.transact(ctx, c.lanes[name], b.transacting, kind.options...)
				if err != nil {
					return err
				}
				row.Add(name, rate)
			}
		}
	}
	return nil
}

// build starts a server with pgbench's tables in the world's provider VPC, reached by an
// endpoint from its consumer VPC, and by two plain routers from elsewhere.
func (c *contest) build(ctx context.Context, w *world) (err error) {
	if c.server, err = c.Namespace(); err != nil {
		return err
	}
	if err := w.provider.AttachIn(ctx, c.server, w.others, served); err != nil {
		return err
	}
	if err := c.wire(); err != nil {
		return err
	}
	if err := c.serve(ctx); err != nil {
		return err
	}
	arn, err := w.Resource(ctx, w.gateway, "pgbench", served, port)
	if err != nil {
		return err
	}
	endpoint := "10.0.0.30"
	if _, err := w.consumer.Endpoint(ctx, arn, endpoint); err != nil {
		return err
	}
	c.lanes[own] = lane{w.client, endpoint}
	if out, err := c.run(ctx, c.lanes[routed], "pgbench", "-q", "-i", "-s", strconv.Itoa(scaleFactor)); err != nil {
		return fmt.Errorf("make pgbench's tables: %w\n%s", err, out)
	}
	return instance.Poll(ctx, born, "pgbench by the endpoint", func() (bool, error) {
		_, err := c.transact(ctx, c.lanes[own], time.Second, "-S")
		return err == nil, ctx.Err()
	})
}

// wire joins a client and the server by two routers.
func (c *contest) wire() error {
	var at [3]*testnet.NS
	for i := range at {
		ns, err := c.Namespace()
		if err != nil {
			return err
		}
		at[i] = ns
	}
	client, a, b := at[0], at[1], at[2]
	c.lanes[routed] = lane{client, plain.String()}
	return errors.Join(
		wiring.Wire(wiring.End{NS: client, Device: "eth0", Address: plainClient}, wiring.End{NS: a, Device: "client", Address: plainNear}, wiring.WorkloadMTU),
		wiring.Wire(wiring.End{NS: a, Device: "b", Address: plainRouterA}, wiring.End{NS: b, Device: "a", Address: plainRouterB}, wiring.FabricMTU),
		wiring.Wire(wiring.End{NS: b, Device: "server", Address: plainFar}, wiring.End{NS: c.server, Device: "eth1", Address: plain}, wiring.WorkloadMTU),
		wiring.Route(client, "0.0.0.0/0", plainNear),
		wiring.Route(a, "192.168.3.0/24", plainRouterB),
		wiring.Route(b, "192.168.1.0/24", plainRouterA),
		wiring.Route(c.server, "192.168.1.0/24", plainFar),
		wiring.Forward(a), wiring.Forward(b),
	)
}

// serve starts the server.
func (c *contest) serve(ctx context.Context) error {
	server, err := newPlainServer(ctx, &c.Scope, c.server)
	if err != nil {
		return err
	}
	c.programs = server.installed.Programs
	if err := server.initialize(ctx); err != nil {
		return err
	}
	return server.start(ctx, "fsync=off", "shared_buffers=256MB")
}

// run runs a client at one end of a lane, with the server at the other one.
func (c *contest) run(ctx context.Context, l lane, program string, args ...string) (string, error) {
	command := []string{"--net=" + filepath.Join(network.Directory, l.from.Name), filepath.Join(c.programs, program), "-h", l.to, "-p", port, "-U", serverUser}
	cmd := exec.CommandContext(ctx, "nsenter", append(append(command, args...), "postgres")...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// transact gives pgbench's transactions a second.
func (c *contest) transact(ctx context.Context, l lane, d time.Duration, options ...string) (float64, error) {
	seconds := strconv.Itoa(max(1, int(d.Seconds())))
	out, err := c.run(ctx, l, "pgbench", append([]string{"-n", "-c", strconv.Itoa(clients), "-j", "2", "-T", seconds}, options...)...)
	if err != nil {
		return 0, fmt.Errorf("pgbench to %s: %w\n%s", l.to, err, out)
	}
	_, rest, found := strings.Cut(out, "tps = ")
	number, _, _ := strings.Cut(rest, " ")
	rate, err := strconv.ParseFloat(number, 64)
	if !found || err != nil {
		return 0, fmt.Errorf("pgbench to %s says %q", l.to, out)
	}
	return rate, nil
}
