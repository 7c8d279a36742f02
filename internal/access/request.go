// SPDX-License-Identifier: Apache-2.0

package access

import (
	"net/netip"
	"reflect"
	"strings"
	"time"

	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/policy"
)

// Kind is a type of resources, under the names that AWS's Service Authorization
// Reference has for it.
type Kind struct {
	Service, Type string
	// Prefix is what ids begin with, for requests that name resources of several
	// kinds by id alone; empty where no request does.
	Prefix string
	// NoRegion says that ARNs of the kind have no region.
	NoRegion bool
	// NoAccount says that they do not tell whose the resource is either.
	NoAccount bool
	// Colon says that ARNs have a colon before the id, where others have a slash.
	Colon bool
	// Keys are the condition keys that are read from the resource, in lower case. Tags
	// are not among them.
	Keys []string
}

// Resource is one that a request is about. The zero Resource stands for none in
// particular, which policies write as *.
type Resource struct {
	Kind *Kind
	model.Ref
}

// unknownID is the id of what is being made, and of what the request names by
// something else than its id.
const unknownID = "*"

// ARN names the resource as policies do.
func (r Resource) ARN() string {
	if r.Kind == nil {
		return "*"
	}
	region, account := r.Region, r.Account
	if r.Kind.NoRegion {
		region = ""
	}
	if r.Kind.NoAccount {
		account = ""
	}
	between := "/"
	if r.Kind.Colon {
		between = ":"
	}
	return model.ARN(r.Kind.Service, region, account, r.Kind.Type+between+r.ID)
}

// Ask is one action on one resource. A request is allowed when all of its asks are.
type Ask struct {
	Action   string // such as ec2:CreateVpc
	Resource Resource
	// Mentioned says that the request only refers to the resource: whose it is
	// matters, but policies are not asked about it.
	Mentioned bool
	// Other is what names the resource in place of its id, when the resource must be
	// found by it; its id is then unknown.
	Other string
	// To is what the resource will be called, when it is that which is asked about.
	To *Name

	need   *Need
	target *Target // nil for no resource
}

// Name is what becomes of a name in IAM; empty parts stay as they are.
type Name struct{ Path, Name string }

// id is the name of what an id, with its path, is that of now.
func (n *Name) id(now string) string {
	at := strings.LastIndexByte(now, '/') + 1
	path, name := now[:at], now[at:]
	if n.Path != "" {
		path = strings.TrimPrefix(n.Path, "/")
	}
	if n.Name != "" {
		name = n.Name
	}
	return path + name
}

// arn is what policies are asked about, of the resource as ARNs have it.
func (a *Ask) arn(r Resource) string {
	if a.To != nil {
		r.ID = a.To.id(r.ID)
	}
	return r.ARN()
}

// Made reports whether the ask is about something that the request makes.
func (a *Ask) Made() bool { return a.target != nil && a.target.Path == nil }

func (a *Ask) trusts() bool { return a.target != nil && a.target.Trusts }

// Asked is what a request asks for, and who asks.
type Asked struct {
	Caller *Caller
	// Management says that only the management account may.
	Management bool
	// Hides says that what is not the caller's does not exist for it: see Passes.
	Hides bool
	// Explained says that a denial comes with its reasons encoded.
	Explained bool
	// Operation is what was asked for, and Input what it was given, which is read for
	// condition keys.
	Operation *Operation
	Input     any
	Origin    Origin
	Asks      []Ask

	// Revision is that of the state in which it was decided that the request goes on; zero
	// for none.
	Revision int64
}

// Request is the question that Decide answers, with the room to answer it in.
type Request struct {
	Asked

	facts    facts
	question policy.Question
}

// Own reports whether the request is about nothing but what would be the caller's account's.
func (r *Asked) Own() bool {
	for i := range r.Asks {
		a := &r.Asks[i]
		if a.trusts() || a.Resource.Kind != nil && !owns(r.Caller.Account, a.Action, a.Resource.Ref, nil) {
			return false
		}
	}
	return true
}

