// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
)

func TestProbeFindsWhatIsNeeded(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("CI is set and this test needs root")
		}
		t.Skip("SKIPPED: probing the kernel needs root")
	}
	features := Probe(t.Context())
	for _, f := range features {
		t.Logf("%-40s ok=%-5v needed=%-5v %s | %s", f.Name, f.OK, f.Needed, f.Reason, f.Advice)
		if f.Reason == "" || !f.OK && f.Advice == "" {
			t.Errorf("%s: no sentence", f.Name)
		}
	}
	for _, f := range Missing(features) {
		t.Errorf("%s: %s", f.Name, f.Reason)
	}
}

func TestProbeWithoutRootSaysSo(t *testing.T) {
	for _, p := range probes {
		if p.open {
			continue
		}
		p.try = func(context.Context) (string, error) {
			t.Errorf("%s was tried", p.name)
			return "", nil
		}
		if f := p.run(t.Context(), false); f.OK || !strings.Contains(f.Reason, "root") || f.Advice == "" {
			t.Errorf("%s: %+v", p.name, f)
		}
	}
}

func TestProbeReportsFailure(t *testing.T) {
	p := probe{name: "x", open: true, good: "good", advice: "do", try: func(context.Context) (string, error) {
		return "", errors.New("broken")
	}}
	if got, want := p.run(t.Context(), true), (Feature{Name: "x", Reason: "broken", Advice: "do"}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if f := p.run(ctx, true); f.OK || f.Reason != context.Canceled.Error() {
		t.Errorf("cancelled: %+v", f)
	}
}
