// SPDX-License-Identifier: Apache-2.0

package testnet

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/dataplane/network"
	"github.com/posternhq/postern/test/child"
)

// OwnedBy has a user make a network namespace in a user namespace of its own, as
// containers without root have it, and gives a process in it. It goes with the
// test.
func OwnedBy(t testing.TB, uid uint32) (pid int) {
	t.Helper()
	cmd := exec.Command("unshare", "--user", "--map-root-user", "--net", "sh", "-c", "echo $$; exec sleep 600")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p, err := child.Start(cmd)
	if err != nil {
		Unable(t, fmt.Sprintf("a user cannot make namespaces here: %v", err))
	}
	t.Cleanup(p.Kill)
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		Unable(t, fmt.Sprintf("a user cannot make namespaces here: %v; %s", err, p.Output()))
	}
	if pid, err = strconv.Atoi(strings.TrimSpace(line)); err != nil {
		t.Fatal(err)
	}
	return pid
}

// SecondName gives the namespace of a path another name, as an administrator
// might. The name goes with the test.
func SecondName(t testing.TB, path string) (name string) {
	t.Helper()
	name = "ptest-" + RandomName(10)
	named := filepath.Join(network.Directory, name)
	Abandon(t, name)
	err := os.WriteFile(named, nil, 0o600)
	if err == nil {
		err = unix.Mount(path, named, "none", unix.MS_BIND, "")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := network.DeleteNamespace(name); err != nil {
			t.Error(err)
		}
	})
	return name
}
