// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"cmp"
	"slices"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
)

func (r *reading) deriveDatabase(kind unitKind, ref model.Ref) derived {
	switch kind {
	case unitDBCluster:
		return r.deriveDBCluster(ref)
	case unitDBInstance:
		return r.deriveDBInstance(ref)
	case unitDBNames:
		return r.deriveDBNames(ref)
	case unitDBEndpoint:
		return r.deriveDBEndpoint(ref)
	}
	return r.deriveDBSnapshot(ref)
}

// database is what those who lead to a database must know of it.
type database struct {
	id, vpc string
	port    uint16
	addrs   []desired.MemberAddr
}

// deriveDBCluster asks for what the members of a cluster have in common. The data outlives
// the last of them, and so does this. Its value is the database.
func (r *reading) deriveDBCluster(ref model.Ref) derived {
	c, ok := state.DBClusters.Get(r.tx, ref.Account, ref.Region, ref.ID)
	if !ok {
		return derived{}
	}
	d := derived{subjects: []standing{newStanding(SubjectDBCluster, ref, stamp(c.CreatedAt, c.UpdatedAt), state.ClusterLeaves(r.tx, c))}}
	if state.ClusterLeaves(r.tx, c) {
		return d
	}
	db := &database{id: c.ID, vpc: c.VPC, port: c.Port}
	for i := range state.DBInstancesByCluster.Rows(r.tx, ref) {
		if i.Addr.IsValid() && !state.InstanceLeaves(r.tx, i) {
			db.addrs = append(db.addrs, desired.MemberAddr{Member: i.ID, Addr: i.Addr})
		}
	}
	slices.SortFunc(db.addrs, desired.MemberAddr.Compare)
	d.value = db
	if c.IsRegistered() {
		d.entries = r.watch(&c.Meta, &c.Database, db)
		return d
	}
	e := databaseEntry(c.ID, &c.Database)
	e.Names = []string{c.WriterName(r.plan.domains.Databases), c.ReaderName(r.plan.domains.Databases)}
	for own := range state.DBClusterEndpointsByCluster.Rows(r.tx, ref) {
		e.Names = append(e.Names, own.NameIn(r.plan.domains.Databases))
	}
	if g, ok := state.DBClusterParameterGroups.Get(r.tx, c.Account, c.Region, c.ParameterGroup); ok {
		e.Params = parameters(g, c.Held)
	}
	slices.Sort(e.Names)
	d.entries = []desired.Entry{e}
	return d
}

func databaseEntry(id string, d *model.Database) desired.Database {
	return desired.Database{
		ID: id, VPC: d.VPC, Engine: d.Engine, Version: d.Version, Port: d.Port, Name: d.Name, User: d.MasterUser, Secret: d.Secret,
		Writer: d.Writer, Epoch: d.Epoch, Turn: d.Turn, Prefer: d.Prefer, Stopped: d.Stopped, From: d.Snapshot, Authority: d.Authority,
	}
}

// lone is an instance as a database of its own: whose read replica it is, and which it has.
func (r *reading) lone(i *model.DBInstance) desired.Database {
	e := databaseEntry(i.ID, &i.Database)
	if source, ok := state.DBInstances.Get(r.tx, i.Account, i.Region, i.Source); ok {
		e.Source, e.SourceName, e.SourceAddr, e.SourcePort = source.ID, source.NameIn(r.plan.domains.Databases), source.Addr, source.Port
	}
	for replica := range state.DBInstancesBySource.Rows(r.tx, i.Ref()) {
		if replica.Addr.IsValid() && !state.InstanceLeaves(r.tx, replica) {
			e.Replicas = append(e.Replicas, desired.MemberAddr{Member: replica.ID, Addr: replica.Addr})
		}
	}
	slices.SortFunc(e.Replicas, desired.MemberAddr.Compare)
	return e
}

// parameters are those of a group that are in force, as entries have them.
func parameters(g *model.DBParameterGroup, held model.HeldParameters) (list []string) {
	for name, value := range g.InForce(held) {
		list = append(list, name+"="+value)
	}
	slices.Sort(list)
	return list
}

// watch has the host ask a database that exists without it, by way of a gateway that leads
// to it, or while none does of one in its VPC, at a slow pace.
func (r *reading) watch(m *model.Meta, d *model.Database, db *database) []desired.Entry {
	if len(db.addrs) == 0 {
		return nil
	}
	var ways []desired.Watch
	for _, way := range state.WaysTo(r.tx, m, d) {
		x, ok := valueOf[exit](r, unitInterface, way.Interface)
		if pool, has := x.pool(db.addrs[0].Addr.Is4()); ok && has && way.Host == r.plan.host.Index {
			ways = append(ways, desired.Watch{
				ID: db.id, VPC: x.vpc, Gateway: pool, Ask: d.Registered.Ask, Members: db.addrs, Port: d.Port, REST: d.Registered.RESTPort,
				MaxLag: d.Registered.MaxLag, Secret: d.Secret, Seldom: !way.Led,
			})
		}
	}
	if len(ways) == 0 {
		return nil
	}
	return []desired.Entry{slices.MinFunc(ways, func(a, b desired.Watch) int {
		return cmp.Or(led(a)-led(b), cmp.Compare(a.VPC, b.VPC), a.Gateway.Compare(b.Gateway))
	})}
}

