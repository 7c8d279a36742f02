// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"strings"
	"unicode/utf8"
)

// tri is the outcome of a comparison. What cannot be decided is neither no nor
// yes, and stays so when it is negated.
type tri uint8

const (
	no tri = iota
	unknown
	yes
)

func (t tri) not() tri { return yes - t }

func truth(b bool) tri {
	if b {
		return yes
	}
	return no
}

// pieceKind is what a part of a pattern stands for.
type pieceKind uint8

const (
	literal  pieceKind = iota
	anything           // *
	anyone             // ?
	variable           // ${key} or ${key, 'default'}
)

type piece struct {
	kind pieceKind
	// text is the literal, or the key of the variable in lower case; written is that key
	// as the policy has it.
	text, written string
	// otherwise is the variable's default, if it has one.
	otherwise  string
	hasDefault bool
}

// pattern is a text with wildcards and variables. A * is any run of characters,
// those of / and : too; a ? is one character. What a variable stands for has no
// wildcards: a user's name cannot widen what a policy says.
type pattern struct {
	source    string
	pieces    []piece
	variables bool
	// first and last are the places of the first and the last *, -1 without.
	first, last int
}

// compilePattern takes a text apart. Without wild, * and ? are themselves; without
// vars so is what looks like a variable, as in documents of version 2008-10-17.
func compilePattern(source string, wild, vars bool) (pattern, string) {
	p := pattern{source: source, first: -1, last: -1}
	from := 0
	put := func(to int, q piece) {
		if to > from {
			p.pieces = append(p.pieces, piece{text: source[from:to]})
		}
		if q.kind != literal || q.text != "" {
			p.pieces = append(p.pieces, q)
		}
	}
	for i := 0; i < len(source); {
		switch {
		case wild && source[i] == '*':
			put(i, piece{})
			if n := len(p.pieces); n == 0 || p.pieces[n-1].kind != anything {
				p.pieces = append(p.pieces, piece{kind: anything})
			}
			i++
		case wild && source[i] == '?':
			put(i, piece{kind: anyone})
			i++
		case vars && strings.HasPrefix(source[i:], "${"):
			q, size, problem := compileVariable(source[i:])
			if problem != "" {
				return p, problem
			}
			put(i, q)
			p.variables = p.variables || q.kind == variable
			i += size
		default:
			i++
			continue
		}
		from = i
	}
	put(len(source), piece{})
	for i, q := range p.pieces {
		if q.kind == anything {
			if p.first < 0 {
				p.first = i
			}
			p.last = i
		}
	}
	return p, ""
}

// compileVariable reads a variable or an escape at the start of a text, and says
// how long it is: ${key}, ${key, 'default'}, ${*}, ${?} and ${$}.
func compileVariable(source string) (q piece, size int, problem string) {
	end := strings.IndexByte(source, '}')
	if end < 0 {
		return q, 0, "has a variable without its closing brace"
	}
	inside := source[2:end]
	switch inside {
	case "*", "?", "$":
		return piece{text: inside}, end + 1, ""
	}
	q = piece{kind: variable}
	if key, _, ok := strings.Cut(inside, ","); ok {
		// A default may have a brace of its own, so it ends at its quote.
		from := len(source) - len(strings.TrimLeft(source[2+len(key)+1:], " "))
		if from >= len(source) || source[from] != '\'' {
			return q, 0, "has a variable whose default is not in single quotes"
		}
		stop := strings.Index(source[from+1:], "'")
		if stop < 0 {
			return q, 0, "has a variable whose default has no closing quote"
		}
		q.otherwise, q.hasDefault = source[from+1:from+1+stop], true
		end = from + 1 + stop + 1
		if end >= len(source) || source[end] != '}' {
			return q, 0, "has a variable without its closing brace"
		}
		inside = key
	}
	q.written = strings.TrimSpace(inside)
	q.text = strings.ToLower(q.written)
	if q.text == "" || strings.ContainsAny(q.text, "${}*?'\"") {
		return q, 0, "has a variable without a name"
	}
	return q, end + 1, ""
}

// value is what the piece stands for; a variable that has not exactly one value and
// no default stands for nothing.
func (q *piece) value(c Context) (string, bool) {
	if q.kind != variable {
		return q.text, true
	}
	if c != nil {
		if values, present := c.Values(q.text); present && len(values) > 0 {
			return values[0], len(values) == 1
		}
	}
	return q.otherwise, q.hasDefault
}

