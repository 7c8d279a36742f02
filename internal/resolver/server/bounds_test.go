// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/resolver/server"
	"github.com/posternhq/postern/internal/resolver/wire"
)

// soon is when a test gives up.
const soon = 20 * time.Second

// dial opens a socket of a client that has an address of its own.
func dial(t testing.TB, network, from, to string) net.Conn {
	t.Helper()
	local := net.Addr(&net.UDPAddr{IP: net.ParseIP(from)})
	if network == "tcp" {
		local = &net.TCPAddr{IP: net.ParseIP(from)}
	}
	c, err := (&net.Dialer{LocalAddr: local}).Dial(network, to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(soon)); err != nil {
		t.Fatal(err)
	}
	return c
}

// send sends a question for the address of a name.
func send(t testing.TB, c net.Conn, id uint16, name string) {
	t.Helper()
	wired, err := wire.AppendName(nil, name)
	if err != nil {
		t.Fatal(err)
	}
	packet := wire.AppendQuestion(nil, id, wired, wire.TypeA)
	if c.LocalAddr().Network() == "tcp" {
		packet = append(binary.BigEndian.AppendUint16(nil, uint16(len(packet))), packet...)
	}
	if _, err := c.Write(packet); err != nil {
		t.Fatal(err)
	}
}

// take receives an answer.
func take(t testing.TB, c net.Conn) *dns.Msg {
	t.Helper()
	m, err := (&dns.Conn{Conn: c, UDPSize: 4096}).ReadMsg()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// held is an upstream that answers nothing before it is let go.
type held struct {
	mu    sync.Mutex
	asked chan string
	done  []func(wire.Reply)
}

func (h *held) Ask(q server.Onward, done func(wire.Reply)) {
	h.mu.Lock()
	h.done = append(h.done, done)
	h.mu.Unlock()
	h.asked <- wire.NameText(q.Name)
}

func (h *held) letGo() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, done := range h.done {
		done(wire.Reply{Code: wire.NameError})
	}
	h.done = nil
}

// Answers to questions that were read together come one by one, and each to who asked,
// of whatever length they are; also where the kernel takes only one at a time, as it
// does without checksums.
func TestAnswersReadTogetherArriveApart(t *testing.T) {
	var more []desired.Entry
	names := []string{"www.db.example.com.", "none.db.example.com."}
	for i := range 12 {
		name := fmt.Sprintf("host%d.db.example.com.", 1<<i)
		var data []string
		for v := range i*i + 1 {
			data = append(data, fmt.Sprintf("10.0.%d.%d", i, v))
		}
		names = append(names, name)
		more = append(more, desired.NameRecord{Zone: "Z1", Name: name, Type: "A", TTL: 5, Data: data})
	}
	w := world(t, more...)
	for _, plain := range []bool{false, true} {
		t.Run(fmt.Sprintf("plain=%v", plain), func(t *testing.T) {
			s, err := server.New(server.Options{Upstream: upstream(refuse)})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(s.Close)
			s.Swap(w)
			fd, at := bind(t, unix.SOCK_DGRAM, 0)
			if plain {
				if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_NO_CHECK, 1); err != nil {
					t.Fatal(err)
				}
			}
			clients := []net.Conn{dial(t, "udp", "127.0.0.1", at.String()), dial(t, "udp", "127.0.0.2", at.String()), dial(t, "udp", "127.0.0.1", at.String())}
			const rounds = 3 // what fits into the sockets' buffers
			for id := range rounds * len(names) {
				for _, c := range clients {
					send(t, c, uint16(id), names[id%len(names)])
				}
			}
			if err := s.Add(server.Socket{FD: fd, VPC: "vpc-1"}); err != nil {
				t.Fatal(err)
			}
			for n, c := range clients {
				seen := map[uint16]bool{}
				for range rounds * len(names) {
					m := take(t, c)
					name := names[int(m.Id)%len(names)]
					if seen[m.Id] || m.Question[0].Name != name || m.Rcode == dns.RcodeSuccess != (len(m.Answer) > 0) || m.Rcode == dns.RcodeNameError != (name == names[1]) {
						t.Errorf("client %d was answered for the %d: %s", n, m.Id, m)
					}
					seen[m.Id] = true
				}
			}
		})
	}
}

