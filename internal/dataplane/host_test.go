// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/dataplane"
	"github.com/posternhq/postern/internal/dataplane/network"
	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/test/testnet"
)

var families = map[string]func(testing.TB) *scenario{"IPv4": scenario4, "IPv6": scenario6}

func each(t *testing.T, test func(s *scenario)) {
	for name, make := range families {
		t.Run(name, func(t *testing.T) { test(make(t)) })
	}
}

func TestAConnectionCrosses(t *testing.T) {
	each(t, func(s *scenario) {
		s.apply()
		s.checkDump()
		s.serve()
		s.checkTraffic()
		s.apply() // nothing changes the second time
		s.checkDump()
		s.checkTraffic()
	})
}

// Large segments cross links of different MTUs in both directions.
func TestMuchDataCrosses(t *testing.T) {
	each(t, func(s *scenario) {
		s.apply()
		s.serve()
		ctx, cancel := context.WithTimeout(s.t.Context(), testnet.Patience)
		defer cancel()
		conn, err := s.client.Dial(ctx, s.network, s.endpoint)
		if err != nil {
			s.t.Fatal(err)
		}
		defer conn.Close()
		if _, err := testnet.AskOn(conn); err != nil {
			s.t.Fatal(err)
		}
		conn.SetDeadline(time.Now().Add(testnet.Patience))
		const size = 16 << 20
		sent, received := sha256.New(), sha256.New()
		writing := make(chan error, 1)
		go func() {
			_, err := io.Copy(io.MultiWriter(conn, sent), io.LimitReader(rand.Reader, size))
			writing <- err
		}()
		if _, err := io.CopyN(received, conn, size); err != nil {
			s.t.Fatal(err)
		}
		if err := <-writing; err != nil {
			s.t.Fatal(err)
		}
		if got, want := received.Sum(nil), sent.Sum(nil); !bytes.Equal(got, want) {
			s.t.Errorf("data came back changed")
		}
	})
}

// What both ends announce fits what joins routers, so that nobody has to be told of a
// narrower path.
func TestSegmentsFitBetweenRouters(t *testing.T) {
	each(t, func(s *scenario) {
		s.apply()
		s.serve()
		atServer, atClient := s.server.Tap(s.t), s.client.Tap(s.t)
		s.checkTraffic()
		want := uint16(network.LinkMTU - 40) // RFC 9293 §3.7.1
		if s.network == "tcp6" {
			want = network.LinkMTU - 60
		}
		const syn, ack = 1 << 1, 1 << 4
		if got := announced(atServer, syn); got != want {
			s.t.Errorf("the server is told of segments of %d bytes, want %d", got, want)
		}
		if got := announced(atClient, syn|ack); got != want {
			s.t.Errorf("the client is told of segments of %d bytes, want %d", got, want)
		}
	})
}

// announced is the segment size in the next packet of TCP that has these flags; it is the
// first option (RFC 9293 §3.2).
func announced(tap *testnet.Tap, flags byte) (size uint16) {
	tap.Next(testnet.Patience, func(p []byte) bool {
		header, protocol := 20, p[9]
		if p[0]>>4 == 6 {
			header, protocol = 40, p[6]
		}
		if protocol != unix.IPPROTO_TCP || len(p) < header+24 || p[header+13]&0x3f != flags || p[header+20] != 2 {
			return false
		}
		size = binary.BigEndian.Uint16(p[header+22:])
		return true
	})
	return size
}

func TestAnotherHostAdoptsWhatIsThere(t *testing.T) {
	each(t, func(s *scenario) {
		s.apply()
		s.serve()
		s.host.Close()
		s.checkTraffic() // the kernel needs no host
		next, err := dataplane.New(dataplane.Config{Instance: s.instance})
		if err != nil {
			t.Fatal(err)
		}
		defer next.Close()
		s.host = next
		got, err := next.Realms(t.Context())
		if want := []desired.Realm{consumer, provider}; err != nil || !slices.Equal(got, want) {
			t.Errorf("routers %v, %v; want %v", got, err, want)
		}
		s.checkDump()
	})
}

func TestWhatNobodyAllowedIsRefused(t *testing.T) {
	each(t, func(s *scenario) {
		s.apply()
		s.serve()
		host, _, _ := net.SplitHostPort(s.endpoint)
		for name, address := range map[string]string{
			"wrong port of the endpoint": net.JoinHostPort(host, "5433"),
			"address that nothing has":   net.JoinHostPort(host[:len(host)-1]+"7", "5432"),
		} {
			s.expectRefusal(name, address)
		}
	})
}

// expectRefusal has the client connect and wants it to be refused at once.
func (s *scenario) expectRefusal(name, address string) {
	s.t.Helper()
	err := testnet.AtOnce(func() error {
		ctx, cancel := context.WithTimeout(s.t.Context(), testnet.Patience)
		defer cancel()
		conn, err := s.client.Dial(ctx, s.network, address)
		if refused(err) {
			return nil
		}
		if err == nil {
			conn.Close()
		}
		return fmt.Errorf("%v, want a refusal", err)
	})
	if err != nil {
		s.t.Errorf("%s: %v", name, err)
	}
}

