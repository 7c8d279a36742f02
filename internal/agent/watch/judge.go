// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/posternhq/postern/internal/agent/roles"
)

// Answer is what one server says of itself.
type Answer struct {
	// Err is why it is not known what the server does. Alive says that it answered all the
	// same, such as that it has no room for another connection or does not know the role.
	Err   error
	Alive bool
	// Writes and Reads are what it does. Shares says that others may write as well.
	Writes, Reads, Shares bool
	// System tells apart what was never one database; empty when that is not known.
	System string
	// Position is how far it is, in bytes; zero when that is not known.
	Position int64
}

// failures is how many answers in a row a server must owe to count as down. One that
// refuses or hangs up does so three times in some hundred milliseconds, and one that is
// silent in a second and a half.
const failures = 3

// member is what is known of one server.
type member struct {
	id      string
	last    Answer
	failed  int // in a row
	asked   bool
	heard   bool // it has answered once
	strange bool // it is of another database
}

// up reports whether the server takes connections, as far as is known.
func (m *member) up() bool { return m.asked && !m.down() && !m.strange }

// down reports whether the server owes too many answers.
func (m *member) down() bool { return m.failed >= failures }

// judge decides who does what in a database by what its servers say.
type judge struct {
	database string
	members  []*member // in the order of their ids
	maxLag   int64
	// byPort says that servers only say whether they are there: the first that is writes.
	byPort bool

	writer string
	epoch  int64
	// split are those that said last that they write, when these were several.
	split []string
}

// newJudge begins with a writer that was known before, if there was one.
func newJudge(database string, ids []string, writer string, maxLag int64, byPort bool) *judge {
	j := &judge{database: database, writer: writer, maxLag: maxLag, byPort: byPort}
	for _, id := range slices.Sorted(slices.Values(ids)) {
		j.members = append(j.members, &member{id: id})
	}
	if j.find(writer) == nil {
		j.writer = ""
	}
	return j
}

func (j *judge) find(id string) *member {
	for _, m := range j.members {
		if m.id == id {
			return m
		}
	}
	return nil
}

// hears takes in what a server says of itself, and gives what is worth telling people.
func (j *judge) hears(id string, a Answer) (events []string) {
	m := j.find(id)
	if m == nil {
		return nil
	}
	wasDown := m.down()
	m.asked, m.heard = true, m.heard || a.Err == nil || a.Alive
	switch {
	case a.Err == nil:
		if m.last.Err != nil && m.last.Alive {
			events = append(events, fmt.Sprintf("%s says again what it does", m.id))
		}
		m.failed, m.last = 0, a
	case a.Alive:
		if m.last.Err == nil || !m.last.Alive {
			events = append(events, fmt.Sprintf("%s does not say what it does: %v", m.id, a.Err))
		}
		m.failed, m.last.Err, m.last.Alive, m.last.Writes = 0, a.Err, true, false
	default: // who reads goes on to until it is down; who writes must say so
		m.failed++
		m.last.Err, m.last.Alive, m.last.Writes = a.Err, false, false
	}
	events = append(events, j.strangers()...)
	switch {
	case m.strange || m.down() == wasDown:
	case wasDown:
		events = append(events, fmt.Sprintf("%s answers again", m.id))
	default:
		events = append(events, fmt.Sprintf("%s does not answer: %v", m.id, a.Err))
	}
	return append(events, j.decide()...)
}

// strangers notes who is not of this database: it has another system identifier than most.
// When as many have one as another that of the writer counts, or else the first one.
func (j *judge) strangers() (events []string) {
	count := map[string]int{}
	for _, m := range j.members {
		if m.last.System != "" {
			count[m.last.System]++
		}
	}
	ours := ""
	if w := j.find(j.writer); w != nil {
		ours = w.last.System
	}
	for _, m := range j.members {
		if s := m.last.System; s != "" && (ours == "" || count[s] > count[ours]) {
			ours = s
		}
	}
	for _, m := range j.members {
		strange := m.last.System != "" && m.last.System != ours
		if strange && !m.strange {
			events = append(events, fmt.Sprintf("%s is left out: its system identifier is %s, and that of the database %s", m.id, m.last.System, ours))
		}
		m.strange = strange
	}
	return events
}

// decide goes by what all have said: the writer changes when exactly one says that it
// writes. While several do, or nobody does, it stays.
func (j *judge) decide() (events []string) {
	var writes []string
	shares := false
	for _, m := range j.members {
		if m.last.Writes && !m.strange || j.byPort && m.up() && m.last.Err == nil {
			writes, shares = append(writes, m.id), shares || m.last.Shares || j.byPort
		}
	}
	before := j.writer
	switch {
	case len(writes) == 1 && !shares:
		j.writer = writes[0]
	case shares && !slices.Contains(writes, j.writer) && j.lost() && j.asked():
		j.writer = writes[0]
	}
	if j.writer != before {
		j.epoch++
		if before == "" {
			events = append(events, fmt.Sprintf("%s writes", j.writer))
		} else {
			events = append(events, fmt.Sprintf("%s writes now, and not %s", j.writer, before))
		}
	}
	if len(writes) < 2 || shares {
		writes = nil
	}
	if len(writes) > 0 && !slices.Equal(writes, j.split) {
		events = append(events, fmt.Sprintf("two writers: %v say that they write; connections stay with %s", writes, cmp.Or(j.writer, "nobody")))
	}
	j.split = writes
	return events
}

// lost reports whether the writer does not answer, where others write as well.
func (j *judge) lost() bool {
	w := j.find(j.writer)
	return w == nil || w.asked && (!w.up() || w.last.Err == nil)
}

// asked reports whether all have been asked.
func (j *judge) asked() bool {
	return !slices.ContainsFunc(j.members, func(m *member) bool { return !m.asked })
}

// complete reports whether it is known of each member what it does, or that it is down. Who
// says what the roles are before moves connections that are where they belong.
func (j *judge) complete() bool {
	return !slices.ContainsFunc(j.members, func(m *member) bool {
		return !m.asked || m.last.Err != nil && !m.last.Alive && !m.down()
	})
}

// doubt reports whether something does not fit, so that it is to be asked again soon.
func (j *judge) doubt() bool {
	if w := j.find(j.writer); w == nil || j.split != nil || !w.last.Writes && !j.byPort {
		return true
	}
	return slices.ContainsFunc(j.members, func(m *member) bool { return m.last.Err != nil && !m.last.Alive && !m.down() || !m.asked })
}

// roles says who does what. A replica reads while it follows the writer, and is not
// further behind than it may be.
func (j *judge) roles() roles.Roles {
	r := roles.Roles{Database: j.database, Writer: j.writer, Up: map[string]bool{}, Epoch: j.epoch}
	var at int64
	if w := j.find(j.writer); w != nil {
		at = w.last.Position
	}
	for _, m := range j.members {
		if !m.up() {
			continue
		}
		r.Up[m.id] = true
		late := j.maxLag > 0 && at > 0 && m.last.Position > 0 && at-m.last.Position > j.maxLag
		if m.id != j.writer && (m.last.Reads || m.last.Shares) && !late {
			r.Readers = append(r.Readers, m.id)
		}
	}
	return r
}
