// SPDX-License-Identifier: Apache-2.0

package nft_test

import "net/netip"

var (
	addr   = netip.MustParseAddr
	prefix = netip.MustParsePrefix
)
