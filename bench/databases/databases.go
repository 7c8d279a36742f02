// SPDX-License-Identifier: Apache-2.0

// Package databases measures the databases that Postern runs: for how long nobody can commit
// when a writer fails or is changed, whether a commit is lost then, how soon a new instance
// can be used, and what the way from another VPC costs.
package databases

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/posternhq/postern/bench/report"
	"github.com/posternhq/postern/internal/aws/shape/rds"
	"github.com/posternhq/postern/test/commits"
	"github.com/posternhq/postern/test/instance"
)

const own = "Postern"

const (
	// clients is how many commit at the same time.
	clients = 8
	// warmUp is how many commits there are before a change, and after it.
	warmUp = 50 * clients
)

// scale is how much is measured.
type scale struct {
	failovers, planned int
	instances          int
	transacting        time.Duration // each measurement of pgbench
}

func scaleOf(s report.Settings) scale {
	if s.Quick {
		return scale{failovers: 1, planned: 1, instances: 1, transacting: 2 * time.Second}
	}
	return scale{failovers: 6 * s.Rounds, planned: 4 * s.Rounds, instances: s.Rounds, transacting: 6 * time.Second}
}

// bench is one run.
type bench struct {
	report.Settings
	scale
	w                        *world
	killed, asked, made, way *report.Table
}

