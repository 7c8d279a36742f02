// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"strings"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/dataplane/nft"
)

// TestReconnectingStaysBelowTheResolversPace: clients that ask more while there is no writer
// wait for answers that were dropped when there is one again.
func TestReconnectingStaysBelowTheResolversPace(t *testing.T) {
	const questions = 2 // for A and AAAA
	second := clients * questions * int(time.Second/reconnectEvery)
	if share := nft.DefaultShares(0).Queries; second > share {
		t.Errorf("%d clients ask up to %d questions a second, an interface may %d", clients, second, share)
	}
}

// TestLedgerTellsMoves acknowledges commits of three servers, one of which is heard late.
func TestLedgerTellsMoves(t *testing.T) {
	var out strings.Builder
	l := &ledger{out: &out, acknowledged: map[entry]bool{}}
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
		l.acknowledge(entry{"0", string(rune('0' + i))}, a.server, a.sent, a.now)
	}
	want := "moved to b after 30 ns\nmoved to a after 5 ns\n"
	if out.String() != want || len(l.acknowledged) != 6 {
		t.Errorf("%d acknowledged, and told:\n%swant\n%s", len(l.acknowledged), out.String(), want)
	}
}