// Origin is where a request came from, and when.
type Origin struct {
	// Address is invalid when the request did not come over IP.
	Address netip.Addr
	// Secure says that it came over TLS.
	Secure             bool
	UserAgent, Referer string
	Time               time.Time
	Entrance
}

// Entrance is the VPC endpoint by which a request came; zero when it came by none.
type Entrance struct {
	Endpoint model.Ref
	// VPC is the one that the endpoint is in.
	VPC string
	// Source is the client's address in the VPC, and invalid when it is not known.
	Source netip.Addr
}

// Service is what the table knows of a service.
type Service struct {
	// Hides says that what is not the caller's and not shared with it does not
	// exist for it: the answer is the one for an id that nothing has, not a denial.
	Hides      bool
	Operations map[string]*Operation
}

// Operation is what an operation asks for: at least one need.
type Operation struct {
	Management bool // it is for the management account only
	// Free says that no policies are asked: everybody may, or its handler decides.
	Free  bool
	Needs []Need
	// Tags lead to the members with tags, or keys of tags, that the request is about.
	Tags [][]int
}

// name is what the operation is called.
func (o *Operation) name() string {
	_, name, _ := strings.Cut(o.Needs[0].Action, ":")
	return name
}

// Need is an action with the resources that it is asked on.
type Need struct {
	Action string
	// When is the member of the input that makes the need one, nil when it always
	// is. Like all paths it has the indexes of struct fields, through lists.
	When    []int
	Targets []Target
	// Keys are the condition keys that the request has for all its resources.
	Keys []Key
}

// Key is a condition key that has its values from a member of the request.
type Key struct {
	Name string // in lower case
	Path []int
	Form Form
	// Kind is that of the resource whose id the member has, for the form ARN. With Of, the
	// values are those of that key of the resource.
	Kind *Kind
	Of   string
}

// Form is how values of a member become those of a condition key.
type Form uint8

// The forms.
const (
	Plain Form = iota
	// ARN is that of the resource of a kind whose id the member has.
	ARN
	// DNS is a name of the DNS in lower case and without the dot at the end.
	DNS
	// VPC is a structure that names a VPC, as Route 53 writes it.
	VPC
)

// Target is one place of an input that names resources.
type Target struct {
	// Kinds are what can be named there, one unless ids or ARNs tell them apart.
	Kinds []*Kind
	// Path leads to the member that has ids or ARNs; nil for a resource that the
	// operation makes.
	Path []int
	// ByOther says that the member has something else, such as the id of a part,
	// by which the resource is found in the transaction.
	ByOther   bool
	Mentioned bool
	// Before leads to what comes before the id in names: the path of something that the
	// operation makes. Nil for nothing.
	Before []int
	// NewPath and NewName lead to what the resource will be called, and nothing is asked
	// when both are empty; nil when that is not what is asked about.
	NewPath, NewName []int
	// OrCaller says that it is the caller itself when the member is not there.
	OrCaller bool
	// OrAll says that it is all that there are of the kind when the member is not there.
	OrAll bool
	// Trusts says that the trust policy of the resource, a role, must let the caller, and
	// that it does not matter whose the role is.
	Trusts bool
	// Keys are the condition keys that the request has for the resources named here, beside
	// those of the need. They are what it makes them with.
	Keys []Key
}

// Ask appends what an input of the operation asks for to asks. The input is a
// pointer to the struct that the table was generated for.
func (o *Operation) Ask(asks []Ask, who *Caller, in any) []Ask {
	v := reflect.ValueOf(in).Elem()
	for i := range o.Needs {
		asks = o.Needs[i].ask(asks, who, v)
	}
	return asks
}

