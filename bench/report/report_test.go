// SPDX-License-Identifier: Apache-2.0

package report_test

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/posternhq/postern/bench/report"
)

func TestRatiosAreTakenWithinRounds(t *testing.T) {
	m := new(report.Section).Table("t", "slow").More("speed", "1/s")
	// The machine was twice as fast in the second round; the ratio does not see it.
	for _, speed := range []float64{1, 2, 1} {
		m.Add("slow", 10*speed)
		m.Add("fast", 30*speed)
	}
	want := report.Summary{N: 3, Median: 3, Min: 3, Max: 3}
	if diff := cmp.Diff(want, m.Ratio("fast", "slow")); diff != "" {
		t.Errorf("ratio (-want +got):\n%s", diff)
	}
	if got := m.Ratio("absent", "slow"); got.N != 0 {
		t.Errorf("ratio of what was not measured = %v", got)
	}
}

func TestAVerdictFollowsTheDirectionOfTheMeasure(t *testing.T) {
	table := new(report.Section).Table("t", "routing")
	table.More("rate", "1/s").AtLeast("Postern", "routing", 0.8).AtLeast("Postern", "absent", 2)
	table.Less("delay", "ms").Within("Postern", 30)
	for _, v := range []float64{70, 90, 79} {
		table.More("rate", "1/s").Add("routing", 100)
		table.More("rate", "1/s").Add("Postern", v)
		table.Less("delay", "ms").Add("Postern", v/3)
	}
	var met []bool
	for _, v := range table.Verdicts() {
		met = append(met, v.Met)
	}
	// 0.79 of 0.8 is missed, 26.3 ms of 30 are kept, the absent one is not judged.
	if diff := cmp.Diff([]bool{false, true}, met); diff != "" {
		t.Errorf("met (-want +got):\n%s", diff)
	}
}

func TestQuantilesOfAnySamples(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		samples := rapid.SliceOfN(rapid.Float64Range(-1e9, 1e9), 1, 50).Draw(t, "samples")
		before := slices.Clone(samples)
		s := report.Summarize(samples)
		if !slices.Equal(before, samples) {
			t.Fatalf("the samples were changed")
		}
		if s.Min != slices.Min(samples) || s.Max != slices.Max(samples) || s.N != len(samples) {
			t.Fatalf("summary %+v of %v", s, samples)
		}
		below, above := 0, 0
		for _, v := range samples {
			if v < s.Median {
				below++
			}
			if v > s.Median {
				above++
			}
		}
		if 2*below > len(samples) || 2*above > len(samples) {
			t.Fatalf("median %v of %v has %d below and %d above", s.Median, samples, below, above)
		}
	})
}

func TestMilliseconds(t *testing.T) {
	var durations []time.Duration
	for i := 100; i >= 0; i-- {
		durations = append(durations, time.Duration(i)*time.Millisecond)
	}
	if p50, p99 := report.Milliseconds(durations); math.Abs(p50-50) > 1e-9 || math.Abs(p99-99) > 1e-9 {
		t.Errorf("p50 and p99 are %v and %v, want 50 and 99", p50, p99)
	}
	if p50, p99 := report.Milliseconds(nil); p50 != 0 || p99 != 0 {
		t.Errorf("of nothing they are %v and %v", p50, p99)
	}
}

// sample is a small run.
func sample() *report.Results {
	r := report.New(report.Settings{Rounds: 2}, time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC))
	r.Machine = report.Machine{Kernel: "6.1", Processor: "A processor", Cores: 2, MemoryMiB: 1024, Go: "go1.26"}
	s := report.Section{Name: "data plane", Notes: []string{"A note."}}
	table := s.Table("one against another", "routing", "routing", "Postern", "proxy")
	rate := table.More("rate", "1/s").AtLeast("Postern", "routing", 0.8)
	for _, v := range []float64{1000, 1200} {
		rate.Add("routing", v)
		rate.Add("Postern", v*0.9)
	}
	r.Sections = append(r.Sections, s)
	r.Finish(r.Began.Add(time.Minute))
	return r
}

func TestPrint(t *testing.T) {
	var b strings.Builder
	if err := sample().Print(&b); err != nil {
		t.Fatal(err)
	}
	const want = `2026-11-23, A processor, 2 cores, 1024 MiB, Linux 6.1, go1.26; 2 rounds, 60 s.

## Data plane

- A note.

### One against another

|           | routing          | Postern                  | proxy |
|-----------|------------------|--------------------------|-------|
| rate, 1/s | 1100 (1000–1200) | **0.90** (0.90–0.90) 990 |       |

## Targets

| measure | of                | target | measured | met |
|---------|-------------------|--------|----------|-----|
| rate    | Postern / routing | 0.80   | 0.90     | yes |
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("text (-want +got):\n%s", diff)
	}
}

func TestSave(t *testing.T) {
	path, want := filepath.Join(t.TempDir(), "results", "latest.json"), sample()
	if err := want.Save(path); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var got report.Results
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, &got); diff != "" {
		t.Errorf("read back (-want +got):\n%s", diff)
	}
}
