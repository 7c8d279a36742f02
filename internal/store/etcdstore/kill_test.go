// SPDX-License-Identifier: Apache-2.0

package etcdstore_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/posternhq/postern/internal/store"
	"github.com/posternhq/postern/internal/store/etcdstore"
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
	w := &writer{Cmd: exec.Command(os.Args[0])}
	w.Env = append(os.Environ(), folderVariable+"="+dir)
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
