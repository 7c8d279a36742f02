// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/posternhq/postern/internal/agent"
	"github.com/posternhq/postern/internal/control"
	"github.com/posternhq/postern/internal/control/makers"
	"github.com/posternhq/postern/internal/dataplane"
	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/reconcile"
	"github.com/posternhq/postern/internal/store/etcdstore"
)

// deltaQueue is how many changes may wait for the agent to take them. Taking
// one is quick; the queue is for bursts.
const deltaQueue = 256

// plane joins the controller and the agent of this host. It is the stream
// between them: the agent's source and its sink.
type plane struct {
	log        *slog.Logger
	kernel     *dataplane.Host
	agent      *agent.Agent
	controller *control.Controller // set before the first delta is sent
	deltas     chan desired.Delta
	onTheWay   onTheWay

	store  atomic.Pointer[etcdstore.Store] // nil until the services are there
	makers atomic.Pointer[makers.Runner]   // nil until they run

	cancel context.CancelFunc
	stop   <-chan struct{} // closed by cancel
	ended  chan struct{}   // closed when the agent has ended
}

// startPlane starts the agent. It reads the host, and then waits for what
// control sends. The caller calls close, which closes the kernel too.
func startPlane(ctx context.Context, c Config, kernel *dataplane.Host) (*plane, error) {
	effects, err := reconcile.Compose(reconcile.Part{Name: "data plane", Kinds: dataplane.Kinds(), Effects: kernel})
	if err != nil {
		return nil, err
	}
	p := &plane{
		log: c.Log, kernel: kernel, ended: make(chan struct{}),
		deltas: make(chan desired.Delta, deltaQueue),
	}
	p.agent = agent.New(agent.Config{
		Effects: effects, Source: p, Sink: p, Host: c.HostName, StateFile: Folder(c.Data).DesiredFile(), Logger: c.Log, Lives: dataplane.Lives,
		Reconcile: reconcile.Config{VerifyInterval: c.VerifyInterval},
	})
	ctx, p.cancel = context.WithCancel(ctx)
	p.stop = ctx.Done()
	go func() {
		defer close(p.ended)
		var watch sync.WaitGroup
		watch.Go(func() { p.watchShares(ctx, c.VerifyInterval) })
		p.agent.Run(ctx)
		watch.Wait()
	}()
	return p, nil
}

// watchStore lets the status tell of the store too.
func (p *plane) watchStore(kv *etcdstore.Store) { p.store.Store(kv) }

// close ends the agent and leaves the kernel as it is.
func (p *plane) close() error {
	p.cancel()
	<-p.ended
	return p.kernel.Close()
}

// control keeps the agent in step with the tables until the context ends.
func (p *plane) control(ctx context.Context, d *daemon, host model.Host) error {
	send := func(delta desired.Delta) error {
		if !delta.Full { // that is the start, and no change
			p.onTheWay.sent(d.db, delta.Revision)
		}
		return p.send(delta)
	}
	p.controller = control.New(control.Config{DB: d.db, Host: host, Send: send, Log: p.log, Now: d.env.Now})
	return p.controller.Run(ctx)
}

// make runs the makers of rows while this process is the one that does, until the
// context ends.
func (p *plane) make(ctx context.Context, d *daemon) error {
	r := makers.New(makers.Config{
		DB: d.db, Campaign: d.kv.Campaign, Makers: makers.All(), Host: d.config.HostName, Now: d.env.Now, Log: p.log,
	})
	p.makers.Store(r)
	return r.Run(ctx)
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
	p.onTheWay.settled(r.Revision)
	p.controller.Acknowledge(control.Acknowledgement{
		Full: r.Full, Revision: r.Revision, Behind: r.Behind, Failed: r.Failed, Recovered: r.Recovered,
	})
}

// Gone implements agent.Sink.
func (p *plane) Gone(g desired.Gone) { p.controller.Gone(g) }
