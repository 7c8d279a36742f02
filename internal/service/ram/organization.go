// SPDX-License-Identifier: Apache-2.0

package ram

import (
	"context"

	"github.com/posternhq/postern/internal/access"
	shape "github.com/posternhq/postern/internal/aws/shape/ram"
	orgs "github.com/posternhq/postern/internal/organization"
	"github.com/posternhq/postern/internal/table"
)

// EnableSharingWithAwsOrganization lets accounts share with the organization and its units,
// and with each other without invitations. It is what EnableAWSServiceAccess of AWS
// Organizations does with the name of this service.
func (a *API) EnableSharingWithAwsOrganization(ctx context.Context, _ *shape.EnableSharingWithAwsOrganizationInput) (*shape.EnableSharingWithAwsOrganizationOutput, error) {
	who := access.From(ctx)
	_, err := a.DB.Update(ctx, func(tx *table.Txn) error {
		o := orgs.In(tx)
		if o == nil || !who.Owns(o.Account) {
			return notPermitted("account %s is not the management account of an organization", who.Account)
		}
		orgs.Enable(tx, o, orgs.RAM, a.Now())
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &shape.EnableSharingWithAwsOrganizationOutput{ReturnValue: new(true)}, nil
}
