// SPDX-License-Identifier: Apache-2.0

package table

import (
	"strings"
	"testing"
)

// FuzzKey checks that keys of any parts are well formed, and tell them apart.
func FuzzKey(f *testing.F) {
	f.Add("1", "r", "id")
	f.Add("", "-", "%2D")
	f.Add("a/b", "%", "\xff")
	f.Fuzz(func(t *testing.T, account, region, id string) {
		key := Key{Kind: "k", Account: account, Region: region, ID: id}
		kind, path, err := parseRowKey(strings.TrimPrefix(rowKey(key.Kind, key.path()), rowPrefix))
		if err != nil || kind != "k" || path != key.path() {
			t.Fatalf("%+v: parsed %q %q %v", key, kind, path, err)
		}
		parts := strings.Split(path, "/")
		for i, want := range []string{account, region, id} {
			if got, err := unescape(parts[i]); got != want || err != nil {
				t.Errorf("part %d of %+v is %q, %v", i, key, got, err)
			}
		}
		guard := guardKey("k", "i", account)
		kind, index, value, err := parseGuardKey(strings.TrimPrefix(guard, rangePrefix))
		if err != nil || kind != "k" || index != "i" || value != account {
			t.Errorf("guard %q: parsed %q %q %q %v", guard, kind, index, value, err)
		}
	})
}

// FuzzParseKeys feeds the parsers of keys with what may stand in a store.
func FuzzParseKeys(f *testing.F) {
	for _, seed := range []string{"", "item/a/b/c", "item/g/v", "a/b/%zz", "////"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, rest string) {
		if kind, path, err := parseRowKey(rest); err == nil && kind+"/"+path != rest {
			t.Errorf("row key %q: parsed %q %q", rest, kind, path)
		}
		if _, _, value, err := parseGuardKey(rest); err == nil {
			if again, err := unescape(escape(value)); again != value || err != nil {
				t.Errorf("guard key %q: value %q, again %q, %v", rest, value, again, err)
			}
		}
	})
}
