// SPDX-License-Identifier: Apache-2.0

package iam

import (
	"context"
	"slices"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/iam"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service/view"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// CreateAccountAlias gives the account another name, in place of one that it has.
func (a *API) CreateAccountAlias(ctx context.Context, in *shape.CreateAccountAliasInput) (*shape.CreateAccountAliasOutput, error) {
	who := access.From(ctx)
	err := a.alias(ctx, func(tx *table.Txn, account *model.Account) error {
		for other := range state.AccountsByAlias.Rows(tx, *in.AccountAlias) {
			if !who.Owns(other.ID) {
				return fault.IAM("EntityAlreadyExists", "The account alias %s already exists.", *in.AccountAlias)
			}
		}
		account.Alias = *in.AccountAlias
		return nil
	})
	return &shape.CreateAccountAliasOutput{}, err
}

// DeleteAccountAlias takes the name away that the account has.
func (a *API) DeleteAccountAlias(ctx context.Context, in *shape.DeleteAccountAliasInput) (*shape.DeleteAccountAliasOutput, error) {
	err := a.alias(ctx, func(_ *table.Txn, account *model.Account) error {
		if account.Alias != *in.AccountAlias {
			return fault.IAM("NoSuchEntity", "The account alias %s cannot be found.", *in.AccountAlias)
		}
		account.Alias = ""
		return nil
	})
	return &shape.DeleteAccountAliasOutput{}, err
}

func (a *API) alias(ctx context.Context, change func(*table.Txn, *model.Account) error) error {
	who := access.From(ctx)
	_, err := a.DB.Update(ctx, func(tx *table.Txn) error {
		account, ok := state.Accounts.Get(tx, "", "", who.Account)
		if !ok {
			return noSuchEntity("account", who.Account)
		}
		account = account.Clone()
		if err := change(tx, account); err != nil {
			return err
		}
		state.Accounts.Put(tx, account)
		return nil
	})
	return err
}

// ListAccountAliases lists the other name of the account, if it has one.
func (a *API) ListAccountAliases(ctx context.Context, _ *shape.ListAccountAliasesInput) (*shape.ListAccountAliasesOutput, error) {
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	out := &shape.ListAccountAliasesOutput{AccountAliases: []string{}, IsTruncated: new(false)}
	if account, ok := state.Accounts.Get(tx, "", "", access.From(ctx).Account); ok && account.Alias != "" {
		out.AccountAliases = append(out.AccountAliases, account.Alias)
	}
	return out, nil
}

// GetAccountSummary counts what the account has, and says how much it can have.
func (a *API) GetAccountSummary(ctx context.Context, _ *shape.GetAccountSummaryInput) (*shape.GetAccountSummaryOutput, error) {
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	who := access.From(ctx)
	own := slices.ContainsFunc(keyOwner{nil, who}.keys(tx), func(k *model.AccessKey) bool { return !k.Disabled })
	present := int32(0)
	if own {
		present = 1
	}
	q := &a.Quotas
	return &shape.GetAccountSummaryOutput{SummaryMap: map[string]int32{
		"Users": int32(view.Count(tx, who, state.Users)), "UsersQuota": int32(q.UsersPerAccount),
		"Groups": int32(view.Count(tx, who, state.Groups)), "GroupsQuota": int32(q.GroupsPerAccount),
		"Roles": int32(view.Count(tx, who, state.Roles)), "RolesQuota": int32(q.RolesPerAccount),
		"Policies": int32(view.Count(tx, who, state.Policies)), "PoliciesQuota": int32(q.PoliciesPerAccount),
		"PolicyVersionsInUse": int32(view.Count(tx, who, state.PolicyVersions)), "PolicyVersionsInUseQuota": int32(q.PoliciesPerAccount * q.VersionsPerPolicy),
		"VersionsPerPolicyQuota": int32(q.VersionsPerPolicy), "PolicySizeQuota": maxPolicy, "AssumeRolePolicySizeQuota": maxTrust,
		"UserPolicySizeQuota": int32(users.inline), "GroupPolicySizeQuota": int32(groups.inline), "RolePolicySizeQuota": int32(roles.inline),
		"AttachedPoliciesPerUserQuota": int32(q.PoliciesPerEntity), "AttachedPoliciesPerGroupQuota": int32(q.PoliciesPerEntity), "AttachedPoliciesPerRoleQuota": int32(q.PoliciesPerEntity),
		"GroupsPerUserQuota": int32(q.GroupsPerUser), "AccessKeysPerUserQuota": int32(q.KeysPerUser), "AccountAccessKeysPresent": present,
		"AccountMFAEnabled": 0, "AccountPasswordPresent": 0, "AccountSigningCertificatesPresent": 0, "MFADevices": 0, "MFADevicesInUse": 0,
		"InstanceProfiles": 0, "InstanceProfilesQuota": 0, "Providers": 0, "ServerCertificates": 0, "ServerCertificatesQuota": 0,
		"SigningCertificatesPerUserQuota": 0, "GlobalEndpointTokenVersion": 2,
	}}, nil
}
