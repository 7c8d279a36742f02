// SPDX-License-Identifier: Apache-2.0

package zone

import (
	"net/netip"

	"github.com/posternhq/postern/internal/resolver/wire"
)

// Verdict is what comes of a question.
type Verdict uint8

// The verdicts.
const (
	// Answered is for questions whose answer is finished: End gives it, with Code.
	Answered Verdict = iota
	// Upstream is for what no zone of the VPC has. Ask.Onward and Ask.Kind say what is
	// to be asked. The answer has the chain of CNAME
	// records that led there, and takes what comes back.
	Upstream
)

// Ask is one question on its way through a World. It is reused for one after another,
// by one goroutine at a time.
type Ask struct {
	// VPC is whose resolver is asked, and Client who asks: an invalid address is in no
	// availability zone. Both are set by the caller, and so is Question.
	VPC      string
	Client   netip.Addr
	Question wire.Question
	// Answer is what is put together. The caller begins it.
	Answer wire.Answer

	// Code is that of the answer, when it is Answered.
	Code int
	// Onward is the name that is to be asked for upstream, in wire form. It lies in the
	// question or in the World.
	Onward []byte
	// Source is the realm that alone, with the VPC's, an answer is made of which is the
	// same whoever asks and whenever, until one of both changes. It is empty for all
	// other answers.
	Source string
	// Turning is how many of its records, at its beginning, come in turn: each answer
	// begins with another one. Fewer than two stay where they are.
	Turning int

	space [spaceSize]byte // for what is made up on the way
}

// spaceSize is room for the data of a record, and for the record behind it.
const spaceSize = 2048
