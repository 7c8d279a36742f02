// SPDX-License-Identifier: Apache-2.0

package seal_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/posternhq/postern/internal/seal"
)

var made = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func newRing(t testing.TB) *seal.Ring {
	t.Helper()
	r, err := seal.New(made)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func renewed(t testing.TB, r *seal.Ring, now time.Time) *seal.Ring {
	t.Helper()
	next, err := r.Renewed(now)
	if err != nil {
		t.Fatal(err)
	}
	return next
}

// What is sealed is opened for the same purpose and binding only, by the same ring and
// by later ones, and nothing that was altered in a single bit is.
func TestOnlyWhatWasSealedIsOpened(t *testing.T) {
	ring := newRing(t)
	later := renewed(t, ring, made.Add(time.Hour))
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.SliceOf(rapid.Byte()).Draw(t, "text")
		bound := rapid.String().Draw(t, "bound to")
		purpose := rapid.SampledFrom([]seal.Purpose{seal.AccessKey, seal.SessionToken, seal.Refusal, seal.AuthorityKey, seal.DatabasePassword}).Draw(t, "purpose")
		sealed := ring.Seal(purpose, text, bound)
		if len(sealed) != len(text)+ring.Overhead() {
			t.Fatalf("%d bytes became %d, with an overhead of %d", len(text), len(sealed), ring.Overhead())
		}
		for _, r := range []*seal.Ring{ring, later} {
			if got, err := r.Open(purpose, sealed, bound); err != nil || !bytes.Equal(got, text) {
				t.Fatalf("opened %q, %v, want %q", got, err, text)
			}
			if _, err := r.Open(purpose%5+1, sealed, bound); !errors.Is(err, seal.ErrBroken) {
				t.Fatalf("opened for another purpose: %v", err)
			}
			if _, err := r.Open(purpose, sealed, bound+"x"); !errors.Is(err, seal.ErrBroken) {
				t.Fatalf("opened with another binding: %v", err)
			}
		}
		at := rapid.IntRange(0, len(sealed)*8-1).Draw(t, "bit")
		altered := slices.Clone(sealed)
		altered[at/8] ^= 1 << (at % 8)
		if _, err := ring.Open(purpose, altered, bound); !errors.Is(err, seal.ErrBroken) && !errors.Is(err, seal.ErrUnknownKey) {
			t.Fatalf("opened with bit %d altered: %v", at, err)
		}
		cut := sealed[:rapid.IntRange(0, len(sealed)-1).Draw(t, "cut")]
		if _, err := ring.Open(purpose, cut, bound); !errors.Is(err, seal.ErrBroken) {
			t.Fatalf("opened what was cut: %v", err)
		}
	})
}

func TestTheSameIsNeverSealedAlike(t *testing.T) {
	ring := newRing(t)
	if a, b := ring.Seal(seal.AccessKey, []byte("secret"), "AKIA"), ring.Seal(seal.AccessKey, []byte("secret"), "AKIA"); bytes.Equal(a, b) {
		t.Error("two seals of a text are the same")
	}
}

// The newest key seals, former ones open as long as they are kept, and rings that have
// other keys open nothing.
func TestGenerations(t *testing.T) {
	first := newRing(t)
	old := first.Seal(seal.AccessKey, []byte("a"), "")
	second := renewed(t, first, made.Add(time.Hour))
	fresh := second.Seal(seal.AccessKey, []byte("b"), "")
	if _, err := first.Open(seal.AccessKey, fresh, ""); !errors.Is(err, seal.ErrUnknownKey) {
		t.Errorf("the former ring opens what the new key sealed: %v", err)
	}
	if _, err := second.Open(seal.AccessKey, old, ""); err != nil {
		t.Errorf("the former key is gone: %v", err)
	}
	var asked []time.Time
	third := second.Without(func(_ uint32, superseded time.Time) bool {
		asked = append(asked, superseded)
		return false
	})
	if !slices.EqualFunc(asked, []time.Time{made.Add(time.Hour)}, time.Time.Equal) {
		t.Errorf("asked about keys that were superseded at %v", asked)
	}
	if _, err := third.Open(seal.AccessKey, old, ""); !errors.Is(err, seal.ErrUnknownKey) {
		t.Errorf("a key that was taken away opens: %v", err)
	}
	if _, err := third.Open(seal.AccessKey, fresh, ""); err != nil {
		t.Errorf("the newest key was taken away: %v", err)
	}
	if _, err := newRing(t).Open(seal.AccessKey, fresh, ""); !errors.Is(err, seal.ErrUnknownKey) {
		t.Errorf("another ring opens: %v", err)
	}
}

