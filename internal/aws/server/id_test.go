// SPDX-License-Identifier: Apache-2.0

package server

import (
	"testing"

	"github.com/google/uuid"
)

// TestRequestIDsAreRandomUUIDs: version and variant of RFC 9562, and no two equal.
func TestRequestIDsAreRandomUUIDs(t *testing.T) {
	seen := make(map[string]bool)
	for range 1000 {
		id := newRequestID()
		if parsed, err := uuid.Parse(id); err != nil || parsed.Version() != 4 || parsed.Variant() != uuid.RFC4122 || seen[id] {
			t.Fatalf("id %s: %v, seen before: %v", id, err, seen[id])
		}
		seen[id] = true
	}
}
