// SPDX-License-Identifier: Apache-2.0

package jsonbody

import (
	"errors"

	"github.com/posternhq/postern/internal/aws/codec"
	"github.com/posternhq/postern/internal/aws/schema"
)

// Telling is how inputs and outputs are written down for those who read later what was
// asked: all members, wherever they travel, under the names of the model with a small
// letter in front, and nothing that is a secret.
type Telling struct {
	// Max is how long a value may become, in bytes.
	Max int
	// Hide says that the values of a member are not told, beside those that the model
	// calls sensitive.
	Hide func(name string) bool
	// See is given each string that is told.
	See func(text string)
}

// hidden stands in CloudTrail's records for what they do not tell.
const hidden = `"HIDDEN_DUE_TO_SECURITY_REASONS"`

var errTooMuch = errors.New("there is too much to tell")

// Append appends the input or output in as a JSON object; false says that it cannot be
// told, for its length most likely, and that nothing was appended.
func (t *Telling) Append(b []byte, in any, shape *schema.Shape) ([]byte, bool) {
	v, err := codec.Struct(in, shape)
	if err != nil {
		return b, false
	}
	e := encoder{tell: t, end: len(b) + t.Max}
	told, err := e.appendStructure(b, v, shape, 0)
	if err != nil || len(told) > e.end {
		return b, false
	}
	return told, true
}

// appendName appends the name of a member and a colon.
func (e encoder) appendName(b []byte, m *schema.Member) []byte {
	if e.tell == nil {
		return append(AppendString(b, m.Wire), ':')
	}
	b = append(b, '"')
	first := m.Name[0]
	if 'A' <= first && first <= 'Z' {
		first += 'a' - 'A'
	}
	b = append(append(b, first), m.Name[1:]...) // names of models are letters and digits
	return append(b, '"', ':')
}
