// SPDX-License-Identifier: Apache-2.0

package model

import (
	"fmt"
	"strings"
)

// Names are written in one form everywhere, that of Route 53: absolute, with the final
// dot; letters are small; every other octet of a label than a letter, a digit, a hyphen
// and an underscore is a backslash and three octal digits, a wildcard's asterisk too. So
// names are equal when their texts are, and the only dots are between labels.
// https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/DomainNameFormat.html

// RootName is the name without labels.
const RootName = "."

// WildcardLabel is the label that stands for all names that are not there (RFC 4592,
// 2.1.1).
const WildcardLabel = `\052`

// The limits of RFC 1035, 2.3.4, in octets.
const (
	maxLabel = 63
	maxName  = 255
)

// NameProblem is what can be wrong with a name, in the words that Route 53 has for it.
type NameProblem string

// The problems of names.
const (
	NameEmpty       NameProblem = "DomainNameEmpty"
	NameTooLong     NameProblem = "DomainNameTooLong"
	LabelEmpty      NameProblem = "DomainLabelEmpty"
	LabelTooLong    NameProblem = "DomainLabelTooLong"
	NameUnsupported NameProblem = "UnsupportedCharacter"
)

var nameProblems = map[NameProblem]string{
	NameEmpty:       "Domain name is empty",
	NameTooLong:     "Domain name is too long",
	LabelEmpty:      "Domain label is empty",
	LabelTooLong:    "Domain label is too long",
	NameUnsupported: "Value contains unsupported characters",
}

// String says the problem in a sentence without its end.
func (p NameProblem) String() string { return nameProblems[p] }

// NameError is why a text is no name.
type NameError struct {
	Problem NameProblem
	// Text is the one that is no name.
	Text string
}

// Error implements error.
func (e *NameError) Error() string {
	return fmt.Sprintf("parse name %q: %s", e.Text, strings.ToLower(e.Problem.String()))
}

// NormalName gives the normal form of a name. With or without the final dot it is
// absolute. Octets that are no printable ASCII, and dots within labels, must be written
// as a backslash and three octal digits; all others can be. The error is a *NameError.
func NormalName(text string) (string, error) {
	switch {
	case text == "":
		return "", &NameError{NameEmpty, text}
	case text == RootName:
		return RootName, nil
	}
	out := make([]byte, 0, len(text)+1)
	label, whole := 0, 1 // octets of the label at hand, and of the name as messages have it
	for i := 0; i < len(text); i++ {
		c := text[i]
		octet, escaped := unescapeOctet(text[i:])
		switch {
		case escaped:
			i += 3
		case c == '.' && label == 0:
			return "", &NameError{LabelEmpty, text}
		case c == '.':
			out, label = append(out, '.'), 0
			continue
		case c <= ' ' || c > '~':
			return "", &NameError{NameUnsupported, text}
		}
		if label == 0 {
			whole++
		}
		if label++; label > maxLabel {
			return "", &NameError{LabelTooLong, text}
		}
		if whole++; whole > maxName {
			return "", &NameError{NameTooLong, text}
		}
		out = appendOctet(out, octet)
	}
	if label > 0 {
		out = append(out, '.')
	}
	return string(out), nil
}

// unescapeOctet gives the octet that a text begins with, and whether it is written as a
// backslash and three octal digits.
func unescapeOctet(text string) (octet byte, escaped bool) {
	if len(text) < 4 || text[0] != '\\' || text[1] > '3' {
		return text[0], false
	}
	for _, digit := range []byte(text[1:4]) {
		if digit < '0' || digit > '7' {
			return text[0], false
		}
		octet = octet<<3 | (digit - '0')
	}
	return octet, true
}

// appendOctet writes an octet of a label in normal form.
func appendOctet(out []byte, octet byte) []byte {
	if octet >= 'A' && octet <= 'Z' {
		octet += 'a' - 'A'
	}
	if octet >= 'a' && octet <= 'z' || octet >= '0' && octet <= '9' || octet == '-' || octet == '_' {
		return append(out, octet)
	}
	return append(out, '\\', '0'+octet>>6, '0'+octet>>3&7, '0'+octet&7)
}

// ParentName gives the name without its first label; false says that it is the root,
// which has none. The name is in normal form.
func ParentName(name string) (string, bool) {
	if name == RootName {
		return "", false
	}
	_, parent, _ := strings.Cut(name, ".")
	if parent == "" {
		parent = RootName
	}
	return parent, true
}

// NameWithin reports whether a name is a domain's own or one below it. Both are in
// normal form.
func NameWithin(name, domain string) bool {
	above, ok := strings.CutSuffix(name, domain)
	return ok && (above == "" || domain == RootName || above[len(above)-1] == '.')
}

// ReversedName gives the labels of a name in reverse, each with its dot, such as
// "com.example.www." for www.example.com. Names sorted by it are in the order in
// which Route 53 lists them: what is below a name comes after it. The name is in normal
// form.
func ReversedName(name string) string {
	out := make([]byte, 0, len(name))
	for end := len(name) - 1; end > 0; {
		begin := strings.LastIndexByte(name[:end], '.') + 1
		out = append(append(out, name[begin:end]...), '.')
		end = begin - 1
	}
	if len(out) == 0 {
		return RootName
	}
	return string(out)
}
