// SPDX-License-Identifier: Apache-2.0

package rds

import (
	"context"
	"encoding/base32"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/google/uuid"

	shape "github.com/posternhq/postern/internal/aws/shape/rds"
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

// firstPassword gives a new database the password of its master user: the one of the request,
// or one that is made here.
func (a *API) firstPassword(d *model.Database, id string, p version, w wanted) error {
	if !service.Value(w.manage) {
		return a.givePassword(d, id, p, service.Value(w.password))
	}
	if w.password != nil {
		return conflicting("%s", givenAndMade)
	}
	return a.makePassword(d, id)
}

const givenAndMade = "You can't specify MasterUserPassword for an instance with ManageMasterUserPassword enabled."

// changePassword gives a database another password, if the request asks for one. Who makes
// passwords stays as it is where nothing is said of that.
// https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/rds-secrets-manager.html
func (a *API) changePassword(d *model.Database, id string, p version, w wanted) error {
	was, rotate := d.ManagedSecret != "", service.Value(w.rotate)
	manage := was
	if w.manage != nil {
		manage = *w.manage
	}
	switch {
	case w.password != nil && service.Value(w.manage):
		return conflicting("%s", givenAndMade)
	case w.password != nil && manage:
		return invalid("%s", givenAndMade)
	case rotate && !manage:
		return conflicting("RotateMasterUserPassword can only be specified for a database with ManageMasterUserPassword enabled.")
	case rotate && !service.Value(w.now):
		return conflicting("You must apply the change immediately when rotating the master user password: set ApplyImmediately.")
	case was && !manage && w.password == nil:
		return conflicting("MasterUserPassword must be provided when ManageMasterUserPassword is set to false.")
	case manage && (rotate || !was):
		return a.makePassword(d, id)
	case w.password == nil:
		return nil
	}
	return a.givePassword(d, id, p, *w.password)
}

// givePassword has the password be one that a user gave.
func (a *API) givePassword(d *model.Database, id string, p version, password string) error {
	if err := checkPassword(p.driver(), password); err != nil {
		return err
	}
	d.ManagedSecret = ""
	a.setPassword(d, id, password)
	return nil
}

// makePassword has the password be one that nobody gave: 160 random bits, in letters and
// digits that every engine takes and no shell or connection string needs to have quoted. The
// secret keeps its name while it gets other passwords.
func (a *API) makePassword(d *model.Database, id string) error {
	if d.ManagedSecret == "" {
		number, err := uuid.NewRandomFromReader(a.Rand)
		if err != nil {
			return fmt.Errorf("name the secret of database %s: %w", d.Identifier, err)
		}
		kind, _, _ := strings.Cut(id, "-") // cluster or db
		d.ManagedSecret = "rds!" + kind + "-" + number.String() + "-" + a.NewID("")[1:7]
	}
	var raw [20]byte
	if _, err := io.ReadFull(a.Rand, raw[:]); err != nil {
		return fmt.Errorf("make a password for database %s: %w", d.Identifier, err)
	}
	a.setPassword(d, id, base32.StdEncoding.EncodeToString(raw[:]))
	return nil
}

// secretShape shows the secret of a password that was made here; nil for one that was given.
// KMS keys there are none.
func secretShape(tx *table.Txn, of *model.Meta, d *model.Database) *shape.MasterUserSecret {
	if d.ManagedSecret == "" {
		return nil
	}
	status := "active"
	if s := stateOf(tx, of); s != nil && s.Secret > 0 && s.Secret < d.Secret {
		status = "rotating"
	}
	return &shape.MasterUserSecret{SecretArn: new(d.SecretARN(of)), SecretStatus: &status}
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
