// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
)

// hubPicture is who calls what in the sixth story.
const hubPicture = `
    consumer VPCs, each 10.0.0.0/16         │     central VPC  10.0.0.0/16
                                            │                  interface endpoints
    ec2.us-east-1.postern.internal ┐   one  │             ┌▶ vpce-….ec2 ─▶ Postern's EC2 API
    rds.us-east-1.postern.internal ├─▶ end- ╪─▶ gateway ──┼▶ vpce-….rds ─▶ Postern's RDS API
    s3.us-east-1.postern.internal  ┘  point │             └▶ vpce-….s3  ─▶ a store of this machine
                                            │
      an unmodified AWS CLI, which checks every certificate; each VPC has one
      endpoint, whatever number of services there is`

const (
	centralStory = "central"
	// hubDomain is below which clients call the services: the region, and what Postern has in
	// the place of amazonaws.com.
	hubDomain = "us-east-1.postern.internal"
	// storeService is what the operator calls the store.
	storeService = "com.example.s3"
	httpsPort    = 443
)

// hub is what the sixth story makes, by identifier.
type hub struct {
	central                      network
	gatewayGroup, endpointsGroup string
	services                     []*hubService
	certificates                 string // the folder of the store's certificate
	consumers                    []network
	clientGroups                 []string // by consumer
	administrator, workload      key
}

// hubService is one of the services, with its interface endpoint in the central VPC.
type hubService struct {
	label, name string
	endpoint    string
	regional    string // the public name of the endpoint
}

// standard is the name by which clients call the service.
func (s *hubService) standard() string { return s.label + "." + hubDomain }

// child is what the resource configuration of the service is called.
func (s *hubService) child() string { return s.label + "-api" }

// key is an access key.
type key struct{ id, secret string }

// centralServices is the story of interface endpoints that one VPC has for all others.
func (d *demo) centralServices() story {
	return story{"one VPC has the interface endpoints of all services, and every other VPC one endpoint", hubPicture, "", []step{
		{"Start Postern in a temporary folder", d.startPostern},
		{"A central VPC, and who may talk to whom in it", d.makeHubVPC},
		{"A store that speaks S3 runs on this machine, and is registered as a service", d.registerStore},
		{"The central VPC has an interface endpoint to each of three services", d.makeInterfaceEndpoints},
		{"They are offered as one group, under the services' own names", d.offerEndpoints},
		{"A first VPC: one endpoint, and a zone of its own with three names", d.openWithZone},
		{"The AWS CLI calls all three, with certificates checked", d.callServices},
		{"By a name that a service does not have, its certificate is refused", d.showWrongName},
		{"A second VPC: one endpoint that brings the names along, and no zone", d.openWithNames},
		{"An access key that is of use through the hub alone", d.bindKey},
		{"The endpoint's policy denies one action to everybody", d.denyByEndpoint},
		{"The bill", d.showBill},
	}}
}

func (d *demo) makeHubVPC(ctx context.Context) (err error) {
	h := &d.hub
	a := d.postern.Access()
	h.administrator = key{a.AccessKeyID, a.SecretAccessKey}
	if h.central, err = d.makeNetwork(ctx); err != nil {
		return err
	}
	if h.gatewayGroup, err = d.makeGroup(ctx, h.central, "gateway", "the resource gateway"); err != nil {
		return err
	}
	if h.endpointsGroup, err = d.makeGroup(ctx, h.central, "services", "the interface endpoints"); err != nil {
		return err
	}
	if err := d.admit(ctx, h.endpointsGroup, h.gatewayGroup, ports{httpsPort, httpsPort}); err != nil {
		return err
	}
	d.screen.done("the gateway may call the interface endpoints, and nobody else may")
	return nil
}

// registerStore starts the store on the loopback device and makes a service of it. It is
// registered before it runs, because its certificate has the service's names.
func (d *demo) registerStore(ctx context.Context) error {
	h := &d.hub
	h.certificates = filepath.Join(d.folder, "store")
	address, err := freeAddress()
	if err != nil {
		return err
	}
	said, err := d.operate(ctx, "service", "register", storeService, "--target", address, "--port", fmt.Sprint(httpsPort))
	if err != nil {
		return err
	}
	d.screen.say(said)
	if _, err := d.operate(ctx, "service", "certificate", storeService, "--out", h.certificates); err != nil {
		return err
	}
	d.screen.command("a store that speaks S3 at " + address + ", with that certificate")
	p, err := d.start("the store", d.command(d.config.Self, "store", address, h.certificates))
	if err != nil {
		return err
	}
	if err := says(ctx, p.Process, servingLine, p.Name, settled); err != nil {
		return err
	}
	d.screen.done("every account can have endpoints to %s; VPCs have no way to %s itself", storeService, address)
	return nil
}

