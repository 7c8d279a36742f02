// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/posternhq/postern/internal/agent/roles"
	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/test/pgserver"
	"github.com/posternhq/postern/test/testnet"
)

// loopback is a network without gateways.
type loopback struct{}

// Dial implements Network.
func (loopback) Dial(ctx context.Context, _ string, _ netip.Addr, to netip.AddrPort) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "tcp", to.String())
}

// told is a Control that gives an access and keeps what it is told.
type told struct {
	access Access

	mu     sync.Mutex
	fails  int // so many times
	last   Report
	events []string
}

func (c *told) Access(context.Context, string) (Access, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fails--; c.fails >= 0 {
		return Access{}, errors.New("the store is awaited")
	}
	return c.access, nil
}

func (c *told) Tell(_ context.Context, r Report) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last, c.events = r, append(c.events, r.Events...)
	return nil
}

// watching is a database that is watched.
type watching struct {
	*testing.T
	control *told
	board   *roles.Board
	watcher *Watcher
	entry   desired.Watch
}

func watch(t *testing.T, entry desired.Watch, access Access) *watching {
	entry.ID, entry.VPC = "cluster-1", "vpc-1"
	w := &watching{T: t, control: &told{access: access}, board: roles.NewBoard(), entry: entry}
	w.watcher = New(Config{Network: loopback{}, Control: w.control, Roles: w.board, Log: slog.New(slog.DiscardHandler)})
	t.Cleanup(w.watcher.Close)
	w.put(entry)
	return w
}

func (w *watching) put(entry desired.Watch) {
	w.Helper()
	for key, err := range w.watcher.Apply(w.Context(), entry.Key().Realm, []desired.Entry{entry}, nil) {
		w.Fatalf("%s: %v", key, err)
	}
}

func (w *watching) roles() string {
	r, ok := w.board.Of("cluster-1")
	if !ok {
		return "nothing is said"
	}
	return fmt.Sprintf("%s writes, %v read, %v are up", r.Writer, r.Readers, len(r.Up))
}

// becomes waits until the roles are so.
func (w *watching) becomes(when, want string) {
	w.Helper()
	w.eventually(when, func() (string, bool) { is := w.roles(); return is, is == want })
}

// hears waits until it is told that something has happened.
func (w *watching) hears(event string) {
	w.Helper()
	w.eventually(event, func() (string, bool) {
		w.control.mu.Lock()
		defer w.control.mu.Unlock()
		return fmt.Sprintf("told were %q", w.control.events), slices.ContainsFunc(w.control.events, func(e string) bool { return strings.Contains(e, event) })
	})
}

