// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/posternhq/postern/internal/authority"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
)

// renewBefore is how long before its end another certificate is made.
const renewBefore = 90 * 24 * time.Hour

// serviceCertificates are those that clients of endpoints are shown: one for each service
// and region, which has all names that endpoints to it have. They are made when they are
// asked for the first time, so that there are no more than services that are served.
type serviceCertificates struct {
	// find gives the authority, and publish makes it known to clients.
	find    func(context.Context) (*authority.Authority, error)
	publish func(bundle []byte) error
	now     func() time.Time
	log     *slog.Logger
	// own is what the API shows elsewhere, for other names and clients that say none; nil
	// where it is not served by TLS. Then it is one for usual.
	own   func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	usual subjects
	// services has the names of certificates by the names that clients may say.
	services map[string]*subjects

	mu     sync.Mutex
	issuer *authority.Authority // nil before prepare
	made   map[*subjects]*tls.Certificate
	said   bool
}

// subjects are what a certificate is for.
type subjects struct {
	names []string
	addrs []netip.Addr
}

// serviceSubjects gives what the certificates of Postern's own services are for, by all
// names that clients may say; names below a domain are there as "*." and the domain.
func serviceSubjects(regions []string, naming state.Naming) map[string]*subjects {
	all := map[string]*subjects{}
	for _, region := range regions {
		for i := range model.OwnServices {
			own := model.OwnServices[i]
			offer := state.Offer{Name: own.Name(region), Region: region, Own: &own}
			s := &subjects{names: offer.Subjects(naming)}
			for _, name := range s.names {
				if all[name] == nil { // a service that is one for all regions has one standard name
					all[name] = s
				}
			}
		}
	}
	return all
}

// prepare finds the authority and tells clients of it. It may be called again.
func (c *serviceCertificates) prepare(ctx context.Context) error {
	c.mu.Lock()
	known := c.issuer
	c.mu.Unlock()
	if known != nil {
		return nil
	}
	a, err := c.find(ctx)
	if err != nil {
		return err
	}
	if err := c.publish(a.Bundle()); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.issuer, c.made = a, map[*subjects]*tls.Certificate{}
	return nil
}

// give is tls.Config.GetCertificate. What the API shows elsewhere goes first where it is for
// the name: the operator may have given one for names of endpoints.
func (c *serviceCertificates) give(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	name := strings.ToLower(strings.TrimSuffix(hello.ServerName, "."))
	if c.own != nil {
		own, err := c.own(hello)
		if err != nil || name == "" || own.Leaf.VerifyHostname(name) == nil {
			return own, err
		}
	}
	s := c.services[name]
	if _, parent, ok := strings.Cut(name, "."); ok && s == nil {
		s = c.services["*."+parent]
	}
	if s == nil {
		if c.own != nil {
			return c.own(hello)
		}
		s = &c.usual
	}
	made, err := c.of(s)
	if err != nil && c.own != nil {
		return c.own(hello)
	}
	return made, err
}

// of gives the certificate for something, which is made anew before its end.
func (c *serviceCertificates) of(s *subjects) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.issuer == nil {
		return nil, errors.New("certify a service: there is no authority yet")
	}
	have, now := c.made[s], c.now()
	if have != nil && now.Before(have.Leaf.NotAfter.Add(-renewBefore)) {
		return have, nil
	}
	made, err := c.issuer.Certify(s.names, s.addrs, now)
	if err == nil {
		var pair tls.Certificate
		if pair, err = tls.X509KeyPair(made.Certificate, made.Key); err == nil {
			c.made[s], c.said = &pair, false
			return &pair, nil
		}
	}
	if !c.said {
		c.said = true
		c.log.Error("endpoints to Postern's APIs have no new certificate", "names", slices.Clone(s.names), "error", err)
	}
	if have != nil {
		return have, nil
	}
	return nil, err
}
