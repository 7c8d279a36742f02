// SPDX-License-Identifier: Apache-2.0

package system

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/posternhq/postern/test/postern"
	"github.com/posternhq/postern/test/testnet"
)

// A first start may be ended at any moment: nothing was acknowledged, and the
// next one works.
func TestFirstStartMayBeEnded(t *testing.T) {
	testnet.Require(t)
	for i, signal := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM} {
		for wait := range 2 {
			dir := filepath.Join(t.TempDir(), "data")
			first := postern.Begin(t, nil, "up", "--data", dir, "--listen", "127.0.0.1:0", "--unsafe-no-fsync")
			if wait == 0 { // the moment after which nothing worked once
				log := filepath.Join(dir, "etcd", "member", "member", "wal")
				for begun := time.Now(); time.Since(begun) < 20*time.Second; {
					if _, err := os.Stat(log); err == nil {
						break
					}
				}
				time.Sleep(10 * time.Millisecond)
			}
			time.Sleep(time.Duration(wait) * time.Duration(90+50*i) * time.Millisecond)
			first.Signal(signal)
			first.Wait()
			p := postern.StartOn(t, dir)
			if _, err := createVPC(p); err != nil {
				t.Errorf("a start after a first one that was ended by %v: %v", signal, err)
			}
			p.Stop()
		}
	}
}

// spoil is one way to harm a stopped data folder.
type spoil struct {
	name, file string
	do         func(path string) error
	// says are words that the next start must log, whether it works or not.
	says string
}

func gone(path string) error    { return os.RemoveAll(path) }
func empty(path string) error   { return os.Truncate(path, 0) }
func garbage(path string) error { return os.WriteFile(path, []byte("\x00{garbage"), 0o600) }

var spoils = []spoil{
	{"no instance", "instance", gone, "is taken from the state"},
	{"empty instance", "instance", empty, "remove it"},
	{"another instance", "instance", func(path string) error { return os.WriteFile(path, []byte("zzzzz\n"), 0o600) }, "remove the file"},
	{"no credentials", "credentials.json", gone, ""},
	{"wrong credentials", "credentials.json", garbage, ""},
	{"no sealing keys", "sealing-keys", gone, "access keys are refused"},
	{"wrong sealing keys", "sealing-keys", garbage, "sealing-keys: line 1"},
	{"wrong running.json", "running.json", garbage, ""},
	{"a folder as running.json's rest", ".running.json-1", func(path string) error { return os.Mkdir(path, 0o700) }, ""},
	{"wrong desired.txt", "desired.txt", garbage, ""},
	{"no ballast", "ballast", gone, ""},
	{"wrong lock", "lock", garbage, ""},
	{"no store", "etcd", gone, "is missing"},
	{"no log", "etcd/member/member/wal", gone, "wal"},
	{"no database", "etcd/member/member/snap/db", gone, "snap/db is missing"},
	{"a short database", "etcd/member/member/snap/db", func(path string) error { return os.Truncate(path, 20000) }, "snap/db has 20000 bytes"},
	{"a changed database", "etcd/member/member/snap/db", func(path string) error {
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = f.WriteAt([]byte("damage"), 3*4096+5)
		return err
	}, "snap/db is not what it was"},
}

// Whatever happens to a file of a stopped data folder, the next start has all
// that was acknowledged, under the old mark, or is refused in a sentence that
// names a file.
func TestSpoiledDataFolder(t *testing.T) {
	p := postern.Start(t)
	vpc, err := createVPC(p)
	if err != nil {
		t.Fatal(err)
	}
	mark := p.Mark()
	p.Stop()
	whole := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(whole, os.DirFS(p.Data)); err != nil {
		t.Fatal(err)
	}
	for _, s := range spoils {
		if err := os.RemoveAll(p.Data); err != nil {
			t.Fatal(err)
		}
		if err := os.CopyFS(p.Data, os.DirFS(whole)); err != nil {
			t.Fatal(err)
		}
		if err := s.do(filepath.Join(p.Data, s.file)); err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		before := len(p.Log())
		failed := p.Launch()
		said := p.Log()[before:]
		if !strings.Contains(said, s.says) || strings.Contains(said, "goroutine ") {
			t.Errorf("%s: the start logs\n%s\nwant %q", s.name, said, s.says)
		}
		if failed != nil {
			refusal := said[strings.LastIndex(strings.TrimSpace(said), "\n")+1:]
			if !strings.Contains(refusal, "postern: ") || !strings.Contains(refusal, p.Data) || !strings.Contains(refusal, "emove") && !strings.Contains(refusal, "estore") {
				t.Errorf("%s: the start ends with %q, want a sentence with a file and a remedy", s.name, refusal)
			}
			continue
		}
		if got, err := vpcs(p); err != nil || !got[vpc] || p.Mark() != mark {
			t.Errorf("%s: VPCs %v (%v) under mark %s, want %s under %s", s.name, got, err, p.Mark(), vpc, mark)
		}
		p.Stop()
	}
	if err := os.WriteFile(filepath.Join(p.Data, "instance"), []byte(mark+"\n"), 0o600); err != nil { // for clean
		t.Fatal(err)
	}
}
