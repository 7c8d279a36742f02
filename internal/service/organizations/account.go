// SPDX-License-Identifier: Apache-2.0

package organizations

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"

	"github.com/posternhq/postern/internal/alloc"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/organizations"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/organization"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/account"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// emailOf is the address of an account: one that nobody reads where there is none
// (RFC 2606).
func emailOf(known *model.OrganizationAccount) string {
	if known.Email != "" {
		return known.Email
	}
	return known.ID + "@accounts.invalid"
}

func showAccount(tx *table.Txn, o *model.Organization, row *model.Account, known *model.OrganizationAccount) shape.Account {
	s := shape.Account{
		Id: &row.ID, Arn: new(o.AccountARN(row.ID)), Email: new(emailOf(known)), Name: &row.Name,
		Status: new(shape.AccountStatusActive), State: new(shape.AccountStateActive), JoinedMethod: new(shape.AccountJoinedMethodInvited), JoinedTimestamp: &known.CreatedAt,
		Paths: []string{organization.Path(o, organization.Above(tx, o, known.Parent)) + row.ID + "/"},
	}
	if row.Name == "" {
		s.Name = &row.ID
	}
	if known.Request != "" {
		s.JoinedMethod = new(shape.AccountJoinedMethodCreated)
	}
	if row.Disabled {
		s.Status, s.State = new(shape.AccountStatusSuspended), new(shape.AccountStateSuspended)
	}
	return s
}

// noAccount says that an account is not of the installation.
func noAccount(id string) error {
	return fault.AWSJSON("AccountNotFoundException", "You specified an account that doesn't exist: %s.", id)
}

// listed gives the accounts for which in is true.
func listed(tx *table.Txn, o *model.Organization, in func(*model.OrganizationAccount) bool) (all []shape.Account) {
	for row, known := range accounts(tx, o) {
		if in(known) {
			all = append(all, showAccount(tx, o, row, known))
		}
	}
	return all
}

func accountID(a shape.Account) string { return *a.Id }

// ListAccounts lists all accounts.
func (a *API) ListAccounts(ctx context.Context, in *shape.ListAccountsInput) (*shape.ListAccountsOutput, error) {
	tx, o, err := a.read(ctx)
	if err != nil {
		return nil, err
	}
	all := listed(tx, o, func(*model.OrganizationAccount) bool { return true })
	page, next, err := paginate(ctx, "ListAccounts", nil, in.NextToken, in.MaxResults, all, accountID)
	return &shape.ListAccountsOutput{Accounts: page, NextToken: next}, err
}

// ListAccountsForParent lists the accounts in a unit or in the root.
func (a *API) ListAccountsForParent(ctx context.Context, in *shape.ListAccountsForParentInput) (*shape.ListAccountsForParentOutput, error) {
	tx, o, err := a.read(ctx)
	if err != nil {
		return nil, err
	}
	above, err := parent(tx, o, *in.ParentId, noParent)
	if err != nil {
		return nil, err
	}
	all := listed(tx, o, func(known *model.OrganizationAccount) bool { return known.Parent == above })
	page, next, err := paginate(ctx, "ListAccountsForParent", in.ParentId, in.NextToken, in.MaxResults, all, accountID)
	return &shape.ListAccountsForParentOutput{Accounts: page, NextToken: next}, err
}

// DescribeAccount gives an account.
func (a *API) DescribeAccount(ctx context.Context, in *shape.DescribeAccountInput) (*shape.DescribeAccountOutput, error) {
	tx, o, err := a.read(ctx)
	if err != nil {
		return nil, err
	}
	row, ok := state.Accounts.Get(tx, "", "", *in.AccountId)
	if !ok {
		return nil, noAccount(*in.AccountId)
	}
	return &shape.DescribeAccountOutput{Account: new(showAccount(tx, o, row, organization.Account(tx, o, row.ID)))}, nil
}

// MoveAccount puts an account into another unit, or into the root.
func (a *API) MoveAccount(ctx context.Context, in *shape.MoveAccountInput) (*shape.MoveAccountOutput, error) {
	return nil, a.change(ctx, func(tx *table.Txn, o *model.Organization) error {
		if !organization.Has(tx, *in.AccountId) {
			return noAccount(*in.AccountId)
		}
		from, err := parent(tx, o, *in.SourceParentId, "SourceParentNotFoundException")
		if err != nil {
			return err
		}
		into, err := parent(tx, o, *in.DestinationParentId, "DestinationParentNotFoundException")
		if err != nil {
			return err
		}
		known := organization.Account(tx, o, *in.AccountId).Clone()
		switch {
		case known.Parent == into:
			return fault.AWSJSON("DuplicateAccountException", "The account %s is already in %s.", known.ID, *in.DestinationParentId)
		case known.Parent != from:
			return fault.AWSJSON("AccountNotFoundException", "The account %s is not in %s.", known.ID, *in.SourceParentId)
		}
		known.Parent, known.UpdatedAt = into, a.Now()
		state.OrganizationAccounts.Put(tx, known)
		return nil
	})
}

// accessRole is the role that the management account comes into a new account by, unless
// it says another name
// (https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_accounts_access.html).
const accessRole = "OrganizationAccountAccessRole"

var roleName = regexp.MustCompile(`^[\w+=,.@-]{1,64}$`)

