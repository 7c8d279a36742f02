// SPDX-License-Identifier: Apache-2.0

package zone

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/miekg/dns"

	"github.com/posternhq/postern/internal/resolver/wire"
)

// shapes says of types what their values consist of, word by word: 4 and 6 are
// addresses, n names, b, h and w numbers of one, two and four bytes, s character
// strings, t as many of those as there are, and v a text without a length. All that
// is not here is read by package dns. Texts and names have octal escapes, as in
// Route 53.
var shapes = map[string]string{
	"A": "4", "AAAA": "6", "CNAME": "n", "NS": "n", "PTR": "n", "MX": "hn", "SRV": "hhhn", "TXT": "t", "SPF": "t", "CAA": "bsv", "SOA": "nnwwwww",
	"NAPTR": "hhsssn",
}

// typeOf gives the number of a type by its mnemonic.
func typeOf(mnemonic string) (uint16, error) {
	kind, ok := dns.StringToType[mnemonic]
	if !ok || kind == dns.TypeOPT || kind >= 249 && kind <= dns.TypeANY || kind == 0 {
		return 0, fmt.Errorf("there are no records of type %q", mnemonic)
	}
	return kind, nil
}

// appendData appends the wire form of a value of a type to b.
func appendData(b []byte, mnemonic, value string) ([]byte, error) {
	shape, ok := shapes[mnemonic]
	if !ok {
		return appendRare(b, mnemonic, value)
	}
	words, err := split(value)
	if err != nil {
		return b, fmt.Errorf("value %q: %w", value, err)
	}
	if shape == "t" && len(words) > 1 {
		shape = strings.Repeat("s", len(words))
	}
	if len(words) != len(shape) {
		return b, fmt.Errorf("value %q has %d words, a record of type %s has %d", value, len(words), mnemonic, len(shape))
	}
	start := len(b)
	for i, word := range words {
		if b, err = appendWord(b, shape[i], word); err != nil {
			return b, fmt.Errorf("value %q: %w", value, err)
		}
	}
	if len(b)-start > maxData {
		return b, fmt.Errorf("value %q is longer than any answer", value)
	}
	return b, nil
}

// maxData leaves room in an answer over TCP for all that is beside one value.
const maxData = 65535 - 4096

func appendWord(b []byte, shape byte, word string) ([]byte, error) {
	switch shape {
	case '4', '6':
		a, err := netip.ParseAddr(word)
		if err != nil || a.Zone() != "" || a.Is4() != (shape == '4') {
			return b, fmt.Errorf("%q is no IPv%c address", word, shape)
		}
		return append(b, a.AsSlice()...), nil
	case 'n':
		return wire.AppendName(b, word)
	case 'b', 'h', 'w':
		size := map[byte]int{'b': 1, 'h': 2, 'w': 4}[shape]
		n, err := strconv.ParseUint(word, 10, 8*size)
		if err != nil {
			return b, fmt.Errorf("%q is no number of %d bits", word, 8*size)
		}
		return append(b, binary.BigEndian.AppendUint32(nil, uint32(n))[4-size:]...), nil
	}
	text, err := unquote(word)
	if err != nil {
		return b, err
	}
	if shape == 'v' {
		return append(b, text...), nil
	}
	if len(text) > 255 {
		return b, fmt.Errorf("a text has more than 255 bytes")
	}
	return append(append(b, byte(len(text))), text...), nil
}

// split cuts a value into words at blanks outside quotes. Quotes stay.
func split(value string) (words []string, err error) {
	start, quoted := -1, false
	for i := 0; i < len(value); i++ {
		c := value[i]
		if (c == ' ' || c == '\t') && !quoted {
			if start >= 0 {
				words = append(words, value[start:i])
			}
			start = -1
			continue
		}
		if start < 0 {
			start = i
		}
		switch c {
		case '"':
			quoted = !quoted
		case '\\':
			i++
		}
	}
	if quoted {
		return nil, fmt.Errorf("a quote is not closed")
	}
	if start >= 0 {
		words = append(words, value[start:])
	}
	return words, nil
}

// unquote reads a text, which may be in quotes.
func unquote(word string) (text []byte, err error) {
	if inner, ok := strings.CutPrefix(word, `"`); ok {
		if word, ok = strings.CutSuffix(inner, `"`); !ok {
			return nil, fmt.Errorf("text %q does not end with its quote", word)
		}
	}
	for i := 0; i < len(word); i++ {
		switch word[i] {
		case '"':
			return nil, fmt.Errorf("text %q has a quote in it", word)
		case '\\':
			c, n := wire.Unescape(word[i:])
			if n == 0 {
				return nil, fmt.Errorf("text %q ends in a backslash", word)
			}
			text, i = append(text, c), i+n-1
		default:
			text = append(text, word[i])
		}
	}
	return text, nil
}

// appendRare reads a value as package dns does.
func appendRare(b []byte, mnemonic, value string) ([]byte, error) {
	if strings.ContainsAny(value, "\n\r;()$") {
		return b, fmt.Errorf("value %q: what has more than one line is no value", value)
	}
	rr, err := dns.NewRR(". 0 IN " + mnemonic + " " + value)
	if err != nil {
		return b, fmt.Errorf("value %q: %w", value, err)
	}
	if rr == nil {
		return b, fmt.Errorf("value %q is empty", value)
	}
	r, err := wire.RecordOf(rr)
	if err != nil {
		return b, err
	}
	return append(b, r.Data...), nil
}