// led sorts ways that connections go by before others.
func led(w desired.Watch) int {
	if w.Seldom {
		return 1
	}
	return 0
}

// deriveDBInstance asks for a server: its sandbox, its interface there, its place in the
// database, which is its own when it is in no cluster, and its name. Its value is that
// database.
func (r *reading) deriveDBInstance(ref model.Ref) derived {
	i, ok := state.DBInstances.Get(r.tx, ref.Account, ref.Region, ref.ID)
	if !ok {
		return derived{}
	}
	leaves := state.InstanceLeaves(r.tx, i)
	d := derived{subjects: append(r.released(i.Sibling(i.Interface)), newStanding(SubjectDBInstance, ref, stamp(i.CreatedAt, i.UpdatedAt), leaves))}
	if leaves {
		return d
	}
	c, member := state.DBClusters.Get(r.tx, ref.Account, ref.Region, i.Cluster)
	ours := !i.IsRegistered() && !(member && c.IsRegistered())
	if i.Addr.IsValid() {
		d.entries = r.databaseName(i.VPC, i.NameIn(r.plan.domains.Databases), instanceTTL, []*model.DBInstance{i})
	}
	if i.Cluster == "" {
		db := &database{id: i.ID, vpc: i.VPC, port: i.Port}
		if i.Addr.IsValid() {
			db.addrs = []desired.MemberAddr{{Member: i.ID, Addr: i.Addr}}
		}
		d.value = db
		if ours {
			d.entries = append(d.entries, r.lone(i))
		} else {
			d.entries = append(d.entries, r.watch(&i.Meta, &i.Database, db)...)
		}
	} else if !member {
		return d
	}
	ni, ok := state.NetworkInterfaces.Get(r.tx, ref.Account, ref.Region, i.Interface)
	if !ok || !ours {
		return d
	}
	sandbox := desired.Sandbox{ID: i.ID, VPC: ni.VPC}
	d.entries = append(d.entries, sandbox, r.member(i))
	d.entries = append(d.entries, r.plug(ni, func(w *desired.Workload) {
		w.Namespace, w.Device = desired.Namespace{Realm: sandbox.Key().Realm}, ownDevice
	})...)
	return d
}

func (r *reading) member(i *model.DBInstance) desired.DatabaseMember {
	m := desired.DatabaseMember{
		Database: i.Whole(), ID: i.ID, Name: i.NameIn(r.plan.domains.Databases), Addr: i.Addr, Tier: int64(i.PromotionTier), Reboot: i.Reboot,
	}
	if class, ok := model.DBClassOf(i.Class); ok {
		m.Memory = class.Memory
	}
	if g, ok := state.DBParameterGroups.Get(r.tx, i.Account, i.Region, i.ParameterGroup); ok {
		m.Params = parameters(g, i.Held)
	}
	return m
}

// deriveDBSnapshot asks for a copy of a database's data.
func (r *reading) deriveDBSnapshot(ref model.Ref) derived {
	s, ok := state.DBSnapshots.Get(r.tx, ref.Account, ref.Region, ref.ID)
	if !ok {
		return derived{}
	}
	d := derived{subjects: []standing{standingOf(SubjectDBSnapshot, &s.Meta)}}
	if !s.Deleting() {
		e := desired.Snapshot{ID: s.ID, Of: s.Source}
		if !s.Copied.IsZero() {
			e.Of, e.CopyOf = "", s.Copied.ID
		}
		d.entries = []desired.Entry{e}
	}
	return d
}

// databaseOf gives the database of which a configuration leads to a part.
func (r *reading) databaseOf(rc *model.ResourceConfiguration) (*database, bool) {
	of := rc.Sibling(rc.Database)
	if db, ok := valueOf[*database](r, unitDBCluster, of); ok {
		return db, true
	}
	if i, ok := state.DBInstances.Get(r.tx, of.Account, of.Region, of.ID); ok && i.Cluster != "" {
		return valueOf[*database](r, unitDBCluster, i.Sibling(i.Cluster))
	}
	return valueOf[*database](r, unitDBInstance, of)
}

// followDatabase has a target lead to a part of a database; false says that the part is
// gone.
func (r *reading) followDatabase(rc *model.ResourceConfiguration, f desired.FollowDatabase) (desired.Entry, bool) {
	db, ok := r.databaseOf(rc)
	if !ok {
		return nil, false
	}
	f.Database, f.Port, f.Addrs = db.id, db.port, db.addrs
	switch rc.Part {
	case model.PartWriter:
		f.Part = desired.PartWriter
	case model.PartReader:
		f.Part = desired.PartReader
	case model.PartMember:
		f.Part, f.Members = desired.PartMember, []string{rc.Member}
		ok = slices.ContainsFunc(db.addrs, func(a desired.MemberAddr) bool { return a.Member == rc.Member })
	case model.PartCustom:
		var e *model.DBClusterEndpoint
		if e, ok = state.DBClusterEndpoints.Get(r.tx, rc.Account, rc.Region, rc.Member); ok {
			f.Part, f.Members, f.Except = desired.PartAny, e.Static, e.Excluded
			if e.Readers {
				f.Part = desired.PartReader
			}
		}
	default:
		ok = false
	}
	return f, ok
}
