// SPDX-License-Identifier: Apache-2.0

package resolver

import (
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/resolver/server"
	"github.com/posternhq/postern/internal/resolver/zone"
)

// outside is where the host itself answers for the names of endpoints, to whoever asks:
// at addresses of its own, in its own namespace.
type outside struct {
	front     front
	authority *zone.Authority
	log       *slog.Logger

	mu     sync.Mutex
	places []*place
}

// place is an address that is to be served.
type place struct {
	at      netip.AddrPort
	sockets []socket
	problem error // why they are not open
}

// newOutside prepares to serve a domain at some addresses, maybe none.
func newOutside(at []netip.AddrPort, domain string, front front, log *slog.Logger) (*outside, error) {
	o := &outside{front: front, log: log}
	if len(at) == 0 {
		return o, nil
	}
	var addrs []netip.Addr
	for _, a := range at {
		o.places = append(o.places, &place{at: a})
		if !slices.Contains(addrs, a.Addr()) {
			addrs = append(addrs, a.Addr())
		}
	}
	var err error
	o.authority, err = zone.NewAuthority(domain, addrs)
	return o, err
}

// adopt takes what another process had open for outsiders out of a list, and gives the
// rest. What is not wanted is closed.
func (o *outside) adopt(list []socket) (rest []socket) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, k := range list {
		if k.Port == 0 {
			rest = append(rest, k)
			continue
		}
		i := slices.IndexFunc(o.places, func(p *place) bool { return p.at == netip.AddrPortFrom(k.Addr, k.Port) })
		if i < 0 {
			unix.Close(k.fd)
			continue
		}
		o.places[i].sockets = append(o.places[i].sockets, k)
	}
	for _, p := range o.places {
		if len(p.sockets) > 0 {
			p.problem = o.give(p)
		}
	}
	return rest
}

// look opens what is not open: an address that another program has may be free now.
func (o *outside) look() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, p := range o.places {
		if len(p.sockets) > 0 {
			continue
		}
		before := p.problem
		if p.sockets, p.problem = openOutside(p.at); p.problem == nil {
			p.problem = o.give(p)
		}
		switch {
		case p.problem != nil && before == nil:
			o.log.Warn("names of endpoints are not served to others", "problem", p.problem)
		case p.problem == nil:
			o.log.Info("names of endpoints are served to others", "at", p.at)
		}
	}
}

// give has the front answer what comes to the sockets of a place.
func (o *outside) give(p *place) error {
	for i := range p.sockets {
		if err := hand(o.front, &p.sockets[i], server.Socket{Authority: o.authority}); err != nil {
			o.shut(p)
			return err
		}
	}
	return nil
}

// shut closes the sockets of a place, here and at the front.
func (o *outside) shut(p *place) {
	for _, k := range p.sockets {
		if k.front > 0 {
			o.front.Remove(k.front)
		}
	}
	closeAll(p.sockets)
	p.sockets = nil
}

// close closes all that is open.
func (o *outside) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, p := range o.places {
		o.shut(p)
	}
}

// leave closes all that is open here, for good: another process has what it took over, and
// what it did not take is nobody's when it begins.
func (o *outside) leave() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, p := range o.places {
		o.shut(p)
	}
	o.places = nil
}

// hand gives a descriptor of a socket to the front. Another one is kept, to hand it on.
func hand(to front, k *socket, as server.Socket) error {
	fd, err := unix.FcntlInt(uintptr(k.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return err
	}
	as.FD, as.Stream, as.VPC = fd, k.Stream, k.VPC
	if err := to.Add(as); err != nil {
		unix.Close(fd)
		return err
	}
	k.front = fd
	return nil
}

// openOutside opens the sockets of an address in the host's own namespace.
func openOutside(at netip.AddrPort) (list []socket, err error) {
	for _, stream := range []bool{false, true} {
		fd, err := bind(at, stream, false)
		if err != nil {
			closeAll(list)
			return nil, fmt.Errorf("open a socket on %s: %w", at, err)
		}
		list = append(list, socket{Addr: at.Addr(), Port: at.Port(), Stream: stream, fd: fd})
	}
	return list, nil
}

// TryOutside says why an address cannot be served, if it cannot.
func TryOutside(at netip.AddrPort) error {
	list, err := openOutside(at)
	closeAll(list)
	return err
}

// sockets lists all that are open.
func (o *outside) sockets() (list []socket) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, p := range o.places {
		list = append(list, p.sockets...)
	}
	return list
}

// state tells of each address whether it is served, or why not.
func (o *outside) state() map[string]string {
	o.mu.Lock()
	defer o.mu.Unlock()
	state := map[string]string{}
	for _, p := range o.places {
		text := ""
		if p.problem != nil {
			text = p.problem.Error()
		}
		state[p.at.String()] = text
	}
	return state
}
