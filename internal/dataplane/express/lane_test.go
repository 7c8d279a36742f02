// SPDX-License-Identifier: Apache-2.0

package express_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/test/lab"
	"github.com/posternhq/postern/test/testnet"
)

// express.o is compiled by hand: the sum of its source tells whether somebody
// has forgotten it.
func TestProgramIsThatOfItsSource(t *testing.T) {
	sum := sha256.New()
	for _, name := range []string{"express.c", "answers.h", "edge.h", "kernel.h"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		sum.Write(text)
	}
	want, err := os.ReadFile("express.sum")
	if err != nil {
		t.Fatal(err)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != strings.TrimSpace(string(want)) {
		t.Error("express.o is not compiled from this express.c, answers.h and kernel.h: run `make express`")
	}
}

func TestEstablishedConnectionsTakeTheLane(t *testing.T) {
	each(t, idle, func(t *testing.T, r *rig) {
		e := r.connect()
		// Only the last packet of the handshake, which admits nothing.
		if c := r.counters(); c.Packets != 2 || c.Learned != 2 {
			t.Errorf("after the handshake: %+v", c)
		}
		before := r.slow()
		const rounds = 200
		for range rounds {
			e.exchange(t)
		}
		// Each round is a packet each way, perhaps with an acknowledgement, and
		// each packet goes through two routers.
		c := r.counters()
		c.Packets -= 2
		if c.Packets < 4*rounds || c.Packets > 8*rounds {
			t.Errorf("%d packets took the lane in %d rounds", c.Packets, rounds)
		}
		if c.Learned != 2 || c.Forgotten != 0 {
			t.Errorf("remembered %d times, want once in each router; forgotten %d times", c.Learned, c.Forgotten)
		}
		if slow := r.slow() - before; slow > 0 {
			t.Errorf("%d packets took the slow path", slow)
		}
	})
}

func TestMuchDataArrivesAsItWasSent(t *testing.T) {
	for _, offload := range []bool{true, false} {
		for _, f := range families {
			t.Run(fmt.Sprintf("%s, offload %v", f.name, offload), func(t *testing.T) {
				r := newRig(t, f, idle)
				if !offload {
					checksumsByHand(t, r.Client, r.Server)
				}
				e := r.carried()
				slow, packets := r.slow(), r.packets()
				const size = 64 << 20
				up, down := transfer(e.client, e.server, size, 1), transfer(e.server, e.client, size, 2)
				for name, done := range map[string]<-chan error{"client to server": up, "server to client": down} {
					if err := <-done; err != nil {
						t.Errorf("%s: %v", name, err)
					}
				}
				if slow = r.slow() - slow; slow > 0 {
					t.Errorf("%d packets took the slow path", slow)
				}
				// Without offload each packet carries at most one link's MTU.
				packets = r.packets() - packets
				if least := 2 * 2 * size / 8500; !offload && packets < least {
					t.Errorf("%d packets took the lane, want at least %d", packets, least)
				}
				for _, n := range []*lab.Namespace{r.Client, r.Server} {
					if bad := badChecksums(t, n); bad > 0 {
						t.Errorf("%d packets arrived with a wrong checksum", bad)
					}
				}
				t.Logf("%d packets", packets)
			})
		}
	}
}

// Clients that use the same port are told apart by a router that gives one of
// them another.
func TestTranslatedPortsTakeTheLane(t *testing.T) {
	each(t, idle, func(t *testing.T, r *rig) {
		checksumsByHand(t, r.Client, r.Near, r.Server)
		const source = 40000
		list := []ends{r.connectFrom(r.Client, source), r.connectFrom(r.Near, source)}
		if list[0].server.RemoteAddr().String() == list[1].server.RemoteAddr().String() {
			t.Fatal("the server cannot tell the clients apart")
		}
		translated := 0
		for _, e := range list {
			if e.server.RemoteAddr().(*net.TCPAddr).Port != source {
				translated++
			}
			r.carries(e)
			for _, done := range []<-chan error{transfer(e.client, e.server, 1<<20, 1), transfer(e.server, e.client, 1<<20, 2)} {
				if err := <-done; err != nil {
					t.Error(err)
				}
			}
		}
		if translated != 1 {
			t.Errorf("the ports of %d clients are translated, want 1", translated)
		}
		for _, n := range []*lab.Namespace{r.Client, r.Near, r.Server} {
			if bad := badChecksums(t, n); bad > 0 {
				t.Errorf("%d packets arrived with a wrong checksum", bad)
			}
		}
	})
}

// transfer sends random data one way and compares what arrives.
func transfer(from, to net.Conn, size int64, seed byte) <-chan error {
	deadline := time.Now().Add(lab.Patience)
	from.SetWriteDeadline(deadline)
	to.SetReadDeadline(deadline)
	sent, received := sha256.New(), sha256.New()
	wrote, done := make(chan error, 1), make(chan error, 1)
	go func() {
		source := rand.NewChaCha8([32]byte{seed})
		buffer := make([]byte, 128<<10)
		for left := size; left > 0; left -= int64(len(buffer)) {
			buffer = buffer[:min(left, int64(len(buffer)))]
			source.Read(buffer)
			sent.Write(buffer)
			if _, err := from.Write(buffer); err != nil {
				wrote <- err
				return
			}
		}
		wrote <- nil
	}()
	go func() {
		_, err := io.CopyN(received, struct{ io.Reader }{to}, size)
		err = errors.Join(err, <-wrote)
		if err == nil && [32]byte(sent.Sum(nil)) != [32]byte(received.Sum(nil)) {
			err = errors.New("what arrived is not what was sent")
		}
		done <- err
	}()
	return done
}

// The counter that the tests rely on does count, and the lane does not make a
// wrong checksum right.
func TestWrongChecksumsStayWrong(t *testing.T) {
	each(t, idle, func(t *testing.T, r *rig) {
		e := r.carried()
		before := r.packets()
		testnet.Send(t, r.Client.NS, testnet.Segment{
			From: e.local(t), To: netip.AddrPortFrom(r.endpoint, port), Flags: testnet.ACK | testnet.PSH, Hops: 64,
			Data: "forged", Spoiled: true,
		})
		eventually(t, "the server refuses the packet for its checksum", func() bool { return badChecksums(t, r.Server) == 1 })
		if got := r.packets() - before; got != 2 {
			t.Errorf("the packet took the lane of %d routers, want 2", got)
		}
		r.carries(e)
	})
}

func badChecksums(t testing.TB, n *lab.Namespace) int {
	t.Helper()
	return statistic(t, n, "snmp", "Tcp:", "InCsumErrors")
}

// checksumsByHand makes the kernel work out checksums and segments itself, so
// that the receiver checks them (ETHTOOL_STXCSUM of linux/ethtool.h).
func checksumsByHand(t testing.TB, list ...*lab.Namespace) {
	t.Helper()
	for _, n := range list {
		err := n.Run(func() error {
			fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				return err
			}
			defer unix.Close(fd)
			for _, feature := range []uint32{unix.ETHTOOL_STSO, unix.ETHTOOL_SGSO, unix.ETHTOOL_STXCSUM} {
				value := &struct{ command, on uint32 }{feature, 0}
				request := struct {
					name [unix.IFNAMSIZ]byte
					data unsafe.Pointer
					_    [16]byte
				}{data: unsafe.Pointer(value)}
				copy(request.name[:], "eth0")
				_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request)))
				runtime.KeepAlive(value)
				if errno != 0 {
					return errno
				}
			}
			return nil
		})
		if err != nil {
			t.Fatalf("switch offload off: %v", err)
		}
	}
}

