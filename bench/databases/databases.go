// SPDX-License-Identifier: Apache-2.0

// Package databases measures the databases that Postern runs: for how long nobody can commit
// when a writer fails or is changed, whether a commit is lost then, how soon a new instance
// can be used, and what the way from another VPC costs.
package databases

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/posternhq/postern/bench/report"
	"github.com/posternhq/postern/internal/aws/shape/rds"
)

const own = "Postern"

// How a registered database is asked who writes: what RegisterDatabase calls it, and the
// table.
const (
	byRole, askedByRole = "postgres", "asked as a role"
	byREST, askedByREST = "patroni", "asked Patroni"
)

const (
	// clients is how many commit at the same time.
	clients = 8
	// warmUp is how many commits there are before a change, and after it.
	warmUp = 50 * clients
	// members are the servers of a database that is replicated.
	members = 3
)

// scale is how much is measured.
type scale struct {
	failovers, planned int // of Postern's
	ideals             int // failovers of the ideal manager's
	promotions         int // of registered databases
	// followed are promotions by Patroni, of which every other crash is a request.
	followed, tuned, documented failovers
	ends                        int // of all of a writer's instance
	instances                   int
	transacting                 time.Duration // each measurement of pgbench
}

func scaleOf(s report.Settings) scale {
	if s.Quick {
		return scale{failovers: 2, ideals: 1, planned: 2, promotions: 2, followed: failovers{crashes: 2}, tuned: failovers{crashes: 1}, ends: 1, instances: 1, transacting: time.Second}
	}
	few := (s.Rounds + 2) / 3 // of what takes half a minute
	return scale{
		failovers: 6 * s.Rounds, ideals: 2 * s.Rounds, planned: 6 * s.Rounds, promotions: 6 * s.Rounds, ends: few,
		followed: failovers{crashes: s.Rounds, ends: 1}, tuned: failovers{crashes: s.Rounds, ends: few}, documented: failovers{crashes: few, ends: 1},
		instances: s.Rounds, transacting: 4 * time.Second,
	}
}

// bench is one run.
type bench struct {
	report.Settings
	scale
	w *world
	// Tables.
	killed, gone, asked, promoted, made, way *report.Table
	missing                                  string // package of Patroni's that is not there
}

// Run measures everything. It needs root and the packages of PostgreSQL and MariaDB, and leaves nothing behind.
func Run(ctx context.Context, s report.Settings) (section report.Section, err error) {
	b := &bench{Settings: s, scale: scaleOf(s)}
	section.Name = "Databases"
	b.killed = section.Table("A writer is killed", ideal, own, ideal, tuned.name, asDocumented.name)
	b.gone = section.Table("A writer is killed with all of its instance", "", own, tuned.name, asDocumented.name)
	b.asked = section.Table("Another writer is asked for", "", own)
	b.promoted = section.Table("A registered database has another writer", "", askedByRole, askedByREST)
	b.made = section.Table("A new instance", "", own)
	b.way = section.Table("pgbench", routed, own, routed)
	if b.w, err = newWorld(ctx, s.PosternBin); err == nil {
		err = b.measure(ctx)
	}
	if closing := b.w.Close(); err == nil {
		err = closing
	}
	section.Notes = b.notes()
	return section, err
}

// measure fills the tables that are wanted.
func (b *bench) measure(ctx context.Context) error {
	for _, step := range []struct {
		name   string
		do     func(context.Context) error
		tables []*report.Table
	}{
		{"instances", b.measureInstances, []*report.Table{b.made}},
		{"pgbench", b.measureWay, []*report.Table{b.way}},
		{"planned changes", b.measurePlanned, []*report.Table{b.asked}},
		{"promotions", b.measurePromotions, []*report.Table{b.promoted}},
		{"Patroni", b.measurePatroni, []*report.Table{b.promoted, b.killed, b.gone}},
		{"kills", b.measureKills, []*report.Table{b.killed}},
		{"kills of instances", b.measureEnds, []*report.Table{b.gone}},
	} {
		if !slices.ContainsFunc(step.tables, func(t *report.Table) bool { return b.Wants(t.Title, "") }) {
			continue
		}
		b.Log.Info("databases", "measuring", step.name)
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("measure %s: %w", step.name, err)
		}
	}
	return nil
}

// measureInstances makes instances of both engines, one after the other.
func (b *bench) measureInstances(ctx context.Context) error {
	for _, engine := range []struct{ name, title string }{{"postgres", "PostgreSQL"}, {"mariadb", "MariaDB"}} {
		row := b.made.Less("CreateDBInstance → available, "+engine.title, "s").Within(own, 15)
		for i := range b.instances {
			name := fmt.Sprintf("%s-%d", engine.name, i)
			took, err := b.measureInstance(ctx, engine.name, name)
			if err != nil {
				return fmt.Errorf("make %s: %w", name, err)
			}
			row.Add(own, took.Seconds())
		}
	}
	return nil
}

// measureInstance makes an instance and deletes it, and gives how long it took until it was available.
func (b *bench) measureInstance(ctx context.Context, engine, name string) (took time.Duration, err error) {
	start := time.Now()
	if err := b.w.Client.Do(ctx, rds.Service, "CreateDBInstance", &rds.CreateDBInstanceInput{
		DBInstanceIdentifier: &name, Engine: &engine, DBInstanceClass: new("db.t3.micro"), AllocatedStorage: new(int32(20)), DBSubnetGroupName: new(group),
		MasterUsername: new(user), MasterUserPassword: new(password),
	}, nil); err != nil {
		return 0, err
	}
	if err := b.w.available(ctx, name); err != nil {
		return 0, err
	}
	took = time.Since(start)
	return took, b.w.Client.Do(ctx, rds.Service, "DeleteDBInstance", &rds.DeleteDBInstanceInput{DBInstanceIdentifier: &name, SkipFinalSnapshot: new(true)}, nil)
}

func (b *bench) notes() []string {
	notes := []string{
		fmt.Sprintf("Writers: clusters of three instances. %d clients in another VPC with the same block commit a row each every 5 ms through an endpoint and a gateway, by the writer's own name; from before kill(2) of the server's process, or of the supervisor above it, or before FailoverDBCluster is sent, to the first commit that the new writer has acknowledged. Then all acknowledged rows are looked for.", clients),
		"The ideal manager: a PostgreSQL server and its synchronous replica behind a plain router, which is promoted right after the kill, without having to notice it; the clients know both addresses, without names and TLS (target_session_attrs=read-write). It is what real managers can come near to.",
		"Patroni: three servers in synchronous mode, with etcd, and HAProxy in front (httpchk of /primary, on-marked-down shutdown-sessions), without names and TLS; a server that is started again where it was counts as a new writer.",
		"Registered databases: three plain servers, promoted by the benchmark itself or by Patroni; from pg_is_in_recovery() saying no to the first commit through endpoint and gateway.",
		"Clusters whose writer is killed are new each time, as none fails over by itself twice in a minute.",
	}
	for _, s := range []settings{asDocumented, tuned} {
		notes = append(notes, fmt.Sprintf("%s: ttl %d, loop_wait %d, retry_timeout %d, primary_start_timeout %d; HAProxy: %s.", s.name, s.ttl, s.loop, s.retry, s.start, s.checks))
	}
	if b.missing != "" {
		notes = append(notes, "Patroni was not measured: the package "+b.missing+" is not installed.")
	}
	return notes
}
