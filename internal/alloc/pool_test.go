// SPDX-License-Identifier: Apache-2.0

package alloc

import (
	"net/netip"
	"testing"

	"pgregory.net/rapid"
)

func TestPoolBlocksAreNumbered(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var raw [16]byte
		copy(raw[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "address"))
		pool := netip.PrefixFrom(netip.AddrFrom16(raw), rapid.IntRange(0, blockBits6).Draw(t, "bits")).Masked()
		places := poolPlaces(pool)
		index := rapid.IntRange(0, places-1).Draw(t, "index")
		block := poolBlock(pool, index)
		if got := poolIndex(block, places); got != index || !pool.Contains(block.Addr()) || block != block.Masked() {
			t.Fatalf("block %d of %s is %s, which has number %d", index, pool, block, got)
		}
	})
}
