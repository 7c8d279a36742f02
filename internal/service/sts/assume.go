// SPDX-License-Identifier: Apache-2.0

package sts

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/sts"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/policy"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// AssumeRole begins a session of a role, of any account, whose trust policy lets the
// caller: https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
func (a API) AssumeRole(ctx context.Context, in *shape.AssumeRoleInput) (*shape.AssumeRoleOutput, error) {
	who := access.From(ctx)
	if err := noCode(in.SerialNumber, in.TokenCode); err != nil {
		return nil, err
	}
	if len(in.ProvidedContexts) > 0 {
		return nil, fault.STS(codeParameter, "ProvidedContexts: this endpoint knows no provider of contexts.")
	}
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	role, ok := roleOf(tx, *in.RoleArn)
	if !ok { // the same as for a role that does not trust the caller
		return nil, fault.STS(codeDenied, "User: %s is not authorized to perform: sts:AssumeRole on resource: %s", who.ARN, *in.RoleArn)
	}
	s := &access.Session{Account: role.Account, Kind: policy.Role, Entity: role.ID, Through: through(who, role), Name: *in.RoleSessionName}
	lasts, err := duration(who, role, in.DurationSeconds)
	if err != nil {
		return nil, err
	}
	if err := bind(tx, s, in.Policy, in.PolicyArns); err != nil {
		return nil, err
	}
	if err := tag(s, who.Session, in.Tags, in.TransitiveTagKeys); err != nil {
		return nil, err
	}
	if s.SourceIdentity, err = source(who, in); err != nil {
		return nil, err
	}
	if err := a.begin(s, lasts); err != nil {
		return nil, err
	}
	t, err := a.tell(s, in.MinimumSessionTokenSize)
	if err != nil {
		return nil, err
	}
	out := &shape.AssumeRoleOutput{
		AssumedRoleUser: &shape.AssumedRoleUser{
			AssumedRoleId: new(role.ID + ":" + s.Name),
			Arn:           new(model.ARN("sts", "", role.Account, "assumed-role/"+role.Name+"/"+s.Name)),
		},
		Credentials: t.credentials, PackedPolicySize: t.packed, SessionTokenSize: t.size, SessionTokenUtilization: t.utilization,
	}
	if s.SourceIdentity != "" {
		out.SourceIdentity = &s.SourceIdentity
	}
	return out, nil
}

// roleOf finds a role of any account by its ARN, whose path matters.
func roleOf(tx *table.Txn, arn string) (*model.Role, bool) {
	named, err := model.ParseARN(arn)
	if err != nil {
		return nil, false
	}
	name := model.FoldName(arn[strings.LastIndexByte(arn, '/')+1:])
	for role := range state.RolesByName.Rows(tx, model.Ref{Account: named.Account, ID: name}) {
		return role, role.ARN() == arn
	}
	return nil, false
}

// through are the accounts other than the role's that a session of it begins from.
func through(who access.View, role *model.Role) []string {
	all := []string{who.Account}
	if who.Session != nil {
		all = append(all, who.Session.Through...)
	}
	slices.Sort(all)
	all = slices.Compact(all)
	if i, its := slices.BinarySearch(all, role.Account); its {
		all = slices.Delete(all, i, i+1)
	}
	return all
}

// duration is how long a session of a role lasts: at most as the role says, and at most an
// hour for callers that are sessions of roles themselves:
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles.html#iam-term-role-chaining
func duration(who access.View, role *model.Role, seconds *int32) (time.Duration, error) {
	if seconds == nil {
		return roleSession, nil
	}
	lasts := time.Duration(*seconds) * time.Second
	switch {
	case lasts > max(roleSession, time.Duration(role.MaxSession)*time.Second):
		return 0, fault.STS(codeValidation, "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
	case who.Kind == policy.Role && lasts > roleSession:
		return 0, fault.STS(codeValidation, "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining")
	}
	return lasts, nil
}

// source is the source identity of a session, which goes on from the caller's, and cannot
// be another one then:
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_temp_control-access_monitor.html
func source(who access.View, in *shape.AssumeRoleInput) (string, error) {
	given := ""
	if in.SourceIdentity != nil {
		given = *in.SourceIdentity
	}
	if given != "" && strings.HasPrefix(fold(given), "aws:") {
		return "", fault.STS(codeParameter, "SourceIdentity: %s begins with aws:, which is reserved.", given)
	}
	if who.Session == nil || who.Session.SourceIdentity == "" {
		return given, nil
	}
	if given != "" && given != who.Session.SourceIdentity {
		return "", fault.STS(codeDenied, "User: %s is not authorized to perform: sts:SetSourceIdentity on resource: %s because the source identity of the calling session cannot be changed",
			who.ARN, *in.RoleArn)
	}
	return who.Session.SourceIdentity, nil
}
