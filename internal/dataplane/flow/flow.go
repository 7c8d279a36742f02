// SPDX-License-Identifier: Apache-2.0

// Package flow cuts live connections.
package flow

import (
	"context"
	"errors"
	"net/netip"
)

// Match selects flows by their original tuple, before any translation. Unset
// fields match everything; a Match with neither selects nothing.
type Match struct {
	// Source is where the connection came from.
	Source netip.Prefix
	// Dest is what it was opened to.
	Dest netip.Addr
}

// Cut ends the TCP connections in the namespace that any of the matches
// selects, with a reset to both ends, and returns how many they were.
func Cut(ctx context.Context, nsFD int, matches []Match) (int, error) {
	return 0, errors.New("not written yet")
}
