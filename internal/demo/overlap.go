// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"
)

// mergerPicture is who reaches what in the second story.
const mergerPicture = `
    consumer VPC  10.0.0.0/16               │     provider VPC  10.0.0.0/16
    its own zone  merged.example            │     its own zone  corp.example
                                            │
    db.merged.example   ┐    one endpoint   │             ┌▶ 10.0.1.10:5432      PostgreSQL
    shop.merged.example ├──▶ an address for ╪══▶ gateway ─┼▶ shop.corp.example:80
    wiki.merged.example ┘    each of three  │             └▶ wiki.corp.example:80
                                            │
      both webs on one port; what their names mean only the provider knows`

// Where the provider's programs are, and what its zone says at first.
const (
	shopAddress    = "10.0.1.20"
	wikiAddress    = "10.0.1.21"
	newShopAddress = "10.0.1.22"
	blogAddress    = "10.0.1.23"

	providerZone = "corp.example"
	consumerZone = "merged.example"
	// databaseName is what the provider calls its database, and its certificate.
	databaseName = "db." + providerZone
	// recordTTL is for how long the provider's names may be believed, in seconds.
	recordTTL = 5
)

// merger is what the second story makes, by identifier.
type merger struct {
	providerZone, consumerZone string
	group, groupARN            string
	children                   map[string]string // identifiers by names
	names                      map[string]string // of the endpoint, by children's identifiers
	keeping                    *process
	authority                  string // the file of whom clients believe about the database
}

// overlap is the story of several services behind one endpoint, and of their names.
func (d *demo) overlap() story {
	return story{"two companies with the same addresses, after their merger", mergerPicture, "", []step{
		{"Start Postern in a temporary folder", d.startPostern},
		{"Two VPCs with the same addresses, whose names resolve", d.makeNamedNetworks},
		{"Security groups: who may talk to whom", d.makeMergerGroups},
		{"The provider's database and web servers", d.startServices},
		{"The provider's own zone knows the web servers by name", d.makeProviderZone},
		{"The provider offers a group: one database by address, two webs by name", d.offerGroup},
		{"The consumer makes one endpoint, and has a name for each", d.openGroup},
		{"Friendly names in the consumer's own zone", d.makeConsumerZone},
		{"Each is reached by its friendly name", d.reachAll},
		{"By the provider's own name of the database TLS is verified", d.verifyDatabase},
		{"The provider's other names mean nothing to the consumer", d.showForeignName},
		{"A fourth service joins the group while a client keeps asking", d.addChild},
		{"The shop moves to another address, and new connections follow", d.moveShop},
	}}
}

func (d *demo) makeNamedNetworks(ctx context.Context) error {
	if err := d.makeNetworks(ctx); err != nil {
		return err
	}
	for _, vpc := range []string{d.world.consumer.vpc, d.world.provider.vpc} {
		if err := d.nameHosts(ctx, vpc); err != nil {
			return err
		}
	}
	d.screen.done("private zones and friendly names need both DNS attributes of a VPC")
	return nil
}

func (d *demo) makeMergerGroups(ctx context.Context) error {
	if err := d.makeGroups(ctx); err != nil {
		return err
	}
	return d.admit(ctx, d.world.databaseGroup, d.world.gatewayGroup, ports{80, 80})
}

func (d *demo) startServices(ctx context.Context) error {
	dir, err := d.initDatabase(ctx)
	if err != nil {
		return err
	}
	if err := d.certify(dir, databaseName); err != nil {
		return err
	}
	if err := d.runDatabase(ctx, dir); err != nil {
		return err
	}
	d.merger.authority = filepath.Join(dir, certificateFile)
	for _, page := range [][2]string{{shopAddress, "the shop"}, {wikiAddress, "the wiki"}, {newShopAddress, "the new shop"}, {blogAddress, "the blog"}} {
		if err := d.startWeb(ctx, page[0], page[1]); err != nil {
			return err
		}
	}
	d.screen.done("PostgreSQL, with a certificate for %s, and four web servers run in the provider VPC", databaseName)
	return nil
}

// startWeb starts a server of one page.
func (d *demo) startWeb(ctx context.Context, address, words string) error {
	d.showProgram(d.world.provider.subnet, d.world.databaseGroup, address, "a web server that says", quote(words))
	p, err := d.start(words, d.workload(d.world.provider.subnet, d.world.databaseGroup, address, d.config.Self, "serve", words))
	if err != nil {
		return err
	}
	return says(ctx, p.Process, servingLine, words, settled)
}

