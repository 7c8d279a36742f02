// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/posternhq/postern/internal/engine"
)

func TestHistoriesAreRead(t *testing.T) {
	turns, err := parseHistory("1\t0/3000148\tno recovery target specified\n\n# a remark\n2\tA/10\tbefore 2026-11-27\n")
	want := []engine.Turn{{Timeline: 1, At: engine.Position{Order: 0x3000148, Text: "0/3000148"}}, {Timeline: 2, At: engine.Position{Order: 0xA<<32 | 0x10, Text: "A/10"}}}
	if err != nil || !slices.Equal(turns, want) {
		t.Errorf("it is read as %+v, %v", turns, err)
	}
	for _, bad := range []string{"x\t0/1\t", "1", "1\tnowhere\t", "-1\t0/1"} {
		if turns, err := parseHistory(bad); err == nil {
			t.Errorf("%q is read as %+v", bad, turns)
		}
	}
}

func FuzzParseHistory(f *testing.F) {
	f.Add("1\t0/3000148\tno recovery target specified\n")
	f.Fuzz(func(t *testing.T, text string) {
		turns, err := parseHistory(text)
		if err == nil && slices.ContainsFunc(turns, func(turn engine.Turn) bool { return turn.At.Order == 0 || parseLSN(turn.At.Text) != turn.At }) {
			t.Errorf("%q is read as %+v", text, turns)
		}
	})
}

// member is a server of a model: what it has, change by change, and what it would say.
type member struct {
	log []int
	// born are the promotions, each with a number of its own, by which its timelines began.
	born []int
	engine.History
}

// twin reports whether a server is on a timeline that nothing but its contents tells from
// one that another server has been on.
func (m *member) twin(w *member) bool {
	n := len(m.born)
	return n > 0 && n <= len(w.born) && m.born[n-1] != w.born[n-1] && slices.Equal(m.Turns, w.Turns[:min(n, len(w.Turns))])
}

func (m *member) follow(w *member, n int) {
	m.log, m.born = slices.Clone(w.log[:n]), slices.Clone(w.born)
	m.Own, m.Timeline, m.Turns = false, w.Timeline, slices.Clone(w.Turns)
	for len(m.Turns) > 0 && m.Turns[len(m.Turns)-1].At.Order > uint64(n) { // it is not there yet
		m.Timeline, m.Turns, m.born = m.Turns[len(m.Turns)-1].Timeline, m.Turns[:len(m.Turns)-1], m.born[:len(m.born)-1]
	}
	m.At = position(uint64(n))
}

func (m *member) write(change int) {
	m.log = append(m.log, change)
	m.At = position(uint64(len(m.log)))
}

func (m *member) promote(birth int) {
	m.born = append(slices.Clone(m.born), birth)
	m.Turns = append(slices.Clone(m.Turns), engine.Turn{Timeline: m.Timeline, At: m.At})
	m.Timeline, m.Own = m.Timeline+1, true
}

