// SPDX-License-Identifier: Apache-2.0

package block_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/service/ec2/ec2test"
	"github.com/posternhq/postern/internal/service/servicetest"
)

// at lets the clock stand at a time after the start.
func at(w *ec2test.World, after time.Duration) {
	w.Now = func() time.Time { return servicetest.Now.Add(after) }
}

// vpcBlocks tells the blocks of a VPC as they are described, with their states.
func vpcBlocks(t *testing.T, w *ec2test.World, id string) []string {
	t.Helper()
	out, err := w.API.DescribeVpcs(w.Ctx, &shape.DescribeVpcsInput{VpcIds: []string{id}})
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, b := range out.Vpcs[0].CidrBlockAssociationSet {
		all = append(all, *b.CidrBlock+" "+*b.CidrBlockState.State)
	}
	for _, b := range out.Vpcs[0].Ipv6CidrBlockAssociationSet {
		all = append(all, *b.Ipv6CidrBlock+" "+*b.Ipv6CidrBlockState.State)
	}
	return all
}

func subnetBlocks6(t *testing.T, w *ec2test.World, id string) []string {
	t.Helper()
	out, err := w.API.DescribeSubnets(w.Ctx, &shape.DescribeSubnetsInput{SubnetIds: []string{id}})
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, b := range out.Subnets[0].Ipv6CidrBlockAssociationSet {
		all = append(all, *b.Ipv6CidrBlock+" "+*b.Ipv6CidrBlockState.State)
	}
	return all
}

