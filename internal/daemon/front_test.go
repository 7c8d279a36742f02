// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/authority"
	"github.com/posternhq/postern/internal/aws/schema"
	"github.com/posternhq/postern/internal/aws/server"
	ec2shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	stsshape "github.com/posternhq/postern/internal/aws/shape/sts"
	"github.com/posternhq/postern/internal/client"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service/account"
	"github.com/posternhq/postern/internal/service/servicetest"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
	"github.com/posternhq/postern/internal/trail"
	"github.com/posternhq/postern/test/testnet"
)

// hub is a front desk in a namespace in which the addresses of endpoints are at home.
type hub struct {
	t      *testing.T
	world  *servicetest.World
	d      *daemon
	ns     *testnet.NS
	key    model.AccessKey
	secret string
	audit  string
}

func newHub(t *testing.T) *hub {
	testnet.Require(t)
	h := &hub{t: t, world: servicetest.New(t), ns: testnet.New(t), audit: t.TempDir()}
	h.world.Now = time.Now
	for _, block := range []netip.Prefix{model.FrontBlock4, model.FrontBlock6} {
		if out, err := exec.Command("ip", "-n", h.ns.Name, "route", "add", "local", block.String(), "dev", "lo").CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	fresh, err := account.New(h.world.Env, servicetest.Account, "of tests")
	if err == nil {
		err = fresh.Create(t.Context(), h.world.Env)
	}
	if err != nil {
		t.Fatal(err)
	}
	h.key, h.secret = *fresh.Key, fresh.Secret
	h.d = &daemon{env: h.world.Env, db: h.world.DB, folder: Folder(t.TempDir()), config: Config{Regions: h.world.Regions, Log: h.world.Log}}
	kept := trail.Open(h.audit, trail.DefaultLimits())
	handler, err := h.d.handler(h.d.services(nobodyObserves{}, nil, kept), kept, func(server.Observation) {})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- h.d.newFrontDesk(handler, nil).keep(ctx, frontPlace{namespace: h.ns.Name}) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		kept.Close()
	})
	return h
}

// endpoint puts one to an own service, which has a transit target.
func (h *hub) endpoint(label string, index int, change func(*model.VPCEndpoint)) {
	h.t.Helper()
	row := &model.VPCEndpoint{
		Meta: model.Meta{Account: servicetest.Account, Region: servicetest.Region, ID: fmt.Sprintf("vpce-%017d", index)},
		Type: model.EndpointInterface, VPC: fmt.Sprintf("vpc-%017d", index), ServiceName: "com.amazonaws." + servicetest.Region + "." + label,
		Targets: []model.TransitTarget{{Host: h.world.Host, Index: index}},
	}
	if change != nil {
		change(row)
	}
	h.change(func(tx *table.Txn) { state.VPCEndpoints.Put(tx, row) })
}

func (h *hub) change(fn func(tx *table.Txn)) {
	h.t.Helper()
	if _, err := h.world.DB.Update(h.t.Context(), func(tx *table.Txn) error { fn(tx); return nil }); err != nil {
		h.t.Fatal(err)
	}
}

// roots are those of the bundle, which is there when somebody listens.
func (h *hub) roots() *x509.CertPool {
	h.t.Helper()
	for start := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		bundle, err := os.ReadFile(h.d.folder.BundleFile())
		if err == nil {
			roots := x509.NewCertPool()
			roots.AppendCertsFromPEM(bundle)
			return roots
		}
		if time.Since(start) > testnet.Patience {
			h.t.Fatal(err)
		}
	}
}

// dial connects to an endpoint.
func (h *hub) dial(index int, is4 bool) (net.Conn, error) {
	at := model.TransitTarget{Index: index}.FrontAddr(is4)
	for start := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		c, err := h.ns.Dial(h.t.Context(), "tcp", netip.AddrPortFrom(at, apiPort).String())
		if err == nil || time.Since(start) > testnet.Patience {
			return c, err
		}
	}
}

// client asks over connections to an endpoint; all are closed at the end.
func (h *hub) client(index int, is4 bool) *http.Client {
	transport := &http.Transport{
		DialContext:     func(context.Context, string, string) (net.Conn, error) { return h.dial(index, is4) },
		TLSClientConfig: &tls.Config{RootCAs: h.roots()},
	}
	h.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: testnet.Patience}
}

// ask sends a request to a name, and gives the status and the whole answer.
func (h *hub) ask(c *http.Client, name, region string, service *schema.Service, operation string, in any) (int, string, error) {
	h.t.Helper()
	request, err := client.New("https://"+name, region, h.key.ID, h.secret).NewRequest(h.t.Context(), service, operation, in)
	if err != nil {
		h.t.Fatal(err)
	}
	answer, err := c.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	return answer.StatusCode, string(body), err
}

