// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"github.com/posternhq/postern/internal/engine"
)

// turnover is the way from one writer to the next: the old one is closed, members say how
// much they have, one of them is elected. That it is promoted then follows from its
// election.
type turnover struct {
	from string
	// planned says that the old writer may end in order, auto that nobody wanted it.
	planned, auto bool
	// asked is the request that it answers, zero for none, and prefer whom that names.
	asked  int64
	prefer string
	began  time.Time
	// closed is when the old writer was found unable to take writes.
	closed time.Time
	// counted are members by whom commits were acknowledged.
	counted []string
	chosen  string
	retry   retry
}

func (t *turnover) close(now time.Time) {
	if t.closed.IsZero() {
		t.closed = now
	}
}

// decide sees to it that somebody writes.
func (k *machine) decide() {
	if a := k.saved.Asking; a != nil && !k.electing {
		if !k.retry.at.After(k.now) {
			k.ask(*a)
		}
		return
	}
	if k.electing || k.stale {
		return
	}
	if k.wanted == nil || k.wanted.Stopped || k.follows() {
		k.turn = nil
		return
	}
	if k.turn != nil {
		k.proceed()
		return
	}
	w := k.writer()
	switch {
	case w == nil:
		k.first()
	case w.gone:
		k.replace(w)
	case k.wanted.Turn > k.saved.Turned:
		k.request(w)
	}
	if w != nil && k.turn == nil && k.troubled(w) && len(k.candidates(w)) > 0 && k.settledDown(w) {
		k.begin(turnover{from: w.want.ID, auto: true})
	}
}

// begin starts a turnover.
func (k *machine) begin(t turnover) {
	t.began, t.counted = k.now, slices.Clone(k.counted)
	k.turn = &t
	if w := k.members[t.from]; w != nil {
		k.tell(k.id, "Started failover from DB instance: "+w.name(), "failover")
	}
	k.proceed()
}

// settledDown says that there may be an automatic failover: the last change of the writer
// is long enough ago for the trouble that it is in, and all members were looked at.
func (k *machine) settledDown(w *member) bool {
	failed, moved := k.calm(k.saved.Failed), k.calm(k.saved.Moved)
	switch {
	case w.down():
		if failed && w.retry.failures < hardly && !errors.Is(w.retry.err, engine.ErrNoData) {
			return false
		}
	case failed || moved && !w.proven:
		if k.now.Sub(w.quiet) < stunned {
			return false
		}
	}
	for _, m := range k.members {
		if !m.known && k.now.Sub(k.asked) < gathering {
			return false
		}
	}
	return true
}

// calm says that a change of the writer is not long ago. One that is yet to come, by a
// clock that was set back, says nothing.
func (k *machine) calm(change time.Time) bool {
	since := k.now.Sub(change)
	return !change.IsZero() && since >= 0 && since < calm
}

// troubled says that a writer cannot go on by itself.
func (k *machine) troubled(w *member) bool {
	if !w.known || !k.saved.Made || k.full {
		return false
	}
	busy := w.busy != nil && (w.busy.verb == verbStop || w.busy.verb == verbStart)
	switch w.phase() {
	case engine.PhaseSilent:
		return true
	case engine.PhaseDown:
		return !busy && (!w.rebooting || w.retry.failures > 0)
	}
	return false
}

// first elects a writer of a database that has none.
func (k *machine) first() {
	var best *member
	for _, id := range k.ids() {
		m := k.members[id]
		if m.gone || m.removed {
			continue
		}
		if !m.known || m.down() && !m.looked {
			return // it may have more than others
		}
		if best == nil || k.rather(m, best) {
			best = m
		}
	}
	if best == nil || k.retry.at.After(k.now) {
		return
	}
	if k.saved.Made && !k.saved.Volume && !best.has() {
		return // what there was is lost; nobody makes an empty one in its place
	}
	k.elect(best, k.saved.Turned)
}

// has says that there is data.
func (m *member) has() bool { return m.state.Phase != engine.PhaseDown || m.data.Exists }

// rather says that a member makes a better first writer than another one.
func (k *machine) rather(m, o *member) bool {
	if m.has() != o.has() {
		return m.has()
	}
	if m.mayWrite != o.mayWrite {
		return m.mayWrite
	}
	return cmp.Or(m.history().compare(o.history()), -cmp.Compare(m.want.Tier, o.want.Tier)) > 0
}

