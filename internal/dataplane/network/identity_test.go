// SPDX-License-Identifier: Apache-2.0

package network_test

import (
	"errors"
	"os"
	"testing"

	"github.com/posternhq/postern/internal/dataplane/network"
	"github.com/posternhq/postern/test/testnet"
)

// The kernel gives inode numbers of namespaces again: whoever waits for a
// namespace to go may find the next one under the same name and number.
func TestANamespaceIsNotMistakenForItsSuccessor(t *testing.T) {
	rs, _ := routers(t)
	r := makeRouter(t, rs, plainRouter(vpcA))
	defer r.Release()
	ns := testnet.New(t)
	w := plainWorkload(vpcA, ns)
	w.Namespace.Identity = identify(t, ns)
	if err := r.Attach(w); err != nil {
		t.Fatal(err)
	}
	content := must[network.Content](t)(rs.Dump(r))
	if len(content.Workloads) != 1 || content.Workloads[0].Namespace != w.Namespace {
		t.Errorf("read back: %v, want %v", content.Workloads, w)
	}
	if err := ns.Close(); err != nil {
		t.Fatal(err)
	}
	successor := must[*testnet.NS](t)(testnet.Make(ns.Name))
	defer successor.Close()
	w.Namespace.Inode = successor.Desired().Inode // as if it were the same
	if err := r.Attach(w); !errors.Is(err, network.ErrNamespaceGone) {
		t.Errorf("attach to the successor: %v, want ErrNamespaceGone", err)
	}
	if found, err := network.Find(w.Namespace); !errors.Is(err, network.ErrNamespaceGone) {
		t.Errorf("find the successor: %v, %v, want ErrNamespaceGone", found, err)
	}
}

func identify(t *testing.T, ns *testnet.NS) uint64 {
	t.Helper()
	file := must[*os.File](t)(network.OpenNamespace(ns.Name))
	defer file.Close()
	return must[uint64](t)(network.Identify(file))
}
