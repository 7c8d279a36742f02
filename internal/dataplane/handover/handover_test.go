// SPDX-License-Identifier: Apache-2.0

package handover

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/dataplane/network"
	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/socket"
	"github.com/posternhq/postern/test/testnet"
)

func TestHandlesAreGoodOnceForOneKeyAndForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, err := NewHandles(time.Now)
		if err != nil {
			t.Fatal(err)
		}
		give := func() string {
			handle, err := h.Give("AKIAONE", desired.Namespace{PID: 7, Inode: 8, Identity: 9})
			if err != nil {
				t.Fatal(err)
			}
			return handle
		}
		good, late, other := give(), give(), give()
		for name, c := range map[string]struct{ handle, key string }{
			"nothing": {"", "AKIAONE"}, "made up": {"aaaa", "AKIAONE"}, "not text": {"\xff", "AKIAONE"},
			"another key": {other, "AKIATWO"}, "changed": {flip(good), "AKIAONE"}, "cut": {good[:len(good)-1], "AKIAONE"}, "twice": {good + good, "AKIAONE"},
		} {
			if _, err := h.Redeem(c.handle, c.key); !errors.Is(err, ErrHandle) {
				t.Errorf("%s: %v, want ErrHandle", name, err)
			}
		}
		if ns, err := h.Redeem(good, "AKIAONE"); err != nil || ns.PID != 7 || ns.Identity != 9 {
			t.Errorf("a good handle: %v, %v", ns, err)
		}
		if _, err := h.Redeem(other, "AKIAONE"); err != nil {
			t.Errorf("a handle that another key has tried: %v", err)
		}
		for range 4 { // used ones are remembered for as long as they would be good
			if _, err := h.Redeem(good, "AKIAONE"); !errors.Is(err, ErrHandle) {
				t.Errorf("a used handle after %v: %v, want ErrHandle", time.Since(h.born), err)
			}
			time.Sleep(Life / 3)
		}
		if _, err := h.Redeem(late, "AKIAONE"); !errors.Is(err, ErrHandle) {
			t.Errorf("an old handle: %v, want ErrHandle", err)
		}
		for range 3 {
			if _, err := h.Redeem(give(), "AKIAONE"); err != nil {
				t.Error(err)
			}
			time.Sleep(Life)
		}
		if n := len(h.used) + len(h.before); n > 2 {
			t.Errorf("%d used handles are remembered, want those of the last while", n)
		}
	})
}

func flip(handle string) string {
	b := []byte(handle)
	b[len(b)/2] ^= 1
	return string(b)
}

// house is an open door in a folder of its own.
type house struct {
	folder  string
	handles *Handles
}

