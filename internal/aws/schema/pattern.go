// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
)

// Pattern is a regular expression of a service model, matched against a whole
// value. The models are written for engines that know look-aheads; of these,
// negative ones at the start of the pattern are understood here, and a dash that no other
// one may follow, which is all that the models use. It is compiled at its first use.
type Pattern struct {
	Source string

	once   sync.Once
	allow  *regexp.Regexp
	forbid []*regexp.Regexp
	err    error
}

// NewPattern returns the pattern with the given source without compiling it.
func NewPattern(source string) *Pattern { return &Pattern{Source: source} }

// Compile translates and compiles the pattern unless that was done already. An
// error means that Go's expressions cannot say what the model says; generated
// tables are tested not to contain such a pattern.
func (p *Pattern) Compile() error {
	p.once.Do(p.compile)
	return p.err
}

// Match reports whether the whole of s matches. A pattern that does not compile
// matches nothing.
func (p *Pattern) Match(s string) bool {
	if p.Compile() != nil {
		return false
	}
	for _, f := range p.forbid {
		if f.MatchString(s) {
			return false
		}
	}
	return p.allow.MatchString(s)
}

func (p *Pattern) compile() {
	forbidden, rest, err := splitLookAheads(p.Source)
	if err != nil {
		p.err = fmt.Errorf("pattern %q: %w", p.Source, err)
		return
	}
	if strings.Contains(rest, oneDash) {
		p.forbid = append(p.forbid, regexp.MustCompile("--"))
		rest = strings.ReplaceAll(rest, oneDash, "-")
	}
	for _, f := range forbidden {
		re, err := regexp.Compile(`\A(?:` + translate(f) + `)`)
		if err != nil {
			p.err = fmt.Errorf("pattern %q: %w", p.Source, err)
			return
		}
		p.forbid = append(p.forbid, re)
	}
	p.allow, p.err = regexp.Compile(`\A(?:` + translate(rest) + `)\z`)
	if p.err != nil {
		p.err = fmt.Errorf("pattern %q: %w", p.Source, p.err)
	}
}

// splitLookAheads cuts the groups (?!…) off the start of a pattern and returns
// what stands inside them.
func splitLookAheads(source string) (forbidden []string, rest string, err error) {
	const opening = "(?!"
	if strings.HasPrefix(source, "^"+opening) {
		source = source[1:]
	}
	for strings.HasPrefix(source, opening) {
		end := closingParenthesis(source)
		if end < 0 {
			return nil, "", fmt.Errorf("look-ahead is not closed")
		}
		forbidden = append(forbidden, source[len(opening):end])
		source = source[end+1:]
	}
	return forbidden, source, nil
}

// closingParenthesis returns the index of the parenthesis that closes the one at
// the start of s, or -1. Escaped characters and classes do not count.
func closingParenthesis(s string) int {
	depth, class := 0, false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\':
			i++
		case class:
			class = c != ']'
		case c == '[':
			class = true
		case c == '(':
			depth++
		case c == ')':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

// oneDash is a dash that no other one may follow. Where it is used there is no other way
// to have a dash, so that no two may be together in the value.
const oneDash = "-(?!-)"

var (
	unicodeEscape = regexp.MustCompile(`\\u([0-9A-Fa-f]{4})`)
	// boundedAtom is a dot, class, escape or character with a repetition {n,m}.
	boundedAtom = regexp.MustCompile(`(\\.|\[(?:\\.|[^\]\\])*\]|[^\\()\[\]{}|*+?])\{(\d+),(\d+)\}`)
)

// maxRepeat is the largest repetition that package regexp takes.
const maxRepeat = 1000

// translate rewrites what Go spells differently, \uXXXX escapes, and splits
// repetitions that are too large for it: x{2,1500} becomes x{2,1000}x{0,500}.
func translate(source string) string {
	source = unicodeEscape.ReplaceAllString(source, `\x{$1}`)
	return boundedAtom.ReplaceAllStringFunc(source, func(found string) string {
		parts := boundedAtom.FindStringSubmatch(found)
		least, errLeast := strconv.Atoi(parts[2])
		most, errMost := strconv.Atoi(parts[3])
		if errLeast != nil || errMost != nil || most <= maxRepeat || least > maxRepeat {
			return found
		}
		out := fmt.Sprintf("%s{%d,%d}", parts[1], least, maxRepeat)
		for most -= maxRepeat; most > 0; most -= maxRepeat {
			out += fmt.Sprintf("%s{0,%d}", parts[1], min(most, maxRepeat))
		}
		return out
	})
}
