// SPDX-License-Identifier: Apache-2.0

package follow

import (
	"cmp"
	"container/heap"
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/posternhq/postern/internal/agent/roles"
	"github.com/posternhq/postern/internal/desired"
)

// Config sets up a Follower. Lookup must be set.
type Config struct {
	Lookup Lookup
	// Prober probes addresses; nil is nobody.
	Prober Prober
	// Dialer opens connections to members of groups that are asked by HTTP; nil is nobody.
	Dialer Dialer
	// Checks is how many members of groups are asked at a time. Default 128.
	Checks int
	// Watcher tells of addresses at which connections of others fail. Those are probed at
	// once, and only that counts. Nil is nobody.
	Watcher Watcher
	// Patience is how long one look-up may take. Default 5 s: longer than the resolver waits
	// for its servers, so that it says which of them does not answer.
	Patience time.Duration
	// Parallel is how many look-ups of one view, a VPC or the public one, may be under
	// way. A view whose servers do not answer holds up no other. Default 32.
	Parallel int
	// Roles are those of databases. Nil knows none.
	Roles *roles.Board
	// Every is how often an address is probed, and how long a probe and the change that
	// follows from it may take together. Default 900 ms.
	Every time.Duration
	// Probes is how many addresses are probed each time. When there are more, those of
	// names that have waited longest have their turn. Default 512.
	Probes int
	// Share draws numbers from 0 to 1. Default rand.Float64.
	Share func() float64
	// Logger receives what a person cares about. Default slog.Default().
	Logger *slog.Logger
}

// Follower follows names. Its methods may be called from any goroutine.
type Follower struct {
	cfg     Config
	wake    chan struct{} // holds at most one: something is due earlier than it was
	changed chan struct{} // holds at most one: there is something to Pull
	moved   chan struct{} // holds at most one: other connections may have to be looked at
	check   chan struct{} // holds at most one: a member may be due earlier, or be asked

	mu    sync.Mutex
	names map[desired.Key]*name
	parts map[desired.Key]*part
	// balances are the entries that balance among members of groups, of whom asking are asked
	// at the moment.
	balances map[desired.Key]*balance
	asking   int
	// byDatabase are the parts by the ids of their databases.
	byDatabase map[string]map[*part]bool
	// turned are the keys of targets that are, or were last, those of names, parts of
	// databases or balances, with which of these.
	turned map[desired.Key]desired.Kind
	news   map[desired.Key]bool // names, parts and balances whose targets have changed, or were found
	due    queue
	views  map[string]*view
	land   *land
	// leading are the names that lead to endpoints.
	leading map[*name]bool
	turn    uint64 // of probing

	// probing belongs to the goroutine that begins probes.
	probing chan struct{} // has one for each probe under way
}

// view is who is asked, and what waits for that.
type view struct {
	asking  int
	waiting []*name
}

// New makes a Follower that follows nothing yet.
func New(cfg Config) *Follower {
	cfg.Patience = cmp.Or(cfg.Patience, 5*time.Second)
	cfg.Parallel = cmp.Or(cfg.Parallel, 32)
	cfg.Every = cmp.Or(cfg.Every, 900*time.Millisecond)
	cfg.Probes = cmp.Or(cfg.Probes, 512)
	cfg.Checks = cmp.Or(cfg.Checks, 128)
	cfg.Logger = cmp.Or(cfg.Logger, slog.Default())
	if cfg.Share == nil {
		cfg.Share = rand.Float64
	}
	f := &Follower{
		cfg: cfg, wake: make(chan struct{}, 1), changed: make(chan struct{}, 1), moved: make(chan struct{}, 1), check: make(chan struct{}, 1), probing: make(chan struct{}, cfg.Probes),
		names: map[desired.Key]*name{}, turned: map[desired.Key]desired.Kind{}, news: map[desired.Key]bool{}, views: map[string]*view{},
		land: newLand(), leading: map[*name]bool{}, parts: map[desired.Key]*part{}, byDatabase: map[string]map[*part]bool{},
		balances: map[desired.Key]*balance{},
	}
	if cfg.Roles != nil {
		cfg.Roles.Listen(f.turns)
	}
	return f
}

