// SPDX-License-Identifier: Apache-2.0

package network

import (
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/vishvananda/netlink"
)

// Leads reports whether the way out of an edge is there: its interface is up and the one
// that the operator names now, or leads into the namespace that has the name now. It is
// cheap and reads nothing else; what it says is not there, DumpEdge says so too.
func (r *Router) Leads(device string) (leads bool, err error) {
	l, err := r.uplink()
	if err == nil {
		leads, err = r.leads(l, device)
	}
	if err != nil {
		return false, fmt.Errorf("look at uplink %s: %w", r.Realm().Name(), err)
	}
	return leads, nil
}

func (r *Router) leads(l netlink.Link, device string) (bool, error) {
	if l == nil || r.givenAs(l) != device || l.Attrs().Flags&net.FlagUp == 0 {
		return false, nil
	}
	name, namespace := strings.CutPrefix(device, uplinkNamespace)
	if !namespace {
		return true, nil
	}
	ns, err := OpenNamespace(name)
	if errors.Is(err, ErrNamespaceGone) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer ns.Close()
	// The kernel numbers the namespaces that are known in another one
	// (ip-netns(8), list-id): one of the same name has another number, or none.
	var number int
	err = retry(func() (err error) {
		number, err = r.handle.GetNetNsIdByFd(int(ns.Fd()))
		return err
	})
	if err != nil {
		return false, fmt.Errorf("number of namespace %s: %w", name, err)
	}
	return number >= 0 && number == l.Attrs().NetNsID, nil
}
