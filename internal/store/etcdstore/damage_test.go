// SPDX-License-Identifier: Apache-2.0

package etcdstore_test

import (
	"context"
	"fmt"
	"hash/crc32"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/store"
	"github.com/posternhq/postern/internal/store/etcdstore"
)

// readVariable makes the test binary a process that opens a folder, says a
// checksum of all that is there, and closes it: a start of which nothing, no
// panic and no endless wait, can reach the test. keptVariable says that state
// was kept there.
const (
	readVariable = "POSTERN_TEST_READ_FOLDER"
	keptVariable = "POSTERN_TEST_KEPT"
)

// readBound is how long a start may take that ends in one way or the other. It
// is longer than the store's own patience.
const readBound = 3 * time.Minute

func readOnce(dir string) {
	ctx := context.Background()
	s, err := etcdstore.StartEmbedded(ctx, dir, etcdstore.Options{Kept: os.Getenv(keptVariable) != ""})
	if err != nil {
		fmt.Println("refused:", err)
		os.Exit(1)
	}
	keys, _, err := s.Range(ctx, "")
	if err == nil {
		// What can be read can be added to as well.
		_, _, err = s.Commit(ctx, store.Txn{Put: []store.KeyValue{{Key: "/opened"}}})
	}
	sum := crc32.NewIEEE()
	for _, kv := range keys {
		if kv.Key != "/opened" {
			fmt.Fprintf(sum, "%s=%s@%d\n", kv.Key, kv.Value, kv.ModRevision)
		}
	}
	fmt.Printf("holds %x\n", sum.Sum32())
	if err == nil {
		err = s.Close()
	}
	if err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// start opens a folder in a process of its own and returns what that said.
func start(t *testing.T, dir string, kept bool) string {
	t.Helper()
	return startAs(t, dir, kept, os.Args[0])
}

// startAs is start by a command of its own.
func startAs(t *testing.T, dir string, kept bool, command ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), readBound)
	defer cancel()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Env = append(os.Environ(), readVariable+"="+dir)
	if kept {
		cmd.Env = append(cmd.Env, keptVariable+"=1")
	}
	output, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		t.Errorf("a start on %s did not end within %v", dir, readBound)
	}
	if err != nil && !strings.HasPrefix(string(output), "refused:") && !strings.Contains(string(output), "failed:") {
		t.Errorf("a start on %s: %v, with output\n%.2000s", dir, err, output)
	}
	return strings.TrimSpace(string(output))
}

// folderWithData makes a data folder whose store has some hundred keys, some of
// them changed and deleted, and returns what a start on it says.
func folderWithData(t *testing.T) (dir, holds string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "etcd")
	ctx := t.Context()
	s := startEmbedded(t, dir)
	for i := range 300 {
		key := fmt.Sprintf("/key/%d", i%200)
		txn := store.Txn{Put: []store.KeyValue{{Key: key, Value: []byte(strings.Repeat(key, 1+i%60))}}}
		if i%10 == 9 {
			txn = store.Txn{Delete: []string{fmt.Sprintf("/key/%d", i%150)}}
		}
		if _, _, err := s.Commit(ctx, txn); err != nil {
			t.Fatal(err)
		}
	}
	closeStore(t, s)
	return dir, start(t, dir, true)
}

// judge says that a start must either have found everything or have been refused
// in one sentence with a file and a remedy.
func judge(t *testing.T, what, said, holds, dir string) {
	t.Helper()
	if said == holds {
		return
	}
	refused := strings.HasPrefix(said, "refused:") && !strings.Contains(said, "\n")
	if !refused || !strings.Contains(said, dir) || !strings.Contains(said, "Restore all of") || !strings.Contains(said, "postern clean") {
		t.Errorf("%s: the start said %q, want %q or a refusal that names file and remedy", what, said, holds)
	}
}

