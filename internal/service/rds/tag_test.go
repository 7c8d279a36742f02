// SPDX-License-Identifier: Apache-2.0

package rds

import (
	"testing"

	shape "github.com/posternhq/postern/internal/aws/shape/rds"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// Everything that has an ARN of RDS takes tags by it, shows them, and lets them go.
func TestTagsOfEveryKind(t *testing.T) {
	w := newWorld(t)
	w.putCluster(t, "orders", "orders-1")
	w.put(t, func(tx *table.Txn) {
		state.DBSubnetGroups.Put(tx, &model.DBSubnetGroup{Meta: metaOf("nets"), VPC: "vpc-1"})
		state.DBParameterGroups.Put(tx, &model.DBParameterGroup{Meta: metaOf("mine"), Family: "postgres15"})
		state.DBClusterParameterGroups.Put(tx, &model.DBParameterGroup{Meta: metaOf("all"), Family: "aurora-postgresql15"})
		state.DBClusterEndpoints.Put(tx, &model.DBClusterEndpoint{Meta: metaOf("some"), Cluster: "cluster-ORDERS"})
		state.DBSnapshots.Put(tx, &model.DBSnapshot{Meta: metaOf("snap-1"), Identifier: "last", Source: "db-1"})
		state.DBSnapshots.Put(tx, &model.DBSnapshot{Meta: metaOf("snap-2"), Identifier: "last", Source: "cluster-1", OfCluster: true})
	})
	arn := func(resource string) *string { return new("arn:aws:rds:us-east-1:111122223333:" + resource) }
	tags := func(resource string) map[string]string {
		t.Helper()
		out, err := w.ListTagsForResource(w.ctx, &shape.ListTagsForResourceInput{ResourceName: arn(resource)})
		all := map[string]string{}
		for _, tag := range must(t, out, err).TagList {
			all[*tag.Key] = *tag.Value
		}
		return all
	}
	kinds := map[string]string{
		"cluster:Orders": "", "db:orders-1": "", "subgrp:nets": "", "pg:mine": "", "cluster-pg:all": "", "cluster-endpoint:some": "", "snapshot:last": "", "cluster-snapshot:last": "",
	}
	if len(kinds) != len(bearers) {
		t.Errorf("%d kinds have tags, %d are tried", len(bearers), len(kinds))
	}
	for resource := range kinds {
		if _, err := w.AddTagsToResource(w.ctx, &shape.AddTagsToResourceInput{ResourceName: arn(resource), Tags: []shape.Tag{{Key: new("name"), Value: &resource}, {Key: new("gone"), Value: new("x")}}}); err != nil {
			t.Errorf("%s: %v", resource, err)
		}
		if _, err := w.RemoveTagsFromResource(w.ctx, &shape.RemoveTagsFromResourceInput{ResourceName: arn(resource), TagKeys: []string{"gone", "never"}}); err != nil {
			t.Errorf("%s: %v", resource, err)
		}
	}
	for resource := range kinds { // after all were tagged, so that none shows another's
		if got := tags(resource); len(got) != 1 || got["name"] != resource {
			t.Errorf("%s has %v", resource, got)
		}
	}
	for _, resource := range []string{"pg:default.postgres15", "cluster-pg:default.aurora-postgresql17", "og:default:postgres-15"} {
		if got := tags(resource); len(got) != 0 {
			t.Errorf("%s has %v", resource, got)
		}
		_, err := w.AddTagsToResource(w.ctx, &shape.AddTagsToResourceInput{ResourceName: arn(resource), Tags: []shape.Tag{{Key: new("a"), Value: new("b")}}})
		refused(t, "tags of "+resource, err, badValue, "Default groups have no tags")
	}
	list := func(name *string) error {
		_, err := w.ListTagsForResource(w.ctx, &shape.ListTagsForResourceInput{ResourceName: name})
		return err
	}
	refused(t, "no ARN", list(new("orders")), badValue, "Invalid resource name")
	refused(t, "another service's", list(new("arn:aws:ec2:us-east-1:111122223333:vpc/vpc-1")), badValue, "Invalid resource name")
	refused(t, "another account's", list(new("arn:aws:rds:us-east-1:444455556666:pg:mine")), "DBParameterGroupNotFound", "")
	refused(t, "another region's", list(new("arn:aws:rds:eu-west-1:111122223333:cluster:orders")), "DBClusterNotFoundFault", "")
	refused(t, "no such instance", list(arn("db:orders")), "DBInstanceNotFound", "")
	refused(t, "no such default group", list(arn("pg:default.mysql8.0")), "DBParameterGroupNotFound", "")
	refused(t, "an option group", list(arn("og:mine")), "OptionGroupNotFoundFault", "")
	refused(t, "what has none here", list(arn("es:mine")), badValue, "Nothing of this type")
	_, err := w.AddTagsToResource(w.ctx, &shape.AddTagsToResourceInput{ResourceName: arn("pg:mine"), Tags: []shape.Tag{{Key: new("aws:x"), Value: new("b")}}})
	refused(t, "a reserved key", err, badValue, "reserved")
}