// Whoever may follow as it is has nothing that the writer has not, and whoever has nothing
// of that kind may follow, but for a writer whose timeline has the number of another one.
func TestWhoFits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		members := make([]*member, rapid.IntRange(2, 4).Draw(t, "members"))
		for i := range members {
			members[i] = &member{log: []int{0}, History: engine.History{Identity: "db", Timeline: 1, At: position(1)}}
		}
		writer, change, births := members[0], 0, 0
		writer.Own = true
		up := map[*member]bool{}
		t.Repeat(map[string]func(*rapid.T){
			"write": func(t *rapid.T) { change++; writer.write(change) },
			"receive": func(t *rapid.T) {
				m := rapid.SampledFrom(members).Draw(t, "member")
				if m == writer {
					return
				}
				f := Driver{}.Fits(m.History, writer.History)
				if m.twin(writer) {
					f = engine.FitAhead // as servers notice
				}
				switch f {
				case engine.FitYes:
					m.follow(writer, rapid.IntRange(len(m.log), len(writer.log)).Draw(t, "changes"))
				case engine.FitAhead:
					m.follow(writer, len(writer.log)) // a new copy
				default:
					t.Fatalf("it fits: %s", f)
				}
				up[m] = true
			},
			"promote": func(t *rapid.T) {
				m := rapid.SampledFrom(members).Draw(t, "member")
				if m == writer || !up[m] {
					return
				}
				births++
				m.promote(births)
				writer = m
				clear(up) // who followed the other one has to be looked at again
			},
			"": func(t *rapid.T) {
				for _, m := range members {
					f := Driver{}.Fits(m.History, writer.History)
					if heir := (Driver{}).Fits(writer.History, m.History); up[m] && m != writer && (heir == engine.FitYes) != (len(m.log) == len(writer.log)) {
						t.Fatalf("the writer %+v fits %+v, who may become one: %s", writer, m, heir)
					}
					has := len(m.log) <= len(writer.log) && slices.Equal(m.log, writer.log[:len(m.log)])
					collides := m.Timeline == writer.Timeline
					if m != writer && !m.twin(writer) && (f == engine.FitYes && !has || f != engine.FitYes && has && !collides) {
						t.Fatalf("%+v fits %+v: %s", m, writer, f)
					}
				}
			},
		})
	})
}

func TestWhatIsNotKnownDoesNotFit(t *testing.T) {
	known := engine.History{Identity: "a", Timeline: 2, At: position(10), Turns: []engine.Turn{{Timeline: 1, At: position(5)}}}
	other := known
	other.Identity = "b"
	lost := known
	lost.Turns = nil
	behind := engine.History{Identity: "a", Timeline: 1}
	for _, c := range []struct {
		replica, writer engine.History
		want            engine.Fit
	}{
		{engine.History{}, known, engine.FitUnknown}, {known, engine.History{}, engine.FitUnknown}, {other, known, engine.FitForeign},
		{behind, known, engine.FitUnknown}, {engine.History{Identity: "a", Timeline: 1, At: position(5)}, lost, engine.FitUnknown},
	} {
		if got := (Driver{}).Fits(c.replica, c.writer); got != c.want {
			t.Errorf("%+v fits %+v: %s, want %s", c.replica, c.writer, got, c.want)
		}
	}
}

func TestVerifiers(t *testing.T) {
	v, err := Driver{}.Verifier("pencil")
	if err != nil || !verifies(v, "pencil") || verifies(v, "pencils") {
		t.Errorf("%q, %v", v, err)
	}
	if again, _ := (Driver{}).Verifier("pencil"); again == v {
		t.Error("two verifiers are the same")
	}
	// RFC 7677, section 3, has the salt and the keys of this password.
	const salt = "W22ZaJ0SNY7soEsUEjb6gQ=="
	known := "SCRAM-SHA-256$4096:" + salt + "$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
	if !verifies(known, "pencil") {
		t.Error("a known verifier is not that of its password")
	}
	for _, bad := range []string{"", "md5abc", "SCRAM-SHA-256$x:y$z", strings.Replace(known, "W22", "W23", 1)} {
		if verifies(bad, "pencil") {
			t.Errorf("%q verifies", bad)
		}
	}
}

func TestTextsInSQLAndSettings(t *testing.T) {
	for text, want := range map[string]string{`a`: `'a'`, `it's`: `'it''s'`, `a\'b`: ` E'a\\''b'`} {
		if got := literal(text); got != want {
			t.Errorf("%s is written %s, want %s", text, got, want)
		}
	}
	if got := identifier(`a"b`); got != `"a""b"` {
		t.Errorf("an identifier is written %s", got)
	}
	if got := setting("a", `it's \`); got != "a = 'it''s \\\\'\n" {
		t.Errorf("a setting is written %q", got)
	}
	if got := slotOf("db-ABC0"); got != "postern_db_abc0" {
		t.Errorf("a slot is called %s", got)
	}
}
