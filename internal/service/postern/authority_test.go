// SPDX-License-Identifier: Apache-2.0

package postern

import (
	"crypto/x509"
	"testing"

	shape "github.com/posternhq/postern/internal/aws/shape/postern"
	"github.com/posternhq/postern/internal/seal"
	"github.com/posternhq/postern/internal/service/account"
	"github.com/posternhq/postern/internal/service/servicetest"
)

// An account is given its own authority, each time the same; the management account those
// of others too, and nobody else's are known.
func TestCertificateAuthorities(t *testing.T) {
	f := newFixture(t)
	if _, _, err := account.Bootstrap(t.Context(), f.Env, servicetest.OtherAccount); err != nil {
		t.Fatal(err)
	}
	theirs, err := f.api.GetCertificateAuthority(f.other, &shape.GetCertificateAuthorityInput{})
	if err != nil {
		t.Fatal(err)
	}
	if !x509.NewCertPool().AppendCertsFromPEM([]byte(*theirs.Certificate)) || *theirs.AccountId != servicetest.OtherAccount || *theirs.Name != "postern-ca-g1" || theirs.Problem != nil {
		t.Errorf("their own is %+v", theirs)
	}
	asked, err := f.api.GetCertificateAuthority(f.ctx, &shape.GetCertificateAuthorityInput{AccountId: new(servicetest.OtherAccount)})
	if err != nil || *asked.Certificate != *theirs.Certificate {
		t.Errorf("asked for by the management account: %v, %v", asked, err)
	}
	own, err := f.api.GetCertificateAuthority(f.ctx, &shape.GetCertificateAuthorityInput{})
	if err != nil || *own.Thumbprint == *theirs.Thumbprint {
		t.Errorf("two accounts have one authority, %v", err)
	}
	for _, in := range []shape.GetCertificateAuthorityInput{{AccountId: new(servicetest.Account)}, {AccountId: new("999999999999")}} {
		if out, err := f.api.GetCertificateAuthority(f.other, &in); err == nil {
			t.Errorf("account %s is given to another: %v", *in.AccountId, out)
		}
	}
	strangers, err := seal.New(servicetest.Now)
	if err != nil {
		t.Fatal(err)
	}
	f.Seal.Use(strangers)
	if out, err := f.api.GetCertificateAuthority(f.ctx, &shape.GetCertificateAuthorityInput{}); err != nil || *out.Certificate != *own.Certificate || out.Problem == nil {
		t.Errorf("without the sealing key: %v, %v", out, err)
	}
}
