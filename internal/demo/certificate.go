// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"time"
)

// certificateFile is the database's certificate, which clients are given too: it signs
// itself. Beside it in the database's folder is its key.
const certificateFile = "server.crt"

// certify gives the database a certificate for a name, in its folder.
func (d *demo) certify(dir, name string) error {
	certificate, key, err := newCertificate(name)
	if err != nil {
		return fmt.Errorf("make a certificate for %s: %w", name, err)
	}
	for file, text := range map[string][]byte{certificateFile: certificate, "server.key": key} {
		path := filepath.Join(dir, file)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			return fmt.Errorf("make a certificate for %s: %w", name, err)
		}
		if err := os.Chown(path, int(d.tools.uid), int(d.tools.gid)); err != nil {
			return fmt.Errorf("make a certificate for %s: %w", name, err)
		}
	}
	return nil
}

// newCertificate gives a certificate for a name that signs itself, and its key, in PEM.
func newCertificate(name string) (certificate, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		return nil, nil, err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signed}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), nil
}
