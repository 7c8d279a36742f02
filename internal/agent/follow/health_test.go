// SPDX-License-Identifier: Apache-2.0

package follow

import (
	"context"
	"errors"
	"fmt"
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

	"pgregory.net/rapid"

	"github.com/posternhq/postern/internal/desired"
)

// A member is what its answers say, read from the beginning: unknown until a good one or enough
// bad ones, and from then on changed by as many in a row as are asked for.
func TestAMemberIsWhatItsAnswersSay(t *testing.T) {
	bad := errors.New("refused")
	rapid.Check(t, func(t *rapid.T) {
		c := desired.Check{Healthy: rapid.Uint32Range(1, 10).Draw(t, "healthy"), Unhealthy: rapid.Uint32Range(1, 10).Draw(t, "unhealthy")}
		m := member{health: Initial}
		var heard []bool
		ends := func(answer bool, count uint32) bool {
			for i := range count {
				if at := len(heard) - 1 - int(i); at < 0 || heard[at] != answer {
					return false
				}
			}
			return true
		}
		want := Initial
		for range rapid.IntRange(0, 60).Draw(t, "answers") {
			good := rapid.Bool().Draw(t, "good")
			heard = append(heard, good)
			var err error
			if !good {
				err = bad
			}
			was := want
			switch {
			case good && (want == Initial || want == Unhealthy && ends(true, c.Healthy)):
				want = Healthy
			case !good && want != Unhealthy && ends(false, c.Unhealthy):
				want = Unhealthy
			}
			if changed := m.hears(c, err); changed != (was != want) || m.health != want {
				t.Fatalf("after %v it is %s, want %s; changed: %v", heard, m.health, want, changed)
			}
			if want == Healthy && changedTo(was, want) && m.why != "" {
				t.Fatalf("it is healthy, though %s", m.why)
			}
		}
	})
}

func changedTo(was, is Health) bool { return was != is }

func at(n int, port uint16) netip.AddrPort { return netip.AddrPortFrom(addr(n), port) }

func atAll(port uint16, numbers ...int) (list []netip.AddrPort) {
	for _, n := range numbers {
		list = append(list, at(n, port))
	}
	return list
}

// balancedEntry has one port lead to some members, which are asked every 10 s.
func balancedEntry(members ...int) desired.Balance {
	return desired.Balance{
		VPC: "vpc-2", Addr: netip.MustParseAddr("240.8.0.9"), Gateway: netip.MustParseAddr("10.0.1.50"), Listeners: []desired.Listener{{Port: 443, Group: "tg"}},
		Groups: []desired.TargetGroup{{
			ID: "tg", Check: desired.Check{Protocol: desired.CheckTCP, Interval: 10, Timeout: 5, Healthy: 3, Unhealthy: 2}, Members: atAll(8443, members...), CutUnhealthy: true,
		}},
	}
}

func (r rig) forwards(e desired.Balance, want ...desired.Forward) {
	r.Helper()
	var got desired.Entry
	r.up.change(func() { got = r.targets[targetKey(e.Key())] })
	if want := e.Target(want); got == nil || !desired.Equal(got, want) {
		r.Errorf("after %s:\n%v, want\n%s", time.Since(start), got, want)
	} else if !e.Carries(got) {
		r.Errorf("after %s: %s is not known as what the entry was turned into", time.Since(start), got)
	}
}

// Connections go to who is healthy, and to everybody while nobody is; those of who fails are
// cut then, if others do not.
func TestABalanceFollowsHealth(t *testing.T) {
	follow(t, func(r rig) {
		e := balancedEntry(1, 2, 3)
		r.up.change(func() { r.up.down[addr(3)] = true })
		r.take(desired.Delta{Full: true, Put: []desired.Entry{e}})
		all := desired.Forward{Port: 443, To: atAll(8443, 1, 2, 3)}
		r.forwards(e, all)
		time.Sleep(time.Second) // the first two were asked once, and the third is not known to fail
		r.forwards(e, desired.Forward{Port: 443, To: atAll(8443, 1, 2)})
		time.Sleep(10 * time.Second)
		failed := func(numbers ...int) []netip.AddrPort { return atAll(8443, numbers...) }
		r.forwards(e, desired.Forward{Port: 443, To: atAll(8443, 1, 2), Except: failed(3)})
		r.up.change(func() { r.up.hang[addr(2)] = true })
		time.Sleep(25 * time.Second)
		r.forwards(e, desired.Forward{Port: 443, To: atAll(8443, 1), Except: failed(2, 3)})
		r.up.change(func() { r.up.down[addr(1)] = true })
		time.Sleep(25 * time.Second)
		r.forwards(e, all)
		r.up.change(func() { clear(r.up.down) })
		time.Sleep(20 * time.Second) // three answers in a row are wanted
		r.forwards(e, all)
		time.Sleep(10 * time.Second)
		r.forwards(e, desired.Forward{Port: 443, To: atAll(8443, 1, 3), Except: failed(2)})
		var told []string
		for _, h := range r.Health() {
			told = append(told, fmt.Sprintf("%s %s %s %t", h.Group, h.At.Addr(), h.Health, h.Why != ""))
		}
		want := fmt.Sprintf("tg %s healthy false, tg %s unhealthy true, tg %s healthy false", addr(1), addr(2), addr(3))
		if got := strings.Join(told, ", "); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	})
}

