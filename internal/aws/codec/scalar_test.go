// SPDX-License-Identifier: Apache-2.0

package codec

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/posternhq/postern/internal/aws/schema"
)

// TestTimesAreWrittenAsTheLibraryWritesThem holds the short way against the long one.
func TestTimesAreWrittenAsTheLibraryWritesThem(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := time.Unix(rapid.Int64Range(-1<<37, 1<<38).Draw(t, "seconds"), rapid.Int64Range(0, 1e9-1).Draw(t, "nanoseconds"))
		if got, want := FormatTime(at, schema.ISO8601), at.UTC().Format(isoMillis); got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
	})
}
