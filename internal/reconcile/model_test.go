// SPDX-License-Identifier: Apache-2.0

package reconcile_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/test/fakedp"
)

// world is what a control plane knows: VPCs and who reaches whom. Its entries
// are whole: whatever one needs is among them.
type world struct {
	rules map[string]int     // VPCs that exist, and what their class says
	paths map[[2]string]bool // consumer and provider
	port  map[[2]string]int
}

func newWorld() *world {
	return &world{rules: map[string]int{}, paths: map[[2]string]bool{}, port: map[[2]string]int{}}
}

var vpcs = []string{"vpc-a", "vpc-b", "vpc-c", "vpc-d"}

// mutate changes the world in one place.
func (w *world) mutate(t *rapid.T) {
	one := rapid.SampledFrom(vpcs)
	a, b := one.Draw(t, "a"), one.Draw(t, "b")
	path := [2]string{a, b}
	switch rapid.IntRange(0, 5).Draw(t, "change") {
	case 0: // A VPC goes, and with it every path that touches it.
		delete(w.rules, a)
		maps.DeleteFunc(w.paths, func(p [2]string, _ bool) bool { return p[0] == a || p[1] == a })
	case 1:
		w.rules[a]++
	case 2:
		delete(w.paths, path)
	default:
		if a != b {
			w.rules[a] += 0
			w.rules[b] += 0
			w.paths[path] = true
			w.port[path] = rapid.IntRange(1, 3).Draw(t, "port")
		}
	}
}

// entries computes the desired state.
func (w *world) entries(t interface{ Fatal(...any) }) map[desired.Key]desired.Entry {
	all := make(map[desired.Key]desired.Entry)
	add := func(format string, args ...any) {
		e, err := fakedp.ParseLine(fmt.Sprintf(format, args...))
		if err != nil {
			t.Fatal(err)
		}
		all[e.Key()] = e
	}
	source := func(vpc string) string { return fmt.Sprintf("240.0.%d.0/26", slices.Index(vpcs, vpc)) }
	for vpc, rule := range w.rules {
		add("router %s self networks=10.0.0.0/16 source4=%s", vpc, source(vpc))
		add("class %s c-%d out=all@0.0.0.0/0", vpc, rule/2)
		add("address %s 10.0.1.10 class=c-%d", vpc, rule/2)
		add("workload %s eni-1 mac=02:00:00:00:00:%02x", vpc, rule)
	}
	for path := range w.paths {
		consumer, provider, port := path[0], path[1], w.port[path]
		target := fmt.Sprintf("240.8.%d.%d", slices.Index(vpcs, provider), port)
		add("%s", desired.NewLink(consumer, provider))
		add("route %s %s/32 peer=%s", consumer, target, provider)
		add("route %s %s peer=%s", provider, source(consumer), consumer)
		add("pool %s 10.0.1.50 addresses=10.0.1.50/32", provider)
		add("portset %s p-%d ranges=%d", consumer, port, port)
		add("target %s %s dest=10.0.1.10 gateway=10.0.1.50", provider, target)
		add("allow %s %s>%s", provider, source(consumer), target)
		add("endpoint %s 10.0.2.%d target=%s portset=p-%d", consumer, slices.Index(vpcs, provider), target, port)
	}
	return all
}

// delta gives what leads from one state to another.
func delta(revision int64, from, to map[desired.Key]desired.Entry) desired.Delta {
	d := desired.Delta{Revision: revision}
	for k, e := range to {
		if old := from[k]; old == nil || !desired.Equal(old, e) {
			d.Put = append(d.Put, e)
		}
	}
	for k := range from {
		if to[k] == nil {
			d.Delete = append(d.Delete, k)
		}
	}
	return d
}

func full(revision int64, state map[desired.Key]desired.Entry) desired.Delta {
	return desired.Delta{Revision: revision, Full: true, Put: slices.Collect(maps.Values(state))}
}

