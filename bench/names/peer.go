// SPDX-License-Identifier: Apache-2.0

package names

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/posternhq/postern/bench/load"
	"github.com/posternhq/postern/test/child"
	"github.com/posternhq/postern/test/testnet"
)

// Where the peers are asked; Postern's resolver would be at the first one too.
const (
	unboundAt = "10.0.0.2"
	dnsmasqAt = "10.0.0.3"
)

// ending is how long a peer may take to end.
const ending = 10 * time.Second

// frames is the size of Postern's frames at workloads.
const frames = 9001

// lab is the topology of the peers: a client with one link to the namespace in
// which they are, as a workload has one to its VPC's router.
type lab struct {
	belongings
	client, router *testnet.NS
	agent          *load.Agent // at the client
}

// newLab builds the lab. The caller calls Close, also when this fails.
func newLab() (l *lab, err error) {
	l = &lab{}
	if l.client, err = l.Namespace(); err != nil {
		return l, err
	}
	if l.router, err = l.Namespace(); err != nil {
		return l, err
	}
	err = l.client.Run(func() error {
		attrs := netlink.NewLinkAttrs()
		attrs.Name, attrs.MTU = "eth0", frames
		return netlink.LinkAdd(&netlink.Veth{
			LinkAttrs: attrs, PeerName: "client", PeerMTU: frames, PeerNamespace: netlink.NsFd(l.router.FD()),
		})
	})
	if err != nil {
		return l, fmt.Errorf("add the link of the client: %w", err)
	}
	return l, errors.Join(raise(l.client, "eth0", workload), raise(l.router, "client", "10.0.0.1", unboundAt, dnsmasqAt))
}

// raise gives a device its addresses.
func raise(ns *testnet.NS, device string, addresses ...string) error {
	return ns.Run(func() error {
		link, err := netlink.LinkByName(device)
		if err != nil {
			return err
		}
		for _, a := range addresses {
			address := &netlink.Addr{IPNet: &net.IPNet{IP: netip.MustParseAddr(a).AsSlice(), Mask: net.CIDRMask(16, 32)}}
			if err := netlink.AddrAdd(link, address); err != nil {
				return err
			}
		}
		return netlink.LinkSetUp(link)
	})
}

// peers are name servers with the same records.
type peers struct {
	belongings
	all []candidate
}

// serve starts the peers with n records, and returns when they answer. The
// caller calls Close, also when this fails.
func (l *lab) serve(ctx context.Context, n int) (p *peers, err error) {
	p = &peers{}
	folder, err := p.folder()
	if err != nil {
		return p, err
	}
	for _, each := range []struct {
		name, server, file string
		config             []byte
		command            []string
	}{
		{unbound, unboundAt, "unbound.conf", unboundConfig(folder, n), []string{"unbound", "-d", "-c"}},
		{dnsmasq, dnsmasqAt, "hosts", hostsFile(n), []string{"dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--bind-interfaces",
			"--listen-address=" + dnsmasqAt, "--no-resolv", "--no-hosts", "--local-ttl=60", "--cache-size=0", "--user=root", "--pid-file=", "--log-facility=-", "--addn-hosts"}},
	} {
		file := filepath.Join(folder, each.file)
		if err := os.WriteFile(file, each.config, 0o600); err != nil {
			return p, err
		}
		server, err := child.StartWithin(l.router.Run, exec.Command(each.command[0], append(each.command[1:], file)...))
		if err != nil {
			return p, err
		}
		p.Add(func() error {
			_, err := server.Stop(ending)
			return err
		})
		if err := answered(ctx, l.client, each.server, n); err != nil {
			return p, fmt.Errorf("%s: %w\n%s", each.name, err, server.Output())
		}
		p.all = append(p.all, candidate{each.name, l.client, l.agent, each.server})
	}
	return p, nil
}

// unboundConfig has unbound answer from its own data, with one thread and
// nothing else asked of it.
func unboundConfig(folder string, n int) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, `server:
	interface: %s
	do-daemonize: no
	username: ""
	chroot: ""
	directory: "%s"
	pidfile: ""
	num-threads: 1
	access-control: 0.0.0.0/0 allow
	use-syslog: no
	module-config: "iterator"
remote-control:
	control-enable: no
server:
`, unboundAt, folder)
	for z := range min(n, zoneCount) {
		fmt.Fprintf(&b, "\tlocal-zone: \"%s.\" static\n", zoneName(z))
	}
	for i := range n {
		fmt.Fprintf(&b, "\tlocal-data: \"%s. 60 IN A %s\"\n", hostName(i), hostAddress(i))
	}
	return []byte(b.String())
}

// hostsFile has the records for dnsmasq, as hosts(5).
func hostsFile(n int) []byte {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%s %s\n", hostAddress(i), hostName(i))
	}
	return []byte(b.String())
}
