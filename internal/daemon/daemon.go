// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/posternhq/postern/internal/dataplane"
	"github.com/posternhq/postern/internal/kernel"
	"github.com/posternhq/postern/internal/seal"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/store/etcdstore"
	"github.com/posternhq/postern/internal/table"
	"github.com/posternhq/postern/internal/trail"

	"github.com/posternhq/postern/internal/aws/convention"
	"github.com/posternhq/postern/internal/aws/server"
	trailshape "github.com/posternhq/postern/internal/aws/shape/cloudtrail"
	ec2shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	elbshape "github.com/posternhq/postern/internal/aws/shape/elbv2"
	iamshape "github.com/posternhq/postern/internal/aws/shape/iam"
	organizationsshape "github.com/posternhq/postern/internal/aws/shape/organizations"
	posternshape "github.com/posternhq/postern/internal/aws/shape/postern"
	ramshape "github.com/posternhq/postern/internal/aws/shape/ram"
	rdsshape "github.com/posternhq/postern/internal/aws/shape/rds"
	route53shape "github.com/posternhq/postern/internal/aws/shape/route53"
	stsshape "github.com/posternhq/postern/internal/aws/shape/sts"
	latticeshape "github.com/posternhq/postern/internal/aws/shape/vpclattice"
	"github.com/posternhq/postern/internal/service/cloudtrail"
	"github.com/posternhq/postern/internal/service/ec2"
	"github.com/posternhq/postern/internal/service/ec2/iface"
	"github.com/posternhq/postern/internal/service/elbv2"
	"github.com/posternhq/postern/internal/service/iam"
	"github.com/posternhq/postern/internal/service/identity"
	"github.com/posternhq/postern/internal/service/organizations"
	"github.com/posternhq/postern/internal/service/postern"
	"github.com/posternhq/postern/internal/service/ram"
	"github.com/posternhq/postern/internal/service/rds"
	"github.com/posternhq/postern/internal/service/route53"
	"github.com/posternhq/postern/internal/service/sts"
	"github.com/posternhq/postern/internal/service/vpclattice"
)

// firstAccount is made at first start; it is the management account.
const firstAccount = "111122223333"

// Run runs a daemon until the context ends or it cannot go on. It calls ready
// once the API answers and the kernel is being looked after. What is programmed
// in the kernel stays when it returns.
func Run(ctx context.Context, c Config, ready func(Running)) (err error) {
	if os.Geteuid() != 0 {
		return errors.New("postern up needs root: it makes network namespaces; use sudo")
	}
	lock, err := etcdstore.LockFolder(c.Data)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	if err := canListen(ctx, c); err != nil {
		return err
	}
	if err := c.seeOutside(); err != nil {
		return err
	}
	if err := Folder(c.Data).sayCutShort(c.Log); err != nil {
		return err
	}
	if c.AWSNames {
		c.Log.Warn("--aws-names: in VPCs with endpoints to Postern's own APIs, what asks AWS by the names of these APIs asks Postern")
	}
	go profileOnSignal(ctx, Folder(c.Data), c.Log)
	asUsual := collectOften()
	defer asUsual()
	mark, err := instance(ctx, c)
	if err != nil {
		return err
	}
	kv, p, err := open(ctx, c, mark)
	switch {
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		return nil // told to stop while it waited for the store
	case err != nil:
		return err
	}
	defer func() { err = errors.Join(err, kv.Close()) }()
	hold, release, err := takeHold(ctx, c, kv, mark)
	if err != nil {
		return errors.Join(err, p.close())
	}
	defer func() { err = errors.Join(err, release()) }()
	defer func() { err = errors.Join(err, p.close()) }()
	db, err := state.Open(ctx, kv, c.Log)
	if err != nil {
		return err
	}
	defer db.Close()
	if len(c.Etcd) == 0 {
		db.OnlyWriter() // the lock of the folder keeps others out
	}
	p.adopted = asUsual
	keys, err := Folder(c.Data).makeSealingKeys(time.Now())
	if err != nil {
		return err
	}
	d := &daemon{config: c, folder: Folder(c.Data), instance: mark, kv: kv, hold: hold, db: db, env: newEnv(c, db, keys)}
	return d.run(ctx, p, ready)
}

