// SPDX-License-Identifier: Apache-2.0

package codec

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/posternhq/postern/internal/aws/schema"
)

func TestLabels(t *testing.T) {
	for _, test := range []struct {
		template, path string
		want           map[string]string // nil: no match
	}{
		{"/a", "/a", map[string]string{}},
		{"/a", "/a/", nil},
		{"/a/", "/a/", map[string]string{}},
		{"/a/{x}", "/a/b", map[string]string{"x": "b"}},
		{"/a/{x}", "/a/", nil},
		{"/a/{x}", "/a", nil},
		{"/a/{x}", "/a/b/c", nil},
		{"/a/{x}", "/a/b%2Fc%25", map[string]string{"x": "b/c%"}},
		{"/a/{x}", "/a/%zz", nil},
		{"/{x}/c/{y}", "/1/c/2", map[string]string{"x": "1", "y": "2"}},
		{"/a/{x+}", "/a/b/c%20d", map[string]string{"x": "b/c d"}},
		{"/a/{x+}", "/a/", nil},
		{"/a?fixed=1", "/a", map[string]string{}},
		{"/%61", "/a", nil},
		{"/a", "/%61", map[string]string{}},
		{"/a", "", nil},
		{"/", "/", map[string]string{}},
	} {
		got, ok := Labels(test.template, test.path)
		if ok != (test.want != nil) {
			t.Errorf("Labels(%q, %q): %v", test.template, test.path, ok)
			continue
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("Labels(%q, %q): -want +got:\n%s", test.template, test.path, diff)
		}
	}
}

func TestExpandPathRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := map[string]string{
			"x": rapid.StringN(1, 10, -1).Draw(t, "x"),
			"y": rapid.StringN(1, 10, -1).Draw(t, "y"),
		}
		path, err := ExpandPath("/a/{x}/b/{y+}", want)
		if err != nil {
			t.Fatal(err)
		}
		got, ok := Labels("/a/{x}/b/{y+}", path)
		if !ok {
			t.Fatalf("path %s does not match its template", path)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("-want +got:\n%s", diff)
		}
	})
}

func TestExpandPathNeedsLabels(t *testing.T) {
	if path, err := ExpandPath("/a/{x}", nil); err == nil {
		t.Errorf("expanded to %q", path)
	}
}

func TestTimes(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.UTC)
	for _, test := range []struct {
		format, text string
		at           time.Time
	}{
		{schema.ISO8601, "2026-01-02T03:04:05.678Z", at},
		{schema.UnixTimestamp, "1767323045.678", at},
		{schema.UnixTimestamp, "1767323045", at.Truncate(time.Second)},
		{schema.RFC822, "Fri, 02 Jan 2026 03:04:05 GMT", at.Truncate(time.Second)},
	} {
		if got := FormatTime(test.at, test.format); got != test.text {
			t.Errorf("FormatTime(%v, %s) = %q, want %q", test.at, test.format, got, test.text)
		}
		got, err := ParseTime(test.text, test.format)
		if err != nil || !got.Equal(test.at) {
			t.Errorf("ParseTime(%q, %s) = %v, %v", test.text, test.format, got, err)
		}
	}
	if got, err := ParseTime("2026-01-02T05:04:05.678+02:00", schema.ISO8601); err != nil || got != at {
		t.Errorf("with an offset: %v, %v", got, err)
	}
	for _, bad := range []string{"", "x", "1e300", "NaN", "0x10", "1_0", "-99999999999999"} {
		if got, err := ParseTime(bad, schema.UnixTimestamp); err == nil {
			t.Errorf("ParseTime(%q) = %v", bad, got)
		}
	}
}
