// SPDX-License-Identifier: Apache-2.0

package express_test

import (
	"errors"
	"net/netip"
	"slices"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/dataplane/express"
	"github.com/posternhq/postern/internal/dataplane/flow"
	"github.com/posternhq/postern/test/lab"
	"github.com/posternhq/postern/test/testnet"
)

// The next process takes over what the one before has left.
func TestOpenTakesOver(t *testing.T) {
	each(t, idle, func(t *testing.T, r *rig) {
		e := r.carried()
		if err := r.lane.Close(); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(pass(e.client, e.server), pass(e.server, e.client)); err != nil {
			t.Fatalf("while nobody has it open: %v", err)
		}
		r.lane = open(t, r.instance, idle)
		before := r.counters()
		if before.Packets == 0 || before.Learned != 2 {
			t.Errorf("the counters do not go on: %+v", before)
		}
		r.devices(func(h *netlink.Handle, l netlink.Link) {
			if covered, err := r.covers(h, l); !covered || err != nil {
				t.Errorf("%s is not covered any more: %v", l.Attrs().Name, err)
			}
		})
		r.carries(e)
		if after := r.counters(); after.Forgotten != 0 {
			t.Errorf("connections were given up: %+v", after)
		}
	})
}

// A program of another version is switched off, and put out of the way when the
// device is covered. The connection goes on all the while.
func TestOpenReplacesAnotherVersion(t *testing.T) {
	each(t, idle, func(t *testing.T, r *rig) {
		e := r.carried()
		old, err := express.OpenAs(r.instance, "0ther", idle)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { old.Close() })
		this := r.lane
		// Let the other one take the place of this one first.
		r.uncover()
		r.cover(old)
		r.lane = old
		r.carries(e)
		if err := this.Close(); err != nil {
			t.Fatal(err)
		}

		r.lane = open(t, r.instance, idle)
		before, slow := oldPackets(t, old), r.slow()
		e.exchange(t)
		if got := oldPackets(t, old) - before; got > 0 {
			t.Errorf("the other version carried %d packets more", got)
		}
		if r.slow() == slow {
			t.Error("no packet took the slow path")
		}
		r.devices(func(h *netlink.Handle, l netlink.Link) {
			if covered, err := r.covers(h, l); covered || err != nil {
				t.Errorf("%s counts as covered: %v", l.Attrs().Name, err)
			}
		})
		r.cover(r.lane)
		r.carries(e)
	})
}

// The program of a version before devices were listed is on all devices. Connections
// go on while it is replaced, in the new one in the end.
func TestOpenReplacesAnEarlierProgram(t *testing.T) {
	each(t, idle, func(t *testing.T, r *rig) {
		r.uncover()
		if err := errors.Join(express.Disable(r.instance), r.lane.Close()); err != nil {
			t.Fatal(err)
		}
		old, err := express.OpenEarlier(r.instance, idle)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { old.Close() })
		r.devices(func(h *netlink.Handle, l netlink.Link) {
			if err := express.Attach(old, h, l.Attrs().Index); err != nil {
				t.Fatal(err)
			}
		})
		quiet, busy := r.connect(), r.connect()
		for range 3 {
			quiet.exchange(t)
		}
		if n, err := express.EarlierPackets(old); n < 8 || err != nil {
			t.Fatalf("the earlier program has carried %d packets, %v", n, err)
		}
		stop, done := make(chan struct{}), make(chan error, 1)
		go func() {
			for {
				select {
				case <-stop:
					done <- nil
					return
				default:
				}
				if err := errors.Join(pass(busy.client, busy.server), pass(busy.server, busy.client)); err != nil {
					done <- err
					return
				}
			}
		}()
		r.lane = open(t, r.instance, idle)
		r.cover(r.lane)
		eventually(t, "the new program carries the connection", func() bool { return r.packets() > 100 })
		close(stop)
		if err := <-done; err != nil {
			t.Errorf("the connection broke: %v", err)
		}
		r.carries(busy)
		r.carries(quiet)
		before, err := express.EarlierPackets(old)
		r.carries(r.connect())
		if after, _ := express.EarlierPackets(old); after != before || err != nil {
			t.Errorf("the earlier program carried %d packets more, %v", after-before, err)
		}
		r.devices(func(h *netlink.Handle, l netlink.Link) {
			if filters, err := h.FilterList(l, netlink.HANDLE_MIN_INGRESS); err != nil || len(filters) != 1 {
				t.Errorf("%s has the filters %v, %v; want one", l.Attrs().Name, filters, err)
			}
		})
	})
}

func oldPackets(t *testing.T, l *express.Lane) int {
	t.Helper()
	c, err := l.Counters()
	if err != nil {
		t.Fatal(err)
	}
	return int(c.Packets)
}

func clsact(index int) *netlink.Clsact {
	return &netlink.Clsact{QdiscAttrs: netlink.QdiscAttrs{
		LinkIndex: index, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_CLSACT,
	}}
}

// uncover does what a person with tc can do.
func (r *rig) uncover() {
	r.t.Helper()
	r.devices(func(h *netlink.Handle, l netlink.Link) {
		if err := h.QdiscDel(clsact(l.Attrs().Index)); err != nil {
			r.t.Fatalf("delete qdisc of %s: %v", l.Attrs().Name, err)
		}
	})
}

func TestInstancesLeaveEachOtherAlone(t *testing.T) {
	r := newRig(t, families[0], idle)
	e := r.carried()
	// One name is the beginning of the other.
	for _, other := range []string{"u" + testnet.RandomName(6), r.instance + "x", r.instance[:6]} {
		l := open(t, other, idle)
		if err := errors.Join(l.Recheck(r.cookie(r.A.FD())), express.Disable(other)); err != nil {
			t.Fatal(err)
		}
		r.carries(e)
	}
	if c := r.counters(); c.Learned != 2 || c.Forgotten != 0 {
		t.Errorf("the lane did %+v", c)
	}
}