// filesOf lists the files of a folder, by paths relative to it.
func filesOf(t *testing.T, dir string) (files []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			path, err = filepath.Rel(dir, path)
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// copyFolder copies a data folder and returns the copy of dir in it.
func copyFolder(t *testing.T, dir string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "etcd")
	if output, err := exec.Command("cp", "-r", "--sparse=always", dir, to).CombinedOutput(); err != nil {
		t.Fatalf("copy %s: %v: %s", dir, err, output)
	}
	return to
}

// inUse is how long a file is without the zeroes that it ends in.
func inUse(t *testing.T, path string) int {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return len(strings.TrimRight(string(text), "\x00"))
}

// damages are ways to spoil a file of which size bytes are in use.
var damages = map[string]func(path string, size int, random *rand.Rand) error{
	"gone":  func(path string, _ int, _ *rand.Rand) error { return os.Remove(path) },
	"empty": func(path string, _ int, _ *rand.Rand) error { return os.Truncate(path, 0) },
	"cut": func(path string, size int, random *rand.Rand) error {
		return os.Truncate(path, int64(random.IntN(size+1)))
	},
	"flipped": func(path string, size int, random *rand.Rand) error {
		return change(path, random.IntN(size+1), 1, func(b byte) byte { return b ^ 1<<random.IntN(8) })
	},
	"zeroed": func(path string, size int, random *rand.Rand) error {
		return change(path, random.IntN(size+1), 600, func(byte) byte { return 0 })
	},
	"overwritten": func(path string, size int, random *rand.Rand) error {
		return change(path, random.IntN(size+1)&^4095, 4096, func(byte) byte { return byte(random.Uint32()) })
	},
}

// change changes bytes of a file from an offset on.
func change(path string, at, length int, to func(byte) byte) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	for i := at; i < min(at+length, len(text)); i++ {
		text[i] = to(text[i])
	}
	return os.WriteFile(path, text, 0o600)
}

// TestDamagedFolderIsRefusedInASentence spoils each file of a folder in each
// way, after an orderly stop and after a kill, which leaves no seal.
func TestDamagedFolderIsRefusedInASentence(t *testing.T) {
	dir, holds := folderWithData(t)
	if !strings.HasPrefix(holds, "holds") {
		t.Fatal(holds)
	}
	random := rand.New(rand.NewPCG(1, uint64(time.Now().UnixNano())))
	for _, file := range filesOf(t, dir) {
		for name, spoil := range damages {
			for _, sealed := range []bool{true, false} {
				// A flipped bit in a value of the database is not noticed after a
				// kill; what else flips is, or does no harm.
				if !sealed && (name == "flipped" || name == "overwritten" || name == "zeroed") && filepath.Base(file) == "db" {
					continue
				}
				copied := copyFolder(t, dir)
				if !sealed {
					if err := os.Remove(filepath.Join(copied, "seal")); err != nil {
						t.Fatal(err)
					}
					if file == "seal" {
						continue
					}
				}
				path := filepath.Join(copied, file)
				if err := spoil(path, inUse(t, path), random); err != nil {
					t.Fatal(err)
				}
				what := fmt.Sprintf("%s %s, sealed %v", file, name, sealed)
				said := start(t, copied, true)
				judge(t, what, said, holds, copied)
				advised := strings.Contains(said, "remove "+filepath.Join(copied, "seal"))
				if refused := !strings.HasPrefix(said, "holds"); refused && sealed != advised {
					t.Errorf("%s: %s; the seal is to be named: %v, for whoever went back to an older version", what, said, sealed)
				}
			}
		}
	}
}

// TestALimitIsNotTakenForDamage starts where no file may become as long as etcd makes
// them, and then where it may.
func TestALimitIsNotTakenForDamage(t *testing.T) {
	dir, holds := folderWithData(t)
	said := startAs(t, dir, true, "/bin/sh", "-c", `ulimit -f 100; exec "$0"`, os.Args[0])
	if !strings.HasPrefix(said, "refused:") || !strings.Contains(said, "file too large") || !strings.Contains(said, "nothing is lost") || strings.Contains(said, "rm -r") {
		t.Errorf("the start said %q", said)
	}
	if said := start(t, dir, true); said != holds {
		t.Errorf("without the limit the start said %q, want %q", said, holds)
	}
}

