// SPDX-License-Identifier: Apache-2.0

package etcdstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3rpc"
	"go.etcd.io/etcd/server/v3/proxy/grpcproxy/adapter"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/store"
)

// Limits of the embedded server.
const (
	// maxTxnOps is how many comparisons, and how many changes, one
	// transaction may have.
	maxTxnOps = 1024
	// DefaultQuota is how large the database file may grow, in bytes, unless
	// Options say otherwise.
	DefaultQuota = 4 << 30
	// segmentBytes is the size of a file of the log, which is taken from the
	// disk one file ahead. etcd's own 64 MB are for many more writes.
	segmentBytes = 16 << 20
	// history is how long changes are kept for watches that fall behind; see past for
	// when there are many.
	history = "1m"
	// snapshotEvery is how many transactions the log may have that the database
	// has not got for sure. They are carried out again at a start, and until then
	// they are in memory; etcd's own 10,000 made a start take half a second
	// longer. A snapshot costs one small file. A transaction may be that of many
	// updates, some ten kilobytes.
	snapshotEvery = 250
	// catchUp is how many transactions are kept in memory for members that lag
	// behind, of which there are none. Besides them are those since the last hundred.
	catchUp = 5
	// written is how often the database's file is written, or after how many changed
	// keys. The log has the changes before; but each commit waits while the file is
	// synced, and etcd's own 100 ms made that one of ten or twenty.
	written      = 2 * time.Second
	writtenAfter = 2_000
	// slow is how long a request may take before etcd warns of it. Listing a
	// large page takes longer than the 100 ms that are etcd's own choice.
	slow = time.Second
	// patience is how long a server that starts may stand still.
	patience = 15 * time.Second
	// closing is how long a server that could not start may take to end.
	closing = 5 * time.Second
)

func init() { wal.SegmentSizeBytes = segmentBytes } // there is no other way to set it

// Options of an embedded server.
type Options struct {
	// Log gets the server's warnings and errors; nil means none.
	Log *slog.Logger
	// Quota is how large the database may grow, in bytes; zero is DefaultQuota.
	Quota int64
	// Kept says that state was acknowledged from this folder before, so that it
	// is an error when there is none.
	Kept bool
	// UnsafeNoFsync makes commits survive the end of the process, but not a
	// crash of the machine. For tests only.
	UnsafeNoFsync bool
}

// server is an etcd server in this process.
type server struct {
	places
	etcd  *embed.Etcd
	log   *slogCore
	lock  *FolderLock
	halt  *halt
	quota int64
}

// StartEmbedded runs an etcd server of a single member in this process, with
// its data in dir, which it makes if need be, and returns when it is ready. The
// server listens on nothing: only this process can reach it. A folder that
// another process uses gives an error that names the process, and files that are
// damaged a *DamageError. A server that does not become ready is given up.
//
// A server that cannot write any more freezes: all operations fail with
// store.ErrFrozen until the process ends, see Frozen.
//
// The server registers its metrics with the global Prometheus registry, where
// several servers in one process share them; run one in a process that serves
// metrics.
func StartEmbedded(ctx context.Context, dir string, options Options) (*Store, error) {
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	if options.Quota == 0 {
		options.Quota = DefaultQuota
	}
	lock, err := LockFolder(dir)
	if err != nil {
		return nil, err
	}
	s := &server{places: places{dir}, log: newSlogCore(options.Log), lock: lock, halt: newHalt(), quota: options.Quota}
	if err := s.prepare(options.Kept, options.Log); err != nil {
		if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
			err = s.explain(ctx, err)
		}
		return nil, errors.Join(err, lock.Close())
	}
	if err := s.makeDo(); err != nil {
		return nil, errors.Join(s.explain(ctx, err), lock.Close())
	}
	if err := s.start(ctx, options); err != nil {
		s.giveUp()
		return nil, s.explain(ctx, err)
	}
	r := &room{places: s.places, log: options.Log, server: s}
	r.written = reserveEvery
	_ = r.admit(0) // which says what is to be said
	return &Store{
		client: v3client.New(s.etcd.Server), kv: adapter.KvServerToKvClient(v3rpc.NewQuotaKVServer(s.etcd.Server)),
		embedded: s, room: r, halt: s.halt, past: &past{server: s.etcd.Server, halt: s.halt},
	}, nil
}

// start starts the server and waits until it is ready.
func (s *server) start(ctx context.Context, options Options) error {
	type started struct {
		etcd *embed.Etcd
		err  error
	}
	done := make(chan started, 1)
	go func() {
		var out started
		defer func() {
			if v := recover(); v != nil {
				out.err = fmt.Errorf("%v", v)
			}
			done <- out
		}()
		out.etcd, out.err = embed.StartEtcd(s.config(options))
	}()
	select {
	case out := <-done:
		if s.etcd = out.etcd; out.err != nil {
			return out.err
		}
	case <-s.halt.happened:
		return s.halt.cause
	}
	if err := s.waitReady(ctx); err != nil {
		return err
	}
	return s.made()
}

// waitReady waits as long as the server makes progress.
func (s *server) waitReady(ctx context.Context) error {
	type progress struct{ committed, applied, term uint64 }
	var last progress
	moved := time.Now()
	look := time.NewTicker(patience / 10)
	defer look.Stop()
	for {
		select {
		case <-s.etcd.Server.ReadyNotify():
			return nil
		case err := <-s.etcd.Err():
			return err
		case <-s.etcd.Server.StopNotify():
			return errors.New("the server stopped")
		case <-s.halt.happened:
			return s.halt.cause
		case <-ctx.Done():
			return ctx.Err()
		case <-look.C:
		}
		e := s.etcd.Server
		if now := (progress{e.CommittedIndex(), e.AppliedIndex(), e.Term()}); now != last {
			last, moved = now, time.Now()
		}
		if time.Since(moved) >= patience {
			return fmt.Errorf("it stood still at entry %d of its log for %v", last.applied, patience)
		}
	}
}

