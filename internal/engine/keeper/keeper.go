// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/engine"
	"github.com/posternhq/postern/internal/engine/folder"
)

// Config sets up a Keeper. All but Log and Free must be set.
type Config struct {
	// Folder is where the folders of servers, databases and snapshots are, by their ids.
	Folder  string
	Drivers []engine.Driver
	Ground  Ground
	Control Control
	// Roles takes the roles of a database when they change, in the order of the changes. It
	// must return soon. Nothing is said of a database before its members were looked at.
	Roles func(Roles)
	// Free gives how many bytes are free where a folder is. Without it the file system says.
	Free func(folder string) (int64, error)
	Log  *slog.Logger
}

// Keeper keeps the databases of a host. It implements reconcile.Effects for Kinds.
type Keeper struct {
	cfg Config
	ctx context.Context

	mu        sync.Mutex
	databases map[string]*database
	snapshots map[string]desired.Snapshot
	// duplicates are those of them that are copies of others, once it has begun.
	duplicates map[string]*duplicate
	began      bool
	work       sync.WaitGroup
}

// Kinds are those that a Keeper carries out.
func Kinds() []desired.Kind {
	return []desired.Kind{desired.KindDatabase, desired.KindDatabaseMember, desired.KindSnapshot}
}

// New makes a keeper of what a folder has, which does nothing before Run.
func New(cfg Config) (*Keeper, error) {
	cfg.Log = cmp.Or(cfg.Log, slog.Default())
	if cfg.Free == nil {
		cfg.Free = folder.Free
	}
	k := &Keeper{cfg: cfg, databases: map[string]*database{}, snapshots: map[string]desired.Snapshot{}, duplicates: map[string]*duplicate{}}
	if err := os.MkdirAll(cfg.Folder, 0o700); err != nil {
		return nil, fmt.Errorf("open the folder of databases: %w", err)
	}
	if err := k.load(); err != nil {
		return nil, err
	}
	return k, nil
}

// Run keeps the databases until the context ends. Servers go on then.
func (k *Keeper) Run(ctx context.Context) {
	k.mu.Lock()
	k.ctx, k.began = ctx, true
	for _, d := range k.databases {
		k.start(d)
	}
	for _, s := range k.snapshots {
		if s.CopyOf != "" {
			k.duplicate(s)
		}
	}
	k.mu.Unlock()
	<-ctx.Done()
	k.work.Wait()
}

// start begins to keep a database. The caller holds the lock.
func (k *Keeper) start(d *database) {
	if k.began && !d.started {
		d.started = true
		k.work.Go(func() { d.run(k.ctx) })
	}
}

// Realms implements reconcile.Effects.
func (k *Keeper) Realms(context.Context) (list []desired.Realm, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for id := range k.databases {
		list = append(list, desired.DatabaseRealm(id))
	}
	for id := range k.snapshots {
		list = append(list, desired.DatabaseRealm(id))
	}
	slices.Sort(list)
	return slices.Compact(list), nil
}

// Dump implements reconcile.Effects. A database has what it was last told to have.
func (k *Keeper) Dump(ctx context.Context, realm desired.Realm) (list []desired.Entry, err error) {
	if realm.Sort() != desired.Databases {
		return nil, nil
	}
	k.mu.Lock()
	if s, ok := k.snapshots[realm.Name()]; ok {
		list = append(list, s)
	}
	if d := k.databases[realm.Name()]; d != nil {
		if d.entry != nil {
			list = append(list, *d.entry)
		}
		for _, m := range d.members {
			list = append(list, m)
		}
	}
	k.mu.Unlock()
	desired.Sort(list)
	return list, ctx.Err()
}

// Apply implements reconcile.Effects. What is put is written down and done later. What is
// deleted is gone when it returns, or it is an error.
func (k *Keeper) Apply(ctx context.Context, realm desired.Realm, put, del []desired.Entry) map[desired.Key]error {
	failed := map[desired.Key]error{}
	put, del = slices.Clone(put), slices.Clone(del)
	desired.Sort(put)
	for _, e := range put {
		if err := k.put(ctx, realm, e); err != nil {
			failed[e.Key()] = fmt.Errorf("put %s: %w", e.Key(), err)
		}
	}
	root := slices.ContainsFunc(del, func(e desired.Entry) bool { return e.Key().Kind == desired.KindDatabase })
	if root {
		k.leave(realm.Name())
	}
	slices.SortFunc(del, func(a, b desired.Entry) int { return b.Key().Compare(a.Key()) })
	var gone []desired.Entry // all are to go at the same time
	for _, e := range del {
		if e.Key().Kind == desired.KindDatabaseMember {
			k.dismiss(realm.Name(), e.Key().ID)
		}
		gone = append(gone, e)
	}
	for _, e := range gone {
		if err := k.delete(ctx, realm, e); err != nil {
			failed[e.Key()] = fmt.Errorf("delete %s: %w", e.Key(), err)
		}
	}
	return failed
}

// Errors of entries that a keeper cannot do.
var (
	errNotHere = errors.New("it lives in another realm")
	errNoKind  = errors.New("the keeper of databases has no such kind")
	errNotYet  = errors.New("its server is being stopped")
	errNoName  = errors.New("its id is not the name of a folder")
)

