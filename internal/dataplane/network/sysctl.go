// SPDX-License-Identifier: Apache-2.0

package network

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/desired"
)

// sysctl is one kernel parameter of a namespace and the value a router needs.
type sysctl struct {
	path, value string
}

// routerSysctls is everything that a router's namespace sets, and why.
// Meanings are those of the kernel's Documentation/networking/ip-sysctl.rst and
// nf_conntrack-sysctl.rst. Forwarding comes last: by then the filter is loaded.
func routerSysctls(idle time.Duration) []sysctl {
	return append(idleSysctls(idle), []sysctl{
		// A packet's source must be reachable through the interface it came
		// from: a workload has only its own addresses. (What links and all
		// interfaces have says checks.)
		{"net/ipv4/conf/default/rp_filter", "1"},
		// Nobody tells this router about better paths, and it tells nobody.
		{"net/ipv4/conf/all/accept_redirects", "0"},
		{"net/ipv4/conf/default/accept_redirects", "0"},
		{"net/ipv4/conf/all/send_redirects", "0"},
		{"net/ipv4/conf/default/send_redirects", "0"},
		{"net/ipv6/conf/all/accept_redirects", "0"},
		{"net/ipv6/conf/default/accept_redirects", "0"},
		// The router answers ARP for every address of the VPC, for workloads
		// that were given their subnet, so that neighbours send through it too.
		// Who asks or tells does not become a neighbour by it.
		{"net/ipv4/conf/default/proxy_arp", "1"},
		{"net/ipv4/conf/all/arp_accept", "0"},
		{"net/ipv4/conf/default/arp_accept", "0"},
		// The sender does not choose the way. (The filter drops such options.)
		{"net/ipv4/conf/all/accept_source_route", "0"},
		// No addresses that were not asked for, and none that must wait.
		{"net/ipv6/conf/all/accept_ra", "0"},
		{"net/ipv6/conf/default/accept_ra", "0"},
		{"net/ipv6/conf/default/autoconf", "0"},
		{"net/ipv6/conf/default/addr_gen_mode", "1"},
		{"net/ipv6/conf/default/accept_dad", "0"},
		// Windows and resets are judged by the ends. A fast path that carries
		// part of a flow past connection tracking stays possible this way.
		{"net/netfilter/nf_conntrack_tcp_be_liberal", "1"},
		{"net/netfilter/nf_conntrack_tcp_ignore_invalid_rst", "1"},
		// A flow without an entry is not picked up in the middle: it is
		// refused with a reset.
		{"net/netfilter/nf_conntrack_tcp_loose", "0"},
		// When both ends have closed, what was lost of the last data may come
		// again, after a pause that doubles each time.
		{"net/netfilter/nf_conntrack_tcp_timeout_last_ack", "120"},
		{"net/netfilter/nf_conntrack_tcp_timeout_time_wait", "60"},
		// A connection that nobody answers holds a port of an address that
		// clients share. A SYN sent again counts anew. One that was answered
		// must outlast the pause between two looks of the express lane.
		{"net/netfilter/nf_conntrack_tcp_timeout_syn_sent", "5"},
		{"net/netfilter/nf_conntrack_tcp_timeout_syn_recv", "20"},
		{"net/ipv4/ip_forward", "1"},
		{"net/ipv6/conf/all/forwarding", "1"},
		{"net/ipv6/conf/default/forwarding", "1"},
	}...)
}

// idleSysctls are those that the idle timeout decides, the telling one first.
func idleSysctls(idle time.Duration) []sysctl {
	return []sysctl{
		// AWS tracks an idle TCP connection through an endpoint for 350 s. One
		// that an end has closed, or that waits for an acknowledgement, is no
		// less open.
		{"net/netfilter/nf_conntrack_tcp_timeout_established", seconds(idle)},
		{"net/netfilter/nf_conntrack_tcp_timeout_fin_wait", seconds(idle)},
		{"net/netfilter/nf_conntrack_tcp_timeout_close_wait", seconds(idle)},
		{"net/netfilter/nf_conntrack_tcp_timeout_unacknowledged", seconds(idle)},
		{"net/netfilter/nf_conntrack_tcp_timeout_max_retrans", seconds(idle)},
	}
}

