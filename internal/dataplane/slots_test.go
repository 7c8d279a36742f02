// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/test/testnet"
)

// spread gives the server so many addresses more, beside its own, all of which tell
// who connects by which of them they were reached, and then echo.
func (s *scenario) spread(n int) (all []netip.Addr) {
	_, port, _ := net.SplitHostPort(s.endpoint)
	return s.spreadAt(n, port)
}

// spreadAt is spread with the server at another port.
func (s *scenario) spreadAt(n int, port string) (all []netip.Addr) {
	s.t.Helper()
	w := s.entry(provider, desired.KindWorkload).(desired.Workload)
	own := w.Addresses[0]
	entries := []desired.Entry{}
	w.Addresses = slices.Clone(w.Addresses)
	for a := own.Addr(); len(all) < n; {
		a = a.Next()
		all = append(all, a)
		w.Addresses = append(w.Addresses, netip.PrefixFrom(a, own.Bits()))
		entries = append(entries, desired.Address{VPC: provider, Addr: a, Class: "c-open"})
	}
	entries = append(entries, w)
	s.put(provider, entries)
	l, err := s.server.Listen(s.network, net.JoinHostPort("", port))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				fmt.Fprintln(conn, conn.LocalAddr().(*net.TCPAddr).IP)
				_, err := io.Copy(conn, conn)
				s.ends.Store(conn.RemoteAddr().String(), err)
			}()
		}
	}()
	return all
}

// leadTo makes the target lead to these addresses, and sees that it is read back so.
func (s *scenario) leadTo(cut bool, to ...netip.Addr) {
	s.t.Helper()
	t := s.entry(provider, desired.KindTarget).(desired.Target)
	t.Dest, t.Several, t.Cut = netip.Addr{}, to, cut
	s.put(provider, []desired.Entry{t})
	if !strings.Contains(s.dump(provider), t.String()+"\n") {
		s.t.Errorf("the router has\n%swithout %s", s.dump(provider), t)
	}
}

// reach opens a connection, and tells where it ended up.
func (s *scenario) reach() (net.Conn, netip.Addr, error) {
	ctx, cancel := context.WithTimeout(s.t.Context(), testnet.Patience)
	defer cancel()
	conn, err := s.client.Dial(ctx, s.network, s.endpoint)
	if err != nil {
		return nil, netip.Addr{}, err
	}
	conn.SetReadDeadline(time.Now().Add(testnet.Patience))
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		conn.Close()
		return nil, netip.Addr{}, err
	}
	a, err := netip.ParseAddr(strings.TrimSpace(line))
	return conn, a, err
}

// reached counts where so many connections end up.
func (s *scenario) reached(connections int) map[netip.Addr]int {
	s.t.Helper()
	found := map[netip.Addr]int{}
	for range connections {
		conn, a, err := s.reach()
		if err != nil {
			s.t.Fatal(err)
		}
		conn.Close()
		found[a]++
	}
	return found
}

// New connections are spread over the addresses of a target: evenly, and an address
// that is named several times gets so many times as many.
func TestConnectionsAreSpreadOverAddresses(t *testing.T) {
	each(t, func(s *scenario) {
		s.apply()
		all := s.spread(desired.Slots)
		const connections = 240
		for _, c := range []struct {
			to          []netip.Addr
			least, most int // connections of the first address: expected, and five standard deviations beside
		}{
			{all[:1], connections, connections},
			{all[:3], 90 - 38, 90 + 38}, // 6 of 16 slots
			{[]netip.Addr{all[0], all[0], all[0], all[1]}, 180 - 34, 180 + 34},
			{all, 1, 15 + 20},
		} {
			s.leadTo(false, c.to...)
			found := s.reached(connections)
			for a := range found {
				if !slices.Contains(c.to, a) {
					s.t.Errorf("%d addresses: connections end up at %s", len(c.to), a)
				}
			}
			if n := found[c.to[0]]; n < c.least || n > c.most {
				s.t.Errorf("%d addresses: %d of %d connections end up at the first one", len(c.to), n, connections)
			}
			for _, a := range c.to {
				if found[a] == 0 {
					s.t.Errorf("%d addresses: no connection ends up at %s", len(c.to), a)
				}
			}
		}
		// One address is kept as before there were slots, however it is given.
		s.leadTo(false, all[0], all[0])
		s.checkSingle(all[0])
	})
}

// checkSingle sees that the target reads as one that leads to a single address.
func (s *scenario) checkSingle(to netip.Addr) {
	s.t.Helper()
	t := s.entry(provider, desired.KindTarget).(desired.Target)
	t.Dest, t.Several = to, nil
	if !strings.Contains(s.dump(provider), t.String()+"\n") {
		s.t.Errorf("the router has\n%swithout %s", s.dump(provider), t)
	}
}