// searched counts the ? between the first and the last *. They make a text be gone through
// again from each place, and so policies may not have many.
func (p *pattern) searched() int {
	n := 0
	for i := p.first + 1; i < p.last; i++ {
		if p.pieces[i].kind == anyone {
			n++
		}
	}
	return n
}

// resolves reports whether all variables of the pattern have a value.
func (p *pattern) resolves(c Context) bool {
	if !p.variables {
		return true
	}
	for i := range p.pieces {
		if _, ok := p.pieces[i].value(c); !ok {
			return false
		}
	}
	return true
}

// match compares a text with the pattern; unknown says that a variable has no
// value. What is before the first * is compared from the front, what is behind the
// last from the back, and each run between two of them is looked for once, so that
// the work is linear in both, but for runs with ? in them, which see searched.
func (p *pattern) match(s string, c Context) tri {
	if !p.resolves(c) {
		return unknown
	}
	if p.first < 0 {
		rest, ok := forward(p.pieces, s, c)
		return truth(ok && rest == "")
	}
	s, ok := forward(p.pieces[:p.first], s, c)
	if !ok {
		return no
	}
	s, ok = backward(p.pieces[p.last+1:], s, c)
	if !ok {
		return no
	}
	for i := p.first + 1; i < p.last; i++ {
		run := i
		for p.pieces[i].kind != anything {
			i++
		}
		if s, ok = search(p.pieces[run:i], s, c); !ok {
			return no
		}
	}
	return yes
}

// forward takes pieces without * off the front.
func forward(pieces []piece, s string, c Context) (rest string, ok bool) {
	for i := range pieces {
		q := &pieces[i]
		if q.kind == anyone {
			_, size := utf8.DecodeRuneInString(s)
			if size == 0 {
				return "", false
			}
			s = s[size:]
			continue
		}
		v, _ := q.value(c)
		if s, ok = strings.CutPrefix(s, v); !ok {
			return "", false
		}
	}
	return s, true
}

// backward takes pieces without * off the back.
func backward(pieces []piece, s string, c Context) (rest string, ok bool) {
	for i := len(pieces) - 1; i >= 0; i-- {
		q := &pieces[i]
		if q.kind == anyone {
			_, size := utf8.DecodeLastRuneInString(s)
			if size == 0 {
				return "", false
			}
			s = s[:len(s)-size]
			continue
		}
		v, _ := q.value(c)
		if s, ok = strings.CutSuffix(s, v); !ok {
			return "", false
		}
	}
	return s, true
}

// search finds the leftmost place of a run of pieces without *, and gives what is
// behind it. A later place would leave less for what follows.
func search(run []piece, s string, c Context) (rest string, ok bool) {
	for {
		if run[0].kind != anyone {
			v, _ := run[0].value(c)
			at := strings.Index(s, v)
			if at < 0 {
				return "", false
			}
			s = s[at:]
		}
		if rest, ok = forward(run, s, c); ok {
			return rest, true
		}
		_, size := utf8.DecodeRuneInString(s)
		if size == 0 {
			return "", false
		}
		s = s[size:]
	}
}

// expand writes out the pattern's literals and variables.
func (p *pattern) expand(c Context) string {
	if len(p.pieces) == 1 {
		v, _ := p.pieces[0].value(c)
		return v
	}
	var b strings.Builder
	for i := range p.pieces {
		v, _ := p.pieces[i].value(c)
		b.WriteString(v)
	}
	return b.String()
}

// matchFold compares ASCII texts without regard to case; the pattern has no
// variables. It is for the names of actions, which are short.
func (p *pattern) matchFold(s string) bool {
	i, t, star, mark := 0, 0, -1, 0
	for {
		if i == len(p.pieces) {
			if t == len(s) {
				return true
			}
		} else if q := &p.pieces[i]; q.kind == anything {
			star, mark = i, t
			i++
			continue
		} else if q.kind == anyone {
			if t < len(s) {
				i, t = i+1, t+1
				continue
			}
		} else if end := t + len(q.text); end <= len(s) && foldEqual(s[t:end], q.text) {
			i, t = i+1, end
			continue
		}
		if star < 0 || mark == len(s) {
			return false
		}
		mark++
		i, t = star+1, mark
	}
}

// foldEqual compares ASCII texts of one length without regard to case.
func foldEqual(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		x, y := a[i], b[i]
		if x != y && (x|0x20 != y|0x20 || x|0x20 < 'a' || x|0x20 > 'z') {
			return false
		}
	}
	return true
}