// others are what a router that is none, but the namespace of another realm, sets
// besides.
func (r *Router) others() []sysctl {
	if r.Realm().Sort() != desired.NATs {
		return nil
	}
	return []sysctl{
		// A NAT gateway forgets whatever is idle after the same time
		// (docs.aws.amazon.com/vpc/latest/userguide/nat-gateway-troubleshooting.html).
		{"net/netfilter/nf_conntrack_udp_timeout", seconds(r.idle)},
		{"net/netfilter/nf_conntrack_udp_timeout_stream", seconds(r.idle)},
	}
}

func seconds(d time.Duration) string { return strconv.Itoa(int(d / time.Second)) }

// workloadSysctls are those of the router's end of a workload's veth pair. A
// new namespace has no neigh/default to set the delay in beforehand.
func workloadSysctls(device string, w desired.Workload) []sysctl {
	return append(ofOurs(device, w.Namespace.Realm), []sysctl{
		// Proxied ARP answers go out at once, not after up to 0.8 s.
		{"net/ipv4/neigh/" + device + "/proxy_delay", "0"},
		{"net/ipv4/conf/" + device + "/proxy_arp", "1"},
	}...)
}

// ofOurs are those of the router's end of a veth pair to one of our own realms that passes
// on what comes. An
// error that the router itself has sent there, to the address that a connection was
// given, comes back from there for the end that it is for, with the router's address as
// its source.
func ofOurs(device string, realm desired.Realm) []sysctl {
	if !passesOn(realm) {
		return nil
	}
	return []sysctl{{"net/ipv4/conf/" + device + "/accept_local", "1"}}
}

// deviceSysctls are those of a workload's own end.
func deviceSysctls(device string, ipv6 bool) []sysctl {
	list := []sysctl{
		// The router is a permanent neighbour and the only one. Whatever a
		// program there sends to, the kernel asks for nobody else: it would keep
		// who is asked for in a table that all namespaces of the host share.
		{"net/ipv4/neigh/" + device + "/mcast_solicit", "0"},
		{"net/ipv6/neigh/" + device + "/mcast_solicit", "0"},
		// Addresses are there again when the interface was down for a while.
		{"net/ipv6/conf/" + device + "/keep_addr_on_down", "1"},
	}
	if ipv6 {
		// Containers often have IPv6 switched off for new interfaces.
		list = append([]sysctl{{"net/ipv6/conf/" + device + "/disable_ipv6", "0"}}, list...)
	}
	return list
}

// setSysctls writes parameters in the namespace of the calling thread. A
// parameter of a protocol that the kernel does not have is passed over.
//
// Nothing is read first, and nothing later to check: the kernel finds these
// files slowly when there are many namespaces. Dump asks rtnetlink instead.
func setSysctls(list []sysctl) error {
	for _, s := range list {
		if err := s.set(); err != nil {
			return fmt.Errorf("set %s to %s: %w", s.path, s.value, err)
		}
	}
	return nil
}

// idles gives a router that runs this process's idle timeout, in case an earlier
// process had another one.
func (r *Router) idles() error {
	want := append(idleSysctls(r.idle), r.others()...)
	return r.Inside(func() error {
		if forwards, err := read("net/ipv4/ip_forward"); err != nil || forwards != "1" {
			return err
		}
		if have, err := read(want[0].path); err != nil || have == want[0].value {
			return err
		}
		return setSysctls(want)
	})
}

// read gives a parameter's value, nothing when the kernel does not have it.
func read(path string) (string, error) {
	fd, err := unix.Open("/proc/sys/"+path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err == unix.ENOENT {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	defer unix.Close(fd)
	var text [64]byte
	n, err := unix.Read(fd, text[:])
	if err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	return strings.TrimSpace(string(text[:n])), nil
}

// set does without package os, which would register the file for polling.
func (s sysctl) set() error {
	fd, err := unix.Open("/proc/sys/"+s.path, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err == unix.ENOENT {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	_, err = unix.Write(fd, []byte(s.value))
	return err
}