// A member that is new gets connections when it has answered, one that drains or is gone gets
// none, and which connections are cut is as the group says.
func TestMembersComeAndGo(t *testing.T) {
	follow(t, func(r rig) {
		e := balancedEntry(1, 2)
		r.take(desired.Delta{Full: true, Put: []desired.Entry{e}})
		time.Sleep(time.Second)
		r.up.change(func() { r.up.down[addr(3)] = true })
		group := func(change func(*desired.TargetGroup)) { // an entry that was handed over is not changed
			e.Groups = slices.Clone(e.Groups)
			change(&e.Groups[0])
		}
		group(func(g *desired.TargetGroup) { g.Members, g.Draining = atAll(8443, 1, 3), atAll(8443, 2) })
		r.take(desired.Delta{Put: []desired.Entry{e}})
		r.forwards(e, desired.Forward{Port: 443, To: atAll(8443, 1)})
		group(func(g *desired.TargetGroup) { g.CutGone = true })
		r.take(desired.Delta{Put: []desired.Entry{e}})
		r.forwards(e, desired.Forward{Port: 443, To: atAll(8443, 1), Cut: true, Except: atAll(8443, 2, 3)})
		r.up.change(func() { clear(r.up.down) })
		time.Sleep(10 * time.Second)
		group(func(g *desired.TargetGroup) { g.Draining = nil })
		r.take(desired.Delta{Put: []desired.Entry{e}})
		r.forwards(e, desired.Forward{Port: 443, To: atAll(8443, 1, 3), Cut: true})
		e.Listeners = []desired.Listener{{Port: 80, Group: "tg"}, {Port: 443, Group: "none"}}
		r.take(desired.Delta{Put: []desired.Entry{e}})
		r.forwards(e, desired.Forward{Port: 80, To: atAll(8443, 1, 3), Cut: true})
		if got := r.Original([]desired.Entry{r.targets[targetKey(e.Key())]}); !desired.Equal(got[0], e) {
			t.Errorf("the target was made of %v", got)
		}
		if got := r.Asked(targetKey(e.Key())); got != e.Key() {
			t.Errorf("the target is asked for by %s", got)
		}
		r.take(desired.Delta{Delete: []desired.Key{e.Key()}})
		if len(r.targets)+len(r.Health()) > 0 {
			t.Errorf("there are still %v", r.targets)
		}
	})
}

// What the kernel has is the last good answer: members that it leads to are healthy until
// they were asked.
func TestABalanceGoesOnAfterARestart(t *testing.T) {
	follow(t, func(r rig) {
		e := balancedEntry(1, 2, 3)
		had := e.Target([]desired.Forward{{Port: 443, To: atAll(8443, 2)}})
		r.up.change(func() { r.up.hang[addr(1)], r.up.hang[addr(2)], r.up.hang[addr(3)] = true, true, true })
		out, _ := r.Take(desired.Delta{Full: true, Put: []desired.Entry{e}}, func(desired.Key) (desired.Target, bool) { return had, false })
		r.keep(out.Put)
		r.forwards(e, desired.Forward{Port: 443, To: atAll(8443, 2)})
		time.Sleep(5 * time.Second) // one answer is missing
		r.forwards(e, desired.Forward{Port: 443, To: atAll(8443, 2)})
		time.Sleep(20 * time.Second)
		r.forwards(e, desired.Forward{Port: 443, To: atAll(8443, 1, 2, 3)})
	})
}

