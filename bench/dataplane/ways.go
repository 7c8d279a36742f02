// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"cmp"
	"context"
	"errors"
	"slices"
)

// A plain way is so many routers that forward; a whole one is a Postern.
type (
	plainWay struct {
		name    string
		routers int
	}
	wholeWay struct {
		name, binary string
		flags        []string
	}
)

// comparison is of a way through Postern, by what one client does, with routers in a row.
type comparison struct {
	title string
	// plain are the ways without Postern. The first is what the table divides by, and
	// targets are about that of the number like, which has as many hops as Postern's.
	plain []plainWay
	like  int
	// make makes a Postern with the way; the caller closes it, also when that fails. The
	// client connects to target, or without one to the load balancer.
	make   func(ctx context.Context, binary string, flags ...string) (*world, error)
	target string
	// What Postern should reach of the way like it.
	bulk, requests, connections float64
}

// compareWays measures one way through Postern, with the express lane and past it. Beside
// another binary there are only both, and the routers that are alike.
func (b *bench) compareWays(ctx context.Context, c comparison) (err error) {
	trials := b.wanted(c.title, upload(1), download(1), requests(1), requests(atOnce), connections(1))
	if len(trials) == 0 {
		return nil
	}
	plain, whole := c.plain, []wholeWay{{ours, b.PosternBin, nil}, {slow, b.PosternBin, []string{"--no-express-lane"}}}
	if b.other != nil {
		plain, whole = c.plain[c.like:c.like+1], []wholeWay{{ours, b.PosternBin, nil}, {other, b.Against, nil}}
	}
	var worlds belongings
	defer func() { err = errors.Join(err, worlds.Close()) }()
	var candidates []candidate
	for _, w := range plain {
		routers, err := newChain(ctx, w.routers)
		worlds.Add(routers.Close)
		if err == nil && w.name == masquerade {
			err = routers.masquerade()
		}
		if err != nil {
			return err
		}
		candidates = append(candidates, routers.candidate(w.name))
	}
	for _, o := range whole {
		w, err := c.make(ctx, o.binary, o.flags...)
		worlds.Add(w.Close)
		if err != nil {
			return err
		}
		candidates = append(candidates, w.at(o.name, cmp.Or(c.target, w.balancer)))
	}
	t := b.table(c.title, plain[0].name, candidates)
	if err := b.run(ctx, t, candidates, trials...); err != nil || b.other != nil {
		return err
	}
	like := c.plain[c.like].name
	for _, m := range t.Measures {
		is := func(trials ...trial) bool {
			return slices.ContainsFunc(trials, func(t trial) bool { return t.name == m.Name })
		}
		switch {
		case is(upload(1), download(1)):
			m.AtLeast(ours, like, c.bulk)
		case is(requests(1), requests(atOnce)):
			m.AtLeast(ours, like, c.requests)
		case is(connections(1)):
			m.AtLeast(ours, like, c.connections)
		}
	}
	return nil
}
