// SPDX-License-Identifier: Apache-2.0

package table

import (
	"fmt"
	"net/url"
	"strings"
)

// The keys of the tables in the store. Everything below prefix belongs to this
// package; other users of the same store keep out of it.
const (
	prefix      = "/postern/v1/"
	rowPrefix   = prefix + "row/"
	rangePrefix = prefix + "range/"
	// headKey is put by every commit that changes anything, so its revision is
	// that of the newest state, whatever else changes in the store.
	headKey = prefix + "head"
)

// Key names a row: its kind (which table), the account and the region it
// belongs to, and its identifier. Account and Region may be empty for what
// belongs to none.
type Key struct {
	Kind, Account, Region, ID string
}

// String returns the key as it appears in the store, without the prefix:
// kind/account/region/id. An empty part prints as "-".
func (k Key) String() string {
	return escape(k.Kind) + "/" + k.path()
}

// path is the part of the key below its kind. Tables are ordered by it.
func (k Key) path() string {
	return rowPath(k.Account, k.Region, k.ID)
}

// is reports whether the path is that of the key.
func (k Key) is(path string) bool {
	for _, part := range []string{k.Account, k.Region} {
		rest, ok := strings.CutPrefix(path, escape(part))
		if !ok || rest == "" || rest[0] != '/' {
			return false
		}
		path = rest[1:]
	}
	return path == escape(k.ID)
}

func rowPath(account, region, id string) string {
	var room pathRoom
	return string(appendRowPath(room[:0], account, region, id))
}

// pathRoom is room for the paths of nearly all rows.
type pathRoom [96]byte

func appendRowPath(b []byte, account, region, id string) []byte {
	b = append(append(b, escape(account)...), '/')
	b = append(append(b, escape(region)...), '/')
	return append(b, escape(id)...)
}

func scopePath(account, region string) string {
	return escape(account) + "/" + escape(region)
}

func rowKey(kind, path string) string {
	return rowPrefix + kind + "/" + path
}

func guardKey(kind, index, value string) string {
	return rangePrefix + kind + "/" + index + "/" + escape(value)
}

// parseRowKey splits what follows rowPrefix into kind and path.
func parseRowKey(rest string) (kind, path string, err error) {
	kind, path, ok := strings.Cut(rest, "/")
	if !ok || strings.Count(path, "/") != 2 {
		return "", "", fmt.Errorf("malformed row key %q", rowPrefix+rest)
	}
	return kind, path, nil
}

// parseGuardKey splits what follows rangePrefix into kind, index and value.
func parseGuardKey(rest string) (kind, index, value string, err error) {
	parts := strings.Split(rest, "/")
	if len(parts) == 3 {
		if value, err = unescape(parts[2]); err == nil {
			return parts[0], parts[1], value, nil
		}
	}
	return "", "", "", fmt.Errorf("malformed range key %q", rangePrefix+rest)
}

var escaper = strings.NewReplacer("%", "%25", "/", "%2F")

// escape makes s usable as one part of a key: it holds no slash, is never
// empty, and unescape gives s back.
func escape(s string) string {
	switch {
	case s == "":
		return "-"
	case s == "-":
		return "%2D"
	case strings.IndexByte(s, '%') >= 0 || strings.IndexByte(s, '/') >= 0: // there are several for each look-up
		return escaper.Replace(s)
	}
	return s
}

func unescape(s string) (string, error) {
	if s == "-" {
		return "", nil
	}
	return url.PathUnescape(s)
}
