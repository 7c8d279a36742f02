// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"slices"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
)

// For how long the addresses of databases may be kept, in seconds. That of an instance
// never changes. Whoever keeps a writer's for longer writes to a reader after a failover.
const (
	instanceTTL = 60
	roleTTL     = 1
)

// databaseName gives a name of a database a zone of its own, which its VPC sees, so that
// no other name below the suffix is answered. Each answer is one of the instances, as with
// RDS; without any, nobody has the name.
func (r *reading) databaseName(vpc, name string, ttl uint32, of []*model.DBInstance) []desired.Entry {
	if !r.named() || name == "" {
		return nil
	}
	zone := desired.NameZone{ID: vpc + "/" + name, Name: name, Negative: roleTTL}
	entries := []desired.Entry{zone, desired.View{VPC: vpc, Zone: zone.ID}}
	for _, i := range of {
		kind := "AAAA"
		if i.Addr.Is4() {
			kind = "A"
		}
		record := desired.NameRecord{Zone: zone.ID, Name: name, Type: kind, TTL: ttl, Data: []string{i.Addr.String()}}
		if len(of) > 1 {
			record.Set, record.Weight, record.Weighted = i.ID, 1, true
		}
		entries = append(entries, record)
	}
	return entries
}

// crew is the members of a cluster that have an address, by what they do. Who is
// behind does not serve.
type crew struct {
	writer  *model.DBInstance // nil when it has none
	readers []*model.DBInstance
	serving map[string]bool
}

// crewOf gives the members of a cluster that are not about to go.
func (r *reading) crewOf(c *model.DBCluster) crew {
	w := crew{serving: map[string]bool{}}
	for i := range state.DBInstancesByCluster.Rows(r.tx, c.Ref()) {
		if !i.Addr.IsValid() || state.InstanceLeaves(r.tx, i) {
			continue
		}
		said, ok := state.DatabaseStates.Get(r.tx, i.Account, i.Region, i.ID)
		w.serving[i.ID] = ok && said.Phase.Serves() && !said.Behind
		if i.ID == c.Writer {
			w.writer = i
		} else {
			w.readers = append(w.readers, i)
		}
	}
	return w
}

// written is the writer, be it up or not: somebody else is never the writer in its place.
func (w crew) written() []*model.DBInstance {
	if w.writer == nil {
		return nil
	}
	return []*model.DBInstance{w.writer}
}

// up are those of some instances that serve.
func (w crew) up(of []*model.DBInstance) (up []*model.DBInstance) {
	for _, i := range of {
		if w.serving[i.ID] {
			up = append(up, i)
		}
	}
	return up
}

// deriveDBNames gives a cluster the names of its writer and its readers. That of the readers
// leads to the writer when none serves, as with Aurora:
// https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/Aurora.Endpoints.Reader.html
func (r *reading) deriveDBNames(ref model.Ref) derived {
	c, ok := state.DBClusters.Get(r.tx, ref.Account, ref.Region, ref.ID)
	if !ok {
		return derived{}
	}
	d := derived{subjects: []standing{newStanding(SubjectDBCluster, ref, 0, false)}}
	if state.ClusterLeaves(r.tx, c) {
		return d
	}
	w := r.crewOf(c)
	read := w.up(w.readers)
	if len(read) == 0 {
		read = w.written()
	}
	for _, named := range []struct {
		name string
		of   []*model.DBInstance
	}{{c.ReaderName(r.plan.domains.Databases), read}, {c.WriterName(r.plan.domains.Databases), w.written()}} {
		if len(named.of) > 0 || !c.IsRegistered() { // others may know the names of those, too
			d.entries = append(d.entries, r.databaseName(c.VPC, named.name, roleTTL, named.of)...)
		}
	}
	return d
}

// deriveDBEndpoint gives some instances of a cluster a name: those that serve, or else all
// of them, who refuse.
func (r *reading) deriveDBEndpoint(ref model.Ref) derived {
	e, ok := state.DBClusterEndpoints.Get(r.tx, ref.Account, ref.Region, ref.ID)
	if !ok || e.Deleting() {
		return derived{}
	}
	c, ok := state.DBClusters.Get(r.tx, ref.Account, ref.Region, e.Cluster)
	if !ok || state.ClusterLeaves(r.tx, c) {
		return derived{value: false} // with a value it is derived again when there is more
	}
	w := r.crewOf(c)
	of := w.readers
	if !e.Readers {
		of = append(of, w.written()...)
	}
	of = slices.DeleteFunc(of, func(i *model.DBInstance) bool {
		if len(e.Static) > 0 {
			return !slices.Contains(e.Static, i.ID)
		}
		return slices.Contains(e.Excluded, i.ID)
	})
	if up := w.up(of); len(up) > 0 {
		of = up
	}
	slices.SortFunc(of, func(a, b *model.DBInstance) int { return compareRefs(a.Ref(), b.Ref()) })
	return derived{entries: r.databaseName(c.VPC, e.NameIn(r.plan.domains.Databases), roleTTL, of)}
}
