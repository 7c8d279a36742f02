// SPDX-License-Identifier: Apache-2.0

package network

import (
	"errors"
	"fmt"
	"net"
	"strings"

	"golang.org/x/sys/unix"
)

// Way tells one way out of an edge from another: the answer changes when its interface
// goes, comes, or is put up or down, and when the operator's namespace does, or is another
// one of the same name. It is cheap, and reads nothing else.
func (r *Router) Way(device string) (string, error) {
	l, err := r.uplink()
	if err != nil {
		return "", fmt.Errorf("look at uplink %s: %w", r.Realm().Name(), err)
	}
	way := "none"
	if l != nil {
		way = fmt.Sprintf("%d %t", l.Attrs().Index, l.Attrs().Flags&net.FlagUp != 0)
	}
	if name, ok := strings.CutPrefix(device, uplinkNamespace); ok {
		ns, err := OpenNamespace(name)
		if errors.Is(err, ErrNamespaceGone) {
			return way + " gone", nil
		}
		if err != nil {
			return "", fmt.Errorf("look at uplink %s: %w", r.Realm().Name(), err)
		}
		defer ns.Close()
		var st unix.Stat_t
		if err := unix.Fstat(int(ns.Fd()), &st); err != nil {
			return "", fmt.Errorf("look at uplink %s: %w", r.Realm().Name(), err)
		}
		way += fmt.Sprintf(" %d", st.Ino)
	}
	return way, nil
}