// history is how much a member has.
func (m *member) history() reach {
	if m.state.Phase == engine.PhaseDown {
		return reach(m.data.History)
	}
	return reach(m.state.History)
}

// reach orders histories: one that took part in more promotions comes behind the others.
type reach engine.History

func (r reach) compare(o reach) int {
	return cmp.Or(cmp.Compare(r.Timeline, o.Timeline), cmp.Compare(r.At.Order, o.At.Order))
}

// replace has another member write before the one that does is removed.
func (k *machine) replace(w *member) {
	switch {
	case k.others(w) == 0:
	case w.writes() && len(streaming(k.candidates(w))) > 0:
		k.begin(turnover{from: w.want.ID, planned: true})
	case !w.serves() && k.troubled(w) && len(k.candidates(w)) > 0:
		k.begin(turnover{from: w.want.ID})
	}
}

// streaming gives the members that get changes as they come.
func streaming(list []*member) []*member {
	return slices.DeleteFunc(list, func(m *member) bool { return !m.state.Streaming })
}

// others counts the members that stay, without one.
func (k *machine) others(w *member) (n int) {
	for _, m := range k.members {
		if m != w && !m.gone && !m.removed {
			n++
		}
	}
	return n
}

// heard is a request for another writer, and since when it is known.
type heard struct {
	turn  int64
	since time.Time
}

// request answers the request for another writer. Members that are shown as available may
// miss a probe or be at something just now, so they are waited for.
func (k *machine) request(w *member) {
	d := k.wanted
	if k.heard.turn != d.Turn {
		k.heard = heard{d.Turn, k.now}
	}
	late := k.now.Sub(k.heard.since) > unanswered
	refuse := func(why string) {
		k.saved.Turned = d.Turn
		k.tell(k.id, "Failover was not started: "+why, "failover", "failure")
	}
	prefer := k.members[d.Prefer]
	candidates := streaming(k.candidates(w))
	switch {
	case d.Prefer == k.leader():
		k.saved.Turned = d.Turn
	case d.Prefer != "" && (prefer == nil || prefer.gone):
		refuse("there is no DB instance " + d.Prefer)
	case !w.writes() || k.promoted != nil:
		if late && k.troubled(w) && len(candidates) == 0 {
			refuse("no DB instance is available")
		}
	case w.busy != nil && w.busy.verb != verbSettle && w.busy.verb != verbSnapshot:
	case d.Prefer != "" && !slices.Contains(candidates, prefer):
		if late {
			refuse("DB instance " + prefer.name() + " is not available")
		}
	case len(candidates) == 0:
		if late {
			refuse("no other DB instance is available")
		}
	default:
		k.begin(turnover{from: w.want.ID, planned: true, asked: d.Turn, prefer: d.Prefer})
	}
}

// candidates are the members that could take the place of another one: they answer, and
// have what is of this database.
func (k *machine) candidates(w *member) (list []*member) {
	for _, id := range k.ids() {
		m := k.members[id]
		busy := m.busy != nil && (m.busy.verb == verbStop || m.busy.verb == verbKill)
		if m == w || m.gone || !m.up() || busy || m.sealed || m.state.Writer {
			continue
		}
		if w != nil && w.state.Identity != "" && m.state.Identity != "" && m.state.Identity != w.state.Identity {
			continue
		}
		list = append(list, m)
	}
	return list
}

// proceed takes the next step of a turnover.
func (k *machine) proceed() {
	t := k.turn
	from := k.members[t.from]
	if t.closed.IsZero() && !k.close(t, from) {
		return
	}
	if t.retry.at.After(k.now) {
		return
	}
	if t.planned && from != nil && from.down() && !from.looked { // to know what it has
		if from.busy == nil && !from.retry.at.After(k.now) {
			k.do(from, action{verb: verbInspect})
		}
		if from.retry.failures == 0 {
			return
		}
	}
	chosen, ok := k.choose(t, from)
	if !ok {
		return
	}
	if chosen == nil {
		k.turn = nil
		if from != nil {
			from.rebooting = true // it goes on
		}
		k.saved.Turned = max(k.saved.Turned, t.asked)
		k.tell(k.id, "Failover was not completed: no other DB instance is available", "failover", "failure")
		return
	}
	t.chosen = chosen.want.ID
	k.elect(chosen, max(t.asked, k.saved.Turned))
}

