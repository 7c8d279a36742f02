// SPDX-License-Identifier: Apache-2.0

package trail

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

const account, other = "111122223333", "444455556666"

// read gives the lines of an account from a position on, the newest first, at most so many.
func read(t testing.TB, tr *Trail, account string, from Position, limit int) (lines []string, next Position) {
	t.Helper()
	if err := tr.Backwards(context.Background(), account, from, time.Time{}, func(at Position, line []byte) bool {
		lines, next = append(lines, string(line)), at
		return len(lines) < limit
	}); err != nil {
		t.Fatal(err)
	}
	return lines, next
}

func TestLinesAreKeptByAccount(t *testing.T) {
	tr := Open(filepath.Join(t.TempDir(), "audit"), DefaultLimits())
	for _, line := range []string{"one", "two", "three"} {
		if err := errors.Join(tr.Append(account, []byte(line+"\n")), tr.Append(other, []byte("of another\n"))); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"", "../../etc", "root"} {
		if err := tr.Append(name, []byte("of "+name+"\n")); err != nil {
			t.Fatal(err)
		}
	}
	if got, _ := read(t, tr, account, Position{}, 10); !slices.Equal(got, []string{"three", "two", "one"}) {
		t.Errorf("the account has %q", got)
	}
	if got, _ := read(t, tr, "", Position{}, 10); !slices.Equal(got, []string{"of root", "of ../../etc", "of "}) {
		t.Errorf("nobody has %q", got)
	}
	if got, _ := read(t, tr, "777788889999", Position{}, 10); got != nil {
		t.Errorf("an account without lines has %q", got)
	}
	entries, err := os.ReadDir(tr.dir)
	if err != nil || len(entries) != 3 {
		t.Errorf("there are %v, %v", entries, err)
	}
	info, err := os.Stat(tr.of(account).path(1))
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("others may read the file: %v, %v", info, err)
	}
}

// TestModel draws lines, sizes, restarts and pages, and compares with a list.
func TestModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir := t.TempDir()
		limits := Limits{FileSize: rapid.Int64Range(1, 200).Draw(rt, "size"), Files: rapid.IntRange(1, 4).Draw(rt, "files")}
		tr := Open(dir, limits)
		var all []string
		for i := range rapid.IntRange(0, 40).Draw(rt, "lines") {
			line := fmt.Sprintf("%d%s", i, strings.Repeat("x", rapid.IntRange(0, 60).Draw(rt, "length")))
			if err := tr.Append(account, []byte(line+"\n")); err != nil {
				rt.Fatal(err)
			}
			all = append(all, line)
			if rapid.IntRange(0, 9).Draw(rt, "restart") == 0 {
				tr = Open(dir, limits)
			}
		}
		slices.Reverse(all)
		var got []string
		at, page := Position{}, rapid.IntRange(1, 5).Draw(rt, "page")
		for {
			lines, next := read(t, tr, account, at, page)
			got, at = append(got, lines...), next
			if len(lines) < page {
				break
			}
		}
		if len(got) > len(all) || !slices.Equal(got, all[:len(got)]) {
			rt.Fatalf("kept %q of %q", got, all)
		}
		numbers, err := tr.of(account).numbers()
		if err != nil || len(numbers) > limits.Files {
			rt.Fatalf("%d files, %v", len(numbers), err)
		}
		if len(numbers) < limits.Files && len(got) != len(all) {
			rt.Fatalf("kept %d of %d lines in %d files of %d", len(got), len(all), len(numbers), limits.Files)
		}
	})
}

func TestManyWriteAtATime(t *testing.T) {
	tr := Open(t.TempDir(), Limits{FileSize: 1 << 20, Files: 100})
	const writers, lines = 16, 200
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range lines {
				line := fmt.Sprintf("%d %d", w, i)
				if err := tr.Append(account, []byte(line+"\n")); err != nil {
					t.Error(err)
				}
				// It is there when Append has returned.
				if i == lines-1 {
					if got, _ := read(t, tr, account, Position{}, writers*lines); !slices.Contains(got, line) {
						t.Errorf("%q is not there", line)
					}
				}
			}
		})
	}
	wg.Wait()
	got, _ := read(t, tr, account, Position{}, 1<<20)
	next := make([]int, writers)
	for _, line := range slices.Backward(got) {
		var w, i int
		if _, err := fmt.Sscanf(line, "%d %d", &w, &i); err != nil || next[w] != i {
			t.Fatalf("line %q, want the one of number %d: %v", line, next[w], err)
		}
		next[w]++
	}
	if len(got) != writers*lines {
		t.Errorf("%d lines of %d", len(got), writers*lines)
	}
}

// TestLinesCutShortGo is a kill in the middle of a write, or of the machine.
func TestLinesCutShortGo(t *testing.T) {
	for name, end := range map[string]string{"a part of a line": `{"event`, "zeros": string(make([]byte, 5000)), "nothing": ""} {
		dir := t.TempDir()
		before := Open(dir, DefaultLimits())
		if err := before.Append(account, []byte("whole\n")); err != nil {
			t.Fatal(err)
		}
		path := before.of(account).path(1)
		f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString(end); err != nil {
			t.Fatal(err)
		}
		f.Close()
		after := Open(dir, DefaultLimits())
		if got, _ := read(t, after, account, Position{}, 10); !slices.Equal(got, []string{"whole"}) {
			t.Errorf("%s: read %q", name, got)
		}
		if err := after.Append(account, []byte("next\n")); err != nil {
			t.Fatal(err)
		}
		if text, err := os.ReadFile(path); err != nil || string(text) != "whole\nnext\n" {
			t.Errorf("%s: the file holds %q, %v", name, text, err)
		}
	}
}

