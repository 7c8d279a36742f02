// SPDX-License-Identifier: Apache-2.0

package postern

import (
	"fmt"
	"testing"

	shape "github.com/posternhq/postern/internal/aws/shape/postern"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/seal"
	"github.com/posternhq/postern/internal/service/servicetest"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// Passwords that were made are told to their account, those that users gave to nobody.
func TestPasswordsThatWereMadeAreTold(t *testing.T) {
	f := newFixture(t)
	database := func(id, identifier, secret string) (model.Meta, model.Database) {
		return model.Meta{Account: servicetest.Account, Region: servicetest.Region, ID: id}, model.Database{
			Identifier: identifier, MasterUser: "boss", ManagedSecret: secret, Password: f.Seal.SealText(seal.DatabasePassword, []byte("password of "+id), id),
		}
	}
	f.put(t, func(tx *table.Txn) {
		for id, secret := range map[string]string{"MADE": "rds!db-1", "GIVEN": ""} {
			var c model.DBCluster
			c.Meta, c.Database = database("cluster-"+id, id, secret)
			c.Identifier = map[string]string{"MADE": "made", "GIVEN": "given"}[id]
			state.DBClusters.Put(tx, &c)
		}
		var i, member model.DBInstance
		i.Meta, i.Database = database("db-MADE", "made", "rds!db-2")
		member.Meta, member.Database = database("db-MEMBER", "member", "")
		member.Cluster = "cluster-MADE"
		state.DBInstances.Put(tx, &i)
		state.DBInstances.Put(tx, &member)
	})
	for want, in := range map[string]*shape.GetMasterUserPasswordInput{
		"password of cluster-MADE": {ClusterIdentifier: new("Made")},
		"password of db-MADE":      {InstanceIdentifier: new("made")},
	} {
		got, err := f.api.GetMasterUserPassword(f.ctx, in)
		if err != nil || *got.Password != want || *got.Username != "boss" {
			t.Errorf("%s: %+v, %v", want, got, err)
		}
	}
	for code, all := range map[string][]*shape.GetMasterUserPasswordInput{
		"ValidationException":       {{}, {ClusterIdentifier: new("made"), InstanceIdentifier: new("made")}},
		"ResourceNotFoundException": {{ClusterIdentifier: new("none")}, {InstanceIdentifier: new("none")}},
		"ConflictException":         {{ClusterIdentifier: new("given")}, {InstanceIdentifier: new("member")}},
	} {
		for _, in := range all {
			f.refused(t, fmt.Sprintf("%+v", in), code, func() error { _, err := f.api.GetMasterUserPassword(f.ctx, in); return err })
		}
	}
	f.refused(t, "for another account", "ResourceNotFoundException", func() error {
		_, err := f.api.GetMasterUserPassword(f.other, &shape.GetMasterUserPasswordInput{InstanceIdentifier: new("made")})
		return err
	})
}
