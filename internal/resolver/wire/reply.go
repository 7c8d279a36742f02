// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"encoding/binary"
	"fmt"

	"github.com/miekg/dns"
)

// Record is a record with a name of its own, as an upstream gave it. Nothing in it is
// compressed.
type Record struct {
	// Name is the owner in wire form.
	Name []byte
	Type uint16
	TTL  uint32
	Data []byte
}

// Reply is what an upstream said, or what is answered without one.
type Reply struct {
	Code      int
	Answer    []Record
	Authority []Record
	// Cut says that the answer was truncated.
	Cut bool
	// Problem is why there is no answer, where that is known: nobody puts it on the wire.
	Problem error
}

// Unpack reads an answer, which can be anybody's.
func Unpack(packet []byte) (Reply, error) {
	var m dns.Msg
	if err := m.Unpack(packet); err != nil {
		return Reply{}, fmt.Errorf("read answer: %w", err)
	}
	reply := Reply{Code: m.Rcode, Cut: m.Truncated}
	for _, section := range []struct {
		from []dns.RR
		to   *[]Record
	}{{m.Answer, &reply.Answer}, {m.Ns, &reply.Authority}} {
		for _, rr := range section.from {
			r, err := RecordOf(rr)
			if err != nil {
				return Reply{}, fmt.Errorf("read answer: %w", err)
			}
			*section.to = append(*section.to, r)
		}
	}
	return reply, nil
}

// RecordOf gives the wire form of a record of package dns.
func RecordOf(rr dns.RR) (Record, error) {
	b := make([]byte, dns.Len(rr)+maxName)
	n, err := dns.PackRR(rr, b, 0, nil, false)
	if err != nil {
		return Record{}, fmt.Errorf("record of type %s: %w", dns.TypeToString[rr.Header().Rrtype], err)
	}
	owner := skipName(b[:n])
	if owner == 0 || n < owner+DataAt-2 {
		return Record{}, fmt.Errorf("record of type %s has no header", dns.TypeToString[rr.Header().Rrtype])
	}
	name := make([]byte, owner)
	for i, c := range b[:owner] {
		name[i] = small[c]
	}
	return Record{
		Name: name, Type: binary.BigEndian.Uint16(b[owner:]), TTL: binary.BigEndian.Uint32(b[owner+4:]),
		Data: b[owner+DataAt-2 : n : n],
	}, nil
}
