// SPDX-License-Identifier: Apache-2.0

package wire

import "encoding/binary"

// AtQuestion is what the owner of a record is in an answer to a question for its
// name: a pointer to where the question is (RFC 1035 §4.1.4). Records that Append
// takes begin so.
const AtQuestion = 0xc000 | headerSize

// DataAt is how much of such a record comes before its data: owner, type, class, TTL
// and length.
const DataAt = 12

// AppendRecord appends a record in the form that Append takes.
func AppendRecord(b []byte, kind uint16, ttl uint32, data []byte) []byte {
	b = append(b, AtQuestion>>8, AtQuestion&0xff)
	b = binary.BigEndian.AppendUint16(b, kind)
	b = binary.BigEndian.AppendUint16(b, ClassIN)
	b = binary.BigEndian.AppendUint32(b, ttl)
	b = binary.BigEndian.AppendUint16(b, uint16(len(data)))
	return append(b, data...)
}

// RecordLen is how long the first of some records in the form of Append is.
func RecordLen(records []byte) int { return DataAt + int(binary.BigEndian.Uint16(records[10:])) }

// Answer is an answer that is put together, section after section. The zero Answer is
// ready for Begin, and may be reused.
type Answer struct {
	// Authoritative sets the bit AA and takes RA away: the answer is that of a server
	// which answers for its own names only.
	Authoritative bool

	msg       []byte
	start     int // of the message in msg
	limit     int // what msg may grow to, with room left for OPT
	q         *Question
	owner     uint16 // of the records that come next
	answers   uint16
	authority uint16
	cut       bool
}

// Begin begins an answer behind what is in buffer. Over a stream it may be longer than
// the question says.
func (a *Answer) Begin(buffer []byte, q *Question, stream bool) {
	a.q, a.start, a.owner, a.answers, a.authority, a.cut = q, len(buffer), AtQuestion, 0, 0, false
	size := q.Size
	if stream {
		size = streamSize
	}
	a.limit = a.start + size
	if q.Extended {
		a.limit -= optSize
	}
	a.msg = append(buffer, make([]byte, headerSize)...)
	a.msg = append(a.msg, q.asked...)
}

// Owner moves the owner of the next records to the name that is the data of the record
// which was appended last, a CNAME.
func (a *Answer) Owner(last []byte) {
	if at := len(a.msg) - a.start - len(last) + DataAt; at < 0x4000 {
		a.owner = 0xc000 | uint16(at)
	}
}

// Append appends a record to the answers. It reports false, and marks the answer as
// truncated, when there is no room.
func (a *Answer) Append(record []byte) bool {
	if !a.room(len(record)) {
		return false
	}
	at := len(a.msg)
	a.msg = append(a.msg, record...)
	binary.BigEndian.PutUint16(a.msg[at:], a.owner)
	a.answers++
	return true
}

// AppendOf appends a record of a name of its own, given in wire form, to the answers,
// or to what is said about authority.
func (a *Answer) AppendOf(name, record []byte, authority bool) bool {
	if !a.room(len(name) + len(record) - 2) {
		return false
	}
	a.msg = append(append(a.msg, name...), record[2:]...)
	if authority {
		a.authority++
	} else {
		a.answers++
	}
	return true
}

func (a *Answer) room(n int) bool {
	a.cut = a.cut || len(a.msg)+n > a.limit
	return !a.cut
}

// Empty reports whether there are no answers.
func (a *Answer) Empty() bool { return a.answers == 0 && !a.cut }

// Cut marks the answer as truncated: who asked is to ask over TCP.
func (a *Answer) Cut() { a.cut = true }

// Rewind takes away all records.
func (a *Answer) Rewind() {
	a.msg = a.msg[:a.start+headerSize+len(a.q.asked)]
	a.owner, a.answers, a.authority, a.cut = AtQuestion, 0, 0, false
}

// End finishes the answer with a code, and gives the buffer with it.
func (a *Answer) End(code int) []byte {
	flags := uint16(bitQR|bitRA) | a.q.opcode | uint16(code&0xf)
	if a.Authoritative {
		flags &^= bitRA
	}
	if a.Authoritative && (code == NoError || code == NameError) {
		flags |= bitAA
	}
	if a.q.Recurse {
		flags |= bitRD
	}
	if a.q.Unchecked {
		flags |= bitCD
	}
	if a.cut {
		flags |= bitTC
	}
	more := uint16(0)
	if a.q.Extended {
		more = 1
		a.msg = append(a.msg, 0, 0, TypeOPT, udpSize>>8, udpSize&0xff, byte(code>>4), 0, 0, 0, 0, 0)
		if a.q.Signed {
			a.msg[len(a.msg)-4] = 0x80
		}
	}
	header := a.msg[a.start:]
	binary.BigEndian.PutUint16(header, a.q.ID)
	binary.BigEndian.PutUint16(header[2:], flags)
	if len(a.q.asked) > 0 {
		header[5] = 1
	}
	binary.BigEndian.PutUint16(header[6:], a.answers)
	binary.BigEndian.PutUint16(header[8:], a.authority)
	binary.BigEndian.PutUint16(header[10:], more)
	return a.msg
}