func TestClockSetBackMakesTheNewestKeyAllTheSame(t *testing.T) {
	ring := renewed(t, newRing(t), made.Add(-time.Hour))
	again, err := seal.Parse(ring.Text())
	if err != nil || again.Newest() != ring.Newest() {
		t.Errorf("the newest key is %08x after reading, %v, want %08x", again.Newest(), err, ring.Newest())
	}
}

func TestTextsOfTwoRingsAreOne(t *testing.T) {
	lost, found := newRing(t), renewed(t, newRing(t), made.Add(time.Hour))
	a, b := lost.Seal(seal.AccessKey, []byte("a"), ""), found.Seal(seal.AccessKey, []byte("b"), "")
	both, err := seal.Parse(slices.Concat(found.Text(), lost.Text(), found.Text()))
	if err != nil {
		t.Fatal(err)
	}
	for _, sealed := range [][]byte{a, b} {
		if _, err := both.Open(seal.AccessKey, sealed, ""); err != nil {
			t.Error(err)
		}
	}
	if both.Newest() != found.Newest() {
		t.Error("not the newest key seals")
	}
}

func TestBadTextsAreRefused(t *testing.T) {
	line := strings.TrimSpace(string(newRing(t).Text()[bytes.LastIndexByte(bytes.TrimSpace(newRing(t).Text()), '\n'):]))
	key := strings.Fields(line)[2]
	for text, want := range map[string]string{
		"":                                    "there is no key",
		"# only a word":                       "there is no key",
		"\n\nx":                               "line 3: it has 1 words",
		"12 " + key:                           "it has 2 words",
		"xyz 2026 " + key:                     "eight hexadecimal digits",
		"0000001 2026-11-23T12:00:00Z " + key: "eight hexadecimal digits",
		"00000001 yesterday " + key:           "RFC 3339",
		"00000001 2026-11-23T12:00:00Z " + key[:20]:                                               "32 bytes",
		"00000001 2026-11-23T12:00:00Z !" + key[1:]:                                               "32 bytes",
		"00000001 2026-11-23T12:00:00Z " + key + "\n00000001 2026-11-23T12:00:00Z AAAA" + key[4:]: "two keys with the id 00000001",
	} {
		_, err := seal.Parse([]byte(text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
		if err != nil && strings.Contains(err.Error(), key) {
			t.Errorf("the error has a key: %v", err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(newRing(f).Text())
	f.Add([]byte("00000001 2026-11-23T12:00:00Z AAAA"))
	f.Fuzz(func(t *testing.T, text []byte) {
		ring, err := seal.Parse(text)
		if err != nil {
			return
		}
		again, err := seal.Parse(ring.Text())
		if err != nil || !bytes.Equal(again.Text(), ring.Text()) {
			t.Fatalf("read again: %v\n%s\nwant\n%s", err, again.Text(), ring.Text())
		}
	})
}

func FuzzOpen(f *testing.F) {
	ring := newRing(f)
	f.Add([]byte(nil))
	f.Add(ring.Seal(seal.SessionToken, []byte("x"), "other"))
	f.Fuzz(func(t *testing.T, sealed []byte) {
		if text, err := ring.Open(seal.SessionToken, sealed, ""); err == nil {
			t.Fatalf("opened %q", text)
		}
	})
}

func BenchmarkOpen(b *testing.B) {
	ring := newRing(b)
	sealed := ring.Seal(seal.AccessKey, make([]byte, 40), "AKIAIOSFODNN7EXAMPLE")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ring.Open(seal.AccessKey, sealed, "AKIAIOSFODNN7EXAMPLE"); err != nil {
			b.Fatal(err)
		}
	}
}