// TestAFullDiskIsSaid has a file system of a few pages.
func TestAFullDiskIsSaid(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		if os.Getenv("CI") != "" && os.Getuid() == 0 {
			t.Fatal(err)
		}
		t.Skipf("cannot mount: %v", err)
	}
	defer unix.Unmount(dir, 0)
	tr := Open(dir, Limits{FileSize: 1 << 20, Files: 3})
	defer tr.Close()
	line := append(bytes.Repeat([]byte("x"), 9000), '\n')
	written, failed := 0, 0
	for range 20 {
		if err := tr.Append(account, line); err == nil {
			written++
		} else if failed++; !errors.Is(err, unix.ENOSPC) {
			t.Fatal(err)
		}
	}
	reason, lost := tr.Problem()
	if failed == 0 || lost != int64(failed) || !strings.Contains(reason, "no space left") {
		t.Errorf("%d failed, %d lost, problem %q", failed, lost, reason)
	}
	if got, _ := read(t, tr, account, Position{}, 100); len(got) != written {
		t.Errorf("%d lines of %d are there", len(got), written)
	}
	if err := os.Remove(tr.of(account).path(1)); err != nil { // an operator makes room
		t.Fatal(err)
	}
	if err := tr.Append(account, line); err != nil {
		t.Fatal(err)
	}
	if reason, lost := tr.Problem(); reason != "" || lost != int64(failed) {
		t.Errorf("with room again: %q, %d lost", reason, lost)
	}
}

// TestFilesOfManyAreOpenAtATime has more accounts than files are kept open.
func TestFilesOfManyAreOpenAtATime(t *testing.T) {
	tr := Open(t.TempDir(), DefaultLimits())
	const accounts = keptOpen + 150
	var wg sync.WaitGroup
	for i := range accounts {
		wg.Go(func() {
			for j := range 3 {
				if err := tr.Append(fmt.Sprintf("%012d", i), fmt.Appendf(nil, "%d\n", j)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	open := 0
	for i := range accounts {
		account := fmt.Sprintf("%012d", i)
		if got, _ := read(t, tr, account, Position{}, 10); !slices.Equal(got, []string{"2", "1", "0"}) {
			t.Errorf("%s has %q", account, got)
		}
		if tr.of(account).end.file != nil {
			open++
		}
	}
	// Those that were being written at once may be too many for a while.
	if err := tr.Append(account, []byte("one more\n")); err != nil {
		t.Fatal(err)
	}
	if n := len(tr.kept.open); n > keptOpen {
		t.Errorf("%d files are kept open, %d before the last one, want %d at most", n, open, keptOpen)
	}
	if err := tr.Close(); err != nil {
		t.Fatal(err)
	}
	if err := tr.Append(account, []byte("after\n")); err != nil {
		t.Fatal(err)
	}
	if got, _ := read(t, tr, account, Position{}, 10); !slices.Equal(got, []string{"after", "one more"}) {
		t.Errorf("after closing: %q", got)
	}
}

// TestWhatWasMovedAwayIsBegunAgain: an operator may move a file or a folder at any time.
func TestWhatWasMovedAwayIsBegunAgain(t *testing.T) {
	for name, of := range map[string]func(*Trail) string{
		"the file":                 func(tr *Trail) string { return tr.of(account).path(1) },
		"the folder of an account": func(tr *Trail) string { return tr.of(account).dir },
		"all of it":                func(tr *Trail) string { return tr.dir },
	} {
		tr := Open(filepath.Join(t.TempDir(), "audit"), DefaultLimits())
		if err := tr.Append(account, []byte("first\n")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(of(tr), filepath.Join(t.TempDir(), "moved")); err != nil {
			t.Fatal(err)
		}
		s := tr.of(account)
		s.end.looked = s.end.looked.Add(-lookEvery)
		if err := tr.Append(account, []byte("second\n")); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got, _ := read(t, tr, account, Position{}, 10); !slices.Equal(got, []string{"second"}) {
			t.Errorf("%s: read %q", name, got)
		}
	}
}

func TestFilesBeforeATimeAreNotRead(t *testing.T) {
	tr := Open(t.TempDir(), Limits{FileSize: 1, Files: 10})
	for _, line := range []string{"old", "new"} {
		if err := tr.Append(account, []byte(line+"\n")); err != nil {
			t.Fatal(err)
		}
	}
	past := time.Now().Add(-time.Hour)
	if err := os.Chtimes(tr.of(account).path(1), past, past); err != nil {
		t.Fatal(err)
	}
	var got []string
	if err := tr.Backwards(t.Context(), account, Position{}, past.Add(time.Minute), func(_ Position, line []byte) bool {
		got = append(got, string(line))
		return true
	}); err != nil || !slices.Equal(got, []string{"new"}) {
		t.Errorf("read %q, %v", got, err)
	}
}

// TestPositionsThatAreNone are those that a client made up.
func TestPositionsThatAreNone(t *testing.T) {
	tr := Open(t.TempDir(), DefaultLimits())
	if err := tr.Append(account, []byte("a line\nanother\n")); err != nil {
		t.Fatal(err)
	}
	for _, at := range []Position{{1, 3}, {1, 1000}, {1, -5}, {7, 0}, {-1, 7}, {1, 0}} {
		if got, _ := read(t, tr, account, at, 10); got != nil {
			t.Errorf("%v: read %q", at, got)
		}
	}
	if got, _ := read(t, tr, account, Position{1, 7}, 10); !slices.Equal(got, []string{"a line"}) {
		t.Errorf("read %q", got)
	}
}

func BenchmarkAppend(b *testing.B) {
	tr := Open(b.TempDir(), DefaultLimits())
	line := append(bytes.Repeat([]byte("x"), 1000), '\n')
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := tr.Append(account, line); err != nil {
				b.Error(err)
			}
		}
	})
}
