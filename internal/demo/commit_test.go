// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"testing"
	"time"

	"github.com/posternhq/postern/internal/dataplane/nft"
	"github.com/posternhq/postern/test/commits"
)

// TestReconnectingStaysBelowTheResolversPace: clients that ask more while there is no writer
// wait for answers that were dropped when there is one again.
func TestReconnectingStaysBelowTheResolversPace(t *testing.T) {
	const questions = 2 // for A and AAAA
	second := clients * questions * int(time.Second/commits.Reconnect)
	if share := nft.DefaultShares(0).Queries; second > share {
		t.Errorf("%d clients ask up to %d questions a second, an interface may %d", clients, second, share)
	}
}