// Changed has something when there is something to Pull.
func (f *Follower) Changed() <-chan struct{} { return f.changed }

// Pull gives the targets that have changed since the call before, and those of names
// of which a first look-up has ended.
func (f *Follower) Pull() (targets []desired.Entry) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for key := range f.news {
		if n := f.names[key]; n != nil {
			targets = append(targets, n.target())
		}
		if p := f.parts[key]; p != nil {
			targets = append(targets, p.target())
		}
		if b := f.balances[key]; b != nil {
			targets = append(targets, b.target())
		}
	}
	clear(f.news)
	return targets
}

// Run asks and probes until ctx is done. It must be called once.
func (f *Follower) Run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { f.probe(ctx, &wg) })
	wg.Go(func() { f.watch(ctx, &wg) })
	wg.Go(func() { f.attend(ctx, &wg) })
	for {
		timer := time.NewTimer(f.ask(ctx, &wg))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		case <-f.wake:
		}
		timer.Stop()
	}
}

// idle is how long nothing is due when nothing is followed.
const idle = time.Hour

// ask begins the look-ups that are due and gives the time until others are.
func (f *Follower) ask(ctx context.Context, wg *sync.WaitGroup) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	for len(f.due) > 0 && !f.due[0].next.After(now) {
		n := heap.Pop(&f.due).(*name)
		v := f.view(n)
		if v.asking < f.cfg.Parallel {
			f.begin(ctx, wg, n, v)
		} else {
			v.waiting = append(v.waiting, n)
		}
	}
	for who, v := range f.views {
		for len(v.waiting) > 0 && v.asking < f.cfg.Parallel {
			n := v.waiting[0]
			v.waiting = v.waiting[1:]
			if f.names[n.key] == n {
				f.begin(ctx, wg, n, v)
			}
		}
		if v.asking == 0 {
			delete(f.views, who)
		}
	}
	if len(f.due) == 0 {
		return idle
	}
	return f.due[0].next.Sub(now)
}

func (f *Follower) view(n *name) *view {
	who := n.question().VPC
	v := f.views[who]
	if v == nil {
		v = &view{}
		f.views[who] = v
	}
	return v
}

// begin begins a look-up. The caller holds the lock.
func (f *Follower) begin(ctx context.Context, wg *sync.WaitGroup, n *name, v *view) {
	v.asking++
	n.begins(time.Now())
	q := n.question()
	wg.Go(func() {
		limited, cancel := context.WithTimeout(ctx, f.cfg.Patience)
		defer cancel()
		a, err := f.cfg.Lookup.Lookup(limited, q)
		f.end(ctx, n, v, a, err)
	})
}

// end takes in how a look-up ended, and lets the next one begin.
func (f *Follower) end(ctx context.Context, n *name, v *view, a Answer, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	v.asking--
	defer kick(f.wake)
	if f.names[n.key] != n || ctx.Err() != nil {
		return
	}
	before, door, found, well := n.target(), n.door, n.found, n.trouble == ""
	n.ends(time.Now(), a, err, f.cfg.Share())
	f.due.put(n)
	f.leads(n)
	f.tell(n, well)
	if !found || !desired.Equal(before, n.target()) {
		f.note(n)
	}
	if door != n.door {
		for _, other := range f.reweigh(nil, true) { // they may have gone in circles with it, or do now
			f.note(other)
		}
	}
}

// tell logs what became of a name.
func (f *Follower) tell(n *name, well bool) {
	log := f.cfg.Logger.With("name", n.entry.Name, "vpc", n.entry.VPC, "target", n.entry.Addr)
	switch is := n.trouble == ""; {
	case well && !is:
		log.Warn("name does not resolve; what is known of it stays in use", "error", n.trouble, "addresses", len(n.order))
	case !well && is:
		log.Info("name resolves again", "addresses", len(n.order))
	}
}

// note notes that the target of a name is to be told. The caller holds the lock.
func (f *Follower) note(n *name) {
	f.news[n.key] = true
	kick(f.changed)
	kick(f.moved)
}

func kick(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
