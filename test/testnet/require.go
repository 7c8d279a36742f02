// SPDX-License-Identifier: Apache-2.0

package testnet

import (
	"os"
	"testing"

	"github.com/posternhq/postern/test/janitor"
)

// Require skips a test that cannot have its own network namespaces, and says
// why. With CI set in the environment it fails instead: there the test must
// run.
func Require(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		Unable(t, "this test makes network namespaces and needs root")
	}
}

// Unable says that a test cannot run here: it skips the test, or fails it when
// CI is set in the environment.
func Unable(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf("CI is set and %s", why)
	}
	t.Skip("SKIPPED: " + why)
}

// New makes a namespace with a random name that goes with the test.
func New(t testing.TB) *NS {
	t.Helper()
	Require(t)
	ns, err := Make("ptest-" + RandomName(10))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := ns.Close(); err != nil {
			t.Error(err)
		}
	})
	return ns
}

// Abandon has the namespaces whose names match a pattern removed with the test
// process, however that ends, unless the test has ended before and has removed
// them itself.
func Abandon(t testing.TB, pattern string) {
	t.Helper()
	forget, err := janitor.Abandon(pattern)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(forget)
}
