// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/dataplane/express"
	"github.com/posternhq/postern/internal/dataplane/nft"
)

const (
	// enoughConnections holds about 4,000 new connections a second for the
	// 60 s that each is remembered after its end.
	enoughConnections = 262144
	// enoughNeighbours is far above the interfaces of one host: all namespaces
	// share the neighbour tables.
	enoughNeighbours = 4096
	// sharedNeighbours is what the limit of neighbours means.
	sharedNeighbours = "All namespaces of the host share one table of neighbours, and when it is full none of them can ask for a new one. " +
		"Postern's routers and workloads take no place in it; the host's other interfaces and containers do."
	// loopback is the index of lo in every namespace.
	loopback = 1
)

var probes = []probe{
	{
		name: "network namespaces", needed: true, good: "a namespace can be made and entered",
		advice: "Use a kernel with CONFIG_NET_NS; inside a container, give it CAP_SYS_ADMIN.",
		try:    func(context.Context) (string, error) { return "", nil },
	},
	{
		name: "veth", needed: true, good: "a pair can be made",
		advice: "Load the module veth.",
		try:    func(context.Context) (string, error) { return "", makeVeth() },
	},
	{
		name: "nft program", needed: true, open: true,
		advice: "Install the package nftables.",
		try:    nftVersion,
	},
	rules("nftables", `table inet t { chain c { type filter hook forward priority filter; policy drop; }
	}`),
	rules("nftables: translation", `table inet t {
		map m { type ipv4_addr : ipv4_addr; }
		chain d { type nat hook prerouting priority dstnat; dnat ip to ip daddr map @m; }
		chain s { type nat hook postrouting priority srcnat; snat ip to ip saddr & 0.0.0.63 | 240.0.0.64; }
	}`),
	rules("nftables: connection tracking", `table inet t {
		chain c { type filter hook forward priority filter; ct state vmap { established : accept, invalid : drop }
			ct status dnat accept
			ct original ip daddr 240.0.0.1 accept
		}
	}`),
	rules("nftables: reject before routing", `table inet t {
		chain c { type filter hook prerouting priority -110; meta l4proto tcp reject with tcp reset
			reject with icmpx type host-unreachable
		}
	}`),
	rules("nftables: route lookup", `table inet t {
		chain c { type filter hook prerouting priority -110; fib saddr . iif oif missing drop; }
	}`),
	rules("nftables: rare packets", `table inet t {
		chain c { type filter hook prerouting priority raw; ip hdrlength > 5 drop; exthdr hbh exists drop
			icmp type destination-unreachable ip saddr set @th,192,32; ip6 saddr set @th,256,128
		}
	}`),
	rules("nftables: concatenated keys", `table inet t {
		set p { type ipv4_addr . inet_service; }
		map v { type ipv4_addr : verdict; }
		chain c { type filter hook forward priority filter; ip daddr . tcp dport @p accept; ip saddr vmap @v; }
	}`),
	rules("nftables: counted connections", `table inet t {
		set s { typeof meta iif; flags dynamic; size 100; }
		set f { typeof meta iif; flags dynamic,timeout; timeout 1s; size 100; }
		counter n { }
		chain c { type nat hook prerouting priority dstnat; iif @f counter name n reject with icmpx type admin-prohibited
			numgen random mod 128 0 add @s { meta iif ct count over 400 } add @f { meta iif }
			delete @f { meta iif }
		}
	}`),
	rules("nftables: masked keys", `table inet t {
		set a { type ipv4_addr . ipv4_addr; }
		chain c { type filter hook forward priority filter; ip saddr & 255.255.255.192 . ct original ip daddr @a accept; }
	}`),
	{
		name: "connection tracking table", needed: true, good: "it can be read and changed",
		advice: "Load the module nf_conntrack_netlink.",
		try: func(context.Context) (string, error) {
			_, err := netlink.ConntrackTableList(netlink.ConntrackTable, unix.AF_INET)
			return "", err
		},
	},
	{
		name: "connection tracking settings", needed: true, good: "a namespace has its own",
		advice: "Use Linux 5.14 or later.",
		try:    trackingSettings,
	},
	{
		name: "proxy ARP", needed: true, good: "an interface can answer for others",
		advice: "Use a kernel with CONFIG_INET and /proc/sys mounted for writing.",
		try: func(context.Context) (string, error) {
			return "", os.WriteFile("/proc/sys/net/ipv4/conf/default/proxy_arp", []byte("1"), 0)
		},
	},
	{
		name: "IPv6", good: "it is there",
		advice: "Boot without ipv6.disable=1 to use VPCs with IPv6.",
		try:    func(context.Context) (string, error) { return "", exists("/proc/sys/net/ipv6/conf/all/forwarding") },
	},
	withShares(atLeast("connections at a time", "net.netfilter.nf_conntrack_max", enoughConnections, "It holds for each namespace by itself, and shares follow it.")),
	atLeast("IPv4 neighbours", "net.ipv4.neigh.default.gc_thresh3", enoughNeighbours, sharedNeighbours),
	atLeast("IPv6 neighbours", "net.ipv6.neigh.default.gc_thresh3", enoughNeighbours, sharedNeighbours),
	{
		name: "WireGuard (for other hosts)", good: "the kernel has it",
		advice: "Not needed yet: hosts are not joined by tunnels so far.",
		try: func(context.Context) (string, error) {
			return "", add(&netlink.Wireguard{LinkAttrs: netlink.LinkAttrs{Name: "wg0"}})
		},
	},
	{
		name: "express lane", good: "its program can be loaded and put on an interface",
		advice: "Not needed: all packets go through nftables then. It takes Linux 6.2 or later with BTF, cls_bpf and sch_ingress.",
		try:    func(context.Context) (string, error) { return "", express.Probe(loopback) },
	},
}