// TestKernelEndsUpAsWanted plays random changes, restarts and damage against a
// kernel of which one operation in five fails. Whenever it is left in peace the
// kernel is what is wanted, to the letter.
func TestKernelEndsUpAsWanted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w, h := newWorld(), newHost(0.2, rapid.Uint64().Draw(t, "seed"))
		defer h.down()
		state, revision := w.entries(t), int64(1)
		start := func() {
			h.up()
			if err := h.rec.Apply(full(revision, state)); err != nil {
				t.Fatal(err)
			}
		}
		start()
		change := func(t *rapid.T) {
			w.mutate(t)
			revision++
			next := w.entries(t)
			if err := h.rec.Apply(delta(revision, state, next)); err != nil {
				t.Fatal(err)
			}
			state = next
		}
		t.Repeat(map[string]func(*rapid.T){
			"change":       change,
			"change again": change,
			"restart":      func(*rapid.T) { start() },
			"crash": func(t *rapid.T) { // the newest state comes only after the restart
				h.down()
				w.mutate(t)
				revision++
				state = w.entries(t)
				start()
			},
			"drop": func(t *rapid.T) {
				if there, err := fakedp.ParseText(h.kernel.Text()); err != nil {
					t.Fatal(err)
				} else if len(there) > 0 {
					h.kernel.Drop(rapid.SampledFrom(there).Draw(t, "entry").Key())
				}
			},
			"plant": func(t *rapid.T) {
				e, err := fakedp.ParseLine(rapid.SampledFrom([]string{
					"router vpc-z self networks=10.0.0.0/16", "member vpc-a sg-1/10.0.1.10",
					"class vpc-b c-0 out=all@10.0.0.0/8", "endpoint vpc-c 10.0.2.0 target=240.8.9.9",
				}).Draw(t, "entry"))
				if err != nil {
					t.Fatal(err)
				}
				h.kernel.Plant(e)
			},
			"peace": func(t *rapid.T) { compare(t, h, revision, state) },
		})
		compare(t, h, revision, state)
	})
}

// compare waits until the host is settled and holds it against what is wanted.
func compare(t *rapid.T, h *host, revision int64, state map[desired.Key]desired.Entry) {
	if err := h.ledger.adopted(); err != nil {
		t.Fatal(err)
	}
	if err := h.verify(); err != nil {
		t.Fatal(err)
	}
	if err := h.settled(revision); err != nil {
		t.Fatal(err)
	}
	want := desired.Text(slices.Collect(maps.Values(state)))
	if diff := cmp.Diff(want, h.kernel.Text()); diff != "" {
		t.Fatalf("kernel differs from what is wanted:\n%s", diff)
	}
}

// TestEndpointsNeverLeadNowhere watches every single change of a kernel that
// works: an endpoint is there only while its target is and lets it in.
func TestEndpointsNeverLeadNowhere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w, h := newWorld(), newHost(0, 0)
		defer h.down()
		var wrong []string
		h.kernel.Observe(func(op fakedp.Op, there []desired.Entry) {
			if dangling := fakedp.Dangling(there); len(dangling) > 0 {
				wrong = append(wrong, fmt.Sprintf("after %s: %v", op, dangling))
			}
			if op.Err != nil {
				wrong = append(wrong, op.String())
			}
		})
		state, revision := w.entries(t), int64(1)
		h.up()
		if err := h.rec.Apply(full(revision, state)); err != nil {
			t.Fatal(err)
		}
		for range rapid.IntRange(1, 30).Draw(t, "changes") {
			w.mutate(t)
			next := w.entries(t)
			revision++
			change := delta(revision, state, next)
			if rapid.IntRange(0, 4).Draw(t, "how") == 0 {
				change = full(revision, next)
			}
			if err := h.rec.Apply(change); err != nil {
				t.Fatal(err)
			}
			state = next
		}
		if err := h.settled(revision); err != nil {
			t.Fatal(err)
		}
		h.down()
		if len(wrong) > 0 {
			t.Fatalf("%d wrong moments, the first: %s", len(wrong), wrong[0])
		}
		if diff := cmp.Diff(desired.Text(slices.Collect(maps.Values(state))), h.kernel.Text()); diff != "" {
			t.Fatalf("kernel differs from what is wanted:\n%s", diff)
		}
	})
}
