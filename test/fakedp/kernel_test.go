// SPDX-License-Identifier: Apache-2.0

package fakedp_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/test/fakedp"
)

const two = `router vpc-a self source4=240.0.0.0/26
router vpc-b self source4=240.0.0.64/26
link vpc-a vpc-b
route vpc-a 240.8.0.1/32 peer=vpc-b
route vpc-b 240.0.0.0/26 peer=vpc-a
class vpc-a c-1
pool vpc-b 10.0.1.50 addresses=10.0.1.50/32
portset vpc-a p-1 ranges=1-2
address vpc-a 10.0.1.10 class=c-1
target vpc-b 240.8.0.1 dest=10.0.1.10 gateway=10.0.1.50
allow vpc-b 240.0.0.0/26>240.8.0.1
endpoint vpc-a 10.0.1.100 target=240.8.0.1 portset=p-1
`

func parse(t *testing.T, text string) []desired.Entry {
	t.Helper()
	entries, err := fakedp.ParseText(text)
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

// fill puts entries one by one and gives the errors by key.
func fill(t *testing.T, k fakedp.Effects, text string) map[desired.Key]error {
	t.Helper()
	errs := make(map[desired.Key]error)
	for _, e := range parse(t, text) {
		if err := k.Apply(t.Context(), e.Key().Realm, []desired.Entry{e}, nil)[e.Key()]; err != nil {
			errs[e.Key()] = err
		}
	}
	return errs
}

func TestKernelHoldsWhatWasPut(t *testing.T) {
	k := fakedp.New()
	for range 2 { // Apply is idempotent
		if errs := fill(t, k, two); len(errs) > 0 {
			t.Fatal(errs)
		}
	}
	if diff := cmp.Diff(two, k.Text()); diff != "" {
		t.Error(diff)
	}
	if got := fakedp.Dangling(parse(t, k.Text())); got != nil {
		t.Errorf("dangling endpoints %v, want none", got)
	}
}

func TestKernelRefusesWhatCannotBe(t *testing.T) {
	for _, c := range []struct {
		verb, entry string
		want        error
	}{
		{"put", "member vpc-c sg-1/10.0.1.10", unix.ENOENT},
		{"put", "link vpc-a vpc-c", unix.ENOENT},
		{"put", "route vpc-a 240.9.0.0/26 peer=vpc-c", unix.ENOENT},
		{"put", "address vpc-a 10.0.1.11 class=c-2", unix.ENOENT},
		{"put", "endpoint vpc-a 10.0.1.101 target=240.8.0.1 portset=p-2", unix.ENOENT},
		{"put", "target vpc-b 240.8.0.2 dest=10.0.1.10 gateway=10.0.1.51", unix.ENOENT},
		{"delete", "class vpc-a c-1", unix.EBUSY},
		{"delete", "portset vpc-a p-1", unix.EBUSY},
		{"delete", "pool vpc-b 10.0.1.50", unix.EBUSY},
		{"delete", "class vpc-a c-9", nil},
		{"delete", "router vpc-z self", nil},
	} {
		k := fakedp.New()
		fill(t, k, two)
		e := parse(t, c.entry)
		put, del := e, e[:0]
		if c.verb == "delete" {
			put, del = del, put
		}
		err := k.Apply(t.Context(), e[0].Key().Realm, put, del)[e[0].Key()]
		if !errors.Is(err, c.want) {
			t.Errorf("%s %s: %v, want %v", c.verb, c.entry, err, c.want)
		}
		if diff := cmp.Diff(two, k.Text()); diff != "" {
			t.Errorf("%s %s changed the kernel: %s", c.verb, c.entry, diff)
		}
	}
}

func TestRoutersAndLinksTakeWhatHangsOnThem(t *testing.T) {
	for _, c := range []struct{ entry, want string }{
		{"router vpc-a self", `router vpc-b self source4=240.0.0.64/26
pool vpc-b 10.0.1.50 addresses=10.0.1.50/32
target vpc-b 240.8.0.1 dest=10.0.1.10 gateway=10.0.1.50
allow vpc-b 240.0.0.0/26>240.8.0.1
`},
		{"link vpc-a vpc-b", `router vpc-a self source4=240.0.0.0/26
router vpc-b self source4=240.0.0.64/26
class vpc-a c-1
pool vpc-b 10.0.1.50 addresses=10.0.1.50/32
portset vpc-a p-1 ranges=1-2
address vpc-a 10.0.1.10 class=c-1
target vpc-b 240.8.0.1 dest=10.0.1.10 gateway=10.0.1.50
allow vpc-b 240.0.0.0/26>240.8.0.1
endpoint vpc-a 10.0.1.100 target=240.8.0.1 portset=p-1
`},
	} {
		k := fakedp.New()
		fill(t, k, two)
		e := parse(t, c.entry)
		if errs := k.Apply(t.Context(), "vpc-a", nil, e); len(errs) > 0 {
			t.Fatal(errs)
		}
		if diff := cmp.Diff(c.want, k.Text()); diff != "" {
			t.Errorf("after delete %s: %s", c.entry, diff)
		}
	}
}

func TestDanglingEndpointsAreFound(t *testing.T) {
	for _, lost := range []string{"target vpc-b 240.8.0.1", "allow vpc-b 240.0.0.0/26>240.8.0.1"} {
		k := fakedp.New()
		fill(t, k, two)
		k.Drop(parse(t, lost)[0].Key())
		if got := fakedp.Dangling(parse(t, k.Text())); len(got) != 1 {
			t.Errorf("without %s: dangling endpoints %v, want one", lost, got)
		}
	}
}

func TestFaultsComeAtTheRateAskedForAndAreRepeatable(t *testing.T) {
	run := func() (failed int, text string) {
		k := fakedp.New()
		f := fakedp.Faulty(k, 0.1, 7)
		fill(t, k, two)
		member := parse(t, "member vpc-a sg-1/10.0.1.10")
		for range 10_000 {
			for _, err := range f.Apply(t.Context(), "vpc-a", member, nil) {
				failed++
				text = err.Error()
			}
		}
		return failed, text
	}
	failed, text := run()
	if failed < 900 || failed > 1100 {
		t.Errorf("%d of 10000 operations failed, want about 1000", failed)
	}
	if again, same := run(); again != failed || same != text {
		t.Errorf("second run: %d failures, last %q; first run: %d, %q", again, same, failed, text)
	}
}
