// SPDX-License-Identifier: Apache-2.0

// Package harness runs the real binary for the black-box suites: one Postern
// for all tests of a package, in a temporary data folder, with accounts of
// their own for tests that must not see each other. It knows the binary's
// command line and the files of its data folder, and nothing of its inside.
package harness

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/posternhq/postern/test/instance"
)

// Main starts a server with more flags for `postern up`, gives it to use, runs
// the tests of a package, and takes everything away. Its result is for os.Exit:
// not zero also when something was left behind, or when check, which is asked
// after a full run that went well, finds something.
//
// Without root there is no server: Main says so and runs nothing, which is a
// failure where the environment has CI.
func Main(m *testing.M, use func(*Server), check func() error, flags ...string) int {
	if os.Geteuid() != 0 {
		return Unable("these tests need root: they run a Postern, which makes network namespaces; use sudo make test")
	}
	dir, err := os.MkdirTemp("", "postern-conformance-")
	if err != nil {
		return fail(err)
	}
	defer os.RemoveAll(dir)
	defer instance.RemoveBinary()
	s, err := start(dir, flags)
	if err != nil {
		return fail(err)
	}
	use(s)
	status := m.Run()
	if status == 0 && check != nil && wholeRun() {
		if err := check(); err != nil {
			status = fail(err)
		}
	}
	if err := s.end(); err != nil {
		status = fail(err)
	}
	if status != 0 {
		s.printLog()
	}
	return status
}

// Unable says loudly why a suite cannot run here. The result is for os.Exit: a
// failure where the environment has CI.
func Unable(why string) int {
	status := Absent(why)
	if os.Getenv("CI") != "" {
		status = 1
	}
	return status
}

// notTested names a file to which it is written what was not tested: go test
// shows nothing of what a package says that does not fail.
const notTested = "POSTERN_NOT_TESTED"

// Absent says loudly that a suite does not run because its client is not
// installed, and nothing here can or should install it. The result is for
// os.Exit: no failure, with CI neither.
func Absent(why string) int {
	text := fmt.Sprintf("\n*** NOT TESTED: %s\n\n", why)
	fmt.Fprint(os.Stderr, text)
	if path := os.Getenv(notTested); path != "" {
		if err := note(path, text); err != nil {
			return fail(err)
		}
	}
	return 0
}

// note adds to a file, in one write because suites run side by side.
func note(path, text string) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = file.WriteString(text)
	return errors.Join(err, file.Close())
}

func fail(err error) int {
	fmt.Fprintln(os.Stderr, "FAIL:", err)
	return 1
}

// wholeRun tells whether all tests were asked for, and not chosen ones.
func wholeRun() bool {
	for _, name := range []string{"test.run", "test.skip", "test.list", "test.bench"} {
		if f := flag.Lookup(name); f != nil && f.Value.String() != "" {
			return false
		}
	}
	return true
}

// Must gives the output of a call that has to go well. Its result is called with
// the test.
func Must[O any](out O, err error) func(testing.TB) O {
	return func(t testing.TB) O {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
}
