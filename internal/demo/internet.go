// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"sync"

	"github.com/miekg/dns"

	"github.com/posternhq/postern/test/testnet"
)

// internet is a network namespace that plays the internet: web servers with certificates,
// a name server, and nothing that leads anywhere else.
type internet struct {
	*testnet.NS
	servers []io.Closer
	// bundle is the file of the certificates that clients are to believe.
	bundle string
	// upstream is where this machine's Postern asks for public names.
	upstream string

	mu    sync.Mutex
	names map[string]netip.Addr // in canonical form
}

// nameServer is the internet's name server, for those who can reach it.
const nameServer = "203.0.113.53"

// newInternet makes the namespace, with the addresses of all servers.
func newInternet(addresses ...string) (*internet, error) {
	n := &internet{names: map[string]netip.Addr{}}
	var err error
	if n.NS, err = testnet.Make("postern-demo-internet-" + testnet.RandomName(6)); err != nil {
		return nil, err
	}
	for _, a := range addresses {
		if err := n.Give(netip.MustParseAddr(a)); err != nil {
			return n, err
		}
	}
	return n, nil
}

// certify makes a certificate for each name and puts all of them into a file for
// clients. What comes back is for the servers.
func (n *internet) certify(folder string, names ...string) (map[string]tls.Certificate, error) {
	all := map[string]tls.Certificate{}
	var bundle []byte
	for _, name := range names {
		certificate, key, err := newCertificate(name)
		if err != nil {
			return nil, fmt.Errorf("make a certificate for %s: %w", name, err)
		}
		if all[name], err = tls.X509KeyPair(certificate, key); err != nil {
			return nil, fmt.Errorf("read the certificate of %s: %w", name, err)
		}
		bundle = append(bundle, certificate...)
	}
	n.bundle = filepath.Join(folder, "internet.crt")
	return all, os.WriteFile(n.bundle, bundle, 0o644)
}

// serve starts a web server at an address, with a name's certificate. Its page says who
// asked.
func (n *internet) serve(address, words string, certificate tls.Certificate) error {
	l, err := n.Listen("tcp", address+":443")
	if err != nil {
		return err
	}
	s := &http.Server{
		ReadHeaderTimeout: askFor, TLSConfig: &tls.Config{Certificates: []tls.Certificate{certificate}},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			client, _, _ := net.SplitHostPort(r.RemoteAddr)
			fmt.Fprintf(w, "%s sees %s\n", words, client) // nobody to tell when the client is gone
		}),
	}
	n.servers = append(n.servers, s)
	go s.ServeTLS(l, "", "") // ends with Close
	return nil
}

// serveNames answers for the names of the internet: at the name server's address in the
// namespace, and on this machine's loopback device for Postern's resolver.
func (n *internet) serveNames() error {
	inside, err := n.ListenPacket("udp", nameServer+":53")
	if err != nil {
		return fmt.Errorf("serve names inside: %w", err)
	}
	outside, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		inside.Close()
		return fmt.Errorf("serve names on this machine: %w", err)
	}
	n.upstream = outside.LocalAddr().String()
	for _, conn := range []net.PacketConn{inside, outside} {
		s := &dns.Server{PacketConn: conn, Handler: dns.HandlerFunc(n.answer)}
		n.servers = append(n.servers, closer(s.Shutdown))
		go s.ActivateAndServe() // ends with Shutdown
	}
	return nil
}

type closer func() error

func (c closer) Close() error { return c() }

// answer knows addresses of IPv4 and nothing else.
func (n *internet) answer(w dns.ResponseWriter, q *dns.Msg) {
	a := new(dns.Msg)
	a.SetReply(q)
	a.Authoritative = true
	n.mu.Lock()
	addr, known := n.names[dns.CanonicalName(q.Question[0].Name)]
	n.mu.Unlock()
	switch {
	case !known:
		a.Rcode = dns.RcodeNameError
	case q.Question[0].Qtype == dns.TypeA:
		header := dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: recordTTL}
		a.Answer = append(a.Answer, &dns.A{Hdr: header, A: addr.AsSlice()})
	}
	_ = w.WriteMsg(a) // who asks, asks again
}

// name says where a name leads.
func (n *internet) name(name, address string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.names[dns.CanonicalName(name)] = netip.MustParseAddr(address)
}

// close ends the servers and takes the namespace away.
func (n *internet) close() error {
	if n == nil || n.NS == nil {
		return nil
	}
	var errs []error
	for _, s := range n.servers {
		errs = append(errs, s.Close())
	}
	return errors.Join(append(errs, n.NS.Close())...)
}

// askName asks a name server for a name's address, and nobody else.
func askName(ctx context.Context, server, name string) ([]string, error) {
	r := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, net.JoinHostPort(server, "53"))
	}}
	return r.LookupHost(ctx, name)
}
