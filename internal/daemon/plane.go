// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/posternhq/postern/internal/agent"
	"github.com/posternhq/postern/internal/agent/follow"
	"github.com/posternhq/postern/internal/agent/roles"
	"github.com/posternhq/postern/internal/agent/watch"
	"github.com/posternhq/postern/internal/control"
	"github.com/posternhq/postern/internal/control/makers"
	"github.com/posternhq/postern/internal/control/plan"
	"github.com/posternhq/postern/internal/dataplane"
	"github.com/posternhq/postern/internal/dataplane/names"
	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/engine/keeper"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/reconcile"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/store/etcdstore"
	"github.com/posternhq/postern/internal/trail"
)

// deltaQueue is how many changes may wait for the agent to take them. Taking
// one is quick; the queue is for bursts.
const deltaQueue = 256

// plane joins the controller and the agent of this host. It is the stream
// between them: the agent's source and its sink.
type plane struct {
	log       *slog.Logger
	dataplane *dataplane.Host
	names     *names.Names
	roles     *roles.Board // of databases
	watcher   *watch.Watcher
	keeper    *keeper.Keeper
	ledger    *ledger           // of the keeper
	effects   reconcile.Effects // all of them
	agent     *agent.Agent
	uplink    model.Uplink
	folder    string // the data folder
	deltas    chan desired.Delta
	onTheWay  onTheWay
	adopted   func()    // called once, by a goroutine of its own; set before control runs
	once      sync.Once // for adopted

	serving sync.Once
	served  chan struct{} // closed when processes may be started that outlive this one

	changed chan struct{} // has something when the kernel has changed

	mu         sync.Mutex
	controller *control.Controller // set before the first delta is sent
	told       chan struct{}       // closed when controller is set

	store  atomic.Pointer[etcdstore.Store] // nil until the services are there
	trail  atomic.Pointer[trail.Trail]
	makers atomic.Pointer[makers.Runner] // nil until they run

	cancel context.CancelFunc
	stop   <-chan struct{} // closed by cancel
	ended  chan struct{}   // closed when the agent has ended
}

// The agent waits so long for the first word of control before it goes by what is on
// disk. A store of this process is not away while it is read: with many rows that takes
// some seconds, and who goes by the disk meanwhile reads and compares the host twice.
const (
	patience    = 2 * time.Second // with an external store
	ownPatience = 15 * time.Second
)

// startPlane starts the agent. It reads the host, and then waits for what
// control sends; when that takes long it goes by the copy on disk meanwhile. The caller
// calls close, which closes the host too.
func startPlane(ctx context.Context, c Config, host *dataplane.Host, instance string) (*plane, error) {
	boot, err := bootID()
	if err != nil {
		return nil, err
	}
	p := &plane{
		log: c.Log, dataplane: host, roles: roles.NewBoard(), folder: c.Data, uplink: c.Outside.Uplink, ended: make(chan struct{}), served: make(chan struct{}), changed: make(chan struct{}, 1),
		deltas: make(chan desired.Delta, deltaQueue), told: make(chan struct{}),
	}
	ctx, p.cancel = context.WithCancel(ctx)
	p.stop = ctx.Done()
	p.names = newNames(c, instance, func() { p.reread(ctx) }, host.Shelf)
	if err := p.startKeeper(c, host, instance); err != nil {
		return nil, err
	}
	p.watcher = watch.New(watch.Config{Network: host, Control: register{p.ledger}, Roles: p.roles, Log: c.Log})
	if p.effects, err = compose(host, p.names, p.keeper, p.watcher); err != nil {
		return nil, err
	}
	p.agent = agent.New(agent.Config{
		Effects: p.effects, Source: p, Sink: p, StateFile: Folder(c.Data).DesiredFile(), Logger: c.Log, Lives: dataplane.Lives,
		Follow:    follow.Config{Lookup: lookup{p.names}, Prober: host, Dialer: host, Watcher: host, Roles: p.roles},
		Whose:     agent.Whose{Host: c.HostName, Instance: instance, Boot: boot},
		Reconcile: reconcile.Config{VerifyInterval: c.VerifyInterval},
	})
	go func() {
		defer close(p.ended)
		defer p.names.Close()
		defer p.watcher.Close()
		var watch sync.WaitGroup
		watch.Go(func() { p.watchShares(ctx, c.VerifyInterval) })
		watch.Go(func() { p.watchUplink(ctx) })
		watch.Go(func() { p.recall(ctx, len(c.Etcd) > 0) })
		watch.Go(func() { p.runNames(ctx) })
		watch.Go(func() { p.runKeeper(ctx) })
		watch.Go(func() { p.prepare(ctx) })
		p.agent.Run(ctx)
		watch.Wait()
	}()
	return p, nil
}

// compose makes one of what carries out entries on a host.
func compose(host *dataplane.Host, n *names.Names, k *keeper.Keeper, w *watch.Watcher) (reconcile.Effects, error) {
	return reconcile.Compose(
		reconcile.Part{Name: "data plane", Kinds: dataplane.Kinds(), Effects: host},
		reconcile.Part{Name: "names", Kinds: names.Kinds(), Effects: n},
		reconcile.Part{Name: "databases", Kinds: keeper.Kinds(), Effects: k},
		reconcile.Part{Name: "registered databases", Kinds: watch.Kinds(), Effects: w},
	)
}

