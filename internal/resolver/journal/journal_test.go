// SPDX-License-Identifier: Apache-2.0

package journal_test

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/posternhq/postern/internal/resolver/journal"
)

// replayed is what a journal at a path has, as sorted lines, and what it says of it.
func replayed(path, instance string) (string, error) {
	state := map[string]bool{}
	err := journal.At(path, instance).Replay(
		func(r string) error { state[r] = true; return nil },
		func(k string) error { delete(state, k); return nil })
	return strings.Join(slices.Sorted(maps.Keys(state)), " "), err
}

// TestEveryCutIsAWholeState writes changes and cuts the file at every byte: what is read
// is always the state after one of the changes, and never after a later one than what is
// there.
func TestEveryCutIsAWholeState(t *testing.T) {
	path := filepath.Join(t.TempDir(), "names.txt")
	j := journal.At(path, "abc")
	if err := j.Replace(slices.Values([]string{"a", "b"})); err != nil {
		t.Fatal(err)
	}
	states, ends := []string{"a b"}, []int64{}
	size := func() int64 {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	ends = append(ends, size())
	for _, c := range []struct {
		put, del []string
		want     string
	}{{[]string{"c"}, []string{"a"}, "b c"}, {nil, []string{"b"}, "c"}, {[]string{"d", "e"}, nil, "c d e"}} {
		if err := j.Note(c.put, c.del); err != nil {
			t.Fatal(err)
		}
		states, ends = append(states, c.want), append(ends, size())
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for n := range len(text) + 1 {
		if err := os.WriteFile(path, text[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		want := ""
		for i, end := range ends {
			if int64(n) >= end {
				want = states[i]
			}
		}
		got, err := replayed(path, "abc")
		if got != want || (err == nil) != (n > 0 && slices.Contains(ends, int64(n)) || string(text[:n]) == "# postern names 1 instance=\"abc\"\n") {
			t.Fatalf("cut at %d of %d: %q, %v; want %q", n, len(text), got, err, want)
		}
	}
	if got, err := replayed(path, "other"); got != "" || err == nil {
		t.Errorf("for another instance: %q, %v", got, err)
	}
}

// TestDamageEndsWhatIsRead changes a byte of the second change.
func TestDamageEndsWhatIsRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "names.txt")
	j := journal.At(path, "abc")
	err := errors.Join(j.Replace(slices.Values([]string{"a"})), j.Note([]string{"bbb"}, nil), j.Note([]string{"c"}, nil))
	if err != nil {
		t.Fatal(err)
	}
	text, _ := os.ReadFile(path)
	if err := os.WriteFile(path, []byte(strings.Replace(string(text), "bbb", "bxb", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := replayed(path, "abc"); got != "a" || err == nil {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestGrowthAndLossMakeItDue(t *testing.T) {
	path := filepath.Join(t.TempDir(), "names.txt")
	j := journal.At(path, "abc")
	if !j.Due() {
		t.Error("one that was never written is not due")
	}
	if err := j.Replace(slices.Values([]string{"a"})); err != nil || j.Due() {
		t.Fatalf("after it was written: due %v, %v", j.Due(), err)
	}
	for i := 0; !j.Due(); i++ {
		if i > 1000 {
			t.Fatal("it grows without being due")
		}
		if err := j.Note([]string{strings.Repeat(fmt.Sprint(i%10), 1000)}, nil); err != nil {
			t.Fatal(err)
		}
	}
	for what, spoil := range map[string]func() error{
		"removed": func() error { return os.Remove(path) },
		"cut":     func() error { return os.Truncate(path, 3) },
		"longer": func() error {
			f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
			if err == nil {
				_, err = f.WriteString("x")
			}
			return err
		},
	} {
		if err := errors.Join(j.Replace(slices.Values([]string{"a"})), spoil()); err != nil {
			t.Fatal(err)
		}
		if !j.Due() {
			t.Errorf("one that others have %s is not due", what)
		}
	}
	if err := j.Replace(slices.Values([]string{"b"})); err != nil {
		t.Fatal(err)
	}
	if got, err := replayed(path, "abc"); got != "b" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

// TestWhatIsThereStaysWhenNoneCanBeWritten has no room for another journal: the one that was
// read, or written, goes on being added to, unless it was spoiled.
func TestWhatIsThereStaysWhenNoneCanBeWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "names.txt")
	first := journal.At(path, "abc")
	if err := errors.Join(first.Replace(slices.Values([]string{"a", "b"})), first.Note([]string{"c"}, nil)); err != nil {
		t.Fatal(err)
	}
	first.Close()
	fail := func(j *journal.Journal) {
		t.Helper()
		if err := j.Replace(func(func(string) bool) { os.Remove(path + ".new") }); err == nil {
			t.Fatal("a journal that was removed while it was written is there")
		}
	}
	is := func(want string) {
		t.Helper()
		if got, err := replayed(path, "abc"); got != want || err != nil {
			t.Errorf("%q, %v; want %q", got, err, want)
		}
	}
	nothing := func(string) error { return nil }
	j := journal.At(path, "abc")
	if err := j.Replay(nothing, nothing); err != nil {
		t.Fatal(err)
	}
	fail(j)
	is("a b c")
	if err := j.Note([]string{"d"}, []string{"a"}); err != nil || !j.Current() {
		t.Errorf("it is not added to: %v", err)
	}
	is("b c d")
	fail(j)
	is("b c d")
	if err := os.Truncate(path, 40); err != nil {
		t.Fatal(err)
	}
	fail(j)
	if j.Current() {
		t.Error("a spoiled one is taken for current")
	}
	is("")
}
