// SPDX-License-Identifier: Apache-2.0

package ec2_test

import (
	"testing"
	"time"

	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service/ec2/ec2test"
	"github.com/posternhq/postern/internal/service/servicetest"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/store/etcdstore"
	"github.com/posternhq/postern/internal/table"
)

// many is the most ids that a call with a list of them is made with.
const many = 1000

// newNetworkOnEtcd is a network whose state is in etcd, which bounds how much
// one transaction may do.
func newNetworkOnEtcd(t *testing.T) *ec2test.Network {
	t.Helper()
	s, err := etcdstore.StartEmbedded(t.Context(), t.TempDir(), etcdstore.Options{UnsafeNoFsync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return ec2test.NewNetworkOn(t, s)
}

// inFewCommits checks that a call waits for the disk seldom, and is no longer
// than anybody can wait.
func inFewCommits(t *testing.T, n *ec2test.Network, name string, most int64, call func() error) {
	t.Helper()
	begun, rev := time.Now(), n.DB.Snapshot().Revision()
	if err := call(); err != nil {
		t.Fatalf("%s of %d: %v", name, many, err)
	}
	took, commits := time.Since(begun), n.DB.Snapshot().Revision()-rev
	t.Logf("%s of %d: %d commits in %v", name, many, commits, took)
	if commits > most {
		t.Errorf("%s of %d took %d commits, want %d at most", name, many, commits, most)
	}
	if took > 5*time.Minute {
		t.Errorf("%s of %d took %v", name, many, took)
	}
}

// TestCallsWithManyIDs tags, describes and deletes a thousand endpoints.
func TestCallsWithManyIDs(t *testing.T) {
	n := newNetworkOnEtcd(t)
	n.Quotas.EndpointsPerVPC = many
	p := n.AddProvider(t, "db", "IPV4", "10.0.1.10")
	subnet := n.AddSubnet(t, n.Net, "a", "10.0.16.0/20", -1)
	var ids []string
	for range many {
		ids = append(ids, *n.AddEndpoint(t, n.EndpointInput(p, subnet)).VpcEndpointId)
	}
	inFewCommits(t, n, "CreateTags", 16, func() error {
		_, err := n.API.CreateTags(n.Ctx, &shape.CreateTagsInput{Resources: ids, Tags: []shape.Tag{{Key: new("k"), Value: new("v")}}})
		return err
	})
	n.Refused(t, "one of many does not exist", "InvalidVpcEndpointId.NotFound", func() error {
		more := append(append([]string{}, ids...), "vpce-0123456789abcdef0")
		_, err := n.API.CreateTags(n.Ctx, &shape.CreateTagsInput{Resources: more, Tags: []shape.Tag{{Key: new("k"), Value: new("w")}}})
		return err
	})
	inFewCommits(t, n, "DescribeVpcEndpoints", 0, func() error {
		out, err := n.API.DescribeVpcEndpoints(n.Ctx, &shape.DescribeVpcEndpointsInput{VpcEndpointIds: ids})
		if err == nil && (len(out.VpcEndpoints) != many || *out.VpcEndpoints[many-1].Tags[0].Value != "v") {
			t.Errorf("%d endpoints are described, want %d with their tag", len(out.VpcEndpoints), many)
		}
		return err
	})
	inFewCommits(t, n, "DeleteTags", 16, func() error {
		_, err := n.API.DeleteTags(n.Ctx, &shape.DeleteTagsInput{Resources: ids})
		return err
	})
	inFewCommits(t, n, "DeleteVpcEndpoints", 8, func() error {
		out, err := n.API.DeleteVpcEndpoints(n.Ctx, &shape.DeleteVpcEndpointsInput{VpcEndpointIds: append([]string{"vpce-0123456789abcdef0"}, ids...)})
		if err == nil && (len(out.Unsuccessful) != 1 || *out.Unsuccessful[0].ResourceId != "vpce-0123456789abcdef0") {
			t.Errorf("unsuccessful are %+v, want the one that does not exist", out.Unsuccessful)
		}
		return err
	})
	tx := n.DB.Snapshot()
	for _, id := range ids {
		e, ok := state.VPCEndpoints.Get(tx, servicetest.Account, servicetest.Region, id)
		if !ok || !e.Deleting() || !allDeleting(tx, e.Ref()) {
			t.Fatalf("%s is not being deleted with its association", id)
		}
	}
}

func allDeleting(tx *table.Txn, endpoint model.Ref) bool {
	for a := range state.EndpointAssociationsByEndpoint.Rows(tx, endpoint) {
		if !a.Deleting() {
			return false
		}
	}
	return true
}
