// SPDX-License-Identifier: Apache-2.0

// Package wire reads questions of the domain name system off the wire and puts
// answers together (RFC 1035, RFC 6891), by hand and without allocating. Names are
// in wire form, in small letters; their text is Route 53's normal form.
package wire

// Codes of answers (RFC 1035 §4.1.1, RFC 6891 §9).
const (
	NoError        = 0
	FormatError    = 1
	ServerFailure  = 2
	NameError      = 3
	NotImplemented = 4
	Refused        = 5
	BadVersion     = 16
)

// Types that an answer depends on (RFC 1035 §3.2.2 and the RFCs of later ones).
const (
	TypeA     = 1
	TypeNS    = 2
	TypeCNAME = 5
	TypeSOA   = 6
	TypePTR   = 12
	TypeHINFO = 13
	TypeAAAA  = 28
	TypeOPT   = 41
	TypeANY   = 255
)

// ClassIN is the only class that anything is answered in.
const ClassIN = 1

const (
	headerSize = 12
	optSize    = 11
	// plainSize is how much an answer over UDP may have without EDNS (RFC 1035 §4.2.1).
	plainSize = 512
	// udpSize is how much a client may ask for with EDNS, as on AWS.
	udpSize = 4096
	// streamSize is how much an answer over TCP may have (RFC 1035 §4.2.2).
	streamSize = 65535

	// maxName is how long a name may be in wire form, with the root's empty label.
	maxName  = 255
	maxLabel = 63
)

// Bits of the second word of a header.
const (
	bitQR = 1 << 15
	bitAA = 1 << 10
	bitTC = 1 << 9
	bitRD = 1 << 8
	bitRA = 1 << 7
	bitCD = 1 << 4

	opcodeShift = 11
	opcodeMask  = 0xf << opcodeShift
)
