// SPDX-License-Identifier: Apache-2.0

package policytest

import (
	"fmt"
	"strings"

	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/policy"
)

// kinds are the kinds of documents by the names that the corpus has for layers.
var kinds = map[string]policy.Kind{
	"identity": policy.Identity, "boundary": policy.Boundary, "session": policy.Session, "control": policy.Control,
	"resource": policy.Resource, "endpoint": policy.Resource, "trust": policy.Trust, "grant": policy.Permission,
}

// Kind finds a kind of documents by its name in the corpus.
func Kind(name string) (policy.Kind, bool) {
	kind, ok := kinds[name]
	return kind, ok
}

// ID is the unique id of a user or role of the corpus: it is made of the name, so
// that texts can have it.
func ID(kind, name string) string {
	prefix := "AIDA"
	if kind == "role" {
		prefix = "AROA"
	}
	name = strings.ToUpper(name)
	return prefix + name + strings.Repeat("2", max(0, 17-len(name)))
}

// Principal makes the principal of an ask without policies.
func (a *Ask) Principal() (*policy.Principal, error) {
	kind, name, _ := strings.Cut(a.As, " ")
	p := &policy.Principal{Account: a.Account}
	switch kind {
	case "root":
		p.Kind, p.UniqueID = policy.Root, a.Account
		p.ARN = model.ARN("iam", "", a.Account, "root")
		p.Entity = p.ARN
	case "user":
		p.Kind, p.UniqueID = policy.User, ID("user", name)
		p.ARN = model.ARN("iam", "", a.Account, "user/"+name)
		p.Entity = p.ARN
	case "role":
		role, session, ok := strings.Cut(name, "/")
		if !ok {
			return nil, fmt.Errorf("principal %q: want ROLE/SESSION", a.As)
		}
		p.Kind, p.UniqueID = policy.Role, ID("role", role)
		p.ARN = model.ARN("sts", "", a.Account, "assumed-role/"+role+"/"+session)
		p.Entity = model.ARN("iam", "", a.Account, "role/"+role)
	case "federated":
		// The session of user ann, or of the root where it is called after it.
		p.Kind, p.UniqueID, p.HasSession = policy.Federated, ID("user", "ann"), true
		p.ARN = model.ARN("sts", "", a.Account, "federated-user/"+name)
		p.Entity = model.ARN("iam", "", a.Account, "user/ann")
		if strings.HasPrefix(name, "root") {
			p.Entity, p.UniqueID = model.ARN("iam", "", a.Account, "root"), a.Account
		}
	case "service":
		p.Kind, p.Account, p.ARN, p.Entity = policy.Service, "", name, name
	case "nobody":
	default:
		return nil, fmt.Errorf("principal %q: there is no such kind", a.As)
	}
	return p, nil
}

// Question makes the question of an ask.
func (a *Ask) Question() (*policy.Question, error) {
	p, err := a.Principal()
	if err != nil {
		return nil, err
	}
	q := &policy.Question{Principal: p, Action: a.Action, Resource: a.Resource, ResourceAccount: a.Owner, Context: a.Context}
	levels := map[string]int{}
	for i, source := range a.Policies {
		n := policy.Named{ARN: fmt.Sprintf("arn:aws:iam::%s:policy/p%d", Account, i), Name: fmt.Sprintf("p%d", i)}
		if source.Text != "" {
			if n.Document, err = policy.Parse(kinds[source.Layer], source.Text); err != nil {
				return nil, fmt.Errorf("%s: %w", source.Text, err)
			}
		}
		switch source.Layer {
		case "identity":
			p.Identity = append(p.Identity, n)
		case "boundary":
			p.Boundary = &n
		case "session":
			p.Session, p.HasSession = append(p.Session, n), true
		case "control":
			level, ok := levels[source.Level]
			if !ok {
				level = len(p.Controls)
				levels[source.Level] = level
				p.Controls = append(p.Controls, nil)
			}
			p.Controls[level] = append(p.Controls[level], n)
		case "resource":
			q.Resources = append(q.Resources, bind(n))
		case "trust":
			n = bind(n)
			q.Trust = &n
		case "endpoint":
			q.Endpoint = &n
		case "grant":
			q.Grants = append(q.Grants, n)
		}
	}
	return q, nil
}

// bind knows every user and role by the id that the corpus gives it, but for
// those that are called "gone": they were made anew since.
func bind(n policy.Named) policy.Named {
	if n.Document == nil {
		return n
	}
	ids := map[string]string{}
	for _, arn := range n.Document.Principals() {
		kind, name, _ := strings.Cut(arn[strings.LastIndex(arn, ":")+1:], "/")
		if name = name[strings.LastIndex(name, "/")+1:]; name == "gone" {
			ids[arn] = ID(kind, "before")
			continue
		}
		ids[arn] = ID(kind, name)
	}
	n.Document = n.Document.Bind(ids)
	return n
}

// Answer prints a verdict in the words of the corpus.
func Answer(v policy.Verdict) string {
	outcome := "implicitDeny"
	switch {
	case v.Allowed:
		outcome = "allowed"
	case v.Explicit:
		outcome = "explicitDeny"
	}
	for name, layer := range layers {
		if layer == v.Layer {
			return outcome + " " + name
		}
	}
	return outcome
}