// open opens the store, and the kernel with its agent, both or none, at the same time:
// with a small store they take equally long. An external store that does not answer is
// waited for.
func open(ctx context.Context, c Config, instance string) (*etcdstore.Store, *plane, error) {
	trying, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	var kv *etcdstore.Store
	var noStore error
	var opening sync.WaitGroup
	opening.Go(func() { kv, noStore = openStore(trying, c) })
	p, err := openPlane(ctx, c, instance)
	if err != nil && len(c.Etcd) > 0 {
		giveUp(err)
	}
	opening.Wait()
	switch {
	case err == nil && noStore == nil:
		return kv, p, nil
	case err == nil:
		return nil, nil, errors.Join(noStore, p.close())
	case noStore == nil:
		return nil, nil, errors.Join(err, kv.Close())
	case context.Cause(trying) == err:
		return nil, nil, err
	}
	return nil, nil, errors.Join(noStore, err)
}

// openPlane opens the kernel and starts its agent.
func openPlane(ctx context.Context, c Config, instance string) (*plane, error) {
	host, err := openKernel(ctx, c, instance)
	if err != nil {
		return nil, err
	}
	p, err := startPlane(ctx, c, host, instance)
	if err != nil {
		return nil, errors.Join(err, host.Close())
	}
	return p, nil
}

func openKernel(ctx context.Context, c Config, instance string) (*dataplane.Host, error) {
	if err := checkKernel(ctx); err != nil {
		return nil, err
	}
	shares, err := sharesOf(c.Shares)
	if err != nil {
		return nil, err
	}
	return dataplane.New(dataplane.Config{Instance: instance, Idle: c.Idle, Shares: shares, SlowPathOnly: c.SlowPathOnly, Log: c.Log})
}

// checkKernel says in one sentence each what the daemon cannot do without.
func checkKernel(ctx context.Context) error {
	missing := kernel.Missing(kernel.Needed(ctx))
	if len(missing) == 0 {
		return nil
	}
	var lines []string
	for _, f := range missing {
		lines = append(lines, fmt.Sprintf("%s: %s %s", f.Name, f.Reason, f.Advice))
	}
	return fmt.Errorf("this host lacks what Postern needs (postern doctor shows all):\n  %s", strings.Join(lines, "\n  "))
}

func openStore(ctx context.Context, c Config) (*etcdstore.Store, error) {
	if len(c.Etcd) > 0 {
		return etcdstore.Open(ctx, etcdstore.Config{Endpoints: c.Etcd, Log: c.Log})
	}
	return etcdstore.StartEmbedded(ctx, Folder(c.Data).path(etcdFolder), etcdstore.Options{
		Log: c.Log, Quota: c.StoreQuota, Kept: Folder(c.Data).wasUsed(), UnsafeNoFsync: c.UnsafeNoFsync,
	})
}

// clusterPatience is how long a command waits for an external cluster.
const clusterPatience = 5 * time.Second

// openSoon is openStore for a command. A daemon waits for its cluster; who gave a
// command is told.
func openSoon(ctx context.Context, c Config) (*etcdstore.Store, error) {
	if len(c.Etcd) == 0 {
		return openStore(ctx, c)
	}
	patient, cancel := context.WithTimeout(ctx, clusterPatience)
	defer cancel()
	kv, err := openStore(patient, c)
	if err != nil && patient.Err() != nil && ctx.Err() == nil {
		return nil, fmt.Errorf("no answer in %v: %w", clusterPatience, err)
	}
	return kv, err
}

