// SPDX-License-Identifier: Apache-2.0

// Package ec2test gives tests of EC2's nouns what they begin with: an
// environment with all operations of EC2, VPCs and what is in them, made as
// users make them.
package ec2test

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/service/ec2"
	"github.com/posternhq/postern/internal/service/servicetest"
	"github.com/posternhq/postern/internal/table"
)

// World is an environment with the operations of EC2 and one caller.
type World struct {
	*servicetest.World
	API *ec2.API
	// Ctx is that of the caller.
	Ctx context.Context
}

// NewWorld makes a world with nothing in it.
func NewWorld(t testing.TB) *World {
	t.Helper()
	return newWorld(t, servicetest.New(t))
}

func newWorld(t testing.TB, w *servicetest.World) *World {
	return &World{World: w, API: ec2.New(w.Env), Ctx: servicetest.As(t, servicetest.Account, servicetest.Region)}
}

// VPC makes a VPC with these blocks: an IPv4 one, and perhaps an IPv6 one.
func (w *World) VPC(t testing.TB, block string, block6 ...string) shape.Vpc {
	t.Helper()
	in := &shape.CreateVpcInput{CidrBlock: &block}
	if len(block6) > 0 {
		in.Ipv6CidrBlock, in.Ipv6Pool = &block6[0], new("ipv6pool-ec2-1")
	}
	out, err := w.API.CreateVpc(w.Ctx, in)
	if err != nil {
		t.Fatal(err)
	}
	return *out.Vpc
}

// Subnet makes a subnet with an IPv4 block.
func (w *World) Subnet(t testing.TB, vpc, block string) shape.Subnet {
	t.Helper()
	out, err := w.API.CreateSubnet(w.Ctx, &shape.CreateSubnetInput{VpcId: &vpc, CidrBlock: &block})
	if err != nil {
		t.Fatal(err)
	}
	return *out.Subnet
}

// Group makes a security group and gives its id.
func (w *World) Group(t testing.TB, vpc, name string) string {
	t.Helper()
	out, err := w.API.CreateSecurityGroup(w.Ctx, &shape.CreateSecurityGroupInput{
		VpcId: &vpc, GroupName: &name, Description: new("for a test"),
	})
	if err != nil {
		t.Fatal(err)
	}
	return *out.GroupId
}

// Put writes rows as another service would.
func (w *World) Put(t testing.TB, write func(*table.Txn)) {
	t.Helper()
	if _, err := w.DB.Update(t.Context(), func(tx *table.Txn) error { write(tx); return nil }); err != nil {
		t.Fatal(err)
	}
}

// Refused checks that a call fails with a code and changes nothing.
func (w *World) Refused(t *testing.T, name, code string, call func() error) {
	t.Helper()
	before := w.Dump(t)
	if err := call(); !fault.Is(err, code) {
		t.Errorf("%s: got %v, want %s", name, err, code)
	}
	if diff := cmp.Diff(before, w.Dump(t)); diff != "" {
		t.Errorf("%s: the refused call changed the state:\n%s", name, diff)
	}
}

// Refusal is a call that must fail with a code and change nothing.
type Refusal struct {
	Name, Code string
	Call       func() error
}

// RefusedAll is Refused for several calls.
func (w *World) RefusedAll(t *testing.T, refusals []Refusal) {
	t.Helper()
	for _, r := range refusals {
		w.Refused(t, r.Name, r.Code, r.Call)
	}
}

// Failure is the error of a call whose output does not matter.
func Failure[T any](_ T, err error) error { return err }

// Filter is a filter of a describe request.
func Filter(name string, values ...string) []shape.Filter {
	return []shape.Filter{{Name: &name, Values: values}}
}

// Subnet6 makes a subnet with IPv6 only.
func (w *World) Subnet6(t *testing.T, vpc, block string) shape.Subnet {
	t.Helper()
	out, err := w.API.CreateSubnet(w.Ctx, &shape.CreateSubnetInput{VpcId: &vpc, Ipv6CidrBlock: &block, Ipv6Native: new(true)})
	if err != nil {
		t.Fatal(err)
	}
	return *out.Subnet
}

// DefaultVPC makes the default VPC and gives its id.
func (w *World) DefaultVPC(t *testing.T) string {
	t.Helper()
	out, err := w.API.CreateDefaultVpc(w.Ctx, &shape.CreateDefaultVpcInput{})
	if err != nil {
		t.Fatal(err)
	}
	return *out.Vpc.VpcId
}

// Permission is TCP on a range of ports from blocks.
func Permission(from, to int32, blocks ...string) shape.IpPermission {
	p := shape.IpPermission{IpProtocol: new("tcp"), FromPort: &from, ToPort: &to}
	for _, b := range blocks {
		if strings.Contains(b, ":") {
			p.Ipv6Ranges = append(p.Ipv6Ranges, shape.Ipv6Range{CidrIpv6: &b})
		} else {
			p.IpRanges = append(p.IpRanges, shape.IpRange{CidrIp: &b})
		}
	}
	return p
}

// Ingress adds rules that let traffic into a group.
func (w *World) Ingress(group string, permissions ...shape.IpPermission) ([]shape.SecurityGroupRule, error) {
	out, err := w.API.AuthorizeSecurityGroupIngress(w.Ctx, &shape.AuthorizeSecurityGroupIngressInput{GroupId: &group, IpPermissions: permissions})
	if err != nil {
		return nil, err
	}
	return out.SecurityGroupRules, nil
}