// Run measures everything. It needs root and the packages of PostgreSQL and MariaDB, and leaves nothing behind.
func Run(ctx context.Context, s report.Settings) (section report.Section, err error) {
	b := &bench{Settings: s, scale: scaleOf(s)}
	section.Name = "Databases"
	b.killed = section.Table("A writer is killed", ideal, own, ideal)
	b.asked = section.Table("Another writer is asked for", "", own)
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
		table *report.Table
		do    func(context.Context) error
	}{{b.made, b.measureInstances}, {b.way, b.measureWay}, {b.asked, b.measurePlanned}, {b.killed, b.measureKills}} {
		if !b.Wants(step.table.Title, "") {
			continue
		}
		b.Log.Info("databases", "table", step.table.Title)
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("measure %q: %w", step.table.Title, err)
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

// measureKills kills the writer of one new cluster after the other. One that has failed over
// by itself would not do it again for a minute.
func (b *bench) measureKills(ctx context.Context) error {
	var all, peer changes
	for range b.failovers {
		if err := measureIdeal(ctx, &peer); err != nil {
			return err
		}
		if err := b.withCluster(ctx, func(c *cluster) error {
			return all.measure(ctx, c.name, c.dial(c.writer), func() error {
				_, resource, err := c.writes(ctx)
				if err != nil {
					return err
				}
				server, err := instance.DatabaseServer(c.Data, resource)
				if err != nil {
					return err
				}
				all.begin()
				return server.Kill()
			})
		}); err != nil {
			return err
		}
	}
	all.show(b.killed, own)
	peer.show(b.killed, ideal)
	bound(b.killed)
	return nil
}

// measurePlanned asks one cluster for another writer again and again.
func (b *bench) measurePlanned(ctx context.Context) error {
	var all changes
	err := b.withCluster(ctx, func(c *cluster) error {
		for range b.planned {
			if err := all.measure(ctx, c.name, c.dial(c.writer), func() error {
				all.begin()
				return c.Client.Do(ctx, rds.Service, "FailoverDBCluster", &rds.FailoverDBClusterInput{DBClusterIdentifier: &c.name}, nil)
			}); err != nil {
				return err
			}
			for _, name := range c.instances {
				if err := c.available(ctx, name); err != nil {
					return err
				}
			}
		}
		return nil
	})
	all.show(b.asked, own)
	bound(b.asked)
	return err
}

// withCluster does something with a new cluster.
func (b *bench) withCluster(ctx context.Context, do func(*cluster) error) error {
	c, err := b.w.makeCluster(ctx)
	if err == nil {
		err = do(c)
	}
	if err != nil {
		return err // what is left goes with the world
	}
	return c.remove(ctx)
}

// changes are those of writers.
type changes struct {
	began              time.Time
	pauses             []float64 // s, from the beginning to the first commit of the new writer
	acknowledged, lost int
}

func (a *changes) begin() { a.began = time.Now() }

// measure has clients commit while a writer is changed, and counts what is lost.
func (a *changes) measure(ctx context.Context, name string, dial commits.Dial, change func() error) error {
	moved := make(chan time.Time, 16)
	l := &commits.Ledger{Moved: func(string, time.Duration) {
		select {
		case moved <- time.Now():
		default: // nobody waits for a second one
		}
	}}
	if err := prepare(ctx, dial); err != nil {
		return err
	}
	writing, stop := context.WithCancel(ctx)
	defer stop()
	var begun, all sync.WaitGroup
	begun.Add(clients)
	for n := range clients {
		all.Go(func() { l.Write(writing, dial, n, sync.OnceFunc(begun.Done)) })
	}
	begun.Wait()
	if err := reach(ctx, l, l.Count()+warmUp); err != nil {
		return err
	}
	if err := change(); err != nil {
		return err
	}
	select {
	case at := <-moved:
		a.pauses = append(a.pauses, at.Sub(a.began).Seconds())
	case <-time.After(born):
		return fmt.Errorf("no commit by a new writer of %s in %v", name, born)
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := reach(ctx, l, l.Count()+warmUp); err != nil {
		return err
	}
	stop()
	all.Wait()
	lost, err := l.Lost(ctx, dial)
	if err != nil {
		return err
	}
	a.acknowledged += l.Count()
	a.lost += len(lost)
	return nil
}

// reach waits until so many commits are acknowledged.
func reach(ctx context.Context, l *commits.Ledger, count int) error {
	return instance.Poll(ctx, born, fmt.Sprint(count, " commits"), func() (bool, error) { return l.Count() >= count, nil })
}

// prepare makes an empty table.
func prepare(ctx context.Context, dial commits.Dial) error {
	conn, err := dial(ctx)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, "drop table if exists entry; "+commits.Make).ReadAll()
	return err
}

// The rows of changes.
const (
	medianRow = "→ first commit of the new writer, p50"
	worstRow  = "→ first commit of the new writer, p99"
	lostRow   = "acknowledged commits that are lost"
)

// bound adds what is wanted, in seconds.
func bound(t *report.Table) {
	t.Less(medianRow, "s").Within(own, 0.5)
	t.Less(worstRow, "s").Within(own, 1.2)
	t.Less(lostRow, "").Within(own, 0)
}

// show adds what was measured of a candidate to a table.
func (a *changes) show(t *report.Table, of string) {
	if len(a.pauses) == 0 {
		return
	}
	slices.Sort(a.pauses)
	t.More("how often", "").Add(of, float64(len(a.pauses)))
	t.Less(medianRow, "s").Add(of, report.Quantile(a.pauses, 0.5))
	t.Less(worstRow, "s").Add(of, report.Quantile(a.pauses, 0.99))
	t.More("acknowledged commits", "").Add(of, float64(a.acknowledged))
	t.Less(lostRow, "").Add(of, float64(a.lost))
}

func (b *bench) notes() []string {
	return []string{
		fmt.Sprintf("Writers: clusters of three instances. %d clients in another VPC with the same block commit a row each every 5 ms through an endpoint and a gateway, by the writer's own name; from before kill(2) of the server's process, or before FailoverDBCluster is sent, to the first commit that the new writer has acknowledged. Then all acknowledged rows are looked for.", clients),
		"The ideal manager: a PostgreSQL server and its synchronous replica behind a plain router, which is promoted by pg_ctl right after the kill, without having to notice it; the clients know both addresses, without names and TLS (target_session_attrs=read-write). It is what real managers can come near to.",
		"Clusters whose writer is killed are new each time, as none fails over by itself twice in a minute.",
	}
}