// TestDamagedDatabaseNeverPanics spoils the database of a process that was
// killed. Rows that are wrong cannot be told from others then, but nothing ends
// in a stack or never.
func TestDamagedDatabaseNeverPanics(t *testing.T) {
	dir, holds := folderWithData(t)
	random := rand.New(rand.NewPCG(2, uint64(time.Now().UnixNano())))
	for range 4 {
		for _, name := range []string{"flipped", "overwritten", "zeroed"} {
			copied := copyFolder(t, dir)
			path := filepath.Join(copied, "member", "member", "snap", "db")
			if err := os.Remove(filepath.Join(copied, "seal")); err != nil {
				t.Fatal(err)
			}
			if err := damages[name](path, inUse(t, path), random); err != nil {
				t.Fatal(err)
			}
			if said := start(t, copied, true); !strings.HasPrefix(said, "holds") {
				judge(t, name, said, holds, copied)
			}
		}
	}
}

// TestMissingPartsAreRefused takes away whole folders.
func TestMissingPartsAreRefused(t *testing.T) {
	dir, holds := folderWithData(t)
	for _, part := range []string{"member", "member/member", "member/member/wal", "member/member/snap"} {
		for _, sealed := range []bool{true, false} {
			copied := copyFolder(t, dir)
			if err := os.RemoveAll(filepath.Join(copied, part)); err != nil {
				t.Fatal(err)
			}
			if !sealed {
				if err := os.Remove(filepath.Join(copied, "seal")); err != nil {
					t.Fatal(err)
				}
			}
			said := start(t, copied, true)
			if said == holds {
				t.Errorf("without %s: %s", part, said)
			}
			judge(t, "without "+part, said, holds, copied)
		}
	}
}

// TestFirstStartMayEndAtAnyMoment kills first starts after ever more time. The
// next start works, and so does the one after a kill of that.
func TestFirstStartMayEndAtAnyMoment(t *testing.T) {
	var running sync.WaitGroup
	slots := make(chan struct{}, 2)
	for wait := time.Duration(0); wait < 500*time.Millisecond; wait += 40 * time.Millisecond {
		slots <- struct{}{}
		running.Go(func() {
			defer func() { <-slots }()
			dir := filepath.Join(t.TempDir(), "etcd")
			for range 2 {
				w := startWriter(t, dir)
				time.Sleep(wait) // the moment of the kill is what is tested
				_ = w.Process.Kill()
				_ = w.Wait()
			}
			if said := start(t, dir, false); !strings.HasPrefix(said, "holds") {
				t.Errorf("after kills at %v a start said %q", wait, said)
			}
		})
	}
	running.Wait()
}

// TestFirstStartEndedAsItsLogAppears leaves what earlier versions left when
// they were ended right after making the log: a log with no entry in it, unless the
// writer was quicker.
func TestFirstStartEndedAsItsLogAppears(t *testing.T) {
	for attempt := range 8 {
		dir := filepath.Join(t.TempDir(), "etcd")
		w := startWriter(t, dir)
		log := filepath.Join(dir, "member", "member", "wal")
		for {
			if _, err := os.Stat(log); err == nil {
				break
			}
		}
		_ = w.Process.Kill()
		_ = w.Wait()
		mark, want := filepath.Join(dir, "making"), "holds "
		if _, err := os.Stat(mark); err == nil {
			want = "holds 0" // the store was not ready, so nothing can be in it
		}
		if attempt%2 == 0 { // an earlier version has left no mark
			if err := os.Remove(mark); err != nil && !os.IsNotExist(err) {
				t.Fatal(err)
			}
		}
		if said := start(t, dir, false); !strings.HasPrefix(said, want) {
			t.Errorf("a start said %q, want %q", said, want)
		}
	}
}
