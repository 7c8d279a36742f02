// SPDX-License-Identifier: Apache-2.0

package iam

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/iam"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

func versionName(number int) string { return "v" + strconv.Itoa(number) }

// versionNumber reads the name of a version; zero for none.
func versionNumber(name string) int {
	n, err := strconv.Atoi(strings.TrimPrefix(name, "v"))
	if err != nil || versionName(n) != name {
		return 0
	}
	return n
}

func noSuchVersion(arn, version string) error {
	return fault.IAM("NoSuchEntity", "Policy %s version %s does not exist or is not attachable.", arn, version)
}

// version finds a version of a policy; nil when there is none.
func version(tx *table.Txn, p *model.Policy, number int) *model.PolicyVersion {
	ref := p.Version(number)
	v, ok := state.PolicyVersions.Get(tx, ref.Account, ref.Region, ref.ID)
	if !ok {
		return nil
	}
	return v
}

// listedVersion is a version as lists have it: without the document.
func listedVersion(p *model.Policy, v *model.PolicyVersion) shape.PolicyVersion {
	return shape.PolicyVersion{VersionId: new(versionName(v.Number)), IsDefaultVersion: new(v.Number == p.Default), CreateDate: &v.CreatedAt}
}

// versionsOf are all versions of a policy with their documents, the last one first.
func versionsOf(tx *table.Txn, p *managedView) (all []shape.PolicyVersion) {
	if p.aws != nil {
		return []shape.PolicyVersion{{VersionId: new(versionName(1)), IsDefaultVersion: new(true), CreateDate: &awsSince, Document: encoded(p.aws.Text)}}
	}
	if p.row == nil {
		return nil
	}
	for v := range state.PolicyVersionsByPolicy.Rows(tx, p.row.Ref()) {
		s := listedVersion(p.row, v)
		s.Document = encoded(v.Document)
		all = append([]shape.PolicyVersion{s}, all...)
	}
	return all
}

// changePolicy changes a policy of the caller's and perhaps its versions.
func (a *API) changePolicy(ctx context.Context, arn string, change func(*table.Txn, *model.Policy) error) error {
	_, err := service.Change(ctx, a.Env, state.Policies, ownPolicy, arn, change)
	return err
}

// CreatePolicyVersion makes another version, and makes it count if the request says so.
func (a *API) CreatePolicyVersion(ctx context.Context, in *shape.CreatePolicyVersionInput) (*shape.CreatePolicyVersionOutput, error) {
	if err := checkManaged(*in.PolicyDocument); err != nil {
		return nil, err
	}
	out := &shape.CreatePolicyVersionOutput{}
	err := a.changePolicy(ctx, *in.PolicyArn, func(tx *table.Txn, p *model.Policy) error {
		if most := a.Quotas.VersionsPerPolicy; state.PolicyVersionsByPolicy.Count(tx, p.Ref()) >= most {
			return fault.IAM("LimitExceeded", "A managed policy can have up to %d versions. Before you create a new version, you must delete an existing version.", most)
		}
		p.Last++
		if service.Value(in.SetAsDefault) {
			p.Default = p.Last
		}
		v := &model.PolicyVersion{Account: p.Account, Policy: p.ID, Number: p.Last, Document: *in.PolicyDocument, CreatedAt: a.Now()}
		state.PolicyVersions.Put(tx, v)
		out.PolicyVersion = new(listedVersion(p, v))
		return nil
	})
	return out, err
}

// GetPolicyVersion shows a version with its document.
func (a *API) GetPolicyVersion(ctx context.Context, in *shape.GetPolicyVersionInput) (*shape.GetPolicyVersionOutput, error) {
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	p, err := managedPolicy(tx, access.From(ctx), *in.PolicyArn)
	switch {
	case err != nil:
		return nil, err
	case p == nil:
		return nil, noSuchPolicy(*in.PolicyArn)
	}
	for _, v := range versionsOf(tx, p) {
		if *v.VersionId == *in.VersionId {
			return &shape.GetPolicyVersionOutput{PolicyVersion: &v}, nil
		}
	}
	return nil, noSuchVersion(*in.PolicyArn, *in.VersionId)
}

// ListPolicyVersions lists the versions of a policy, the last one first.
func (a *API) ListPolicyVersions(ctx context.Context, in *shape.ListPolicyVersionsInput) (*shape.ListPolicyVersionsOutput, error) {
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	who := access.From(ctx)
	p, err := managedPolicy(tx, who, *in.PolicyArn)
	switch {
	case err != nil:
		return nil, err
	case p == nil:
		return nil, noSuchPolicy(*in.PolicyArn)
	}
	all := versionsOf(tx, p)
	for i := range all {
		all[i].Document = nil
	}
	page, truncated, marker, err := paginate(query{who, "ListPolicyVersions", p.id, in.Marker, in.MaxItems}, all,
		func(v shape.PolicyVersion) string { return fmt.Sprintf("%012d", lastFirst-versionNumber(*v.VersionId)) })
	if err != nil {
		return nil, err
	}
	return &shape.ListPolicyVersionsOutput{Versions: page, IsTruncated: truncated, Marker: marker}, nil
}

// lastFirst is more than any number of a version; less that number is the order of lists.
const lastFirst = 1 << 32

// SetDefaultPolicyVersion makes a version count.
func (a *API) SetDefaultPolicyVersion(ctx context.Context, in *shape.SetDefaultPolicyVersionInput) (*shape.SetDefaultPolicyVersionOutput, error) {
	err := a.changePolicy(ctx, *in.PolicyArn, func(tx *table.Txn, p *model.Policy) error {
		v := version(tx, p, versionNumber(*in.VersionId))
		if v == nil {
			return noSuchVersion(*in.PolicyArn, *in.VersionId)
		}
		p.Default = v.Number
		return nil
	})
	return &shape.SetDefaultPolicyVersionOutput{}, err
}

// DeletePolicyVersion deletes a version that does not count.
func (a *API) DeletePolicyVersion(ctx context.Context, in *shape.DeletePolicyVersionInput) (*shape.DeletePolicyVersionOutput, error) {
	err := a.changePolicy(ctx, *in.PolicyArn, func(tx *table.Txn, p *model.Policy) error {
		v := version(tx, p, versionNumber(*in.VersionId))
		switch {
		case v == nil:
			return noSuchVersion(*in.PolicyArn, *in.VersionId)
		case v.Number == p.Default:
			return fault.IAM("DeleteConflict", "Cannot delete the default version of a policy.")
		}
		state.PolicyVersions.Delete(tx, v.Account, "", model.PolicyVersionID(v.Policy, v.Number))
		return nil
	})
	return &shape.DeletePolicyVersionOutput{}, err
}