// Without the lane everything goes on, on the slow path; and with it again.
func TestDisableLeavesTheSlowPath(t *testing.T) {
	each(t, idle, func(t *testing.T, r *rig) {
		e := r.carried()
		for range 2 {
			if err := express.Disable(r.instance); err != nil {
				t.Fatal(err)
			}
			packets, slow := r.packets(), r.slow()
			e.exchange(t)
			if got := r.packets() - packets; got > 0 {
				t.Errorf("%d packets took the lane although it is off", got)
			}
			if r.slow() < slow+4 {
				t.Error("the packets did not take the slow path")
			}
		}
		other := r.connect()
		other.exchange(t)
		r.lane = open(t, r.instance, idle)
		r.carries(e)
		r.carries(other)
	})
}

func TestDamageIsSeen(t *testing.T) {
	r := newRig(t, families[0], idle)
	e := r.carried()
	r.uncover()
	r.devices(func(h *netlink.Handle, l netlink.Link) {
		if covered, err := r.covers(h, l); covered || err != nil {
			t.Errorf("%s counts as covered without its qdisc: %v", l.Attrs().Name, err)
		}
	})
	before, slow := r.packets(), r.slow()
	e.exchange(t)
	if r.packets() != before || r.slow() == slow {
		t.Error("the packets did not take the slow path")
	}
	r.cover(r.lane)
	r.cover(r.lane) // the second time nothing changes
	r.carries(e)
	r.devices(func(h *netlink.Handle, l netlink.Link) {
		filters, err := h.FilterList(l, netlink.HANDLE_MIN_INGRESS)
		if err != nil || len(filters) != 1 {
			t.Errorf("%s has the filters %v, %v; want one", l.Attrs().Name, filters, err)
		}
	})
}

// Somebody else's filters stay when the lane comes.
func TestForeignFiltersStay(t *testing.T) {
	r := newSlowRig(t, families[0], idle)
	foreign, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "foreign", Type: ebpf.SchedCLS, License: "Apache-2.0",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, -1), asm.Return()}, // TC_ACT_UNSPEC
	})
	if err != nil {
		t.Fatal(err)
	}
	defer foreign.Close()
	hooks := []uint32{netlink.HANDLE_MIN_INGRESS, netlink.HANDLE_MIN_EGRESS}
	r.devices(func(h *netlink.Handle, l netlink.Link) {
		index := l.Attrs().Index
		err := h.QdiscAdd(clsact(index))
		for _, hook := range hooks {
			err = errors.Join(err, h.FilterAdd(&netlink.BpfFilter{
				FilterAttrs: netlink.FilterAttrs{LinkIndex: index, Parent: hook, Handle: 7, Priority: 7, Protocol: unix.ETH_P_ALL},
				Fd:          foreign.FD(), Name: "foreign", DirectAction: true,
			}))
		}
		if err != nil {
			t.Fatal(err)
		}
	})
	r.lane = open(t, r.instance, idle)
	r.cover(r.lane)
	r.carries(r.connect())
	r.devices(func(h *netlink.Handle, l netlink.Link) {
		for _, hook := range hooks {
			filters, err := h.FilterList(l, hook)
			if err != nil || !slices.ContainsFunc(filters, func(f netlink.Filter) bool { return f.Attrs().Handle == 7 }) {
				t.Errorf("%s has the filters %v, %v; want the foreign one among them", l.Attrs().Name, filters, err)
			}
		}
	})
}

func TestProbeLeavesNothing(t *testing.T) {
	r := newSlowRig(t, families[0], idle)
	r.lane = open(t, r.instance, idle)
	var index int
	r.devices(func(h *netlink.Handle, l netlink.Link) { index = l.Attrs().Index })
	if err := r.B.Run(func() error { return express.Probe(index) }); err != nil {
		t.Errorf("probe: %v", err)
	}
	r.devices(func(h *netlink.Handle, l netlink.Link) {
		list, err := h.QdiscList(l)
		for _, q := range list {
			if q.Type() == "clsact" || err != nil {
				t.Errorf("%s has %v, %v", l.Attrs().Name, q, err)
			}
		}
	})
}

// What was cut while the lane was off is not carried when it is on again.
func TestCutsWhileTheLaneIsOffHold(t *testing.T) {
	each(t, idle, func(t *testing.T, r *rig) {
		e := r.carried()
		if err := express.Disable(r.instance); err != nil {
			t.Fatal(err)
		}
		r.Remove(r.TableA, r.door)
		if n, err := flow.Cut(t.Context(), flow.Alone(r.A.FD()), []flow.Match{{Dest: r.endpoint}}, nil); err != nil || n != 1 {
			t.Fatalf("cut %d connections, %v; want 1", n, err)
		}
		r.lane = open(t, r.instance, idle)
		before, answers := r.packets(), r.Client.Tap(t)
		// A client that does not care about the reset.
		stubborn := testnet.Segment{From: e.local(t), To: netip.AddrPortFrom(r.endpoint, port), Flags: testnet.ACK | testnet.PSH, Hops: 64, Data: "on"}
		testnet.Send(t, r.Client.NS, stubborn)
		if _, ok := answers.Segment(lab.Patience, func(s testnet.Segment) bool { return s.To == stubborn.From && s.Flags&testnet.RST != 0 }); !ok {
			t.Error("a packet of a connection that was cut is not answered with a reset")
		}
		if got := r.packets() - before; got > 0 {
			t.Errorf("the lane of %d routers carried the packet", got)
		}
	})
}