func open(t *testing.T) house {
	t.Helper()
	testnet.Require(t)
	handles, err := NewHandles(time.Now)
	if err != nil {
		t.Fatal(err)
	}
	// A path that is longer than the address of a socket can be.
	h := house{filepath.Join(t.TempDir(), strings.Repeat("long-", 30)), handles}
	if err := os.Mkdir(h.folder, 0o700); err != nil {
		t.Fatal(err)
	}
	for dir := h.folder; dir != "/"; dir = filepath.Dir(dir) { // for other users
		info, err := os.Stat(dir)
		if err == nil {
			err = os.Chmod(dir, info.Mode()|0o111)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	door, err := Open(h.folder, handles, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := door.Serve(t.Context()); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		wg.Wait() // the test's context has ended
		if err := door.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

// as runs fn on a thread of another user. The thread is never used again.
func as(uid int, fn func() error) error {
	result := make(chan error)
	go func() {
		lockForEver()
		_, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, uintptr(uid), uintptr(uid), uintptr(uid))
		if errno != 0 {
			result <- errno
			return
		}
		result <- fn()
	}()
	return <-result
}

func namespace(t *testing.T, name string) *os.File {
	t.Helper()
	ns, err := network.OpenNamespace(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ns.Close() })
	return ns
}

func TestOwnersGetAHandleThatLeadsToTheirNamespace(t *testing.T) {
	h := open(t)
	roots, owned := testnet.New(t), testnet.OwnedBy(t, nobody)
	theirs := namespaceOf(t, owned)
	for _, c := range []struct {
		name  string
		uid   int
		ns    *os.File
		offer Offer
	}{
		{"root's by name", 0, namespace(t, roots.Name), Offer{"KEY", roots.Name, 0}},
		{"a user's by process", nobody, theirs, Offer{"KEY", "", owned}},
		{"a user's by root", 0, theirs, Offer{"KEY", "", owned}},
	} {
		var handle string
		err := as(c.uid, func() (err error) {
			handle, err = Give(t.Context(), h.folder, c.ns, c.offer)
			return err
		})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		found, err := h.handles.Redeem(handle, "KEY")
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		again, err := network.Find(found)
		if err != nil {
			t.Errorf("%s: find it again: %v", c.name, err)
			continue
		}
		if same, err := network.Same(again, c.ns); err != nil || !same {
			t.Errorf("%s: the handle leads elsewhere: %v, %v", c.name, found, err)
		}
		again.Close()
	}
}

func TestWhatIsNotTheirsIsRefused(t *testing.T) {
	h := open(t)
	roots, mine := testnet.New(t), testnet.OwnedBy(t, nobody)
	router := makeRouter(t)
	renamed := testnet.SecondName(t, filepath.Join(network.Directory, router))
	host, err := os.Open("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { host.Close() })
	theirs, file := namespaceOf(t, mine), host
	for _, c := range []struct {
		name  string
		uid   int
		ns    *os.File
		offer Offer
		why   string
	}{
		{"root's", nobody, namespace(t, roots.Name), Offer{"KEY", roots.Name, 0}, "not yours"},
		{"another user's", nobody + 1, theirs, Offer{"KEY", "", mine}, "not yours"},
		{"a router's", nobody, namespace(t, router), Offer{"KEY", router, 0}, "not yours"},
		{"the host's", nobody, file, Offer{"KEY", "", os.Getpid()}, "not yours"},
		{"a router's, by root", 0, namespace(t, router), Offer{"KEY", router, 0}, "router"},
		{"a router's under another name, by root", 0, namespace(t, renamed), Offer{"KEY", renamed, 0}, "router"},
		{"the host's, by root", 0, file, Offer{"KEY", "", os.Getpid()}, "host"},
		{"own one as root's", nobody, theirs, Offer{"KEY", roots.Name, 0}, "does not lead"},
		{"own one as another process", nobody, theirs, Offer{"KEY", "", os.Getpid()}, "does not lead"},
		{"own one as nothing", nobody, theirs, Offer{"KEY", "", 1 << 30}, "does not lead"},
		{"own one by a path", nobody, theirs, Offer{"KEY", fmt.Sprintf("../../proc/%d/ns/net", mine), 0}, "not a file name"},
		{"own one by two names", nobody, theirs, Offer{"KEY", roots.Name, mine}, "one of them only"},
		{"own one by none", nobody, theirs, Offer{"KEY", "", 0}, "one of them only"},
		{"own one for no key", nobody, theirs, Offer{"", "", mine}, "not understood"},
	} {
		err := as(c.uid, func() error {
			_, err := Give(t.Context(), h.folder, c.ns, c.offer)
			return err
		})
		var refusal *Refusal
		if !errors.As(err, &refusal) || !strings.Contains(refusal.Reason, c.why) {
			t.Errorf("%s: %v, want a refusal that says %q", c.name, err, c.why)
		}
	}
}

func TestWhatIsNoNamespaceIsRefused(t *testing.T) {
	h := open(t)
	mine := testnet.OwnedBy(t, nobody)
	theirs := namespaceOf(t, mine)
	openAs := func(path string, flags int) int {
		fd, err := unix.Open(path, flags|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(fd) })
		return fd
	}
	net := int(theirs.Fd())
	for name, fds := range map[string][]int{
		"nothing": {}, "two": {net, net}, "three": {net, net, net}, "a file": {openAs("/etc/passwd", unix.O_RDONLY)},
		"another kind of namespace": {openAs(fmt.Sprintf("/proc/%d/ns/user", mine), unix.O_RDONLY)},
		"a path to one":             {openAs(fmt.Sprintf("/proc/%d/ns/net", mine), unix.O_PATH)},
	} {
		said := h.say(t, fmt.Sprintf(`{"accessKeyId":"KEY","pid":%d}`, mine), fds...)
		if !strings.Contains(said, "one open network namespace is needed") {
			t.Errorf("%s: %q, want a refusal", name, said)
		}
	}
	for name, text := range map[string]string{
		"no message": "x", "too long": `{"accessKeyId":"` + strings.Repeat("K", 5000) + `"}`, "a long key": `{"accessKeyId":"` + strings.Repeat("K", 1000) + `"}`,
	} {
		if said := h.say(t, text, net); !strings.Contains(said, "error") {
			t.Errorf("%s: %q, want a refusal", name, said)
		}
	}
}

// say sends a message with descriptors and gives the answer.
func (h house) say(t *testing.T, text string, fds ...int) string {
	t.Helper()
	conn, err := h.knock()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var rights []byte
	if len(fds) > 0 {
		rights = unix.UnixRights(fds...)
	}
	if _, _, err := conn.WriteMsgUnix([]byte(text), rights, nil); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, maxMessage)
	n, err := conn.Read(answer)
	if err != nil {
		t.Fatal(err)
	}
	return string(answer[:n])
}

func (h house) knock() (conn *net.UnixConn, err error) {
	err = socket.Within(h.folder, socketName, func(address *net.UnixAddr) (err error) {
		address.Net = "unixpacket"
		conn, err = net.DialUnix("unixpacket", nil, address)
		return err
	})
	return conn, err
}

func TestOneUserTakesNothingFromOthers(t *testing.T) {
	h := open(t)
	first, second := testnet.OwnedBy(t, nobody), testnet.OwnedBy(t, nobody+1)
	err := as(nobody, func() error {
		for range 3 * eachUser { // and says nothing
			conn, err := h.knock()
			if err != nil {
				return err
			}
			t.Cleanup(func() { conn.Close() })
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	give := func(uid, pid int) error {
		ns := namespaceOf(t, pid)
		return as(uid, func() error {
			_, err := Give(t.Context(), h.folder, ns, Offer{"KEY", "", pid})
			return err
		})
	}
	if err := give(nobody+1, second); err != nil {
		t.Errorf("another user: %v", err)
	}
	if err := give(0, second); err != nil {
		t.Errorf("root: %v", err)
	}
	for deadline := time.Now().Add(testnet.Patience); ; time.Sleep(10 * time.Millisecond) {
		err := give(nobody, first) // when those that say nothing have been sent away
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the same user, later: %v", err)
		}
	}
}

func TestTheFolderCanBePassedThroughAndNotRead(t *testing.T) {
	h := open(t)
	info, err := os.Stat(h.folder)
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode().Perm(); mode != 0o711 {
		t.Errorf("folder has mode %v, want 0711", mode)
	}
	if _, err := Give(t.Context(), t.TempDir(), namespaceOf(t, os.Getpid()), Offer{"KEY", "", 1}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("where no Postern runs: %v, want fs.ErrNotExist", err)
	}
}
