// SPDX-License-Identifier: Apache-2.0

package flow

import (
	"bytes"
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/dataplane/nft/nfnl"
)

// Messages and attributes of linux/netfilter/nfnetlink_conntrack.h.
const (
	messageGet      = 1
	messageDelete   = 2
	messageGetStats = 5

	attrStatsEntries = 1

	attrOriginal = 1
	attrReply    = 2
	attrID       = 12
	attrFilter   = 25

	attrFilterOriginal = 1
	attrFilterReply    = 2
	filterIPDest       = 1 << 1

	attrTupleIP       = 1
	attrTupleProtocol = 2

	attrIP4Source = 1
	attrIP4Dest   = 2
	attrIP6Source = 3
	attrIP6Dest   = 4

	attrProtocolNumber = 1
	attrSourcePort     = 2
	attrDestPort       = 3
)

// tuple is one direction of a flow, as its packets look in that direction.
type tuple struct {
	protocol     byte
	source, dest netip.AddrPort
}

// tracked is an entry of the table of connections.
type tracked struct {
	family          uint8
	original, reply tuple
	// key and id name the entry to the kernel: its original tuple as it gave
	// it, and a number that a later entry of the same tuple does not have.
	key, id []byte
	// before and behind say that the connection is cut, too, in the router that
	// it comes from or goes on to: the end on that side is woken there.
	before, behind bool
}

// back is the tuple of the packets that answer.
func (t tuple) back() tuple { return tuple{t.protocol, t.dest, t.source} }

// parseTuple reads a tuple; it is false for what is not an IP flow.
func parseTuple(data []byte) (tuple, bool) {
	var t tuple
	var source, dest netip.Addr
	for typ, value := range nfnl.Attributes(nfnl.Attribute(data, attrTupleIP)) {
		switch typ {
		case attrIP4Source, attrIP6Source:
			source, _ = netip.AddrFromSlice(value)
		case attrIP4Dest, attrIP6Dest:
			dest, _ = netip.AddrFromSlice(value)
		}
	}
	var ports [2]uint16
	for typ, value := range nfnl.Attributes(nfnl.Attribute(data, attrTupleProtocol)) {
		switch {
		case typ == attrProtocolNumber && len(value) == 1:
			t.protocol = value[0]
		case (typ == attrSourcePort || typ == attrDestPort) && len(value) == 2:
			ports[typ-attrSourcePort] = binary.BigEndian.Uint16(value)
		}
	}
	t.source = netip.AddrPortFrom(source, ports[0])
	t.dest = netip.AddrPortFrom(dest, ports[1])
	return t, source.IsValid() && dest.IsValid()
}

func parseTracked(family uint8, original, reply tuple, attributes []byte) *tracked {
	return &tracked{
		family: family, original: original, reply: reply,
		key: bytes.Clone(nfnl.Attribute(attributes, attrOriginal)),
		id:  bytes.Clone(nfnl.Attribute(attributes, attrID)),
	}
}

func (f *tracked) appendDelete(b *nfnl.Builder) {
	b.Message(unix.NFNL_SUBSYS_CTNETLINK, messageDelete, 0, f.family)
	b.Nest(attrOriginal, func() { b.Raw(f.key) })
	if len(f.id) > 0 {
		b.Bytes(attrID, f.id)
	}
}

// appendGetByDest asks the kernel for the flows that were opened to an IPv4
// address only, which spares it describing all others. A kernel before Linux
// 5.8 describes them all the same.
func appendGetByDest(b *nfnl.Builder, dest netip.Addr) {
	b.Message(unix.NFNL_SUBSYS_CTNETLINK, messageGet, 0, unix.AF_INET)
	b.Nest(attrOriginal, func() {
		b.Nest(attrTupleIP, func() { b.Bytes(attrIP4Dest, dest.AsSlice()) })
	})
	b.Nest(attrFilter, func() { // flags in the machine's byte order
		b.Bytes(attrFilterOriginal, binary.NativeEndian.AppendUint32(nil, filterIPDest))
		b.Bytes(attrFilterReply, binary.NativeEndian.AppendUint32(nil, 0))
	})
}
