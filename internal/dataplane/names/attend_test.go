// SPDX-License-Identifier: Apache-2.0

package names_test

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/vishvananda/netlink"

	"github.com/posternhq/postern/internal/dataplane/names"
	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/test/testnet"
)

const server, host, address = "10.0.0.2", "db.example.com.", "192.0.2.9"

// serve gives the router the address of its resolver, and has it answer a name.
func (r *rig) serve(n *names.Names) {
	r.t.Helper()
	err := r.router.Run(func() error {
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		return netlink.AddrAdd(lo, &netlink.Addr{IPNet: &net.IPNet{IP: net.ParseIP(server), Mask: net.CIDRMask(32, 32)}})
	})
	if err != nil {
		r.t.Fatal(err)
	}
	zone := []desired.Entry{
		desired.NameZone{ID: "Z1", Name: "example.com.", Negative: 5},
		desired.NameRecord{Zone: "Z1", Name: host, Type: "A", TTL: 60, Data: []string{address}},
	}
	r.applyTo(n, desired.Zone("Z1"), zone, nil)
	r.apply(n, entries(), nil)
}

// ask asks once.
func (r *rig) ask() error {
	conn, err := r.router.Dial(r.t.Context(), "udp", net.JoinHostPort(server, "53"))
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(testnet.Patience)); err != nil {
		return err
	}
	c := dns.Conn{Conn: conn}
	if err := c.WriteMsg(new(dns.Msg).SetQuestion(host, dns.TypeA)); err != nil {
		return err
	}
	m, err := c.ReadMsg()
	if err == nil && (len(m.Answer) != 1 || !strings.HasSuffix(m.Answer[0].String(), address)) {
		err = errors.New(m.String())
	}
	return err
}

func (r *rig) answers(when string) {
	r.t.Helper()
	if err := r.ask(); err != nil {
		r.t.Errorf("%s: %v", when, err)
	}
}

func send(t *testing.T, pid int, sig syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(pid, sig); err != nil {
		t.Fatal(err)
	}
}

// lives reports whether there is a process of a number that resolves the rig's names.
func (r *rig) lives(pid int) bool { return slices.Contains(r.processes(), pid) }

// processes are all that were started for the rig's folder.
func (r *rig) processes() []int { return names.Processes(r.config.Folder) }

func (r *rig) eventually(what string, ok func() bool) {
	r.t.Helper()
	for deadline := time.Now().Add(testnet.Patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			r.t.Fatalf("not in time: %s", what)
		}
	}
}

// quick makes hangs come out soon.
const quick = 500 * time.Millisecond

// TestAHangingProcessIsReplaced stops it under a Postern that runs, and while none does.
func TestAHangingProcessIsReplaced(t *testing.T) {
	r := newRig(t)
	r.config.Every = quick
	renewed := make(chan struct{}, 8)
	r.config.Renewed = func() { renewed <- struct{}{} }
	n, stop := r.run()
	r.serve(n)
	r.answers("before")
	pid := r.pid()
	send(t, pid, syscall.SIGSTOP)
	r.eventually("its end", func() bool { return !r.lives(pid) })
	r.other(pid)
	<-renewed
	r.answers("after it hung")
	if n.State().Hung == 0 {
		t.Error("it is not said that a process hung")
	}
	stop()
	pid = r.other(pid) // nobody ends it now
	send(t, pid, syscall.SIGSTOP)
	n, _ = r.run()
	r.other(pid)
	r.answers("after it hung while Postern was away")
	r.apply(n, nil, entries()[1:])
	if got := r.there(n); got != desired.Records(entries()[:1]) {
		t.Errorf("there is %s", got)
	}
	r.eventually("one process, which serves", func() bool { got := r.processes(); return len(got) == 1 && got[0] == r.pid() })
}

// TestATakeOverThatHangsChangesNothing has the newer process stop while it is handed the
// sockets, once with a Postern that waits for it and once with one that goes away.
func TestATakeOverThatHangsChangesNothing(t *testing.T) {
	r := newRig(t)
	r.config.Every = quick
	n, stop := r.run()
	r.serve(n)
	stop()
	pid := r.other(0)
	r.config.Flags = []string{"--frozen"}
	_, stop = r.run()
	r.eventually("a newer process", func() bool { return len(r.processes()) == 2 })
	r.answers("while a take-over hangs")
	r.eventually("its end", func() bool { return len(r.processes()) == 1 })
	r.eventually("another attempt", func() bool { return len(r.processes()) == 2 })
	stop()
	if !r.lives(pid) {
		t.Errorf("process %d did not go on", pid)
	}
	r.answers("when Postern went away meanwhile")
	r.config.Flags, r.config.Version = nil, "2"
	n, _ = r.run()
	r.other(pid)
	r.answers("after a take-over")
	r.apply(n, nil, entries()[1:])
	r.eventually("nobody else's end", func() bool { got := r.processes(); return len(got) == 1 && got[0] != pid })
}

// TestAStartThatFailsIsNotRepeatedAtOnce has processes that end, and such as hang, and
// counts them.
func TestAStartThatFailsIsNotRepeatedAtOnce(t *testing.T) {
	for _, how := range []string{"--broken", "--stopped"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.config.Every = quick
			r.config.Flags = []string{how}
			if err := os.WriteFile(filepath.Join(r.config.Folder, "names.txt"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			_, stop := r.run()
			seen, most := map[int]bool{}, 0
			for begun := time.Now(); time.Since(begun) < 5*time.Second || len(seen) == 0 && time.Since(begun) < testnet.Patience; time.Sleep(time.Millisecond) {
				now := r.processes()
				for _, pid := range now {
					seen[pid] = true
				}
				most = max(most, len(now))
			}
			stop()
			if len(seen) == 0 || len(seen) > 8 || most > 1 {
				t.Errorf("%d processes were started, %d at a time", len(seen), most)
			}
		})
	}
}