func newEnv(c Config, db *table.DB, keys *seal.Ring) *service.Env {
	domain, _ := suffix(c.DNSSuffix) // which Validate has seen, like the next one
	databases, _ := suffix(c.DatabaseSuffix)
	env := &service.Env{
		DB: db, Now: time.Now, Rand: rand.Reader, Seal: seal.Using(keys), Zones: zonesOf(c.Regions), Regions: c.Regions,
		Quotas: service.DefaultQuotas(), IPv6Pool: c.IPv6Pool, Suffix: domain, AWSNames: c.AWSNames, DatabaseSuffix: databases, EncryptedStorage: c.EncryptedStorage, Engines: (&engines{drivers: drivers(), log: c.Log}).installed, Outside: c.Outside, DefaultVPC: !c.NoDefaultVPC, Log: c.Log,
	}
	return env
}

// daemon is a running Postern.
type daemon struct {
	config   Config
	folder   Folder
	instance string
	kv       *etcdstore.Store
	hold     *etcdstore.Hold // nil with an embedded store
	db       *table.DB
	env      *service.Env
}

func (d *daemon) run(ctx context.Context, p *plane, ready func(Running)) error {
	for name, n := range d.config.Quotas {
		if err := d.env.Quotas.Set(name, n); err != nil {
			return fmt.Errorf("--quota: %w", err)
		}
	}
	host, err := d.registerHost(ctx)
	if err != nil {
		return err
	}
	d.env.Host = host.Index
	if err := d.sealSecrets(ctx); err != nil {
		return err
	}
	if err := d.bootstrap(ctx); err != nil {
		return err
	}
	if err := d.folder.writeHostName(host.Name); err != nil && !isFull(err) {
		return err
	}
	door, spaces, err := d.openDoor()
	if err != nil {
		return err
	}
	defer door.Close()
	desk, err := openOperator(d.folder, map[string]question{
		"backup": d.backUp,
		"reseal": d.reseal,
		"verify": func(ctx context.Context, w io.Writer) error { return d.verify(ctx, p, host, w) },
	})
	if err != nil {
		return err
	}
	defer desk.close()
	counted := d.newMetrics(p)
	p.onTheWay.settle = counted.Programmed
	kept := trail.Open(d.folder.path(auditFolder), d.config.Audit)
	defer kept.Close()
	p.watchTrail(kept)
	handler, err := d.handler(d.services(p, spaces, kept), kept, counted.Request)
	if err != nil {
		return err
	}
	scrapes, err := d.listenForMetrics(ctx)
	if err != nil {
		return err
	}
	p.watchStore(d.kv)
	p.ledger.daemon.Store(d)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return p.control(ctx, d, host) })
	g.Go(func() error { return p.make(ctx, d) })
	g.Go(func() error { return d.newRelayKeeper(p).keep(ctx) })
	g.Go(func() error { return door.Serve(ctx) })
	g.Go(func() error { return desk.serve(ctx) })
	g.Go(func() error {
		return d.serve(ctx, handler, scrapes, p.front(), func(r Running) {
			p.serves()
			ready(r)
		})
	})
	g.Go(func() error { return serveMetrics(ctx, counted, scrapes) })
	g.Go(func() error { return d.outliveStore(ctx) })
	g.Go(func() error { return d.keepHold(ctx) })
	g.Go(func() error { return d.keepCredentials(ctx) })
	g.Go(func() error {
		select {
		case <-ctx.Done():
			return nil
		case <-d.db.Done():
			return fmt.Errorf("follow the store: %w", d.db.Err())
		}
	})
	return g.Wait()
}

// writeSmall writes a file for commands. The API is worth more than they are: a
// disk without any room is said and no reason to end.
func (d *daemon) writeSmall(name string, value any) error {
	err := d.folder.writeJSON(name, value)
	if isFull(err) {
		d.config.Log.Error("commands will not find this Postern: make room on the disk and restart", "error", err)
		return nil
	}
	return err
}

