// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/posternhq/postern/internal/engine"
	"github.com/posternhq/postern/internal/model"
)

// roles says who does what now.
func (k *machine) roles() Roles {
	r := Roles{Database: k.id, Up: map[string]bool{}, Epoch: k.saved.Epoch}
	if k.wanted != nil && k.wanted.Stopped {
		return r
	}
	for _, id := range k.ids() {
		m := k.members[id]
		leaving := m.busy != nil && (m.busy.verb == verbStop || m.busy.verb == verbKill)
		switch {
		case m.removed || m.sealed || !m.serves() || leaving:
		case id == k.leader() && m.state.Writer:
			if !k.undecided() && k.saved.Set > 0 && (m.secured || m.began.IsZero()) {
				r.Writer, r.Up[id] = id, true
			}
		case !m.state.Writer && m.state.Upstream != "" && (m.state.Streaming || k.saved.Members[id].Served):
			if r.Up[id] = true; !k.cutOff(m) {
				r.Readers = append(r.Readers, id)
			}
		}
	}
	return r
}

// cutOff says that a replica has long got nothing from a writer that is there: what it shows
// becomes older and older.
func (k *machine) cutOff(m *member) bool {
	w := k.writer()
	return w != nil && w.writes() && !m.state.Streaming && !m.stalled.IsZero() && k.now.Sub(m.stalled) > behind
}

// equal compares roles.
func (r Roles) equal(o Roles) bool {
	return r.Writer == o.Writer && r.Epoch == o.Epoch && slices.Equal(r.Readers, o.Readers) && maps.Equal(r.Up, o.Up)
}

// brief is how long a failover may be seen at most: clients that wait for a database do
// not expect the state.
const brief = 5 * time.Second

// failed is after how many tries in a row something counts as failed.
const tries = 8

// states says how the database, its members and its snapshots are.
func (k *machine) states() (list []State) {
	if k.wanted == nil {
		return nil
	}
	for _, id := range k.ids() {
		if m := k.members[id]; !m.removed {
			list = append(list, k.stateOf(m))
		}
	}
	// While nobody is known it may be a database whose only member comes a moment later.
	if _, alone := k.members[k.id]; !alone && len(k.members) > 0 {
		s := State{ID: k.id, Phase: k.whole(), Secret: k.saved.Set}
		if w := k.writer(); w != nil {
			s.Version = w.state.Version
		}
		list = append(list, s)
	}
	for _, id := range slices.Sorted(maps.Keys(k.snapshots)) {
		list = append(list, k.snapshots[id].state())
	}
	return list
}

func (s *snapshot) state() State {
	state := State{ID: s.id, Phase: model.DatabaseCreating, Bytes: s.bytes}
	switch {
	case s.done:
		state.Phase = model.DatabaseAvailable
	case s.retry.failures >= tries:
		state.Phase = model.DatabaseFailed
	}
	if s.retry.err != nil && !s.done {
		state.Reason = s.retry.err.Error()
	}
	return state
}

// whole is how the database is as a cluster.
func (k *machine) whole() model.DatabasePhase {
	any, all := false, true
	for _, m := range k.members {
		any = any || m.known && !m.down()
		all = all && m.known && m.down()
	}
	t := k.turn
	if t == nil {
		t = k.promoted
	}
	switch {
	case k.wanted.Stopped && any:
		return model.DatabaseStopping
	case k.wanted.Stopped:
		return model.DatabaseStopped
	case t != nil && k.now.Sub(t.began) < brief:
		return model.DatabaseFailing
	case k.saved.Set > 0 && k.saved.Set < k.wanted.Secret:
		return model.DatabaseResetting
	}
	return model.DatabaseAvailable
}

// room takes how many bytes are free on the disk.
func (k *machine) room(free int64) {
	was := k.full
	k.full = free < room || k.full && free < reserve
	if k.full == was || k.wanted == nil {
		return
	}
	k.each(func(m *member) {
		if k.full {
			k.tell(m.want.ID, fmt.Sprintf("The storage of the host is exhausted: %d MiB are free, and %d MiB are needed", free>>20, room>>20), "low storage")
		} else {
			k.tell(m.want.ID, "The storage of the host has room again", "low storage", "notification")
		}
	})
}

func (k *machine) stateOf(m *member) State {
	note := k.saved.Members[m.want.ID]
	s := State{ID: m.want.ID, Phase: k.phaseOf(m), Secret: k.saved.Set, Reboot: note.Reboot, Pending: len(m.pending) > 0, Version: m.state.Version}
	if s.Replication = m.replicating; m.want.ID == k.leader() && k.saved.Set > 0 {
		s.Replication = ""
	}
	s.ReplicationReason = k.whyNot(m)
	switch {
	case s.Phase == model.DatabaseFull:
		s.Reason = fmt.Sprintf("less than %d MiB are free on the disk of the databases", room>>20)
	case s.Phase == model.DatabaseAvailable && k.cutOff(m):
		s.Behind, s.Reason = true, "it gets nothing from the writer"
	case s.Phase == model.DatabaseAvailable || s.Phase == model.DatabaseStopped:
	case m.retry.err != nil:
		s.Reason = m.retry.err.Error()
	case m.state.Reason != "" && !m.down():
		s.Reason = m.state.Reason
	case m.hangs():
		s.Reason = "the server does not answer"
	}
	return s
}

func (k *machine) phaseOf(m *member) model.DatabasePhase {
	note := k.saved.Members[m.want.ID]
	var start *engine.StartError
	_, alone := k.members[k.id]
	switch {
	case k.wanted.Stopped && m.known && m.down():
		return model.DatabaseStopped
	case k.wanted.Stopped:
		return model.DatabaseStopping
	case k.full: // it may answer queries, and take no writes
		return model.DatabaseFull
	case errors.As(m.retry.err, &start) && start.Parameters:
		return model.DatabaseBadParams
	case errors.Is(m.retry.err, errLost), errors.Is(m.retry.err, errParted), m.retry.failures >= tries && !m.serves():
		return model.DatabaseFailed
	case alone && !k.follows() && k.saved.Set > 0 && k.saved.Set < k.wanted.Secret && m.serves():
		return model.DatabaseResetting
	case note.Served && m.busy != nil && m.busy.verb == verbStop && m.busy.reboot > 0:
		return model.DatabaseRebooting
	case m.serves() && note.Served && (m.state.Writer == (m.want.ID == k.leader()) || k.turn != nil || k.promoted != nil):
		return model.DatabaseAvailable
	case !note.Served:
		return model.DatabaseCreating
	case !m.known && k.now.Sub(k.asked) < gathering:
		return model.DatabaseAvailable // it is being looked at
	}
	return model.DatabaseRebooting
}