func (w *watching) eventually(what string, is func() (string, bool)) {
	w.Helper()
	last, ok := is()
	for deadline := time.Now().Add(testnet.Patience); !ok; last, ok = is() {
		if time.Now().After(deadline) {
			w.Fatalf("%s: %s", what, last)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// TestRealServersAreFollowed has a writer, a replica and a server of another database: the
// writer freezes, the replica is promoted, and the writer that was wakes up.
func TestRealServersAreFollowed(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Fatal(err)
	}
	s := pgserver.New(t, netip.MustParseAddrPort(free.Addr().String()).Port())
	free.Close()
	entry := desired.Watch{Ask: model.AskPostgres, Port: s.Port}
	for _, id := range []string{"2", "3", "4"} {
		s.Add(id, netip.MustParseAddr("127.0.0."+id), pgserver.Here)
		entry.Members = append(entry.Members, desired.MemberAddr{Member: id, Addr: s.Addr(id)})
	}
	s.Found("2")
	s.Replicate("3", "2")
	s.Found("4")
	access := Access{User: pgserver.User, Password: pgserver.Password, Authority: s.Authority(), Names: []string{pgserver.Name + "."}, Writer: "2"}
	w := watch(t, entry, access)
	w.becomes("at first", "2 writes, [3] read, 2 are up")
	w.hears("4 is left out: its system identifier is")

	s.Freeze("2", true)
	w.becomes("while the writer is frozen and takes connections", "2 writes, [3] read, 1 are up")
	w.hears("2 does not answer")
	s.SQL("3", "SELECT pg_promote(true)")
	w.becomes("after the promotion", "3 writes, [] read, 1 are up")
	s.Freeze("2", false)
	w.hears("two writers: [2 3] say that they write; connections stay with 3")
	w.becomes("with two writers", "3 writes, [] read, 2 are up")
	s.Kill("2")
	w.becomes("when one of them is gone", "3 writes, [] read, 1 are up")

	// Whoever asks anew begins with the writer that was known.
	w.put(func() desired.Watch { again := w.entry; again.Secret++; return again }())
	w.becomes("asked with something else", "3 writes, [] read, 1 are up")
	t.Run("refusals", func(t *testing.T) { testRefusals(t, s, access) })
}

// testRefusals asks a server that is there in ways that it does not take.
func testRefusals(t *testing.T, s *pgserver.Servers, access Access) {
	for name, c := range map[string]struct {
		edit  func(*Access)
		says  string
		alive bool
	}{
		"as it should be":              {func(*Access) {}, "", false},
		"another password":             {func(a *Access) { a.Password = "wrong" }, "28P01", true},
		"a role that there is not":     {func(a *Access) { a.User = "nobody" }, "28000", true},
		"a name that it does not have": {func(a *Access) { a.Names = []string{"other.prod.internal."} }, "the server's certificate has none of other.prod.internal, 127.0.0.3", false},
		"a member's own name":          {func(a *Access) { a.Names, a.Own = nil, map[string]string{"3": "pg.prod.internal."} }, "", false},
		"nothing is checked":           {func(a *Access) { a.Authority = "" }, "", false},
		"an authority of others": {func(a *Access) {
			a.Authority = pgserver.New(t, s.Port).Authority()
		}, "not of the authority that was registered", false},
	} {
		a := access
		c.edit(&a)
		p := &postgres{question: question{access: a, member: "3", addr: netip.AddrPortFrom(s.Addr("3"), s.Port), dial: func(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
			return loopback{}.Dial(ctx, "", netip.Addr{}, to)
		}}}
		ctx, cancel := context.WithTimeout(t.Context(), testnet.Patience)
		answer := p.ask(ctx)
		cancel()
		p.close()
		switch {
		case c.says == "" && (answer.Err != nil || !answer.Writes || answer.System == "" || answer.Position == 0):
			t.Errorf("%s: %+v", name, answer)
		case c.says != "" && (answer.Err == nil || !strings.Contains(answer.Err.Error(), c.says) || answer.Alive != c.alive || answer.Writes):
			t.Errorf("%s: %+v, want an error with %q, alive %t", name, answer, c.says, c.alive)
		}
	}
}

// liar takes connections at an address and says something that is no protocol.
func liar(t *testing.T, at string, port int, says string) (netip.AddrPort, func()) {
	t.Helper()
	l, err := net.Listen("tcp", fmt.Sprintf("%s:%d", at, port))
	if err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	work.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			work.Go(func() {
				defer conn.Close()
				io.WriteString(conn, says)
				io.Copy(io.Discard, conn)
			})
		}
	})
	stop := sync.OnceFunc(func() { l.Close() })
	t.Cleanup(func() { stop(); work.Wait() })
	return netip.MustParseAddrPort(l.Addr().String()), stop
}

// TestServersThatLieAreNobody: what is no PostgreSQL, or says nothing, is neither up nor a
// writer, however long its answer is.
func TestServersThatLieAreNobody(t *testing.T) {
	silent, _ := liar(t, "127.0.0.2", 0, "")
	liar(t, "127.0.0.3", int(silent.Port()), strings.Repeat("HTTP/1.1 200 OK\r\n", 1000))
	w := watch(t, desired.Watch{Ask: model.AskPostgres, Port: silent.Port(), Members: []desired.MemberAddr{
		{Member: "a", Addr: netip.MustParseAddr("127.0.0.2")}, {Member: "b", Addr: netip.MustParseAddr("127.0.0.3")}, {Member: "c", Addr: netip.MustParseAddr("127.0.0.4")},
	}}, Access{User: "watch", Writer: "c"})
	for _, id := range []string{"a", "b", "c"} {
		w.hears(id + " does not answer")
	}
	w.becomes("with nobody that answers", "c writes, [] read, 0 are up")
	w.eventually("that it is degraded", func() (string, bool) {
		w.control.mu.Lock()
		defer w.control.mu.Unlock()
		return fmt.Sprintf("%+v", w.control.last), w.control.last.Wrong != "" && len(w.control.last.Troubles) == 3
	})
}

// dials is loopback that notes when it was asked for connections.
type dials struct{ at chan time.Time }

// Dial implements Network.
func (d dials) Dial(ctx context.Context, _ string, _ netip.Addr, to netip.AddrPort) (net.Conn, error) {
	select {
	case d.at <- time.Now():
	default:
	}
	return loopback{}.Dial(ctx, "", netip.Addr{}, to)
}

