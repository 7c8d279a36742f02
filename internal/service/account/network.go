// SPDX-License-Identifier: Apache-2.0

package account

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/posternhq/postern/internal/alloc"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/ec2/vpc"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// network is a default VPC that an account is about to be given.
type network struct {
	env             *service.Env
	account, region string
	parts           *vpc.Parts
}

func newNetwork(env *service.Env, account, region string) network {
	return network{env, account, region, vpc.NewDefault(env, account, region)}
}

// give writes the VPC, unless the account has a default VPC in the region or
// had one and deleted it. An account that may have no VPCs gets none.
func (n network) give(tx *table.Txn) error {
	row, ok := state.Accounts.Get(tx, "", "", n.account)
	if !ok || slices.Contains(row.DefaultVPCs, n.region) {
		return nil
	}
	if vpc.Default(tx, n.account, n.region) == nil {
		var quota *vpc.QuotaError
		switch err := n.parts.Insert(tx, n.env); {
		case errors.As(err, &quota):
			return nil
		case err != nil:
			return fmt.Errorf("give it a default vpc in %s: %w", n.region, err)
		}
	}
	row = row.Clone()
	row.DefaultVPCs = append(row.DefaultVPCs, n.region)
	state.Accounts.Put(tx, row)
	return nil
}

// giveDefaultVPCs gives each account a default VPC in each region where it was
// not given one: those of a data folder from before there were default VPCs,
// those made while they were left out, and all of them in a region that is
// served for the first time. What cannot be given for want of room is left for
// the next start.
func giveDefaultVPCs(ctx context.Context, env *service.Env) error {
	tx, err := env.DB.View(ctx)
	if err != nil {
		return err
	}
	for account := range state.Accounts.All(tx) {
		for _, region := range env.Regions {
			if slices.Contains(account.DefaultVPCs, region) {
				continue
			}
			n := newNetwork(env, account.ID, region)
			_, err := env.DB.Update(ctx, n.give)
			if errors.Is(err, alloc.ErrTransitFull) {
				env.Log.Warn("an account has no default vpc", "account", account.ID, "region", region, "error", err)
				continue
			}
			if err != nil {
				return fmt.Errorf("account %s: %w", account.ID, err)
			}
		}
	}
	return nil
}
