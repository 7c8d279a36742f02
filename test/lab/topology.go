// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// New builds the lab.
func New(t testing.TB) *Lab {
	t.Helper()
	l := &Lab{A: newRouter(t), B: newRouter(t)}
	l.A.IP(fmt.Sprintf("link add fb mtu 8500 address 02:00:00:00:ff:01 type veth peer name fa mtu 8500 address 02:00:00:00:ff:02 netns %s", l.B.Name))
	l.A.fabric("fb", "02:00:00:00:ff:02", "169.254.1.2", "fe80::ff:2")
	l.B.fabric("fa", "02:00:00:00:ff:01", "169.254.1.1", "fe80::ff:1")
	l.A.transit("fb", "169.254.1.2", "fe80::ff:2", Target4.String(), Target6.String(), SourceA4.String(), SourceA6.String())
	l.B.transit("fa", "169.254.1.1", "fe80::ff:1", SourceA4.String(), SourceA6.String(), SourceB4.String(), SourceB6.String())
	l.Client = l.A.Workload(1, 10)
	l.Near = l.A.Workload(1, 74)
	l.Far = l.A.Workload(2, 11)
	l.Server = l.B.Workload(1, 10)
	return l
}

func newRouter(t testing.TB) *Namespace {
	n := NewNamespace(t)
	n.Sysctl("ipv4/ip_forward=1", "ipv6/conf/all/forwarding=1",
		"ipv4/conf/all/rp_filter=1", "ipv4/conf/default/rp_filter=1",
		"ipv4/conf/all/accept_redirects=0", "ipv4/conf/all/send_redirects=0",
		"ipv6/conf/default/accept_dad=0", "ipv6/conf/all/accept_dad=0",
		"netfilter/nf_conntrack_tcp_be_liberal=1", "netfilter/nf_conntrack_tcp_ignore_invalid_rst=1", "netfilter/nf_conntrack_tcp_loose=0")
	// The network and all transit addresses that no link has end on lo, so that
	// they reach the forward hook and are refused there. IPv6 routes to lo are
	// unreachable ones, so they lead to an interface without a peer.
	n.IP(`route add 10.0.0.0/16 dev lo scope link
route add 240.0.0.0/4 dev lo scope link
link add nowhere mtu 65535 type veth peer name nowhere-end mtu 65535
link set nowhere up
route add 2001:db8::/56 dev nowhere
route add fd00::/8 dev nowhere
addr add 10.0.1.1/32 dev lo
addr add 10.0.2.1/32 dev lo`)
	return n
}

// fabric sets up a router's end of the link: fixed neighbours, no addresses.
func (n *Namespace) fabric(device, peerMAC, peer4, peer6 string) {
	n.IP(fmt.Sprintf(`link set %[1]s addrgenmode none
link set %[1]s up
neigh add %[3]s lladdr %[2]s nud permanent dev %[1]s
neigh add %[4]s lladdr %[2]s nud permanent dev %[1]s`, device, peerMAC, peer4, peer6))
}

func (n *Namespace) transit(device, via4, via6, to4, to6, own4, own6 string) {
	n.IP(fmt.Sprintf(`route add %[2]s via %[3]s dev %[1]s onlink
route add %[4]s via %[5]s dev %[1]s onlink
route add %[6]s dev lo scope link
route add %[7]s dev nowhere`, device, to4, via4, to6, via6, own4, own6))
}

// Workload makes a namespace with the address 10.0.SUBNET.HOST behind router n. It
// acknowledges what it receives at once, so that no packet comes later that a test
// would count.
func (n *Namespace) Workload(subnet, host int) *Namespace {
	n.t.Helper()
	w := NewNamespace(n.t)
	device := fmt.Sprintf("w%d-%d", subnet, host)
	ip4 := fmt.Sprintf("10.0.%d.%d", subnet, host)
	ip6 := fmt.Sprintf("2001:db8:0:%d::%d", subnet, host)
	near, far := fmt.Sprintf("02:00:00:00:%02x:01", subnet), fmt.Sprintf("02:00:00:00:%02x:%02x", subnet, host)
	n.IP(fmt.Sprintf("link add %s mtu 9001 address %s type veth peer name eth0 mtu 9001 address %s netns %s", device, near, far, w.Name))
	n.Sysctl("ipv4/conf/"+device+"/proxy_arp=1", "ipv4/neigh/"+device+"/proxy_delay=0")
	n.IP(fmt.Sprintf(`link set %[1]s addrgenmode none
link set %[1]s up
addr add fe80::1/128 dev %[1]s nodad
route add %[2]s dev %[1]s scope link
route add %[3]s dev %[1]s
neigh add %[2]s lladdr %[4]s nud permanent dev %[1]s
neigh add %[3]s lladdr %[4]s nud permanent dev %[1]s`, device, ip4, ip6, far))
	w.Sysctl("ipv6/conf/eth0/accept_dad=0")
	w.IP(fmt.Sprintf(`addr add %[1]s/32 dev eth0
addr add %[2]s/128 dev eth0 nodad
link set eth0 up
route add default via 10.0.%[3]d.1 dev eth0 onlink quickack 1
route add ::/0 via fe80::1 dev eth0 quickack 1
neigh add 10.0.%[3]d.1 lladdr %[4]s nud permanent dev eth0
neigh add fe80::1 lladdr %[4]s nud permanent dev eth0`, ip4, ip6, subnet, near))
	w.await(ip6)
	return w
}

// await waits until an IPv6 address can be used: the kernel makes it a local one
// in a work item of its own.
func (n *Namespace) await(address string) {
	n.t.Helper()
	for deadline := time.Now().Add(Patience); ; time.Sleep(time.Millisecond) {
		out, err := exec.Command("ip", "-n", n.Name, "-6", "route", "show", "table", "local").Output()
		if err == nil && strings.Contains(string(out), "local "+address+" ") {
			return
		}
		if time.Now().After(deadline) {
			n.t.Fatalf("%s does not become a local address: %v\n%s", address, err, out)
		}
	}
}
