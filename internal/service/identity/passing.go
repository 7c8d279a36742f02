// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/policy"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// passing adds what the VPC endpoint that a request came by says of it. One that is gone, or
// that the owner of the service does not want any more, lets nothing pass: its connections
// end, but requests may be under way.
func (i *Identities) passing(tx *table.Txn, from *access.Origin, rules *access.Rules) {
	at := from.Endpoint
	if at == (model.Ref{}) {
		return
	}
	rules.EndpointOrganization, rules.EndpointPaths = organized(tx, at.Account)
	switch ep, ok := state.VPCEndpoints.Get(tx, at.Account, at.Region, at.ID); {
	case !ok || ep.Deleting() || !ep.Accepted():
		rules.Endpoint = &policy.Named{Name: at.ID}
	case ep.Policy != "":
		rules.Endpoint = &policy.Named{Name: at.ID, Document: i.docs.endpoints.read(ep)}
	}
}
