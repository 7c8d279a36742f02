// SPDX-License-Identifier: Apache-2.0

package wire

import "encoding/binary"

// Fate is what is to be done with a packet.
type Fate uint8

// The fates of packets.
const (
	// Dropped is for what deserves no answer: too short to have one, or an answer
	// itself.
	Dropped Fate = iota
	// Faulty packets are answered with the Code of their question, and nothing else.
	Faulty
	// Asked is for a question.
	Asked
)

// Question is a question as it was read. It is reused for packet after packet and
// must not be copied: Name lies in it.
type Question struct {
	ID uint16
	// Name is what is asked for, in wire form and small letters.
	Name []byte
	Type uint16
	// Class is IN when the packet is Asked.
	Class uint16
	// Recurse, Unchecked and Signed are the bits RD, CD and DO.
	Recurse, Unchecked, Signed bool
	// Extended says that there was an OPT record (RFC 6891), and Size what it said of
	// the size of an answer.
	Extended bool
	Size     int
	// Code is what a Faulty packet is answered with.
	Code int

	opcode uint16
	asked  []byte // the question as it was sent, in the packet; nil when there is none
	space  [maxName]byte
}

// Read reads a packet. What it gives refers to the packet, until the next call.
func (q *Question) Read(packet []byte) Fate {
	if len(packet) < headerSize {
		return Dropped
	}
	flags := binary.BigEndian.Uint16(packet[2:])
	if flags&bitQR != 0 {
		return Dropped
	}
	q.ID, q.opcode, q.asked, q.Name = binary.BigEndian.Uint16(packet), flags&opcodeMask, nil, nil
	q.Recurse, q.Unchecked, q.Signed, q.Extended, q.Size = flags&bitRD != 0, flags&bitCD != 0, false, false, plainSize
	if q.opcode != 0 {
		return q.fault(NotImplemented)
	}
	if binary.BigEndian.Uint16(packet[4:]) != 1 { // RFC 9619
		return q.fault(FormatError)
	}
	at := q.readName(packet)
	if at == 0 || len(packet) < at+4 {
		return q.fault(FormatError)
	}
	q.Type, q.Class = binary.BigEndian.Uint16(packet[at:]), binary.BigEndian.Uint16(packet[at+2:])
	q.asked = packet[headerSize : at+4]
	if q.Type >= 249 && q.Type < TypeANY { // keys, signatures and transfers
		return q.fault(Refused)
	}
	if q.Type == TypeOPT || binary.BigEndian.Uint32(packet[6:]) != 0 { // records as answers in a question
		return q.fault(FormatError)
	}
	if more := int(binary.BigEndian.Uint16(packet[10:])); more > 0 {
		if code := q.readMore(packet[at+4:], more); code != NoError {
			return q.fault(code)
		}
	}
	if q.Class != ClassIN {
		return q.fault(Refused)
	}
	return Asked
}

func (q *Question) fault(code int) Fate {
	q.Code = code
	return Faulty
}

// readName reads the name of the question and returns where it ends, or zero when it
// is none. Nothing is before it that it could point to.
func (q *Question) readName(packet []byte) (end int) {
	at := headerSize
	for at < len(packet) {
		n := int(packet[at])
		end = at + n + 1
		if n > maxLabel || end-headerSize > maxName || end > len(packet) {
			return 0
		}
		if n == 0 {
			q.Name = q.space[:end-headerSize]
			for i, c := range packet[headerSize:end] {
				q.Name[i] = small[c] // a length is no letter: it is below 64
			}
			return end
		}
		at = end
	}
	return 0
}

// readMore reads the additional records, of which only OPT says something.
func (q *Question) readMore(b []byte, records int) (code int) {
	for range records {
		n := skipName(b)
		if n == 0 || len(b) < n+10 {
			return FormatError
		}
		kind, size, ttl := binary.BigEndian.Uint16(b[n:]), binary.BigEndian.Uint16(b[n+2:]), binary.BigEndian.Uint32(b[n+4:])
		end := n + 10 + int(binary.BigEndian.Uint16(b[n+8:]))
		if end > len(b) {
			return FormatError
		}
		b = b[end:]
		if kind != TypeOPT {
			continue
		}
		if q.Extended || n != 1 { // one at most, and the root's (RFC 6891 §6.1)
			return FormatError
		}
		q.Extended, q.Size, q.Signed = true, min(max(int(size), plainSize), udpSize), ttl&(1<<15) != 0
		if ttl>>16&0xff != 0 && code == NoError {
			code = BadVersion
		}
	}
	return code
}

// skipName returns how long the name at the beginning is, or zero when it is none.
// It does not follow pointers, so it cannot loop.
func skipName(b []byte) int {
	for at := 0; at < len(b) && at < maxName; {
		switch n := int(b[at]); {
		case n == 0:
			return at + 1
		case n >= 0xc0:
			return at + 2
		case n > maxLabel:
			return 0
		default:
			at += n + 1
		}
	}
	return 0
}

// AppendQuestion appends a packet that asks for a name in wire form, as a client does.
func AppendQuestion(b []byte, id uint16, name []byte, kind uint16) []byte {
	b = binary.BigEndian.AppendUint16(b, id)
	b = append(b, bitRD>>8, 0, 0, 1, 0, 0, 0, 0, 0, 1)
	b = append(b, name...)
	b = binary.BigEndian.AppendUint16(b, kind)
	b = append(b, 0, ClassIN, 0, 0, TypeOPT)
	b = binary.BigEndian.AppendUint16(b, udpSize)
	return append(b, 0, 0, 0, 0, 0, 0)
}
