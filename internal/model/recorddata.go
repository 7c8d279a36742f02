// SPDX-License-Identifier: Apache-2.0

package model

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// recordShapes says of the types of records what their values consist of, word by word:
// 4 and 6 are addresses, n names, b, h and w numbers of 8, 16 and 32 bits, k a word
// of letters and digits, q a text in quotes, and t as many of those as there are.
// https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/ResourceRecordTypes.html
var recordShapes = map[string]string{
	"A": "4", "AAAA": "6", "CAA": "bkq", "CNAME": "n", "MX": "hn", "NS": "n", "PTR": "n", "SOA": "nnwwwww", "SRV": "hhhn", "TXT": "t",
}

// ServedRecordType reports whether zones can have records of a type.
func ServedRecordType(kind string) bool { return recordShapes[kind] != "" }

// maxCharacterString is the length of a text in a TXT record, in octets (RFC 1035, 3.3).
const maxCharacterString = 255

// DataError is why a value is none of its type.
type DataError struct {
	// Code and Problem are how Route 53 says it, where that is known.
	Code, Problem string
	// Text is what is wrong: the value or a part of it.
	Text string
}

// Error implements error.
func (e *DataError) Error() string {
	return fmt.Sprintf("parse record data %q: %s", e.Text, strings.ToLower(e.Problem))
}

// RecordData gives the normal form of a value of a served type: names in theirs, texts in
// quotes with octal escapes, and one blank between words. Values that mean the same have
// the same form. The error is a *DataError or a *NameError.
func RecordData(kind, value string) (string, error) {
	shape := recordShapes[kind]
	if shape == "t" {
		texts, err := parseTexts(value)
		return strings.Join(texts, " "), err
	}
	words := splitData(value)
	if len(words) != len(shape) {
		return "", wrongWords(kind, value, len(shape))
	}
	for i, word := range words {
		form, err := dataWord(kind, shape[i], word)
		if err != nil {
			return "", err
		}
		words[i] = form
	}
	return strings.Join(words, " "), nil
}

func dataWord(kind string, shape byte, word string) (string, error) {
	switch shape {
	case '4', '6':
		return dataAddr(word, shape == '4')
	case 'n':
		return NormalName(word)
	case 'b', 'h', 'w':
		bits := map[byte]int{'b': 8, 'h': 16, 'w': 32}[shape]
		n, err := strconv.ParseUint(word, 10, bits)
		if err != nil {
			return "", &DataError{kind + "RRDATAIllegalNumber", fmt.Sprintf("Value is not a number from 0 to %d", uint64(1)<<bits-1), word}
		}
		return strconv.FormatUint(n, 10), nil
	case 'k':
		if strings.Trim(strings.ToLower(word), "abcdefghijklmnopqrstuvwxyz0123456789") != "" {
			return "", &DataError{kind + "RRDATAInvalidTag", "Value is not a tag of letters and digits", word}
		}
		return word, nil
	}
	texts, err := parseTexts(word)
	return strings.Join(texts, " "), err
}

func dataAddr(word string, is4 bool) (string, error) {
	addr, err := netip.ParseAddr(word)
	switch good := err == nil && addr.Zone() == "" && addr.Is4() == is4; {
	case good:
		return addr.String(), nil
	case is4:
		return "", &DataError{"ARRDATAIllegalIPv4Address", "Value is not a valid IPv4 address", word}
	}
	return "", &DataError{"AAAARRDATAIllegalIPv6Address", "Value is not a valid IPv6 address", word}
}

func wrongWords(kind, value string, want int) error {
	if want == 1 {
		switch kind {
		case "A", "AAAA":
			_, err := dataAddr(value, kind == "A")
			if err == nil { // it is one with blanks around it
				err = &DataError{"UnsupportedCharacter", "Value contains unsupported characters", value}
			}
			return err
		}
		if value == "" {
			return &NameError{NameEmpty, value}
		}
		return &NameError{NameUnsupported, value}
	}
	number := map[int]string{2: "Two", 3: "Three", 4: "Four", 7: "Seven"}[want]
	return &DataError{kind + "RRDATANot" + number + "Fields", "Value does not have " + strings.ToLower(number) + " fields", value}
}

// splitData cuts a value into words at blanks outside of quotes.
func splitData(value string) (words []string) {
	start, quoted := -1, false
	for i := 0; i < len(value); i++ {
		switch c := value[i]; {
		case (c == ' ' || c == '\t') && !quoted:
			if start >= 0 {
				words = append(words, value[start:i])
			}
			start = -1
			continue
		case c == '"':
			quoted = !quoted
		case c == '\\' && quoted && i+1 < len(value):
			if start < 0 {
				start = i
			}
			i++
		}
		if start < 0 {
			start = i
		}
	}
	if start >= 0 {
		words = append(words, value[start:])
	}
	return words
}

// parseTexts reads texts in quotes, with or without blanks between them, and gives their
// normal forms.
func parseTexts(value string) (texts []string, err error) {
	for rest := value; ; {
		rest = strings.TrimLeft(rest, " \t")
		switch {
		case rest == "" && len(texts) > 0:
			return texts, nil
		case rest == "" || rest[0] != '"':
			return nil, &DataError{"InvalidCharacterString", "Value should be enclosed in quotation marks", value}
		}
		text := []byte{'"'}
		octets, end := 0, 1
		for ; ; octets++ {
			if end >= len(rest) {
				return nil, &DataError{"InvalidCharacterString", "Value should be enclosed in quotation marks", value}
			}
			if rest[end] == '"' {
				break
			}
			octet, n, ok := textOctet(rest[end:])
			if !ok {
				return nil, &DataError{"UnsupportedCharacter", "Value contains unsupported characters", value}
			}
			text, end = appendTextOctet(text, octet), end+n
		}
		if octets > maxCharacterString {
			return nil, &DataError{"CharacterStringTooLong", "Value is too long", value}
		}
		texts, rest = append(texts, string(text)+`"`), rest[end+1:]
	}
}

// textOctet reads one octet of a text, which is a character, three octal digits behind a
// backslash, or another character behind one.
func textOctet(text string) (octet byte, n int, ok bool) {
	switch octet, escaped := unescapeOctet(text); {
	case escaped:
		return octet, 4, true
	case octet != '\\':
		return octet, 1, octet >= ' ' && octet <= '~' || octet == '\t'
	case len(text) < 2:
		return 0, 0, false
	}
	return text[1], 2, text[1] >= ' ' && text[1] <= '~'
}

func appendTextOctet(text []byte, octet byte) []byte {
	switch {
	case octet == '"' || octet == '\\':
		return append(text, '\\', octet)
	case octet < ' ' || octet > '~':
		return append(text, '\\', '0'+octet>>6, '0'+octet>>3&7, '0'+octet&7)
	}
	return append(text, octet)
}
