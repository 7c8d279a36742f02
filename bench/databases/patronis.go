// SPDX-License-Identifier: Apache-2.0

package databases

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os/exec"
	"slices"

	"github.com/posternhq/postern/test/commits"
)

// absent says which of Patroni's packages there are not.
func absent() string {
	for _, program := range slices.Sorted(maps.Keys(patroniPrograms)) {
		if _, err := exec.LookPath(program); err != nil {
			return patroniPrograms[program]
		}
	}
	return ""
}

// measurePatroni measures what Patroni does about a writer that is killed, and what Postern
// does when Patroni promotes another one.
func (b *bench) measurePatroni(ctx context.Context) (err error) {
	if b.missing = absent(); b.missing != "" {
		b.Log.Warn("Patroni is not measured", "missing", b.missing)
		return nil
	}
	p, err := newPatroni(ctx, b.w, tuned)
	defer func() { err = errors.Join(err, p.Close()) }()
	if err != nil {
		return fmt.Errorf("make a cluster of Patroni's: %w", err)
	}
	if err := b.measureFailovers(ctx, p, tuned, b.tuned); err != nil {
		return err
	}
	if b.Wants(b.promoted.Title, "") {
		if err := b.measureFollowing(ctx, p); err != nil {
			return fmt.Errorf("have Patroni be followed: %w", err)
		}
	}
	if b.documented.crashes+b.documented.ends == 0 || !b.Wants(b.killed.Title, "") && !b.Wants(b.gone.Title, "") {
		return nil
	}
	if err := p.configure(ctx, asDocumented); err != nil {
		return err
	}
	return b.measureFailovers(ctx, p, asDocumented, b.documented)
}

// failovers is how often a writer's server is killed, and all of its instance.
type failovers struct{ crashes, ends int }

// measureFailovers kills Patroni's writers.
func (b *bench) measureFailovers(ctx context.Context, p *patroni, s settings, often failovers) error {
	if err := p.front(ctx, s); err != nil {
		return err
	}
	if b.Wants(b.killed.Title, "") {
		var all changes
		for range often.crashes {
			if err := p.measure(ctx, &all, p.dial, func(_ context.Context, n *node) error {
				all.begin()
				return n.crash()
			}); err != nil {
				return fmt.Errorf("%s, kill a server: %w", s.name, err)
			}
		}
		all.show(b.killed, s.name, killing)
	}
	if b.Wants(b.gone.Title, "") {
		var all changes
		for range often.ends {
			if err := p.measure(ctx, &all, p.dial, func(_ context.Context, n *node) error {
				all.begin()
				return n.end()
			}); err != nil {
				return fmt.Errorf("%s, kill an instance: %w", s.name, err)
			}
		}
		all.show(b.gone, s.name, killing)
	}
	return nil
}

// measure has the writer changed while clients commit.
func (p *patroni) measure(ctx context.Context, all *changes, dial commits.Dial, change func(context.Context, *node) error) error {
	n, err := p.whole(ctx)
	if err != nil {
		return err
	}
	return all.measure(ctx, n.name, dial, func() error { return change(ctx, n) })
}

// measureFollowing has Patroni promote servers, which Postern watches by Patroni's REST API:
// after a crash and by request, in turns, and at last when nothing is left of the writer.
func (b *bench) measureFollowing(ctx context.Context, p *patroni) error {
	r, err := b.w.register(ctx, "patroni", byREST, p.addresses)
	if err != nil {
		return err
	}
	var all changes
	for i := range b.followed.crashes + b.followed.ends {
		replace := p.switchOver
		switch {
		case i >= b.followed.crashes:
			replace = func(_ context.Context, n *node) error { return n.end() }
		case i%2 == 0:
			replace = func(_ context.Context, n *node) error { return n.crash() }
		}
		if err := p.measure(ctx, &all, r.dial, func(ctx context.Context, n *node) error {
			return p.promote(ctx, n, replace, all.begin)
		}); err != nil {
			return err
		}
	}
	all.show(b.promoted, askedByREST, promotion)
	bound(b.promoted, askedByREST, promotion, 0, 0.5)
	return r.remove(ctx)
}

// promote has Patroni replace a writer, to which something is done, and says when another
// server is a replica no more.
func (p *patroni) promote(ctx context.Context, writer *node, replace func(context.Context, *node) error, promoted func()) error {
	watching, cancel := context.WithCancel(ctx)
	defer cancel()
	found := make(chan error, members)
	for _, n := range p.nodes {
		if n == writer {
			continue
		}
		conn, err := n.connect(ctx)
		if err != nil {
			return err
		}
		go func() {
			found <- writes(watching, conn)
			_ = conn.Close(ctx) // nothing is under way
		}()
	}
	replaced := make(chan error, 1)
	go func() { replaced <- replace(watching, writer) }()
	if err := <-found; err != nil {
		return err
	}
	promoted()
	return <-replaced
}

// switchOver asks Patroni for another writer.
func (p *patroni) switchOver(ctx context.Context, writer *node) error {
	return p.rest(ctx, slices.Index(p.nodes, writer), http.MethodPost, "/switchover", map[string]any{"leader": writer.name}, nil)
}
