// SPDX-License-Identifier: Apache-2.0

package policy

import "slices"

// Match is a statement that decided, with its place in the policy's text.
type Match struct {
	Policy *Named
	Layer  Layer
	// Statement counts the statements of the policy from zero.
	Statement  int
	Sid        string
	Deny       bool
	Start, End Position
}

// Explanation is an answer with its reasons.
type Explanation struct {
	Verdict Verdict
	// Matched has the statements that deny, if a Deny decided, and else those that allow.
	Matched []Match
	// Missing lists the condition keys that statements about the action need and the
	// context does not have, as the policies write them.
	Missing []string
}

// Explain answers a question as Evaluate does, and says by which statements.
func Explain(q *Question) Explanation {
	x := Explanation{Verdict: Evaluate(q)}
	e, ok := begin(q)
	if !ok {
		return x
	}
	for _, level := range e.p.Controls {
		e.explain(&x, level, ControlPolicy)
	}
	if q.Endpoint != nil {
		e.explain(&x, []Named{*q.Endpoint}, EndpointPolicy)
	}
	e.explain(&x, q.Resources, ResourcePolicy)
	if q.Trust != nil {
		e.explain(&x, []Named{*q.Trust}, TrustPolicy)
	}
	e.explain(&x, e.p.Identity, IdentityPolicy)
	if e.p.Boundary != nil {
		e.explain(&x, []Named{*e.p.Boundary}, BoundaryPolicy)
	}
	e.explain(&x, e.p.Session, SessionPolicy)
	if e.foreign {
		e.explain(&x, q.Grants, SharePolicy)
	}
	return x
}

func (e *evaluation) explain(x *Explanation, policies []Named, layer Layer) {
	for i := range policies {
		n := &policies[i]
		if n.Document == nil {
			continue
		}
		for j := range n.Document.statements {
			s := &n.Document.statements[j]
			if !s.about(e.service, e.name) {
				continue
			}
			s.keys(func(key, written string) {
				if !e.has(key) && !slices.Contains(x.Missing, written) {
					x.Missing = append(x.Missing, written)
				}
			})
			if t, _ := e.asks(s); s.deny == x.Verdict.Explicit && (t == yes || s.deny && t == unknown) {
				x.Matched = append(x.Matched, Match{n, layer, j, s.sid, s.deny, s.start, s.end})
			}
		}
	}
}

func (e *evaluation) has(key string) bool {
	if e.q.Context == nil {
		return false
	}
	values, present := e.q.Context.Values(key)
	return present && len(values) > 0
}

// keys calls with the condition keys that a statement needs, in lower case and as
// written.
func (s *statement) keys(yield func(key, written string)) {
	variables := func(p *pattern) {
		for _, q := range p.pieces {
			if q.kind == variable && !q.hasDefault {
				yield(q.text, q.written)
			}
		}
	}
	for i := range s.resources {
		variables(&s.resources[i])
	}
	for i := range s.conditions {
		c := &s.conditions[i]
		yield(c.key, c.written)
		for j := range c.values {
			variables(&c.values[j].pattern)
		}
	}
}

// Keys lists the condition keys that the document's conditions and variables name,
// as GetContextKeysForCustomPolicy does.
func (d *Document) Keys() []string {
	var keys []string
	for i := range d.statements {
		d.statements[i].keys(func(_, written string) { keys = append(keys, written) })
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}
