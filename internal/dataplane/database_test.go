// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"testing"

	"github.com/posternhq/postern/internal/agent"
	"github.com/posternhq/postern/internal/agent/follow"
	"github.com/posternhq/postern/internal/agent/roles"
	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/reconcile"
)

// following is an agent of the scenario's host that can be ended, and what it knows of
// databases.
type following struct {
	told
	board *roles.Board
	end   func()
}

// follows hands the scenario to an agent whose target is a part of a database, of which it
// knows nothing yet.
func (s *scenario) follows(f desired.FollowDatabase) following {
	s.t.Helper()
	all := []desired.Entry{f}
	for _, vpc := range vpcs() {
		entries, err := s.host.Dump(s.t.Context(), desired.Realm(vpc))
		if err != nil {
			s.t.Fatal(err)
		}
		all = append(all, slices.DeleteFunc(entries, func(e desired.Entry) bool { return e.Key() == f.Target(nil, true).Key() })...)
	}
	l := following{told: told{make(chan desired.Delta), make(chan reconcile.Report, 100)}, board: roles.NewBoard()}
	a := agent.New(agent.Config{Effects: s.host, Source: l, Sink: l, Logger: slog.New(slog.DiscardHandler), Follow: follow.Config{Roles: l.board}})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { a.Run(ctx) })
	l.end = sync.OnceFunc(func() { cancel(); wg.Wait() })
	s.t.Cleanup(l.end)
	l.deltas <- desired.Delta{Full: true, Revision: 1, Put: all}
	return l
}

// refuses waits until connections are refused.
func (s *scenario) refuses(what string) {
	s.t.Helper()
	eventually(s.t, what, func() bool {
		conn, _, err := s.reach()
		if err == nil {
			conn.Close()
		}
		return refused(err)
	})
}

// TestConnectionsFollowTheWriter: connections end up at the member that writes, and those
// whose far end writes no more are reset, idle as they are, and no others; while nobody
// writes they are refused; and what was the writer when the agent ended is so for the next.
func TestConnectionsFollowTheWriter(t *testing.T) {
	for family, make := range families {
		t.Run(family, func(t *testing.T) { testWriter(make(t)) })
	}
}

func testWriter(s *scenario) {
	s.apply()
	all := s.spread(3)
	target := s.entry(provider, desired.KindTarget).(desired.Target)
	f := desired.FollowDatabase{VPC: provider, Addr: target.Addr, Gateway: target.Gateway, Database: "cluster-1", Part: desired.PartWriter, Port: 5432}
	for i, a := range all {
		f.Addrs = append(f.Addrs, desired.MemberAddr{Member: fmt.Sprint("db-", i), Addr: a})
	}
	is := func(writer string, readers ...string) roles.Roles {
		r := roles.Roles{Database: f.Database, Writer: writer, Readers: readers, Up: map[string]bool{}}
		for _, id := range append(readers, writer) {
			r.Up[id] = true
		}
		return r
	}

	l := s.follows(f)
	l.board.Set(is("db-0", "db-1", "db-2"))
	s.leads("the first writer", all[0])
	old := s.connectedTo(all[:1])[all[0]]
	l.board.Set(is("", "db-1", "db-2"))
	s.refuses("nobody writes")
	s.expectReset("while nobody writes, the client", old)
	l.board.Set(is("db-1", "db-2"))
	s.leads("the second writer", all[1])
	kept := s.connectedTo(all[1:2])[all[1]]
	l.board.Set(is("db-1"))
	l.board.Set(is("db-1", "db-0", "db-2"))
	s.leads("replicas come and go", all[1])
	s.echoed(kept)

	l.end()
	l = s.follows(f)
	s.leads("an agent that knows nothing yet", all[1])
	s.echoed(kept)
	l.board.Set(is("db-1", "db-0"))
	s.echoed(kept)
	l.board.Set(is("db-2", "db-0"))
	s.leads("the third writer", all[2])
	s.expectReset("after the third writer's turn, the client", kept)

	f.Part = desired.PartReader
	l.deltas <- desired.Delta{Revision: 2, Put: []desired.Entry{f}}
	l.board.Set(is("db-2", "db-0", "db-1"))
	s.leads("both replicas", all[0], all[1])
	l.board.Set(is("db-2"))
	s.leads("no replica", all[2])
	kept = s.connectedTo(all[2:])[all[2]]
	l.board.Set(is("db-2", "db-1"))
	s.leads("a replica again", all[1])
	s.echoed(kept)
	at := s.connectedTo(all[1:2])[all[1]]
	l.board.Set(is("db-1", "db-2"))
	s.leads("the replica was promoted", all[2])
	s.expectReset("after the promotion, the client", at)
}

// leads waits until connections get through again, and end up at these addresses alone.
func (s *scenario) leads(what string, want ...netip.Addr) {
	s.t.Helper()
	eventually(s.t, what, func() bool {
		conn, a, err := s.reach()
		if err == nil {
			conn.Close()
		}
		return err == nil && slices.Contains(want, a)
	})
	s.reaches(what, want...)
}