// services are all that is served.
func (d *daemon) services(p postern.Observer, spaces postern.Namespaces, kept *trail.Trail) []server.Mounted {
	return []server.Mounted{
		{Service: ec2shape.Service, API: ec2.New(d.env), Check: convention.EC2},
		{Service: latticeshape.Service, API: &vpclattice.API{Env: d.env}},
		{Service: route53shape.Service, API: &route53.API{Env: d.env}},
		{Service: ramshape.Service, API: &ram.API{Env: d.env}},
		{Service: elbshape.Service, API: &elbv2.API{Env: d.env, Findings: findingsOf(p)}},
		{Service: rdsshape.Service, API: &rds.API{Env: d.env, Logs: databaseLogs(d.config.databases())}},
		{Service: stsshape.Service, API: sts.API{Env: d.env}},
		{Service: iamshape.Service, API: &iam.API{Env: d.env}},
		{Service: organizationsshape.Service, API: &organizations.API{Env: d.env}},
		{Service: trailshape.Service, API: &cloudtrail.API{Env: d.env, Trail: kept}},
		{Service: posternshape.Service, API: &postern.API{
			Env: d.env, Observer: p, Namespaces: spaces, Interfaces: iface.Interfaces{Env: d.env}, Version: d.config.Version,
		}},
	}
}

// handler mounts services on one URL.
func (d *daemon) handler(services []server.Mounted, kept *trail.Trail, observe func(server.Observation)) (http.Handler, error) {
	callers := identity.New(d.env)
	return server.New(server.Config{
		Regions:     d.config.Regions,
		Credentials: credentials{callers},
		Decider:     callers,
		Services:    services,
		Log:         d.config.Log,
		Now:         time.Now,
		Observe:     observe,
		Record:      recorder(kept, d.config.Log),
	})
}

// canListen says early that somebody else has an address that is to be listened on:
// nothing has been touched yet, and no process started that would stay.
func canListen(ctx context.Context, c Config) error {
	for what, address := range map[string]string{"the API": c.Listen, "the API over TLS": c.TLS.Listen, "metrics": c.MetricsListen} {
		if address == "" {
			continue
		}
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
		if err != nil {
			return fmt.Errorf("listen for %s: %w", what, err)
		}
		if err := listener.Close(); err != nil {
			return fmt.Errorf("listen for %s: %w", what, err)
		}
	}
	return tryDNSListen(ctx, c)
}

// serve answers requests until the context ends, also in the namespace of the front, whenever
// that is there.
func (d *daemon) serve(ctx context.Context, handler http.Handler, scrapes net.Listener, at frontPlace, ready func(Running)) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", d.config.Listen)
	if err != nil {
		return fmt.Errorf("listen for the API: %w", err)
	}
	running := Running{
		PID: os.Getpid(), URL: "http://" + listener.Addr().String(),
		Region: d.config.Regions[0], Version: d.config.Version,
	}
	secure, err := d.listenTLS(ctx)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	if secure != nil {
		running.TLS = secure.url
	}
	if u, ok := d.kv.Usage(); ok {
		running.StoreQuota = u.Quota
	}
	if scrapes != nil {
		running.Metrics = "http://" + scrapes.Addr().String() + "/metrics"
	}
	if err := d.writeSmall(runtimeFile, running); err != nil {
		return errors.Join(err, listener.Close(), secure.close())
	}
	defer os.Remove(d.folder.path(runtimeFile))
	ready(running)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		return serveAPI(ctx, server.HTTPServer(handler, d.config.Log), &orderly{TCPListener: listener.(*net.TCPListener)})
	})
	g.Go(func() error { return secure.serve(ctx, server.HTTPServer(handler, d.config.Log)) })
	g.Go(func() error { return d.newFrontDesk(handler, secure).keep(ctx, at) })
	return g.Wait()
}