// TestWhoHangsUpIsNotAskedAllTheTime: that a connection ended is a reason to ask at once,
// but not when each of them does.
func TestWhoHangsUpIsNotAskedAllTheTime(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conn.Close()
		}
	}()
	at := netip.MustParseAddrPort(l.Addr().String())
	network := dials{make(chan time.Time, 8)}
	w := New(Config{Network: network, Control: &told{access: Access{User: "watch"}}, Roles: roles.NewBoard(), Log: slog.New(slog.DiscardHandler)})
	defer w.Close()
	entry := desired.Watch{ID: "cluster-1", Ask: model.AskPostgres, Port: at.Port(), Members: []desired.MemberAddr{{Member: "a", Addr: at.Addr()}}}
	if failed := w.Apply(t.Context(), entry.Key().Realm, []desired.Entry{entry}, nil); len(failed) > 0 {
		t.Fatal(failed)
	}
	const attempts = 3 // of one question, at most: with TLS and without
	first := <-network.at
	for range 4*attempts - 1 {
		<-network.at
	}
	if since := (<-network.at).Sub(first); since < 4*w.cfg.Soon {
		t.Errorf("it is asked five times in %v", since)
	}
}

// TestWhatIsTakenOfAServerIsBounded: a message that would be long is not waited for, and
// one after the other is not read for ever.
func TestWhatIsTakenOfAServerIsBounded(t *testing.T) {
	for name, says := range map[string]string{
		"a message of a gigabyte": "R\x40\x00\x00\x00",
		"notices without an end":  strings.Repeat("N\x00\x00\x10\x00"+strings.Repeat("\x00", 4092), 2*longestAnswer/4097),
	} {
		at, _ := liar(t, "127.0.0.2", 0, says)
		said := new(ration)
		p := &postgres{question: question{addr: at, access: Access{User: "watch"}, dial: func(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
			conn, err := loopback{}.Dial(ctx, "", netip.Addr{}, to)
			if err != nil {
				return nil, err
			}
			return said.on(conn), nil
		}}}
		cfg, err := p.settings()
		if err != nil {
			t.Fatal(err)
		}
		cfg.TLSConfig = nil // it is as talkative behind TLS
		cfg.Fallbacks = nil
		said.renew()
		ctx, cancel := context.WithTimeout(t.Context(), testnet.Patience)
		if conn, err := pgconn.ConnectConfig(ctx, cfg); err == nil || ctx.Err() != nil {
			t.Errorf("%s: %v, %v", name, conn, err)
		} else {
			t.Log(name, err)
		}
		cancel()
	}
}

// TestThePortThatIsOpenIsFollowed: the first of the members whose port is open writes, and
// goes on to until it is closed.
func TestThePortThatIsOpenIsFollowed(t *testing.T) {
	at, _ := liar(t, "127.0.0.2", 0, "")
	_, stop := liar(t, "127.0.0.3", int(at.Port()), "")
	entry := desired.Watch{Ask: model.AskTCP, Port: at.Port(), Members: []desired.MemberAddr{
		{Member: "a", Addr: netip.MustParseAddr("127.0.0.2")}, {Member: "b", Addr: netip.MustParseAddr("127.0.0.3")},
	}}
	w := watch(t, entry, Access{Writer: "b"})
	w.becomes("at first", "b writes, [] read, 2 are up")
	stop()
	w.becomes("when its port is closed", "a writes, [] read, 1 are up")
	liar(t, "127.0.0.3", int(at.Port()), "")
	w.becomes("when it is open again", "a writes, [] read, 2 are up")
	realm := w.entry.Key().Realm
	if realms, err := w.watcher.Realms(t.Context()); err != nil || !slices.Equal(realms, []desired.Realm{realm}) {
		t.Errorf("watched is %v, %v", realms, err)
	}
	if there, err := w.watcher.Dump(t.Context(), realm); err != nil || len(there) != 1 || !desired.Equal(there[0], w.entry) {
		t.Errorf("watched is %v, %v", there, err)
	}
	if failed := w.watcher.Apply(t.Context(), realm, nil, []desired.Entry{w.entry}); len(failed) > 0 {
		t.Errorf("not ended: %v", failed)
	}
	if is := w.roles(); is != "nothing is said" {
		t.Errorf("of a database that is watched no more: %s", is)
	}
}

// TestAStoreThatIsAwaitedIsAskedAgain: what to ask with comes when it can be had.
func TestAStoreThatIsAwaitedIsAskedAgain(t *testing.T) {
	at, _ := liar(t, "127.0.0.2", 0, "")
	entry := desired.Watch{Ask: model.AskTCP, Port: at.Port(), Members: []desired.MemberAddr{{Member: "a", Addr: at.Addr()}}}
	entry.ID = "cluster-1"
	w := &watching{T: t, control: &told{fails: 2}, board: roles.NewBoard(), entry: entry}
	w.watcher = New(Config{Network: loopback{}, Control: w.control, Roles: w.board, Every: 10 * time.Millisecond, Log: slog.New(slog.DiscardHandler)})
	t.Cleanup(w.watcher.Close)
	w.put(entry)
	w.becomes("in the end", "a writes, [] read, 1 are up")
}

