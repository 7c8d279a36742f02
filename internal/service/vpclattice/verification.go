// SPDX-License-Identifier: Apache-2.0

package vpclattice

import (
	"context"
	"strings"
	"time"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/vpclattice"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/view"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// StartDomainVerification makes a verification, which is pending until the TXT record that it
// tells is found in public.
func (a *API) StartDomainVerification(ctx context.Context, in *shape.StartDomainVerificationInput) (*shape.StartDomainVerificationOutput, error) {
	who := access.From(ctx)
	fingerprint := *in
	fingerprint.ClientToken = nil
	request := a.Idempotent(who, "StartDomainVerification", in.ClientToken, fingerprint)
	if err := checkDomain("domainName", *in.DomainName); err != nil {
		return nil, err
	}
	if err := service.CheckTagMap(in.Tags); err != nil {
		return nil, asFault(err)
	}
	v := a.newVerification(who, in)
	if _, err := model.NormalName(v.Label + "." + v.Domain); err != nil {
		return nil, fault.Validation("domainName", "%s is too long: with the label %s of its record in front it is no domain name", v.Domain, v.Label)
	}
	out, err := service.Create(ctx, request,
		func(tx *table.Txn, id string) (*model.DomainVerification, error) {
			return replayed(tx, state.DomainVerifications, who, kindVerification, id)
		},
		func(tx *table.Txn) (*model.DomainVerification, error) {
			if most := a.Quotas.VerificationsPerRegion; view.Count(tx, who, state.DomainVerifications) >= most {
				return nil, fault.QuotaExceeded(kindVerification, "", "verifications-per-region", "the account has %d domain verifications in this region, the most it can have", most)
			}
			state.DomainVerifications.Put(tx, v)
			return v, nil
		},
		func(_ *table.Txn, v *model.DomainVerification) *shape.StartDomainVerificationOutput {
			return &shape.StartDomainVerificationOutput{Id: &v.ID, Arn: new(v.ARN()), DomainName: &v.Domain, Status: &v.State, TxtMethodConfig: record(v)}
		})
	return out, asFault(err)
}

// newVerification gives the row of a new verification. Nobody can guess its record: who
// puts it there was told.
func (a *API) newVerification(who access.View, in *shape.StartDomainVerificationInput) *model.DomainVerification {
	now := a.Now()
	random := func() string { return strings.TrimPrefix(a.NewID(""), "-") }
	v := &model.DomainVerification{
		Meta:   model.Meta{Account: who.Account, Region: who.Region, ID: a.NewID("dv"), CreatedAt: now, Tags: in.Tags},
		Domain: *in.DomainName, Label: "_" + random(), Value: "vpc-lattice:" + random(),
	}
	v.Await(now)
	return v
}

// record tells which TXT record is looked for: its first label, below which the domain is,
// and its text.
func record(v *model.DomainVerification) *shape.TxtMethodConfig {
	return &shape.TxtMethodConfig{Name: &v.Label, Value: &v.Value}
}

// GetDomainVerification tells of one verification.
func (a *API) GetDomainVerification(ctx context.Context, in *shape.GetDomainVerificationInput) (*shape.GetDomainVerificationOutput, error) {
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	v, err := find(tx, state.DomainVerifications, access.From(ctx), kindVerification, *in.DomainVerificationIdentifier)
	if err != nil {
		return nil, err
	}
	return &shape.GetDomainVerificationOutput{
		Id: &v.ID, Arn: new(v.ARN()), DomainName: &v.Domain, Status: &v.State, TxtMethodConfig: record(v),
		CreatedAt: &v.CreatedAt, LastVerifiedTime: lastVerified(v), Tags: v.Tags,
	}, nil
}

// lastVerified is when the record was last found; nil when it never was.
func lastVerified(v *model.DomainVerification) *time.Time {
	if v.VerifiedAt.IsZero() {
		return nil
	}
	return &v.VerifiedAt
}

// ListDomainVerifications lists the caller's verifications.
func (a *API) ListDomainVerifications(ctx context.Context, in *shape.ListDomainVerificationsInput) (*shape.ListDomainVerificationsOutput, error) {
	who := access.From(ctx)
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	page, next, err := paginate(who, "ListDomainVerifications", nil, in.NextToken, in.MaxResults, view.All(tx, who, state.DomainVerifications))
	if err != nil {
		return nil, err
	}
	out := &shape.ListDomainVerificationsOutput{Items: []shape.DomainVerificationSummary{}, NextToken: next}
	for _, v := range page {
		out.Items = append(out.Items, shape.DomainVerificationSummary{
			Id: &v.ID, Arn: new(v.ARN()), DomainName: &v.Domain, Status: &v.State, TxtMethodConfig: record(v),
			CreatedAt: &v.CreatedAt, LastVerifiedTime: lastVerified(v), Tags: v.Tags,
		})
	}
	return out, nil
}

// DeleteDomainVerification forgets a verification. Resource configurations that it speaks
// for still name it, and nothing is verified for them any more.
func (a *API) DeleteDomainVerification(ctx context.Context, in *shape.DeleteDomainVerificationInput) (*shape.DeleteDomainVerificationOutput, error) {
	_, err := a.DB.Update(ctx, func(tx *table.Txn) error {
		v, err := find(tx, state.DomainVerifications, access.From(ctx), kindVerification, *in.DomainVerificationIdentifier)
		if err != nil {
			return err
		}
		account, region, id := v.RowKey()
		state.DomainVerifications.Delete(tx, account, region, id)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &shape.DeleteDomainVerificationOutput{}, nil
}

// verificationFor finds the verification that a new configuration names, which is the
// caller's own and of a domain that the configuration's is in, if it has one. It may be
// pending.
func verificationFor(tx *table.Txn, n *newConfiguration) (*model.DomainVerification, error) {
	identifier := *n.in.DomainVerificationIdentifier
	v, err := find(tx, state.DomainVerifications, n.who, kindVerification, identifier)
	switch {
	case err != nil:
		return nil, err
	case n.who.Own(v.ID) != v.Ref():
		return nil, fault.NotFound(kindVerification, identifier)
	}
	for _, domain := range []string{service.Value(n.in.CustomDomainName), service.Value(n.in.GroupDomain)} {
		if domain != "" && !within(domain, v.Domain) {
			return nil, fault.Validation(memberVerification, "%s verifies %s, which %s is not in", v.ID, v.Domain, domain)
		}
	}
	return v, nil
}

// within reports whether a domain is another one or below it.
func within(domain, above string) bool {
	name, err := model.NormalName(domain)
	top, noTop := model.NormalName(above)
	return err == nil && noTop == nil && model.NameWithin(name, top)
}

// verificationOf tells what speaks for the domains of a configuration; nil is what is not
// there.
func verificationOf(tx *table.Txn, r *model.ResourceConfiguration) (id, arn, status *string) {
	v, ok := state.DomainVerifications.Get(tx, r.Account, r.Region, r.Verification)
	if !ok {
		return service.Optional(r.Verification), nil, nil
	}
	return &v.ID, new(v.ARN()), &v.State
}
