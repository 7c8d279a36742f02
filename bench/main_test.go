// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	t.Setenv("BENCH", "")
	for _, test := range []struct {
		args   []string
		quick  bool
		rounds int
		parts  []string
	}{
		{nil, false, 5, []string{"dataplane", "control", "names", "databases"}},
		{[]string{"-quick"}, true, 1, []string{"dataplane", "control", "names", "databases"}},
		{[]string{"-quick", "-rounds", "3", "-part", "control"}, true, 3, []string{"control"}},
	} {
		o, err := parse(test.args, io.Discard)
		if err != nil {
			t.Errorf("%v: %v", test.args, err)
			continue
		}
		if o.Quick != test.quick || o.Rounds != test.rounds || !cmp.Equal(o.parts, test.parts) {
			t.Errorf("%v: quick %v, %d rounds, parts %v", test.args, o.Quick, o.Rounds, o.parts)
		}
	}
	for _, args := range [][]string{{"-rounds", "-1"}, {"-part", "disk"}, {"-nonsense"}} {
		if _, err := parse(args, io.Discard); err == nil {
			t.Errorf("%v is accepted", args)
		}
	}
}

func TestTheEnvironmentAsksForAQuickRun(t *testing.T) {
	t.Setenv("BENCH", "quick")
	if o, err := parse(nil, io.Discard); err != nil || !o.Quick || o.Rounds != 1 {
		t.Errorf("quick %v, %d rounds, %v", o.Quick, o.Rounds, err)
	}
}