func makeVeth() error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = "probe0"
	return add(&netlink.Veth{LinkAttrs: attrs, PeerName: "probe1"})
}

// add makes an interface in the thread's namespace.
func add(link netlink.Link) error {
	if err := netlink.LinkAdd(link); err != nil {
		return fmt.Errorf("add %s interface: %w", link.Type(), err)
	}
	return nil
}

// trackingSettings wants the youngest of the settings that routers use, in a
// namespace: reading the table has loaded the module by then.
func trackingSettings(context.Context) (string, error) {
	for _, name := range []string{"tcp_loose", "tcp_be_liberal", "tcp_ignore_invalid_rst", "tcp_timeout_established"} {
		if err := exists("/proc/sys/net/netfilter/nf_conntrack_" + name); err != nil {
			return "", err
		}
	}
	return "", nil
}

func exists(path string) error {
	_, err := os.Stat(path)
	return err
}

// withShares tells what comes of the room for connections.
func withShares(p probe) probe {
	try := p.try
	p.try = func(ctx context.Context) (string, error) {
		found, err := try(ctx)
		if n, bad := strconv.Atoi(found[strings.LastIndexByte(found, ' ')+1:]); bad == nil {
			s := nft.DefaultShares(n)
			found += fmt.Sprintf(" for each router: %d of a client, %d of an association, %d from all other VPCs", s.Client, s.Association, s.Fabric)
		}
		return found, err
	}
	return p
}

// atLeast looks at a limit that the whole host shares. It is never needed: a
// small host does well with little.
func atLeast(name, sysctl string, want int, meaning string) probe {
	path := "/proc/sys/" + strings.ReplaceAll(sysctl, ".", "/")
	return probe{
		name: name, open: true,
		advice: fmt.Sprintf("%s Set %s = %d in /etc/sysctl.d when the host has many workloads or connections.", meaning, sysctl, want),
		try: func(context.Context) (string, error) {
			text, err := os.ReadFile(path)
			if errors.Is(err, fs.ErrNotExist) {
				return "", fmt.Errorf("%s cannot be seen: its module is not loaded yet, or this is not the network namespace that the machine began with", sysctl)
			}
			if err != nil {
				return "", err
			}
			n, err := strconv.Atoi(strings.TrimSpace(string(text)))
			if err == nil && n < want {
				err = fmt.Errorf("%s is %d", sysctl, n)
			}
			return fmt.Sprintf("%s is %d", sysctl, n), err
		},
	}
}
