// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/posternhq/postern/internal/engine"
	"github.com/posternhq/postern/internal/model"
)

// A read replica is a database of its own with one member, which follows the writer of
// another database of the host. While it has a source nobody in it writes: there is no
// election, no user is made, and its data are replaced by a copy of the source's when they
// cannot follow any more. Without a source it is a database like any other, of which the
// only member is to be the writer. There is no way back.

// errParted says that data of a read replica took changes of their own: they are not the
// source's any more, and not replaced by them.
var errParted = errors.New("it was promoted once and has data of its own, and is to be a read replica again: promote it, or delete it")

// untold is what a member was told of others that was told nothing.
const untold = "?"

// source is what a read replica has to know of the database that it follows.
type source struct {
	// replication is the password with which it comes; empty when it is not known.
	replication string
	// writes says that somebody writes there, and history how far that one is.
	writes  bool
	history engine.History
	// admits are the ids of those that may come, as far as that one was told of them.
	admits []string
}

// sourceOf says what is known of a database that is the source of another one.
func (k *Keeper) sourceOf(id string) source {
	k.mu.Lock()
	d := k.databases[id]
	k.mu.Unlock()
	if d == nil {
		return source{}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.seen
}

// asSource is what read replicas have to know of the database.
func (k *machine) asSource(r Roles) source {
	s := source{replication: k.saved.Replication}
	if w := k.writer(); w != nil && r.Writer != "" && k.saved.Set > 0 {
		s.writes, s.history = true, w.state.History
		s.history.Turns = slices.Clone(s.history.Turns)
		s.admits = strings.Split(w.members, ",")
	}
	return s
}

// heed takes what is known of the source.
func (k *machine) heed(s source) {
	k.source = s
	if s.replication != "" {
		k.saved.Upstream = s.replication
	}
}

// errNoSource says that there is nobody to have a copy of.
var errNoSource = errors.New("its source is not here")

// seedFolder is in engine.PartCopy of a read replica, with the copy that its data are to be.
const seedFolder = "seed"

func (k *Keeper) seed(replica string) string {
	return filepath.Join(k.folder(replica), engine.PartCopy, seedFolder)
}

// handSeed moves a copy to the read replica that waits for it.
func (k *Keeper) handSeed(made, replica string) error {
	to := k.seed(replica)
	err := os.RemoveAll(to)
	if err == nil {
		err = os.Rename(made, to)
	}
	if err != nil {
		return fmt.Errorf("hand a copy to %s: %w", replica, errors.Join(err, os.RemoveAll(made)))
	}
	return nil
}

// adopt has a server have a copy of its source, which the source's machine has taken when the
// server there is free.
func (s *seat) adopt(ctx context.Context, server engine.Adopter, source string) error {
	k := s.database.keeper
	k.mu.Lock()
	d := k.databases[source]
	k.mu.Unlock()
	if d == nil {
		return errNoSource
	}
	heard := make(chan error, 1)
	d.tell(func(m *machine) { m.seeds[s.id] = &snapshot{id: s.id, heard: heard} })
	defer d.tell(func(m *machine) { delete(m.seeds, s.id) })
	var err error
	select {
	case err = <-heard:
	case <-d.stop:
		err = errNoSource
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("copy %s: %w", source, err)
	}
	return server.Adopt(ctx, k.seed(s.id))
}

// follows says that the database is a read replica.
func (k *machine) follows() bool { return k.wanted != nil && k.wanted.Source != "" }

// leader is the id of the member that takes writes by the last decision; empty when there is
// none, or none may.
func (k *machine) leader() string {
	if k.follows() {
		return ""
	}
	return k.saved.Writer
}

// upstream is the server that a read replica follows.
func (k *machine) upstream() engine.Peer {
	d := k.wanted
	name := member{}
	name.want.Name = d.SourceName
	return engine.Peer{ID: d.Source, Name: name.host(), Addr: d.SourceAddr, Port: d.SourcePort}
}

// welcome says that a read replica may be started as one: it is known how to come to the
// source, and the data are not of a database of their own.
func (k *machine) welcome(m *member) bool {
	if m.data.Exists && k.saved.Writer != "" {
		if !errors.Is(m.retry.err, errParted) {
			m.retry.fail(k.now, errParted)
			m.replicating = model.ReplicationError
		}
		return false
	}
	return k.saved.Upstream != "" && k.wanted.SourceAddr.IsValid()
}

// raiseFollower brings up the server of a read replica.
func (k *machine) raiseFollower(m *member) {
	of := k.upstream()
	if k.source.writes && m.data.Exists && !m.reseed {
		k.estranged(m, m.data.History)
	}
	switch {
	case !m.data.Exists || m.reseed && k.source.writes:
		if k.source.writes && slices.Contains(k.source.admits, m.want.ID) {
			k.do(m, action{verb: verbClone, peer: of})
		}
	default: // it answers queries while the source is away, too
		k.do(m, action{verb: verbStart, role: engine.Role{Of: &of, Restart: true}})
	}
}

// estranged has data replaced that cannot follow the source, and reports whether they
// cannot.
func (k *machine) estranged(m *member, has engine.History) bool {
	if fit := k.fits(has, k.source.history); fit != engine.FitAhead && fit != engine.FitForeign {
		return false
	}
	m.reseed = true
	k.tell(m.want.ID, "The data of "+m.name()+" cannot follow the source any more and are replaced by a copy of the source's", "read replica", "recovery")
	return true
}

// trail has the server of a read replica follow the source, and reports whether that is
// something to do.
func (k *machine) trail(m *member) (busy bool) {
	of := k.upstream()
	switch {
	case k.source.writes && (m.reseed || k.estranged(m, m.state.History)):
		k.do(m, action{verb: verbStop, clean: handover})
	case m.state.Upstream != of.ID && of.Addr.IsValid():
		k.do(m, action{verb: verbFollow, peer: of})
	case m.state.Stuck:
		k.do(m, action{verb: verbStop, clean: handover}) // and it is started with what it lacks
	case k.source.writes && k.now.Sub(m.streamed) > hopeless:
		m.reseed = true
		k.tell(m.want.ID, "Replication streaming has been terminated: the source has not what "+m.name()+" lacks any more. It is made anew", "read replica", "recovery")
		k.do(m, action{verb: verbStop, clean: handover})
	default:
		return false
	}
	return true
}

// watchStream notes whether a read replica gets changes, and tells when that is otherwise
// than it was.
func (k *machine) watchStream(m *member) {
	streams := m.up() && m.state.Streaming
	if streams || !m.up() || !k.source.writes || m.streamed.IsZero() {
		m.streamed = k.now
	}
	switch {
	case streams:
		m.broken = time.Time{}
		k.turnedTo(m, model.Replicating)
	case m.broken.IsZero():
		m.broken = k.now
	case k.now.Sub(m.broken) >= brief && k.saved.Members[m.want.ID].Served:
		k.turnedTo(m, model.ReplicationError)
	}
}

// turnedTo takes how a read replica gets on, and tells it as RDS does (events 0045 and 0046,
// https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_Events.Messages.html).
func (k *machine) turnedTo(m *member, r model.Replication) {
	if m.replicating == r {
		return
	}
	was := m.replicating
	m.replicating = r
	switch {
	case r == model.ReplicationError && was != "":
		k.tell(m.want.ID, "Replication has stopped", "read replica")
	case r == model.Replicating && (was != "" || !k.saved.Members[m.want.ID].Served):
		k.tell(m.want.ID, "Replication for the Read Replica resumed", "read replica")
	}
}

// whyNot says for people why a read replica gets nothing.
func (k *machine) whyNot(m *member) string {
	switch {
	case m.replicating != model.ReplicationError:
		return ""
	case !k.source.writes:
		return "the source does not take writes at present"
	case m.state.Reason != "":
		return m.state.Reason
	}
	return "the replica does not get changes from the source"
}

// parted tells that a read replica is a database of its own now.
func (k *machine) parted(m *member) {
	if k.saved.Upstream == "" {
		return
	}
	k.saved.Upstream = ""
	k.tell(m.want.ID, "Promoted read replica to a stand-alone database instance", "read replica")
}

// copiable says that a snapshot can be taken of a server that runs.
func (k *machine) copiable(w *member) bool {
	if k.follows() {
		return w.up() && k.saved.Members[w.want.ID].Served
	}
	return w.up() && w.state.Writer && k.saved.Set > 0
}
