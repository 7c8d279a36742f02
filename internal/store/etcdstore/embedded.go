// SPDX-License-Identifier: Apache-2.0

package etcdstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"
)

// Limits of the embedded server.
const (
	// maxTxnOps is how many comparisons, and how many changes, one
	// transaction may have.
	maxTxnOps = 1024
	// quotaBytes is how large the database file may grow before etcd refuses writes.
	quotaBytes = 4 << 30
	// history is how long changes are kept for watches that fall behind.
	history = "10m"
	// snapshotEvery is how many transactions the log may have that the database
	// has not got for sure. They are carried out again at a start, and until then
	// they are in memory; etcd's own 10,000 made a start take half a second
	// longer. A snapshot costs one small file.
	snapshotEvery = 1000
	// catchUp is how many transactions are kept in memory for members that lag
	// behind, of which there are none.
	catchUp = 100
	// slow is how long a request may take before etcd warns of it. Listing a
	// large page takes longer than the 100 ms that are etcd's own choice.
	slow = time.Second
)

// Options of an embedded server.
type Options struct {
	// Log gets the server's warnings and errors; nil means none.
	Log *slog.Logger
	// UnsafeNoFsync makes commits survive the end of the process, but not a
	// crash of the machine. For tests only.
	UnsafeNoFsync bool
}

// server is an etcd server in this process.
type server struct {
	etcd *embed.Etcd
	log  *slogCore
	lock *FolderLock
}

// StartEmbedded runs an etcd server of a single member in this process, with
// its data in dir, which it makes if need be, and returns when it is ready. The
// server listens on nothing: only this process can reach it. A folder that
// another process uses gives an error that names the process.
//
// The server registers its metrics with the global Prometheus registry, where
// several servers in one process share them; run one in a process that serves
// metrics.
func StartEmbedded(ctx context.Context, dir string, options Options) (*Store, error) {
	lock, err := LockFolder(dir)
	if err != nil {
		return nil, err
	}
	s := &server{log: newSlogCore(options.Log), lock: lock}
	if s.etcd, err = embed.StartEtcd(embeddedConfig(dir, options, s.log)); err != nil {
		return nil, errors.Join(fmt.Errorf("start etcd in %s: %w", dir, err), lock.Close())
	}
	select {
	case <-s.etcd.Server.ReadyNotify():
	case err = <-s.etcd.Err():
		err = fmt.Errorf("start etcd in %s: %w", dir, err)
	case <-s.etcd.Server.StopNotify():
		err = fmt.Errorf("start etcd in %s: the server stopped", dir)
	case <-ctx.Done():
		err = fmt.Errorf("start etcd in %s: not ready in time: %w", dir, ctx.Err())
	}
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	return &Store{client: v3client.New(s.etcd.Server), embedded: s}, nil
}

func embeddedConfig(dir string, options Options, log *slogCore) *embed.Config {
	// A member must have addresses, although nothing listens there.
	nowhere := []url.URL{{Scheme: "unix", Host: "postern"}}
	config := embed.NewConfig()
	config.Name = "postern"
	config.Dir = filepath.Join(dir, "member")
	config.ListenPeerUrls, config.ListenClientUrls = nil, nil
	config.AdvertisePeerUrls, config.AdvertiseClientUrls = nowhere, nowhere
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	config.EnableGRPCGateway = false
	// An election of one member needs no patience.
	config.TickMs, config.ElectionMs = 20, 100
	config.MaxTxnOps = maxTxnOps
	config.WarningApplyDuration = slow
	config.SnapshotCount, config.SnapshotCatchUpEntries = snapshotEvery, catchUp
	config.QuotaBackendBytes = quotaBytes
	config.AutoCompactionMode = embed.CompactorModePeriodic
	config.AutoCompactionRetention = history
	config.UnsafeNoFsync = options.UnsafeNoFsync
	config.ZapLoggerBuilder = embed.NewZapLoggerBuilder(log.logger())
	return config
}

// close stops the server and releases its folder.
func (s *server) close() error {
	s.log.mute() // ending is not worth the errors that etcd logs for it
	s.etcd.Close()
	return s.lock.Close()
}

// makeFolder makes a folder that only its owner can look into.
func makeFolder(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make data folder: %w", err)
	}
	return nil
}
