// SPDX-License-Identifier: Apache-2.0

package sigv4

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// TestHeadersAreFoundAsNetHTTPNamesThem: of the names that a signature can have, also those
// that no header has.
func TestHeadersAreFoundAsNetHTTPNamesThem(t *testing.T) {
	names := []string{
		"host", "x-amz-date", "x-amz-content-sha256", "content-type", "a", "-", "--x", "x-", "x-1a-b", "x_y", "a b", "é", "x-amz-ſ", "x!y", "",
		strings.Repeat("x", 31), strings.Repeat("x", 32), strings.Repeat("x", 33), strings.Repeat("x-", 40),
	}
	header := http.Header{}
	for _, name := range names {
		header[http.CanonicalHeaderKey(name)] = []string{name}
	}
	for _, name := range names {
		if got, want := valuesOf(header, name), header[http.CanonicalHeaderKey(name)]; !slices.Equal(got, want) {
			t.Errorf("%q: found %q, want %q", name, got, want)
		}
		if got := valuesOf(http.Header{"Other": {"value"}}, name); got != nil {
			t.Errorf("%q: found %q where it is not", name, got)
		}
		canonical := http.CanonicalHeaderKey(name)
		for _, list := range []string{"a;host", "x-amz-date", "a;x-amz-ſ", name, "a;" + name + ";z"} {
			s := Signature{signedHeaders: list}
			if got, want := s.signsCanonical(canonical), s.signs(strings.ToLower(canonical)); got != want {
				t.Errorf("%q signs %q: %v, want %v", list, canonical, got, want)
			}
		}
	}
}
