// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/posternhq/postern/internal/authority"
)

// issued is a certificate that the API may show.
type issued struct {
	pair tls.Certificate
	// bundle are the authorities by which clients know it, in PEM; empty when it does
	// not say them.
	bundle []byte
}

// issuer gives the certificate that is to be shown from now on, which is the former one as
// long as that is good and nothing changed.
type issuer func(now time.Time, former *issued) (*issued, error)

// certificate is what the API shows: the last good one that its issuer gave.
type certificate struct {
	issue  issuer
	folder Folder
	log    *slog.Logger

	shown atomic.Pointer[issued]
	said  string // what was logged last

	mu   sync.Mutex
	also []byte // by which clients know what else is shown, in PEM
}

// newCertificate gives a certificate that is good now, or none.
func newCertificate(issue issuer, folder Folder, log *slog.Logger, now time.Time) (*certificate, error) {
	c := &certificate{issue: issue, folder: folder, log: log}
	first, err := issue(now, nil)
	if err != nil {
		return nil, err
	}
	return c, c.show(first)
}

// alsoKnow has clients know another authority too.
func (c *certificate) alsoKnow(bundle []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if bytes.Contains(c.also, bundle) {
		return nil
	}
	c.also = append(c.also, bundle...)
	return c.publish(c.shown.Load())
}

// publish writes the bundle. The lock is held.
func (c *certificate) publish(next *issued) error {
	bundle := next.bundle
	if !bytes.Contains(bundle, c.also) {
		bundle = append(bundle[:len(bundle):len(bundle)], c.also...)
	}
	return c.folder.writeBundle(bundle)
}

// show has new connections get a certificate, after their clients can know who issued it.
func (c *certificate) show(next *issued) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.publish(next)
	if err == nil || isFull(err) {
		c.shown.Store(next)
	}
	return err
}

// give is tls.Config.GetCertificate.
func (c *certificate) give(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return &c.shown.Load().pair, nil
}

// check takes another certificate when there is one. What is wrong is said once.
func (c *certificate) check(now time.Time) {
	former := c.shown.Load()
	next, err := c.issue(now, former)
	if err == nil && next != former {
		if err = c.show(next); err == nil {
			c.log.Info("the API has another certificate", "until", next.pair.Leaf.NotAfter.UTC().Format(time.RFC3339))
		}
	}
	if err == nil {
		err = ends(c.shown.Load().pair.Leaf, now)
	}
	if err == nil {
		c.said = ""
		return
	}
	if text := err.Error(); text != c.said {
		c.said = text
		c.log.Error("the certificate of the API: the last good one is shown", "error", err)
	}
}

// soon is how long before its end a certificate is spoken of that others have to renew.
const soon = 14 * 24 * time.Hour

func ends(leaf *x509.Certificate, now time.Time) error {
	switch at := leaf.NotAfter.UTC().Format(time.RFC3339); {
	case !now.Before(leaf.NotAfter):
		return fmt.Errorf("it was good until %s", at)
	case leaf.NotAfter.Sub(now) < soon && leaf.NotAfter.Sub(leaf.NotBefore) > 2*soon:
		return fmt.Errorf("it is good until %s only", at)
	}
	return nil
}

// checkEvery is how soon files that changed are read.
const checkEvery = 10 * time.Second

// keep checks until the context ends.
func (c *certificate) keep(ctx context.Context) error {
	tick := time.NewTicker(checkEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			c.check(now)
		}
	}
}

// byAuthority issues certificates of the own authority.
func byAuthority(a *authority.Authority, names []string, addrs []netip.Addr) issuer {
	return func(now time.Time, former *issued) (*issued, error) {
		if former != nil && !a.Due(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: former.pair.Leaf.Raw}), names, addrs, now) {
			return former, nil
		}
		made, err := a.Certify(names, addrs, now)
		if err != nil {
			return nil, fmt.Errorf("the certificate of the API: %w; put the former sealing keys back into the data folder, or give a certificate with --tls-cert and --tls-key", err)
		}
		pair, err := tls.X509KeyPair(made.Certificate, made.Key)
		if err != nil {
			return nil, fmt.Errorf("the certificate of the API: %w", err)
		}
		return &issued{pair: pair, bundle: a.Bundle()}, nil
	}
}

// given reads certificates of files whenever they change. Names are what they have to be of.
func given(certificateFile, keyFile string, names []string) issuer {
	var seen [2][]byte
	var result *issued
	var failed error
	return func(now time.Time, former *issued) (*issued, error) {
		chain, err := os.ReadFile(certificateFile)
		if err != nil {
			return nil, fmt.Errorf("--tls-cert: %w", err)
		}
		key, err := os.ReadFile(keyFile)
		if err != nil {
			return nil, fmt.Errorf("--tls-key: %w", err)
		}
		if former == nil || !bytes.Equal(seen[0], chain) || !bytes.Equal(seen[1], key) {
			seen = [2][]byte{chain, key}
			result, failed = readGiven(chain, key, names, now)
			if failed != nil {
				failed = fmt.Errorf("--tls-cert %s, --tls-key %s: %w", certificateFile, keyFile, failed)
			}
		}
		return result, failed
	}
}

func readGiven(chain, key []byte, names []string, now time.Time) (*issued, error) {
	pair, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return nil, err
	}
	leaf := pair.Leaf
	switch {
	case now.Before(leaf.NotBefore):
		return nil, fmt.Errorf("the certificate is good from %s on", leaf.NotBefore.UTC().Format(time.RFC3339))
	case !now.Before(leaf.NotAfter):
		return nil, fmt.Errorf("the certificate was good until %s", leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	for _, name := range names {
		if err := leaf.VerifyHostname(name); err != nil {
			return nil, fmt.Errorf("--tls-name %s: %w", name, err)
		}
	}
	out := &issued{pair: pair}
	for _, raw := range pair.Certificate {
		c, err := x509.ParseCertificate(raw)
		if err != nil {
			return nil, err
		}
		if bytes.Equal(c.RawSubject, c.RawIssuer) { // a root, by which clients may know it
			out.bundle = append(out.bundle, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw})...)
		}
	}
	return out, nil
}

// writeBundle puts the bundle where all users may read it, or takes it away.
func (f Folder) writeBundle(bundle []byte) error {
	if len(bundle) == 0 {
		if err := os.Remove(f.BundleFile()); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("take the certificate authority of the API away: %w", err)
		}
		return nil
	}
	if err := f.keep(bundleFile, bundle); err != nil {
		return err
	}
	if err := os.Chmod(f.BundleFile(), 0o644); err != nil {
		return fmt.Errorf("let all users read the certificate authority of the API: %w", err)
	}
	return nil
}
