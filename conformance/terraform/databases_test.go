// SPDX-License-Identifier: Apache-2.0

package terraform

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/rds"

	"github.com/posternhq/postern/conformance/harness"
)

// accountWithPostgres makes an account, and skips the test where no PostgreSQL is installed.
func accountWithPostgres(t *testing.T) harness.Key {
	t.Helper()
	key := server.NewAccount(t)
	api := rds.NewFromConfig(aws.Config{
		Region: harness.Region, BaseEndpoint: aws.String(server.URL), Credentials: credentials.NewStaticCredentialsProvider(key.ID, key.Secret, ""),
	})
	if v := harness.Must(api.DescribeDBEngineVersions(t.Context(), &rds.DescribeDBEngineVersionsInput{Engine: new("aurora-postgresql")}))(t); len(v.DBEngineVersions) == 0 {
		t.Skip("no PostgreSQL is installed here")
	}
	return key
}

// TestDatabases makes a cluster with groups of parameters, a name of its own and a snapshot,
// changes them, imports what can be, and takes all away.
func TestDatabases(t *testing.T) {
	t.Parallel()
	key := accountWithPostgres(t)
	before := inventory(t, key, harness.Region)
	w := newWorkspace(t, "databases", key)
	w.apply()
	w.unchanged("after apply")
	var got struct {
		Class, Own, Endpoint, Certificate, Secret string
		Same, Writer                              bool
	}
	w.output("databases", &got)
	if got.Class != "db.t4g.medium" || got.Own != "postern-ca-g1" || got.Certificate != "rds-ca-rsa2048-g1" || !got.Same || !got.Writer || !strings.HasPrefix(got.Endpoint, "reports.cluster-custom-") ||
		!strings.HasPrefix(got.Secret, "arn:aws:secretsmanager:") {
		t.Errorf("made is %+v", got)
	}
	w.apply("-var=changed=true")
	w.unchanged("after a change", "-var=changed=true")
	for _, name := range []string{"aws_db_parameter_group.this", "aws_rds_cluster_parameter_group.this", "aws_db_subnet_group.this"} {
		w.ok("state", "rm", name)
		w.ok("import", "-no-color", "-var=changed=true", name, "orders")
	}
	w.ok("state", "rm", "aws_rds_cluster_endpoint.this")
	w.ok("import", "-no-color", "-var=changed=true", "aws_rds_cluster_endpoint.this", "reports")
	w.unchanged("after importing", "-var=changed=true")
	w.destroy("-var=changed=true")
	if after := inventory(t, key, harness.Region); after != before {
		t.Errorf("destroy left something:\n%s\nbefore there was:\n%s", after, before)
	}
}

// TestDatabaseInstance makes an instance with a snapshot that is copied and shared, and a read
// replica, promotes that, and takes all away.
func TestDatabaseInstance(t *testing.T) {
	t.Parallel()
	key := accountWithPostgres(t)
	before := inventory(t, key, harness.Region)
	w := newWorkspace(t, "instance", key)
	w.apply()
	w.unchanged("after apply")
	var got struct{ Snapshot, Replicated, Secret string }
	if w.output("instance", &got); got.Snapshot != "available" || got.Replicated != "stock" || got.Secret != "active" {
		t.Errorf("made is %+v", got)
	}
	w.apply("-var=changed=true")
	w.unchanged("after a change", "-var=changed=true")
	w.destroy("-var=changed=true")
	if after := inventory(t, key, harness.Region); after != before {
		t.Errorf("destroy left something:\n%s\nbefore there was:\n%s", after, before)
	}
}
