// SPDX-License-Identifier: Apache-2.0

package wire

import "fmt"

// small maps each byte to itself, and capital letters to small ones (RFC 4343).
var small = func() (table [256]byte) {
	for i := range table {
		table[i] = byte(i)
		if 'A' <= i && i <= 'Z' {
			table[i] += 'a' - 'A'
		}
	}
	return table
}()

// AppendName appends the wire form of a name to b, in small letters. The text is that
// of Route 53: a byte may be a backslash and three octal digits, and a backslash
// before anything else stands for what follows. The final dot may be left out.
func AppendName(b []byte, text string) ([]byte, error) {
	start, label := len(b), len(b)
	if text == "." {
		return append(b, 0), nil
	}
	b = append(b, 0)
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c == '.' {
			if err := closeLabel(b, label); err != nil {
				return b[:start], fmt.Errorf("name %q: %w", text, err)
			}
			label = len(b)
			b = append(b, 0)
			continue
		}
		if c == '\\' {
			var n int
			if c, n = Unescape(text[i:]); n == 0 {
				return b[:start], fmt.Errorf("name %q: it ends in a backslash", text)
			}
			i += n - 1
		}
		b = append(b, small[c])
	}
	if len(b) > label+1 {
		if err := closeLabel(b, label); err != nil {
			return b[:start], fmt.Errorf("name %q: %w", text, err)
		}
		b = append(b, 0)
	}
	if len(b)-start < 2 {
		return b[:start], fmt.Errorf("name %q: it is empty", text)
	}
	if len(b)-start > maxName {
		return b[:start], fmt.Errorf("name %q: it has more than %d bytes", text, maxName)
	}
	return b, nil
}

// closeLabel writes the length of the label that begins at an index.
func closeLabel(b []byte, label int) error {
	n := len(b) - label - 1
	switch {
	case n == 0:
		return fmt.Errorf("a label is empty")
	case n > maxLabel:
		return fmt.Errorf("a label has more than %d bytes", maxLabel)
	}
	b[label] = byte(n)
	return nil
}

// Unescape reads what a backslash begins: the byte, and how much of the text it is.
func Unescape(text string) (c byte, n int) {
	if len(text) >= 4 && octal(text[1]) && text[1] <= '3' && octal(text[2]) && octal(text[3]) {
		return (text[1]-'0')<<6 | (text[2]-'0')<<3 | (text[3] - '0'), 4
	}
	if len(text) < 2 {
		return 0, 0
	}
	return text[1], 2
}

func octal(c byte) bool { return '0' <= c && c <= '7' }

// NameText gives the text of a name in wire form: absolute, and whatever is not a
// letter, digit, hyphen or underscore as a backslash and three octal digits.
func NameText(name []byte) string {
	if len(name) == 0 || name[0] == 0 {
		return "."
	}
	text := make([]byte, 0, len(name)+8)
	for len(name) > 0 && name[0] != 0 {
		n := int(name[0])
		for _, c := range name[1 : n+1] {
			c = small[c]
			if c == '-' || c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' {
				text = append(text, c)
			} else {
				text = append(text, '\\', '0'+c>>6, '0'+c>>3&7, '0'+c&7)
			}
		}
		text, name = append(text, '.'), name[n+1:]
	}
	return string(text)
}

// Parent is a name in wire form without its first label. That of the root is empty.
func Parent(name []byte) []byte { return name[int(name[0])+1:] }

// Labels counts the labels of a name in wire form; the root has none.
func Labels(name []byte) (n int) {
	for len(name) > 0 && name[0] != 0 {
		name, n = Parent(name), n+1
	}
	return n
}
