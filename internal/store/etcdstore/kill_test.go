// SPDX-License-Identifier: Apache-2.0

package etcdstore_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/posternhq/postern/internal/store"
	"github.com/posternhq/postern/internal/store/etcdstore"
	"github.com/posternhq/postern/internal/table"
)

// folderVariable makes the test binary a process that writes to a data folder.
const folderVariable = "POSTERN_TEST_WRITE_FOLDER"

// writeForever counts up in an embedded server, and says each number when it is
// committed.
func writeForever(dir string) {
	ctx := context.Background()
	s, err := etcdstore.StartEmbedded(ctx, dir, etcdstore.Options{})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	kv, _, err := s.Get(ctx, "/number")
	number, _ := strconv.Atoi(string(kv.Value))
	for err == nil {
		number++
		value := []byte(strconv.Itoa(number))
		if _, _, err = s.Commit(ctx, store.Txn{Put: []store.KeyValue{{Key: "/number", Value: value}}}); err == nil {
			_, err = fmt.Println(number)
		}
	}
	os.Exit(1)
}

// writer is the process that runs writeForever.
type writer struct {
	*exec.Cmd
	lines *bufio.Scanner
	last  int // number that it said
}

func startWriter(t *testing.T, dir string) *writer {
	t.Helper()
	return startWriterOf(t, folderVariable, dir)
}

// startWriterOf starts the process that a variable asks for.
func startWriterOf(t *testing.T, variable, dir string) *writer {
	t.Helper()
	w := &writer{Cmd: exec.Command(os.Args[0])}
	w.Env = append(os.Environ(), variable+"="+dir)
	output, err := w.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	w.lines = bufio.NewScanner(output)
	if err := w.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Process.Kill() })
	return w
}

// next returns the next number that was committed; zero at the end.
func (w *writer) next(t *testing.T) int {
	t.Helper()
	if !w.lines.Scan() {
		return 0
	}
	number, err := strconv.Atoi(w.lines.Text())
	if err != nil {
		t.Fatalf("the writing process said %q", w.lines.Text())
	}
	w.last = number
	return number
}

// kill ends the process as kill -9 does, and reads what it had said before.
func (w *writer) kill(t *testing.T) {
	t.Helper()
	if err := w.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for w.next(t) != 0 {
	}
	_ = w.Wait()
}

// TestKilledProcessLosesNothing kills a process in the middle of its writes,
// again and again on the same folder: what it said is there, and the folder is free.
func TestKilledProcessLosesNothing(t *testing.T) {
	dir := t.TempDir()
	for round := range 3 {
		w := startWriter(t, dir)
		for range 100 * (round + 1) {
			if w.next(t) == 0 {
				t.Fatal("the writing process ended")
			}
		}
		w.kill(t)
		s := startEmbedded(t, dir)
		kv, _, err := s.Get(t.Context(), "/number")
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := strconv.Atoi(string(kv.Value)); got < w.last || got > w.last+1 {
			t.Errorf("after a kill the number is %d; %d was committed", got, w.last)
		}
		closeStore(t, s)
	}
}

func TestFolderInUse(t *testing.T) {
	dir := t.TempDir()
	w := startWriter(t, dir)
	if w.next(t) == 0 {
		t.Fatal("the writing process ended")
	}
	_, err := etcdstore.StartEmbedded(t.Context(), dir, etcdstore.Options{})
	want := fmt.Sprintf("data folder %s is in use by process %d", dir, w.Process.Pid)
	if !errors.Is(err, etcdstore.ErrInUse) || !strings.Contains(err.Error(), want) {
		t.Errorf("error is %v, want one with %q", err, want)
	}
	w.kill(t)
}

// pairsVariable makes the test binary a process that runs many Updates at once.
const pairsVariable = "POSTERN_TEST_PAIRS_FOLDER"

const pairWriters = 8

// writePairs lets writers count up together, each in two rows, and says what was
// committed as writer and number.
func writePairs(dir string) {
	ctx := context.Background()
	s, err := etcdstore.StartEmbedded(ctx, dir, etcdstore.Options{})
	var db *table.DB
	if err == nil {
		db, err = table.Open(ctx, s, slog.New(slog.DiscardHandler), benchTable)
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	var group sync.WaitGroup
	for w := range pairWriters {
		group.Go(func() {
			for number := 1; ; number++ {
				_, err := db.Update(ctx, func(tx *table.Txn) error {
					for _, side := range []string{"left", "right"} {
						benchTable.Put(tx, &row{ID: fmt.Sprint(side, w), VPC: fmt.Sprint(number % 3), N: number})
					}
					return nil
				})
				if err != nil {
					os.Exit(1)
				}
				fmt.Println(w*1_000_000 + number)
			}
		})
	}
	group.Wait()
}

// TestKilledProcessHasWholeUpdates kills a process whose updates share commits:
// of each, both rows are there or none, and all that was acknowledged.
func TestKilledProcessHasWholeUpdates(t *testing.T) {
	for range 3 {
		dir := t.TempDir()
		w := startWriterOf(t, pairsVariable, dir)
		said := make(map[int]int)
		for range 400 {
			n := w.next(t)
			if n == 0 {
				t.Fatal("the writing process ended")
			}
			said[n/1_000_000] = n % 1_000_000
		}
		w.kill(t)
		s := startEmbedded(t, dir)
		db, err := table.Open(t.Context(), s, slog.New(slog.DiscardHandler), benchTable)
		if err != nil {
			t.Fatal(err)
		}
		number := make(map[string]int)
		for row := range benchTable.All(db.Snapshot()) {
			number[row.ID] = row.N
		}
		db.Close()
		closeStore(t, s)
		for writer, last := range said {
			left, right := number[fmt.Sprint("left", writer)], number[fmt.Sprint("right", writer)]
			if left != right || left < last {
				t.Errorf("writer %d has %d and %d; %d was committed", writer, left, right, last)
			}
		}
	}
}