// CreateAccount makes an account at once. Nobody has a key of it: the management account
// comes into it by its role.
func (a *API) CreateAccount(ctx context.Context, in *shape.CreateAccountInput) (*shape.CreateAccountOutput, error) {
	tags, err := makeTags(in.Tags)
	if err != nil {
		return nil, err
	}
	name := service.Value(in.RoleName)
	if name == "" {
		name = accessRole
	} else if !roleName.MatchString(name) {
		return nil, invalid("INVALID_ROLE_NAME", "You provided a role name that isn't valid: %s.", name)
	}
	fresh, err := account.New(a.Env, account.NewID(a.Env), *in.AccountName)
	if err != nil {
		return nil, err
	}
	roleID, err := model.NewUniqueID(a.Rand, model.RolePrefix)
	if err != nil {
		return nil, err
	}
	id, now, out := fresh.Account.ID, a.Now(), &shape.CreateAccountOutput{}
	request := "car-" + a.id(32)
	fresh.Key = nil
	fresh.Besides = func(tx *table.Txn) error {
		o := organization.In(tx)
		if o == nil {
			return notInUse()
		}
		for row, known := range accounts(tx, o) {
			if emailOf(known) == *in.Email && !row.Disabled {
				return invalid("INVALID_EMAIL_ADDRESS_TARGET", "The email address %s is that of account %s already.", *in.Email, row.ID)
			}
		}
		known := &model.OrganizationAccount{Meta: model.Meta{Account: o.Account, ID: id, CreatedAt: now, Tags: tags}, Email: *in.Email, Request: request}
		state.OrganizationAccounts.Put(tx, known)
		state.Roles.Put(tx, &model.Role{
			Meta: model.Meta{Account: id, ID: roleID, CreatedAt: now}, Name: name, Path: "/", MaxSession: 3600,
			Trust:    fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"%s"},"Action":"sts:AssumeRole"}]}`, model.ARN("iam", "", o.Account, "root")),
			Policies: []string{"arn:" + model.Partition + ":iam::aws:policy/AdministratorAccess"},
		})
		out.CreateAccountStatus = new(creation(fresh.Account, known))
		return nil
	}
	if err := fresh.Create(ctx, a.Env); errors.Is(err, alloc.ErrTransitFull) {
		return nil, violates("ACCOUNT_NUMBER_LIMIT_EXCEEDED", "This installation has no room for another account's default VPCs: %v.", err)
	} else if err != nil {
		return nil, err
	}
	return out, nil
}

// creation is how the creation of an account went: it is over when it was asked for.
func creation(row *model.Account, known *model.OrganizationAccount) shape.CreateAccountStatus {
	return shape.CreateAccountStatus{
		Id: &known.Request, AccountName: &row.Name, AccountId: &row.ID, State: new(shape.CreateAccountStateSucceeded),
		RequestedTimestamp: &known.CreatedAt, CompletedTimestamp: &known.CreatedAt,
	}
}

// creations lists how accounts were made.
func creations(tx *table.Txn, o *model.Organization) (all []shape.CreateAccountStatus) {
	for row, known := range accounts(tx, o) {
		if known.Request != "" {
			all = append(all, creation(row, known))
		}
	}
	return all
}

// DescribeCreateAccountStatus gives how the creation of an account went.
func (a *API) DescribeCreateAccountStatus(ctx context.Context, in *shape.DescribeCreateAccountStatusInput) (*shape.DescribeCreateAccountStatusOutput, error) {
	tx, o, err := a.read(ctx)
	if err != nil {
		return nil, err
	}
	for _, c := range creations(tx, o) {
		if *c.Id == *in.CreateAccountRequestId {
			return &shape.DescribeCreateAccountStatusOutput{CreateAccountStatus: &c}, nil
		}
	}
	return nil, fault.AWSJSON("CreateAccountStatusNotFoundException", "You specified a request to create an account that doesn't exist: %s.", *in.CreateAccountRequestId)
}

// ListCreateAccountStatus lists how the creations of accounts went.
func (a *API) ListCreateAccountStatus(ctx context.Context, in *shape.ListCreateAccountStatusInput) (*shape.ListCreateAccountStatusOutput, error) {
	tx, o, err := a.read(ctx)
	if err != nil {
		return nil, err
	}
	all := slices.DeleteFunc(creations(tx, o), func(c shape.CreateAccountStatus) bool {
		return len(in.States) > 0 && !slices.Contains(in.States, *c.State)
	})
	page, next, err := paginate(ctx, "ListCreateAccountStatus", in.States, in.NextToken, in.MaxResults, all, func(c shape.CreateAccountStatus) string { return *c.Id })
	return &shape.ListCreateAccountStatusOutput{CreateAccountStatuses: page, NextToken: next}, err
}

// CloseAccount disables an account. What it has goes on working, as it does after
// `postern account disable`, and `postern account enable` opens it again.
func (a *API) CloseAccount(ctx context.Context, in *shape.CloseAccountInput) (*shape.CloseAccountOutput, error) {
	return nil, a.change(ctx, func(tx *table.Txn, o *model.Organization) error {
		row, ok := state.Accounts.Get(tx, "", "", *in.AccountId)
		switch {
		case !ok:
			return noAccount(*in.AccountId)
		case row.Management:
			return violates("CANNOT_CLOSE_MANAGEMENT_ACCOUNT", "You can't close the management account.")
		case row.Disabled:
			return fault.AWSJSON("AccountAlreadyClosedException", "The account %s is already closed.", row.ID)
		}
		row = row.Clone()
		row.Disabled = true
		state.Accounts.Put(tx, row)
		return nil
	})
}
