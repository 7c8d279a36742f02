// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"net/netip"

	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// mistakesOfEgress are those in route tables, public addresses and network ACLs.
func mistakesOfEgress() map[string]mistake {
	return map[string]mistake{
		"two main tables": {func(tx *table.Txn) {
			state.RouteTables.Put(tx, &model.RouteTable{Meta: meta("rtb-2"), VPC: "vpc-1", Main: true, MainAssociation: "rtbassoc-2"})
		}, "its main table is rtb-1, and rtb-2 says that it is"},
		"routes without a number": {func(tx *table.Txn) {
			state.RouteTables.Put(tx, &model.RouteTable{Meta: meta("rtb-2"), VPC: "vpc-1", Routes: []model.Route{{Target: "igw-1"}}})
		}, "it has routes and no number"},
		"tables with one number": {func(tx *table.Txn) {
			for _, id := range []string{"rtb-2", "rtb-3"} {
				state.RouteTables.Put(tx, &model.RouteTable{Meta: meta(id), VPC: "vpc-1", Number: 1})
			}
		}, "it has the number 1 of rtb-2"},
		"an association with no table": {func(tx *table.Txn) {
			state.RouteTableAssociations.Put(tx, &model.RouteTableAssociation{Account: account, Region: region, ID: "rtbassoc-3", Table: "rtb-9", Subnet: "subnet-1"})
		}, "it refers to route-table rtb-9"},
		"a public address of nobody": {func(tx *table.Txn) {
			state.PublicClaims.Put(tx, &model.PublicClaim{Addr: netip.MustParseAddr("203.0.113.1"), Owner: ref("eipalloc-1")})
		}, "it is a claim of eipalloc-1, which does not have the address"},
		"a public address that nothing claims": {func(tx *table.Txn) {
			state.ElasticAddresses.Put(tx, &model.ElasticAddress{Meta: meta("eipalloc-1"), Addr: netip.MustParseAddr("203.0.113.1")})
		}, "nothing claims its public address 203.0.113.1"},
		"a public address of somebody else": {func(tx *table.Txn) { elastic(tx, "eipalloc-1", addr, "eipalloc-2") }, "is claimed by eipalloc-2"},
		"an elastic address of no address":  {func(tx *table.Txn) { elastic(tx, "eipalloc-1", addr.Next(), "eipalloc-1") }, "eni-1 does not have the address 10.0.1.11"},
		"an interface with two public addresses": {func(tx *table.Txn) {
			elastic(tx, "eipalloc-1", addr, "eipalloc-1")
			ni, _ := state.NetworkInterfaces.Get(tx, account, region, "eni-1")
			ni = ni.Clone()
			ni.Public = netip.MustParseAddr("203.0.113.2")
			state.NetworkInterfaces.Put(tx, ni)
			state.PublicClaims.Put(tx, &model.PublicClaim{Addr: ni.Public, Owner: ref("eni-1")})
		}, "has the public address 203.0.113.2 too"},
		"a peering connection that one account knows nothing of": {func(tx *table.Txn) {
			p := peered("pcx-1")
			p.Accepter.Account = "444455556666"
			state.PeeringConnections.Put(tx, p)
		}, "account 444455556666 has no row of it"},
		"accounts that do not agree about a peering connection": {func(tx *table.Txn) {
			p := peered("pcx-1")
			p.Accepter.Account = "444455556666"
			state.PeeringConnections.Put(tx, p)
			p = p.Clone()
			p.Account, p.Code = "444455556666", model.PeeringPending
			state.PeeringConnections.Put(tx, p)
		}, "it is active, and pending-acceptance according to the row of account 444455556666"},
		"peers with the same addresses": {func(tx *table.Txn) {
			v, _ := state.VPCs.Get(tx, account, region, "vpc-1")
			v = v.Clone()
			v.CIDRs = []model.CIDRAssociation{{ID: "b", Prefix: netip.MustParsePrefix("10.0.0.0/16")}}
			state.VPCs.Put(tx, v)
			state.VPCs.Put(tx, &model.VPC{Meta: meta("vpc-2"), CIDRs: []model.CIDRAssociation{{ID: "c", Prefix: netip.MustParsePrefix("10.0.128.0/17")}}})
			state.PeeringConnections.Put(tx, peered("pcx-1"))
		}, "its VPCs have addresses in common: 10.0.0.0/16 and 10.0.128.0/17"},
		"a gateway of no VPC": {func(tx *table.Txn) {
			state.InternetGateways.Put(tx, &model.InternetGateway{Meta: meta("igw-1"), VPC: "vpc-9"})
		}, "it refers to vpc vpc-9"},
		"two rules with one number": {func(tx *table.Txn) {
			state.NetworkACLs.Put(tx, &model.NetworkACL{Meta: meta("acl-2"), VPC: "vpc-1", Entries: []model.ACLEntry{{Number: 1}, {Number: 1, Egress: true}, {Number: 1}}})
		}, "it has a rule with the number 1, or two"},
		"the ACL of another VPC": {func(tx *table.Txn) {
			state.NetworkACLs.Put(tx, &model.NetworkACL{Meta: meta("acl-2"), VPC: "vpc-9"})
			state.NetworkACLAssociations.Put(tx, &model.NetworkACLAssociation{Account: account, Region: region, ID: "aclassoc-1", ACL: "acl-2", Subnet: "subnet-1"})
		}, "subnet-1 of vpc-1 uses acl-2 of vpc-9"},
		"two ACLs": {func(tx *table.Txn) {
			for _, id := range []string{"aclassoc-1", "aclassoc-2"} {
				state.NetworkACLAssociations.Put(tx, &model.NetworkACLAssociation{Account: account, Region: region, ID: id, ACL: "acl-1", Subnet: "subnet-1"})
			}
		}, "subnet-1 uses another ACL too"},
	}
}

// peered is an active connection of the VPC of the world with another one.
func peered(id string) *model.PeeringConnection {
	side := func(vpc string) model.PeeringSide { return model.PeeringSide{Account: account, VPC: vpc} }
	return &model.PeeringConnection{Meta: meta(id), Requester: side("vpc-1"), Accepter: side("vpc-2"), Code: model.PeeringActive}
}
