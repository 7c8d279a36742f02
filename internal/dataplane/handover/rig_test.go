// SPDX-License-Identifier: Apache-2.0

package handover

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/dataplane/network"
	"github.com/posternhq/postern/test/testnet"
)

// nobody is a user without any rights.
const nobody = 65534

// lockForEver keeps the calling goroutine on its thread, which ends with it.
func lockForEver() { runtime.LockOSThread() }

// own has a user make a network namespace in a user namespace of its own, as
// containers without root have it, and gives a process in it.
func own(t *testing.T, uid int) (pid int) {
	t.Helper()
	cmd := exec.Command("unshare", "--user", "--map-root-user", "--net", "sh", "-c", "echo $$; exec sleep 600")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}, Pdeathsig: unix.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	runtime.LockOSThread() // the child goes with the thread
	t.Cleanup(runtime.UnlockOSThread)
	if err := cmd.Start(); err != nil {
		testnet.Unable(t, fmt.Sprintf("a user cannot make namespaces here: %v", err))
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		testnet.Unable(t, fmt.Sprintf("a user cannot make namespaces here: %v", err))
	}
	if pid, err = strconv.Atoi(strings.TrimSpace(line)); err != nil {
		t.Fatal(err)
	}
	return pid
}

func namespaceOf(t *testing.T, pid int) *os.File {
	t.Helper()
	ns, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", pid))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ns.Close() })
	return ns
}

// makeRouter makes a router of another instance and gives its name.
func makeRouter(t *testing.T) string {
	t.Helper()
	instance, vpc := "h"+strings.ToLower(testnet.RandomName(6)), "vpc-0123456789abcdef0"
	testnet.AbandonInstance(t, instance)
	routers, err := network.NewRouters(instance, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := routers.Make(vpc)
	if err != nil {
		t.Fatal(err)
	}
	r.Release()
	t.Cleanup(func() {
		if err := routers.Remove(vpc); err != nil {
			t.Error(err)
		}
		routers.Close()
	})
	return network.NamespaceName(instance, vpc)
}

// renamedCopy gives a namespace a second name.
func renamedCopy(t *testing.T, name string) string {
	t.Helper()
	other := "ptest-" + testnet.RandomName(10)
	path := filepath.Join(network.Directory, other)
	forget, err := testnet.Abandon(other)
	if err == nil {
		err = os.WriteFile(path, nil, 0o600)
	}
	if err == nil {
		err = unix.Mount(filepath.Join(network.Directory, name), path, "none", unix.MS_BIND, "")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := network.DeleteNamespace(other); err != nil {
			t.Error(err)
		}
		forget()
	})
	return other
}
