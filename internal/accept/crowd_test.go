// SPDX-License-Identifier: Apache-2.0

package accept_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/posternhq/postern/internal/accept"
)

// guest is a connection of a model.
type guest struct {
	source int
	place  *accept.Place
	ended  bool
}

func (g *guest) Close() error {
	g.ended = true
	return nil
}

// There are never more than there is room for, and who has to leave is the one that was used
// longest ago of a source that has most.
func TestWhoHasMostLeaves(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		most := rapid.IntRange(1, 6).Draw(t, "most")
		crowd := accept.NewCrowd(most)
		var in []*guest // by when they were used
		count := func(source int) (n int) {
			for _, g := range in {
				if g.source == source {
					n++
				}
			}
			return n
		}
		t.Repeat(map[string]func(*rapid.T){
			"enter": func(t *rapid.T) {
				was, g := slices.Clone(in), &guest{source: rapid.IntRange(0, 3).Draw(t, "source")}
				g.place = crowd.Enter(g.source, g)
				var ended []*guest
				in = slices.DeleteFunc(in, func(g *guest) bool {
					if g.ended {
						ended = append(ended, g)
					}
					return g.ended
				})
				if wanted := max(len(was)+1-most, 0); len(ended) != wanted || g.ended {
					t.Fatalf("%d had to leave, want %d", len(ended), wanted)
				}
				for _, e := range ended {
					first := was[slices.IndexFunc(was, func(g *guest) bool { return g.source == e.source })]
					for _, g := range was {
						if count(g.source) > count(e.source)+1 || first != e {
							t.Fatalf("one of source %d had to leave, which is not the oldest of those with most", e.source)
						}
					}
				}
				in = append(in, g)
			},
			"use": func(t *rapid.T) {
				if len(in) > 0 {
					i := rapid.IntRange(0, len(in)-1).Draw(t, "which")
					g := in[i]
					g.place.Used()
					in = append(slices.Delete(in, i, i+1), g)
				}
			},
			"leave": func(t *rapid.T) {
				if len(in) > 0 {
					i := rapid.IntRange(0, len(in)-1).Draw(t, "which")
					in[i].place.Leave()
					in[i].place.Leave()
					in[i].place.Used()
					in = slices.Delete(in, i, i+1)
				}
			},
			"": func(t *rapid.T) {
				if crowd.Len() != len(in) || len(crowd.All()) != len(in) {
					t.Fatalf("%d are there, and %d listed, want %d", crowd.Len(), len(crowd.All()), len(in))
				}
			},
		})
	})
}