// close has the old writer closed, and reports whether it is.
func (k *machine) close(t *turnover, from *member) bool {
	if from == nil || !from.mayWrite && from.known {
		t.close(k.now)
		return true
	}
	switch {
	case from.busy != nil && (from.busy.verb == verbKill || t.planned && from.busy.verb == verbStop):
	case from.retry.at.After(k.now) && from.retry.failures > 0 && !t.planned && t.retry.failures > 0:
	case t.planned && from.serves():
		k.do(from, action{verb: verbStop, clean: handover, preempt: true})
	default:
		t.retry.failures++
		k.do(from, action{verb: verbKill, preempt: true})
	}
	return false
}

// choose gives the member that has most; nil when there is none, and false when that is
// not known yet.
func (k *machine) choose(t *turnover, from *member) (best *member, ok bool) {
	waited := k.now.Sub(t.closed)
	list := k.candidates(from)
	for _, id := range t.counted {
		m := k.members[id]
		if m != nil && !m.gone && m != from && !slices.Contains(list, m) && waited < gathering {
			return nil, false
		}
	}
	for _, m := range k.members {
		if m == from || m.gone || slices.Contains(list, m) || waited >= gathering {
			continue
		}
		if !m.known || m.silent > 0 && !m.hangs() || m.phase() == engine.PhaseStarting {
			return nil, false // it may have more than the others
		}
	}
	for _, m := range list {
		if !m.seen.After(t.closed) && waited < gathering || m.state.Streaming && waited < draining {
			return nil, false
		}
	}
	list = slices.DeleteFunc(list, func(m *member) bool { return !m.seen.After(t.closed) })
	if len(list) == 0 {
		return nil, waited >= gathering
	}
	best = slices.MaxFunc(list, func(a, b *member) int {
		return cmp.Or(a.history().compare(b.history()), -cmp.Compare(preference(a, t), preference(b, t)), -cmp.Compare(a.want.Tier, b.want.Tier), -cmp.Compare(a.want.ID, b.want.ID))
	})
	if t.planned && from != nil && from.down() && from.looked && from.data.Exists && from.data.Clean && best.history().compare(from.history()) < 0 {
		return nil, true // the old one goes on, and nothing is lost
	}
	return best, true
}

func preference(m *member, t *turnover) int {
	if m.want.ID == t.prefer {
		return 0
	}
	return 1
}

// elect asks for a member to be the one that writes.
func (k *machine) elect(m *member, turn int64) {
	k.ask(Election{Database: k.id, Epoch: k.saved.Epoch, Writer: m.want.ID, Turn: turn, Unasked: k.turn != nil && k.turn.auto})
}

func (k *machine) ask(e Election) {
	k.electing, k.saved.Asking = true, &e
	k.do(nil, action{verb: verbElect, election: e})
}

// elected takes who was elected.
func (k *machine) elected(a action, r result) {
	k.electing = false
	t := k.turn
	switch {
	case k.saved.Asking == nil || *k.saved.Asking != a.election:
		return // a later decision was heard of meanwhile
	case errors.Is(r.err, ErrEpoch):
		k.saved.Asking = nil
		if r.epoch < k.saved.Epoch {
			k.saved.Epoch = r.epoch // what decisions are written down in was set back
		} else {
			k.stale = true
		}
		return
	case r.err != nil:
		k.retry.fail(k.now, r.err)
		return
	}
	k.stale = false
	k.retry.succeed()
	k.saved.Epoch, k.saved.Writer = r.epoch, a.election.Writer
	k.decided(a.election)
	if t != nil {
		k.turn, k.promoted = nil, t
	}
}

// decided takes that an election was made, by its answer or by the rows.
func (k *machine) decided(e Election) {
	k.saved.Asking = nil
	k.saved.Turned = max(k.saved.Turned, e.Turn)
	if e.Unasked {
		k.saved.Failed = k.now
	} else {
		k.saved.Moved = k.now
	}
}

// completed tells that a member was promoted.
func (k *machine) completed(m *member) {
	if t := k.promoted; t != nil && m.want.ID == k.leader() {
		k.tell(k.id, "Completed failover to DB instance: "+m.name(), "failover", "notification")
	}
	k.promoted, k.counted = nil, nil
}
