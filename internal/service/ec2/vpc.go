// SPDX-License-Identifier: Apache-2.0

package ec2

import (
	"context"
	"net/netip"
	"time"

	"github.com/posternhq/postern/internal/aws/caller"
	"github.com/posternhq/postern/internal/aws/fault"
	"github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// CreateVpc makes a VPC with its main route table, default network ACL, default
// security group and DHCP options. It is available at once.
func (a *API) CreateVpc(ctx context.Context, in *ec2.CreateVpcInput) (*ec2.CreateVpcOutput, error) {
	if in.Ipv4IpamPoolId != nil || in.Ipv4NetmaskLength != nil || in.Ipv6IpamPoolId != nil || in.Ipv6NetmaskLength != nil {
		return nil, unserved("address pools of IPAM")
	}
	if in.VpcEncryptionControl != nil {
		return nil, unserved("VPC encryption control")
	}
	if in.CidrBlock == nil {
		return nil, fault.EC2("MissingParameter", "The request must contain the parameter cidrBlock")
	}
	block, err := vpcBlock.parse(*in.CidrBlock)
	if err != nil {
		return nil, err
	}
	tenancy := deref(in.InstanceTenancy)
	if tenancy == ec2.TenancyHost {
		return nil, fault.EC2("InvalidParameterValue", "Value (host) for parameter instanceTenancy is invalid, want default or dedicated")
	}
	tags, err := tagsFor(in.TagSpecifications, ec2.ResourceTypeVpc)
	if err != nil {
		return nil, err
	}
	block6, err := a.block6Request(in.AmazonProvidedIpv6CidrBlock, in.Ipv6CidrBlock, in.Ipv6Pool)
	if err != nil {
		return nil, err
	}
	parts := a.newVPCParts(caller.From(ctx), block, block6 != nil)
	parts.vpc.Tags = tags
	if tenancy != "" {
		parts.vpc.Tenancy = tenancy
	}
	err = a.insertVPC(ctx, parts, func(tx *table.Txn) error {
		if block6 == nil {
			return nil
		}
		parts.vpc.CIDRs6 = nil // of an attempt before
		got, err := block6.take(tx, parts.vpc)
		parts.vpc.CIDRs6 = []model.CIDRAssociation{got}
		return err
	})
	if err != nil {
		return nil, err
	}
	return &ec2.CreateVpcOutput{Vpc: vpcShape(parts.vpc)}, nil
}

// CreateDefaultVpc makes the VPC 172.31.0.0/16 with a subnet in each zone
// (https://docs.aws.amazon.com/vpc/latest/userguide/default-vpc.html). There is
// no internet gateway yet for it to have.
func (a *API) CreateDefaultVpc(ctx context.Context, _ *ec2.CreateDefaultVpcInput) (*ec2.CreateDefaultVpcOutput, error) {
	who := caller.From(ctx)
	parts := a.newVPCParts(who, netip.MustParsePrefix("172.31.0.0/16"), false)
	parts.vpc.Default, parts.vpc.DNSHostnames = true, true
	subnets := a.defaultSubnets(who, parts.vpc)
	err := a.insertVPC(ctx, parts, func(tx *table.Txn) error {
		if have := defaultVPC(tx, who); have != nil {
			return fault.EC2("DefaultVpcAlreadyExists", "A default VPC already exists for this account in this region: %s", have.ID)
		}
		for _, s := range subnets {
			state.Subnets.Put(tx, s)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &ec2.CreateDefaultVpcOutput{Vpc: vpcShape(parts.vpc)}, nil
}

// defaultSubnets makes a /20 for each zone, as many as the block has room for.
func (a *API) defaultSubnets(who caller.Caller, vpc *model.VPC) []*model.Subnet {
	const bits = 20
	base := vpc.CIDRs[0].Prefix.Addr().As4()
	var subnets []*model.Subnet
	for i, zone := range a.Zones(who.Region) {
		if i == 1<<(bits-vpc.CIDRs[0].Prefix.Bits()) {
			break
		}
		base[2] = byte(i << (24 - bits))
		subnets = append(subnets, &model.Subnet{
			Meta: a.meta(who, "subnet", vpc.CreatedAt, nil),
			VPC:  vpc.ID, Zone: zone.Name, ZoneID: zone.ID,
			CIDR:           netip.PrefixFrom(netip.AddrFrom4(base), bits),
			DefaultForZone: true, MapPublicIP: true, HostnameType: ec2.HostnameTypeIpName,
		})
	}
	return subnets
}

// vpcParts are the rows that make up a new VPC.
type vpcParts struct {
	vpc     *model.VPC
	table   *model.RouteTable
	acl     *model.NetworkACL
	group   *model.SecurityGroup
	options *model.DHCPOptions // used when the region has none yet
}

// newVPCParts makes the rows of a VPC with all their ids.
func (a *API) newVPCParts(who caller.Caller, block netip.Prefix, with6 bool) vpcParts {
	now := a.Now()
	p := vpcParts{
		vpc: &model.VPC{
			Meta:    a.meta(who, "vpc", now, nil),
			CIDRs:   []model.CIDRAssociation{{ID: a.NewID("vpc-cidr-assoc"), Prefix: block}},
			Tenancy: ec2.TenancyDefault, DNSSupport: true,
		},
		table:   &model.RouteTable{Meta: a.meta(who, "rtb", now, nil), Main: true, MainAssociation: a.NewID("rtbassoc")},
		acl:     &model.NetworkACL{Meta: a.meta(who, "acl", now, nil), Default: true},
		group:   &model.SecurityGroup{Meta: a.meta(who, "sg", now, nil), Name: defaultGroupName, Description: "default VPC security group"},
		options: &model.DHCPOptions{Meta: a.meta(who, "dopt", now, nil), DomainName: defaultDomain(who.Region), DomainNameServers: []string{"AmazonProvidedDNS"}},
	}
	p.table.VPC, p.acl.VPC, p.group.VPC = p.vpc.ID, p.vpc.ID, p.vpc.ID
	p.vpc.MainTable, p.vpc.DefaultACL, p.vpc.DefaultGroup = p.table.ID, p.acl.ID, p.group.ID
	p.group.Rules = append(a.allEgress(with6), model.SecurityGroupRule{
		ID: a.NewID("sgr"), Protocol: "-1", From: -1, To: -1, Group: p.group.ID,
	})
	return p
}

// insertVPC writes the rows of a VPC after what extra checks and adds. Both may
// run several times, so the transaction starts from a copy of the VPC's row.
func (a *API) insertVPC(ctx context.Context, p vpcParts, extra func(*table.Txn) error) error {
	who := caller.From(ctx)
	_, err := a.DB.Update(ctx, func(tx *table.Txn) error {
		if n := state.VPCs.CountScope(tx, who.Account, who.Region); n >= a.Quotas.VPCsPerRegion {
			return fault.EC2("VpcLimitExceeded", "The maximum number of VPCs (%d) has been reached.", a.Quotas.VPCsPerRegion)
		}
		if err := extra(tx); err != nil {
			return err
		}
		index, err := a.ClaimTransit(tx, model.SpaceSource, model.SourcesPerHost, p.vpc.Ref())
		if err != nil {
			return asFault(err)
		}
		p.vpc.TransitIndex = index
		p.vpc.DHCPOptions = p.options.ID
		if have := firstOptions(tx, who); have != nil {
			p.vpc.DHCPOptions = have.ID
		} else {
			state.DHCPOptions.Put(tx, p.options)
		}
		state.VPCs.Put(tx, p.vpc)
		state.RouteTables.Put(tx, p.table)
		state.NetworkACLs.Put(tx, p.acl)
		state.SecurityGroups.Put(tx, p.group)
		return nil
	})
	return err
}

// meta makes what all rows have, with a new id.
func (a *API) meta(who caller.Caller, prefix string, now time.Time, tags map[string]string) model.Meta {
	return model.Meta{Account: who.Account, Region: who.Region, ID: a.NewID(prefix), CreatedAt: now, UpdatedAt: now, Tags: tags}
}

func defaultVPC(tx *table.Txn, who caller.Caller) *model.VPC {
	for v := range state.VPCs.Scope(tx, who.Account, who.Region) {
		if v.Default {
			return v
		}
	}
	return nil
}

// getVPC gives the caller's VPC with this id.
func getVPC(tx *table.Txn, who caller.Caller, id string) (*model.VPC, error) {
	v, ok := state.VPCs.Get(tx, who.Account, who.Region, id)
	if !ok {
		return nil, noVPC(id)
	}
	return v, nil
}

func noVPC(id string) error {
	return fault.EC2("InvalidVpcID.NotFound", "The vpc ID '%s' does not exist", id)
}

func unserved(what string) error {
	return fault.EC2("UnsupportedOperation", "%s are not served here", what)
}
