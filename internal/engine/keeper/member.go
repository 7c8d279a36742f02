// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"cmp"
	"errors"
	"strings"
	"time"

	"github.com/posternhq/postern/internal/engine"
)

// phase is how the member is, without a single probe that was lost.
func (m *member) phase() engine.Phase {
	switch {
	case !m.known:
		return ""
	case m.hangs():
		return engine.PhaseSilent
	}
	return m.state.Phase
}

// hangs says that it gave no answer for as long as the probes of silences may take.
func (m *member) hangs() bool {
	return m.silent >= silences && m.seen.Sub(m.quiet) >= (silences-1)*probeTimeout
}

func (m *member) up() bool { return m.phase() == engine.PhaseUp && m.silent == 0 }

func (m *member) down() bool { return m.phase() == engine.PhaseDown }

// serves says that clients can use it.
func (m *member) serves() bool {
	return (m.state.Phase == engine.PhaseUp || m.state.Phase == engine.PhaseBusy) && !m.hangs() && m.known
}

func (m *member) writes() bool { return m.serves() && m.state.Writer }

func (m *member) name() string {
	name, _, _ := strings.Cut(m.want.Name, ".")
	return cmp.Or(name, m.want.ID)
}

// host is the member's name as certificates have it, without the final dot: clients compare
// texts.
func (m *member) host() string { return strings.TrimSuffix(m.want.Name, ".") }

func (k *machine) peer(m *member) engine.Peer {
	return engine.Peer{ID: m.want.ID, Name: m.host(), Addr: m.want.Addr, Port: k.wanted.Port}
}

// prove notes for how long a member has answered as the one that writes, by a probe that
// began at a time.
func (m *member) prove(s engine.State, began time.Time) {
	switch {
	case s.Phase != engine.PhaseUp || !s.Writer:
		m.answers = time.Time{}
	case m.answers.IsZero():
		m.answers = began
	}
	m.proven = m.proven || !m.answers.IsZero() && began.Sub(m.answers) >= steady
}

// begins notes that a member begins to write.
func (m *member) begins(now time.Time) {
	m.began, m.secured, m.answers, m.proven = now, false, time.Time{}, false
}

// lament tells of a member that people have to do something for: its server does not start
// with its parameters, or something has failed often.
func (k *machine) lament(m *member, err error) {
	var was, is *engine.StartError
	switch {
	case errors.As(err, &is) && is.Parameters:
		if !errors.As(m.retry.err, &was) || !was.Parameters {
			k.tell(m.want.ID, "The DB instance does not start with its parameters: "+is.Words, "configuration change", "failure")
		}
	case m.retry.failures+1 == tries:
		k.tell(m.want.ID, "The DB instance is out of order, and is tried again every minute: "+err.Error(), "failure")
	}
}
