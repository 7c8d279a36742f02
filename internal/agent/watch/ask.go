// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/posternhq/postern/internal/model"
)

// Access is what a database is asked with.
type Access struct {
	User, Password string
	// Authority is certificates in PEM that those of the servers are checked with. Without
	// one connections are encrypted where a server can, and nothing is checked.
	Authority string
	// Names are those that a server's certificate may have, besides the member's own: the
	// database's. All are in normal form.
	Names []string
	// Own are the members' own names, by their ids.
	Own map[string]string
	// Writer is the id of the one that wrote when Postern knew last; empty when it did not.
	Writer string
}

// question is whoever is asked, and how.
type question struct {
	access Access
	member string
	addr   netip.AddrPort
	rest   uint16
	dial   func(ctx context.Context, to netip.AddrPort) (net.Conn, error)
}

// asker asks one server. Its methods are called one at a time.
type asker interface {
	// ask waits for an answer of the server until the context is done.
	ask(ctx context.Context) Answer
	// close ends what is kept open.
	close()
}

// askers make an asker of a question.
var askers = map[string]func(question) asker{
	model.AskPostgres: func(q question) asker { return &postgres{question: q} },
	model.AskPatroni:  newPatroni,
	model.AskTCP:      func(q question) asker { return port{q} },
	model.AskMySQL:    newMySQL,
}

// port asks whether a port is open.
type port struct{ question }

func (p port) ask(ctx context.Context) Answer {
	conn, err := p.dial(ctx, p.addr)
	if err != nil {
		return Answer{Err: err}
	}
	_ = conn.Close() // it was open
	return Answer{}
}

func (port) close() {}

// config is how a server's certificate is checked: it must be of the authority, and have one
// of the database's names or the server's own, or its address. Without an authority there is
// nothing to check.
func (q question) config() (*tls.Config, error) {
	cfg := &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12} // checked below, by any of several names
	if q.access.Authority == "" {
		return cfg, nil
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(q.access.Authority)) {
		return nil, errors.New("the certificate authority of the database is no certificate")
	}
	cfg.VerifyConnection = func(s tls.ConnectionState) error {
		if len(s.PeerCertificates) == 0 {
			return errors.New("the server shows no certificate")
		}
		options := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool()}
		for _, c := range s.PeerCertificates[1:] {
			options.Intermediates.AddCert(c)
		}
		leaf := s.PeerCertificates[0]
		if _, err := leaf.Verify(options); err != nil {
			return fmt.Errorf("the server's certificate is not of the authority that was registered: %w", err)
		}
		names := q.names()
		if !slices.ContainsFunc(names, func(name string) bool { return leaf.VerifyHostname(name) == nil }) {
			return fmt.Errorf("the server's certificate has none of %s", strings.Join(names, ", "))
		}
		return nil
	}
	return cfg, nil
}

// names are those that a server's certificate may have, as certificates have them.
func (q question) names() (names []string) {
	for _, name := range append([]string{q.access.Own[q.member]}, q.access.Names...) {
		if name = strings.TrimSuffix(name, model.RootName); name != "" {
			names = append(names, name)
		}
	}
	return append(names, q.addr.Addr().String())
}
