// SPDX-License-Identifier: Apache-2.0

// Package resolver is the process that answers names for the VPCs of a host.
//
// It is told by the agent over a socket what to serve (package control), keeps that on
// disk (package journal), opens sockets in the routers of VPCs, and asks other servers
// for what is no zone's (package upstream). It needs nobody: it goes on while Postern is
// away. A newer process takes its place without a question lost: it is handed the open
// sockets, and what has not been read from them yet with them.
package resolver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/resolver/control"
	"github.com/posternhq/postern/internal/resolver/privilege"
	"github.com/posternhq/postern/internal/resolver/server"
	"github.com/posternhq/postern/internal/resolver/shelf"
	"github.com/posternhq/postern/internal/resolver/zone"
)

// JournalName is the name of what is served, in the data folder.
const JournalName = "names.txt"

// Config sets up a process.
type Config struct {
	// Folder is the data folder, Instance the mark by which routers are named.
	Folder, Instance string
	// Upstream are the servers for what no zone has; none are those of the machine, as
	// ResolvConf has them, and NoUpstream means none at all.
	Upstream   []netip.AddrPort
	NoUpstream bool
	// Listen are addresses of the host at which everybody is told the names of endpoints,
	// which are below Domain.
	Listen []netip.AddrPort
	Domain string
	// ResolvConf is a path. Default /etc/resolv.conf.
	ResolvConf string
	// Identity is what tells one program and set of flags from another one: the agent
	// replaces a process that has another one than it would start.
	Identity, Version string
	Log               *slog.Logger
}

// How often routers are looked at, how long what was asked is answered at the end, and
// how long a start waits for its turn.
const (
	lookEvery = time.Second
	lastWords = 6 * time.Second
	turnTime  = 30 * time.Second
)

// garbage is how much may lie around, in percent of what is served. Answers leave none,
// and there is a resolver on each host beside all else.
const garbage = 40

// process is a running resolver.
type process struct {
	cfg    Config
	since  time.Time
	lock   *lock
	book   *book
	sites  *sites
	out    *outside
	onward *onward
	server *server.Server
	shelf  *shelf.Shelf
	stop   context.CancelFunc
	gone   chan struct{} // closed when another process has the sockets
}

// Run serves until the context ends, or another process has taken over. It takes over
// itself from a process that serves the folder.
func Run(ctx context.Context, c Config) error {
	if c.ResolvConf == "" {
		c.ResolvConf = "/etc/resolv.conf"
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbage)
	}
	raiseFiles()
	l, err := openLock(c.Folder)
	if err != nil {
		return err
	}
	defer l.close()
	p := &process{cfg: c, since: time.Now(), lock: l, gone: make(chan struct{}), shelf: shelf.New()}
	p.onward = newOnward(c.Instance, c.Upstream, c.NoUpstream, c.ResolvConf)
	if p.server, err = server.New(server.Options{Upstream: p.onward, Shelf: p.shelf}); err != nil {
		return fmt.Errorf("start resolver: %w", err)
	}
	defer p.server.Close()
	p.sites = newSites(c.Instance, p.server, c.Log)
	p.sites.shelf = p.shelf
	if p.out, err = newOutside(c.Listen, c.Domain, p.server, c.Log); err != nil {
		return err
	}
	ctx, p.stop = context.WithCancel(ctx)
	defer p.stop()
	if err := p.begin(ctx); err != nil {
		return err
	}
	return p.serve(ctx)
}

// Confine leaves this process what Run needs and no more; see privilege.Drop. It is
// called before anything else is begun.
func Confine(folder string) error {
	raiseFiles() // which needs a privilege, and is inherited
	return privilege.Drop(folder)
}

// raiseFiles allows as many descriptors as the machine lets: six for each VPC, twice.
func raiseFiles() {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil {
		return
	}
	limit.Cur = limit.Max
	if more := (unix.Rlimit{Cur: 1 << 19, Max: max(limit.Max, 1<<19)}); unix.Setrlimit(unix.RLIMIT_NOFILE, &more) != nil {
		_ = unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)
	}
}

