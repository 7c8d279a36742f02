// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/posternhq/postern/internal/agent/roles"
	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/model"
)

// Network is what servers are asked over.
type Network interface {
	// Dial opens a TCP connection as those of a gateway of a VPC are opened.
	Dial(ctx context.Context, vpc string, gateway netip.Addr, to netip.AddrPort) (net.Conn, error)
}

// Control is what a Watcher asks and tells whoever has the rows. Its methods may be called
// from many goroutines.
type Control interface {
	// Access gives what a database is asked with.
	Access(ctx context.Context, database string) (Access, error)
	// Tell takes what is known of a database, when it is something else than before.
	Tell(ctx context.Context, r Report) error
}

// Report is how it stands with a database.
type Report struct {
	Database string
	// Writer is the id of the member that writes; empty when that is not known.
	Writer string
	// Up are the members that take connections, Readers those that others are led to for
	// reading, and Troubles is what is the matter with
	// members, by their ids.
	Up       map[string]bool
	Readers  []string
	Troubles map[string]string
	// Wrong is what is the matter with the whole: that nobody writes, or several do; empty
	// when all is well. Members are named by their ids.
	Wrong string
	// Events are what happened since the report before.
	Events []string
}

// Config sets up a Watcher. All fields are required but those with a default.
type Config struct {
	Network Network
	Control Control
	// Roles is where it is said who does what.
	Roles *roles.Board
	// Every is how often a server is asked, and how long it has to answer. Default 500 ms.
	Every time.Duration
	// Soon is how often while something is in doubt. Default 50 ms.
	Soon time.Duration
	// Seldom is how often a database that nobody is led to is asked. Default 5 s.
	Seldom time.Duration
	// Doubt is how long servers are asked so often, if the doubt stays: from then on twice
	// as rarely as Every. Default 2 min: managers of databases take from ten seconds to a
	// minute to find that a writer is gone, and then promote another one (Patroni's ttl is
	// 30 s, repmgr tries six times with pauses of 10 s).
	Doubt time.Duration
	// Log receives what a person cares about. Default slog.Default().
	Log *slog.Logger
}

// Watcher watches databases, those that desired.Watch entries name. It implements
// reconcile.Effects for these.
type Watcher struct {
	cfg Config

	mu      sync.Mutex
	watched map[desired.Realm]*watched
	closed  bool
	work    sync.WaitGroup
}

// New makes a Watcher of nothing.
func New(cfg Config) *Watcher {
	cfg.Every, cfg.Soon, cfg.Doubt = cmp.Or(cfg.Every, 500*time.Millisecond), cmp.Or(cfg.Soon, 50*time.Millisecond), cmp.Or(cfg.Doubt, 2*time.Minute)
	cfg.Seldom = cmp.Or(cfg.Seldom, 5*time.Second)
	cfg.Log = cmp.Or(cfg.Log, slog.Default())
	return &Watcher{cfg: cfg, watched: map[desired.Realm]*watched{}}
}

// Kinds are those that a Watcher carries out.
func Kinds() []desired.Kind { return []desired.Kind{desired.KindWatch} }

// watched is one database that is watched.
type watched struct {
	entry desired.Watch
	cfg   *Config
	end   context.CancelFunc
	ended chan struct{}

	mu        sync.Mutex
	judge     *judge
	doubtful  time.Time // since when; zero when nothing is in doubt
	published bool
	events    []string
	wake      map[string]chan struct{} // of each member's goroutine
	news      chan struct{}            // holds at most one: there is something to Tell
}

// begin begins to watch. The caller holds the lock.
func (w *Watcher) begin(entry desired.Watch) {
	ctx, end := context.WithCancel(context.Background())
	d := &watched{entry: entry, cfg: &w.cfg, end: end, ended: make(chan struct{}), news: make(chan struct{}, 1), wake: map[string]chan struct{}{}}
	w.watched[entry.Key().Realm] = d
	w.work.Go(func() {
		defer close(d.ended)
		d.run(ctx)
	})
}

// run watches until the context is done.
func (d *watched) run(ctx context.Context) {
	access, ok := d.access(ctx)
	if !ok {
		return
	}
	var ids []string
	for _, m := range d.entry.Members {
		ids = append(ids, m.Member)
		d.wake[m.Member] = make(chan struct{}, 1)
	}
	d.judge = newJudge(d.entry.ID, ids, access.Writer, d.entry.MaxLag, d.entry.Ask == model.AskTCP)
	var work sync.WaitGroup
	defer work.Wait()
	work.Go(func() { d.tell(ctx) })
	for _, m := range d.entry.Members {
		work.Go(func() { d.watch(ctx, m, access) })
	}
}

// access waits for what the database is asked with; false says that the context is done.
func (d *watched) access(ctx context.Context) (a Access, ok bool) {
	for {
		a, err := d.cfg.Control.Access(ctx, d.entry.ID)
		if err == nil {
			return a, true
		}
		if ctx.Err() == nil {
			d.cfg.Log.Warn("a registered database cannot be asked yet", "database", d.entry.ID, "error", err)
		}
		if !pause(ctx, nil, 2*d.cfg.Every) {
			return a, false
		}
	}
}

