// SPDX-License-Identifier: Apache-2.0

package ec2_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/service/ec2"
	"github.com/posternhq/postern/internal/service/servicetest"
	"github.com/posternhq/postern/internal/table"
)

// world is an environment with the operations of EC2 and one caller.
type world struct {
	*servicetest.World
	api *ec2.API
	ctx context.Context
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := servicetest.New(t)
	return &world{World: w, api: &ec2.API{Env: w.Env}, ctx: servicetest.As(t, servicetest.Account, servicetest.Region)}
}

// vpc makes a VPC with these blocks: an IPv4 one, and perhaps an IPv6 one.
func (w *world) vpc(t testing.TB, block string, block6 ...string) shape.Vpc {
	t.Helper()
	in := &shape.CreateVpcInput{CidrBlock: &block}
	if len(block6) > 0 {
		in.Ipv6CidrBlock, in.Ipv6Pool = &block6[0], new("ipv6pool-ec2-1")
	}
	out, err := w.api.CreateVpc(w.ctx, in)
	if err != nil {
		t.Fatal(err)
	}
	return *out.Vpc
}

func (w *world) subnet(t testing.TB, vpc, block string) shape.Subnet {
	t.Helper()
	out, err := w.api.CreateSubnet(w.ctx, &shape.CreateSubnetInput{VpcId: &vpc, CidrBlock: &block})
	if err != nil {
		t.Fatal(err)
	}
	return *out.Subnet
}

func (w *world) group(t testing.TB, vpc, name string) string {
	t.Helper()
	out, err := w.api.CreateSecurityGroup(w.ctx, &shape.CreateSecurityGroupInput{
		VpcId: &vpc, GroupName: &name, Description: new("for a test"),
	})
	if err != nil {
		t.Fatal(err)
	}
	return *out.GroupId
}

// put writes rows as another service would.
func (w *world) put(t testing.TB, write func(*table.Txn)) {
	t.Helper()
	if _, err := w.DB.Update(t.Context(), func(tx *table.Txn) error { write(tx); return nil }); err != nil {
		t.Fatal(err)
	}
}

// refusal is a call that must fail with a code and change nothing.
type refusal struct {
	name string
	code string
	call func() error
}

func (w *world) refused(t *testing.T, refusals []refusal) {
	t.Helper()
	for _, r := range refusals {
		before := w.Dump(t)
		err := r.call()
		var got *fault.Error
		if !errors.As(err, &got) || got.Code != r.code {
			t.Errorf("%s: got %v, want %s", r.name, err, r.code)
		}
		if diff := cmp.Diff(before, w.Dump(t)); diff != "" {
			t.Errorf("%s: the refused call changed the state:\n%s", r.name, diff)
		}
	}
}

// failure is the error of a call whose output does not matter.
func failure[T any](_ T, err error) error { return err }

func filter(name string, values ...string) []shape.Filter {
	return []shape.Filter{{Name: &name, Values: values}}
}
