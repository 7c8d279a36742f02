// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/authority"
	"github.com/posternhq/postern/internal/handshake"
	"github.com/posternhq/postern/internal/seal"
	"github.com/posternhq/postern/internal/service/servicetest"
)

// shows wants the certificate that is shown to verify for names by the bundle of the folder.
func shows(t *testing.T, c *certificate, at time.Time, names ...string) *x509.Certificate {
	t.Helper()
	pair, err := c.give(nil)
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := os.ReadFile(c.folder.BundleFile())
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(bundle)
	for _, name := range names {
		if _, err := pair.Leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: roots, CurrentTime: at}); err != nil {
			t.Errorf("for %s: %v", name, err)
		}
	}
	return pair.Leaf
}

// The own certificate is renewed before its end, by the same root, while connections come.
func TestOwnCertificateIsRenewed(t *testing.T) {
	w := servicetest.New(t)
	office := authority.Office{DB: w.DB, Seal: w.Seal, Now: w.Now}
	installation := func() *authority.Authority {
		t.Helper()
		a, err := office.Installation(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	names, addrs := TLS{Listen: "api.example:443", Names: []string{"*.hub.example", "192.0.2.7"}}.known(netip.MustParseAddr("192.0.2.1"))
	known := []string{"localhost", "127.0.0.1", "::1", "192.0.2.1", "api.example", "ec2.hub.example", "192.0.2.7"}
	folder, now := Folder(t.TempDir()), servicetest.Now
	c, err := newCertificate(byAuthority(installation(), names, addrs), folder, slog.New(slog.DiscardHandler), now)
	if err != nil {
		t.Fatal(err)
	}
	first := shows(t, c, now, known...)
	if info, err := os.Stat(folder.BundleFile()); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("the bundle: %v, %v", info, err)
	}
	c.check(now.AddDate(0, 6, 0))
	if c.shown.Load().pair.Leaf != first {
		t.Error("another certificate after half a year")
	}
	later := now.AddDate(0, 11, 0)
	c.check(later)
	if second := shows(t, c, later.AddDate(0, 6, 0), known...); second == first {
		t.Error("the same certificate after eleven months")
	}
	restarted, err := newCertificate(byAuthority(installation(), names, addrs), folder, slog.New(slog.DiscardHandler), now)
	if err != nil {
		t.Fatal(err)
	}
	if again := shows(t, restarted, now, known...); again.Issuer.String() != first.Issuer.String() {
		t.Errorf("issued by %v, then by %v", first.Issuer, again.Issuer)
	}
	strangers, err := seal.New(now)
	if err != nil {
		t.Fatal(err)
	}
	office.Seal = seal.Using(strangers)
	if _, err := newCertificate(byAuthority(installation(), names, addrs), folder, slog.New(slog.DiscardHandler), now); !errors.Is(err, seal.ErrUnknownKey) || !strings.Contains(err.Error(), "--tls-cert") {
		t.Errorf("without the sealing key: %v", err)
	}
}

// Given files are refused at the start when they are no good, taken when they change, and
// what is no good later leaves the former certificate.
func TestGivenCertificate(t *testing.T) {
	now := servicetest.Now.AddDate(3, 0, 0)
	a, _, err := authority.New(servicetest.Account, servicetest.Region, servicetest.Now)
	if err != nil {
		t.Fatal(err)
	}
	made := func(name string, at time.Time) authority.Certified {
		t.Helper()
		c, err := a.Certify([]string{name}, nil, at)
		if err != nil {
			t.Fatal(err)
		}
		c.Certificate = append(c.Certificate, a.Bundle()...)
		return c
	}
	dir := t.TempDir()
	certificateFile, keyFile := filepath.Join(dir, "cert"), filepath.Join(dir, "key")
	put := func(certificate, key []byte) {
		t.Helper()
		if err := errors.Join(os.WriteFile(certificateFile, certificate, 0o600), os.WriteFile(keyFile, key, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	var log bytes.Buffer
	open := func() (*certificate, error) {
		return newCertificate(given(certificateFile, keyFile, []string{"api.example"}), Folder(dir), slog.New(slog.NewTextHandler(&log, nil)), now)
	}
	good, other, old := made("api.example", now), made("other.example", now), made("api.example", now.AddDate(-2, 0, 0))
	bad := map[string][2][]byte{
		"of another name": {other.Certificate, other.Key}, "expired": {old.Certificate, old.Key},
		"another's key": {good.Certificate, other.Key}, "no certificate": {[]byte("x"), good.Key}, "no key": {good.Certificate, nil},
	}
	if _, err := open(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without files: %v", err)
	}
	for why, pair := range bad {
		put(pair[0], pair[1])
		if _, err := open(); err == nil || !strings.Contains(err.Error(), certificateFile) {
			t.Errorf("%s: %v", why, err)
		}
	}
	put(good.Certificate, good.Key)
	c, err := open()
	if err != nil {
		t.Fatal(err)
	}
	first := shows(t, c, now, "api.example")
	for why, pair := range bad {
		put(pair[0], pair[1])
		log.Reset()
		c.check(now)
		c.check(now)
		if c.shown.Load().pair.Leaf != first || strings.Count(log.String(), "level=ERROR") != 1 {
			t.Errorf("%s later: logged %s", why, log.String())
		}
	}
	next := made("api.example", now)
	put(next.Certificate, next.Key)
	c.check(now)
	if second := shows(t, c, now, "api.example"); second.SerialNumber.Cmp(first.SerialNumber) == 0 {
		t.Error("the new certificate is not taken")
	}
	log.Reset()
	c.check(now.AddDate(1, 0, -2))
	c.check(now.AddDate(1, 0, 2))
	if n := strings.Count(log.String(), "level=ERROR"); n != 2 {
		t.Errorf("of its end is said: %s", log.String())
	}
	if got := (TLS{}).host(netip.MustParseAddr("192.0.2.1"), first); got != "api.example" {
		t.Errorf("clients are sent to %s", got)
	}
}

func TestTLSFlags(t *testing.T) {
	for _, bad := range []TLS{
		{Certificate: "a", Key: "b"}, {Names: []string{"a.example"}}, {Listen: "127.0.0.1"}, {Listen: ":0", Certificate: "a"}, {Listen: ":0", Key: "a"},
		{Listen: ":0", Names: []string{"a b"}}, {Listen: ":0", Names: []string{""}}, {Listen: ":0", Names: []string{"a.*.example"}},
	} {
		if bad.validate() == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
	for _, good := range []TLS{{}, {Listen: ":0", Names: []string{"a.example", "*.a.example", "192.0.2.1", "2001:db8::1"}}, {Listen: "127.0.0.1:0", Certificate: "a", Key: "b"}} {
		if err := good.validate(); err != nil {
			t.Errorf("%+v: %v", good, err)
		}
	}
}

// Handlers know of TLS on both ways that a request can take.
func TestHandlersKnowOfTLS(t *testing.T) {
	a, _, err := authority.New(servicetest.Account, servicetest.Region, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	made, err := a.Certify(nil, []netip.Addr{netip.MustParseAddr("127.0.0.1")}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(made.Certificate, made.Key)
	if err != nil {
		t.Fatal(err)
	}
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener := handshake.New(&orderly{TCPListener: inner.(*net.TCPListener)}, &tls.Config{Certificates: []tls.Certificate{pair}}, handshakes, handshake.Address)
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.TLS != nil && r.TLS.HandshakeComplete) })}
	tellTLS(s)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- serveAPI(ctx, s, listener) }()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(a.Bundle())
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	for what, body := range map[string]io.Reader{"plain": strings.NewReader("x"), "chunked": io.MultiReader(strings.NewReader("x"))} {
		for range 2 {
			answer, err := client.Post("https://"+inner.Addr().String(), "text/plain", body)
			if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(answer.Body)
			answer.Body.Close()
			if err != nil || string(text) != "true" {
				t.Errorf("%s: %q, %v", what, text, err)
			}
		}
	}
	client.CloseIdleConnections()
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
