// SPDX-License-Identifier: Apache-2.0

package postern

import (
	"context"
	"time"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/authority"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/postern"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/state"
)

// GetCertificateAuthority gives the certificate authority of an account in the region of the
// request, which the first one who asks makes.
func (a *API) GetCertificateAuthority(ctx context.Context, in *shape.GetCertificateAuthorityInput) (*shape.GetCertificateAuthorityOutput, error) {
	who := access.From(ctx)
	id := service.Value(in.AccountId)
	if id == "" {
		id = who.Account
	}
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	if _, ok := state.Accounts.Get(tx, "", "", id); !ok || !who.Owns(id) && !who.Management {
		return nil, fault.NotFound(kindAccount, id)
	}
	ca, err := authority.Office{DB: a.DB, Seal: a.Seal, Now: a.Now}.Authority(ctx, id, who.Region)
	if err != nil {
		return nil, err
	}
	from, till := ca.Valid()
	out := &shape.GetCertificateAuthorityOutput{
		AccountId: &id, Region: &who.Region, Name: new(authority.Name), Certificate: new(string(ca.Bundle())), Thumbprint: new(ca.Thumbprint()),
		Subject: new(ca.Subject()), ValidFrom: new(from.UTC().Format(time.RFC3339)), ValidTill: new(till.UTC().Format(time.RFC3339)),
	}
	if problem := ca.Problem(); problem != nil {
		out.Problem = new("it certifies nothing: " + problem.Error())
	}
	return out, nil
}
