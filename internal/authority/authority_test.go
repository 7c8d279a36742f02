// SPDX-License-Identifier: Apache-2.0

package authority_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/authority"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/seal"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/servicetest"
	"github.com/posternhq/postern/internal/state"
)

var now = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

var (
	names = []string{
		"orders-1.a1b2c3d4e5f6.us-east-1.rds.amazonaws.com.",
		"orders.cluster-a1b2c3d4e5f6.us-east-1.rds.amazonaws.com",
		"orders.cluster-ro-a1b2c3d4e5f6.us-east-1.rds.amazonaws.com",
		strings.Repeat("a", 63) + ".cluster-custom-a1b2c3d4e5f6.us-east-1.rds.amazonaws.com",
	}
	addrs = []netip.Addr{netip.MustParseAddr("10.0.1.10"), netip.MustParseAddr("fd00::10")}
)

func newAuthority(t *testing.T) *authority.Authority {
	t.Helper()
	a, _, err := authority.New("111122223333", "us-east-1", now)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func certify(t *testing.T, a *authority.Authority, names []string, at time.Time) authority.Certified {
	t.Helper()
	c, err := a.Certify(names, addrs, at)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// A client that has the bundle takes the certificate for each of the names and addresses
// and for no other, as long as it is good, and nobody else's.
func TestClientsVerify(t *testing.T) {
	a := newAuthority(t)
	c := certify(t, a, names, now)
	pair, err := tls.X509KeyPair(c.Certificate, c.Key)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(a.Bundle()) {
		t.Fatal("the bundle has no certificate")
	}
	verify := func(name string, at time.Time) error {
		_, err := pair.Leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: roots, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
		return err
	}
	for _, name := range []string{names[0], names[1], names[2], names[3], "10.0.1.10", "fd00::10"} {
		for _, at := range []time.Time{now.Add(-23 * time.Hour), now, now.AddDate(0, 11, 0)} {
			if err := verify(strings.TrimSuffix(name, "."), at); err != nil {
				t.Errorf("%s at %v: %v", name, at, err)
			}
		}
	}
	for _, name := range []string{"orders-2.a1b2c3d4e5f6.us-east-1.rds.amazonaws.com", "10.0.1.11", "orders-1"} {
		if verify(name, now) == nil {
			t.Errorf("taken for %s", name)
		}
	}
	if verify("10.0.1.10", now.AddDate(1, 0, 1)) == nil {
		t.Error("taken after its end")
	}
	if !c.Till.Equal(pair.Leaf.NotAfter) {
		t.Errorf("said to be good until %v, and is until %v", c.Till, pair.Leaf.NotAfter)
	}
	if len(pair.Leaf.Subject.CommonName) > 64 {
		t.Errorf("common name %q", pair.Leaf.Subject.CommonName)
	}
	roots = x509.NewCertPool()
	roots.AppendCertsFromPEM(newAuthority(t).Bundle())
	if verify("10.0.1.10", now) == nil {
		t.Error("taken by who trusts another account's authority")
	}
}

func TestOpenSSLVerifies(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("openssl is not here: ", err)
	}
	a := newAuthority(t)
	dir := t.TempDir()
	root, leaf := filepath.Join(dir, "root.pem"), filepath.Join(dir, "leaf.pem")
	if err := errors.Join(os.WriteFile(root, a.Bundle(), 0o600), os.WriteFile(leaf, certify(t, a, names, now).Certificate, 0o600)); err != nil {
		t.Fatal(err)
	}
	strict := []string{"verify", "-x509_strict", "-purpose", "sslserver", "-attime", "1795780800", "-CAfile", root}
	for _, check := range [][]string{
		{"-verify_hostname", names[1]}, {"-verify_hostname", names[3]}, {"-verify_ip", "10.0.1.10"}, {"-verify_ip", "fd00::10"},
	} {
		if out, err := exec.Command(openssl, append(append(strict, check...), leaf)...).CombinedOutput(); err != nil {
			t.Errorf("%v: %v\n%s", check, err, out)
		}
	}
	if exec.Command(openssl, append(strict, "-verify_hostname", "example.com", leaf)...).Run() == nil {
		t.Error("taken for example.com")
	}
}

func TestWhatIsCertified(t *testing.T) {
	a := newAuthority(t)
	for _, bad := range []string{"", ".", "a b.example", "a..example", strings.Repeat("a", 64) + ".example", strings.Repeat("a.", 127) + "a", "ä.example", "a.*.example"} {
		if _, err := a.Certify([]string{"good.example", bad}, nil, now); err == nil {
			t.Errorf("%q is certified", bad)
		}
	}
	if _, err := a.Certify(nil, nil, now); err == nil {
		t.Error("nothing is certified")
	}
	if _, err := a.Certify([]string{"a.example"}, []netip.Addr{{}}, now); err == nil {
		t.Error("no address is certified")
	}
	if _, err := a.Certify([]string{"a.example"}, nil, now.AddDate(41, 0, 0)); err == nil {
		t.Error("certified after the end of the root")
	}
	if _, err := a.Certify([]string{"a.example"}, nil, now.AddDate(-3, 0, 0)); err == nil {
		t.Error("certified before the beginning of the root")
	}
	// In its last year the root gives what ends with it.
	_, till := a.Valid()
	if c := certify(t, a, names, till.AddDate(0, -1, 0)); !c.Till.Equal(till) {
		t.Errorf("good until %v, the root until %v", c.Till, till)
	}
	if _, _, err := authority.New("111122223333", "us-east-1", time.Unix(0, 0)); err == nil || !strings.Contains(err.Error(), "1970") {
		t.Errorf("an authority by a clock that was never set: %v", err)
	}
}

// A certificate is made anew in time, when names or addresses change, and not otherwise.
func TestDue(t *testing.T) {
	a := newAuthority(t)
	c := certify(t, a, names, now)
	turned := []string{names[3], names[1] + ".", names[0], names[2], names[2]}
	turnedAddrs := []netip.Addr{addrs[1], addrs[0]}
	_, till := a.Valid()
	last := certify(t, a, names, till.AddDate(0, -1, 0))
	for _, test := range []struct {
		why         string
		certificate []byte
		names       []string
		addrs       []netip.Addr
		at          time.Time
		due         bool
	}{
		{"new", c.Certificate, names, addrs, now, false},
		{"the same in another order", c.Certificate, turned, turnedAddrs, now, false},
		{"after half a year", c.Certificate, names, addrs, now.AddDate(0, 6, 0), false},
		{"after ten months", c.Certificate, names, addrs, now.AddDate(0, 10, 0), true},
		{"after years", c.Certificate, names, addrs, now.AddDate(5, 0, 0), true},
		{"a clock set back", c.Certificate, names, addrs, now.AddDate(0, -1, 0), true},
		{"a name more", c.Certificate, append([]string{"new.example"}, names...), addrs, now, true},
		{"a name less", c.Certificate, names[1:], addrs, now, true},
		{"another address", c.Certificate, names, addrs[:1], now, true},
		{"no certificate", nil, names, addrs, now, true},
		{"another authority's", certify(t, newAuthority(t), names, now).Certificate, names, addrs, now, true},
		{"one that ends with the root", last.Certificate, names, addrs, till.AddDate(0, 0, -1), false},
	} {
		if got := a.Due(test.certificate, test.names, test.addrs, test.at); got != test.due {
			t.Errorf("%s: due %v", test.why, got)
		}
	}
}

// All who ask at first, at the same time, get the same authority, and later ones too. Others
// have others, and without the sealing key it is shown and certifies nothing.
func TestAuthorityIsMadeOnce(t *testing.T) {
	w := servicetest.New(t)
	office := authority.Office{DB: w.DB, Seal: w.Seal, Now: w.Now}
	var asking sync.WaitGroup
	bundles := make([]string, 8)
	for i := range bundles {
		asking.Go(func() {
			a, err := office.Authority(t.Context(), servicetest.Account, servicetest.Region)
			if err != nil {
				t.Error(err)
				return
			}
			bundles[i] = string(a.Bundle())
		})
	}
	asking.Wait()
	for _, b := range bundles {
		if b != bundles[0] {
			t.Fatal("two authorities were given")
		}
	}
	a, err := office.Authority(t.Context(), servicetest.Account, servicetest.Region)
	if err != nil || string(a.Bundle()) != bundles[0] {
		t.Fatalf("later another one: %v", err)
	}
	c, err := a.Certify(names, addrs, servicetest.Now)
	if err != nil {
		t.Fatal(err)
	}
	if a.Due(c.Certificate, names, addrs, servicetest.Now) {
		t.Error("what was certified is due at once")
	}
	for _, other := range [][2]string{{servicetest.OtherAccount, servicetest.Region}, {servicetest.Account, servicetest.OtherRegion}} {
		if b, err := office.Authority(t.Context(), other[0], other[1]); err != nil || b.Thumbprint() == a.Thumbprint() {
			t.Errorf("%v has the same authority, %v", other, err)
		}
	}
	row, _ := state.Authorities.Get(w.DB.Snapshot(), servicetest.Account, servicetest.Region, authority.Name)
	block, _ := pem.Decode(c.Key)
	if block == nil || strings.Contains(row.Key+row.Certificate, "PRIVATE") {
		t.Error("a key is in clear")
	}
	strangers, err := seal.New(servicetest.Now)
	if err != nil {
		t.Fatal(err)
	}
	office.Seal = seal.Using(strangers)
	a, err = office.Authority(t.Context(), servicetest.Account, servicetest.Region)
	if err != nil || string(a.Bundle()) != bundles[0] {
		t.Fatalf("without the sealing key: %v", err)
	}
	if _, err := a.Certify(names, addrs, servicetest.Now); !errors.Is(err, seal.ErrUnknownKey) {
		t.Errorf("certified without the sealing key: %v", err)
	}
}

// A later sealing key seals the keys of authorities anew, which is all that is needed then.
func TestResealing(t *testing.T) {
	w := servicetest.New(t)
	office := authority.Office{DB: w.DB, Seal: w.Seal, Now: w.Now}
	a, err := office.Authority(t.Context(), servicetest.Account, servicetest.Region)
	if err != nil {
		t.Fatal(err)
	}
	again := func(row *model.Authority) (*model.Authority, error) { return authority.Resealed(w.Seal, row) }
	before := w.Dump(t)
	if lost, err := service.Reseal(t.Context(), w.Env, state.Authorities, again); err != nil || len(lost) > 0 || !maps.Equal(before, w.Dump(t)) {
		t.Errorf("sealed again with the same key: %v, %v", lost, err)
	}
	former := w.Seal.Ring()
	ring, err := former.Renewed(servicetest.Now.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	w.Seal.Use(ring)
	if lost, err := service.Reseal(t.Context(), w.Env, state.Authorities, again); err != nil || len(lost) > 0 {
		t.Errorf("lost %v, %v", lost, err)
	}
	w.Seal.Use(ring.Without(func(uint32, time.Time) bool { return false }))
	b, err := office.Authority(t.Context(), servicetest.Account, servicetest.Region)
	if err != nil || b.Thumbprint() != a.Thumbprint() {
		t.Fatalf("with the new key alone: %v", err)
	}
	if _, err := b.Certify(names, addrs, servicetest.Now); err != nil {
		t.Error(err)
	}
	w.Seal.Use(former)
	if lost, err := service.Reseal(t.Context(), w.Env, state.Authorities, again); err != nil || len(lost) != 1 {
		t.Errorf("what the former key cannot open: lost %v, %v", lost, err)
	}
}
