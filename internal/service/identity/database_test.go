// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"testing"

	"github.com/posternhq/postern/internal/aws/shape/rds"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// TestConditionsOfDatabases asks with policies that name databases by identifiers, which are
// no ids of rows, and by what RDS calls their tags and properties.
func TestConditionsOfDatabases(t *testing.T) {
	remove := func(name string) ask {
		return ask{service: "rds", operation: "DeleteDBInstance", in: &rds.DeleteDBInstanceInput{DBInstanceIdentifier: &name}}
	}
	removeCluster := func(name string) ask {
		return ask{service: "rds", operation: "DeleteDBCluster", in: &rds.DeleteDBClusterInput{DBClusterIdentifier: &name}}
	}
	create := func(engine, tag string) ask {
		return ask{service: "rds", operation: "CreateDBInstance", in: &rds.CreateDBInstanceInput{
			DBInstanceIdentifier: new("new"), Engine: &engine, DBInstanceClass: new("db.t3.micro"), Tags: []rds.Tag{{Key: new("team"), Value: &tag}},
		}}
	}
	describe := func(name *string) ask {
		return ask{service: "rds", operation: "DescribeDBInstances", in: &rds.DescribeDBInstancesInput{DBInstanceIdentifier: name}}
	}
	arn := func(rest string) string { return "arn:aws:rds:us-east-1:111122223333:" + rest }
	for _, test := range []struct {
		name, policy string
		yes, no      []ask
	}{
		{"an ARN", statement("Allow", "rds:DeleteDBInstance", arn("db:one"), ""), []ask{remove("one"), remove("ONE"), remove(arn("db:one"))}, []ask{remove("two"), remove("three")}},
		{"a slash in place of the colon", statement("Allow", "rds:DeleteDBInstance", arn("db/one"), ""), nil, []ask{remove("one")}},
		{"a tag", statement("Allow", "rds:DeleteDBInstance", "*", `"StringEquals":{"rds:db-tag/team":"shop"}`), []ask{remove("one")}, []ask{remove("two"), remove("three")}},
		{"any service's name for it", statement("Allow", "rds:DeleteDBInstance", "*", `"StringEquals":{"aws:ResourceTag/team":"mail"}`), []ask{remove("two")}, []ask{remove("one")}},
		{"a tag of another kind", statement("Allow", "rds:DeleteDBInstance", "*", `"StringEquals":{"rds:cluster-tag/team":"shop"}`), nil, []ask{remove("one")}},
		{"a tag of a cluster", statement("Allow", "rds:DeleteDBCluster", "*", `"StringEquals":{"rds:cluster-tag/team":"shop"}`), []ask{removeCluster("one")}, []ask{removeCluster("two")}},
		{"the class", statement("Allow", "rds:DeleteDBInstance", "*", `"StringEquals":{"rds:DatabaseClass":"db.t3.small"}`), []ask{remove("two")}, []ask{remove("one")}},
		{"an engine", statement("Allow", "rds:*", "*", `"StringEquals":{"rds:DatabaseEngine":"postgres","rds:req-tag/team":"shop"}`), nil, []ask{create("mariadb", "shop"), create("postgres", "mail")}},
		{"all instances", statement("Allow", "rds:DescribeDBInstances", arn("db:*"), ""), []ask{describe(nil), describe(new("one"))}, nil},
		{"one instance", statement("Allow", "rds:DescribeDBInstances", arn("db:one"), ""), []ask{describe(new("one"))}, []ask{describe(nil), describe(new("two"))}},
	} {
		w := newWorld(t)
		w.change(func(tx *table.Txn) {
			for _, d := range []struct{ name, class, team string }{{"one", "db.t3.micro", "shop"}, {"two", "db.t3.small", "mail"}} {
				meta := w.meta(mine, "db-"+d.name)
				meta.Region = region
				meta.Tags = map[string]string{"team": d.team}
				state.DBInstances.Put(tx, &model.DBInstance{Meta: meta, Class: d.class, Database: model.Database{Identifier: d.name, Engine: "postgres"}})
				meta.ID = "cluster-" + d.name
				state.DBClusters.Put(tx, &model.DBCluster{Meta: meta, Database: model.Database{Identifier: d.name, Engine: "aurora-postgresql"}})
			}
		})
		key := w.user(mine, "ANN", test.policy)
		for _, a := range test.yes {
			a.key = key
			w.allowed(test.name, a)
		}
		for _, a := range test.no {
			a.key = key
			w.refused(test.name, "", a)
		}
	}
}
