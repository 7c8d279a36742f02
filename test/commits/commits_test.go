// SPDX-License-Identifier: Apache-2.0

package commits

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// TestLedgerTellsMoves acknowledges commits of three servers, one of which is heard late.
func TestLedgerTellsMoves(t *testing.T) {
	var told []string
	l := &Ledger{Moved: func(server string, pause time.Duration) { told = append(told, fmt.Sprint(server, " after ", pause)) }}
	at := func(ns int64) time.Time { return time.Unix(1, ns) }
	for i, a := range []struct {
		server    string
		sent, now int64
	}{
		{"a", 1, 10},
		{"a", 11, 20},
		{"b", 22, 50}, // 30 after the last one
		{"a", 15, 51}, // was committed before, and is told late
		{"b", 52, 60},
		{"a", 61, 65}, // the former one writes again
	} {
		l.Acknowledge(Entry{"0", fmt.Sprint(i)}, a.server, at(a.sent), at(a.now))
	}
	if want := []string{"b after 30ns", "a after 5ns"}; !slices.Equal(told, want) || l.Count() != 6 {
		t.Errorf("%d acknowledged, and told %q, want %q", l.Count(), told, want)
	}
	if lost := l.missing([][][]byte{{[]byte("0"), []byte("1")}, {[]byte("0"), []byte("4")}}); len(lost) != 4 {
		t.Errorf("lost are %v", lost)
	}
}