// inConsumer shows a program of the consumer's client and runs it to its end.
func (d *demo) inConsumer(ctx context.Context, shown string, program ...string) (output string, status int, err error) {
	d.showProgram(d.world.consumer.subnet, d.world.clientGroup, d.world.client, shown)
	return run(ctx, d.workload(d.world.consumer.subnet, d.world.clientGroup, d.world.client, program...))
}

func (d *demo) makeProviderZone(ctx context.Context) (err error) {
	if d.merger.providerZone, err = d.makeZone(ctx, providerZone, d.world.provider.vpc); err != nil {
		return err
	}
	if err := d.changeRecords(ctx, d.merger.providerZone,
		upsert("shop."+providerZone, "A", recordTTL, shopAddress), upsert("wiki."+providerZone, "A", recordTTL, wikiAddress)); err != nil {
		return err
	}
	d.screen.done("shop.%s is %s and wiki.%s is %s, in this VPC alone", providerZone, shopAddress, providerZone, wikiAddress)
	return nil
}

func (d *demo) offerGroup(ctx context.Context) error {
	if err := d.makeInVPCGateway(ctx); err != nil {
		return err
	}
	if err := d.makeConfigurationGroup(ctx, "merger", providerZone); err != nil {
		return err
	}
	if err := d.makeChild(ctx, "database", databaseName, databasePort, byAddress(databaseAddress)); err != nil {
		return err
	}
	for _, name := range []string{"shop", "wiki"} {
		if err := d.makeChild(ctx, name, "", 80, byName(name+"."+providerZone)); err != nil {
			return err
		}
	}
	d.screen.done("%s has three children, two of them on port 80; the database keeps its name", d.merger.group)
	return nil
}

func (d *demo) openGroup(ctx context.Context) error {
	start := time.Now()
	if err := d.makeGroupEndpoint(ctx); err != nil {
		return err
	}
	if err := d.findNames(ctx, len(d.merger.children)); err != nil {
		return err
	}
	for name, child := range d.merger.children {
		if !strings.Contains(d.merger.names[child], child) {
			return fmt.Errorf("the name of %s is %q, which is not of %s", name, d.merger.names[child], child)
		}
	}
	d.screen.done("three names after %s, such as\n     %s", short(time.Since(start)), d.merger.names[d.merger.children["shop"]])
	return nil
}

func (d *demo) makeConsumerZone(ctx context.Context) (err error) {
	if d.merger.consumerZone, err = d.makeZone(ctx, consumerZone, d.world.consumer.vpc); err != nil {
		return err
	}
	if err := d.befriend(ctx, "db", "database", "shop", "shop", "wiki", "wiki"); err != nil {
		return err
	}
	d.screen.done("each is a CNAME to the endpoint's own name")
	return nil
}

// befriend gives children names in the consumer's zone: pairs of label and child.
func (d *demo) befriend(ctx context.Context, pairs ...string) error {
	var changes []change
	for i := 0; i < len(pairs); i += 2 {
		changes = append(changes, upsert(pairs[i]+"."+consumerZone, "CNAME", recordTTL, d.merger.names[d.merger.children[pairs[i+1]]]))
	}
	return d.changeRecords(ctx, d.merger.consumerZone, changes...)
}

func (d *demo) reachAll(ctx context.Context) error {
	got, err := d.psql(ctx, connectTimeout, "db."+consumerZone, databasePort, "select inet_server_addr() as server, inet_client_addr() as client")
	if err != nil {
		return err
	}
	server, _, _ := strings.Cut(row(got.output), "|")
	if server = strings.TrimSpace(server); got.status != 0 || server != databaseAddress {
		return fmt.Errorf("psql ended with status %d and asked %q, want %s:\n%s", got.status, server, databaseAddress, got.output)
	}
	for _, name := range []string{"shop", "wiki"} {
		if err := d.reach(ctx, name, "the "+name); err != nil {
			return err
		}
	}
	d.screen.done("the database is asked by name, and the two webs answer on one port")
	return nil
}

// reach asks for a page by its friendly name.
func (d *demo) reach(ctx context.Context, name, words string) error {
	url := "http://" + name + "." + consumerZone + "/"
	page, status, err := d.inConsumer(ctx, "curl "+url, d.config.Self, "get", url)
	if err != nil {
		return err
	}
	if status != 0 || strings.TrimSpace(page) != words {
		return fmt.Errorf("%s ended with status %d and said %q, want %q", url, status, page, words)
	}
	d.screen.say(strings.TrimSpace(page))
	return nil
}