// pause waits for a time, or until it is woken; false says that the context is done.
func pause(ctx context.Context, wake <-chan struct{}, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
	case <-wake:
	}
	return ctx.Err() == nil
}

// watch asks one member again and again until the context is done.
func (d *watched) watch(ctx context.Context, m desired.MemberAddr, access Access) {
	wake, said := d.wake[m.Member], new(ration)
	q := question{access: access, member: m.Member, addr: netip.AddrPortFrom(m.Addr, d.entry.Port), rest: d.entry.REST}
	q.dial = func(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
		conn, err := d.cfg.Network.Dial(ctx, d.entry.VPC, d.entry.Gateway, to)
		if err != nil {
			return nil, err
		}
		return said.on(attended(conn, func() { kick(wake) })), nil
	}
	how := askers[d.entry.Ask]
	if how == nil {
		d.cfg.Log.Error("a registered database is to be asked in a way that is not known", "database", d.entry.ID, "ask", d.entry.Ask)
		return
	}
	a := how(q)
	defer a.close()
	for {
		said.renew()
		limited, cancel := context.WithTimeout(ctx, d.cfg.Every)
		answer := a.ask(limited)
		cancel()
		if ctx.Err() != nil {
			return
		}
		wait := d.heard(m.Member, answer)
		if answer.Err != nil && !answer.Alive { // it may hang up on whoever comes
			if !pause(ctx, nil, d.cfg.Soon) {
				return
			}
			wait = max(0, wait-d.cfg.Soon)
		}
		if !pause(ctx, wake, wait) {
			return
		}
	}
}

// heard takes in an answer, says at once what follows from it, and gives the time until the
// member is asked again.
func (d *watched) heard(member string, a Answer) time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	wasDoubt := d.judge.doubt()
	events := d.judge.hears(member, a)
	for _, e := range events {
		d.cfg.Log.Info("registered database", "database", d.entry.ID, "event", e)
	}
	d.events = append(d.events, events...)
	if d.published = d.published || d.judge.complete(); d.published {
		d.cfg.Roles.Set(d.judge.roles())
	}
	kick(d.news)
	switch doubt := d.judge.doubt(); {
	case !doubt:
		d.doubtful = time.Time{}
		return jittered(d.pace())
	case !wasDoubt || d.doubtful.IsZero():
		d.doubtful = time.Now()
		for _, wake := range d.wake {
			kick(wake)
		}
	}
	if time.Since(d.doubtful) < d.cfg.Doubt && !d.entry.Seldom {
		return d.cfg.Soon
	}
	return jittered(2 * d.cfg.Every)
}

// pace is how often a server is asked while nothing is in doubt.
func (d *watched) pace() time.Duration {
	if d.entry.Seldom {
		return d.cfg.Seldom
	}
	return d.cfg.Every
}

// jittered spreads servers that are asked together; it is never longer than asked for.
func jittered(d time.Duration) time.Duration { return d - time.Duration(rand.Int64N(int64(d)/5+1)) }

// tell says how it stands whenever that has changed, until the context is done.
func (d *watched) tell(ctx context.Context) {
	var told *Report
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.news:
		}
		r := d.report()
		if told != nil && r.same(*told) {
			continue
		}
		for {
			err := d.cfg.Control.Tell(ctx, r)
			if err == nil {
				told = &r
				break
			}
			if ctx.Err() == nil {
				d.cfg.Log.Warn("how it stands with a registered database is not written down yet", "database", d.entry.ID, "error", err)
			}
			if !pause(ctx, nil, 2*d.cfg.Every) {
				return
			}
			events := r.Events
			r = d.report()
			r.Events = append(events, r.Events...)
		}
	}
}

// report takes what there is to say.
func (d *watched) report() Report {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.judge.roles()
	r := Report{Database: d.entry.ID, Writer: now.Writer, Up: now.Up, Readers: now.Readers, Troubles: map[string]string{}, Events: d.events}
	d.events = nil
	if d.judge.asked() {
		w := d.judge.find(r.Writer)
		switch {
		case d.judge.split != nil:
			r.Wrong = fmt.Sprintf("two writers: %s say that they write; connections stay with %s", strings.Join(d.judge.split, " and "), cmp.Or(r.Writer, "nobody"))
		case w == nil || w.down() || w.last.Err == nil && !w.last.Writes && !d.judge.byPort:
			r.Wrong = "nobody says that it writes; connections stay where they went"
		}
	}
	for _, m := range d.judge.members {
		if !m.heard {
			delete(r.Up, m.id)
		}
		switch {
		case m.strange:
			r.Troubles[m.id] = "it is of another database: its system identifier is " + m.last.System
		case m.last.Err != nil && (m.last.Alive || m.failed >= failures):
			r.Troubles[m.id] = m.last.Err.Error()
		}
	}
	return r
}

// same compares reports that have nothing new to tell.
func (r Report) same(o Report) bool {
	return len(r.Events) == 0 && r.Writer == o.Writer && r.Wrong == o.Wrong && maps.Equal(r.Up, o.Up) && slices.Equal(r.Readers, o.Readers) && maps.Equal(r.Troubles, o.Troubles)
}

func kick(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
