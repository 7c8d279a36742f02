// SPDX-License-Identifier: Apache-2.0

package iam

import (
	"context"
	"slices"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/iam"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/account"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// keyOwner is whose access keys a request is about: a user, or the account's own
// administrator.
type keyOwner struct {
	user *model.User // nil for the administrator
	who  access.View
}

// keyOwner finds the owner of keys by a user name, or the caller when there is none.
func (a *API) keyOwner(tx *table.Txn, who access.View, name *string) (keyOwner, error) {
	u, err := a.selfOr(tx, who, name)
	return keyOwner{u, who}, err
}

func (o keyOwner) name() *string {
	if o.user == nil {
		return administratorName(o.who)
	}
	return &o.user.Name
}

// keys are all access keys of the owner.
func (o keyOwner) keys(tx *table.Txn) []*model.AccessKey {
	if o.user != nil {
		return slices.Collect(state.AccessKeysByUser.Rows(tx, o.user.Ref()))
	}
	all := slices.Collect(state.AccessKeysByAccount.Rows(tx, model.Ref{ID: o.who.Account}))
	return slices.DeleteFunc(all, func(k *model.AccessKey) bool { return k.User != "" })
}

// key finds one of the owner's keys.
func (o keyOwner) key(tx *table.Txn, id string) (*model.AccessKey, error) {
	for _, k := range o.keys(tx) {
		if k.ID == id {
			return k, nil
		}
	}
	return nil, noSuchKey(id)
}

func noSuchKey(id string) error {
	return fault.IAM("NoSuchEntity", "The Access Key with id %s cannot be found.", id)
}

func keyStatus(k *model.AccessKey) *string {
	if k.Disabled {
		return new(shape.StatusTypeInactive)
	}
	return new(shape.StatusTypeActive)
}

// CreateAccessKey makes an access key of a user or of the caller. Its answer is the only
// one that has the secret.
func (a *API) CreateAccessKey(ctx context.Context, in *shape.CreateAccessKeyInput) (*shape.CreateAccessKeyOutput, error) {
	who := access.From(ctx)
	key, secret, err := account.NewKey(a.Env, who.Account)
	if err != nil {
		return nil, err
	}
	out := &shape.CreateAccessKeyOutput{}
	_, err = a.DB.Update(ctx, func(tx *table.Txn) error {
		owner, err := a.keyOwner(tx, who, in.UserName)
		if err != nil {
			return err
		}
		if most := a.Quotas.KeysPerUser; len(owner.keys(tx)) >= most {
			return exceeds("AccessKeysPerUser", most)
		}
		k := key.Clone()
		if owner.user != nil {
			k.User = owner.user.ID
		} else {
			k.ARN, k.UserID = who.ARN, who.UserID
		}
		if err := state.AccessKeys.Insert(tx, k); err != nil {
			return err
		}
		out.AccessKey = &shape.AccessKey{
			UserName: owner.name(), AccessKeyId: &k.ID, Status: keyStatus(k), SecretAccessKey: &secret, CreateDate: &k.CreatedAt,
		}
		return nil
	})
	return out, err
}

// UpdateAccessKey makes a key inactive, which is refused from then on, or active again.
func (a *API) UpdateAccessKey(ctx context.Context, in *shape.UpdateAccessKeyInput) (*shape.UpdateAccessKeyOutput, error) {
	if *in.Status == shape.StatusTypeExpired {
		return nil, invalid("Status: a key becomes %s by itself; want %s or %s", shape.StatusTypeExpired, shape.StatusTypeActive, shape.StatusTypeInactive)
	}
	off := *in.Status == shape.StatusTypeInactive
	err := a.changeKey(ctx, in.UserName, *in.AccessKeyId, off, func(tx *table.Txn, k *model.AccessKey) {
		k = k.Clone()
		k.Disabled = off
		state.AccessKeys.Put(tx, k)
	})
	return &shape.UpdateAccessKeyOutput{}, err
}

// DeleteAccessKey deletes a key, whatever it signed for.
func (a *API) DeleteAccessKey(ctx context.Context, in *shape.DeleteAccessKeyInput) (*shape.DeleteAccessKeyOutput, error) {
	err := a.changeKey(ctx, in.UserName, *in.AccessKeyId, true, func(tx *table.Txn, k *model.AccessKey) {
		state.AccessKeys.Delete(tx, "", "", k.ID)
		state.LastUses.Delete(tx, k.Account, "", k.ID)
	})
	return &shape.DeleteAccessKeyOutput{}, err
}

// changeKey changes a key. The last one of the account itself that works is not taken away.
func (a *API) changeKey(ctx context.Context, name *string, id string, takesAway bool, change func(*table.Txn, *model.AccessKey)) error {
	who := access.From(ctx)
	_, err := a.DB.Update(ctx, func(tx *table.Txn) error {
		owner, err := a.keyOwner(tx, who, name)
		if err != nil {
			return err
		}
		k, err := owner.key(tx, id)
		if err != nil {
			return err
		}
		if takesAway && account.IsLast(tx, a.Seal, k) {
			return fault.IAM("DeleteConflict", "The Access Key with id %s is the last one of the account itself that works. Create another one first.", id)
		}
		change(tx, k)
		return nil
	})
	return err
}

// ListAccessKeys lists the keys of a user, or of the caller.
func (a *API) ListAccessKeys(ctx context.Context, in *shape.ListAccessKeysInput) (*shape.ListAccessKeysOutput, error) {
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	who := access.From(ctx)
	owner, err := a.keyOwner(tx, who, in.UserName)
	if err != nil {
		return nil, err
	}
	page, truncated, marker, err := paginate(query{who, "ListAccessKeys", owner.name(), in.Marker, in.MaxItems}, owner.keys(tx),
		func(k *model.AccessKey) string { return k.ID })
	if err != nil {
		return nil, err
	}
	return &shape.ListAccessKeysOutput{
		AccessKeyMetadata: service.Each(page, func(k *model.AccessKey) shape.AccessKeyMetadata {
			return shape.AccessKeyMetadata{UserName: owner.name(), AccessKeyId: &k.ID, Status: keyStatus(k), CreateDate: &k.CreatedAt}
		}),
		IsTruncated: truncated, Marker: marker,
	}, nil
}

// neverUsed is what stands for service and region of a key that was never used.
const neverUsed = "N/A"

// GetAccessKeyLastUsed tells when a key of the account was used last, and for what.
func (a *API) GetAccessKeyLastUsed(ctx context.Context, in *shape.GetAccessKeyLastUsedInput) (*shape.GetAccessKeyLastUsedOutput, error) {
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	who := access.From(ctx)
	k, ok := state.AccessKeys.Get(tx, "", "", *in.AccessKeyId)
	if !ok || !who.Owns(k.Account) {
		return nil, noSuchKey(*in.AccessKeyId)
	}
	out := &shape.GetAccessKeyLastUsedOutput{AccessKeyLastUsed: &shape.AccessKeyLastUsed{ServiceName: new(neverUsed), Region: new(neverUsed)}}
	if u, ok := state.Users.Get(tx, k.Account, "", k.User); ok {
		out.UserName = &u.Name
	} else {
		out.UserName = administratorName(who)
	}
	if use, ok := state.LastUses.Get(tx, k.Account, "", k.ID); ok {
		out.AccessKeyLastUsed = &shape.AccessKeyLastUsed{LastUsedDate: &use.At, ServiceName: &use.Service, Region: &use.Region}
	}
	return out, nil
}
