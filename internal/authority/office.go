// SPDX-License-Identifier: Apache-2.0

package authority

import (
	"context"
	"crypto/rand"
	"crypto/x509/pkix"
	"fmt"
	"strings"
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
	return o.find(ctx, &model.Authority{Account: account, Region: region, ID: Name}, func(now time.Time) (*Authority, []byte, error) {
		return New(account, region, now)
	})
}

// Installation gives the authority of the installation, which is no account's, as
// Authority does.
func (o Office) Installation(ctx context.Context) (*Authority, error) {
	return o.find(ctx, &model.Authority{ID: InstallationName}, func(now time.Time) (*Authority, []byte, error) {
		return newRoot(pkix.Name{CommonName: "Postern API Root CA G1 " + strings.ToLower(rand.Text()[:8]), Organization: []string{"Postern"}}, now)
	})
}

// find gives the authority that has the key of the row, and makes it when there is none.
func (o Office) find(ctx context.Context, row *model.Authority, found func(now time.Time) (*Authority, []byte, error)) (*Authority, error) {
	account, region, id := row.RowKey()
	tx, err := o.DB.View(ctx)
	if err != nil {
		return nil, fmt.Errorf("find the %s: %w", Describe(row), err)
	}
	if row, ok := state.Authorities.Get(tx, account, region, id); ok {
		return o.read(row)
	}
	fresh, private, err := found(o.Now())
	if err != nil {
		return nil, err
	}
	row.Certificate, row.CreatedAt = string(fresh.Bundle()), o.Now()
	row.Key = o.Seal.SealText(seal.AuthorityKey, private, bound(row))
	kept := row
	_, err = o.DB.Update(ctx, func(tx *table.Txn) error {
		if other, ok := state.Authorities.Get(tx, account, region, id); ok { // somebody was quicker
			kept = other
			return nil
		}
		kept = row
		return state.Authorities.Insert(tx, row)
	})
	if err != nil {
		return nil, fmt.Errorf("make the %s: %w", Describe(row), err)
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
		return nil, fmt.Errorf("read the key of the %s: %w", Describe(row), err)
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

// Describe says whose authority a row is, for errors.
func Describe(row *model.Authority) string {
	if row.ID == InstallationName {
		return "certificate authority of the API"
	}
	return "certificate authority of account " + row.Account + " in " + row.Region
}

// bound is what the key is sealed for.
func bound(row *model.Authority) string { return row.Account + "/" + row.Region + "/" + row.ID }
