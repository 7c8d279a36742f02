// SPDX-License-Identifier: Apache-2.0

package ram

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/posternhq/postern/internal/access"
	shape "github.com/posternhq/postern/internal/aws/shape/ram"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/policy"
	"github.com/posternhq/postern/internal/policy/permission"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/view"
	"github.com/posternhq/postern/internal/share"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// AssociateResourceShare adds resources and principals to a share. Each principal outside of
// the organization is invited by itself. What is there already stays as it is.
func (a *API) AssociateResourceShare(ctx context.Context, in *shape.AssociateResourceShareInput) (*shape.AssociateResourceShareOutput, error) {
	if err := checkParties(in.ResourceArns, in.Principals, in.Sources); err != nil {
		return nil, err
	}
	who := access.From(ctx)
	out := &shape.AssociateResourceShareOutput{ClientToken: in.ClientToken}
	_, err := service.Change(ctx, a.Env, state.ResourceShares, liveShare, *in.ResourceShareArn, func(tx *table.Txn, s *model.ResourceShare) error {
		rows, err := a.associate(tx, who, s, in.ResourceArns, in.Principals)
		out.ResourceShareAssociations = collect(slices.Values(rows), func(r *model.ShareAssociation) shape.ResourceShareAssociation {
			return showAssociation(s, r)
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func checkParties(resources, principals, sources []string) error {
	switch {
	case len(sources) > 0:
		return invalid("sources: they bound service principals, which nothing is shared with here")
	case len(resources)+len(principals) == 0:
		return invalid("resourceArns, principals: at least one of them must have something")
	}
	return nil
}

// associate adds resources and principals to a share, whose row the caller puts.
func (a *API) associate(tx *table.Txn, who access.View, s *model.ResourceShare, resources, principals []string) ([]*model.ShareAssociation, error) {
	var rows []*model.ShareAssociation
	for _, arn := range resources {
		row, err := a.addResource(tx, who, s, arn)
		if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	for _, principal := range principals {
		row, err := a.addPrincipal(tx, who, s, principal)
		if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	if len(resources) > 0 {
		state.ResourceShares.Put(tx, s) // perhaps with permissions
	}
	return rows, nil
}

// addResource adds a resource of the caller's, with the default permission for its type
// unless the share has one.
func (a *API) addResource(tx *table.Txn, who access.View, s *model.ResourceShare, text string) (*model.ShareAssociation, error) {
	arn, err := model.ParseARN(text)
	if err != nil {
		return nil, problem("MalformedArnException", "resourceArns: %s is no ARN", text)
	}
	kind, ok := permission.Of(arn)
	ref := model.Ref{Account: arn.Account, Region: arn.Region, ID: arn.ID}
	switch {
	case !ok:
		return nil, invalid("resourceArns: %s is of a type that cannot be shared", text)
	case !who.Owns(arn.Account):
		return nil, notPermitted("resourceArns: %s is not the account's own; only the owner of a resource can share it", text)
	case arn.Region != s.Region:
		return nil, invalid("resourceArns: %s is in another region than the resource share", text)
	}
	if err := shareable(tx, who, kind, ref, text); err != nil {
		return nil, err
	}
	if kind.Organization {
		if err := withinOrganization(tx, s, text); err != nil {
			return nil, err
		}
	}
	if row, ok := state.ShareAssociations.Get(tx, s.Account, s.Region, model.ShareResourceID(s.ID, text)); ok {
		return row, nil
	}
	if most := a.Quotas.SharesPerResource; state.ShareAssociationsByResource.Count(tx, ref) >= most {
		return nil, problem("ResourceShareLimitExceededException", "%s is in %d resource shares, the most it can be in", text, most)
	}
	if _, has := s.Permission(kind.Name); !has {
		p, ok := permission.DefaultFor(kind.Name)
		if !ok {
			return nil, invalid("resourceArns: no permission is the default for %s", kind.Name)
		}
		s.Permissions = append(s.Permissions, model.SharePermission{ResourceType: kind.Name, Permission: p.Name, Managed: true, Version: p.Latest()})
	}
	now := a.Now()
	row := &model.ShareAssociation{
		Account: s.Account, Region: s.Region, Share: s.ID, CreatedAt: now, UpdatedAt: now,
		ResourceARN: text, ResourceType: kind.Name, Resource: ref,
	}
	state.ShareAssociations.Put(tx, row)
	return row, nil
}

// shareable wants a resource to be there, and not a part of one that is shared.
func shareable(tx *table.Txn, who access.View, kind *permission.Type, ref model.Ref, text string) error {
	if kind.Name == permission.Subnet {
		return shareableSubnet(tx, who, ref, text)
	}
	rc, ok := view.Get(tx, who, state.ResourceConfigurations, ref.ID)
	switch {
	case !ok, rc.Ref() != ref, rc.Deleting():
		return unknown("Resource %s could not be found.", text)
	case rc.Type == model.TypeChild:
		return invalid("resourceArns: %s is of type CHILD, which is shared with its group %s", text, rc.Group)
	}
	return nil
}

// shareableSubnet wants a subnet to be there, and not in a default VPC
// (https://docs.aws.amazon.com/vpc/latest/userguide/vpc-sharing.html).
func shareableSubnet(tx *table.Txn, who access.View, ref model.Ref, text string) error {
	subnet, ok := view.Get(tx, who, state.Subnets, ref.ID)
	if !ok || subnet.Ref() != ref {
		return unknown("Resource %s could not be found.", text)
	}
	if v, ok := state.VPCs.Get(tx, subnet.Account, subnet.Region, subnet.VPC); ok && v.Default {
		return invalid("resourceArns: %s is in the default VPC, whose subnets cannot be shared", text)
	}
	return nil
}

// withinOrganization wants a share to be with nobody outside of an organization that RAM can
// share in.
func withinOrganization(tx *table.Txn, s *model.ResourceShare, resource string) error {
	if !share.InOrganization(tx, s.Account) {
		return outside(resource, "everybody but "+s.Account)
	}
	for p := range share.In(tx).Principals(s.Ref()) {
		if share.IsExternal(tx, s.Account, p.Principal) {
			return outside(resource, p.Principal)
		}
	}
	return nil
}

// outside refuses to share with a principal what is shared in organizations only.
func outside(resource, principal string) error {
	return notPermitted("%s can be shared within the account's organization only, with sharing enabled there; outside of it is %s", resource, principal)
}

var (
	organization = regexp.MustCompile(`^arn:aws:organizations::[0-9]{12}:(organization/o-[a-z0-9]{10,32}|ou/o-[a-z0-9]{10,32}/ou-[0-9a-z]{4,32}-[a-z0-9]{8,32})$`)
)

// addPrincipal adds a principal; one outside of the organization is invited, also again when
// an invitation has expired.
func (a *API) addPrincipal(tx *table.Txn, who access.View, s *model.ResourceShare, principal string) (*model.ShareAssociation, error) {
	switch {
	case organization.MatchString(principal):
		if !share.KnowsOrganization(tx, s.Account, principal) {
			id := strings.Split(principal, "/")
			return nil, unknown("Organization %s could not be found.", id[1])
		}
	case !policy.IsAccountNumber(principal):
		return nil, invalid("principals: %s is neither an account nor an organization or a unit of one; resources of the types here are not shared with roles and users", principal)
	case who.Owns(principal):
		return nil, invalid("principals: %s is the account that shares; it has what is its own", principal)
	}
	if share.IsExternal(tx, s.Account, principal) {
		for r := range share.In(tx).Resources(s.Ref()) {
			if kind, ok := permission.Named(r.ResourceType); ok && kind.Organization {
				return nil, outside(r.ResourceARN, principal)
			}
		}
	}
	now := a.Now()
	row, ok := state.ShareAssociations.Get(tx, s.Account, s.Region, model.SharePrincipalID(s.ID, principal))
	if ok && !(row.Invited && pending(tx, s.Ref(), principal, now) == nil) {
		return row, nil
	}
	external := share.IsExternal(tx, s.Account, principal)
	if external && !s.AllowExternal {
		return nil, invalid("principals: %s is not in the organization of the account, and the resource share allows no external principals", principal)
	}
	row = &model.ShareAssociation{
		Account: s.Account, Region: s.Region, Share: s.ID, CreatedAt: now, UpdatedAt: now,
		Principal: principal, External: external, Invited: external,
	}
	if external {
		a.invite(tx, s, principal, now)
	}
	state.ShareAssociations.Put(tx, row)
	return row, nil
}

// invite asks a principal whether it wants a share.
func (a *API) invite(tx *table.Txn, s *model.ResourceShare, principal string, now time.Time) {
	state.ShareInvitations.Put(tx, &model.ShareInvitation{
		Account: s.Account, Region: s.Region, ID: a.newID(), CreatedAt: now, Share: s.ID, ShareName: s.Name,
		Receiver: principal, State: model.InvitationPending, ExpiresAt: now.Add(patience(tx, s)),
	})
}

// patienceDefault is how long an invitation to a share without resources can be accepted.
const patienceDefault = 12 * time.Hour

// patience is how long an invitation to a share can be accepted: as long as the resources
// there allow of which each is for itself.
func patience(tx *table.Txn, s *model.ResourceShare) time.Duration {
	var least time.Duration
	for r := range share.In(tx).Resources(s.Ref()) {
		if kind, ok := permission.Named(r.ResourceType); ok && (least == 0 || kind.Invitation < least) {
			least = kind.Invitation
		}
	}
	if least == 0 {
		return patienceDefault
	}
	return least
}

// DisassociateResourceShare takes resources and principals out of a share of the caller's, or
// the caller out of one that it has from others. What was made by the share stays, and
// nothing new is possible.
func (a *API) DisassociateResourceShare(ctx context.Context, in *shape.DisassociateResourceShareInput) (*shape.DisassociateResourceShareOutput, error) {
	if err := checkParties(in.ResourceArns, in.Principals, in.Sources); err != nil {
		return nil, err
	}
	who, now := access.From(ctx), a.Now()
	out := &shape.DisassociateResourceShareOutput{ClientToken: in.ClientToken}
	_, err := a.DB.Update(ctx, func(tx *table.Txn) error {
		s, err := anyShare(tx, who, *in.ResourceShareArn)
		switch {
		case err != nil:
			return err
		case s.Deleting():
			return problem("InvalidStateTransitionException", "ResourceShare %s has been deleted.", *in.ResourceShareArn)
		case !who.Owns(s.Account) && (len(in.ResourceArns) > 0 || !slices.Equal(in.Principals, []string{who.Account})):
			return notPermitted("ResourceShare %s belongs to account %s; others can only take themselves out of it", *in.ResourceShareArn, s.Account)
		}
		out.ResourceShareAssociations = []shape.ResourceShareAssociation{}
		var ids []string
		for _, arn := range in.ResourceArns {
			ids = append(ids, model.ShareResourceID(s.ID, arn))
		}
		for _, principal := range in.Principals {
			ids = append(ids, model.SharePrincipalID(s.ID, principal))
		}
		for _, id := range ids {
			row, ok := state.ShareAssociations.Get(tx, s.Account, s.Region, id)
			if !ok {
				_, entity, _ := strings.Cut(strings.TrimPrefix(id, s.ID+"/"), "/")
				if !who.Owns(s.Account) {
					return notPermitted("account %s has ResourceShare %s by its organization, and cannot leave it by itself", who.Account, *in.ResourceShareArn)
				}
				return unknown("%s is not associated with ResourceShare %s.", entity, *in.ResourceShareArn)
			}
			remove(tx, s, row, now)
			shown := showAssociation(s, row)
			shown.Status, shown.LastUpdatedTime = new(shape.ResourceShareAssociationStatusDisassociated), &now
			out.ResourceShareAssociations = append(out.ResourceShareAssociations, shown)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// remove takes an association out of a share, and an invitation that is not answered with it.
func remove(tx *table.Txn, s *model.ResourceShare, row *model.ShareAssociation, now time.Time) {
	if row.Invited {
		if i := pending(tx, s.Ref(), row.Principal, now); i != nil {
			state.ShareInvitations.Delete(tx, i.Account, i.Region, i.ID)
		}
	}
	account, region, id := row.RowKey()
	state.ShareAssociations.Delete(tx, account, region, id)
}

func showAssociation(s *model.ResourceShare, r *model.ShareAssociation) shape.ResourceShareAssociation {
	kind := shape.ResourceShareAssociationTypeResource
	if r.Principal != "" {
		kind = shape.ResourceShareAssociationTypePrincipal
	}
	return shape.ResourceShareAssociation{
		ResourceShareArn: new(s.ARN()), ResourceShareName: &s.Name, AssociatedEntity: new(r.Entity()), AssociationType: &kind,
		Status: new(associationStatus(r)), External: &r.External, CreationTime: &r.CreatedAt, LastUpdatedTime: lastUpdated(r.CreatedAt, r.UpdatedAt),
	}
}

// associationStatus is the state of an association. It has its effect at once; only a
// principal that is invited has not got it yet.
func associationStatus(r *model.ShareAssociation) string {
	if r.Invited {
		return shape.ResourceShareAssociationStatusAssociating
	}
	return shape.ResourceShareAssociationStatusAssociated
}

// GetResourceShareAssociations lists what the caller's shares have.
func (a *API) GetResourceShareAssociations(ctx context.Context, in *shape.GetResourceShareAssociationsInput) (*shape.GetResourceShareAssociationsOutput, error) {
	who := access.From(ctx)
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	kind := *in.AssociationType
	switch {
	case in.ResourceArn != nil && kind != shape.ResourceShareAssociationTypeResource:
		return nil, invalid("resourceArn: it goes with associationType RESOURCE only")
	case in.Principal != nil && kind != shape.ResourceShareAssociationTypePrincipal:
		return nil, invalid("principal: it goes with associationType PRINCIPAL only")
	}
	shares, err := chosenShares(tx, who, shape.ResourceOwnerSelf, in.ResourceShareArns)
	if err != nil {
		return nil, err
	}
	var rows []shape.ResourceShareAssociation
	for _, s := range shares {
		if s.Deleting() {
			continue
		}
		for r := range state.ShareAssociationsByShare.Rows(tx, s.Ref()) {
			shown := showAssociation(s, r)
			if *shown.AssociationType == kind && allows(in.AssociationStatus, *shown.Status) &&
				allows(in.ResourceArn, r.Entity()) && allows(in.Principal, r.Entity()) {
				rows = append(rows, shown)
			}
		}
	}
	chosen := []any{kind, in.ResourceShareArns, in.ResourceArn, in.Principal, in.AssociationStatus}
	page, next, err := paginate(who, "GetResourceShareAssociations", chosen, in.NextToken, in.MaxResults, rows, func(r shape.ResourceShareAssociation) string {
		return *r.ResourceShareArn + " " + *r.AssociatedEntity
	})
	if err != nil {
		return nil, err
	}
	return &shape.GetResourceShareAssociationsOutput{ResourceShareAssociations: slices.Concat([]shape.ResourceShareAssociation{}, page), NextToken: next}, nil
}

// ListSourceAssociations lists no sources: they bound service principals, which nothing is
// shared with here.
func (a *API) ListSourceAssociations(ctx context.Context, in *shape.ListSourceAssociationsInput) (*shape.ListSourceAssociationsOutput, error) {
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	who := access.From(ctx)
	if _, err := chosenShares(tx, who, shape.ResourceOwnerSelf, in.ResourceShareArns); err != nil {
		return nil, err
	}
	_, _, err = paginate(who, "ListSourceAssociations", nil, in.NextToken, in.MaxResults, []string(nil), func(s string) string { return s })
	if err != nil {
		return nil, err
	}
	return &shape.ListSourceAssociationsOutput{SourceAssociations: []shape.AssociatedSource{}}, nil
}
