// SPDX-License-Identifier: Apache-2.0

package network

import (
	"fmt"
	"net"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// sandboxSysctls are those of the namespace of a server. A new namespace has the host's
// values of IPv4 (devconf_inherit_init_net in Documentation/admin-guide/sysctl/net.rst of
// Linux), and the host may well forward.
var sandboxSysctls = []sysctl{
	{"net/ipv4/ip_forward", "0"},
	{"net/ipv6/conf/all/forwarding", "0"},
	{"net/ipv6/conf/default/forwarding", "0"},
	// The router is the only neighbour, and there is one way to it.
	{"net/ipv4/conf/all/accept_redirects", "0"},
	{"net/ipv4/conf/default/accept_redirects", "0"},
	{"net/ipv6/conf/all/accept_redirects", "0"},
	{"net/ipv6/conf/default/accept_redirects", "0"},
	{"net/ipv4/conf/all/accept_source_route", "0"},
	// Nobody reaches what listens on the loopback device only.
	{"net/ipv4/conf/all/route_localnet", "0"},
	{"net/ipv4/conf/default/route_localnet", "0"},
	// No addresses that were not asked for.
	{"net/ipv6/conf/all/accept_ra", "0"},
	{"net/ipv6/conf/default/accept_ra", "0"},
	{"net/ipv6/conf/default/autoconf", "0"},
	{"net/ipv6/conf/default/accept_dad", "0"},
}

// Seclude makes the namespace one that a server can be in: its loopback is up, and it
// forwards nothing.
func (r *Router) Seclude() error {
	if err := r.Inside(func() error { return setSysctls(sandboxSysctls) }); err != nil {
		return fmt.Errorf("seclude %s: %w", r.VPC, err)
	}
	return r.Up()
}

// Secluded reports whether the namespace has its name, and is as Seclude makes it.
func (r *Router) Secluded() (bool, error) {
	links, err := r.links()
	if err != nil {
		return false, fmt.Errorf("read namespace of %s: %w", r.VPC, err)
	}
	confs, err := r.netconfs()
	if err != nil {
		return false, fmt.Errorf("read namespace of %s: %w", r.VPC, err)
	}
	for _, l := range links {
		if l.Attrs().Flags&net.FlagLoopback != 0 && l.Attrs().Flags&net.FlagUp == 0 {
			return false, nil
		}
	}
	for _, c := range confs {
		if c.forwarding {
			return false, nil
		}
	}
	_, known := confs[confKey{unix.AF_INET, confAll}]
	return r.named() && known, nil
}

// Inhabited reports whether a process is in the namespace.
func (r *Router) Inhabited() (bool, error) {
	all, err := filepath.Glob("/proc/[0-9]*/ns/net")
	if err != nil {
		return false, fmt.Errorf("look who is in %s: %w", r.VPC, err)
	}
	for _, path := range all {
		var st unix.Stat_t // of one that has ended there is nothing
		if unix.Stat(path, &st) == nil && st.Ino == r.inode {
			return true, nil
		}
	}
	return false, nil
}