func TestCreatesSayThatTheyHaveNotEnded(t *testing.T) {
	w := ec2test.NewWorld(t)
	v := w.VPC(t, "10.0.0.0/16", "2001:db8:1::/56")
	if *v.State != "pending" || *v.CidrBlockAssociationSet[0].CidrBlockState.State != "associated" ||
		*v.Ipv6CidrBlockAssociationSet[0].Ipv6CidrBlockState.State != "associating" {
		t.Errorf("CreateVpc: got %+v", v)
	}
	s, err := w.API.CreateSubnet(w.Ctx, &shape.CreateSubnetInput{VpcId: v.VpcId, CidrBlock: new("10.0.1.0/24"), Ipv6CidrBlock: new("2001:db8:1:1::/64")})
	if err != nil || *s.Subnet.State != "available" || *s.Subnet.Ipv6CidrBlockAssociationSet[0].Ipv6CidrBlockState.State != "associating" {
		t.Errorf("CreateSubnet: got %+v, %v", s, err)
	}
	four, err := w.API.AssociateVpcCidrBlock(w.Ctx, &shape.AssociateVpcCidrBlockInput{VpcId: v.VpcId, CidrBlock: new("10.1.0.0/16")})
	if err != nil || *four.CidrBlockAssociation.CidrBlockState.State != "associating" {
		t.Errorf("AssociateVpcCidrBlock: got %+v, %v", four, err)
	}
	six, err := w.API.AssociateVpcCidrBlock(w.Ctx, &shape.AssociateVpcCidrBlockInput{VpcId: v.VpcId, AmazonProvidedIpv6CidrBlock: new(true)})
	if err != nil || *six.Ipv6CidrBlockAssociation.Ipv6CidrBlockState.State != "associating" {
		t.Errorf("AssociateVpcCidrBlock for IPv6: got %+v, %v", six, err)
	}
	want := []string{"10.0.0.0/16 associated", "10.1.0.0/16 associated", "2001:db8:1::/56 associated", *six.Ipv6CidrBlockAssociation.Ipv6CidrBlock + " associated"}
	if diff := cmp.Diff(want, vpcBlocks(t, w, *v.VpcId)); diff != "" {
		t.Errorf("described (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"2001:db8:1:1::/64 associated"}, subnetBlocks6(t, w, *s.Subnet.SubnetId)); diff != "" {
		t.Errorf("described (-want +got):\n%s", diff)
	}
	standard, err := w.API.CreateDefaultVpc(w.Ctx, &shape.CreateDefaultVpcInput{})
	if err != nil || *standard.Vpc.State != "pending" {
		t.Errorf("CreateDefaultVpc: got %+v, %v", standard, err)
	}
}

func TestBlocksThatWereTakenAwayAreShownForAWhile(t *testing.T) {
	w := ec2test.NewWorld(t)
	v := w.VPC(t, "10.0.0.0/16")
	four, err := w.API.AssociateVpcCidrBlock(w.Ctx, &shape.AssociateVpcCidrBlockInput{VpcId: v.VpcId, CidrBlock: new("10.1.0.0/16")})
	if err != nil {
		t.Fatal(err)
	}
	six, err := w.API.AssociateVpcCidrBlock(w.Ctx, &shape.AssociateVpcCidrBlockInput{VpcId: v.VpcId, Ipv6CidrBlock: new("2001:db8:1::/56"), Ipv6Pool: new("ipv6pool-ec2-1")})
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []*string{four.CidrBlockAssociation.AssociationId, six.Ipv6CidrBlockAssociation.AssociationId} {
		out, err := w.API.DisassociateVpcCidrBlock(w.Ctx, &shape.DisassociateVpcCidrBlockInput{AssociationId: id})
		if err != nil {
			t.Fatal(err)
		}
		if b := out.CidrBlockAssociation; b != nil && *b.CidrBlockState.State != "disassociating" {
			t.Errorf("reply: got %+v", b)
		}
		if b := out.Ipv6CidrBlockAssociation; b != nil && *b.Ipv6CidrBlockState.State != "disassociating" {
			t.Errorf("reply: got %+v", b)
		}
		w.RefusedAll(t, []ec2test.Refusal{{Name: "again", Code: "InvalidVpcCidrBlockAssociationID.NotFound", Call: func() error {
			return ec2test.Failure(w.API.DisassociateVpcCidrBlock(w.Ctx, &shape.DisassociateVpcCidrBlockInput{AssociationId: id}))
		}}})
	}
	gone := []string{"10.0.0.0/16 associated", "10.1.0.0/16 disassociated", "2001:db8:1::/56 disassociated"}
	if diff := cmp.Diff(gone, vpcBlocks(t, w, *v.VpcId)); diff != "" {
		t.Errorf("at once (-want +got):\n%s", diff)
	}
	found, err := w.API.DescribeVpcs(w.Ctx, &shape.DescribeVpcsInput{Filters: ec2test.Filter("cidr-block-association.state", "disassociated")})
	if err != nil || len(found.Vpcs) != 1 {
		t.Errorf("by state: got %v, %v", found, err)
	}
	at(w, 50*time.Minute)
	if diff := cmp.Diff(gone, vpcBlocks(t, w, *v.VpcId)); diff != "" {
		t.Errorf("later (-want +got):\n%s", diff)
	}
	at(w, 61*time.Minute)
	if diff := cmp.Diff(gone[:1], vpcBlocks(t, w, *v.VpcId)); diff != "" {
		t.Errorf("much later (-want +got):\n%s", diff)
	}
}

// What was taken away binds nothing: the block can be had again at once, counts
// for no quota, and takes no subnets.
func TestBlocksThatWereTakenAwayBindNothing(t *testing.T) {
	w := ec2test.NewWorld(t)
	w.Quotas.IPv4BlocksPerVPC = 2
	v := w.VPC(t, "10.0.0.0/16")
	for i := range 40 {
		out, err := w.API.AssociateVpcCidrBlock(w.Ctx, &shape.AssociateVpcCidrBlockInput{VpcId: v.VpcId, CidrBlock: new("10.1.0.0/16")})
		if err != nil {
			t.Fatalf("time %d: %v", i, err)
		}
		if _, err := w.API.DisassociateVpcCidrBlock(w.Ctx, &shape.DisassociateVpcCidrBlockInput{AssociationId: out.CidrBlockAssociation.AssociationId}); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(vpcBlocks(t, w, *v.VpcId)); n > 40 {
		t.Errorf("%d blocks are shown: what is remembered has no bound", n)
	}
	w.RefusedAll(t, []ec2test.Refusal{{Name: "subnet", Code: "InvalidSubnet.Range", Call: func() error {
		return ec2test.Failure(w.API.CreateSubnet(w.Ctx, &shape.CreateSubnetInput{VpcId: v.VpcId, CidrBlock: new("10.1.0.0/24")}))
	}}})
	if _, err := w.API.DeleteVpc(w.Ctx, &shape.DeleteVpcInput{VpcId: v.VpcId}); err != nil {
		t.Error(err)
	}
}

func TestSubnetBlockThatWasTakenAwayIsShownForAWhile(t *testing.T) {
	w := ec2test.NewWorld(t)
	v := w.VPC(t, "10.0.0.0/16", "2001:db8:1::/56")
	s := w.Subnet(t, *v.VpcId, "10.0.1.0/24")
	for i := range 2 {
		block := fmt.Sprintf("2001:db8:1:%d::/64", i)
		out, err := w.API.AssociateSubnetCidrBlock(w.Ctx, &shape.AssociateSubnetCidrBlockInput{SubnetId: s.SubnetId, Ipv6CidrBlock: &block})
		if err != nil || *out.Ipv6CidrBlockAssociation.Ipv6CidrBlockState.State != "associating" {
			t.Fatalf("got %+v, %v", out, err)
		}
		if i > 0 {
			break
		}
		gone, err := w.API.DisassociateSubnetCidrBlock(w.Ctx, &shape.DisassociateSubnetCidrBlockInput{AssociationId: out.Ipv6CidrBlockAssociation.AssociationId})
		if err != nil || *gone.Ipv6CidrBlockAssociation.Ipv6CidrBlockState.State != "disassociating" {
			t.Fatalf("got %+v, %v", gone, err)
		}
	}
	if diff := cmp.Diff([]string{"2001:db8:1:1::/64 associated", "2001:db8:1::/64 disassociated"}, subnetBlocks6(t, w, *s.SubnetId)); diff != "" {
		t.Errorf("at once (-want +got):\n%s", diff)
	}
	w.Subnet6(t, *v.VpcId, "2001:db8:1::/64") // somebody else may have it at once
	at(w, 2*time.Hour)
	if diff := cmp.Diff([]string{"2001:db8:1:1::/64 associated"}, subnetBlocks6(t, w, *s.SubnetId)); diff != "" {
		t.Errorf("much later (-want +got):\n%s", diff)
	}
}
