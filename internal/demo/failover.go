// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/posternhq/postern/internal/aws/schema"
	"github.com/posternhq/postern/internal/aws/shape/rds"
	"github.com/posternhq/postern/internal/aws/shape/vpclattice"
	"github.com/posternhq/postern/internal/client"
	"github.com/posternhq/postern/test/instance"
)

// clusterNow reads the cluster, and tells who writes; nobody in the middle of a change.
func (d *demo) clusterNow(ctx context.Context) (cluster rds.DBCluster, writer string, err error) {
	got, err := quietly[rds.DescribeDBClustersOutput](ctx, d, rds.Service, "DescribeDBClusters", &rds.DescribeDBClustersInput{DBClusterIdentifier: new(clusterName)})
	if err != nil {
		return rds.DBCluster{}, "", err
	}
	for _, m := range got.DBClusters[0].DBClusterMembers {
		if *m.IsClusterWriter {
			writer = *m.DBInstanceIdentifier
		}
	}
	return got.DBClusters[0], writer, nil
}

// startCommits lets clients of the consumer write until the story has counted what they wrote.
func (d *demo) startCommits(ctx context.Context) error {
	h := &d.hosted
	by := connection(h.writer, d.verified()...)
	d.screen.say("Each of them connects again when it is cut, as pgbench would not.")
	d.showProgram(d.world.consumer.subnet, d.world.clientGroup, d.world.client, clientsShown, quote(by))
	var err error
	if h.writing, err = d.start("those who commit", d.workload(d.world.consumer.subnet, d.world.clientGroup, d.world.client, d.config.Self, "commit", by)); err != nil {
		return err
	}
	return says(ctx, h.writing.Process, writingLine, "a commit of each client", settled)
}

// clientsShown is what those who commit are called instead of a command.
var clientsShown = fmt.Sprintf("%d clients that commit, by", clients)

// moves is how often those who commit have come to another server.
func (d *demo) moves() int { return strings.Count(d.hosted.writing.Output(), "\nmoved to ") }

// awaitMove waits until commits are acknowledged by another server than before, and tells
// for how long there were none.
func (d *demo) awaitMove(ctx context.Context, before int) (server string, pause time.Duration, err error) {
	if err := waitFor(ctx, d.hosted.writing.Process, "a commit by another server", born, func() (bool, error) { return d.moves() > before, nil }); err != nil {
		return "", 0, err
	}
	told := strings.Split(d.hosted.writing.Output(), "\nmoved to ")[before+1]
	var took int64
	if _, err := fmt.Sscanf("moved to "+told, movedLine, &server, &took); err != nil {
		return "", 0, fmt.Errorf("read %q: %w", told, err)
	}
	return server, time.Duration(took), nil
}

// awaitWriter waits until RDS says that somebody whom the caller wants writes.
func (d *demo) awaitWriter(ctx context.Context, what string, fit func(writer string) bool) (writer string, err error) {
	err = waitFor(ctx, d.postern.Process(), what, born, func() (bool, error) {
		cluster, now, err := d.clusterNow(ctx)
		writer = now
		return err == nil && *cluster.Status == "available" && now != "" && fit(now), err
	})
	return writer, err
}

// killWriter kills the writer's server, as a bug or the kernel would for want of memory.
func (d *demo) killWriter(ctx context.Context) error {
	if err := d.startCommits(ctx); err != nil {
		return err
	}
	d.actAsRoot(d.hosted.vendor)
	_, former, err := d.clusterNow(ctx)
	if err != nil {
		return err
	}
	got, err := quietly[rds.DescribeDBInstancesOutput](ctx, d, rds.Service, "DescribeDBInstances", &rds.DescribeDBInstancesInput{DBInstanceIdentifier: &former})
	if err != nil {
		return err
	}
	server, err := instance.DatabaseServer(d.data(), *got.DBInstances[0].DbiResourceId)
	if err != nil {
		return err
	}
	before := d.moves()
	d.screen.command(fmt.Sprintf("kill -9 %d   # the server of %s", server.Pid, former))
	if err := server.Kill(); err != nil {
		return fmt.Errorf("kill the server of %s: %w", former, err)
	}
	address, pause, err := d.awaitMove(ctx, before)
	if err != nil {
		return err
	}
	writer, err := d.awaitWriter(ctx, "a writer after "+former, func(now string) bool { return now != former })
	if err != nil {
		return err
	}
	d.screen.done("%s at %s writes: %s without a commit, by the same name and address of the consumer's network", writer, address, short(pause))
	if _, err := d.databasesAvailable(ctx); err != nil {
		return err
	}
	d.screen.done("%s is back, as a replica", former)
	return nil
}

// requestWriter asks for another writer, by name.
func (d *demo) requestWriter(ctx context.Context) error {
	d.actAsRoot(d.hosted.vendor)
	_, former, err := d.clusterNow(ctx)
	if err != nil {
		return err
	}
	next := clusterInstances[0]
	if next == former {
		next = clusterInstances[1]
	}
	before := d.moves()
	if _, err := call[rds.FailoverDBClusterOutput](ctx, d, rds.Service, "FailoverDBCluster",
		&rds.FailoverDBClusterInput{DBClusterIdentifier: new(clusterName), TargetDBInstanceIdentifier: &next}); err != nil {
		return err
	}
	address, pause, err := d.awaitMove(ctx, before)
	if err != nil {
		return err
	}
	if _, err := d.awaitWriter(ctx, next, func(now string) bool { return now == next }); err != nil {
		return err
	}
	d.screen.done("%s at %s writes: %s without a commit", next, address, short(pause))
	return nil
}

