// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"testing"

	"github.com/posternhq/postern/internal/dataplane/nft"
)

// Shares are known by their names, and what cannot be one is refused.
func TestSharesAreReadByTheirNames(t *testing.T) {
	got, err := sharesOf(map[string]int{"client": 1, "association": 2, "fabric": 3, "ports": 4, "queries": 5})
	if want := (nft.Shares{Client: 1, Association: 2, Fabric: 3, Ports: 4, Queries: 5}); err != nil || got != want {
		t.Errorf("got %+v, %v", got, err)
	}
	for _, bad := range []map[string]int{{"queries": 0}, {"queries": 1<<30 + 1}, {"question": 5}} {
		if got, err := sharesOf(bad); err == nil {
			t.Errorf("%v is read as %+v", bad, got)
		}
	}
}