func (n *Need) ask(asks []Ask, who *Caller, in reflect.Value) []Ask {
	if n.When != nil && isUnset(in, n.When) && !who.Session.goesOn(n.Action) {
		return asks
	}
	first := len(asks)
	for i := range n.Targets {
		t := &n.Targets[i]
		if t.Path == nil {
			asks = append(asks, Ask{Action: n.Action, Resource: t.own(who, unknownID), need: n, target: t})
			continue
		}
		var to *Name
		if t.NewName != nil {
			path, _ := stringIn(in.FieldByIndex(t.NewPath))
			name, _ := stringIn(in.FieldByIndex(t.NewName))
			if to = (&Name{path, name}); *to == (Name{}) {
				continue
			}
		}
		before := len(asks)
		asks = t.ask(asks, n, who, in, t.Path)
		if t.OrCaller && len(asks) == before {
			asks = t.askAboutCaller(asks, n, who)
		}
		if t.OrAll && len(asks) == before {
			asks = append(asks, Ask{Action: n.Action, Resource: t.own(who, unknownID), need: n, target: t})
		}
		if to != nil && len(asks) > before {
			asks[before].To = to
		}
		if t.Before != nil && len(asks) > before {
			path, _ := stringIn(in.FieldByIndex(t.Before))
			r := &asks[before].Resource
			r.ID = strings.TrimPrefix(path+r.ID, "/")
		}
	}
	for i := first; i < len(asks); i++ {
		if !asks[i].Mentioned {
			return asks
		}
	}
	return append(asks, Ask{Action: n.Action, need: n})
}

// askAboutCaller appends an ask about the user or role that calls, if the target is of
// its kind.
func (t *Target) askAboutCaller(asks []Ask, n *Need, who *Caller) []Ask {
	arn, err := model.ParseARN(who.Entity)
	for _, k := range t.Kinds {
		if err == nil && arn.Service == k.Service && arn.Type == k.Type {
			return append(asks, Ask{Action: n.Action, Resource: Resource{k, model.Ref{Account: who.Account, ID: arn.ID}}, need: n, target: t})
		}
	}
	return asks
}

// ask appends an ask for each string at the end of the path.
func (t *Target) ask(asks []Ask, n *Need, who *Caller, v reflect.Value, path []int) []Ask {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			asks = t.ask(asks, n, who, v.Elem(), path)
		}
	case reflect.Slice:
		for i := range v.Len() {
			asks = t.ask(asks, n, who, v.Index(i), path)
		}
	case reflect.Struct:
		asks = t.ask(asks, n, who, v.Field(path[0]), path[1:])
	case reflect.String:
		if v.Len() > 0 {
			a := Ask{Action: n.Action, Resource: t.named(who, v.String()), Mentioned: t.Mentioned, need: n, target: t}
			if t.ByOther {
				a.Other = v.String()
			}
			asks = append(asks, a)
		}
	}
	return asks
}

func isUnset(v reflect.Value, path []int) bool {
	for _, i := range path {
		for v.Kind() == reflect.Pointer {
			if v.IsNil() {
				return true
			}
			v = v.Elem()
		}
		v = v.Field(i)
	}
	return v.IsZero() || v.Kind() == reflect.Slice && v.Len() == 0
}

// named gives the resource that an identifier names. What is no ARN of a kind that
// the target has is taken for an id of the caller's: the handler will say what is
// wrong with it, and find nothing of others by it.
func (t *Target) named(who *Caller, identifier string) Resource {
	if t.ByOther {
		return t.own(who, unknownID)
	}
	if !strings.HasPrefix(identifier, "arn:") {
		return t.own(who, identifier)
	}
	arn, err := model.ParseARN(identifier)
	for _, k := range t.Kinds {
		if err == nil && arn.Service == k.Service && arn.Type == k.Type {
			return Resource{k, model.Ref{Account: arn.Account, Region: arn.Region, ID: arn.ID}}
		}
	}
	return t.own(who, identifier)
}

func (t *Target) own(who *Caller, id string) Resource {
	kind := t.Kinds[0]
	for _, k := range t.Kinds[1:] {
		if k.Prefix != "" && strings.HasPrefix(id, k.Prefix) {
			kind = k
		}
	}
	return Resource{kind, model.Ref{Account: who.Account, Region: who.Region, ID: id}}
}
