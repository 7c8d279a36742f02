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

// TestDatabases makes a cluster with groups of parameters and a name of its own, and an
// instance alone with a snapshot and a read replica, changes them, which promotes the replica, imports
// what can be, and takes all away.
func TestDatabases(t *testing.T) {
	t.Parallel()
	key := server.NewAccount(t)
	api := rds.NewFromConfig(aws.Config{
		Region: harness.Region, BaseEndpoint: aws.String(server.URL), Credentials: credentials.NewStaticCredentialsProvider(key.ID, key.Secret, ""),
	})
	if v := harness.Must(api.DescribeDBEngineVersions(t.Context(), &rds.DescribeDBEngineVersionsInput{Engine: new("aurora-postgresql")}))(t); len(v.DBEngineVersions) == 0 {
		t.Skip("no PostgreSQL is installed here")
	}
	before := inventory(t, key, harness.Region)
	w := newWorkspace(t, "databases", key)
	w.apply()
	w.unchanged("after apply")
	var got struct {
		Class, Own, Endpoint, Certificate, Secret, Alone, Snapshot, Replicated string
		Same, Writer                                                           bool
	}
	w.output("databases", &got)
	if got.Class != "db.t4g.medium" || got.Own != "postern-ca-g1" || got.Certificate != "rds-ca-rsa2048-g1" || !got.Same || !got.Writer || !strings.HasPrefix(got.Endpoint, "reports.cluster-custom-") ||
		!strings.HasPrefix(got.Secret, "arn:aws:secretsmanager:") || got.Alone != "active" || got.Snapshot != "available" || got.Replicated != "stock" {
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
