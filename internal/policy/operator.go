// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"encoding/base64"
	"net/netip"
	"strings"
	"time"
)

// family is what the values of an operator are.
type family uint8

const (
	words family = iota
	wordsLike
	wordsFold
	numbers
	dates
	booleans
	binaries
	addresses
	arns
	existence
)

// order is which outcomes of a comparison of request and policy an operator wants.
type order uint8

const (
	equal order = iota
	less
	lessEqual
	greater
	greaterEqual
)

// operator is one of the condition operators of
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html.
type operator struct {
	family  family
	order   order
	negated bool
}

// operators has them by name. Their names are compared as they are written.
var operators = map[string]operator{
	"StringEquals":              {family: words},
	"StringNotEquals":           {family: words, negated: true},
	"StringEqualsIgnoreCase":    {family: wordsFold},
	"StringNotEqualsIgnoreCase": {family: wordsFold, negated: true},
	"StringLike":                {family: wordsLike},
	"StringNotLike":             {family: wordsLike, negated: true},
	"NumericEquals":             {family: numbers},
	"NumericNotEquals":          {family: numbers, negated: true},
	"NumericLessThan":           {family: numbers, order: less},
	"NumericLessThanEquals":     {family: numbers, order: lessEqual},
	"NumericGreaterThan":        {family: numbers, order: greater},
	"NumericGreaterThanEquals":  {family: numbers, order: greaterEqual},
	"DateEquals":                {family: dates},
	"DateNotEquals":             {family: dates, negated: true},
	"DateLessThan":              {family: dates, order: less},
	"DateLessThanEquals":        {family: dates, order: lessEqual},
	"DateGreaterThan":           {family: dates, order: greater},
	"DateGreaterThanEquals":     {family: dates, order: greaterEqual},
	"Bool":                      {family: booleans},
	"BinaryEquals":              {family: binaries},
	"IpAddress":                 {family: addresses},
	"NotIpAddress":              {family: addresses, negated: true},
	"ArnEquals":                 {family: arns},
	"ArnLike":                   {family: arns},
	"ArnNotEquals":              {family: arns, negated: true},
	"ArnNotLike":                {family: arns, negated: true},
	"Null":                      {family: existence},
}

// operand is a value of a policy, made ready for comparing.
type operand struct {
	pattern pattern
	// segments are those of an ARN; nil when the text has fewer than six.
	segments []pattern
	number   decimal
	date     time.Time
	flag     bool
	binary   string
	prefix   netip.Prefix
}

// compileOperand reads a value of a policy, or says what is wrong with it.
func (o *operator) compileOperand(source string, vars bool) (v operand, problem string) {
	switch o.family {
	case words, wordsFold, wordsLike:
		v.pattern, problem = compilePattern(source, o.family == wordsLike, vars)
	case arns:
		if v.pattern, problem = compilePattern(source, true, vars); problem == "" {
			v.segments = compileSegments(source, vars)
		}
	case numbers:
		var ok bool
		if v.number, ok = parseDecimal(source); !ok {
			problem = "is no number"
		}
	case dates:
		var ok bool
		if v.date, ok = parseDate(source); !ok {
			problem = "is no date"
		}
	case booleans, existence:
		var ok bool
		if v.flag, ok = parseBool(source); !ok {
			problem = "is neither true nor false"
		}
	case binaries:
		raw, err := base64.StdEncoding.DecodeString(source)
		if err != nil {
			problem = "is not in base64"
		}
		v.binary = string(raw)
	case addresses:
		var ok bool
		if v.prefix, ok = parsePrefix(source); !ok {
			problem = "is no address and no block of addresses"
		}
	}
	return v, problem
}

// compileSegments takes an ARN apart at its first five colons; those inside
// variables are none of its own.
func compileSegments(source string, vars bool) []pattern {
	var segments []pattern
	from, inside := 0, false
	for i := 0; i <= len(source); i++ {
		switch {
		case i == len(source) || source[i] == ':' && !inside && len(segments) < 5:
			p, problem := compilePattern(source[from:i], true, vars)
			if problem != "" {
				return nil
			}
			segments, from = append(segments, p), i+1
		case vars && strings.HasPrefix(source[i:], "${"):
			inside = true
		case source[i] == '}':
			inside = false
		}
	}
	if len(segments) < 6 {
		return nil
	}
	return segments
}

