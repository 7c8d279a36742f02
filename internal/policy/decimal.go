// SPDX-License-Identifier: Apache-2.0

package policy

import "strings"

// decimal is a number as it is written, without leading and trailing zeros: it is
// compared exactly, whatever its length. Zero has no digits and no sign.
type decimal struct {
	negative        bool
	whole, fraction string
}

// parseDecimal reads digits with an optional sign and fraction.
func parseDecimal(s string) (d decimal, ok bool) {
	switch {
	case strings.HasPrefix(s, "-"):
		d.negative, s = true, s[1:]
	case strings.HasPrefix(s, "+"):
		s = s[1:]
	}
	whole, fraction, dot := strings.Cut(s, ".")
	if !digits(whole) || !digits(fraction) || whole == "" || dot && fraction == "" {
		return decimal{}, false
	}
	d.whole, d.fraction = strings.TrimLeft(whole, "0"), strings.TrimRight(fraction, "0")
	if d.whole == "" && d.fraction == "" {
		d.negative = false
	}
	return d, true
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// compare is negative, zero or positive as d is less than, equal to or greater than e.
func (d decimal) compare(e decimal) int {
	if d.negative != e.negative {
		if d.negative {
			return -1
		}
		return 1
	}
	sign := len(d.whole) - len(e.whole)
	if sign == 0 {
		sign = strings.Compare(d.whole, e.whole)
	}
	if sign == 0 {
		// Digits of fractions count from the left, and none is less than any.
		sign = strings.Compare(d.fraction, e.fraction)
	}
	if d.negative {
		return -sign
	}
	return sign
}
