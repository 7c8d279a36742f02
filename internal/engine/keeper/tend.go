// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/posternhq/postern/internal/engine"
)

// tend brings a member nearer to what it should be.
func (k *machine) tend(m *member) {
	if m.removed || !m.known {
		if !m.removed && m.gone && m.busy == nil && m.retry.failures >= tries/2 && !m.retry.at.After(k.now) {
			if k.leaves(m) && m.want.ID == k.leader() { // nobody knows how to run it
				k.do(m, action{verb: verbKeep})
			} else {
				k.do(m, action{verb: verbDestroy})
			}
		}
		return
	}
	if k.follows() {
		k.watchStream(m)
	}
	if k.wanted != nil && !k.undecided() {
		k.rogue(m)
		k.secure(m)
	}
	if m.busy != nil && m.busy.verb == verbClone && m.want.ID == k.leader() { // it was promoted meanwhile, with what it had
		k.do(m, action{verb: verbInspect, preempt: true})
	}
	if m.busy != nil || m.retry.at.After(k.now) {
		return
	}
	switch {
	case m.gone:
		k.remove(m)
	case k.wanted == nil:
	case k.wanted.Stopped:
		k.rest(m)
	case k.undecided():
	default:
		switch m.phase() {
		case engine.PhaseDown:
			k.raise(m)
		case engine.PhaseUp:
			k.steer(m)
		case engine.PhaseSilent:
			if m.sealed || k.now.Sub(m.quiet) > hopeless {
				k.do(m, action{verb: verbKill, preempt: true})
			}
		}
	}
}

// undecided says that it is not known who is to write.
func (k *machine) undecided() bool {
	return k.turn != nil || k.electing || k.stale || k.saved.Asking != nil
}

// sure are the members of which one has to have a commit: those that get changes as they
// come, and when the writer has just begun those that are about to. A commit that nobody
// else has would be lost with the writer, so that clients rather wait for a moment.
func (k *machine) sure(w *member) (ids []string) {
	for _, id := range k.ids() {
		m := k.members[id]
		leaving := m.busy != nil && (m.busy.verb == verbStop || m.busy.verb == verbKill)
		if m == w || m.gone || m.removed || leaving || !m.serves() || m.state.Writer {
			continue
		}
		streams := slices.ContainsFunc(w.state.Replicas, func(r engine.Replica) bool { return r.ID == id && r.Streaming })
		comes := !w.began.IsZero() && k.now.Sub(w.began) < gathering && k.fits(m.state.History, w.state.History) != engine.FitAhead
		if streams || comes {
			ids = append(ids, id)
		}
	}
	return ids
}

// rogue ends a member that writes and should not, at once.
func (k *machine) rogue(m *member) {
	if m.want.ID != k.leader() && (k.leader() != "" || k.follows()) && m.writes() && !m.sealed && (m.busy == nil || m.busy.verb != verbKill) {
		k.do(m, action{verb: verbKill, preempt: true})
	}
}

// secure says which members have to have a commit: those that get changes as they come.
// It waits for nothing that takes long, since commits may wait for a member that is gone.
func (k *machine) secure(w *member) {
	if w.want.ID != k.leader() || !w.up() || !w.state.Writer || w.durable == nil {
		return
	}
	if w.busy != nil && w.busy.verb != verbSettle && w.busy.verb != verbSnapshot {
		return
	}
	any := k.sure(w)
	want := engine.Durability{AnyOf: any}
	if len(any) > 0 {
		want.Mode = engine.ModeReceived
	}
	if want.Mode == w.durable.Mode && slices.Equal(any, w.durable.AnyOf) {
		w.secured = true
		return
	}
	if w.retry.at.After(k.now) {
		return
	}
	k.counted = union(k.counted, any)
	k.do(w, action{verb: verbDurability, durability: want, preempt: true})
}

func union(a, b []string) []string {
	list := slices.Concat(a, b)
	slices.Sort(list)
	return slices.Compact(list)
}

// closed has all members but one closed that could write, and reports whether they are.
func (k *machine) closed(but *member) bool {
	all := true
	k.each(func(o *member) {
		if o == but || !o.mayWrite || o.removed {
			return
		}
		all = false
		if !o.known && k.now.Sub(k.asked) < gathering || o.busy != nil && o.busy.verb == verbKill || o.retry.at.After(k.now) && o.retry.failures > 0 {
			return
		}
		k.do(o, action{verb: verbKill, preempt: true})
	})
	return all
}

// raise brings up a member that is down.
func (k *machine) raise(m *member) {
	switch {
	case !m.looked:
		k.do(m, action{verb: verbInspect})
	case k.full:
	case k.follows() && !k.welcome(m):
	case !k.prepared(m):
	case k.follows():
		k.raiseFollower(m)
	case m.want.ID == k.leader():
		k.raiseWriter(m)
	case k.leader() != "":
		k.raiseReplica(m)
	}
}

