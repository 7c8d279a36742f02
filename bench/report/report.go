// SPDX-License-Identifier: Apache-2.0

// Package report holds what a benchmark measured: samples of interleaved
// rounds, the medians, spreads and ratios that follow from them, and the tables
// and the JSON in which they are read.
//
// A part of the benchmark fills a Section. Every sample belongs to a measure
// (what), a candidate (of whom) and a round (when): the candidates of a round
// are measured right after one another, so a ratio is taken within a round, and
// what is reported is the median of these ratios.
package report

import (
	"log/slog"
	"regexp"
)

// Settings tell a part of the benchmark how to run.
type Settings struct {
	// Quick asks for a run under a minute: fewer and shorter measurements, so
	// that the harness can be tried. Its figures are no evidence.
	Quick bool
	// Rounds is how often every candidate is measured, at least one.
	Rounds int
	// Only, if it is not nil, matches what is to be measured, as
	// "title of the table/name of the row". It is for work on one thing.
	Only *regexp.Regexp
	// PosternBin is the path of the postern binary.
	PosternBin string
	// Against is the path of another postern binary, which the data plane is
	// measured against instead of proxies. It may be empty.
	Against string
	// Log tells a person what is going on; never nil.
	Log *slog.Logger
}

// Wants tells whether a row of a table is to be measured.
func (s Settings) Wants(table, row string) bool {
	return s.Only == nil || s.Only.MatchString(table+"/"+row)
}

// Section is what one part of the benchmark measured.
type Section struct {
	Name   string   `json:"name"`
	Notes  []string `json:"notes,omitempty"` // how it was measured, one sentence each
	Tables []*Table `json:"tables"`
}

// Table compares candidates by several measures.
type Table struct {
	Title string `json:"title"`
	// Reference is the candidate that the others are divided by. A table
	// without one shows medians only.
	Reference  string     `json:"reference,omitempty"`
	Candidates []string   `json:"candidates"` // columns, in order of appearance
	Measures   []*Measure `json:"measures"`   // rows, in order of appearance
}

// Measure is one row of a table.
type Measure struct {
	Name string `json:"name"`
	Unit string `json:"unit"`
	// Lower says that less is better.
	Lower bool `json:"lower_is_better,omitempty"`
	// Samples has the values of each candidate, one a round, in order. NaN
	// must not be stored; a candidate that could not be measured in a round
	// makes the run fail.
	Samples map[string][]float64 `json:"samples"`
	Targets []Target             `json:"targets,omitempty"`
}

// Target is a bound that a measure of a candidate should keep.
type Target struct {
	// Of is the candidate. Against is the one whose value Of's is divided by;
	// empty bounds the value itself, in the measure's unit.
	Of      string `json:"of"`
	Against string `json:"against,omitempty"`
	// Bound is the least value, or the greatest one of a measure where less
	// is better.
	Bound float64 `json:"bound"`
}

// AtLeast is the target that of's value is at least bound times against's, or
// at most if less of the measure is better.
func (m *Measure) AtLeast(of, against string, bound float64) *Measure {
	m.Targets = append(m.Targets, Target{Of: of, Against: against, Bound: bound})
	return m
}

// Within is the target that of's value itself is within bound.
func (m *Measure) Within(of string, bound float64) *Measure { return m.AtLeast(of, "", bound) }

// Table adds a table and returns it for filling.
func (s *Section) Table(title, reference string, candidates ...string) *Table {
	t := &Table{Title: title, Reference: reference, Candidates: candidates}
	s.Tables = append(s.Tables, t)
	return t
}

// More returns the row of that name, in which more is better. The first call
// makes it.
func (t *Table) More(name, unit string) *Measure { return t.row(name, unit, false) }

// Less returns the row of that name, in which less is better. The first call
// makes it.
func (t *Table) Less(name, unit string) *Measure { return t.row(name, unit, true) }

func (t *Table) row(name, unit string, lower bool) *Measure {
	for _, m := range t.Measures {
		if m.Name == name {
			return m
		}
	}
	m := &Measure{Name: name, Unit: unit, Lower: lower, Samples: map[string][]float64{}}
	t.Measures = append(t.Measures, m)
	return m
}

// Add adds the next round's value of a candidate.
func (m *Measure) Add(candidate string, value float64) {
	m.Samples[candidate] = append(m.Samples[candidate], value)
}
