// SPDX-License-Identifier: Apache-2.0

package report

import (
	"math"
	"slices"
	"time"
)

// Summary is what several samples come to. The zero value stands for none.
type Summary struct {
	N                int
	Median, Min, Max float64
}

// Summarize returns the summary of samples, which stay as they are.
func Summarize(samples []float64) Summary {
	if len(samples) == 0 {
		return Summary{}
	}
	sorted := slices.Sorted(slices.Values(samples))
	return Summary{N: len(sorted), Median: Quantile(sorted, 0.5), Min: sorted[0], Max: sorted[len(sorted)-1]}
}

// Quantile returns the q-quantile, 0 to 1, of sorted samples by linear
// interpolation between neighbours; of none it is 0.
func Quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	place := q * float64(len(sorted)-1)
	low := int(math.Floor(place))
	if low+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	return sorted[low] + (place-float64(low))*(sorted[low+1]-sorted[low])
}

// Milliseconds returns the median and the 99th percentile of durations, in
// milliseconds. The slice is sorted in place.
func Milliseconds(durations []time.Duration) (p50, p99 float64) {
	values := make([]float64, len(durations))
	for i, d := range durations {
		values[i] = float64(d) / float64(time.Millisecond)
	}
	slices.Sort(durations)
	slices.Sort(values)
	return Quantile(values, 0.5), Quantile(values, 0.99)
}

// Of summarizes a candidate's values.
func (m *Measure) Of(candidate string) Summary { return Summarize(m.Samples[candidate]) }

// Ratio summarizes candidate divided by reference, round by round. Rounds that
// one of them lacks, or in which the reference is zero, are left out.
func (m *Measure) Ratio(candidate, reference string) Summary {
	a, b := m.Samples[candidate], m.Samples[reference]
	var ratios []float64
	for i := range min(len(a), len(b)) {
		if b[i] != 0 {
			ratios = append(ratios, a[i]/b[i])
		}
	}
	return Summarize(ratios)
}

// Verdict is how a target came out.
type Verdict struct {
	Measure  string  `json:"measure"`
	Target   Target  `json:"target"`
	Measured float64 `json:"measured"` // the median
	Met      bool    `json:"met"`
}

// Verdicts judges the targets of a table by medians. A target without samples
// is not judged.
func (t *Table) Verdicts() []Verdict {
	var verdicts []Verdict
	for _, m := range t.Measures {
		for _, target := range m.Targets {
			s := m.Of(target.Of)
			if target.Against != "" {
				s = m.Ratio(target.Of, target.Against)
			}
			if s.N == 0 {
				continue
			}
			met := s.Median >= target.Bound
			if m.Lower {
				met = s.Median <= target.Bound
			}
			verdicts = append(verdicts, Verdict{Measure: m.Name, Target: target, Measured: s.Median, Met: met})
		}
	}
	return verdicts
}