// reread has the host compared with what is wanted, without waiting for the time.
func (p *plane) reread(ctx context.Context) {
	if _, err := p.agent.Reconciler().Verify(ctx); err != nil && ctx.Err() == nil && !errors.Is(err, reconcile.ErrNoState) {
		p.log.Warn("the host is not compared with what is wanted", "error", err)
	}
}

// watchStore lets the status tell of the store too.
func (p *plane) watchStore(kv *etcdstore.Store) { p.store.Store(kv) }

// close ends the agent and leaves the kernel as it is.
func (p *plane) close() error {
	p.cancel()
	<-p.ended
	return p.dataplane.Close()
}

// control keeps the agent in step with the tables until the context ends.
func (p *plane) control(ctx context.Context, d *daemon, host model.Host) error {
	send := func(delta desired.Delta) error {
		if !delta.Full { // that is the start, and no change
			p.onTheWay.sent(d.db, delta.Revision)
		}
		return p.send(delta)
	}
	c := control.New(control.Config{DB: d.db, Host: host, Domains: domainsOf(d.env), Outside: d.env.Outside, Send: send, Log: p.log, Now: d.env.Now})
	p.mu.Lock()
	p.controller = c
	close(p.told)
	p.mu.Unlock()
	return c.Run(ctx)
}

// domainsOf are what names are below.
func domainsOf(env *service.Env) plan.Domains {
	return plan.Domains{Endpoints: env.Suffix, Databases: env.DatabaseSuffix, AWS: env.AWSNames}
}

// serves says that the daemon stays: it has its store and its addresses, or waits for
// the store.
func (p *plane) serves() { p.serving.Do(func() { close(p.served) }) }

// runNames looks after the process that resolves names, once the daemon stays. One that
// ended at once would leave a process behind that nobody looks after.
func (p *plane) runNames(ctx context.Context) {
	select {
	case <-p.served:
		p.names.Run(ctx)
	case <-ctx.Done():
	}
}

// prepare has the data plane prepare, once the daemon stays. It goes without, more slowly.
func (p *plane) prepare(ctx context.Context) {
	select {
	case <-p.served:
		if err := p.dataplane.Prepare(ctx); err != nil && ctx.Err() == nil {
			p.log.Warn("the first change of a router's rules will be slow", "error", err)
		}
	case <-ctx.Done():
	}
}

func patienceWith(external bool) time.Duration {
	if external {
		return patience
	}
	return ownPatience
}

// recall has the agent go by the copy on disk while there is nobody to tell it more. An
// external store is waited for, as long as it takes; with another one the daemon may
// still end.
func (p *plane) recall(ctx context.Context, external bool) {
	select {
	case <-p.told:
		return
	case <-ctx.Done():
		return
	case <-time.After(patienceWith(external)):
	}
	if external {
		p.serves()
	}
	revision, err := p.agent.Recall(ctx)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		p.log.Warn("the store is awaited; until it answers nothing is repaired", "error", err)
	default:
		p.log.Warn("the store is awaited; until it answers what this host was last told is kept in place", "revision", revision)
	}
}

// make runs the makers of rows while this process is the one that does, until the
// context ends.
func (p *plane) make(ctx context.Context, d *daemon) error {
	r := makers.New(makers.Config{
		DB: d.db, Campaign: d.kv.Campaign, Makers: makers.All(d.makerMeans(lookup{p.names}.texts)), Host: d.config.HostName, Now: d.env.Now, Log: p.log,
	})
	p.makers.Store(r)
	return r.Run(ctx)
}

// makerMeans is what the daemon's makers need.
func (d *daemon) makerMeans(texts makers.Texts) makers.Means {
	return makers.Means{Alloc: d.env.Alloc(), Host: d.env.Host, DatabaseSuffix: d.env.DatabaseSuffix, Texts: texts}
}

// send passes a delta on to the agent.
func (p *plane) send(d desired.Delta) error {
	select {
	case p.deltas <- d:
		return nil
	case <-p.stop:
		return context.Canceled
	}
}

// Deltas implements agent.Source.
func (p *plane) Deltas() <-chan desired.Delta { return p.deltas }

// Report implements agent.Sink.
func (p *plane) Report(r reconcile.Report) {
	if r.Revision > 0 { // what was wanted at the start is in the kernel
		p.once.Do(func() { go p.adopted() })
	}
	p.onTheWay.settled(r.Revision)
	select {
	case p.changed <- struct{}{}: // before anybody is told, so that somebody answers then
	default:
	}
	p.mu.Lock()
	c := p.controller // somebody has sent what this is about
	p.mu.Unlock()
	c.Acknowledge(control.Acknowledgement{
		Full: r.Full, Revision: r.Revision, Behind: r.Behind, Failed: r.Failed, Recovered: r.Recovered,
	})
}

// front is where connections of endpoints to this host arrive.
func (p *plane) front() frontPlace {
	return frontPlace{p.dataplane.SandboxNamespace(model.FrontSandbox), p.changed}
}

// Gone implements agent.Sink.
func (p *plane) Gone(g desired.Gone) {
	p.mu.Lock()
	c := p.controller
	p.mu.Unlock()
	if c != nil { // or else it is said again with the first delta
		c.Gone(g)
	}
}