func refused(err error) bool {
	for _, e := range []error{syscall.ECONNREFUSED, syscall.EHOSTUNREACH, syscall.ENETUNREACH} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// Removing any one of the entries that a connection lives by resets it at both
// ends, although neither sends anything.
func TestRemovalCutsLiveConnections(t *testing.T) {
	each(t, func(s *scenario) {
		s.apply()
		for _, kind := range []desired.Kind{desired.KindEndpoint, desired.KindTarget, desired.KindAllow} {
			vpc := provider
			if kind == desired.KindEndpoint {
				vpc = consumer
			}
			i := slices.IndexFunc(s.entries[vpc], func(e desired.Entry) bool { return e.Key().Kind == kind })
			client, server := s.connect()
			failed := s.host.Apply(s.t.Context(), desired.Realm(vpc), nil, s.entries[vpc][i:i+1])
			if failed != nil {
				s.t.Errorf("%s: %v", kind, failed)
			}
			for end, conn := range map[string]net.Conn{"client": client, "server": server} {
				conn.SetReadDeadline(time.Now().Add(testnet.Patience))
				if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
					s.t.Errorf("%s removed: %s reads %v, want a reset", kind, end, err)
				}
				conn.Close()
			}
			s.put(vpc, s.entries[vpc])
		}
		s.checkDump()
	})
}

// connect opens a connection through the endpoint and returns both ends.
func (s *scenario) connect() (client, server net.Conn) {
	s.t.Helper()
	_, port, _ := net.SplitHostPort(s.endpoint)
	l, err := s.server.Listen(s.network, net.JoinHostPort("", port))
	if err != nil {
		s.t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithTimeout(s.t.Context(), testnet.Patience)
	defer cancel()
	if client, err = s.client.Dial(ctx, s.network, s.endpoint); err != nil {
		s.t.Fatal(err)
	}
	if server, err = l.Accept(); err != nil {
		s.t.Fatal(err)
	}
	if _, err := io.WriteString(client, "x"); err != nil {
		s.t.Fatal(err)
	}
	if _, err := io.ReadFull(server, make([]byte, 1)); err != nil {
		s.t.Fatal(err)
	}
	return client, server
}

func TestDeletingAllLeavesNothing(t *testing.T) {
	each(t, func(s *scenario) {
		s.apply()
		for range 2 { // deleting the absent is fine
			for _, vpc := range vpcs() {
				if failed := s.host.Apply(s.t.Context(), desired.Realm(vpc), nil, s.entries[vpc][1:]); failed != nil {
					s.t.Errorf("delete in %s: %v", vpc, failed)
				}
			}
		}
		for _, vpc := range vpcs() {
			if got, want := s.dump(vpc), s.entries[vpc][0].String()+"\n"; got != want {
				s.t.Errorf("left:\n%swant:\n%s", got, want)
			}
			for range 2 {
				if failed := s.host.Apply(s.t.Context(), desired.Realm(vpc), nil, s.entries[vpc][:1]); failed != nil {
					s.t.Errorf("delete router %s: %v", vpc, failed)
				}
			}
			if got := s.dump(vpc); got != "" {
				s.t.Errorf("left:\n%s", got)
			}
		}
		for _, ns := range []*testnet.NS{s.client, s.server} {
			if names := interfaces(s.t, ns); !slices.Equal(names, []string{"lo"}) {
				s.t.Errorf("interfaces left in the workload: %v", names)
			}
		}
		if left, err := s.host.Realms(s.t.Context()); err != nil || len(left) > 0 {
			s.t.Errorf("routers left: %v, %v", left, err)
		}
	})
}

// A router goes with everything in it when only it is deleted.
func TestDeletingARouterTakesItsContentAlong(t *testing.T) {
	s := scenario4(t)
	s.apply()
	if failed := s.host.Apply(t.Context(), consumer, nil, s.entries[consumer]); failed != nil {
		t.Error(failed)
	}
	if names := interfaces(t, s.client); !slices.Equal(names, []string{"lo"}) {
		t.Errorf("interfaces left in the workload: %v", names)
	}
}

func TestEntriesWithoutARouterFail(t *testing.T) {
	s := scenario4(t)
	failed := s.host.Apply(t.Context(), consumer, s.entries[consumer][1:], nil)
	if len(failed) != len(s.entries[consumer])-1 {
		t.Errorf("%d of %d failed", len(failed), len(s.entries[consumer])-1)
	}
	for key, err := range failed {
		if !errors.Is(err, dataplane.ErrNoRouter) {
			t.Errorf("%s: %v", key, err)
		}
	}
}

func TestAWorkloadWhoseNamespaceIsGone(t *testing.T) {
	s := scenario4(t)
	s.put(consumer, s.entries[consumer][:1])
	w := s.workload(consumer, s.client, addr("10.0.1.1"), prefix("10.0.1.10/24"))
	w.Namespace = desired.Namespace{Name: "ptest-" + testnet.RandomName(10)}
	err := s.host.Apply(t.Context(), consumer, []desired.Entry{w}, nil)[w.Key()]
	if !errors.Is(err, dataplane.ErrNamespaceGone) {
		t.Errorf("put: %v", err)
	}
	if failed := s.host.Apply(t.Context(), consumer, nil, []desired.Entry{w}); failed != nil {
		t.Errorf("delete: %v", failed)
	}
}

func interfaces(t testing.TB, ns *testnet.NS) (names []string) {
	t.Helper()
	err := ns.Run(func() error {
		list, err := net.Interfaces()
		for _, i := range list {
			names = append(names, i.Name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}
