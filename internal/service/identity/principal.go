// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"maps"
	"runtime"
	"strings"
	"sync"
	"weak"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/policy"
	"github.com/posternhq/postern/internal/policy/managed"
	"github.com/posternhq/postern/internal/share"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// Rules gives what decides about a caller, by the rows of a transaction, which then
// depends on them. False says that its user or role is gone. A policy that is not there
// or cannot be read allows nothing, and denies what it might.
func (i *Identities) Rules(tx *table.Txn, who *access.Caller) (*access.Rules, bool) {
	rules := &struct {
		access.Rules
		found resources
	}{found: resources{tx: tx, docs: i.docs, account: who.Account, region: who.Region}}
	rules.Shares, rules.Resources = share.In(tx), &rules.found
	known, ok := i.latest.find(tx, who)
	if !ok {
		if known.principal, known.tags, ok = i.principal(tx, who); !ok {
			return nil, false
		}
		known.organization, known.paths = organized(tx, who.Account)
		i.latest.note(tx, who, known)
	}
	rules.Principal, rules.Tags = known.principal, known.tags
	rules.Organization, rules.Paths = known.organization, known.paths
	return &rules.Rules, true
}

// principal reads the policies and tags of a caller.
func (i *Identities) principal(tx *table.Txn, who *access.Caller) (*policy.Principal, map[string]string, bool) {
	p := &policy.Principal{
		Kind: who.Kind, Account: who.Account, ARN: who.ARN, Entity: who.Entity, UniqueID: who.EntityID,
		Controls: i.controls(tx, who.Account),
	}
	if who.EntityID == "" {
		p.Entity = model.ARN("iam", "", who.Account, "root")
	}
	tags, ok := i.entity(tx, who, p)
	if !ok {
		return nil, nil, false
	}
	s := who.Session
	if s == nil {
		return p, tags, true
	}
	i.session(tx, s, p)
	if len(s.Tags) == 0 {
		return p, tags, true
	}
	both := maps.Clone(s.Tags)
	for k, v := range tags {
		if !hasTag(s.Tags, k) {
			both[k] = v
		}
	}
	return p, both, true
}

// hasTag compares keys of tags without case, as IAM does.
func hasTag(tags map[string]string, key string) bool {
	for k := range tags {
		if strings.EqualFold(k, key) {
			return true
		}
	}
	return false
}

// entity adds the policies of the caller's user or role, and gives its tags.
func (i *Identities) entity(tx *table.Txn, who *access.Caller, p *policy.Principal) (map[string]string, bool) {
	switch {
	case who.EntityID == "":
		return nil, true
	case who.Kind == policy.Role:
		role, ok := state.Roles.Get(tx, who.Account, "", who.EntityID)
		if !ok {
			return nil, false
		}
		i.own(tx, p, &role.Meta, role.Policies)
		i.bound(tx, p, role.Boundary)
		return role.Tags, true
	}
	user, ok := state.Users.Get(tx, who.Account, "", who.EntityID)
	if !ok {
		return nil, false
	}
	i.own(tx, p, &user.Meta, user.Policies)
	for _, id := range user.Groups {
		group, ok := state.Groups.Get(tx, who.Account, "", id)
		if !ok {
			p.Identity = append(p.Identity, policy.Named{Name: id})
			continue
		}
		i.own(tx, p, &group.Meta, group.Policies)
	}
	i.bound(tx, p, user.Boundary)
	return user.Tags, true
}

// own adds the policies of one user, group or role: inline ones, and attached ones.
func (i *Identities) own(tx *table.Txn, p *policy.Principal, owner *model.Meta, attached []string) {
	for row := range state.InlinePoliciesByOwner.Rows(tx, owner.Ref()) {
		p.Identity = append(p.Identity, policy.Named{Name: row.Name, Document: i.docs.inline.read(row)})
	}
	for _, id := range attached {
		p.Identity = append(p.Identity, i.managed(tx, owner.Account, id))
	}
}

func (i *Identities) bound(tx *table.Txn, p *policy.Principal, id string) {
	if id != "" {
		named := i.managed(tx, p.Account, id)
		p.Boundary = &named
	}
}

// managed gives a managed policy by its PolicyID: the ARN of one that all accounts have,
// or the unique id of one of the account.
func (i *Identities) managed(tx *table.Txn, of, id string) policy.Named {
	if model.IsManagedByAWS(id) {
		if m, ok := managed.Find(id); ok {
			return policy.Named{ARN: m.ARN, Name: m.Name, Document: m.Document}
		}
		return policy.Named{ARN: id}
	}
	row, ok := state.Policies.Get(tx, of, "", id)
	if !ok {
		return policy.Named{Name: id}
	}
	named := policy.Named{ARN: row.ARN(), Name: row.Name}
	at := row.Version(row.Default)
	if version, ok := state.PolicyVersions.Get(tx, at.Account, at.Region, at.ID); ok {
		named.Document = i.docs.versions.read(version)
	}
	return named
}