// A VPC whose clients ask as fast as they can does not keep another one waiting.
func TestAFloodInOneVPCIsNotAnothers(t *testing.T) {
	s, err := server.New(server.Options{Upstream: upstream(refuse), Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	s.Swap(world(t, desired.Resolver{VPC: "vpc-2"}, desired.View{VPC: "vpc-2", Zone: "Z1"}))
	loud, loudAt := bind(t, unix.SOCK_DGRAM, 0)
	quiet, quietAt := bind(t, unix.SOCK_DGRAM, 0)
	for _, k := range []server.Socket{{FD: loud, VPC: "vpc-1"}, {FD: quiet, VPC: "vpc-2"}} {
		if err := s.Add(k); err != nil {
			t.Fatal(err)
		}
	}
	var flood sync.WaitGroup
	stop := make(chan struct{})
	c := dial(t, "udp", "127.0.0.1", loudAt.String())
	flood.Go(func() {
		for id := 0; ; id++ {
			select {
			case <-stop:
				return
			default:
				send(t, c, uint16(id), "www.db.example.com.")
			}
		}
	})
	for range 200 {
		if m := ask(t, "udp", quietAt.String(), "www.db.example.com.", dns.TypeA); len(m.Answer) != 1 {
			t.Errorf("beside a flood: %s", m)
		}
	}
	close(stop)
	flood.Wait()
}

func TestOneClientCannotTakeAllOfTheUpstream(t *testing.T) {
	h := &held{asked: make(chan string, 100)}
	_, address := start(t, server.Options{Upstream: h, Limits: server.Limits{Questions: 10, ClientQuestions: 4}}, world(t))
	greedy, other := dial(t, "udp", "127.0.0.1", address), dial(t, "udp", "127.0.0.2", address)
	for id := range 7 {
		send(t, greedy, uint16(id), "www.example.net.")
	}
	for range 3 {
		if m := take(t, greedy); m.Rcode != dns.RcodeServerFailure || m.Id < 4 {
			t.Errorf("beyond its limit a client was answered %s", m)
		}
	}
	send(t, other, 1, "www.example.org.")
	send(t, greedy, 8, "www.db.example.com.")
	if m := take(t, greedy); m.Id != 8 || len(m.Answer) != 1 {
		t.Errorf("what the zones have was answered %s", m)
	}
	for range 5 {
		<-h.asked
	}
	h.letGo()
	if m := take(t, other); m.Rcode != dns.RcodeNameError {
		t.Errorf("the other client was answered %s", m)
	}
	for range 4 {
		if m := take(t, greedy); m.Rcode != dns.RcodeNameError {
			t.Errorf("within its limit a client was answered %s", m)
		}
	}
	send(t, greedy, 9, "www.example.net.") // what it gave back is there again
	<-h.asked
	h.letGo()
	take(t, greedy)
}

func TestOneClientCannotTakeAllConnections(t *testing.T) {
	_, address := start(t, server.Options{Limits: server.Limits{ClientStreams: 3}}, world(t))
	var slow []net.Conn
	for range 3 {
		c := dial(t, "tcp", "127.0.0.1", address)
		if _, err := c.Write([]byte{0}); err != nil { // and no more
			t.Fatal(err)
		}
		slow = append(slow, c)
	}
	refused := dial(t, "tcp", "127.0.0.1", address)
	if _, err := refused.Read(make([]byte, 1)); !errors.Is(err, io.EOF) && !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("one connection too many gives %v", err)
	}
	other := dial(t, "tcp", "127.0.0.2", address)
	for id := range 3 {
		send(t, other, uint16(id), "www.db.example.com.")
	}
	for id := range 3 {
		if m := take(t, other); int(m.Id) != id || len(m.Answer) != 1 {
			t.Errorf("the other client was answered %s", m)
		}
	}
	if m := ask(t, "udp", address, "www.db.example.com.", dns.TypeA); len(m.Answer) != 1 {
		t.Errorf("over UDP the client was answered %s", m)
	}
	slow[0].Close()
	for { // until the server has noticed
		c := dial(t, "tcp", "127.0.0.1", address)
		send(t, c, 1, "www.db.example.com.")
		if _, err := (&dns.Conn{Conn: c, UDPSize: 4096}).ReadMsg(); err == nil {
			break
		}
	}
}

func TestADrainedServerHasAnsweredWhatItRead(t *testing.T) {
	h := &held{asked: make(chan string, 100)}
	s, address := start(t, server.Options{Upstream: h}, world(t))
	udp, tcp, idle := dial(t, "udp", "127.0.0.1", address), dial(t, "tcp", "127.0.0.1", address), dial(t, "tcp", "127.0.0.1", address)
	send(t, udp, 1, "www.example.net.")
	send(t, tcp, 2, "www.example.net.")
	send(t, idle, 3, "www.db.example.com.")
	take(t, idle)
	<-h.asked
	<-h.asked
	over, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Drain(over); !errors.Is(err, context.Canceled) {
		t.Errorf("draining with questions that wait: %v", err)
	}
	drained := make(chan error, 1)
	go func() { drained <- s.Drain(context.Background()) }()
	h.letGo()
	if m := take(t, udp); m.Id != 1 {
		t.Errorf("over UDP: %s", m)
	}
	if m := take(t, tcp); m.Id != 2 {
		t.Errorf("over TCP: %s", m)
	}
	select {
	case err := <-drained:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(soon):
		t.Error("draining does not end")
	}
	if err := s.Add(server.Socket{FD: -1}); err == nil {
		t.Error("a drained server takes another socket")
	}
}

func TestTakingOverLosesNoQuestion(t *testing.T) {
	w := world(t)
	udp, tcp, address := sockets(t)
	next := func() *server.Server {
		s, err := server.New(server.Options{Upstream: upstream(refuse)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Close)
		s.Swap(w)
		for _, k := range []server.Socket{{FD: udp, VPC: "vpc-1"}, {FD: tcp, VPC: "vpc-1", Stream: true}} {
			if k.FD, err = unix.FcntlInt(uintptr(k.FD), unix.F_DUPFD_CLOEXEC, 0); err != nil {
				t.Fatal(err)
			}
			if err := s.Add(k); err != nil {
				t.Fatal(err)
			}
		}
		return s
	}
	s := next()
	stop := make(chan struct{})
	var clients sync.WaitGroup
	asked := make(chan int, 2)
	for _, network := range []string{"udp", "tcp"} {
		clients.Go(func() {
			n := 0
			for ; ; n++ {
				select {
				case <-stop:
					asked <- n
					return
				default:
				}
				m := new(dns.Msg)
				m.SetQuestion("www.db.example.com.", dns.TypeA)
				if r, _, err := (&dns.Client{Net: network, Timeout: soon}).Exchange(m, address); err != nil || len(r.Answer) != 1 {
					t.Errorf("question %d over %s: %v, %v", n, network, r, err)
				}
			}
		})
	}
	for range 10 {
		old := s
		s = next()
		if err := old.Drain(context.Background()); err != nil {
			t.Error(err)
		}
		old.Close()
	}
	close(stop)
	clients.Wait()
	t.Logf("%d and %d questions", <-asked, <-asked)
}

func TestRemovedSocketsAreClosed(t *testing.T) {
	h := &held{asked: make(chan string, 100)}
	s, err := server.New(server.Options{Upstream: h})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	s.Swap(world(t))
	fd, at := bind(t, unix.SOCK_DGRAM, 0)
	if err := s.Add(server.Socket{FD: fd, VPC: "vpc-1"}); err != nil {
		t.Fatal(err)
	}
	c := dial(t, "udp", "127.0.0.1", at.String())
	send(t, c, 1, "www.example.net.")
	<-h.asked
	s.Remove(fd)
	s.Remove(fd)
	h.letGo()
	if m := take(t, c); m.Id != 1 {
		t.Errorf("what was read before is answered %s", m)
	}
	for { // until the kernel says that nobody is there
		if _, err := c.Write([]byte("anything")); errors.Is(err, unix.ECONNREFUSED) {
			break
		}
	}
}

func TestWorldsAreSwappedAtOnce(t *testing.T) {
	w := world(t)
	s, address := start(t, server.Options{}, w)
	for i := range 20 {
		addr := netip.AddrFrom4([4]byte{10, 0, 2, byte(i)}).String()
		w, _ = w.With([]desired.Entry{desired.NameRecord{Zone: "Z1", Name: "www.db.example.com.", Type: "A", TTL: 60, Data: []string{addr}}}, nil)
		s.Swap(w)
		if m := ask(t, "udp", address, "www.db.example.com.", dns.TypeA); len(m.Answer) != 1 || m.Answer[0].(*dns.A).A.String() != addr {
			t.Errorf("after the change to %s: %s", addr, m)
		}
	}
}

func TestGarbageIsSurvived(t *testing.T) {
	_, address := start(t, server.Options{}, world(t))
	c := dial(t, "udp", "127.0.0.1", address)
	for i := range 3000 {
		b := make([]byte, i%700)
		for j := range b {
			b[j] = byte(i * (j + 7) / 3)
		}
		if _, err := c.Write(b); err != nil {
			t.Fatal(err)
		}
		if i%50 != 0 { // no more than the socket's buffer takes
			continue
		}
		if m := ask(t, "udp", address, "www.db.example.com.", dns.TypeA); len(m.Answer) != 1 {
			t.Errorf("after %d packets of garbage: %s", i, m)
		}
	}
	for _, b := range []string{"\x00\x00", "\x00\x05abcde", "\xff\xff", "\x00\x0c\x12\x34\x81\x80\x00\x01\x00\x00\x00\x00\x00\x00"} {
		c := dial(t, "tcp", "127.0.0.1", address)
		if _, err := c.Write([]byte(b)); err != nil {
			t.Fatal(err)
		}
		if n, err := c.Read(make([]byte, 10)); n != 0 || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%q over TCP gives %d bytes, %v", b, n, err)
		}
	}
}
