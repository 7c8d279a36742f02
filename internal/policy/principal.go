// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"slices"
	"strings"

	"github.com/posternhq/postern/internal/model"
)

// grade is how a resource policy names a principal, and thereby what else must
// allow where the resource is of the same account.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-denyallow.html
type grade uint8

const (
	unnamed grade = iota
	// ofAccount names the account, which decides with its own policies.
	ofAccount
	// ofEntity names the role of a session, or the user that a session was made for:
	// boundary and session policies still bind.
	ofEntity
	// direct names the one who asks, or everybody: nothing else must allow.
	direct
)

// principalType is the name of a member of Principal.
type principalType uint8

const (
	everybody principalType = iota
	account
	entity  // the ARN of a user or role
	session // the ARN of an assumed role or a federated user
	identifier
	service
	outsider // what nobody here is: providers of identities, canonical users
)

type namedPrincipal struct {
	kind principalType
	text string
	// id is the unique id that an entity is known by, once the document is bound.
	id string
}

// principals is what Principal or NotPrincipal lists.
type principals struct {
	list  []namedPrincipal
	bound bool
	// types and sources are as written, for printing; everyone says that it is "*".
	types    []string
	sources  [][]string
	everyone bool
}

func (p *parser) principals(s *statement, element string, n *node) *Error {
	switch {
	case p.kind == Trust && element == "NotPrincipal", p.kind == Permission:
		return &Error{Text: textNoField + element}
	case p.kind != Trust && p.kind != Resource:
		return &Error{Text: textPrincipal}
	}
	s.principals = &principals{}
	if n.shape == text && n.text == "*" {
		s.principals.everyone, s.principals.list = true, []namedPrincipal{{kind: everybody}}
		return nil
	}
	if n.shape == text {
		return InvalidPrincipal(n.text)
	}
	if n.shape != object {
		return syntax(p.where, `has %s that is neither "*" nor an object`, element)
	}
	for i, kind := range n.names {
		sources, ok := n.members[i].texts(false)
		if !ok {
			return syntax(p.where, "has principals of %s that are neither a string nor a list of strings", kind)
		}
		s.principals.types, s.principals.sources = append(s.principals.types, kind), append(s.principals.sources, sources)
		for _, source := range sources {
			named, ok := compilePrincipal(kind, source)
			if !ok {
				return invalidPrincipal(strings.Replace(strings.ToUpper(kind), "CANONICALUSER", "CanonicalUser", 1), source)
			}
			s.principals.list = append(s.principals.list, named)
		}
	}
	if len(s.principals.list) == 0 {
		return &Error{Text: textNobody}
	}
	return nil
}

// compilePrincipal reads a principal. ARNs have no wildcards:
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html.
func compilePrincipal(kind, source string) (namedPrincipal, bool) {
	switch kind {
	case "AWS":
		return compileAWS(source)
	case "Service":
		ok := strings.HasSuffix(source, ".amazonaws.com") && !strings.ContainsAny(source, "*?:/ $")
		return namedPrincipal{kind: service, text: source}, ok
	case "Federated", "CanonicalUser":
		return namedPrincipal{kind: outsider, text: source}, source != "" && !strings.ContainsAny(source, "*?")
	default:
		return namedPrincipal{}, false
	}
}

func compileAWS(source string) (namedPrincipal, bool) {
	switch {
	case source == "*":
		return namedPrincipal{kind: everybody}, true
	case IsAccountNumber(source):
		return namedPrincipal{kind: account, text: source}, true
	case len(source) >= 16 && (strings.HasPrefix(source, "AIDA") || strings.HasPrefix(source, "AROA")) && !strings.ContainsFunc(source, notBase32):
		return namedPrincipal{kind: identifier, text: source}, true
	case strings.ContainsAny(source, "*?$ "):
		return namedPrincipal{}, false
	}
	arn, err := model.ParseARN(source)
	if err != nil || arn.Region != "" || !IsAccountNumber(arn.Account) {
		return namedPrincipal{}, false
	}
	kind, name := arn.Type, arn.ID
	switch {
	case arn.Service == "iam" && kind == "" && name == "root":
		return namedPrincipal{kind: account, text: arn.Account}, true
	case kind == "" || name == "" || strings.HasSuffix(name, "/"):
		return namedPrincipal{}, false
	case arn.Service == "iam" && (kind == "user" || kind == "role"):
		return namedPrincipal{kind: entity, text: source}, true
	case arn.Service == "sts" && kind == "assumed-role" && strings.Count(name, "/") == 1,
		arn.Service == "sts" && kind == "federated-user" && !strings.Contains(name, "/"):
		return namedPrincipal{kind: session, text: source}, true
	}
	return namedPrincipal{}, false
}

