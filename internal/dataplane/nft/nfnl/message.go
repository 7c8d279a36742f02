// SPDX-License-Identifier: Apache-2.0

package nfnl

import (
	"encoding/binary"
	"iter"

	"golang.org/x/sys/unix"
)

// Flags of messages that users of this package combine.
const (
	Create    = unix.NLM_F_CREATE
	Exclusive = unix.NLM_F_EXCL
	Append    = unix.NLM_F_APPEND
)

const (
	messageHeader = unix.NLMSG_HDRLEN + 4 // nlmsghdr and nfgenmsg
	nested        = unix.NLA_F_NESTED
	attrTypeMask  = ^uint16(unix.NLA_F_NESTED | unix.NLA_F_NET_BYTEORDER)
)

// Builder lays messages one behind the other. Its zero value is empty.
type Builder struct {
	data  []byte
	start int
	count int
}

// Len is the number of bytes so far.
func (b *Builder) Len() int { return len(b.data) }

// Count is the number of messages so far, which is also the index of the next.
func (b *Builder) Count() int { return b.count }

// Message begins a message of a subsystem (unix.NFNL_SUBSYS_…), with a type of
// that subsystem and a protocol family. It ends the one before.
func (b *Builder) Message(subsystem, typ uint8, flags uint16, family uint8) {
	b.begin(uint16(subsystem)<<8|uint16(typ), flags, family, 0)
	b.count++
}

func (b *Builder) begin(typ, flags uint16, family uint8, resource uint16) {
	b.end()
	b.start = len(b.data)
	b.data = binary.NativeEndian.AppendUint32(b.data, 0)
	b.data = binary.NativeEndian.AppendUint16(b.data, typ)
	b.data = binary.NativeEndian.AppendUint16(b.data, flags|unix.NLM_F_REQUEST)
	b.data = binary.NativeEndian.AppendUint32(b.data, uint32(b.count))
	b.data = binary.NativeEndian.AppendUint32(b.data, 0)
	b.data = append(b.data, family, unix.NFNETLINK_V0)
	b.data = binary.BigEndian.AppendUint16(b.data, resource)
}

// end writes the length of the message that was begun last.
func (b *Builder) end() {
	if len(b.data) > b.start {
		binary.NativeEndian.PutUint32(b.data[b.start:], uint32(len(b.data)-b.start))
	}
}

// finish ends the last message and has it ask for an answer, so that silence
// is not success.
func (b *Builder) finish() {
	b.end()
	flags := binary.NativeEndian.Uint16(b.data[b.start+6:])
	binary.NativeEndian.PutUint16(b.data[b.start+6:], flags|unix.NLM_F_ACK)
}

// Bytes appends an attribute.
func (b *Builder) Bytes(typ uint16, value []byte) {
	at := b.open(typ)
	b.data = append(b.data, value...)
	b.close(at)
}

// Raw appends attributes that are encoded already.
func (b *Builder) Raw(attributes []byte) { b.data = append(b.data, attributes...) }

// String appends a text attribute with its closing zero.
func (b *Builder) String(typ uint16, value string) {
	at := b.open(typ)
	b.data = append(append(b.data, value...), 0)
	b.close(at)
}

// Uint32 appends a number in network byte order.
func (b *Builder) Uint32(typ uint16, value uint32) {
	at := b.open(typ)
	b.data = binary.BigEndian.AppendUint32(b.data, value)
	b.close(at)
}

// Nest appends an attribute made of those that fill appends.
func (b *Builder) Nest(typ uint16, fill func()) {
	at := b.open(typ | nested)
	fill()
	b.close(at)
}

func (b *Builder) open(typ uint16) int {
	at := len(b.data)
	b.data = binary.NativeEndian.AppendUint16(b.data, 0)
	b.data = binary.NativeEndian.AppendUint16(b.data, typ)
	return at
}

func (b *Builder) close(at int) {
	binary.NativeEndian.PutUint16(b.data[at:], uint16(len(b.data)-at))
	for len(b.data)%unix.NLA_ALIGNTO != 0 {
		b.data = append(b.data, 0)
	}
}

// Attributes yields the attributes in data, by type without its flags. What is
// malformed ends the sequence.
func Attributes(data []byte) iter.Seq2[uint16, []byte] {
	return func(yield func(uint16, []byte) bool) {
		for len(data) >= unix.SizeofNlAttr {
			size := int(binary.NativeEndian.Uint16(data))
			if size < unix.SizeofNlAttr || size > len(data) {
				return
			}
			typ := binary.NativeEndian.Uint16(data[2:]) & attrTypeMask
			if !yield(typ, data[unix.SizeofNlAttr:size]) {
				return
			}
			data = data[min((size+unix.NLA_ALIGNTO-1)&^(unix.NLA_ALIGNTO-1), len(data)):]
		}
	}
}

// With appends an attribute to others.
func With(attributes []byte, typ uint16, value []byte) []byte {
	b := Builder{data: attributes}
	b.Bytes(typ, value)
	return b.data
}

// Attribute returns the first attribute of a type, or nil.
func Attribute(data []byte, typ uint16) []byte {
	for t, value := range Attributes(data) {
		if t == typ {
			return value
		}
	}
	return nil
}

// Text returns a text attribute without its closing zero, or "".
func Text(data []byte, typ uint16) string {
	value := Attribute(data, typ)
	if n := len(value); n > 0 && value[n-1] == 0 {
		value = value[:n-1]
	}
	return string(value)
}
