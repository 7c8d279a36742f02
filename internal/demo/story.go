// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/posternhq/postern/internal/client"
)

// picture is the path of a connection, as the story makes it.
const picture = `
    consumer VPC  10.0.0.0/16         │         provider VPC  10.0.0.0/16
                                      │
  psql            endpoint            │          gateway          PostgreSQL
  10.0.1.10 ────▶ 10.0.1.100:5432 ════╪═══════▶ 10.0.1.x ──────▶ 10.0.1.10:5432
                                      │
      no route, no peering, no proxy: the kernel forwards every packet`

// story is what is told, step by step.
type story struct {
	title, picture string
	client         string // the address of the consumer's programs; empty lets Postern choose
	steps          []step
}

type step struct {
	title string
	do    func(context.Context) error
}

// tell tells a story. It ends with the first step that does not hold.
func (d *demo) tell(ctx context.Context, s story) error {
	d.screen.title("Postern: " + s.title)
	d.screen.line("")
	d.screen.say(s.picture)
	d.world.client = s.client
	for _, step := range s.steps {
		d.screen.step(step.title)
		if err := step.do(ctx); err != nil {
			return err
		}
	}
	return nil
}

// database is the story of one database, by its address. The client has the same one, which
// the endpoint does not take: it is told its own.
func (d *demo) database() story {
	return story{"one private way between two networks that have the same addresses", picture, clientAddress, []step{
		{"Start Postern in a temporary folder", d.startPostern},
		{"Two VPCs with the same addresses", d.makeNetworks},
		{"Security groups: who may talk to whom", d.makeGroups},
		{"A PostgreSQL server in the provider VPC", d.startDatabase},
		{"Without an endpoint the client finds nothing", d.showNoWay},
		{"The provider offers the database: gateway and configuration", d.offer},
		{"The consumer makes an endpoint, while a client keeps asking", d.openEndpoint},
		{"psql asks the database through the endpoint", d.query},
		{"Another port is refused at once", d.showWrongPort},
		{"With the endpoint's security group closed, nothing answers", d.showClosed},
		{"Deleting the endpoint ends a live session at once", d.showCut},
	}}
}

func (d *demo) startPostern(ctx context.Context) error {
	start := time.Now()
	d.screen.command("postern " + strings.Join(d.postern.UpCommand()[1:], " "))
	if err := d.postern.Up(ctx); err != nil {
		return fmt.Errorf("start Postern: %w", err)
	}
	a := d.postern.Access()
	d.api = client.New(a.URL, a.Region, a.AccessKeyID, a.SecretAccessKey)
	d.screen.done("the AWS API answers after %s", short(time.Since(start)))
	return nil
}

func (d *demo) makeNetworks(ctx context.Context) (err error) {
	if d.world.consumer, err = d.makeNetwork(ctx); err != nil {
		return err
	}
	if d.world.provider, err = d.makeNetwork(ctx); err != nil {
		return err
	}
	d.screen.done("consumer %s and provider %s, both %s", d.world.consumer.vpc, d.world.provider.vpc, networkCIDR)
	return nil
}

func (d *demo) makeGroups(ctx context.Context) (err error) {
	w := d.world
	for _, g := range []struct {
		id                *string
		network           network
		name, description string
	}{
		{&w.clientGroup, w.consumer, "client", "clients of the database"},
		{&w.endpointGroup, w.consumer, "endpoint", "the endpoint to the database"},
		{&w.gatewayGroup, w.provider, "gateway", "the resource gateway"},
		{&w.databaseGroup, w.provider, "database", "the database"},
	} {
		if *g.id, err = d.makeGroup(ctx, g.network, g.name, g.description); err != nil {
			return err
		}
	}
	if err := d.admit(ctx, w.endpointGroup, w.clientGroup, anyPort); err != nil {
		return err
	}
	if err := d.admit(ctx, w.databaseGroup, w.gatewayGroup, itsPort); err != nil {
		return err
	}
	d.screen.done("client to endpoint on any port, gateway to database on port %d", databasePort)
	return nil
}

func (d *demo) startDatabase(ctx context.Context) error {
	dir, err := d.initDatabase(ctx)
	if err != nil {
		return err
	}
	return d.runDatabase(ctx, dir)
}

// runDatabase starts the server of a cluster.
func (d *demo) runDatabase(ctx context.Context, dir string) error {
	d.showProgram(d.world.provider.subnet, d.world.databaseGroup, databaseAddress, "postgres -D", dir)
	cmd := d.workload(d.world.provider.subnet, d.world.databaseGroup, databaseAddress, d.databaseCommand(dir)...)
	cmd.Dir = dir
	p, err := d.start("PostgreSQL", cmd)
	if err != nil {
		return err
	}
	p.ending = os.Interrupt // "fast": PostgreSQL does not wait for its clients to leave
	const ready = "database system is ready to accept connections"
	if err := says(ctx, p.Process, ready, "PostgreSQL", settled); err != nil {
		return err
	}
	d.screen.done("PostgreSQL runs at %s of the provider VPC", databaseAddress)
	return nil
}

func (d *demo) showNoWay(ctx context.Context) error {
	for _, address := range []string{databaseAddress, endpointAddress} {
		got, err := d.psql(ctx, connectTimeout, address, databasePort, "select 1")
		if err != nil {
			return err
		}
		if err := got.refused(); err != nil {
			return err
		}
	}
	d.screen.done("%s is the client itself, %s is nobody: refused", databaseAddress, endpointAddress)
	return nil
}

