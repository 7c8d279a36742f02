// SPDX-License-Identifier: Apache-2.0

package resolver

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/miekg/dns"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/resolver/control"
	"github.com/posternhq/postern/internal/resolver/shelf"
	"github.com/posternhq/postern/internal/resolver/upstream"
	"github.com/posternhq/postern/internal/resolver/wire"
	"github.com/posternhq/postern/internal/resolver/zone"
)

// Realms implements control.Served.
func (p *process) Realms(context.Context) ([]desired.Realm, error) {
	return p.book.world.Load().Realms(), nil
}

// Dump implements control.Served. A VPC that is not served is not there.
func (p *process) Dump(_ context.Context, realm desired.Realm) (list []desired.Entry, err error) {
	for _, e := range p.book.world.Load().Dump(realm) {
		if r, ok := e.(desired.Resolver); ok && !p.sites.served(r.VPC) {
			continue
		}
		list = append(list, e)
	}
	return list, nil
}

// Apply implements control.Served.
func (p *process) Apply(_ context.Context, realm desired.Realm, put []desired.Entry, del []desired.Key) map[desired.Key]error {
	failed := p.book.apply(realm, put, del)
	for _, e := range put {
		if r, ok := e.(desired.Resolver); ok && failed[e.Key()] == nil {
			p.onward.Forget(r.VPC)
			if err := p.sites.want(r); err != nil {
				failed[e.Key()] = fmt.Errorf("put %s: %w", e.Key(), err)
			}
		}
	}
	for _, k := range del {
		if k.Kind == desired.KindResolver && failed[k] == nil {
			p.sites.drop(realm.Name())
			p.onward.Forget(realm.Name())
		}
	}
	return failed
}

// Lookup implements control.Served.
func (p *process) Lookup(ctx context.Context, q control.Question) (a control.Answer, err error) {
	kind := uint16(wire.TypeA)
	switch {
	case q.Text:
		kind = dns.TypeTXT
	case q.IPv6:
		kind = wire.TypeAAAA
	}
	reply, err := p.resolve(ctx, q, kind)
	if err != nil {
		return a, err
	}
	switch {
	case reply.Code == wire.NoError:
	case reply.Code == wire.NameError:
		a.Missing = true
	case reply.Problem != nil:
		return a, fmt.Errorf("look up %s: %w", q.Name, reply.Problem)
	default:
		return a, fmt.Errorf("look up %s: the resolver answers %s", q.Name, dns.RcodeToString[reply.Code])
	}
	least := ^uint32(0)
	for _, r := range reply.Answer {
		least = min(least, r.TTL)
		if r.Type != kind {
			continue
		}
		if q.Text {
			a.Texts = append(a.Texts, textOf(r.Data))
		} else if addr, ok := netip.AddrFromSlice(r.Data); ok {
			a.Addrs = append(a.Addrs, addr)
		}
	}
	if len(a.Addrs)+len(a.Texts) == 0 {
		least = 0
		for _, r := range reply.Authority {
			if r.Type == wire.TypeSOA {
				least = min(r.TTL, upstream.Minimum(r.Data))
			}
		}
	}
	a.TTL = time.Duration(least) * time.Second
	return a, nil
}

func (p *process) resolve(ctx context.Context, q control.Question, kind uint16) (wire.Reply, error) {
	if q.VPC != "" {
		return p.server.Resolve(ctx, q.VPC, q.Name, kind)
	}
	name, err := wire.AppendName(nil, q.Name)
	if err != nil {
		return wire.Reply{}, err
	}
	if reply, ok := p.published(name, kind); ok {
		return reply, nil
	}
	reply, err := p.onward.Forwarder.Ask(ctx, upstream.Question{Name: name, Type: kind, Fresh: true})
	if err != nil {
		return reply, fmt.Errorf("look up %s: %w", q.Name, err)
	}
	return p.leadBack(reply, kind), nil
}

// published answers what is asked in public for a name of endpoints, as the world would if
// it could ask for them: the upstream knows them only where it was told to.
func (p *process) published(name []byte, kind uint16) (reply wire.Reply, ok bool) {
	var a zone.Ask
	if a.Question.Read(wire.AppendQuestion(nil, 0, name, kind)) != wire.Asked {
		return reply, false
	}
	a.Answer.Begin(nil, &a.Question, true)
	if !p.book.world.Load().Public(&a) {
		return reply, false
	}
	reply, err := wire.Unpack(a.Answer.End(a.Code))
	return reply, err == nil
}

// leadBack has what an upstream server leads to the names of endpoints said by them. The
// aliases on the way stay, for their times.
func (p *process) leadBack(reply wire.Reply, kind uint16) wire.Reply {
	for i, r := range reply.Answer {
		if r.Type != dns.TypeCNAME {
			continue
		}
		if own, ok := p.published(r.Data, kind); ok {
			own.Answer = append(slices.Clone(reply.Answer[:i+1]), own.Answer...)
			return own
		}
	}
	return reply
}

// textOf joins the strings of a TXT record's data, as those do who look for one text.
func textOf(data []byte) string {
	var text []byte
	for len(data) > 0 {
		n := min(int(data[0]), len(data)-1)
		text, data = append(text, data[1:n+1]...), data[n+1:]
	}
	return string(text)
}

// UseShelf implements control.Served.
func (p *process) UseShelf(_ context.Context, s control.Shelf) error {
	if err := p.shelf.Use(shelf.Given(s)); err != nil {
		p.cfg.Log.Warn("the kernel answers nothing by itself", "error", err)
		return err
	}
	return nil
}

// Status implements control.Served. It takes each lock that answers wait for: one that is
// never given back is a process that does not answer, and is replaced. The lock of the
// copy on disk is not one of them.
func (p *process) Status(context.Context) (control.Status, error) {
	s := control.Status{
		Version: p.cfg.Version, Identity: p.cfg.Identity, PID: os.Getpid(), Since: p.since,
		Resolvers: p.sites.count(), Closed: p.sites.problems(), Listens: p.out.state(), Copy: p.book.onDisk(), Counters: map[string]int64{},
	}
	for _, a := range p.onward.servers() {
		u := control.Upstream{Addr: a.String()}
		u.Asked, u.Failed, u.Problem = p.onward.State(a)
		s.Upstream = append(s.Upstream, u)
	}
	c := p.onward.Counters()
	s.Counters["upstream: asked"] = c.Asked
	s.Counters["upstream: answered from memory"] = c.Cached
	s.Counters["upstream: without an answer"] = c.Failed
	s.Counters["upstream: refused"] = c.Refused
	s.Counters["sockets"] = int64(p.server.Sockets())
	if len(s.Listens) > 0 {
		o := p.server.Outsiders()
		s.Counters["outsiders: answered"], s.Counters["outsiders: beyond their pace"] = o.Answered, o.Refused
	}
	if p.shelf.Has() {
		s.Counters["answers put where the kernel gives them"] = p.shelf.Kept()
	}
	return s, nil
}