// begin gets the right to serve, the names and the sockets: by itself when nobody has
// them, and from the process that does otherwise.
func (p *process) begin(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, turnTime)
	defer cancel()
	client := control.NewClient(p.cfg.Folder)
	defer client.Close()
	for {
		got, err := p.lock.try()
		if err != nil {
			return err
		}
		if got {
			p.load()
			p.look()
			return nil
		}
		err = p.takeOver(ctx, client)
		if err == nil {
			return nil
		}
		p.cfg.Log.Info("another process serves the names and does not hand over", "error", err)
		select {
		case <-time.After(50 * time.Millisecond): // it starts or ends just now
		case <-ctx.Done():
			return fmt.Errorf("serve the names of %s: %w", p.cfg.Folder, errors.Join(err, ctx.Err()))
		}
	}
}

// load reads what is to be served.
func (p *process) load() {
	p.book = openBook(filepath.Join(p.cfg.Folder, JournalName), p.cfg.Instance, p.cfg.Log)
	p.book.changed = p.server.Swap
	world := p.book.world.Load()
	p.server.Swap(world)
	p.sites.replace(resolversOf(world))
}

func resolversOf(world *zone.World) (list []desired.Resolver) {
	for _, realm := range world.Realms() {
		if r, ok := resolverOf(world, realm); ok {
			list = append(list, r)
		}
	}
	return list
}

// resolverOf finds the entry that says a realm to be a VPC's.
func resolverOf(world *zone.World, realm desired.Realm) (desired.Resolver, bool) {
	for _, e := range world.Dump(realm) {
		if r, ok := e.(desired.Resolver); ok {
			return r, true
		}
	}
	return desired.Resolver{}, false
}

// takeOver takes the sockets of the process that serves now. From when it has them both
// answer; then the other one reads no more, and ends.
func (p *process) takeOver(ctx context.Context, client *control.Client) error {
	conn, err := client.TakeOver(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	list, err := receiveSockets(conn)
	if err != nil {
		return err
	}
	p.load() // nothing is changed since it began to hand over
	p.sites.adopt(p.out.adopt(list))
	if err := conn.SetDeadline(time.Now().Add(handTime)); err != nil {
		return err
	}
	if _, err := conn.Write([]byte{serving}); err != nil {
		return p.back(list, err)
	}
	if err := await(conn, released); err != nil {
		p.cfg.Log.Warn("the process before this one did not end in order", "error", err)
	}
	return p.lock.wait(ctx)
}

// back gives up what was taken over.
func (p *process) back(list []socket, err error) error {
	for _, k := range list {
		p.sites.drop(k.VPC)
	}
	p.out.close()
	return err
}

// look opens what should be open and is not, and closes what should not be.
func (p *process) look() {
	p.sites.look()
	p.out.look()
}

// serve listens to the agent and looks at the routers until the end.
func (p *process) serve(ctx context.Context) error {
	p.book.begin()
	p.out.look() // before anybody is told how it is
	desk, err := control.Listen(p.cfg.Folder, p)
	if err != nil {
		return err
	}
	p.cfg.Log.Info("names are served", "version", p.cfg.Version, "pid", os.Getpid(), "vpcs", p.sites.count())
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		err := desk.Serve()
		p.stop()
		return err
	})
	g.Go(func() error {
		p.watch(ctx)
		return desk.Close()
	})
	err = g.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), lastWords)
	defer cancel()
	return errors.Join(err, p.server.Drain(ctx))
}

// watch looks at what others can change, again and again.
func (p *process) watch(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.gone:
			return
		case <-tick.C:
			p.look()
			p.book.look()
		}
	}
}

// HandOver implements control.Served.
func (p *process) HandOver(conn *net.UnixConn) error {
	err := p.book.giveUp(func() error {
		if err := sendSockets(conn, append(p.sites.sockets(), p.out.sockets()...)); err != nil {
			return err
		}
		if err := conn.SetDeadline(time.Now().Add(handTime)); err != nil {
			return err
		}
		return await(conn, serving)
	})
	if err != nil {
		p.cfg.Log.Warn("names are not handed over", "error", err)
		return err
	}
	close(p.gone)
	p.shelf.GiveUp()
	now, cancel := context.WithCancel(context.Background())
	cancel()
	_ = p.server.Drain(now) // reads nothing from here on; serve waits for what was read to be answered
	p.out.leave()
	err = p.lock.release()
	_, said := conn.Write([]byte{released})
	p.stop()
	return errors.Join(err, said)
}

// Stop implements control.Served.
func (p *process) Stop() { p.stop() }