// crowd is members of whom none answers.
type crowd struct {
	mu        sync.Mutex
	now, peak int
	asked     map[netip.AddrPort]int
}

func (c *crowd) Probe(ctx context.Context, _ string, _ netip.Addr, to netip.AddrPort) error {
	c.mu.Lock()
	c.asked[to]++
	c.now++
	c.peak = max(c.peak, c.now)
	c.mu.Unlock()
	<-ctx.Done()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now--
	return ctx.Err()
}

// Of many members so many are asked at a time and no more, and each has its turn, though those
// before it do not answer.
func TestManyMembersAreAskedInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &crowd{asked: map[netip.AddrPort]int{}}
		f := New(Config{Lookup: newUpstream(), Prober: c, Checks: 10, Logger: slog.New(slog.DiscardHandler)})
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { f.Run(ctx) })
		const groups, each = 10, 10
		d := desired.Delta{Full: true}
		for i := range groups {
			e := balancedEntry()
			e.Addr = netip.AddrFrom4([4]byte{240, 8, 1, byte(i)})
			for n := range each {
				e.Groups[0].Members = append(e.Groups[0].Members, at(1+n, uint16(1000+i)))
			}
			d.Put = append(d.Put, e)
		}
		f.Take(d, func(desired.Key) (desired.Target, bool) { return desired.Target{}, false })
		const turn = groups * each / 10 * 5 * time.Second // each takes five seconds
		time.Sleep(4*turn + time.Second)
		synctest.Wait()
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.peak != 10 || len(c.asked) != groups*each {
			t.Errorf("%d at a time and %d in all were asked, want 10 and %d", c.peak, len(c.asked), groups*each)
		}
		for to, n := range c.asked {
			if n < 4 || n > 5 {
				t.Errorf("%s was asked %d times in four turns", to, n)
			}
		}
		cancel()
		c.mu.Unlock()
		wg.Wait()
		c.mu.Lock()
	})
}

// straight dials as anybody does.
type straight struct{}

func (straight) Probe(ctx context.Context, _ string, _ netip.Addr, to netip.AddrPort) error {
	conn, err := straight{}.Dial(ctx, "", netip.Addr{}, to)
	if err == nil {
		conn.Close()
	}
	return err
}

func (straight) Dial(ctx context.Context, _ string, _ netip.Addr, to netip.AddrPort) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "tcp", to.String())
}

// Members are asked as their check says: the status counts, over TLS whatever the certificate
// is, and a redirect is an answer.
func TestMembersAreAskedOverHTTP(t *testing.T) {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/away":
			http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusFound)
		case "/ill":
			http.Error(w, "ill", http.StatusServiceUnavailable)
		}
	})
	plain, secure := httptest.NewServer(handler), httptest.NewTLSServer(handler)
	defer plain.Close()
	defer secure.Close()
	f := New(Config{Lookup: newUpstream(), Prober: straight{}, Dialer: straight{}})
	for _, s := range []struct {
		protocol string
		server   *httptest.Server
	}{{desired.CheckHTTP, plain}, {desired.CheckHTTPS, secure}} {
		to := netip.MustParseAddrPort(s.server.Listener.Addr().String())
		for _, c := range []struct {
			path, codes string
			says        string
		}{
			{"/", "200", ""}, {"/?deep=yes", "200-399", ""}, {"/away", "200,302", ""}, {"/away", "200", "[302]"}, {"/ill", "200-399", "[503]"}, {"/", "201-299,204", "[200]"},
		} {
			err := f.inquire(t.Context(), "", netip.Addr{}, desired.Check{Protocol: s.protocol, Port: to.Port(), Path: c.path, Codes: c.codes, Timeout: 120}, netip.AddrPortFrom(to.Addr(), 9))
			if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
				t.Errorf("%s %s for %s: %v, want %q", s.protocol, c.path, c.codes, err, c.says)
			}
		}
	}
	to := netip.MustParseAddrPort(plain.Listener.Addr().String())
	if err := f.inquire(t.Context(), "", netip.Addr{}, desired.Check{Protocol: desired.CheckTCP, Timeout: 120}, to); err != nil {
		t.Error(err)
	}
	if err := f.inquire(t.Context(), "", netip.Addr{}, desired.Check{Protocol: desired.CheckHTTPS, Path: "/", Codes: "200", Timeout: 120}, to); err == nil {
		t.Error("plain HTTP is taken for HTTPS")
	}
}