// IsAccountNumber reports whether a text has the form of an account's number: 12 digits.
func IsAccountNumber(s string) bool { return len(s) == 12 && digits(s) }

func notBase32(r rune) bool { return (r < 'A' || r > 'Z') && (r < '0' || r > '9') }

// names says how an entry names a principal.
func (n *namedPrincipal) names(p *Principal, bound bool) grade {
	switch n.kind {
	case everybody:
		return direct
	case account:
		if n.text == p.Account && p.Kind != Service {
			return ofAccount
		}
	case session:
		if n.text == p.ARN && p.Kind != Service {
			return direct
		}
	case service:
		if n.text == p.ARN && p.Kind == Service {
			return direct
		}
	case identifier:
		if n.text == p.UniqueID {
			return p.own()
		}
	case entity:
		if n.text == p.Entity && (!bound || n.id != "" && n.id == p.UniqueID) {
			return p.own()
		}
	}
	return unnamed
}

// own is how naming the entity of a principal names the principal.
func (p *Principal) own() grade {
	switch p.Kind {
	case User:
		return direct
	case Role, Federated:
		return ofEntity
	default:
		return unnamed
	}
}

// names is the best of how the entries name a principal.
func (l *principals) names(p *Principal) grade {
	best := unnamed
	for i := range l.list {
		best = max(best, l.list[i].names(p, l.bound))
	}
	return best
}

// excepts reports whether NotPrincipal leaves a principal out of a Deny: with its
// account, and with itself or its role. One with a boundary is never left out.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_notprincipal.html
func (l *principals) excepts(p *Principal) bool {
	if p.Boundary != nil {
		return false
	}
	var ofItsAccount, itself bool
	for i := range l.list {
		n := &l.list[i]
		switch g := n.names(p, l.bound); {
		case g == ofAccount:
			ofItsAccount = true
		case g == direct && n.kind == everybody, g == direct && n.kind == service:
			return true
		case g == direct && p.Kind != Role, g == ofEntity && p.Kind == Role:
			itself = true
		}
	}
	return ofItsAccount && (itself || p.Kind == Root)
}

// Principals lists the ARNs of users and roles that the document names as principals:
// who stores it looks them up, and refuses it when one is not there.
func (d *Document) Principals() []string { return d.named(entity) }

// Accounts lists the accounts that the document names as principals, by number. They are
// looked up as well.
func (d *Document) Accounts() []string { return d.named(account) }

func (d *Document) named(kind principalType) []string {
	var texts []string
	for i := range d.statements {
		if l := d.statements[i].principals; l != nil {
			for _, n := range l.list {
				if n.kind == kind {
					texts = append(texts, n.text)
				}
			}
		}
	}
	slices.Sort(texts)
	return slices.Compact(texts)
}

// Bind returns the document with principals known by their unique ids: ids has those
// of ARNs in Principals. An ARN that it does not have matches nobody, and so a user or
// role that is made anew is another.
func (d *Document) Bind(ids map[string]string) *Document {
	bound := *d
	bound.statements = slices.Clone(d.statements)
	for i := range bound.statements {
		s := &bound.statements[i]
		if s.principals == nil {
			continue
		}
		l := *s.principals
		l.bound, l.list = true, slices.Clone(l.list)
		for j := range l.list {
			if l.list[j].kind == entity {
				l.list[j].id = ids[l.list[j].text]
			}
		}
		s.principals = &l
	}
	return &bound
}