// explain makes the error of a start one that says what to do.
func (s *server) explain(ctx context.Context, err error) error {
	free, noDisk := s.free()
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("start etcd in %s: not ready in time: %w", s.folder, err)
	case noDisk == nil && free < leastFree:
		return fmt.Errorf("the store in %s cannot be started: %w. There is no room on the disk of data folder %s: %s are free, and %s are needed. "+
			"Make room there and start again; nothing is lost", s.folder, err, s.data(), bytesText(free), bytesText(leastFree))
	case refused(err):
		return fmt.Errorf("the store in %s cannot be started: %w. The system refuses that: look at limits (ulimit -a), the rights of the files and how %s is mounted, and start again; nothing is lost",
			s.folder, err, s.data())
	}
	return fmt.Errorf("the store in %s cannot be started: %w. %s", s.folder, err, restoring(s.data()))
}

func (s *server) config(options Options) *embed.Config {
	// A member must have addresses, although nothing listens there.
	nowhere := []url.URL{{Scheme: "unix", Host: "postern"}}
	config := embed.NewConfig()
	config.Name = "postern"
	config.Dir = s.root()
	config.ListenPeerUrls, config.ListenClientUrls = nil, nil
	config.AdvertisePeerUrls, config.AdvertiseClientUrls = nowhere, nowhere
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	config.EnableGRPCGateway = false
	// An election of one member needs no patience.
	config.TickMs, config.ElectionMs = 20, 100
	config.MaxTxnOps = maxTxnOps
	config.WarningApplyDuration = slow
	config.SnapshotCount, config.SnapshotCatchUpEntries = snapshotEvery, catchUp
	config.BackendBatchInterval, config.BackendBatchLimit = written, writtenAfter
	config.QuotaBackendBytes = options.Quota
	config.AutoCompactionMode = embed.CompactorModePeriodic
	config.AutoCompactionRetention = history
	config.UnsafeNoFsync = options.UnsafeNoFsync
	config.ZapLoggerBuilder = embed.NewZapLoggerBuilder(s.log.haltingLogger(s.halt))
	return config
}

// close stops the server, seals its files and releases its folder. A server
// that has halted is left as it is: it goes with the process.
func (s *server) close() error {
	s.log.mute() // ending is not worth the errors that etcd logs for it
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.etcd.Close()
	}()
	select {
	case <-done:
		return errors.Join(s.sealFiles(), s.lock.Close())
	case <-s.halt.happened:
		return s.lock.Close()
	}
}

// giveUp ends a server that did not start, as far as it lets itself be ended.
func (s *server) giveUp() {
	s.log.mute()
	done := make(chan struct{})
	go func() {
		defer close(done)
		if s.etcd != nil {
			s.etcd.Close()
		}
	}()
	select {
	case <-done:
	case <-s.halt.happened:
	case <-time.After(closing):
	}
	_ = s.lock.Close() // what is to be said is why it did not start
}

// Usage is how large an embedded store is, in bytes.
type Usage struct {
	// Size is that of its database, of which InUse holds something; Quota is
	// how large it may grow, and Free is what its disk has left.
	Size, InUse, Quota, Free int64
	// Problem says why no change is taken; it is empty when all is well.
	Problem string
}

// Usage tells how large the store is; false says that it is an external one.
func (s *Store) Usage() (Usage, bool) {
	if s.embedded == nil {
		return Usage{}, false
	}
	u := Usage{Quota: s.embedded.quota}
	u.Free, _ = s.embedded.free()
	if err := s.halt.err(); err != nil {
		u.Problem = err.Error()
		if info, err := os.Stat(s.embedded.database()); err == nil {
			u.Size = info.Size()
		}
		return u, true
	}
	backend := s.embedded.etcd.Server.Backend()
	u.Size, u.InUse = backend.Size(), backend.SizeInUse()
	u.Problem = s.room.problem(u.Free)
	return u, true
}

// FolderUsage tells of a store in a folder that need not be in use; quota and
// what of it is in use are not known.
func FolderUsage(dir string) (u Usage, err error) {
	p := places{dir}
	info, err := os.Stat(p.database())
	if err != nil {
		return u, fmt.Errorf("look at the store: %w", err)
	}
	u.Size = info.Size()
	if u.Free, err = p.free(); err == nil && u.Free < leastFree {
		u.Problem = tooFull(u.Free)
	}
	return u, err
}

// Frozen is closed when the store freezes; a nil channel, of an external store,
// never is.
func (s *Store) Frozen() <-chan struct{} {
	if s.halt == nil {
		return nil
	}
	return s.halt.happened
}

// FrozenBecause says why the store froze, and what to do; nil before.
func (s *Store) FrozenBecause() error {
	if s.halt == nil || s.halt.err() == nil {
		return nil
	}
	free, _ := s.embedded.free()
	return fmt.Errorf("the store in %s cannot be written (%w) and %s are free on the disk of data folder %s. "+
		"Make room there; until then nothing is changed, reading goes on", s.embedded.folder, s.halt.err(), bytesText(free), s.embedded.data())
}

// Writable reports whether a store that is frozen could write if it were started
// again: nil, or why not.
func (s *Store) Writable() error {
	if free, err := s.embedded.free(); err != nil || free < leastFree {
		return errors.Join(err, store.ErrFull)
	}
	return s.embedded.tryWrite()
}

// makeFolder makes a folder that only its owner can look into.
func makeFolder(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make data folder: %w", err)
	}
	return nil
}