// put writes down what is wanted.
func (k *Keeper) put(ctx context.Context, realm desired.Realm, e desired.Entry) error {
	if e.Key().Realm != realm {
		return errNotHere
	}
	if id := cmp.Or(memberID(e), realm.Name()); filepath.Base(id) != id || id == "." || id == ".." {
		return errNoName
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	switch v := e.(type) {
	case desired.Database:
		d := k.database(v.ID)
		made, err := d.before(ctx)
		if err != nil {
			return err
		}
		if err := d.writeEntry(&v); err != nil {
			return err
		}
		d.tell(func(m *machine) {
			m.wants(&v)
			m.saved.Made = m.saved.Made || made
		})
	case desired.DatabaseMember:
		d := k.database(v.Database)
		if err := k.writeMember(v); err != nil {
			return err
		}
		d.members[v.ID] = v
		d.tell(func(m *machine) { m.want(v) })
	case desired.Snapshot:
		if err := k.writeSnapshot(v); err != nil {
			return err
		}
		k.snapshots[v.ID] = v
		k.ask(v)
	default:
		return errNoKind
	}
	return nil
}

func memberID(e desired.Entry) string {
	if m, ok := e.(desired.DatabaseMember); ok {
		return m.ID
	}
	return ""
}

// database gives a database, and makes it known. The caller holds the lock.
func (k *Keeper) database(id string) *database {
	d := k.databases[id]
	if d == nil {
		d = newDatabase(k, id)
		k.databases[id] = d
		k.start(d)
		for _, s := range k.snapshots {
			if s.Of == id {
				k.ask(s)
			}
		}
	}
	return d
}

// ask has a database take a snapshot, or one copied. The caller holds the lock.
func (k *Keeper) ask(s desired.Snapshot) {
	if s.CopyOf != "" {
		k.duplicate(s)
		return
	}
	if d := k.databases[s.Of]; d != nil {
		done, bytes := k.taken(s.ID)
		d.tell(func(m *machine) {
			if m.snapshots[s.ID] == nil {
				m.snapshots[s.ID] = &snapshot{id: s.ID, done: done, bytes: bytes}
			}
		})
	}
}

// leave says that all of a database is to go: the data of its last member is not kept.
func (k *Keeper) leave(id string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if d := k.databases[id]; d != nil {
		d.tell(func(m *machine) {
			m.wanted = nil
			for _, o := range m.members {
				o.gone = true
			}
		})
	}
}

// dismiss says that a member is to go.
func (k *Keeper) dismiss(database, id string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if d := k.databases[database]; d != nil {
		d.tell(func(m *machine) {
			if o := m.members[id]; o != nil {
				o.gone = true
			}
		})
	}
}

// delete waits until something is gone.
func (k *Keeper) delete(ctx context.Context, realm desired.Realm, e desired.Entry) error {
	key := e.Key()
	if key.Realm != realm {
		return errNotHere
	}
	id := realm.Name()
	k.mu.Lock()
	d := k.databases[id]
	snap, isSnap := k.snapshots[id]
	k.mu.Unlock()
	switch key.Kind {
	case desired.KindSnapshot:
		return k.removeSnapshot(ctx, snap, isSnap)
	case desired.KindDatabaseMember:
		if d == nil {
			return nil
		}
		return d.await(ctx, func(m *machine) bool { return m.members[key.ID] == nil })
	case desired.KindDatabase:
		if isSnap {
			return k.removeSnapshot(ctx, snap, isSnap)
		}
		if d == nil {
			return nil
		}
		if err := d.await(ctx, func(m *machine) bool { return len(m.members) == 0 }); err != nil {
			return err
		}
		return k.removeDatabase(ctx, d)
	}
	return errNoKind
}

// removeSnapshot ends the taking of a snapshot and removes it.
func (k *Keeper) removeSnapshot(ctx context.Context, s desired.Snapshot, known bool) error {
	if !known {
		return nil
	}
	k.mu.Lock()
	d, copied := k.databases[s.Of], k.duplicates[s.ID]
	k.mu.Unlock()
	if d != nil {
		d.tell(func(m *machine) { delete(m.snapshots, s.ID) })
	}
	if copied != nil {
		if err := copied.stop(ctx); err != nil {
			return fmt.Errorf("end the copying of %s: %w", s.CopyOf, err)
		}
	}
	if err := k.removeFolder(ctx, s.ID, "snapshot"); err != nil {
		return err
	}
	k.mu.Lock()
	delete(k.snapshots, s.ID)
	delete(k.duplicates, s.ID)
	k.mu.Unlock()
	return ctx.Err()
}

// removeDatabase removes what is left of a database without members.
func (k *Keeper) removeDatabase(ctx context.Context, d *database) error {
	d.end()
	if err := k.removeFolder(ctx, d.id, "database"); err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.databases, d.id)
	return nil
}

// View is how a database is, for people.
type View struct {
	Database desired.Database
	Roles    Roles
	States   []State
}

// Views gives how all databases are, in the order of their ids.
func (k *Keeper) Views() (list []View) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(k.databases)) {
		if v, ok := k.databases[id].view(); ok {
			list = append(list, v)
		}
	}
	return list
}
