// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"sync/atomic"
	"time"

	"github.com/posternhq/postern/internal/agent/roles"
	"github.com/posternhq/postern/internal/authority"
	"github.com/posternhq/postern/internal/dataplane"
	"github.com/posternhq/postern/internal/engine"
	"github.com/posternhq/postern/internal/engine/keeper"
	"github.com/posternhq/postern/internal/engine/supervisor"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/seal"
	"github.com/posternhq/postern/internal/service/rds"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// startKeeper opens what keeps the databases of the host.
func (p *plane) startKeeper(c Config, host *dataplane.Host, instance string) (err error) {
	if c.Databases != "" {
		if err := Folder(c.Data).keep(databasesFile, []byte(c.Databases+"\n")); err != nil {
			return err
		}
	} else if err := os.Remove(Folder(c.Data).path(databasesFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("forget the folder of the databases: %w", err)
	}
	p.ledger = &ledger{}
	p.keeper, err = keeper.New(keeper.Config{
		Folder: c.databases(), Drivers: drivers(), Ground: ground{host, c.Program, instance, c.Log}, Control: p.ledger,
		Roles: func(r keeper.Roles) { p.roles.Set(roles.Roles(r)) }, Log: c.Log,
	})
	return err
}

// databases is the folder of the databases.
func (c Config) databases() string {
	if c.Databases != "" {
		return c.Databases
	}
	return Folder(c.Data).path(databasesFolder)
}

// runKeeper keeps the databases, once the daemon stays: servers that are started live on.
func (p *plane) runKeeper(ctx context.Context) {
	select {
	case <-p.served:
		p.keeper.Run(ctx)
	case <-ctx.Done():
	}
}

// ledger is what the keeper of databases knows of rows: it implements keeper.Control.
type ledger struct {
	daemon atomic.Pointer[daemon] // nil until the store is there
}

// Errors of databases.
var (
	errStoreAwaited = errors.New("the store is awaited")
	errNoDatabase   = errors.New("there is no such database")
)

// opened gives the daemon with its store.
func (l *ledger) opened() (*daemon, error) {
	if d := l.daemon.Load(); d != nil {
		return d, nil
	}
	return nil, errStoreAwaited
}

// databaseRow is a database as a transaction finds it, to be changed by put.
type databaseRow struct {
	meta     *model.Meta
	database *model.Database
	put      func()
}

// databaseByID finds the cluster, or the instance that is in none, which has an id.
func databaseByID(tx *table.Txn, id string) (databaseRow, error) {
	for c := range state.DBClustersByID.Rows(tx, id) {
		c = c.Clone()
		return databaseRow{&c.Meta, &c.Database, func() { state.DBClusters.Put(tx, c) }}, nil
	}
	for i := range state.DBInstancesByID.Rows(tx, id) {
		i = i.Clone()
		return databaseRow{&i.Meta, &i.Database, func() { state.DBInstances.Put(tx, i) }}, nil
	}
	return databaseRow{}, fmt.Errorf("find the database %s: %w", id, errNoDatabase)
}

// snapshotByID finds the snapshot that has an id; nil when there is none.
func snapshotByID(tx *table.Txn, id string) *model.Meta {
	for s := range state.DBSnapshotsByID.Rows(tx, id) {
		return &s.Meta
	}
	return nil
}

// Elect implements keeper.Control.
func (l *ledger) Elect(ctx context.Context, e keeper.Election) (epoch int64, err error) {
	d, err := l.opened()
	if err != nil {
		return 0, err
	}
	_, err = d.db.Update(ctx, func(tx *table.Txn) error {
		row, err := databaseByID(tx, e.Database)
		if err != nil {
			return err
		}
		epoch = row.database.Epoch
		if epoch == e.Epoch+1 && row.database.Writer == e.Writer {
			return nil
		}
		if epoch != e.Epoch {
			return fmt.Errorf("elect the writer of %s: %w", e.Database, keeper.ErrEpoch)
		}
		epoch++
		row.database.Writer, row.database.Epoch = e.Writer, epoch
		row.database.Turned = max(row.database.Turned, e.Turn)
		row.put()
		return nil
	})
	return epoch, err
}

// Tell implements keeper.Control. What is about something that is gone meanwhile is left
// out.
func (l *ledger) Tell(ctx context.Context, o keeper.Observation) error {
	d, err := l.opened()
	if err != nil {
		return err
	}
	_, err = d.db.Update(ctx, func(tx *table.Txn) error {
		row, err := databaseByID(tx, o.Database)
		if errors.Is(err, errNoDatabase) {
			row.meta, row.database = snapshotByID(tx, o.Database), &model.Database{}
		}
		if row.meta == nil {
			return nil
		}
		if o.Turned > row.database.Turned {
			row.database.Turned = o.Turned
			row.put()
		}
		for _, s := range o.States {
			of := row.meta.Sibling(s.ID)
			if _, ok := rds.SourceOf(tx, of); !ok {
				continue
			}
			was, _ := state.DatabaseStates.Get(tx, of.Account, of.Region, of.ID)
			now := &model.DatabaseState{
				Account: of.Account, Region: of.Region, ID: of.ID, Phase: s.Phase, Reason: s.Reason, Secret: s.Secret, Reboot: s.Reboot, Pending: s.Pending,
				Version: s.Version, Bytes: s.Bytes, Behind: s.Behind, Replication: s.Replication, ReplicationReason: s.ReplicationReason, At: d.env.Now(),
			}
			if was != nil {
				same := *was
				same.At = now.At
				if same == *now {
					continue
				}
			}
			state.DatabaseStates.Put(tx, now)
		}
		for _, e := range o.Events {
			if of, ok := rds.SourceOf(tx, row.meta.Sibling(e.About)); ok {
				rds.AddEvent(tx, d.env, of, e.At, e.Message, e.Categories...)
			}
		}
		return nil
	})
	return err
}

// Secrets implements keeper.Control.
func (l *ledger) Secrets(_ context.Context, database string) (s keeper.Secrets, err error) {
	d, err := l.opened()
	if err != nil {
		return s, err
	}
	row, err := databaseByID(d.db.Snapshot(), database)
	if err != nil {
		return s, err
	}
	text, err := d.env.Seal.OpenText(seal.DatabasePassword, row.database.Password, row.meta.ID)
	if err != nil {
		return s, fmt.Errorf("read the password of the database %s: %w", database, err)
	}
	return keeper.Secrets{Count: row.database.Secret, Password: string(text)}, nil
}

// Certify implements keeper.Control.
func (l *ledger) Certify(ctx context.Context, database string, names []string, addrs []netip.Addr) (c engine.Certificate, err error) {
	d, err := l.opened()
	if err != nil {
		return c, err
	}
	row, err := databaseByID(d.db.Snapshot(), database)
	if err != nil {
		return c, err
	}
	office := authority.Office{DB: d.db, Seal: d.env.Seal, Now: d.env.Now}
	signer, err := office.Authority(ctx, row.meta.Account, row.meta.Region)
	if err != nil {
		return c, err
	}
	made, err := signer.Certify(names, addrs, d.env.Now())
	if err != nil {
		return c, fmt.Errorf("certify a server of the database %s: %w", database, err)
	}
	return engine.Certificate{Chain: made.Certificate, Key: made.Key, Authorities: signer.Bundle()}, nil
}

// Known implements keeper.Control. What the host says of the password tells that a database
// was made: it is set once there is one.
func (l *ledger) Known(_ context.Context, id string) (known keeper.Known, err error) {
	d, err := l.opened()
	if err != nil {
		return known, err
	}
	tx := d.db.Snapshot()
	if row, err := databaseByID(tx, id); err == nil {
		s, ok := state.DatabaseStates.Get(tx, row.meta.Account, row.meta.Region, id)
		return keeper.Known{Row: true, Made: ok && (s.Secret > 0 || s.Replication != "")}, nil
	}
	known.Row = state.DBSnapshotsByID.Count(tx, id) > 0
	return known, nil
}

// ground is what servers stand on: it implements keeper.Ground.
type ground struct {
	host     *dataplane.Host
	program  string
	instance string
	log      *slog.Logger
}

// Host implements keeper.Ground. A supervisor that is in another network namespace than
// the sandbox of now is ended: nobody could reach its server.
func (g ground) Host(ctx context.Context, spec engine.Spec) (keeper.Host, error) {
	c, err := supervisor.Open(ctx, spec.Folder)
	if err == nil {
		status, err := c.Status(ctx)
		if err != nil { // it may be slow, and its server well
			return nil, errors.Join(err, c.Close())
		}
		if g.host.IsSandbox(spec.ID, status.Namespace) {
			return c, nil
		}
		if err := errors.Join(c.End(ctx), c.Close()); err != nil {
			return nil, err
		}
	} else if !errors.Is(err, engine.ErrHost) {
		return nil, err
	}
	return supervisor.Start(ctx, supervisor.Options{
		Program: g.program, Folder: spec.Folder, Namespace: g.host.SandboxNamespace(spec.ID), Mark: g.instance, UID: spec.UID, GID: spec.GID, Log: g.log,
	})
}

// releaseTime is how long a supervisor has to answer that is to end.
const releaseTime = 10 * time.Second

// Release implements keeper.Ground. A supervisor that does not answer is killed.
func (g ground) Release(ctx context.Context, spec engine.Spec) error {
	soon, cancel := context.WithTimeout(ctx, releaseTime)
	defer cancel()
	c, err := supervisor.Open(soon, spec.Folder)
	switch {
	case errors.Is(err, engine.ErrHost):
		return nil
	case errors.Is(err, context.DeadlineExceeded):
		return supervisor.Slay(ctx, spec.Folder)
	case err != nil:
		return err
	}
	return errors.Join(c.End(ctx), c.Close())
}

// Slay implements keeper.Ground.
func (g ground) Slay(ctx context.Context, spec engine.Spec) error {
	return supervisor.Slay(ctx, spec.Folder)
}

// Seal implements keeper.Ground.
func (g ground) Seal(_ context.Context, member string) error { return g.host.Seal(member) }

// Unseal implements keeper.Ground.
func (g ground) Unseal(_ context.Context, member string) error { return g.host.Unseal(member) }
