// SPDX-License-Identifier: Apache-2.0

package resolver

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/posternhq/postern/internal/dataplane/network"
	"github.com/posternhq/postern/internal/resolver/server"
	"github.com/posternhq/postern/internal/resolver/upstream"
	"github.com/posternhq/postern/internal/resolver/wire"
)

// onward passes on what no zone has, to the servers of a VPC or of the host.
type onward struct {
	*upstream.Forwarder
	servers  func() []netip.AddrPort
	instance string
}

func newOnward(instance string, fixed []netip.AddrPort, none bool, resolvConf string) *onward {
	o := &onward{instance: instance}
	switch {
	case none:
		o.servers = func() []netip.AddrPort { return nil }
	case len(fixed) > 0:
		o.servers = func() []netip.AddrPort { return fixed }
	default:
		o.servers = (&hostServers{path: resolvConf}).get
	}
	o.Forwarder = upstream.New(upstream.Config{Servers: o.servers, Dial: o.dial})
	return o
}

// dial opens a socket in the namespace of a VPC's router, or in the host's.
func (o *onward) dial(ctx context.Context, vpc, proto string, to netip.AddrPort) (conn net.Conn, err error) {
	dial := func() error {
		conn, err = new(net.Dialer).DialContext(ctx, proto, to.String())
		return err
	}
	if vpc == "" {
		return conn, dial()
	}
	ns, _, err := namespaceOf(o.instance, vpc)
	if err != nil {
		return nil, err
	}
	defer ns.Close()
	return conn, network.Inside(ns, dial)
}

// Ask implements server.Upstream.
func (o *onward) Ask(q server.Onward, done func(wire.Reply)) {
	var servers []netip.AddrPort
	for _, a := range q.Servers {
		servers = append(servers, netip.AddrPortFrom(a, port))
	}
	o.Start(upstream.Question{VPC: q.VPC, Client: q.Client, Servers: servers, Name: q.Name, Type: q.Type, Fresh: q.Fresh}, func(reply wire.Reply, err error) {
		switch {
		case errors.Is(err, upstream.ErrNone):
			reply = wire.Reply{Code: wire.Refused}
		case err != nil:
			reply = wire.Reply{Code: wire.ServerFailure, Problem: err}
		}
		done(reply)
	})
}

// hostServers are those of the machine's resolv.conf, as it is now.
type hostServers struct {
	path string

	mu      sync.Mutex
	looked  time.Time
	changed time.Time
	list    []netip.AddrPort
}

// lookAgain is how long the file is taken to be what it was.
const lookAgain = 2 * time.Second

func (h *hostServers) get() []netip.AddrPort {
	h.mu.Lock()
	defer h.mu.Unlock()
	if time.Since(h.looked) < lookAgain {
		return h.list
	}
	h.looked = time.Now()
	info, err := os.Stat(h.path)
	switch {
	case err != nil: // it may be written just now
		return h.list
	case info.ModTime().Equal(h.changed):
		return h.list
	}
	if file, err := os.Open(h.path); err == nil {
		defer file.Close()
		h.list, h.changed = readServers(bufio.NewScanner(file)), info.ModTime()
	}
	return h.list
}

// readServers reads the name servers of a resolv.conf(5).
func readServers(lines *bufio.Scanner) (list []netip.AddrPort) {
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 2 || fields[0] != "nameserver" {
			continue
		}
		if a, err := netip.ParseAddr(fields[1]); err == nil {
			list = append(list, netip.AddrPortFrom(a, port))
		}
	}
	return list
}
