// SPDX-License-Identifier: Apache-2.0

package system

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/posternhq/postern/internal/dataplane/names"
	"github.com/posternhq/postern/test/postern"
)

// A daemon that cannot serve leaves no process behind, also where there are names on disk
// that one could serve.
func TestADaemonThatCannotServeStartsNoResolver(t *testing.T) {
	p := newPair(t).Postern // which has names
	p.Await("a resolver", func() (bool, error) { return len(names.Processes(p.Data)) == 1, nil })
	p.Stop()
	for _, pid := range names.Processes(p.Data) {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	p.Await("its end", func() (bool, error) { return len(names.Processes(p.Data)) == 0, nil })
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	refused := func(reason string, args ...string) {
		t.Helper()
		r := postern.Begin(t, nil, append([]string{"up", "--data", p.Data}, args...)...).Wait()
		if r.Status != 1 || !strings.Contains(lastLines(r.Stderr), reason) {
			t.Errorf("status %d, %q; want %q", r.Status, r.Stderr, reason)
		}
		if pids := names.Processes(p.Data); len(pids) > 0 {
			t.Errorf("%s: processes %v resolve names", reason, pids)
		}
	}
	refused("in use", "--listen", taken.Addr().String())
	refused("in use", "--listen", "127.0.0.1:0", "--metrics-listen", taken.Addr().String())
	database := filepath.Join(p.Data, "etcd/member/member/snap/db")
	whole, err := os.ReadFile(database)
	if err == nil {
		err = os.Truncate(database, 20000)
	}
	if err != nil {
		t.Fatal(err)
	}
	refused("snap/db", "--listen", "127.0.0.1:0")
	if err := os.WriteFile(database, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	p.Up()
	p.Await("a resolver", func() (bool, error) { return len(names.Processes(p.Data)) == 1, nil })
}
