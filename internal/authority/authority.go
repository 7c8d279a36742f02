// SPDX-License-Identifier: Apache-2.0

// Package authority is a certificate authority of Postern's own: a root for each account
// and region, whose certificates the account's servers show there, and one for the
// installation, whose certificate its API shows.
//
// Root and certificates have keys on the curve P-256. It is what every client of the
// last ten years verifies, be it with OpenSSL, GnuTLS, Java or Schannel, and what a
// server signs a handshake with at a small part of the cost of RSA, which counts when all
// clients of a database come back at once.
package authority

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// Name is the identifier of the first authority of an account in a region, and
// InstallationName that of the first one of an installation.
const (
	Name             = "postern-ca-g1"
	InstallationName = "postern-api-ca-g1"
)

const (
	// rootYears is how long a root is good for, as long as those of RDS are: clients are
	// given it once (https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.SSL.html).
	rootYears = 40
	// early is how far the clock of a client may be behind.
	early = 24 * time.Hour
)

// written is a day before which this program was not there, so that a clock that shows an
// earlier one is wrong: machines without a clock of their own begin in 1970.
var written = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// Authority is a root. It is immutable.
type Authority struct {
	root *x509.Certificate
	// key is nil when only the certificate is known; why says why.
	key crypto.Signer
	why error
}

// New makes the root of an account in a region, and gives its private key in PKCS #8,
// for Read. A clock that is obviously wrong makes it fail: clients would refuse the root
// for good.
func New(account, region string, now time.Time) (*Authority, []byte, error) {
	return newRoot(pkix.Name{
		CommonName: "Postern " + region + " Root CA G1", Organization: []string{"Postern"}, OrganizationalUnit: []string{account},
	}, now)
}

func newRoot(subject pkix.Name, now time.Time) (*Authority, []byte, error) {
	if now.Before(written) {
		return nil, nil, fmt.Errorf("make a certificate authority: the clock of this host shows %s, set it first", now.UTC().Format(time.RFC3339))
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("make the key of a certificate authority: %w", err)
	}
	now = now.UTC().Truncate(time.Second)
	template := &x509.Certificate{
		Subject:   subject,
		NotBefore: now.Add(-early), NotAfter: now.AddDate(rootYears, 0, 0),
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, BasicConstraintsValid: true, IsCA: true, MaxPathLenZero: true,
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, nil, fmt.Errorf("make the certificate of a certificate authority: %w", err)
	}
	root, err := x509.ParseCertificate(raw)
	if err != nil {
		return nil, nil, fmt.Errorf("read the certificate of a certificate authority: %w", err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, fmt.Errorf("write the key of a certificate authority: %w", err)
	}
	return &Authority{root: root, key: key}, private, nil
}

// Read makes an Authority of its certificate in PEM and its private key in PKCS #8.
func Read(certificate, private []byte) (*Authority, error) {
	root, err := readCertificate(certificate)
	if err != nil {
		return nil, fmt.Errorf("read a certificate authority: %w", err)
	}
	key, err := x509.ParsePKCS8PrivateKey(private)
	if err != nil {
		return nil, fmt.Errorf("read the key of a certificate authority: %w", err)
	}
	signer, ok := key.(*ecdsa.PrivateKey)
	if !ok || !signer.PublicKey.Equal(root.PublicKey) {
		return nil, errors.New("read a certificate authority: its key is not that of its certificate")
	}
	return &Authority{root: root, key: signer}, nil
}

// ReadPublic makes an Authority that certifies nothing, and says why.
func ReadPublic(certificate []byte, why error) (*Authority, error) {
	root, err := readCertificate(certificate)
	if err != nil {
		return nil, fmt.Errorf("read a certificate authority: %w", err)
	}
	return &Authority{root: root, why: why}, nil
}

func readCertificate(text []byte) (*x509.Certificate, error) {
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, errors.New("there is no certificate in PEM")
	}
	return x509.ParseCertificate(block.Bytes)
}

// Bundle is the root in PEM, which clients are given.
func (a *Authority) Bundle() []byte { return encode("CERTIFICATE", a.root.Raw) }

func encode(kind string, raw []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: raw})
}

// Thumbprint is the SHA-1 digest of the root in hexadecimal digits, by which AWS names it. It
// protects nothing.
func (a *Authority) Thumbprint() string {
	sum := sha1.Sum(a.root.Raw)
	return hex.EncodeToString(sum[:])
}

// Valid gives the times between which clients take the root.
func (a *Authority) Valid() (from, till time.Time) { return a.root.NotBefore, a.root.NotAfter }

// Subject is whom the root says it is of.
func (a *Authority) Subject() string { return a.root.Subject.String() }

// Problem is why it certifies nothing; nil when it does.
func (a *Authority) Problem() error { return a.why }

// Certified is a certificate with its key, both in PEM, as servers read them.
type Certified struct {
	Certificate, Key []byte
	// Till is when clients take it no more.
	Till time.Time
}

// leafYears is how long certificates are good for.
const leafYears = 1

// Certify makes a certificate of a server that is known by names and addresses, with a
// key of its own. Names may end in a dot. It is good from a day before now, or from the
// root's beginning, for a year.
func (a *Authority) Certify(names []string, addrs []netip.Addr, now time.Time) (Certified, error) {
	if a.key == nil {
		return Certified{}, fmt.Errorf("certify: the key of the certificate authority cannot be used: %w", a.why)
	}
	subject, err := subjectOf(names, addrs)
	if err != nil {
		return Certified{}, fmt.Errorf("certify: %w", err)
	}
	now = now.UTC().Truncate(time.Second)
	from, till := now.Add(-early), now.AddDate(leafYears, 0, 0)
	if from.Before(a.root.NotBefore) {
		from = a.root.NotBefore
	}
	if till.After(a.root.NotAfter) {
		till = a.root.NotAfter
	}
	if !till.After(from) {
		return Certified{}, fmt.Errorf("certify: the certificate authority is good from %s to %s, and it is %s",
			a.root.NotBefore.Format(time.DateOnly), a.root.NotAfter.Format(time.DateOnly), now.Format(time.DateOnly))
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Certified{}, fmt.Errorf("certify: make a key: %w", err)
	}
	raw, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		Subject: pkix.Name{CommonName: subject.common}, DNSNames: subject.names, IPAddresses: subject.addrs,
		NotBefore: from, NotAfter: till, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, a.root, key.Public(), a.key)
	if err != nil {
		return Certified{}, fmt.Errorf("certify %s: %w", subject.common, err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Certified{}, fmt.Errorf("certify %s: write the key: %w", subject.common, err)
	}
	return Certified{Certificate: encode("CERTIFICATE", raw), Key: encode("PRIVATE KEY", private), Till: till}, nil
}
