// SPDX-License-Identifier: Apache-2.0

package handover

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/posternhq/postern/internal/dataplane/network"
	"github.com/posternhq/postern/test/testnet"
)

// nobody is a user without any rights.
const nobody = 65534

// lockForEver keeps the calling goroutine on its thread, which ends with it.
func lockForEver() { runtime.LockOSThread() }

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
	testnet.Abandon(t, "postern-"+instance+"-*")
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
