// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/posternhq/postern/internal/agent/follow"
	"github.com/posternhq/postern/internal/dataplane/express"
	"github.com/posternhq/postern/internal/dataplane/names"
	"github.com/posternhq/postern/internal/outlive"
	"github.com/posternhq/postern/internal/resolver"
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
		at, err := parseServer(text)
		if err != nil || at.Port() == 0 || at.Addr().IsMulticast() || at.Addr().IsUnspecified() {
			return nil, false, fmt.Errorf("--upstream %q: want the address of a server, with a port or without, or %s", text, noUpstream)
		}
		servers = append(servers, at)
	}
	return servers, false, nil
}

// parseServer reads the address of a server, with a port or without.
func parseServer(text string) (netip.AddrPort, error) {
	if at, err := netip.ParseAddrPort(text); err == nil {
		return at, nil
	}
	addr, err := netip.ParseAddr(strings.Trim(text, "[]"))
	if err != nil {
		return netip.AddrPort{}, err
	}
	return netip.AddrPortFrom(addr, dnsPort), nil
}

// ParseDNSListen reads the addresses at which everybody is told the names of endpoints:
// each is one of this machine, with a port or without. All addresses at once cannot be
// had: an answer has to leave from the one that was asked.
func ParseDNSListen(list []string) (addrs []netip.AddrPort, err error) {
	for _, text := range list {
		at, err := parseServer(text)
		at = netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
		switch {
		case err != nil || at.Port() == 0 || at.Addr().IsMulticast() || at.Addr().Zone() != "":
			return nil, fmt.Errorf("--dns-listen %q: want an address of this machine, with a port or without", text)
		case at.Addr().IsUnspecified():
			return nil, fmt.Errorf("--dns-listen %q: want the addresses one by one: answers have to leave from the one that was asked", text)
		case slices.Contains(addrs, at):
			return nil, fmt.Errorf("--dns-listen %q: named twice", text)
		}
		addrs = append(addrs, at)
	}
	return addrs, nil
}

// tryDNSListen says at which addresses names cannot be served: those that other programs
// have, or that are not there. What a resolver of the folder serves already it goes on
// serving.
func tryDNSListen(ctx context.Context, c Config) error {
	addrs, err := ParseDNSListen(c.DNSListen)
	if err != nil || len(addrs) == 0 {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, namesTime)
	defer cancel()
	client := control.NewClient(c.Data)
	defer client.Close()
	now, err := client.Status(ctx)
	if err != nil && !errors.Is(err, control.ErrNobody) {
		return nil // it has them or not: who takes its place will tell
	}
	var errs []error
	for _, at := range addrs {
		if problem, ok := now.Listens[at.String()]; ok && problem == "" {
			continue
		}
		if err := resolver.TryOutside(at); err != nil {
			errs = append(errs, fmt.Errorf("--dns-listen %s: %w", at, err))
		}
	}
	return errors.Join(errs...)
}

// newNames prepares the process that resolves names for a host.
func newNames(c Config, instance string, renewed func(), shelf func() (*express.Shelf, error)) *names.Names {
	var flags []string
	if len(c.Upstream) > 0 {
		flags = []string{"--upstream", strings.Join(c.Upstream, ",")}
	}
	if len(c.DNSListen) > 0 {
		flags = append(flags, "--listen", strings.Join(c.DNSListen, ","), "--suffix", c.DNSSuffix)
	}
	return names.New(names.Config{
		Always: len(c.DNSListen) > 0,
		Folder: c.Data, Instance: instance, Program: c.Program, Command: []string{names.Verb}, Flags: flags, Version: c.Version,
		Renewed: renewed, Log: c.Log, Unit: outlive.ServiceUnit(),
		Shelf: func() (*control.Shelf, error) {
			s, err := shelf()
			return (*control.Shelf)(s), err
		},
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
	for _, at := range slices.Sorted(maps.Keys(n.Listens)) {
		if problem := n.Listens[at]; problem != "" {
			s.State += "; names of endpoints are not served to others: " + problem
		}
	}
	if n.Copy != "" {
		s.State += "; names are not on disk: " + n.Copy
	}
}
