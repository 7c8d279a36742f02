// SPDX-License-Identifier: Apache-2.0

package control

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/posternhq/postern/bench/report"
)

// wantedTurn is how long a change of routes or network ACLs may take, p99 in ms.
const wantedTurn = 20

// turn is a change of where packets go, and what a probe sees of it.
type turn struct {
	name     string
	patience time.Duration
	change   func(context.Context) error
	settled  func([]attempt) bool
	read     func([]attempt) time.Time
}

// reached is a turn that takes effect with the first attempt that somebody answers who
// says this.
func reached(name string, says byte, change func(context.Context) error) turn {
	return turn{name, opening, change,
		func(all []attempt) bool { return last(all, 1)[0].answered && last(all, 1)[0].said == says },
		func(all []attempt) time.Time { return last(all, 1)[0].ended }}
}

// lost is a turn that takes effect with the first of two attempts that nobody answers.
func lost(name string, change func(context.Context) error) turn {
	return turn{name, shutting, change,
		func(all []attempt) bool {
			return len(all) > 1 && !last(all, 2)[0].answered && !last(all, 1)[0].answered
		},
		func(all []attempt) time.Time { return last(all, 2)[0].begun }}
}

// routeTurns lead the faraway address to one forwarder and to the other, and away.
func (c *country) routeTurns(which string) []turn {
	const dest = faraway + "/32"
	route := func(operation string, to int) func(context.Context) error {
		return func(ctx context.Context) error { return c.route(ctx, operation, dest, c.forwarders[to].eni) }
	}
	return []turn{
		reached("CreateRoute"+which+" → effect", c.forwarders[0].says, route("CreateRoute", 0)),
		reached("ReplaceRoute"+which+" → effect", c.forwarders[1].says, route("ReplaceRoute", 1)),
		lost("DeleteRoute"+which+" → effect", route("DeleteRoute", 0)),
	}
}

// aclTurns deny the port and admit it again.
func (c *country) aclTurns(which string) []turn {
	const number = 50
	return []turn{
		lost("network ACL denies"+which+" → effect", func(ctx context.Context) error { return c.deny(ctx, number, resourcePort) }),
		reached("network ACL admits again"+which+" → effect", c.forwarders[0].says, func(ctx context.Context) error { return c.admit(ctx, number) }),
	}
}

// turns makes each of the turns n times, one after the other and again from the first.
func (c *country) turns(ctx context.Context, address string, n int, turns []turn) (took [][]time.Duration, err error) {
	took = make([][]time.Duration, len(turns))
	for range n {
		for i, t := range turns {
			p := probe{ns: c.client, address: net.JoinHostPort(address, port), patience: t.patience, pause: resting}
			d, err := p.watch(ctx, func() error { return t.change(ctx) }, t.settled, t.read)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", t.name, err)
			}
			took[i] = append(took[i], d)
		}
	}
	return took, nil
}

// measureCountries measures what depends on the number of VPCs. The whole takes less than
// a minute on two cores without other work, and at most three rounds are made.
func (b *bench) measureCountries(ctx context.Context) error {
	for _, n := range []int{1, b.vpcs} {
		begun := time.Now()
		c, err := makeCountry(ctx, b.PosternBin, n, b.settling)
		b.countries = append(b.countries, c)
		if err != nil {
			return fmt.Errorf("prepare %s: %w", vpcsName(n), err)
		}
		b.Log.Info("filled", "with", c.name, "took", time.Since(begun))
		c.rest()
	}
	b.turned.Candidates = []string{b.countries[0].name, b.countries[1].name}
	for round := range min(b.rounds, 3) {
		b.Log.Info("changes of routes", "round", round+1)
		for _, c := range b.countries {
			if err := alone(ctx, c, b.measureTurns); err != nil {
				return fmt.Errorf("with %s present: %w", c.name, err)
			}
		}
	}
	return nil
}

// measureTurns does a round of all turns in a country. The routes are first those of a VPC
// that has no others, then of one that has; so are the entries of the ACL.
func (b *bench) measureTurns(ctx context.Context, c *country) error {
	const kept, other = "198.18.1.0/24", 40
	near := c.forwarders[0].address
	for _, step := range []struct {
		address string
		turns   []turn
		before  func() error
		after   func() error
	}{
		{faraway, c.routeTurns(", the first"), nil, nil},
		{faraway, c.routeTurns(""), func() error { return c.route(ctx, "CreateRoute", kept, c.forwarders[1].eni) },
			func() error { return c.route(ctx, "DeleteRoute", kept, "") }},
		{near, c.aclTurns(", the first"), nil, nil},
		{near, c.aclTurns(""), func() error { return c.deny(ctx, other, resourcePort+1) }, func() error { return c.admit(ctx, other) }},
	} {
		if step.before != nil {
			if err := errors.Join(step.before(), c.Programmed(ctx)); err != nil {
				return err
			}
		}
		took, err := c.turns(ctx, step.address, b.scale.turned, step.turns)
		if err != nil {
			return err
		}
		for i, t := range step.turns {
			b.addTurn(c, t.name, took[i])
		}
		if step.after != nil {
			if err := errors.Join(step.after(), c.Programmed(ctx)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *bench) addTurn(c *country, name string, took []time.Duration) {
	p50, p99 := report.Milliseconds(took)
	b.Log.Debug(name, "present", c.name, "p50", p50, "p99", p99)
	b.turned.Less(name+", p50", "ms").Add(c.name, p50)
	row := b.turned.Less(name+", p99", "ms")
	row.Add(c.name, p99)
	if c == b.countries[len(b.countries)-1] && len(row.Targets) == 0 {
		row.Within(c.name, wantedTurn)
	}
}