// verifyDatabase asks by the name in the database's certificate, which the endpoint has in the
// consumer's VPC, and by the friendly one, which nobody has signed.
func (d *demo) verifyDatabase(ctx context.Context) error {
	const query = "select ssl, version from pg_stat_ssl where pid = pg_backend_pid()"
	got, err := d.verifiedPsql(ctx, d.merger.authority, databaseName, query)
	if err != nil {
		return err
	}
	encrypted, _, _ := strings.Cut(row(got.output), "|")
	if got.status != 0 || strings.TrimSpace(encrypted) != "t" {
		return fmt.Errorf("psql ended with status %d and is not known to be encrypted:\n%s", got.status, got.output)
	}
	d.screen.say(strings.TrimSpace(row(got.output)))
	if got, err = d.verifiedPsql(ctx, d.merger.authority, "db."+consumerZone, query); err != nil {
		return err
	}
	if got.status == 0 || !strings.Contains(got.output, "does not match host name") {
		return fmt.Errorf("psql ended with status %d and did not miss the name in the certificate:\n%s", got.status, got.output)
	}
	d.screen.done("the certificate is for %s; db.%s leads there too and is not in it", databaseName, consumerZone)
	return nil
}

func (d *demo) showForeignName(ctx context.Context) error {
	url := "http://shop." + providerZone + "/"
	page, status, err := d.inConsumer(ctx, "curl "+url, d.config.Self, "get", url)
	if err != nil {
		return err
	}
	if status == 0 {
		return fmt.Errorf("%s says %q in the consumer's VPC, where nothing has that name", url, page)
	}
	d.screen.done("shop.%s resolves in the provider's VPC and not here", providerZone)
	return nil
}

func (d *demo) addChild(ctx context.Context) error {
	url := "http://wiki." + consumerZone + "/"
	d.showProgram(d.world.consumer.subnet, d.world.clientGroup, d.world.client, "a client that opens a connection to", url, "every", askEvery.String())
	p, err := d.start("the client that keeps asking", d.workload(d.world.consumer.subnet, d.world.clientGroup, d.world.client, d.config.Self, "keep", url))
	if err != nil {
		return err
	}
	d.merger.keeping = p
	if err := says(ctx, p.Process, askingLine, "the client that keeps asking", settled); err != nil {
		return err
	}
	if err := d.makeChild(ctx, "blog", "", 80, byAddress(blogAddress)); err != nil {
		return err
	}
	if err := d.findNames(ctx, len(d.merger.children)); err != nil {
		return err
	}
	if err := d.befriend(ctx, "blog", "blog"); err != nil {
		return err
	}
	if err := d.reach(ctx, "blog", "the blog"); err != nil {
		return err
	}
	d.screen.done("the same endpoint has a fourth name and address")
	return nil
}

// moveShop measures from before the change of the record is sent until a client that
// goes on asking has its first page from the new address.
func (d *demo) moveShop(ctx context.Context) error {
	url := "http://shop." + consumerZone + "/"
	d.showProgram(d.world.consumer.subnet, d.world.clientGroup, d.world.client, "a client that asks", url, "until the new shop answers")
	p, err := d.start("the client of the shop", d.workload(d.world.consumer.subnet, d.world.clientGroup, d.world.client, d.config.Self, "until", url, "the new shop"))
	if err != nil {
		return err
	}
	if err := says(ctx, p.Process, tryingLine, "the client of the shop", settled); err != nil {
		return err
	}
	sent := monotonic()
	if err := d.changeRecords(ctx, d.merger.providerZone, upsert("shop."+providerZone, "A", recordTTL, newShopAddress)); err != nil {
		return err
	}
	answered, _, err := p.answered(ctx)
	if err != nil {
		return err
	}
	d.screen.done("the new shop answers %s after the record was changed; its TTL is %d s", short(time.Duration(answered-sent)), recordTTL)
	return d.countKept(d.merger.keeping, "the client of the wiki")
}

// countKept ends a client that kept asking, and wants it not to have noticed anything.
func (d *demo) countKept(p *process, who string) error {
	if err := p.stop(); err != nil {
		return err
	}
	var answers, failures int
	if _, err := fmt.Sscanf(after(p.Output(), askingLine+"\n"), keptLine, &answers, &failures); err != nil {
		return p.Early()
	}
	if failures > 0 {
		return fmt.Errorf("%s had %d answers and %d failures:\n%s", who, answers, failures, p.Output())
	}
	d.screen.done("%s noticed nothing of all that: %d answers, no failure", who, answers)
	return nil
}
