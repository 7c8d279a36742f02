// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// egressPicture is who goes out by whom in the third story.
const egressPicture = `
    consumer VPCs  10.0.0.0/16      │   central VPC  10.0.0.0/16               │  internet
    without internet                │   private subnet       public subnet     │
                                    │                                          │
    curl https://api.payments… ┐    │                                          │  203.0.113.10
    curl https://get.files…    ├────╪─▶ resource gateway ──▶ NAT gateway ──────╪▶ 203.0.113.20
    curl https://feed.news…    ┘    │                        198.51.100.x      │  203.0.113.30
                                    │                                          │
      three public names and nothing else; the servers see one address`

// partners are the domains that consumers are given, and elsewhere the one that they are
// not.
var (
	partners = []partner{
		{"api", "payments.example", "203.0.113.10"},
		{"get", "files.example", "203.0.113.20"},
		{"feed", "news.example", "203.0.113.30"},
	}
	elsewhere = partner{"www", "other.example", "203.0.113.40"}
)

// newFeedAddress is where the feed goes.
const newFeedAddress = "203.0.113.31"

// abroad is what the third story makes.
type abroad struct {
	internet *internet
	central  central
}

// egress is the story of public names that are reached from networks without internet.
func (d *demo) egress() story {
	return story{"exactly three public names, from networks without internet", egressPicture, "", []step{
		{"A network namespace plays the internet", d.startInternet},
		{"Start Postern, with that namespace as its outside", d.startPostern},
		{"A central VPC with a NAT gateway", d.makeCentral},
		{"It offers three public domains as one group", d.offerDomains},
		{"A consumer VPC that has no way out", d.makeConsumer},
		{"Before it has an endpoint nothing answers there", d.showNothingOutside},
		{"An endpoint, and zones that lead the names there", d.openPartners},
		{"curl, with certificates checked", d.curlPartners},
		{"Nothing else can be reached", d.showNothingElse},
		{"A domain moves to another address, and new connections follow", d.moveFeed},
		{"A second consumer, whose addresses are those of both", d.repeatElsewhere},
	}}
}

func (d *demo) startInternet(context.Context) (err error) {
	addresses := []string{nameServer, newFeedAddress, elsewhere.address}
	names := []string{elsewhere.domain()}
	for _, p := range partners {
		addresses, names = append(addresses, p.address), append(names, p.domain())
	}
	if d.abroad.internet, err = newInternet(addresses...); err != nil {
		return err
	}
	n := d.abroad.internet
	certificates, err := n.certify(d.folder, names...)
	if err != nil {
		return err
	}
	for _, p := range append([]partner{elsewhere}, partners...) {
		if err := n.serve(p.address, p.domain(), certificates[p.domain()]); err != nil {
			return err
		}
		n.name(p.domain(), p.address)
		d.screen.say(p.String())
	}
	feed := partners[2].domain()
	if err := n.serve(newFeedAddress, "the new "+feed, certificates[feed]); err != nil {
		return err
	}
	if err := n.serveNames(); err != nil {
		return err
	}
	d.postern.Flags = []string{"--uplink", "internet=netns:" + n.Name, "--public-pool", publicPool, "--upstream", n.upstream}
	d.screen.done("%s has four web servers with certificates and a name server", n.Name)
	return nil
}

// curl asks for a page as the consumer's client, with the certificates of the internet.
func (d *demo) curl(ctx context.Context, url string) (page string, status int, err error) {
	return d.inConsumer(ctx, "curl --cacert internet.crt "+url,
		d.tools.curl, "--silent", "--show-error", "--max-time", "60", "--cacert", d.abroad.internet.bundle, url)
}

// unreached wants a page not to be reached, and that to be said at once.
func (d *demo) unreached(ctx context.Context, url string) error {
	page, status, err := d.curl(ctx, url)
	if err != nil {
		return err
	}
	const noConnection = 7 // curl(1): failed to connect to host; 28 would be one that gave up
	if status != noConnection {
		return fmt.Errorf("curl %s ended with status %d, want %d, no connection:\n%s", url, status, noConnection, page)
	}
	return nil
}

func (d *demo) showNothingOutside(ctx context.Context) error {
	for _, p := range []partner{partners[0], elsewhere} {
		if err := d.unreached(ctx, "https://"+p.domain()+"/"); err != nil {
			return err
		}
	}
	d.screen.done("the names are known, and their addresses refused at once: there is no route")
	return nil
}

func (d *demo) curlPartners(ctx context.Context) error {
	for _, p := range partners {
		page, status, err := d.curl(ctx, "https://"+p.domain()+"/")
		if err != nil {
			return err
		}
		if want := p.domain() + " sees " + d.abroad.central.address; status != 0 || !strings.HasSuffix(strings.TrimSpace(page), want) {
			return fmt.Errorf("curl ended with status %d and said %q, want %q", status, page, want)
		}
		d.screen.say(strings.TrimSpace(page))
	}
	d.screen.done("every certificate is right, and the servers see the NAT gateway")
	return nil
}

func (d *demo) showNothingElse(ctx context.Context) error {
	for _, url := range []string{"https://" + elsewhere.domain() + "/", "https://" + partners[0].address + "/"} {
		if err := d.unreached(ctx, url); err != nil {
			return err
		}
	}
	answer, status, err := d.inConsumer(ctx, "dig @"+nameServer+" "+elsewhere.domain(), d.config.Self, "ask", nameServer, elsewhere.domain())
	if err != nil {
		return err
	}
	if status == 0 {
		return fmt.Errorf("%s answers the consumer: %s", nameServer, answer)
	}
	d.screen.done("neither another domain, nor a raw address, nor another name server")
	return nil
}

// moveFeed measures from the change of the public record until a client that goes on
// asking has its first page from the new address.
func (d *demo) moveFeed(ctx context.Context) error {
	feed := partners[2].domain()
	url := "https://" + feed + "/"
	d.showProgram(d.world.consumer.subnet, d.world.clientGroup, d.world.client, "a client that asks", url, "until the new server answers")
	cmd := d.workload(d.world.consumer.subnet, d.world.clientGroup, d.world.client, d.config.Self, "until", url, "the new "+feed)
	cmd.Env = append(cmd.Env, "SSL_CERT_FILE="+d.abroad.internet.bundle)
	p, err := d.start("the client of the feed", cmd)
	if err != nil {
		return err
	}
	if err := says(ctx, p.Process, tryingLine, "the client of the feed", settled); err != nil {
		return err
	}
	moved := monotonic()
	d.abroad.internet.name(feed, newFeedAddress)
	answered, _, err := p.answered(ctx)
	if err != nil {
		return err
	}
	d.screen.done("the new server answers %s after the public record changed; its TTL is %d s", short(time.Duration(answered-moved)), recordTTL)
	return nil
}

// repeatElsewhere does the same from another VPC.
func (d *demo) repeatElsewhere(ctx context.Context) error {
	if err := d.makeConsumer(ctx); err != nil {
		return err
	}
	if err := d.openPartners(ctx); err != nil {
		return err
	}
	for _, p := range partners {
		page, status, err := d.curl(ctx, "https://"+p.domain()+"/")
		if err != nil {
			return err
		}
		if status != 0 || !strings.Contains(page, "sees "+d.abroad.central.address) {
			return fmt.Errorf("curl ended with status %d and said %q", status, page)
		}
		d.screen.say(strings.TrimSpace(page))
	}
	if err := d.unreached(ctx, "https://"+elsewhere.domain()+"/"); err != nil {
		return err
	}
	d.screen.done("the same names, by an endpoint of its own, and nothing else")
	return nil
}