// Clients of an endpoint reach its service by all names that it has, with a certificate that
// they can verify, in both families, and nothing else.
func TestEndpointsLeadToTheAPI(t *testing.T) {
	h := newHub(t)
	h.endpoint("ec2", 7, nil)
	h.endpoint("sts", 8, nil)
	row, _ := state.VPCEndpoints.Get(h.world.DB.Snapshot(), servicetest.Account, servicetest.Region, fmt.Sprintf("vpce-%017d", 7))
	const domain = "ec2.us-east-1.vpce.postern.internal"
	for _, is4 := range []bool{true, false} {
		for _, name := range []string{"ec2.us-east-1.postern.internal", row.NameIn(domain), row.ZonalNameIn(domain, "us-east-1a"), domain} {
			status, body, err := h.ask(h.client(7, is4), name, "us-east-1", ec2shape.Service, "DescribeVpcs", &ec2shape.DescribeVpcsInput{})
			if err != nil || status != http.StatusOK {
				t.Errorf("%s: %d %s %v", name, status, body, err)
			}
		}
	}
	var unknown x509.HostnameError
	for _, name := range []string{"ec2.eu-west-1.amazonaws.com", "postern.internal", "two.labels." + domain} {
		if _, _, err := h.ask(h.client(7, true), name, "us-east-1", ec2shape.Service, "DescribeVpcs", &ec2shape.DescribeVpcsInput{}); !errors.As(err, &unknown) {
			t.Errorf("%s: %v, want no certificate for it", name, err)
		}
	}
	status, body, err := h.ask(h.client(8, true), "ec2.us-east-1.postern.internal", "us-east-1", ec2shape.Service, "DescribeVpcs", &ec2shape.DescribeVpcsInput{})
	if err != nil || status != http.StatusForbidden || !strings.Contains(body, "SignatureDoesNotMatch") || !strings.Contains(body, "scoped to correct service") {
		t.Errorf("EC2 by the endpoint of STS: %d %s %v", status, body, err)
	}
	if c, err := h.dial(9, true); err == nil { // no endpoint has the address
		if err := tls.Client(c, &tls.Config{InsecureSkipVerify: true}).Handshake(); err == nil {
			t.Error("somebody answers where there is no endpoint")
		}
		c.Close()
	}
	h.recorded("DescribeVpcs", row.ID, http.StatusText(0))
}

// recorded wants the audit log to have a request by an endpoint.
func (h *hub) recorded(event, endpoint, failure string) {
	h.t.Helper()
	out, err := exec.Command("sh", "-c", "cat "+h.audit+"/*/*").Output()
	if err != nil {
		h.t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		var r struct{ EventName, VpcEndpointID, ErrorCode string }
		if err := json.Unmarshal([]byte(line), &r); err == nil && r.EventName == event && r.VpcEndpointID == endpoint && r.ErrorCode == failure {
			return
		}
	}
	h.t.Errorf("the audit log has no %s by %s with %q:\n%s", event, endpoint, failure, out)
}

// A connection that is kept has nothing more to come by when the endpoint is refused: the
// next request is denied or finds it closed, and one on which nothing is asked ends too.
func TestRefusedEndpointsEndTheirConnections(t *testing.T) {
	h := newHub(t)
	accepted := func(e *model.VPCEndpoint) { e.Acceptance = model.AcceptanceAccepted }
	h.endpoint("sts", 7, accepted)
	h.endpoint("sts", 8, accepted)
	const name = "sts.us-east-1.postern.internal"
	who := func(c *http.Client) (int, string, error) {
		return h.ask(c, name, "us-east-1", stsshape.Service, "GetCallerIdentity", &stsshape.GetCallerIdentityInput{})
	}
	stays := h.client(8, true)
	if status, body, err := who(stays); err != nil || status != http.StatusOK {
		t.Fatalf("%d %s %v", status, body, err)
	}
	raw, err := h.dial(7, true)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	quiet := tls.Client(raw, &tls.Config{RootCAs: h.roots(), ServerName: name})
	if err := quiet.Handshake(); err != nil {
		t.Fatal(err)
	}
	h.endpoint("sts", 7, func(e *model.VPCEndpoint) { e.Acceptance = model.AcceptanceRejected })
	_ = quiet.SetReadDeadline(time.Now().Add(testnet.Patience))
	if _, err := io.ReadAll(quiet); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the connection of a refused endpoint stays open")
	}
	if status, body, err := who(stays); err != nil || status != http.StatusOK {
		t.Errorf("another endpoint: %d %s %v", status, body, err)
	}
}

// A VPC that opens connections without end and asks nothing, before and after its handshakes,
// keeps no other one from being served.
func TestSilentConnectionsOfAVPCKeepNobodyWaiting(t *testing.T) {
	h := newHub(t)
	h.endpoint("sts", 7, nil)
	h.endpoint("sts", 8, nil)
	const name = "sts.us-east-1.postern.internal"
	config := &tls.Config{RootCAs: h.roots(), ServerName: name}
	kept := h.client(8, true)
	who := func() {
		t.Helper()
		for _, c := range []*http.Client{kept, h.client(8, false)} {
			status, body, err := h.ask(c, name, "us-east-1", stsshape.Service, "GetCallerIdentity", &stsshape.GetCallerIdentityInput{})
			if err != nil || status != http.StatusOK {
				t.Errorf("%d %s %v", status, body, err)
			}
		}
	}
	who()
	for i := range mostGuests + mostGuests/4 {
		c, err := h.dial(7, true)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if i%64 == 0 { // some of them go as far as that
			_ = tls.Client(c, config).Handshake()
		}
	}
	who()
}

