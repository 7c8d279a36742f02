// SPDX-License-Identifier: Apache-2.0

package sdk

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice"
)

// A set of DHCP options is made, given to a VPC, taken from it and deleted.
func TestDHCPOptions(t *testing.T) {
	t.Parallel()
	c := newAccount(t)
	vpc := *must(c.ec2.CreateVpc(c.ctx, &ec2.CreateVpcInput{CidrBlock: new("10.9.0.0/16")}))(c).Vpc.VpcId
	made := must(c.ec2.CreateDhcpOptions(c.ctx, &ec2.CreateDhcpOptionsInput{DhcpConfigurations: []ec2types.NewDhcpConfiguration{
		{Key: new("domain-name"), Values: []string{"corp.example"}},
	}}))(c).DhcpOptions
	must(c.ec2.AssociateDhcpOptions(c.ctx, &ec2.AssociateDhcpOptionsInput{DhcpOptionsId: made.DhcpOptionsId, VpcId: &vpc}))(c)
	has := must(c.ec2.DescribeVpcs(c.ctx, &ec2.DescribeVpcsInput{VpcIds: []string{vpc}}))(c).Vpcs[0].DhcpOptionsId
	equal(t, "options of the VPC", has, *made.DhcpOptionsId)
	must(c.ec2.AssociateDhcpOptions(c.ctx, &ec2.AssociateDhcpOptionsInput{DhcpOptionsId: new("default"), VpcId: &vpc}))(c)
	must(c.ec2.DeleteDhcpOptions(c.ctx, &ec2.DeleteDhcpOptionsInput{DhcpOptionsId: made.DhcpOptionsId}))(c)
	must(c.ec2.DeleteVpc(c.ctx, &ec2.DeleteVpcInput{VpcId: &vpc}))(c)
}

// A verification of a domain begins by telling which record is to be there.
func TestDomainVerification(t *testing.T) {
	t.Parallel()
	c := newAccount(t)
	begun := must(c.lattice.StartDomainVerification(c.ctx, &vpclattice.StartDomainVerificationInput{DomainName: new("db.example.com")}))(c)
	matches(t, "id", begun.Id, "dv-[0-9a-f]{17}")
	got := must(c.lattice.GetDomainVerification(c.ctx, &vpclattice.GetDomainVerificationInput{DomainVerificationIdentifier: begun.Id}))(c)
	equal(t, "domain", got.DomainName, "db.example.com")
	equal(t, "state", string(got.Status), "PENDING")
	equal(t, "record", *got.TxtMethodConfig.Name, *begun.TxtMethodConfig.Name)
	must(c.lattice.DeleteDomainVerification(c.ctx, &vpclattice.DeleteDomainVerificationInput{DomainVerificationIdentifier: begun.Id}))(c)
}
