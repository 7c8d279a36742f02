// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Print writes the results as text, which is Markdown as well.
func (r *Results) Print(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %s, %d cores, %d MiB, Linux %s, %s; %d rounds, %.0f s.\n", r.Began.Format("2006-01-02"),
		r.Machine.Processor, r.Machine.Cores, r.Machine.MemoryMiB, r.Machine.Kernel, r.Machine.Go, r.Rounds, r.Seconds)
	if r.Quick {
		b.WriteString("This was a quick run: it shows that the harness works, and nothing else.\n")
	}
	for _, s := range r.Sections {
		fmt.Fprintf(&b, "\n## %s\n\n", capital(s.Name))
		for _, n := range s.Notes {
			fmt.Fprintf(&b, "- %s\n", n)
		}
		for _, t := range s.Tables {
			fmt.Fprintf(&b, "\n### %s\n\n", capital(t.Title))
			t.print(&b)
		}
	}
	if len(r.Verdicts) > 0 {
		b.WriteString("\n## Targets\n\n")
		printVerdicts(&b, r.Verdicts)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// print writes a table. A cell has the ratio to the reference with its spread
// and then the median itself; the reference's cells have the median and its
// spread.
func (t *Table) print(b *strings.Builder) {
	rows := [][]string{append([]string{""}, t.Candidates...)}
	for _, m := range t.Measures {
		row := []string{m.Name + unit(m.Unit)}
		for _, c := range t.Candidates {
			row = append(row, t.cell(m, c))
		}
		rows = append(rows, row)
	}
	grid(b, rows)
}

func unit(u string) string {
	if u == "" {
		return ""
	}
	return ", " + u
}

func (t *Table) cell(m *Measure, candidate string) string {
	s := m.Of(candidate)
	if s.N == 0 {
		return ""
	}
	if t.Reference == "" || candidate == t.Reference || m.Unit == "" {
		return number(s.Median) + spread(s)
	}
	ratio := m.Ratio(candidate, t.Reference)
	if ratio.N == 0 {
		return number(s.Median) + spread(s)
	}
	return fmt.Sprintf("**%s**%s %s", number(ratio.Median), spread(ratio), number(s.Median))
}

// spread shows the least and the greatest of several samples.
func spread(s Summary) string {
	if s.N < 2 {
		return ""
	}
	return fmt.Sprintf(" (%s–%s)", number(s.Min), number(s.Max))
}

// number shows three digits that count.
func number(v float64) string {
	switch {
	case v >= 100 || v == 0:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case v >= 0.1:
		return strconv.FormatFloat(v, 'f', 2, 64)
	default:
		return strconv.FormatFloat(v, 'g', 2, 64)
	}
}

func printVerdicts(b *strings.Builder, verdicts []Verdict) {
	rows := [][]string{{"measure", "of", "target", "measured", "met"}}
	for _, v := range verdicts {
		of, met := v.Target.Of, "no"
		if v.Target.Against != "" {
			of += " / " + v.Target.Against
		}
		if v.Met {
			met = "yes"
		}
		rows = append(rows, []string{v.Measure, of, number(v.Target.Bound), number(v.Measured), met})
	}
	grid(b, rows)
}

// grid writes rows, the first of which is the head, in columns.
func grid(b *strings.Builder, rows [][]string) {
	width := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			width[i] = max(width[i], utf8.RuneCountInString(cell))
		}
	}
	for n, row := range rows {
		for i, cell := range row {
			fmt.Fprintf(b, "| %-*s ", width[i], cell)
		}
		b.WriteString("|\n")
		if n == 0 {
			for _, w := range width {
				b.WriteString("|-" + strings.Repeat("-", w) + "-")
			}
			b.WriteString("|\n")
		}
	}
}

func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
