// SPDX-License-Identifier: Apache-2.0

package system

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os/exec"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/test/instance"
	"github.com/posternhq/postern/test/postern"
	"github.com/posternhq/postern/test/testnet"
)

// load is traffic that runs until it is told to stop, and then says whether it
// was whole.
type load struct {
	group errgroup.Group
	stop  atomic.Bool
	// asked counts new connections that were answered.
	asked atomic.Int64
}

// startLoad runs a checksummed transfer in each direction, a loop of requests on
// one connection, and a loop of new connections.
func startLoad(s *pair) *load {
	s.t.Helper()
	l := &load{}
	transfers, err := s.server.Listen("tcp", ":6000")
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { transfers.Close() })
	address := hostPort(s.endpoint.Address(), 6000)
	for _, upload := range []bool{true, false} {
		here := dialRaw(s, address)
		there, err := transfers.Accept()
		if err != nil {
			s.t.Fatal(err)
		}
		if !upload {
			here, there = there, here
		}
		l.group.Go(func() error { return l.transfer(here, there) })
	}
	conn := dial(s.t, s.client, at(s.endpoint.Address()))
	l.group.Go(func() error { return l.requests(conn) })
	l.group.Go(func() error { return l.connections(s) })
	return l
}

func dialRaw(s *pair, address string) net.Conn {
	s.t.Helper()
	conn, err := s.client.Dial(s.t.Context(), "tcp", address)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	return conn
}

// transfer sends random bytes, not faster than the test can bear, and compares
// the sums of both ends.
func (l *load) transfer(from, to net.Conn) error {
	received := make(chan error, 1)
	var sum []byte
	go func() {
		h := sha256.New()
		_, err := io.Copy(h, to)
		sum = h.Sum(nil)
		received <- err
	}()
	h, random, chunk := sha256.New(), rand.NewChaCha8([32]byte{}), make([]byte, 64<<10)
	for !l.stop.Load() {
		random.Read(chunk)
		h.Write(chunk)
		if _, err := from.Write(chunk); err != nil {
			return fmt.Errorf("transfer: send: %w", err)
		}
		time.Sleep(2 * time.Millisecond)
	}
	if err := from.(*net.TCPConn).CloseWrite(); err != nil {
		return fmt.Errorf("transfer: finish: %w", err)
	}
	if err := <-received; err != nil {
		return fmt.Errorf("transfer: receive: %w", err)
	}
	if !bytes.Equal(sum, h.Sum(nil)) {
		return errors.New("transfer: what arrived is not what was sent")
	}
	return nil
}

func (l *load) requests(conn net.Conn) error {
	for !l.stop.Load() {
		conn.SetDeadline(time.Now().Add(testnet.Patience))
		if err := testnet.Echo(conn, testnet.RandomName(200)); err != nil {
			return fmt.Errorf("request: %w", err)
		}
		time.Sleep(time.Millisecond)
	}
	return nil
}

func (l *load) connections(s *pair) error {
	for !l.stop.Load() {
		if _, err := ask(s.client, at(s.endpoint.Address())); err != nil {
			return fmt.Errorf("new connection: %w", err)
		}
		l.asked.Add(1)
		time.Sleep(5 * time.Millisecond)
	}
	return nil
}

// finish ends the load and wants all of it to have been whole.
func (l *load) finish(t *testing.T) {
	t.Helper()
	l.stop.Store(true)
	if err := l.group.Wait(); err != nil {
		t.Error(err)
	}
	t.Logf("%d new connections", l.asked.Load())
}

// expectNewConnections waits until some more connections were made.
func (l *load) expectNewConnections(t *testing.T) {
	t.Helper()
	before := l.asked.Load()
	err := instance.Poll(t.Context(), testnet.Patience, "new connections", func() (bool, error) { return l.asked.Load() >= before+10, nil })
	if err != nil {
		t.Fatal(err)
	}
}