func (d *demo) offer(ctx context.Context) error {
	if err := d.makeGateway(ctx); err != nil {
		return err
	}
	if err := d.makeConfiguration(ctx, "database", databasePort); err != nil {
		return err
	}
	if err := d.findGatewayAddresses(ctx); err != nil {
		return err
	}
	d.screen.done("%s goes out from %d addresses; %s is %s, port %d", d.world.gateway, len(d.world.gatewayAddresses),
		d.world.configuration, databaseAddress, databasePort)
	return nil
}

// openEndpoint measures from before the request is sent until a client that
// asks every millisecond has its first answer.
func (d *demo) openEndpoint(ctx context.Context) error {
	cmd := d.workload(d.world.consumer.subnet, d.world.clientGroup, d.world.client,
		d.config.Self, "probe", fmt.Sprintf("%s:%d", endpointAddress, databasePort))
	p, err := d.start("the asking client", cmd)
	if err != nil {
		return err
	}
	if err := says(ctx, p.Process, tryingLine, "the asking client", settled); err != nil {
		return err
	}
	if err := d.makeEndpoint(ctx); err != nil {
		return err
	}
	if d.world.answered, d.world.attempts, err = p.answered(ctx); err != nil {
		return err
	}
	took := time.Duration(d.world.answered - d.world.requested)
	d.screen.done("first query answered %s after CreateVpcEndpoint was sent", short(took))
	d.screen.say(fmt.Sprintf("(one client, asking every %s: attempt %d to connect, log in and\n select 1 was the first to be answered)", probeEvery, d.world.attempts))
	return nil
}

func (d *demo) query(ctx context.Context) error {
	const sql = "select inet_server_addr() as server, inet_client_addr() as client"
	got, err := d.psql(ctx, connectTimeout, endpointAddress, databasePort, sql)
	if err != nil {
		return err
	}
	if got.status != 0 {
		return fmt.Errorf("psql ended with status %d:\n%s", got.status, got.output)
	}
	d.screen.say(got.output)
	server, client, _ := strings.Cut(row(got.output), "|")
	if server = strings.TrimSpace(server); server != databaseAddress {
		return fmt.Errorf("the server is %q, want %s", server, databaseAddress)
	}
	if client = strings.TrimSpace(client); !slices.Contains(d.world.gatewayAddresses, client) {
		return fmt.Errorf("the server sees client %q, want one of %v", client, d.world.gatewayAddresses)
	}
	d.screen.done("answered in %s; the server sees %s, an address of the gateway", short(got.took), client)
	return nil
}

func (d *demo) showWrongPort(ctx context.Context) error {
	got, err := d.psql(ctx, connectTimeout, endpointAddress, wrongPort, "select 1")
	if err != nil {
		return err
	}
	if err := got.refused(); err != nil {
		return err
	}
	d.screen.done("refused after %s: the configuration offers port %d only", short(got.took), databasePort)
	return nil
}

// showClosed needs no waiting after the change: a workload that is attached
// later is attached only when everything before has been programmed.
func (d *demo) showClosed(ctx context.Context) error {
	if err := d.refuse(ctx, d.world.endpointGroup, d.world.clientGroup, anyPort); err != nil {
		return err
	}
	got, err := d.psql(ctx, silence, endpointAddress, databasePort, "select 1")
	if err != nil {
		return err
	}
	if err := got.unanswered(); err != nil {
		return err
	}
	d.screen.done("no answer; psql gave up after %s, as it was told to", short(got.took))
	if err := d.admit(ctx, d.world.endpointGroup, d.world.clientGroup, anyPort); err != nil {
		return err
	}
	if got, err = d.psql(ctx, connectTimeout, endpointAddress, databasePort, "select 1"); err != nil {
		return err
	}
	if got.status != 0 {
		return fmt.Errorf("the group is open again and psql ended with status %d:\n%s", got.status, got.output)
	}
	d.screen.done("opened again, it answers in %s", short(got.took))
	return nil
}

// cut bounds the end of a session, which would wait for a minute by itself.
const cut = 30 * time.Second

// showCut keeps a session open that would wait for a minute.
func (d *demo) showCut(ctx context.Context) error {
	d.showPsql(endpointAddress, databasePort, "select pg_sleep(60)")
	p, err := d.start("the session", d.psqlCommand(connectTimeout, endpointAddress, databasePort, "select 'connected'", "select pg_sleep(60)"))
	if err != nil {
		return err
	}
	if err := says(ctx, p.Process, "connected", "a session", settled); err != nil {
		return err
	}
	start := time.Now()
	if err := d.deleteEndpoint(ctx); err != nil {
		return err
	}
	select {
	case <-p.Ended():
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(cut):
		return fmt.Errorf("the session was not ended within %s of DeleteVpcEndpoints; psql said:\n%s", cut, p.Output())
	}
	if status, _ := p.Status(); status == 0 {
		return fmt.Errorf("the session ended well, though it should have been cut; psql said:\n%s", p.Output())
	}
	d.screen.done("psql noticed and ended within %s", short(time.Since(start)))
	return nil
}

// short prints a duration with three digits.
func short(d time.Duration) string {
	switch {
	case d >= 100*time.Millisecond:
		return fmt.Sprintf("%.2f s", d.Seconds())
	case d >= 10*time.Millisecond:
		return fmt.Sprintf("%.0f ms", d.Seconds()*1e3)
	}
	return fmt.Sprintf("%.1f ms", d.Seconds()*1e3)
}