// countCommits ends those who commit, who then look whether all is there.
func (d *demo) countCommits(context.Context) error {
	p := d.hosted.writing
	p.Signal(p.ending)
	if _, err := p.Wait(born); err != nil {
		return err
	}
	last := p.Output()
	if i := strings.LastIndex(strings.TrimSpace(last), "\n"); i >= 0 {
		last = last[i+1:]
	}
	var acknowledged, lost int
	if _, err := fmt.Sscanf(last, committedLine, &acknowledged, &lost); err != nil {
		return p.Early()
	}
	if lost > 0 || acknowledged == 0 {
		return fmt.Errorf("of %d acknowledged commits %d are lost:\n%s", acknowledged, lost, p.Output())
	}
	d.screen.done("%d commits were acknowledged through both changes, and each is there", acknowledged)
	return nil
}

// askByEndpoint asks from a network where the databases' own names mean nothing.
func (d *demo) askByEndpoint(ctx context.Context) error {
	h := &d.hosted
	d.actAsRoot(h.plain)
	writer, err := d.openPlain(ctx, h.cluster, h.writer)
	if err != nil {
		return err
	}
	stock, err := d.openPlain(ctx, h.stock, h.stock.names[0])
	if err != nil {
		return err
	}
	got, err := d.sql(ctx, connection(writer, "sslmode=require"), whoAnswers)
	if err != nil {
		return err
	}
	if _, _, err := got.answered(); err != nil {
		return err
	}
	d.screen.say(strings.TrimSpace(row(got.output)))
	d.screen.done("encrypted, and whoever it is")
	if got, err = d.sql(ctx, connection(writer, d.verified()...), whoAnswers); err != nil {
		return err
	}
	if got.status == 0 || !strings.Contains(got.output, "does not match host name") {
		return fmt.Errorf("psql ended with status %d and did not miss the name in the certificate:\n%s", got.status, got.output)
	}
	d.screen.say(got.output)
	if got, err = d.mariadb(ctx, stock, whoAnswersStock); err != nil {
		return err
	}
	if got.status == 0 || !strings.Contains(got.output, unverified) {
		return fmt.Errorf("mariadb ended with status %d and did not miss the name in the certificate:\n%s", got.status, got.output)
	}
	d.screen.say(got.output)
	d.screen.done("refused by psql and by mariadb: certificates are for the databases' own names")
	return nil
}

func (d *demo) showDatabaseEvents(ctx context.Context) error {
	d.actAsRoot(d.hosted.vendor)
	got, err := call[rds.DescribeEventsOutput](ctx, d, rds.Service, "DescribeEvents", &rds.DescribeEventsInput{
		SourceType: new(rds.SourceTypeDbCluster), SourceIdentifier: new(clusterName), EventCategories: []string{"failover"},
	})
	if err != nil {
		return err
	}
	if len(got.Events) == 0 {
		return errors.New("there are no events of failovers")
	}
	for _, e := range got.Events {
		d.screen.say(e.Date.UTC().Format("15:04:05.000") + "  " + text(e.Message))
	}
	return nil
}

func (d *demo) deleteDatabases(ctx context.Context) error {
	h := &d.hosted
	for _, t := range []*tenant{h.plain, h.consumer} {
		d.actAsRoot(t)
		if err := d.deleteEndpoints(ctx, h.opened[t]...); err != nil {
			return err
		}
	}
	d.actAsRoot(h.vendor)
	for _, o := range []*offered{h.cluster, h.stock} { // which go when the endpoints to them have
		in := &vpclattice.DeleteResourceConfigurationInput{ResourceConfigurationIdentifier: &o.configuration}
		if err := until[vpclattice.DeleteResourceConfigurationOutput](ctx, d, vpclattice.Service, "DeleteResourceConfiguration", in); err != nil {
			return err
		}
	}
	for _, name := range clusterInstances {
		if _, err := call[rds.DeleteDBInstanceOutput](ctx, d, rds.Service, "DeleteDBInstance", &rds.DeleteDBInstanceInput{DBInstanceIdentifier: &name}); err != nil {
			return err
		}
	}
	if _, err := call[rds.DeleteDBInstanceOutput](ctx, d, rds.Service, "DeleteDBInstance",
		&rds.DeleteDBInstanceInput{DBInstanceIdentifier: new(stockName), SkipFinalSnapshot: new(true)}); err != nil {
		return err
	}
	if _, err := call[rds.DeleteDBClusterOutput](ctx, d, rds.Service, "DeleteDBCluster",
		&rds.DeleteDBClusterInput{DBClusterIdentifier: new(clusterName), SkipFinalSnapshot: new(true)}); err != nil {
		return err
	}
	if err := until[rds.DeleteDBSubnetGroupOutput](ctx, d, rds.Service, "DeleteDBSubnetGroup",
		&rds.DeleteDBSubnetGroupInput{DBSubnetGroupName: new(subnetGroup)}); err != nil {
		return err
	}
	left, err := filepath.Glob(filepath.Join(d.data(), "databases", "*"))
	if err == nil && len(left) > 0 {
		err = fmt.Errorf("folders of servers are left: %v", left)
	}
	if err != nil {
		return err
	}
	d.screen.done("servers and their data are gone")
	return nil
}

// until shows a call, and makes it again for as long as it is refused because something is
// in its way.
func until[Out any](ctx context.Context, d *demo, service *schema.Service, operation string, in any) error {
	d.screen.command(commandLine(service, operation, in))
	return waitFor(ctx, d.postern.Process(), "success of "+operation, born, func() (bool, error) {
		_, err := quietly[Out](ctx, d, service, operation, in)
		var refusal *client.Error
		if errors.As(err, &refusal) && refusal.Status < 500 {
			return false, nil
		}
		return err == nil, err
	})
}