// Traffic does not notice that Postern is killed, is away, and comes back, also
// in the middle of changes.
func TestTrafficGoesOnWithoutPostern(t *testing.T) {
	s := newPair(t)
	s.resource = s.gateway.Configuration(s.server.IP, "5432", "6000")
	s.endpoint = s.consumer.Endpoint(s.resource, []*postern.Subnet{s.clients}, s.openClient)
	l := startLoad(s)
	var changes changer
	changes.start(s)
	for range 5 {
		time.Sleep(time.Duration(rand.IntN(300)) * time.Millisecond)
		s.Kill()
		l.expectNewConnections(t)
		s.Up()
		l.expectNewConnections(t)
	}
	s.Stop()
	l.expectNewConnections(t)
	s.Up()
	changes.finish(t, s)
	l.finish(t)
}

// changer makes and deletes endpoints beside the traffic. Refusals while
// Postern is away are part of it.
type changer struct {
	stop atomic.Bool
	done chan struct{}
	made atomic.Int64
}

func (c *changer) start(s *pair) {
	c.done = make(chan struct{})
	go func() {
		defer close(c.done)
		for !c.stop.Load() {
			e, err := s.consumer.MakeEndpoint(s.resource, []*postern.Subnet{s.clients}, s.openClient)
			if err != nil {
				time.Sleep(10 * time.Millisecond)
				continue
			}
			c.made.Add(1)
			s.Do(ec2.Service, "DeleteVpcEndpoints", &ec2.DeleteVpcEndpointsInput{VpcEndpointIds: []string{e.ID}}, nil)
		}
	}()
}

func (c *changer) finish(t *testing.T, s *pair) {
	t.Helper()
	before := c.made.Load()
	s.Await("another endpoint", func() (bool, error) { return c.made.Load() > before, nil })
	c.stop.Store(true)
	<-c.done
	t.Logf("%d endpoints made", c.made.Load())
}

// The next start finds everything as it should be: it changes nothing in the
// kernel and repairs nothing.
func TestStartAdoptsWhatIsThere(t *testing.T) {
	for name, end := range map[string]func(*postern.Postern){"kill": (*postern.Postern).Kill, "stop": (*postern.Postern).Stop} {
		t.Run(name, func(t *testing.T) {
			s := newPair(t, "--verify-interval", "200ms")
			conn := dial(t, s.client, at(s.endpoint.Address()))
			before := picture(t, s)
			end(s.Postern)
			s.Up()
			// Verification compares everything, several times.
			time.Sleep(time.Second)
			awaitSettled(t, s.Postern)
			status := s.Status()
			for name, n := range status.Counters {
				if strings.Contains(name, "repair") && n != 0 {
					t.Errorf("%s is %d after the start", name, n)
				}
			}
			if *status.DesiredEntries == 0 || *status.DesiredEntries != *status.ProgrammedEntries {
				t.Errorf("%d entries desired, %d programmed", *status.DesiredEntries, *status.ProgrammedEntries)
			}
			if after := picture(t, s); after != before {
				t.Errorf("the kernel was changed; before:\n%s\nafter:\n%s", before, after)
			}
			if err := testnet.Echo(conn, "still there"); err != nil {
				t.Errorf("the connection did not survive: %v", err)
			}
		})
	}
}

// counters are what changes by itself in a listing of rules.
var counters = regexp.MustCompile(`packets \d+ bytes \d+`)

// picture shows the kernel's objects with what identifies them: inodes of
// namespaces, indexes of interfaces, handles of rules.
func picture(t *testing.T, s *pair) string {
	t.Helper()
	var b strings.Builder
	for _, router := range s.Routers() {
		var stat unix.Stat_t
		if err := unix.Stat("/run/netns/"+router, &stat); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(&b, router, stat.Ino)
		for _, line := range []string{
			"ip -o link", "ip -o addr", "ip route show table all", "ip -6 route show table all proto 78", "ip neigh show nud permanent", "nft -a list ruleset",
		} {
			b.WriteString(counters.ReplaceAllString(inNamespace(t, router, line), ""))
		}
	}
	return b.String()
}

// inNamespace runs a command line in a namespace and returns what it prints.
func inNamespace(t *testing.T, namespace, line string) string {
	t.Helper()
	out, err := exec.Command("ip", "netns", "exec", namespace, "sh", "-c", line).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %s: %v: %s", namespace, line, err, out)
	}
	return string(out)
}