// One certificate is made for a service in a region, whatever names are asked for, and anew
// before its end; what the API shows elsewhere goes first for the names that it has.
func TestServiceCertificates(t *testing.T) {
	w := servicetest.New(t)
	now := servicetest.Now
	var published []byte
	c := &serviceCertificates{
		find: func(ctx context.Context) (*authority.Authority, error) {
			return authority.Office{DB: w.DB, Seal: w.Seal, Now: w.Now}.Installation(ctx)
		},
		publish: func(bundle []byte) error { published = bundle; return nil },
		now:     func() time.Time { return now }, log: w.Log,
		services: serviceSubjects(w.Regions, state.Naming{Suffix: "postern.internal.", AWS: true}),
	}
	c.usual.names = []string{"localhost"}
	if err := c.prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(published)
	shown := func(name string) *x509.Certificate {
		t.Helper()
		pair, err := c.give(&tls.ClientHelloInfo{ServerName: name})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: now}); err != nil {
			t.Error(err)
		}
		return pair.Leaf
	}
	first := shown("ec2.us-east-1.amazonaws.com")
	for _, name := range []string{"EC2.us-east-1.postern.internal", "vpce-1-aaaaaaaa-us-east-1a.ec2.us-east-1.vpce.postern.internal", "ec2.us-east-1.vpce.postern.internal"} {
		if leaf := shown(name); leaf != first || leaf.VerifyHostname(name) != nil {
			t.Errorf("%s: another certificate, or not for it: %v", name, leaf.DNSNames)
		}
	}
	for _, name := range []string{"ec2.eu-west-1.amazonaws.com", "iam.amazonaws.com", "organizations.us-east-1.amazonaws.com", "localhost"} {
		if leaf := shown(name); leaf == first || leaf.VerifyHostname(name) != nil {
			t.Errorf("%s: the same certificate, or not for it: %v", name, leaf.DNSNames)
		}
	}
	for i := range 1000 {
		if leaf := shown(fmt.Sprintf("n%d.example", i)); leaf.DNSNames[0] != "localhost" {
			t.Fatalf("somebody made us certify %v", leaf.DNSNames)
		}
	}
	if len(c.made) != 5 {
		t.Errorf("%d certificates were made", len(c.made))
	}
	now = now.AddDate(0, 10, 0)
	if again := shown("ec2.us-east-1.amazonaws.com"); again == first {
		t.Error("the same certificate after ten months")
	}
	given, err := c.issuer.Certify([]string{"ec2.us-east-1.amazonaws.com"}, nil, now)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(given.Certificate, given.Key)
	if err != nil {
		t.Fatal(err)
	}
	c.own = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &pair, nil }
	for name, own := range map[string]bool{"ec2.us-east-1.amazonaws.com": true, "": true, "elsewhere.example": true, "sts.us-east-1.amazonaws.com": false} {
		if leaf := shown(name); (leaf == pair.Leaf) != own {
			t.Errorf("%q: shows %v", name, leaf.DNSNames)
		}
	}
}

// Clients are given the authority of endpoints' certificates beside what the operator's own
// certificate says, also when he gives another one.
func TestClientsKnowBothAuthorities(t *testing.T) {
	now := servicetest.Now
	var roots []string
	for range 3 {
		a, _, err := authority.New(servicetest.Account, servicetest.Region, now)
		if err != nil {
			t.Fatal(err)
		}
		roots = append(roots, string(a.Bundle()))
	}
	folder, shown := Folder(t.TempDir()), 0
	bundle := func() string {
		text, err := os.ReadFile(folder.BundleFile())
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	issue := func(time.Time, *issued) (*issued, error) {
		leaf := &x509.Certificate{NotBefore: now, NotAfter: now.AddDate(1, 0, 0)}
		return &issued{pair: tls.Certificate{Leaf: leaf}, bundle: []byte(roots[shown])}, nil
	}
	c, err := newCertificate(issue, folder, servicetest.New(t).Log, now)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := c.alsoKnow([]byte(roots[2])); err != nil {
			t.Fatal(err)
		}
		if got := bundle(); got != roots[0]+roots[2] {
			t.Errorf("the bundle is %s", got)
		}
	}
	shown = 1
	c.check(now)
	if got := bundle(); got != roots[1]+roots[2] {
		t.Errorf("with another certificate the bundle is %s", got)
	}
	roots[1] = roots[2]
	c.check(now)
	if got := bundle(); got != roots[2] {
		t.Errorf("with one of the own authority the bundle is %s", got)
	}
}
