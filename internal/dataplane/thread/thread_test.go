// SPDX-License-Identifier: Apache-2.0

package thread_test

import (
	"errors"
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/dataplane/thread"
	"github.com/posternhq/postern/test/testnet"
)

func init() { runtime.LockOSThread() } // main goroutine and first thread

// TestMain lends the first thread to whatever goroutine is next, for as long as tests run.
func TestMain(m *testing.M) {
	code := make(chan int)
	go func() { code <- m.Run() }()
	runtime.UnlockOSThread()
	os.Exit(<-code)
}

// TestTheFirstThreadStays goes elsewhere from many goroutines, some of which have the first
// thread, and looks where the process is meanwhile.
func TestTheFirstThreadStays(t *testing.T) {
	testnet.Require(t)
	home := namespace(t, "/proc/self/ns/net")
	ends := make(chan error)
	const all = 200
	for range all {
		go func() {
			ends <- thread.In(thread.Leave, func() error {
				if here := namespace(t, thread.Own); here == home {
					return errors.New("the thread did not go")
				}
				if first := namespace(t, "/proc/self/ns/net"); first != home {
					return errors.New("the first thread went")
				}
				return nil
			})
		}()
	}
	for range all {
		if err := <-ends; err != nil {
			t.Fatal(err)
		}
	}
	if err := thread.In(func() error { return errors.New("stays") }, func() error { return nil }); err == nil {
		t.Error("it is not said that the thread could not go")
	}
}

func namespace(t *testing.T, path string) uint64 {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		t.Error(err)
	}
	return st.Ino
}
