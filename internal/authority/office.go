// SPDX-License-Identifier: Apache-2.0

package authority

import (
	"context"
	"fmt"
	"time"

	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/seal"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// Office keeps the authorities of all accounts, with their keys sealed.
type Office struct {
	DB   *table.DB
	Seal *seal.Keys
	Now  func() time.Time
}

// Authority gives the authority of an account in a region. The first time, it makes one.
//
// When its key cannot be opened, since the sealing key is not here, it gives one that can
// be shown, and certifies nothing: clients trust it already, so that no other must take its
// place unasked.
func (o Office) Authority(ctx context.Context, account, region string) (*Authority, error) {
	tx, err := o.DB.View(ctx)
	if err != nil {
		return nil, fmt.Errorf("find the certificate authority of account %s in %s: %w", account, region, err)
	}
	if row, ok := state.Authorities.Get(tx, account, region, Name); ok {
		return o.read(row)
	}
	fresh, private, err := New(account, region, o.Now())
	if err != nil {
		return nil, err
	}
	row := &model.Authority{Account: account, Region: region, ID: Name, Certificate: string(fresh.Bundle()), CreatedAt: o.Now()}
	row.Key = o.Seal.SealText(seal.AuthorityKey, private, bound(row))
	kept := row
	_, err = o.DB.Update(ctx, func(tx *table.Txn) error {
		if other, ok := state.Authorities.Get(tx, account, region, Name); ok { // somebody was quicker
			kept = other
			return nil
		}
		kept = row
		return state.Authorities.Insert(tx, row)
	})
	if err != nil {
		return nil, fmt.Errorf("make the certificate authority of account %s in %s: %w", account, region, err)
	}
	return o.read(kept)
}

func (o Office) read(row *model.Authority) (*Authority, error) {
	private, err := Key(o.Seal, row)
	if err != nil {
		return ReadPublic([]byte(row.Certificate), err)
	}
	return Read([]byte(row.Certificate), private)
}

// Key gives the private key of an authority in PKCS #8. It fails with seal.ErrUnknownKey
// when the key that sealed it is not here.
func Key(keys *seal.Keys, row *model.Authority) ([]byte, error) {
	private, err := keys.OpenText(seal.AuthorityKey, row.Key, bound(row))
	if err != nil {
		return nil, fmt.Errorf("read the key of certificate authority %s of account %s in %s: %w", row.ID, row.Account, row.Region, err)
	}
	return private, nil
}

// Resealed gives an authority whose key is sealed with the newest sealing key, which is the
// given row when it is so already.
func Resealed(keys *seal.Keys, row *model.Authority) (*model.Authority, error) {
	key, err := keys.ResealText(seal.AuthorityKey, row.Key, bound(row))
	if err != nil || key == row.Key {
		return row, err
	}
	next := row.Clone()
	next.Key = key
	return next, nil
}

// bound is what the key is sealed for.
func bound(row *model.Authority) string { return row.Account + "/" + row.Region + "/" + row.ID }