// session adds the policies of a session.
func (i *Identities) session(tx *table.Txn, s *access.Session, p *policy.Principal) {
	p.HasSession = s.Bounded
	for _, text := range s.Policies {
		p.Session = append(p.Session, policy.Named{Document: i.docs.session(text)})
	}
	for _, arn := range s.PolicyARNs {
		p.Session = append(p.Session, i.byARN(tx, s.Account, arn))
	}
}

// byARN gives the managed policy that a session names: by its ARN, since it may have been
// made again meanwhile.
func (i *Identities) byARN(tx *table.Txn, of, arn string) policy.Named {
	if !model.IsManagedByAWS(arn) {
		name := arn[strings.LastIndexByte(arn, '/')+1:]
		for row := range state.PoliciesByName.Rows(tx, model.Ref{Account: of, ID: model.FoldName(name)}) {
			if row.ARN() == arn {
				return i.managed(tx, of, row.ID)
			}
		}
		return policy.Named{ARN: arn}
	}
	return i.managed(tx, of, arn)
}

// documents are policies that were read before. Those of rows go with the rows.
type documents struct {
	versions cache[model.PolicyVersion]
	inline   cache[model.InlinePolicy]
	roles    cache[model.Role] // their trust policies
	controls cache[model.ControlPolicy]

	endpoints cache[model.VPCEndpoint]

	mu    sync.Mutex
	texts map[string]*policy.Document
}

func newDocuments() *documents {
	d := &documents{texts: map[string]*policy.Document{}}
	identity := func(text string) (*policy.Document, error) { return policy.Parse(policy.Identity, text) }
	d.versions.begin(func(v *model.PolicyVersion) (*policy.Document, error) { return identity(v.Document) })
	d.inline.begin(func(p *model.InlinePolicy) (*policy.Document, error) { return identity(p.Document) })
	d.roles.begin(trust)
	d.controls.begin(func(p *model.ControlPolicy) (*policy.Document, error) { return policy.Parse(policy.Control, p.Content) })
	d.endpoints.begin(func(e *model.VPCEndpoint) (*policy.Document, error) { return policy.Parse(policy.Resource, e.Policy) })
	return d
}

// trust reads the trust policy of a role. Users and roles that it names are those who were
// there when it was put.
func trust(r *model.Role) (*policy.Document, error) {
	doc, err := policy.Parse(policy.Trust, r.Trust)
	if err != nil {
		return nil, err
	}
	ids := make(map[string]string, len(r.Trusted))
	for _, t := range r.Trusted {
		ids[t.ARN] = t.Entity.ID
	}
	return doc.Bind(ids), nil
}

// fewTexts bounds how many session policies are remembered.
const fewTexts = 512

// session reads the text of a session policy; nil for one that cannot be read.
func (d *documents) session(text string) *policy.Document {
	d.mu.Lock()
	defer d.mu.Unlock()
	doc, ok := d.texts[text]
	if !ok {
		if len(d.texts) >= fewTexts {
			clear(d.texts)
		}
		doc, _ = policy.Parse(policy.Session, text) // nil says all that matters here
		d.texts[text] = doc
	}
	return doc
}

// cache has the documents of rows, which never change: a row that is put again is another
// one.
type cache[T any] struct {
	parse func(*T) (*policy.Document, error)
	mu    sync.RWMutex
	docs  map[weak.Pointer[T]]*policy.Document
}

func (c *cache[T]) begin(parse func(*T) (*policy.Document, error)) {
	c.parse, c.docs = parse, map[weak.Pointer[T]]*policy.Document{}
}

// read gives the document of a row, and nil when its text is none.
func (c *cache[T]) read(row *T) *policy.Document {
	key := weak.Make(row)
	c.mu.RLock()
	doc, ok := c.docs[key]
	c.mu.RUnlock()
	if ok {
		return doc
	}
	doc, err := c.parse(row)
	if err != nil {
		doc = nil // which says all that matters here
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.docs[key]; !ok {
		c.docs[key] = doc
		runtime.AddCleanup(row, c.forget, key)
	}
	return doc
}

func (c *cache[T]) forget(key weak.Pointer[T]) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.docs, key)
}