// TestANewWriterIsLookedForOften: while nobody writes a manager may promote somebody at any
// time, for as long as managers take.
func TestANewWriterIsLookedForOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &watched{cfg: &New(Config{Roles: roles.NewBoard(), Log: slog.New(slog.DiscardHandler)}).cfg, news: make(chan struct{}, 1), judge: newJudge("cluster-1", []string{"a", "b"}, "", 0, false)}
		d.heard("a", writes)
		if pause := d.heard("b", reads); pause < 400*time.Millisecond {
			t.Errorf("who reads is asked again after %v while all is well", pause)
		}
		for begun := time.Now(); time.Since(begun) < time.Minute; {
			d.heard("a", silent)
			pause := d.heard("b", reads)
			if pause != 50*time.Millisecond {
				t.Fatalf("after %v without a writer who could be the next one is asked again after %v", time.Since(begun), pause)
			}
			time.Sleep(pause)
		}
		time.Sleep(2 * time.Minute)
		if pause := d.heard("b", reads); pause < 400*time.Millisecond {
			t.Errorf("who could be a writer is asked again after %v for ever", pause)
		}
	})
}

// TestADatabaseThatNobodyIsLedToIsAskedSeldom: somebody else's database is asked no more than
// it takes to show how it is.
func TestADatabaseThatNobodyIsLedToIsAskedSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &watched{
			cfg: &New(Config{Roles: roles.NewBoard(), Log: slog.New(slog.DiscardHandler)}).cfg, news: make(chan struct{}, 1),
			judge: newJudge("cluster-1", []string{"a", "b"}, "", 0, false), entry: desired.Watch{Seldom: true},
		}
		d.heard("a", writes)
		if pause := d.heard("b", reads); pause < 4*time.Second {
			t.Errorf("it is asked again after %v while all is well", pause)
		}
		for range 5 {
			if pause := d.heard("a", silent); pause < 800*time.Millisecond || pause > time.Second {
				t.Errorf("it is asked again after %v while the writer is missed", pause)
			}
		}
	})
}

// TestPatroniHasTheLastWord reads what Patroni says of a node: it writes while it holds the
// leader's lock, whatever its role is called.
func TestPatroniHasTheLastWord(t *testing.T) {
	type reply struct {
		status int
		body   string
	}
	for name, c := range map[string]struct {
		reply
		want Answer
		err  string
	}{
		"the leader": {reply{200, `{"state":"running","role":"master","xlog":{"location":67108960},"database_system_identifier":"7300"}`}, Answer{Writes: true, System: "7300", Position: 67108960}, ""},
		"a primary without the lock": {reply{503, `{"state":"running","role":"primary","xlog":{"location":5},"database_system_identifier":"7300"}`},
			Answer{System: "7300"}, ""},
		"a replica": {reply{503, `{"state":"running","role":"replica","xlog":{"received_location":9,"replayed_location":8},"replication_state":"streaming","database_system_identifier":"7300"}`},
			Answer{Reads: true, System: "7300", Position: 8}, ""},
		"a replica that fetches archives": {reply{503, `{"state":"running","role":"replica","replication_state":"in archive recovery","database_system_identifier":"7300"}`}, Answer{System: "7300"}, ""},
		"one that nobody is to read":      {reply{503, `{"state":"running","role":"replica","tags":{"noloadbalance":true,"clonefrom":true},"database_system_identifier":"7300"}`}, Answer{System: "7300"}, ""},
		"one that has other tags": {reply{503, `{"state":"running","role":"replica","tags":{"noloadbalance":false,"datacenter":"east"},"database_system_identifier":"7300"}`},
			Answer{Reads: true, System: "7300"}, ""},
		"one that starts": {reply{503, `{"state":"starting","role":"replica"}`}, Answer{}, "the server is starting"},
		"something else":  {reply{404, `<html>`}, Answer{}, "no status"},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/primary" {
				t.Errorf("asked is %s", r.URL)
			}
			w.WriteHeader(c.status)
			io.WriteString(w, c.body)
		}))
		at := netip.MustParseAddrPort(server.Listener.Addr().String())
		p := newPatroni(question{addr: netip.AddrPortFrom(at.Addr(), 1), rest: at.Port(), dial: func(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
			return loopback{}.Dial(ctx, "", netip.Addr{}, to)
		}})
		got := p.ask(t.Context())
		p.close()
		server.Close()
		if c.err != "" {
			if got.Err == nil || !strings.Contains(got.Err.Error(), c.err) {
				t.Errorf("%s: %+v, want %s", name, got, c.err)
			}
			continue
		}
		if got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}
