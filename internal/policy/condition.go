// SPDX-License-Identifier: Apache-2.0

package policy

import "strings"

// quantity says how many of a key's values an operator is about.
type quantity uint8

const (
	// plain is an operator without a set qualifier. Of several values any may match,
	// and with a negated operator none may.
	plain quantity = iota
	forAll
	forAny
)

// condition is one key of one operator of a Condition block.
type condition struct {
	operator
	// name and key are as written, and the key in lower case.
	name, written, key string
	quantity           quantity
	ifExists           bool
	values             []operand
	sources            []string
}

// compileOperator takes the name of an operator apart.
func compileOperator(name string) (c condition, ok bool) {
	c.name = name
	base := name
	if rest, found := strings.CutPrefix(base, "ForAllValues:"); found {
		c.quantity, base = forAll, rest
	} else if rest, found := strings.CutPrefix(base, "ForAnyValue:"); found {
		c.quantity, base = forAny, rest
	}
	base, c.ifExists = strings.CutSuffix(base, "IfExists")
	c.operator, ok = operators[base]
	if ok && c.family == existence && (c.ifExists || c.quantity != plain) {
		return c, false
	}
	return c, ok
}

// holds says whether the condition is met.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-single-vs-multi-valued-context-keys.html
func (c *condition) holds(x Context) tri {
	var values []string
	if x != nil {
		if found, present := x.Values(c.key); present {
			values = found
		}
	}
	if c.family == existence {
		return c.missing(len(values) == 0)
	}
	if len(values) == 0 {
		return truth(c.quantity == forAll || c.ifExists || c.negated && c.quantity != forAny)
	}
	if c.quantity == plain {
		most, least := no, yes
		for _, v := range values {
			t := c.among(v, x)
			most, least = max(most, t), min(least, t)
		}
		if most != least && strings.Contains(c.key, "tag/") {
			// Tags whose keys differ by case only: which of them is meant nobody can say.
			return unknown
		}
		return c.signed(most)
	}
	result := truth(c.quantity == forAll)
	for _, v := range values {
		if t := c.signed(c.among(v, x)); c.quantity == forAll {
			result = min(result, t)
		} else {
			result = max(result, t)
		}
	}
	return result
}

func (c *condition) signed(t tri) tri {
	if c.negated {
		return t.not()
	}
	return t
}

// among compares a value with those of the policy. Equal to none of no values is
// nothing that can be said: such a condition helps nobody to an Allow.
func (c *condition) among(value string, x Context) tri {
	result := no
	if len(c.values) == 0 && c.negated {
		return unknown
	}
	for i := range c.values {
		if result = max(result, c.compare(value, &c.values[i], x)); result == yes {
			break
		}
	}
	return result
}

// missing answers Null.
func (c *condition) missing(absent bool) tri {
	for i := range c.values {
		if c.values[i].flag == absent {
			return yes
		}
	}
	return no
}
