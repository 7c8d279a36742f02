// SPDX-License-Identifier: Apache-2.0

package system

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/posternhq/postern/internal/resolver"
	"github.com/posternhq/postern/test/postern"
	"github.com/posternhq/postern/test/testnet"
)

// upstream is a name server on loopback, outside all VPCs, that knows every name below
// test.
func upstream(t *testing.T) string {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	server := &dns.Server{PacketConn: conn, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		if rr, err := dns.NewRR(q.Question[0].Name + " 1 A 192.0.2.7"); err == nil && strings.HasSuffix(q.Question[0].Name, ".test.") {
			m.Answer = append(m.Answer, rr)
		}
		_ = w.WriteMsg(m)
	})}
	go func() { _ = server.ActivateAndServe() }()
	return conn.LocalAddr().String()
}

// askName asks once, and does not repeat itself.
func askName(from *postern.Workload, server, name string, kind uint16) (string, error) {
	return askNameFor(testnet.Patience, from, server, name, kind)
}

func askNameFor(patience time.Duration, from *postern.Workload, server, name string, kind uint16) (string, error) {
	conn, err := from.Dial(context.Background(), "udp", net.JoinHostPort(server, "53"))
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return "", err
	}
	c := dns.Conn{Conn: conn}
	if err := c.WriteMsg(new(dns.Msg).SetQuestion(name, kind)); err != nil {
		return "", err
	}
	m, err := c.ReadMsg()
	if err != nil {
		return "", err
	}
	parts := []string{dns.RcodeToString[m.Rcode]}
	for _, rr := range m.Answer {
		fields := strings.Fields(rr.String())
		parts = append(parts, fields[len(fields)-1])
	}
	return strings.Join(parts, " "), nil
}

// resolverPID is the number of the process that resolves names.
func resolverPID(s *postern.Postern) (int, error) {
	text, err := os.ReadFile(filepath.Join(s.Data, resolver.LockName))
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(text)))
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o700)
	if err == nil {
		_, err = io.Copy(out, in)
		err = errors.Join(err, out.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Names resolve while Postern is killed, stopped, started, and upgraded to another
// program: a client asks all the time, each question once, and each is answered. When the
// process that resolves is killed itself, another one comes by itself.
func TestNamesResolveWhilePosternIsAway(t *testing.T) {
	s := newPair(t, "--upstream", upstream(t))
	name := wanted(t, s.Postern, `^record zone:`+s.consumer.ID+`/endpoints (\S+)/A `)
	server, want := "169.254.169.253", "NOERROR "+s.endpoint.Address().String()
	s.Await("the name of the endpoint", func() (bool, error) {
		got, err := askName(s.client, server, name, dns.TypeA)
		return got == want, err
	})
	var asked atomic.Int64
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		pace := time.NewTicker(3 * time.Millisecond) // far below what an interface may ask
		defer pace.Stop()
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			case <-pace.C:
			}
			ask, expect := name, want
			if i%4 == 0 {
				ask, expect = fmt.Sprintf("n%d.test.", i), "NOERROR 192.0.2.7"
			}
			if got, err := askName(s.client, server, ask, dns.TypeA); got != expect {
				t.Errorf("question %d for %s: %q, %v; want %q", i, ask, got, err, expect)
				return
			}
			asked.Add(1)
		}
	}()
	more := func() {
		t.Helper()
		from := asked.Load()
		s.Await("more answers", func() (bool, error) { return asked.Load() > from+50 || t.Failed(), nil })
	}
	first, err := resolverPID(s.Postern)
	if err != nil {
		t.Fatal(err)
	}
	s.Kill()
	more()
	s.Up()
	more()
	s.Stop()
	more()
	s.Up()
	more()
	if pid, err := resolverPID(s.Postern); pid != first {
		t.Errorf("process %d was replaced by %d, %v", first, pid, err)
	}
	other := filepath.Join(t.TempDir(), "postern")
	copyFile(t, s.Binary, other)
	s.Stop()
	s.Binary = other
	s.Up()
	s.Await("a process of the other program", func() (bool, error) {
		pid, err := resolverPID(s.Postern)
		return err == nil && pid != first, nil
	})
	more()
	close(done)
	<-ended
	t.Logf("%d questions, each answered", asked.Load())
	if s.Verify(); t.Failed() {
		return
	}
	second, err := resolverPID(s.Postern)
	if err == nil {
		err = syscall.Kill(second, syscall.SIGKILL)
	}
	if err != nil {
		t.Fatal(err)
	}
	s.Await("another process", func() (bool, error) {
		got, err := askNameFor(time.Second, s.client, server, name, dns.TypeA) // nobody may be there just now
		return err == nil && got == want, nil
	})
	s.Verify()
}