// Addresses are exchanged under load: every new connection succeeds, and those that
// are open stay.
func TestAddressesAreExchangedUnderLoad(t *testing.T) {
	each(t, func(s *scenario) {
		s.apply()
		all := s.spread(6)
		s.leadTo(false, all[:3]...)
		var kept []net.Conn
		for range 9 {
			conn, _, err := s.reach()
			if err != nil {
				s.t.Fatal(err)
			}
			defer conn.Close()
			kept = append(kept, conn)
		}
		stop := make(chan struct{})
		var load sync.WaitGroup
		for range 3 {
			load.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					conn, _, err := s.reach()
					if err != nil {
						s.t.Errorf("while addresses are exchanged: %v", err)
						return
					}
					conn.Close()
				}
			})
		}
		for i := range 30 {
			now := slices.Clone(all[:3])
			now[i%3] = all[3+i%3]
			s.leadTo(false, now...)
			s.leadTo(false, all[i%6]) // back to a single one in between
		}
		s.leadTo(false, all[3:]...)
		close(stop)
		load.Wait()
		for a := range s.reached(48) {
			if !slices.Contains(all[3:], a) {
				s.t.Errorf("a connection ends up at %s, which is not there any more", a)
			}
		}
		for _, conn := range kept {
			s.echoed(conn)
		}
	})
}

// echoed checks that an open connection goes on.
func (s *scenario) echoed(conn net.Conn) {
	s.t.Helper()
	conn.SetDeadline(time.Now().Add(testnet.Patience))
	if _, err := conn.Write([]byte("z")); err != nil {
		s.t.Errorf("a connection that was open: %v", err)
	} else if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
		s.t.Errorf("a connection that was open: %v", err)
	}
}

// connectedTo opens a connection to each of the addresses, by chance.
func (s *scenario) connectedTo(all []netip.Addr) map[netip.Addr]net.Conn {
	s.t.Helper()
	found := map[netip.Addr]net.Conn{}
	for range 500 {
		if len(found) == len(all) {
			break
		}
		conn, a, err := s.reach()
		if err != nil {
			s.t.Fatal(err)
		}
		if found[a] != nil {
			conn.Close()
			continue
		}
		found[a] = conn
		s.t.Cleanup(func() { conn.Close() })
	}
	for range 3 { // into the lane
		for _, conn := range found {
			s.echoed(conn)
		}
	}
	return found
}

// A target that says so cuts the connections to an address that it leads to no more,
// at both ends, and no others; one that does not cuts nothing.
func TestATargetCutsWhatItLeadsToNoMore(t *testing.T) {
	each(t, func(s *scenario) {
		s.apply()
		all := s.spread(5)
		for _, cut := range []bool{false, true} {
			s.leadTo(cut, all[:3]...)
			open := s.connectedTo(all[:3])
			own := open[all[0]].LocalAddr()
			s.leadTo(cut, all[3], all[1], all[2])
			for a, conn := range open {
				if cut && a == all[0] {
					s.expectReset(fmt.Sprintf("the client of %v", own), conn)
					continue
				}
				s.echoed(conn)
			}
			if cut {
				s.serverReset()
			}
			s.leadTo(cut, all[4]) // and away with the others
			for a, conn := range open {
				switch {
				case !cut:
					s.echoed(conn)
				case a != all[0]:
					s.expectReset("the client", conn)
				}
			}
		}
	})
}

// serverReset wants an end of the server's to have been told of a reset.
func (s *scenario) serverReset() {
	s.t.Helper()
	for deadline := time.Now().Add(testnet.Patience); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		found := false
		s.ends.Range(func(_, err any) bool {
			failed, _ := err.(error)
			found = found || failed != nil && strings.Contains(failed.Error(), "reset")
			return !found
		})
		if found {
			return
		}
	}
	s.t.Error("no end at the server is told of a reset")
}

// A process that ended between exchanging an address and cutting leaves it to the
// next one; without being told to cut, that one cuts nothing either.
func TestTheNextProcessCutsForATarget(t *testing.T) {
	each(t, func(s *scenario) {
		s.apply()
		all := s.spread(4)
		for _, cut := range []bool{false, true} {
			s.leadTo(cut, all[:3]...)
			open := s.connectedTo(all[:3])
			s.host.Close()
			e := s.entry(provider, desired.KindTarget).(desired.Target)
			e.Dest, e.Several, e.Cut = netip.Addr{}, []netip.Addr{all[3], all[1], all[2]}, cut
			s.inTable(e)
			s.adopt()
			for a, conn := range open {
				if cut && a == all[0] {
					s.expectReset("the client", conn)
				} else {
					s.echoed(conn)
				}
			}
		}
	})
}
