// SPDX-License-Identifier: Apache-2.0

package rds

import (
	"context"
	"errors"

	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/seal"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// setPassword gives a database another password of its master user; id is that of the row,
// which the password is sealed for.
func (a *API) setPassword(d *model.Database, id, password string) {
	d.Password = a.Seal.SealText(seal.DatabasePassword, []byte(password), id)
	d.Secret++
}

// movePassword has the password that a database had be that of another one. One that cannot be
// opened any more, as the keys are gone, nobody has: a new one is to be set.
func (a *API) movePassword(d *model.Database, from, to string) {
	text, err := a.Seal.OpenText(seal.DatabasePassword, d.Password, from)
	if err != nil {
		d.Password, d.Secret = "", 0
		return
	}
	d.Password = a.Seal.SealText(seal.DatabasePassword, text, to)
}

// resealed gives a row with its passwords sealed by the newest key: itself, if they are.
func resealed[T state.Resource[T]](keys *seal.Keys, row T, of func(T) *model.Database) (T, error) {
	next := row.Clone()
	d, id := of(next), row.Common().ID
	password, err := keys.ResealText(seal.DatabasePassword, d.Password, id)
	registered, err2 := keys.ResealText(seal.DatabasePassword, d.Registered.Password, id)
	if err := errors.Join(err, err2); err != nil || password == d.Password && registered == d.Registered.Password {
		return row, err
	}
	d.Password, d.Registered.Password = password, registered
	return next, nil
}

func ofCluster(c *model.DBCluster) *model.Database   { return &c.Database }
func ofInstance(i *model.DBInstance) *model.Database { return &i.Database }
func ofSnapshot(s *model.DBSnapshot) *model.Database { return &s.Was }

// Reseal seals the passwords of databases with the newest key. It gives the names of those
// that cannot be opened, which it leaves as they are.
func Reseal(ctx context.Context, env *service.Env) (lost []string, err error) {
	clusters, err := service.Reseal(ctx, env, state.DBClusters, func(c *model.DBCluster) (*model.DBCluster, error) { return resealed(env.Seal, c, ofCluster) })
	instances, err2 := service.Reseal(ctx, env, state.DBInstances, func(i *model.DBInstance) (*model.DBInstance, error) { return resealed(env.Seal, i, ofInstance) })
	snapshots, err3 := service.Reseal(ctx, env, state.DBSnapshots, func(s *model.DBSnapshot) (*model.DBSnapshot, error) { return resealed(env.Seal, s, ofSnapshot) })
	for _, c := range clusters {
		lost = append(lost, c.ARN())
	}
	for _, i := range instances {
		lost = append(lost, i.ARN())
	}
	for _, s := range snapshots {
		lost = append(lost, s.ARN())
	}
	return lost, errors.Join(err, err2, err3)
}

// LostPasswords gives the names of what has passwords that the keys do not open.
func LostPasswords(tx *table.Txn, keys *seal.Keys) (lost []string) {
	opens := func(d *model.Database, id string) bool {
		for _, sealed := range []string{d.Password, d.Registered.Password} {
			if _, err := keys.OpenText(seal.DatabasePassword, sealed, id); sealed != "" && err != nil {
				return false
			}
		}
		return true
	}
	for c := range state.DBClusters.All(tx) {
		if !opens(&c.Database, c.ID) {
			lost = append(lost, c.ARN())
		}
	}
	for i := range state.DBInstances.All(tx) {
		if !opens(&i.Database, i.ID) {
			lost = append(lost, i.ARN())
		}
	}
	for s := range state.DBSnapshots.All(tx) {
		if !opens(&s.Was, s.ID) {
			lost = append(lost, s.ARN())
		}
	}
	return lost
}
