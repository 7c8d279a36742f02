// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/posternhq/postern/internal/authority"
	"github.com/posternhq/postern/internal/handshake"
)

// TLS is how the API is served over TLS.
type TLS struct {
	// Listen is the address, host:port; empty when it is not.
	Listen string
	// Names are names and addresses by which clients know the API, beside those that the
	// address of the listener says.
	Names []string
	// Certificate and Key are files to take instead of a certificate of the own
	// authority; both or none.
	Certificate, Key string
}

// handshakes bound what clients can have under way before they were told anything: as much
// memory as some megabytes, for as long as a request's head may take.
var handshakes = handshake.Limits{Most: 1024, Patience: 10 * time.Second, Parting: time.Second}

func (t TLS) validate() error {
	var errs []error
	if t.Listen == "" && (t.Certificate != "" || t.Key != "" || len(t.Names) > 0) {
		errs = append(errs, errors.New("--tls-cert, --tls-key, --tls-name: they are for --tls, which is not given"))
	}
	if _, _, err := net.SplitHostPort(t.Listen); t.Listen != "" && err != nil {
		errs = append(errs, fmt.Errorf("--tls-listen %q: want host:port: %w", t.Listen, err))
	}
	if (t.Certificate == "") != (t.Key == "") {
		errs = append(errs, errors.New("--tls-cert, --tls-key: want both or none"))
	}
	for _, name := range t.Names {
		if _, err := netip.ParseAddr(name); err == nil {
			continue
		}
		if _, err := suffix(strings.TrimPrefix(name, "*.")); err != nil {
			errs = append(errs, fmt.Errorf("--tls-name %q: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

// known gives the names and addresses of a certificate of the own authority for a listener
// at an address.
func (t TLS) known(at netip.Addr) (names []string, addrs []netip.Addr) {
	names = []string{"localhost"}
	addrs = []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1")}
	if host, _, err := net.SplitHostPort(t.Listen); err == nil && host != "" {
		if _, err := netip.ParseAddr(host); err != nil { // it is a name
			names = append(names, host)
		}
	}
	if !at.IsUnspecified() {
		addrs = append(addrs, at)
	}
	for _, name := range t.Names {
		if addr, err := netip.ParseAddr(name); err == nil {
			addrs = append(addrs, addr)
		} else {
			names = append(names, name)
		}
	}
	return names, addrs
}

// host is what clients call the API: the first name that was given, or the address of the
// listener, or what the certificate says where that is not known by its address.
func (t TLS) host(at netip.Addr, leaf *x509.Certificate) string {
	for _, name := range t.Names {
		if !strings.HasPrefix(name, "*") {
			return name
		}
	}
	if at.IsUnspecified() {
		at = netip.MustParseAddr("127.0.0.1")
	}
	if leaf.VerifyHostname(at.String()) == nil {
		return at.String()
	}
	for _, name := range leaf.DNSNames {
		if !strings.HasPrefix(name, "*") {
			return name
		}
	}
	if len(leaf.IPAddresses) > 0 {
		return leaf.IPAddresses[0].String()
	}
	return at.String()
}

// secureAPI is the listener of the API over TLS.
type secureAPI struct {
	listener    net.Listener
	certificate *certificate
	url         string
}

// listenTLS opens the listener of the API over TLS; nil when none is wanted. Without a good
// certificate there is none.
func (d *daemon) listenTLS(ctx context.Context) (*secureAPI, error) {
	t := d.config.TLS
	if t.Listen == "" {
		return nil, nil
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", t.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen for the API over TLS: %w", err)
	}
	tcp := listener.(*net.TCPListener)
	at := tcp.Addr().(*net.TCPAddr).AddrPort()
	addr := at.Addr().Unmap().WithZone("")
	issue, err := d.issuer(ctx, addr)
	if err != nil {
		return nil, errors.Join(err, tcp.Close())
	}
	shown, err := newCertificate(issue, d.folder, d.config.Log, time.Now())
	if err != nil {
		return nil, errors.Join(err, tcp.Close())
	}
	host := t.host(addr, shown.shown.Load().pair.Leaf)
	return &secureAPI{
		listener: handshake.New(&orderly{TCPListener: tcp}, tlsConfig(shown.give), handshakes, handshake.Address), certificate: shown,
		url: "https://" + net.JoinHostPort(host, fmt.Sprint(at.Port())),
	}, nil
}

// tlsConfig is how all listeners of the API speak TLS.
func tlsConfig(give func(*tls.ClientHelloInfo) (*tls.Certificate, error)) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}, GetCertificate: give,
		DynamicRecordSizingDisabled: true, // answers are there as a whole, and each record is a call of the kernel
	}
}

// issuer says where certificates come from for a listener at an address.
func (d *daemon) issuer(ctx context.Context, at netip.Addr) (issuer, error) {
	t := d.config.TLS
	if t.Certificate != "" {
		return given(t.Certificate, t.Key, t.Names), nil
	}
	a, err := d.authority(ctx)
	if err != nil {
		return nil, err
	}
	names, addrs := t.known(at)
	return byAuthority(a, names, addrs), nil
}

// authority is the one of the installation.
func (d *daemon) authority(ctx context.Context) (*authority.Authority, error) {
	return authority.Office{DB: d.db, Seal: d.env.Seal, Now: d.env.Now}.Installation(ctx)
}

// serve answers requests and keeps the certificate good until the context ends.
func (s *secureAPI) serve(ctx context.Context, to *http.Server) error {
	if s == nil {
		return nil
	}
	tellTLS(to)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return serveAPI(ctx, to, s.listener) })
	g.Go(func() error { return s.certificate.keep(ctx) })
	return g.Wait()
}

func (s *secureAPI) close() error {
	if s == nil {
		return nil
	}
	return s.listener.Close()
}

// connectionKey is the key of a connection in the context of its requests.
type connectionKey struct{}

// tellTLS lets handlers know of TLS also where the server has the connection inside others,
// and cannot see it.
func tellTLS(s *http.Server) {
	s.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		return context.WithValue(ctx, connectionKey{}, c)
	}
	next := s.Handler
	s.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS == nil {
			if c, ok := r.Context().Value(connectionKey{}).(net.Conn); ok {
				r.TLS = stateOf(c)
			}
		}
		next.ServeHTTP(w, r)
	})
}

// stateOf finds TLS in a connection or inside it; nil when there is none.
func stateOf(c net.Conn) *tls.ConnectionState {
	for {
		switch inner := c.(type) {
		case *tls.Conn:
			state := inner.ConnectionState()
			return &state
		case interface{ NetConn() net.Conn }:
			c = inner.NetConn()
		default:
			return nil
		}
	}
}
