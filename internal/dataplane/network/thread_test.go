// SPDX-License-Identifier: Apache-2.0

package network_test

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/dataplane/network"
	"github.com/posternhq/postern/test/testnet"
)

// elsewhere is set in the process whose first thread is in another namespace than
// the host's.
const elsewhere = "POSTERN_FIRST_THREAD_ELSEWHERE"

func init() {
	if os.Getenv(elsewhere) != "" {
		runtime.LockOSThread() // main goroutine and first thread
	}
}

func TestMain(m *testing.M) {
	if os.Getenv(elsewhere) == "" {
		os.Exit(m.Run())
	}
	if err := checkFromOtherThread(); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

// checkFromOtherThread takes the first thread into a namespace and asks about that
// namespace on another thread.
func checkFromOtherThread() error {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return err
	}
	ns, err := os.Open("/proc/self/ns/net")
	if err != nil {
		return err
	}
	defer ns.Close()
	answer := make(chan error)
	go func() { answer <- network.CheckPlace(ns) }()
	return <-answer
}

// What is the host's own does not depend on where the first thread of the process is
// at work just now: /proc/PID/ns/net is that thread's.
func TestTheHostsNamespaceIsTheSameForAllThreads(t *testing.T) {
	testnet.Require(t)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), elsewhere+"=yes")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("a workload's namespace, with the first thread in it: %v: %s", err, out)
	}
}