func (k *machine) raiseWriter(w *member) {
	if !k.closed(w) {
		return
	}
	alone := k.others(w) == 0
	switch {
	case !w.data.Exists && k.saved.Volume:
		k.do(w, action{verb: verbTake})
	case !w.data.Exists && k.saved.Made:
		if w.retry.failures == 0 {
			w.retry.fail(k.now, errLost)
		}
	case !w.data.Exists && k.wanted.From != "":
		k.do(w, action{verb: verbRestore, snapshot: k.wanted.From})
	case !w.data.Exists:
		k.do(w, action{verb: verbInit})
	case w.data.Writer:
		w.mayWrite = true
		k.do(w, action{verb: verbStart, role: engine.Role{Writer: true, Restart: alone}})
	default: // it was elected and not promoted yet
		k.do(w, action{verb: verbStart})
	}
}

func (k *machine) raiseReplica(m *member) {
	w := k.writer()
	if w == nil {
		return
	}
	if !w.up() || !w.state.Writer {
		// Somebody has to be able to take the writer's place.
		if w.retry.failures > 0 && m.data.Exists && !m.data.Writer {
			k.do(m, action{verb: verbStart})
		}
		return
	}
	if m.mayWrite && m.data.Writer && m.data.Exists {
		k.do(m, action{verb: verbKill})
		return
	}
	of := k.peer(w)
	if !m.data.Exists || m.reseed {
		if k.saved.Set > 0 { // there is somebody to replicate as
			k.do(m, action{verb: verbClone, peer: of})
		}
		return
	}
	fit := k.fits(m.data.History, w.state.History)
	switch {
	case fit == engine.FitForeign:
		k.tell(m.want.ID, "The data of "+m.name()+" was of another database and is replaced", "recovery")
		k.do(m, action{verb: verbClone, peer: of})
	case fit == engine.FitAhead || m.data.Writer && (!m.data.Clean || fit != engine.FitYes):
		if w.settle = !w.settled; w.settled {
			k.do(m, action{verb: verbRejoin, peer: of})
		}
	default:
		k.do(m, action{verb: verbStart, role: engine.Role{Of: &of}})
	}
}

// prepared sees to settings and to the certificate, and reports whether they are as they
// should be.
func (k *machine) prepared(m *member) bool {
	c := k.config(m)
	if d := digest(c); d != m.config {
		k.do(m, action{verb: verbConfigure, config: c, digest: d})
		return false
	}
	names := slices.Concat([]string{m.want.Name}, k.wanted.Names)
	note := k.saved.Members[m.want.ID]
	d := digest([]any{names, m.want.Addr, k.wanted.Authority})
	if d != note.Certified || !k.now.Before(note.Until) {
		k.do(m, action{verb: verbCertify, names: names, addr: m.want.Addr, digest: d})
		return false
	}
	return true
}

func (k *machine) config(m *member) engine.Config {
	c := engine.Config{
		Name: m.host(), Addr: m.want.Addr, Port: k.wanted.Port, Memory: int(m.want.Memory), Parameters: map[string]string{}, Replication: k.saved.Replication,
	}
	for _, list := range [][]string{k.wanted.Params, m.want.Params} { // the member's own count before
		for _, p := range list {
			name, value, _ := strings.Cut(p, "=")
			c.Parameters[name] = value
		}
	}
	k.each(func(o *member) {
		if o != m && !o.gone && !o.removed {
			c.Members = append(c.Members, k.peer(o))
		}
	})
	if k.follows() {
		c.Replication = k.saved.Upstream
	}
	for _, r := range k.wanted.Replicas {
		c.Members = append(c.Members, engine.Peer{ID: r.Member, Addr: r.Addr})
	}
	return c
}