// compare compares a value of a request with one of a policy. It is unknown when
// the value is nothing that the operator compares; a variable without a value equals
// nothing, and whether it differs is unknown.
func (o *operator) compare(value string, v *operand, c Context) tri {
	switch o.family {
	case words, wordsLike:
		return o.unresolved(v.pattern.match(value, c))
	case wordsFold:
		if !v.pattern.resolves(c) {
			return o.unresolved(unknown)
		}
		return truth(strings.EqualFold(value, v.pattern.expand(c)))
	case numbers:
		n, ok := parseDecimal(value)
		return o.ordered(ok, n.compare(v.number))
	case dates:
		d, ok := parseDate(value)
		return o.ordered(ok, d.Compare(v.date))
	case booleans:
		b, ok := parseBool(value)
		return o.ordered(ok, distance(b, v.flag))
	case binaries:
		raw, err := base64.StdEncoding.DecodeString(value)
		return o.ordered(err == nil, strings.Compare(string(raw), v.binary))
	case addresses:
		return compareAddress(value, v.prefix)
	case arns:
		return o.compareARN(value, v, c)
	default:
		return unknown
	}
}

func (o *operator) unresolved(t tri) tri {
	if t == unknown && !o.negated {
		return no
	}
	return t
}

func (o *operator) ordered(ok bool, sign int) tri {
	if !ok {
		return unknown
	}
	switch o.order {
	case less:
		return truth(sign < 0)
	case lessEqual:
		return truth(sign <= 0)
	case greater:
		return truth(sign > 0)
	case greaterEqual:
		return truth(sign >= 0)
	default:
		return truth(sign == 0)
	}
}

// compareARN compares segment by segment, so that a * does not reach over the first
// five colons. A pattern of a single * is any ARN, and a variable alone a whole one.
func (o *operator) compareARN(value string, v *operand, c Context) tri {
	if strings.Count(value, ":") < 5 {
		return unknown
	}
	if v.segments == nil {
		if p := v.pattern.pieces; len(p) == 1 && (p[0].kind == anything || p[0].kind == variable) {
			return o.unresolved(v.pattern.match(value, c))
		}
		return o.unresolved(unknown)
	}
	result := yes
	for i := range v.segments {
		segment := value
		if i < len(v.segments)-1 {
			segment, value, _ = strings.Cut(value, ":")
		}
		result = min(result, o.unresolved(v.segments[i].match(segment, c)))
	}
	return result
}

// compareAddress reports whether an address, or a block as a whole, lies in a
// block. One of the other family does not.
func compareAddress(value string, block netip.Prefix) tri {
	if a, err := netip.ParseAddr(value); err == nil {
		return truth(block.Contains(a.Unmap().WithZone("")))
	}
	p, ok := parsePrefix(value)
	if !ok {
		return unknown
	}
	return truth(p.Bits() >= block.Bits() && block.Contains(p.Addr()))
}

func distance(a, b bool) int {
	if a == b {
		return 0
	}
	return 1
}

// parseBool reads true and false; the case does not matter.
func parseBool(s string) (value, ok bool) {
	if foldEqual(s, "true") {
		return true, true
	}
	return false, foldEqual(s, "false")
}

// parsePrefix reads an address as a block of one, and a block with bits of a host.
func parsePrefix(s string) (netip.Prefix, bool) {
	if !strings.Contains(s, "/") {
		a, err := netip.ParseAddr(s)
		if err != nil || a.Zone() != "" {
			return netip.Prefix{}, false
		}
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	p, err := netip.ParsePrefix(s)
	if err != nil || p.Addr().Is4In6() {
		return netip.Prefix{}, false
	}
	return p.Masked(), true
}

// dateLayouts are the forms of dates of https://www.w3.org/TR/NOTE-datetime. A time
// without its zone is UTC.
var dateLayouts = []string{
	time.RFC3339Nano, "2006-01-02T15:04Z07:00", "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02", "2006-01", "2006",
}

// parseDate reads a date, or seconds since 1970: up to four digits are a year.
func parseDate(s string) (time.Time, bool) {
	if len(s) > 40 {
		return time.Time{}, false
	}
	if !strings.ContainsAny(s, "-T:") && len(s) > 4 {
		n, ok := parseSeconds(s)
		return time.Unix(n, 0), ok
	}
	for _, layout := range dateLayouts {
		// A parse that fails allocates, so only what can be right is tried.
		if strings.Contains(layout, "T") != strings.Contains(s, "T") || !strings.Contains(layout, "T") && len(layout) != len(s) {
			continue
		}
		if t, err := time.Parse(layout, s); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// parseSeconds reads up to twelve digits.
func parseSeconds(s string) (n int64, ok bool) {
	if len(s) > 12 {
		return 0, false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = n*10 + int64(s[i]-'0')
	}
	return n, s != ""
}
