// SPDX-License-Identifier: Apache-2.0

package postern

import (
	"net/netip"

	"github.com/posternhq/postern/internal/aws/shape/ec2"
)

// VPC is a VPC with an IPv4 and an IPv6 block.
type VPC struct {
	p       *Postern
	ID      string
	Block6  netip.Prefix
	subnets int
}

// VPC makes a VPC with this IPv4 block.
func (p *Postern) VPC(cidr string) *VPC {
	p.T.Helper()
	in := &ec2.CreateVpcInput{CidrBlock: &cidr, AmazonProvidedIpv6CidrBlock: new(true)}
	v := Call[ec2.CreateVpcOutput](p, ec2.Service, "CreateVpc", in).Vpc
	found := Call[ec2.DescribeVpcsOutput](p, ec2.Service, "DescribeVpcs", &ec2.DescribeVpcsInput{VpcIds: []string{*v.VpcId}}).Vpcs[0]
	block, err := netip.ParsePrefix(*found.Ipv6CidrBlockAssociationSet[0].Ipv6CidrBlock)
	if err != nil {
		p.T.Fatal(err)
	}
	return &VPC{p: p, ID: *v.VpcId, Block6: block}
}

// AddBlock gives the VPC another IPv4 block.
func (v *VPC) AddBlock(cidr string) {
	v.p.T.Helper()
	Call[ec2.AssociateVpcCidrBlockOutput](v.p, ec2.Service, "AssociateVpcCidrBlock", &ec2.AssociateVpcCidrBlockInput{VpcId: &v.ID, CidrBlock: &cidr})
}

// Subnet is a subnet of both families.
type Subnet struct {
	VPC    *VPC
	ID     string
	Zone   string
	CIDR   netip.Prefix
	Block6 netip.Prefix
}

// Zones are the availability zones of the default region.
var Zones = []string{"us-east-1a", "us-east-1b", "us-east-1c"}

// Subnet makes a subnet in one of the Zones. Its IPv6 block is the VPC's next.
func (v *VPC) Subnet(zone int, cidr string) *Subnet {
	v.p.T.Helper()
	bytes := v.Block6.Addr().As16()
	bytes[7] += byte(v.subnets)
	v.subnets++
	s := &Subnet{VPC: v, Zone: Zones[zone], CIDR: netip.MustParsePrefix(cidr), Block6: netip.PrefixFrom(netip.AddrFrom16(bytes), 64)}
	made := Call[ec2.CreateSubnetOutput](v.p, ec2.Service, "CreateSubnet", &ec2.CreateSubnetInput{
		VpcId: &v.ID, CidrBlock: &cidr, Ipv6CidrBlock: new(s.Block6.String()), AvailabilityZone: &s.Zone,
	})
	s.ID = *made.Subnet.SubnetId
	return s
}

// Address6 is the IPv6 address of the subnet with these last sixteen bits.
func (s *Subnet) Address6(host uint16) netip.Addr {
	bytes := s.Block6.Addr().As16()
	bytes[14], bytes[15] = byte(host>>8), byte(host)
	return netip.AddrFrom16(bytes)
}

// Unused is an IPv4 address of the subnet that no interface has. Postern chooses addresses
// at random, so that one which a test has written down may be a gateway's by now.
func (s *Subnet) Unused() netip.Addr {
	s.VPC.p.T.Helper()
	taken := map[string]bool{}
	for _, ni := range s.VPC.p.Interfaces("subnet-id", s.ID) {
		for _, a := range ni.PrivateIpAddresses {
			taken[*a.PrivateIpAddress] = true
		}
	}
	a := s.CIDR.Addr()
	for range 20 { // beyond those that AWS keeps, and that tests like to name
		a = a.Next()
	}
	for taken[a.String()] {
		a = a.Next()
	}
	return a
}

// Open is a rule that admits everything, of both families.
var Open = []ec2.IpPermission{{
	IpProtocol: new("-1"),
	IpRanges:   []ec2.IpRange{{CidrIp: new("0.0.0.0/0")}},
	Ipv6Ranges: []ec2.Ipv6Range{{CidrIpv6: new("::/0")}},
}}

// Ports admits TCP ports from both families' whole space.
func Ports(from, to int32) []ec2.IpPermission {
	return []ec2.IpPermission{{
		IpProtocol: new("tcp"), FromPort: &from, ToPort: &to,
		IpRanges: Open[0].IpRanges, Ipv6Ranges: Open[0].Ipv6Ranges,
	}}
}

// Group makes a security group that admits exactly this.
func (v *VPC) Group(name string, in, out []ec2.IpPermission) string {
	v.p.T.Helper()
	made := Call[ec2.CreateSecurityGroupOutput](v.p, ec2.Service, "CreateSecurityGroup", &ec2.CreateSecurityGroupInput{
		VpcId: &v.ID, GroupName: &name, Description: new("for a test"),
	})
	found := Call[ec2.DescribeSecurityGroupsOutput](v.p, ec2.Service, "DescribeSecurityGroups", &ec2.DescribeSecurityGroupsInput{GroupIds: []string{*made.GroupId}})
	v.p.Revoke(*made.GroupId, nil, found.SecurityGroups[0].IpPermissionsEgress)
	v.p.Authorize(*made.GroupId, in, out)
	return *made.GroupId
}

// OpenGroup makes a group that admits everything.
func (v *VPC) OpenGroup() string {
	v.p.T.Helper()
	return v.Group("open", Open, Open)
}

// Authorize adds rules to a group.
func (p *Postern) Authorize(group string, in, out []ec2.IpPermission) {
	p.T.Helper()
	if len(in) > 0 {
		Call[ec2.AuthorizeSecurityGroupIngressOutput](p, ec2.Service, "AuthorizeSecurityGroupIngress",
			&ec2.AuthorizeSecurityGroupIngressInput{GroupId: &group, IpPermissions: in})
	}
	if len(out) > 0 {
		Call[ec2.AuthorizeSecurityGroupEgressOutput](p, ec2.Service, "AuthorizeSecurityGroupEgress",
			&ec2.AuthorizeSecurityGroupEgressInput{GroupId: &group, IpPermissions: out})
	}
}

// Revoke takes rules out of a group.
func (p *Postern) Revoke(group string, in, out []ec2.IpPermission) {
	p.T.Helper()
	if len(in) > 0 {
		Call[ec2.RevokeSecurityGroupIngressOutput](p, ec2.Service, "RevokeSecurityGroupIngress",
			&ec2.RevokeSecurityGroupIngressInput{GroupId: &group, IpPermissions: in})
	}
	if len(out) > 0 {
		Call[ec2.RevokeSecurityGroupEgressOutput](p, ec2.Service, "RevokeSecurityGroupEgress",
			&ec2.RevokeSecurityGroupEgressInput{GroupId: &group, IpPermissions: out})
	}
}