func digest(v any) string {
	sum := sha256.Sum256(fmt.Append(nil, v))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// steer sees to a member that is up.
func (k *machine) steer(m *member) {
	isWriter := m.want.ID == k.leader()
	switch {
	case m.silent > 0:
	case isWriter && !m.state.Writer:
		if k.closed(m) {
			m.mayWrite = true
			k.do(m, action{verb: verbPromote})
		}
	case isWriter && k.users(m):
	case !isWriter && k.led(m):
	case !k.prepared(m):
	case k.introduced(m):
	case m.want.Reboot > k.saved.Members[m.want.ID].Reboot:
		k.do(m, action{verb: verbStop, clean: closing, reboot: m.want.Reboot})
	case isWriter && m.settle && !m.settled:
		k.do(m, action{verb: verbSettle})
	default:
		k.served(m)
	}
}

// served notes that a member has been available.
func (k *machine) served(m *member) {
	note := k.saved.Members[m.want.ID]
	if !note.Served && (!k.follows() || m.state.Streaming) {
		note.Served = true
		k.saved.Members[m.want.ID] = note
		k.tell(m.want.ID, "DB instance created", "creation")
	}
}

// users makes the users of a database, and sets the master's password.
func (k *machine) users(w *member) (busy bool) {
	d := k.wanted
	if k.follows() {
		return false // they come with the data
	}
	if k.saved.Set >= max(d.Secret, 1) {
		return false
	}
	if d.User != "" && (k.saved.Verifier == "" || k.saved.Secret < d.Secret) {
		return true // it is being read
	}
	k.do(w, action{
		verb: verbUsers, secret: max(d.Secret, 1),
		users: engine.Users{Master: d.User, Verifier: k.saved.Verifier, Database: d.Name, Replication: k.saved.Replication, Reset: k.saved.Set > 0 || d.From != ""},
	})
	return true
}

// introduced tells a member which other ones there are.
func (k *machine) introduced(m *member) (busy bool) {
	var ids []string
	k.each(func(o *member) {
		if o != m && !o.gone && !o.removed {
			ids = append(ids, o.want.ID)
		}
	})
	for _, r := range k.wanted.Replicas {
		ids = append(ids, r.Member)
	}
	slices.Sort(ids)
	if strings.Join(ids, ",") == m.members && !m.state.Forsaken {
		return false
	}
	k.do(m, action{verb: verbMembers, ids: ids})
	return true
}

// led has a replica follow the writer.
func (k *machine) led(m *member) (busy bool) {
	if k.follows() {
		return k.trail(m)
	}
	w := k.writer()
	if w == nil || !w.up() {
		return false
	}
	if !w.state.Writer { // it is about to be promoted; who follows it now goes on with it then
		if m.state.Upstream == w.want.ID || k.promoted == nil || m.history().compare(w.history()) > 0 {
			return false
		}
		k.do(m, action{verb: verbFollow, peer: k.peer(w)})
		return true
	}
	switch fit := k.fits(m.state.History, w.state.History); {
	case fit == engine.FitAhead && m.state.Upstream != w.want.ID, fit == engine.FitForeign:
		k.do(m, action{verb: verbStop, clean: handover})
		return true
	case m.state.Upstream != w.want.ID:
		k.do(m, action{verb: verbFollow, peer: k.peer(w)})
		return true
	case m.state.Stuck:
		k.do(m, action{verb: verbStop, clean: handover}) // and it is started with what it lacks
		return true
	case m.state.Streaming:
		m.stalled = k.now
	case m.stalled.IsZero():
		m.stalled = k.now
	case k.now.Sub(m.stalled) > hopeless:
		m.reseed = true
		k.tell(m.want.ID, "DB instance "+m.name()+" cannot get what it lacks any more and is made anew", "recovery")
		k.do(m, action{verb: verbStop, clean: handover})
		return true
	}
	return false
}

// rest stops a member, the writer first: its replicas get all that it has.
func (k *machine) rest(m *member) {
	w := k.writer()
	if m.down() {
		if !m.looked {
			k.do(m, action{verb: verbInspect})
		}
		return
	}
	if w != nil && w != m && !w.gone && w.known && !w.down() && m.serves() {
		return
	}
	k.do(m, action{verb: verbStop, clean: closing})
}

// remove takes a member away that is not wanted any more. The data of the last one stays
// while its database does.
func (k *machine) remove(m *member) {
	rest := k.others(m)
	if k.wanted != nil && m.want.ID == k.leader() && rest > 0 {
		switch { // another one has to write before, and to have what this one has
		case k.wanted.Stopped:
			k.rest(m)
		case k.undecided():
		case m.down():
			k.raise(m)
		case m.up():
			k.steer(m)
		}
		return
	}
	switch {
	case k.turn != nil && k.turn.from == m.want.ID:
	case !m.down():
		k.do(m, action{verb: verbStop, clean: closing})
	case !m.looked:
		k.do(m, action{verb: verbInspect})
	case k.leaves(m) && m.data.Exists:
		k.do(m, action{verb: verbKeep})
	default:
		k.do(m, action{verb: verbDestroy})
	}
}

// leaves says that the data of a member is to be kept when it goes: it is the writer, and no
// other member stays. Of members that go together others may have less.
func (k *machine) leaves(m *member) bool {
	last := m.want.ID == k.leader() || k.writer() == nil && !k.saved.Volume
	return k.wanted != nil && k.saved.Made && k.others(m) == 0 && last
}

// addrs are those that a certificate is for.
func (a action) addrs() []netip.Addr { return []netip.Addr{a.addr} }
