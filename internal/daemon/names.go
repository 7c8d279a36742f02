// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/posternhq/postern/internal/agent/follow"
	"github.com/posternhq/postern/internal/dataplane/names"
	"github.com/posternhq/postern/internal/resolver/control"
	"github.com/posternhq/postern/internal/service/postern"
)

// noUpstream, in the place of servers, says that no server is asked.
const noUpstream = "none"

// dnsPort is that of servers without one.
const dnsPort = 53

// ParseUpstream reads the servers that are asked for what no zone has: addresses, with a
// port or without. Nothing means those of the machine; none is that nobody is asked.
func ParseUpstream(list []string) (servers []netip.AddrPort, none bool, err error) {
	if len(list) == 1 && list[0] == noUpstream {
		return nil, true, nil
	}
	for _, text := range list {
		at, err := netip.ParseAddrPort(text)
		if err != nil {
			var addr netip.Addr
			if addr, err = netip.ParseAddr(strings.Trim(text, "[]")); err == nil {
				at = netip.AddrPortFrom(addr, dnsPort)
			}
		}
		if err != nil || at.Port() == 0 || at.Addr().IsMulticast() || at.Addr().IsUnspecified() {
			return nil, false, fmt.Errorf("--upstream %q: want the address of a server, with a port or without, or %s", text, noUpstream)
		}
		servers = append(servers, at)
	}
	return servers, false, nil
}

// newNames prepares the process that resolves names for a host.
func newNames(c Config, instance string, renewed func()) *names.Names {
	var flags []string
	if len(c.Upstream) > 0 {
		flags = []string{"--upstream", strings.Join(c.Upstream, ",")}
	}
	return names.New(names.Config{
		Folder: c.Data, Instance: instance, Program: c.Program, Command: []string{names.Verb}, Flags: flags, Version: c.Version,
		Renewed: renewed, Log: c.Log,
	})
}

// lookup has names resolved for the agent.
type lookup struct{ names *names.Names }

// Lookup implements follow.Lookup.
func (l lookup) Lookup(ctx context.Context, q follow.Question) (follow.Answer, error) {
	a, err := l.names.Lookup(ctx, control.Question{Name: q.Name, IPv6: q.IPv6, VPC: q.VPC})
	if err == nil && len(a.Addrs) == 0 {
		err = follow.ErrNone
	}
	return follow.Answer{Addrs: a.Addrs, TTL: a.TTL}, err
}

// texts is makers.Texts, by the upstream servers.
func (l lookup) texts(ctx context.Context, name string) ([]string, error) {
	a, err := l.names.Lookup(ctx, control.Question{Name: name, Text: true})
	return a.Texts, err
}

// namesTime bounds how long the process that resolves names is asked how it is.
const namesTime = time.Second

// addNames adds how the process that resolves names is, when there is one.
func (p *plane) addNames(s *postern.DataplaneStatus) {
	ctx, cancel := context.WithTimeout(context.Background(), namesTime)
	defer cancel()
	n, err := p.names.Status(ctx)
	own := p.names.State()
	if own.Hung > 0 {
		s.Counters["resolver: did not answer and was replaced"] = own.Hung
	}
	switch {
	case errors.Is(err, control.ErrNobody):
		if own.Problem != nil {
			s.State += "; names are not resolved: " + own.Problem.Error()
		}
		return
	case err != nil:
		s.State += "; the process that resolves names does not answer"
		return
	}
	for name, count := range n.Counters {
		s.Counters["resolver: "+name] = count
	}
	s.Counters["resolver: process"] = int64(n.PID)
	s.Counters["resolver: vpcs"] = int64(n.Resolvers)
	s.Counters["resolver: upstream servers"] = int64(len(n.Upstream)) // without any, what no zone has is refused
	for _, u := range n.Upstream {
		if u.Problem != "" {
			s.State += fmt.Sprintf("; upstream server %s: %s", u.Addr, u.Problem)
		}
	}
	if n.Copy != "" {
		s.State += "; names are not on disk: " + n.Copy
	}
}
