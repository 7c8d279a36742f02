// SPDX-License-Identifier: Apache-2.0

package system

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/aws/shape/route53"
	lattice "github.com/posternhq/postern/internal/aws/shape/vpclattice"
	"github.com/posternhq/postern/test/postern"
)

// authority signs certificates that clients of a test believe.
type authority struct {
	t           *testing.T
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	// file is what clients are given, in PEM.
	file string
}

func newAuthority(t *testing.T) *authority {
	a := &authority{t: t, file: filepath.Join(t.TempDir(), "ca.pem")}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: "authority of a test"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	var der []byte
	der, a.key = a.sign(template)
	var err error
	if a.certificate, err = x509.ParseCertificate(der); err == nil {
		err = os.WriteFile(a.file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// sign makes a certificate with a new key, signed by that key when there is no authority yet.
func (a *authority) sign(template *x509.Certificate) ([]byte, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := a.certificate, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	return der, key
}

// serve answers HTTPS on a workload's port 443, with a certificate for a name and with words
// that end with the name that the client asked for.
func (a *authority) serve(w *postern.Workload, words, name string) {
	a.t.Helper()
	der, key := a.sign(&x509.Certificate{DNSNames: []string{name}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	l, err := w.Listen("tcp", ":443")
	if err != nil {
		a.t.Fatal(err)
	}
	server := &http.Server{
		ErrorLog: log.New(io.Discard, "", 0), // clients that refuse the certificate are part of the test
		Handler: http.HandlerFunc(func(out http.ResponseWriter, in *http.Request) {
			fmt.Fprintf(out, "%s, asked for %s\n", words, in.TLS.ServerName)
		}),
	}
	go server.Serve(tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}))
	a.t.Cleanup(func() { server.Close() })
}

// certified is a database with a custom domain that is verified, and two webs of a group whose
// domain is not, each behind TLS with a certificate for the provider's own name.
type certified struct {
	*pair
	authority       *authority
	domain, forged  string // verifications
	database, group string // ARNs
}

// elsewhere is where all names are that the upstream knows.
var elsewhere = netip.MustParseAddr("203.0.113.9")

func newCertified(t *testing.T) *certified {
	names, upstream := newNameServer(t)
	for _, name := range []string{"db.customer.example", "web.shop.example", "cart.shop.example", "none.shop.example", "www.elsewhere.example"} {
		names.set(name, elsewhere)
	}
	c := &certified{pair: newPair(t, "--upstream", upstream), authority: newAuthority(t)}
	public := c.startVerification("Customer.example")
	names.setText(*public.TxtMethodConfig.Name+".customer.example.", *public.TxtMethodConfig.Value)
	c.domain, c.forged = *public.Id, c.forge("example.org")
	c.authority.serve(c.server, "the database", "db.customer.example")
	c.database = c.offer(&lattice.CreateResourceConfigurationInput{
		Name: new("database"), Type: new(lattice.ResourceConfigurationTypeSingle), ResourceGatewayIdentifier: &c.gateway.ID,
		CustomDomainName: new("db.customer.example"), DomainVerificationIdentifier: &c.domain,
	}, c.server)
	group := postern.Call[lattice.CreateResourceConfigurationOutput](c.Postern, lattice.Service, "CreateResourceConfiguration", &lattice.CreateResourceConfigurationInput{
		Name: new("shop"), Type: new(lattice.ResourceConfigurationTypeGroup), ResourceGatewayIdentifier: &c.gateway.ID, GroupDomain: new("shop.example"),
	})
	c.group = *group.Arn
	for _, name := range []string{"web", "cart"} {
		w := c.servers.Workload("", c.openServer)
		c.authority.serve(w, "the "+name, "*.shop.example")
		c.offer(&lattice.CreateResourceConfigurationInput{
			Name: &name, Type: new(lattice.ResourceConfigurationTypeChild), ResourceConfigurationGroupIdentifier: group.Id, CustomDomainName: new(name + ".shop.example"),
		}, w)
	}
	return c
}

func (c *certified) startVerification(domain string) *lattice.StartDomainVerificationOutput {
	c.t.Helper()
	return postern.Call[lattice.StartDomainVerificationOutput](c.Postern, lattice.Service, "StartDomainVerification", &lattice.StartDomainVerificationInput{DomainName: &domain})
}

// forge starts the verification of a domain whose record is in a zone of the provider's VPC
// only.
func (c *certified) forge(domain string) (verification string) {
	c.t.Helper()
	started := c.startVerification(domain)
	zone := postern.Call[route53.CreateHostedZoneOutput](c.Postern, route53.Service, "CreateHostedZone", &route53.CreateHostedZoneInput{
		Name: &domain, CallerReference: new("forged"), VPC: &route53.VPC{VPCId: &c.provider.ID, VPCRegion: new("us-east-1")},
	}).HostedZone
	postern.Call[route53.ChangeResourceRecordSetsOutput](c.Postern, route53.Service, "ChangeResourceRecordSets", &route53.ChangeResourceRecordSetsInput{
		HostedZoneId: zone.Id, ChangeBatch: &route53.ChangeBatch{Changes: []route53.Change{{Action: new("CREATE"), ResourceRecordSet: &route53.ResourceRecordSet{
			Name: new(*started.TxtMethodConfig.Name + "." + domain), Type: new("TXT"), TTL: new(int64(5)),
			ResourceRecords: []route53.ResourceRecord{{Value: new(`"` + *started.TxtMethodConfig.Value + `"`)}},
		}}}},
	})
	return *started.Id
}

// verification is the state of one.
func (c *certified) verification(id string) string {
	c.t.Helper()
	return *postern.Call[lattice.GetDomainVerificationOutput](c.Postern, lattice.Service, "GetDomainVerification",
		&lattice.GetDomainVerificationInput{DomainVerificationIdentifier: &id}).Status
}

// offer makes a configuration for a workload's port 443, and gives its ARN.
func (c *certified) offer(in *lattice.CreateResourceConfigurationInput, w *postern.Workload) string {
	c.t.Helper()
	in.PortRanges = []string{"443"}
	in.ResourceConfigurationDefinition = &lattice.ResourceConfigurationDefinition{IpResource: &lattice.IpResource{IpAddress: new(w.IP.String())}}
	return *postern.Call[lattice.CreateResourceConfigurationOutput](c.Postern, lattice.Service, "CreateResourceConfiguration", in).Arn
}

// consumer is a VPC with an endpoint for the database and one for the group, both with private
// DNS.
type consumer struct {
	*certified
	subnet, open  string
	endpoint, own string // that of the database, and its name
}

func (c *certified) consumer(preference string, domains ...string) *consumer {
	c.t.Helper()
	vpc := c.VPC("10.0.0.0/16")
	postern.Call[ec2.ModifyVpcAttributeOutput](c.Postern, ec2.Service, "ModifyVpcAttribute",
		&ec2.ModifyVpcAttributeInput{VpcId: &vpc.ID, EnableDnsHostnames: &ec2.AttributeBooleanValue{Value: new(true)}})
	of := &consumer{certified: c, subnet: vpc.Subnet(0, "10.0.1.0/24").ID, open: vpc.OpenGroup()}
	var made []string
	for _, arn := range []string{c.database, c.group} {
		made = append(made, *postern.Call[ec2.CreateVpcEndpointOutput](c.Postern, ec2.Service, "CreateVpcEndpoint", &ec2.CreateVpcEndpointInput{
			VpcId: &vpc.ID, VpcEndpointType: new(ec2.VpcEndpointTypeResource), ResourceConfigurationArn: &arn,
			SubnetIds: []string{of.subnet}, SecurityGroupIds: []string{of.open}, PrivateDnsEnabled: new(true),
			DnsOptions: &ec2.DnsOptionsSpecification{PrivateDnsPreference: &preference, PrivateDnsSpecifiedDomains: domains},
		}).VpcEndpoint.VpcEndpointId)
	}
	of.endpoint = made[0]
	c.Await("the names of "+strings.Join(made, " and "), func() (bool, error) {
		var out ec2.DescribeVpcEndpointAssociationsOutput
		err := c.Do(ec2.Service, "DescribeVpcEndpointAssociations", &ec2.DescribeVpcEndpointAssociationsInput{VpcEndpointIds: made}, &out)
		for _, a := range out.VpcEndpointAssociations {
			if a.DnsEntry == nil {
				return false, err
			}
			if *a.AssociatedResourceArn == c.database {
				of.own = *a.DnsEntry.DnsName
			}
		}
		return len(out.VpcEndpointAssociations) == 3, err
	})
	return of
}

// fetches asks each name for its page over TLS, which it verifies wholly by an authority, and
// tells what curl said, or where the name is and how curl ended.
const fetches = `ca=$1; shift
for name in "$@"; do
	page=$(curl -sS --max-time 60 --cacert "$ca" "https://$name/" 2>&-) && echo "$name: $page" && continue
	status=$?
	echo "$name: curl $status at $(getent ahostsv4 "$name" | sed -n '1s/ .*//p')"
done`

// What a client of fetches says of the names.
const (
	database = "db.customer.example: the database, asked for db.customer.example\n"
	web      = "web.shop.example: the web, asked for web.shop.example\n"
	cart     = "cart.shop.example: the cart, asked for cart.shop.example\n"
	absent   = ": curl 6 at \n"
	public   = ": curl 7 at 203.0.113.9\n"
)

// expect wants a client of the VPC to say this of the names of resources. One that is
// outside of all domains is where the world has it, and the endpoint's own name is in
// nobody's certificate.
func (of *consumer) expect(what, want string) {
	of.t.Helper()
	r := of.Command("run", "--subnet", of.subnet, "--security-group", of.open, "--", "sh", "-c", fetches, "fetches", of.authority.file,
		"db.customer.example", "web.shop.example", "cart.shop.example", "none.shop.example", "www.elsewhere.example", of.own)
	want += "www.elsewhere.example" + public
	got, last, _ := strings.Cut(r.Stdout, of.own)
	if got != want {
		of.t.Errorf("%s:\n%swant:\n%s%s", what, got, want, r.Stderr)
	}
	if !strings.HasPrefix(last, ": curl 60 at 10.0.1.") {
		of.t.Errorf("%s: by the endpoint's own name, %s%s", what, of.own, last)
	}
}

// Clients that keep the names of a provider's certificates get through with full verification
// of TLS, in each VPC by the names that its endpoints' preference lets through. The others
// are where the world has them. A domain is verified by the record that the public names
// have, and not by one of a zone that the provider's VPC sees.
func TestTLSIsVerifiedByTheProvidersOwnNames(t *testing.T) {
	c := newCertified(t)
	verified := c.consumer("VERIFIED_DOMAINS_ONLY")
	verified.expect("before the domain is verified", "db.customer.example"+public+"web.shop.example"+public+"cart.shop.example"+public+"none.shop.example"+public)
	c.consumer("ALL_DOMAINS").expect("all domains", database+web+cart+"none.shop.example"+absent)
	c.consumer("SPECIFIED_DOMAINS_ONLY", "web.shop.example").expect("web.shop.example alone",
		"db.customer.example"+public+web+"cart.shop.example"+public+"none.shop.example"+public)

	c.Await("the verification of customer.example", func() (bool, error) {
		return c.verification(c.domain) == lattice.VerificationStatusVerified, nil
	})
	c.Await("the private name", func() (bool, error) {
		var out ec2.DescribeVpcEndpointAssociationsOutput
		err := c.Do(ec2.Service, "DescribeVpcEndpointAssociations", &ec2.DescribeVpcEndpointAssociationsInput{VpcEndpointIds: []string{verified.endpoint}}, &out)
		return err == nil && out.VpcEndpointAssociations[0].PrivateDnsEntry != nil, err
	})
	verified.expect("the verified domain", database+"web.shop.example"+public+"cart.shop.example"+public+"none.shop.example"+public)
	c.consumer("VERIFIED_DOMAINS_AND_SPECIFIED_DOMAINS", "*.shop.example").expect("the verified domain, and what is below shop.example",
		database+web+cart+"none.shop.example"+public)
	shown := postern.Call[lattice.GetResourceConfigurationOutput](c.Postern, lattice.Service, "GetResourceConfiguration", &lattice.GetResourceConfigurationInput{ResourceConfigurationIdentifier: &c.database})
	if *shown.DomainVerificationStatus != lattice.VerificationStatusVerified {
		t.Errorf("the configuration's domain is %s", *shown.DomainVerificationStatus)
	}
	if state := c.verification(c.forged); state != lattice.VerificationStatusPending {
		t.Errorf("a private zone has example.org verified: it is %s", state)
	}
	c.Verify()
}
