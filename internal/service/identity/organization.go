// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/organization"
	"github.com/posternhq/postern/internal/policy"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// organized says where an account is in the organization, if there is one.
func organized(tx *table.Txn, account string) (id string, paths []string) {
	o := organization.In(tx)
	if o == nil {
		return "", nil
	}
	return o.ID, []string{organization.Path(o, organization.Above(tx, o, organization.Account(tx, o, account).Parent))}
}

// controls gives the policies of the organization for an account, by levels; nil for none.
func (i *Identities) controls(tx *table.Txn, account string) (all [][]policy.Named) {
	o := organization.In(tx)
	if o == nil {
		return nil
	}
	for _, level := range organization.Levels(tx, o, account) {
		named := make([]policy.Named, len(level))
		for n, id := range level {
			named[n] = i.control(tx, o, id)
		}
		all = append(all, named)
	}
	return all
}

// controlled says whether policies of the organization bound what a caller does.
func (i *Identities) controlled(tx *table.Txn, who *access.Caller) bool {
	if known, ok := i.latest.find(tx, who); ok {
		return known.principal.Controls != nil
	}
	return i.controls(tx, who.Account) != nil
}

// fullAccess allows everything.
var fullAccess = mustControl(organization.FullAccess)

func mustControl(text string) *policy.Document {
	doc, err := policy.Parse(policy.Control, text)
	if err != nil {
		panic(err)
	}
	return doc
}

func (i *Identities) control(tx *table.Txn, o *model.Organization, id string) policy.Named {
	n := policy.Named{ARN: o.PolicyARN(id)}
	if id == model.FullAccessPolicy {
		n.Name, n.Document = "FullAWSAccess", fullAccess
	} else if row, ok := state.ControlPolicies.Get(tx, o.Account, "", id); ok {
		n.Name, n.Document = row.Name, i.docs.controls.read(row)
	}
	return n
}

// inOrganization gives the ids that ARNs of the organization have: with its own in front.
func inOrganization(kind string) func(resources, *access.Ask) (string, bool) {
	return func(r resources, a *access.Ask) (string, bool) {
		o := organization.In(r.tx)
		if o == nil {
			return "", false
		}
		return o.ID + "/" + kind + a.Resource.ID, true
	}
}