// What rules have to judge is judged by rules.
func TestOnlyEstablishedConnectionsTakeTheLane(t *testing.T) {
	each(t, idle, func(t *testing.T, r *rig) {
		r.OpenPort(7001) // where nothing listens
		for _, port := range []uint16{7001, 7002} {
			_, err := r.Client.Dial("tcp", netip.AddrPortFrom(r.endpoint, port).String(), nil, lab.Patience)
			if !errors.Is(err, unix.ECONNREFUSED) {
				t.Errorf("connect to port %d: %v, want a refusal", port, err)
			}
		}
		r.OpenPort(port)
		answers := r.Client.Tap(t)
		stray := testnet.Segment{
			From: netip.AddrPortFrom(r.client, 40000), To: netip.AddrPortFrom(r.endpoint, 5432),
			Flags: testnet.ACK | testnet.PSH, Hops: 64, Sequence: 1000, Answer: 2000, Data: "stray",
		}
		testnet.Send(t, r.Client.NS, stray)
		_, ok := answers.Segment(lab.Patience, func(s testnet.Segment) bool { return s.To == stray.From && s.Flags&testnet.RST != 0 })
		if !ok {
			t.Error("a packet of no connection is not answered with a reset")
		}
		if c := r.counters(); c.Packets != 0 || c.Learned != 0 {
			t.Errorf("the lane took part: %+v", c)
		}
	})
}