// operate shows one of Postern's commands and runs it to a good end.
func (d *demo) operate(ctx context.Context, words ...string) (output string, err error) {
	line := "postern " + strings.Join(words, " ")
	d.screen.command(line)
	output, status, err := run(ctx, d.command(d.config.Postern, words...))
	if err == nil && status != 0 {
		err = fmt.Errorf("%s ended with status %d:\n%s", line, status, output)
	}
	return output, err
}

func (d *demo) callServices(ctx context.Context) error {
	h := &d.hub
	d.screen.command("export " + d.bundle())
	vpc := h.consumers[0].vpc
	if err := d.awsSays(ctx, 0, vpc, "ec2", "describe-vpcs", "--vpc-ids", vpc, "--query", "Vpcs[].VpcId", "--output", "text"); err != nil {
		return err
	}
	if err := d.awsSays(ctx, 0, "0", "rds", "describe-db-instances", "--query", "length(DBInstances)"); err != nil {
		return err
	}
	letter := filepath.Join(d.folder, "letter")
	if err := writeText(letter, storedWords); err != nil {
		return err
	}
	for _, call := range [][]string{
		{"make_bucket: letters", "s3", "mb", "s3://letters"},
		{"upload: ", "s3", "cp", "--no-progress", letter, "s3://letters/first"},
		{"letters", "s3", "ls"},
	} {
		if err := d.awsSays(ctx, 0, call[0], call[1:]...); err != nil {
			return err
		}
	}
	d.screen.done("three services, one endpoint; none of their certificates is of a public authority, and all are checked")
	return nil
}

// storedWords are what the first consumer leaves for the second one.
const storedWords = "what one VPC stored, another one reads"

// showWrongName asks by a name of the consumer's zone that leads to the EC2 API, and is none
// of its names.
func (d *demo) showWrongName(ctx context.Context) error {
	const wrong = "https://wrong." + hubDomain
	said, status, err := d.awsAt(ctx, 0, d.hub.administrator, wrong, "ec2", "describe-vpcs")
	if err != nil {
		return err
	}
	if status == 0 || !strings.Contains(said, "SSL validation failed") {
		return fmt.Errorf("aws --endpoint-url %s ended with status %d and did not miss the name in the certificate:\n%s", wrong, status, said)
	}
	d.screen.say(lastLine(said))
	d.screen.done("who leads a name elsewhere does not get at anybody's requests")
	return nil
}

// showBill counts endpoints as they would be and as they are.
func (d *demo) showBill(ctx context.Context) error {
	h := &d.hub
	services, vpcs := len(h.services), len(h.consumers)
	interfaces, resources, err := d.countEndpoints(ctx)
	if err != nil {
		return err
	}
	if interfaces != services || resources != vpcs {
		return fmt.Errorf("there are %d interface endpoints and %d others, want %d and %d", interfaces, resources, services, vpcs)
	}
	d.screen.say(fmt.Sprintf("here there are %d interface endpoints in the central VPC, and one endpoint in each of %d others\n\n", interfaces, resources) + billOf(services, 3, 200))
	d.screen.done("what AWS bills by the hour, for each endpoint and zone: a VPC more is one, and not %d", services)
	return nil
}

// billOf tells how many endpoints numbers of VPCs need for so many services: each for itself,
// and by a hub.
func billOf(services int, vpcs ...int) string {
	var text strings.Builder
	fmt.Fprintf(&text, "%-10s %28s %24s\n", "", fmt.Sprintf("%d interface endpoints each", services), "one each, by the hub")
	for _, n := range vpcs {
		fmt.Fprintf(&text, "%-10s %28d %24s\n", fmt.Sprintf("%d VPCs", n), n*services, fmt.Sprintf("%d + %d = %d", n, services, n+services))
	}
	return text.String()
}

// lastLine gives the last line of what a program said that has words.
func lastLine(said string) string {
	lines := strings.Split(strings.TrimSpace(said), "\n")
	return lines[len(lines)-1]
}
