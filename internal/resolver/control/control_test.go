// SPDX-License-Identifier: Apache-2.0

package control_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/resolver/control"
)

// shelf is a resolver that serves nobody.
type shelf struct {
	mu   sync.Mutex
	has  map[desired.Key]desired.Entry
	told int
	stop chan struct{}
}

func (s *shelf) UseShelf(context.Context, control.Shelf) error { return nil }

func (s *shelf) Realms(context.Context) (realms []desired.Realm, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for k := range s.has {
		if !slices.Contains(realms, k.Realm) {
			realms = append(realms, k.Realm)
		}
	}
	return realms, nil
}

func (s *shelf) Dump(_ context.Context, realm desired.Realm) (all []desired.Entry, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for k, e := range s.has {
		if k.Realm == realm {
			all = append(all, e)
		}
	}
	return all, nil
}

func (s *shelf) Apply(_ context.Context, _ desired.Realm, put []desired.Entry, del []desired.Key) map[desired.Key]error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.told++
	failed := map[desired.Key]error{}
	for _, e := range put {
		if r, ok := e.(desired.NameRecord); ok && r.Type == "BAD" {
			failed[e.Key()] = errors.New("no such type")
			continue
		}
		s.has[e.Key()] = e
	}
	for _, k := range del {
		delete(s.has, k)
	}
	return failed
}

func (s *shelf) Lookup(_ context.Context, q control.Question) (control.Answer, error) {
	if q.VPC == "" {
		return control.Answer{}, errors.New("nobody answers")
	}
	return control.Answer{Addrs: []netip.Addr{netip.MustParseAddr("10.0.0.1")}, TTL: time.Minute}, nil
}

func (s *shelf) Status(context.Context) (control.Status, error) {
	return control.Status{Version: "1", Resolvers: len(s.has)}, nil
}

func (s *shelf) HandOver(conn *net.UnixConn) error {
	_, err := io.WriteString(conn, "taken")
	return err
}

func (s *shelf) Stop() { close(s.stop) }

func serve(t *testing.T, folder string) (*shelf, *control.Client) {
	t.Helper()
	s := &shelf{has: map[desired.Key]desired.Entry{}, stop: make(chan struct{})}
	server, err := control.Listen(folder, s)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		if err := server.Serve(); err != nil {
			t.Error(err)
		}
	}()
	client := control.NewClient(folder)
	t.Cleanup(func() {
		client.Close()
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, client
}

func record(n int, kind string) desired.NameRecord {
	return desired.NameRecord{Zone: "Z1", Name: fmt.Sprintf("n%d.%s.example.com.", n, strings.Repeat("x", 40)), Type: kind, TTL: 60, Data: []string{"10.0.0.1", "a b, c%"}}
}

// TestEntriesArriveAndComeBack tells more than fits into one message.
func TestEntriesArriveAndComeBack(t *testing.T) {
	s, client := serve(t, t.TempDir())
	var put []desired.Entry
	for _, k := range control.Kinds() {
		put = append(put, k.Examples()...)
	}
	realm := desired.Zone("Z1")
	for i := range 12000 {
		put = append(put, record(i, "A"))
	}
	bad := record(1, "BAD")
	put = append(put, bad)
	want := slices.DeleteFunc(slices.Clone(put), func(e desired.Entry) bool { return e.Key().Realm != realm || e.Key() == bad.Key() })
	failed := client.Apply(t.Context(), realm, put, nil)
	if len(failed) != 1 || failed[bad.Key()] == nil || !strings.Contains(failed[bad.Key()].Error(), "no such type") {
		t.Errorf("failed: %v", failed)
	}
	if s.told < 2 {
		t.Errorf("all of it came in %d message", s.told)
	}
	there, err := client.Dump(t.Context(), realm)
	if err != nil || desired.Records(there) != desired.Records(want) {
		t.Errorf("dump has %d entries, want %d; %v", len(there), len(want), err)
	}
	realms, err := client.Realms(t.Context())
	slices.Sort(realms)
	if err != nil || !slices.Equal(realms, []desired.Realm{"zone:Z1", "zone:vpc-1"}) {
		t.Errorf("realms %v, %v", realms, err)
	}
	if failed := client.Apply(t.Context(), realm, nil, want); len(failed) > 0 || len(s.has) != len(put)-1-len(want) {
		t.Errorf("after deleting: %d left, %v", len(s.has), slices.Collect(maps.Values(failed)))
	}
}

// TestOthersAreNotKeptWaiting has peers that say nothing, half of something, or nonsense.
func TestOthersAreNotKeptWaiting(t *testing.T) {
	folder := t.TempDir()
	_, client := serve(t, folder)
	dial := func() net.Conn {
		conn, err := net.Dial("unix", filepath.Join(folder, control.SocketName))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return conn
	}
	for range 50 {
		dial()
		fmt.Fprintf(dial(), "POST /apply?realm=zone:Z1 HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nrecord zone:Z1")
	}
	tooLong := dial()
	fmt.Fprintf(tooLong, "POST /apply?realm=zone:Z1 HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", 8<<20, strings.Repeat("record zone:Z1 \n", 8<<16))
	e := record(1, "A")
	if failed := client.Apply(t.Context(), desired.Zone("Z1"), []desired.Entry{e}, nil); len(failed) > 0 {
		t.Error(failed)
	}
	if there, err := client.Dump(t.Context(), desired.Zone("Z1")); err != nil || len(there) != 1 {
		t.Errorf("%v, %v", there, err)
	}
}

func TestLookupStatusAndTakeOver(t *testing.T) {
	s, client := serve(t, t.TempDir())
	a, err := client.Lookup(t.Context(), control.Question{Name: "a.", VPC: "vpc-1"})
	if err != nil || len(a.Addrs) != 1 || a.TTL != time.Minute {
		t.Errorf("%v, %v", a, err)
	}
	if _, err := client.Lookup(t.Context(), control.Question{Name: "a."}); err == nil || !strings.Contains(err.Error(), "nobody answers") {
		t.Error(err)
	}
	if status, err := client.Status(t.Context()); err != nil || status.Version != "1" {
		t.Errorf("%v, %v", status, err)
	}
	conn, err := client.TakeOver(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if text, err := io.ReadAll(conn); err != nil || string(text) != "taken" {
		t.Errorf("%q, %v", text, err)
	}
	ended, err := client.Watch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-ended:
		t.Error("a watch ends while the process lives")
	default:
	}
	select {
	case <-s.stop:
		t.Error("it was stopped")
	default:
	}
}

// TestSocketIsReplacedAtOnce opens another one in its place: there is one at all times.
func TestSocketIsReplacedAtOnce(t *testing.T) {
	folder := t.TempDir()
	if _, err := control.NewClient(folder).Status(t.Context()); !errors.Is(err, control.ErrNobody) {
		t.Errorf("without a process: %v", err)
	}
	serve(t, folder)
	info, err := os.Stat(filepath.Join(folder, control.SocketName))
	if err != nil || info.Mode().Perm() != 0o600 || info.Sys().(*syscall.Stat_t).Uid != uint32(os.Geteuid()) {
		t.Errorf("the socket is %v, %v", info, err)
	}
	s, client := serve(t, folder)
	if failed := client.Apply(t.Context(), desired.Zone("Z1"), []desired.Entry{record(1, "A")}, nil); len(failed) > 0 || s.told != 1 {
		t.Errorf("the later one was told %d times, %v", s.told, failed)
	}
}
