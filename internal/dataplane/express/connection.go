// SPDX-License-Identifier: Apache-2.0

package express

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"net/netip"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// Connection is one that the lane remembers in a router. A connection between two
// VPCs is one in each of their routers.
type Connection struct {
	// Router is the cookie of the namespace of the router.
	Router uint64
	// Opener has opened the connection, to Asked, as it comes into the router.
	Opener, Asked netip.AddrPort
	// Answerer is where its packets go on to, and Known is as whom.
	Answerer, Known netip.AddrPort
	// Sent and Answered are what the lane has carried of each direction: from the
	// opener, and to it. What took the slow path is not in it.
	Sent, Answered Traffic
	// Closed says that both ends have closed.
	Closed bool
}

// hop is struct flow of express.c.
type hop struct {
	Router       uint64
	Device       uint32
	Sport, Dport [2]byte
	Source, Dest [16]byte
}

// way is struct way of express.c.
type way struct {
	Source, Dest   [16]byte
	Sport, Dport   [2]byte
	Device         uint32
	_              [12]byte
	_              uint32
	_              uint16
	Family         uint8
	Reply          uint8
	_, _           uint32
	_              uint32
	_              uint64
	Packets, Bytes uint64
	_, _           uint32
	Closed         uint8
	_              [7]uint8
}

// Connections gives the connections that the lane remembers, each with both
// directions. Those that come and go meanwhile may be missing. What is remembered
// of a connection goes when it has ended, when it has no packets for long, and when
// others need the room.
func (l *Lane) Connections() iter.Seq2[Connection, error] {
	return func(yield func(Connection, error) bool) {
		const batch = 4096
		flows, cursor := l.maps["flows"], new(ebpf.MapBatchCursor)
		keys, values := make([]hop, batch), make([]way, batch)
		for {
			n, err := flows.BatchLookup(cursor, keys, values, nil)
			last := errors.Is(err, ebpf.ErrKeyNotExist)
			if err != nil && !last {
				yield(Connection{}, fmt.Errorf("read connections of the express lane: %w", err))
				return
			}
			for i := range n {
				if c, ok := l.connection(keys[i], values[i]); ok && !yield(c, nil) {
					return
				}
			}
			if last {
				return
			}
		}
	}
}

// connection makes one of a direction and the other one, which may be missing. The
// direction of the answers is left to the other one, and so is one that takes the
// slow path.
func (l *Lane) connection(f hop, w way) (c Connection, ok bool) {
	if w.Device == 0 {
		return c, false
	}
	var other way
	back := hop{Router: f.Router, Device: w.Device, Sport: w.Dport, Dport: w.Sport, Source: w.Dest, Dest: w.Source}
	both := l.maps["flows"].Lookup(back, &other) == nil && other.Reply != w.Reply
	if w.Reply != 0 && both {
		return c, false
	}
	c = Connection{Router: f.Router, Closed: w.Closed != 0}
	from, to := addrPort(w.Family, f.Source, f.Sport), addrPort(w.Family, f.Dest, f.Dport)
	onFrom, onTo := addrPort(w.Family, w.Source, w.Sport), addrPort(w.Family, w.Dest, w.Dport)
	if w.Reply != 0 {
		c.Answerer, c.Known, c.Asked, c.Opener = from, to, onFrom, onTo
		c.Answered = Traffic{w.Packets, w.Bytes}
		return c, true
	}
	c.Opener, c.Asked, c.Known, c.Answerer = from, to, onFrom, onTo
	c.Sent, c.Answered = Traffic{w.Packets, w.Bytes}, Traffic{other.Packets, other.Bytes}
	return c, true
}

func addrPort(family uint8, address [16]byte, port [2]byte) netip.AddrPort {
	a := netip.AddrFrom16(address)
	if family == unix.AF_INET {
		a = netip.AddrFrom4([4]byte(address[:4]))
	}
	return netip.AddrPortFrom(a, binary.BigEndian.Uint16(port[:]))
}
