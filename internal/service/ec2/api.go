// SPDX-License-Identifier: Apache-2.0

// Package ec2 is the part of Amazon EC2 that networks and endpoints need: VPCs,
// subnets, security groups, network interfaces, VPC endpoints, tags, and what
// comes with them.
//
// References are to the Amazon EC2 API Reference,
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/.
package ec2

import (
	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/ec2/absence"
	"github.com/posternhq/postern/internal/service/ec2/acl"
	"github.com/posternhq/postern/internal/service/ec2/address"
	"github.com/posternhq/postern/internal/service/ec2/dhcp"
	"github.com/posternhq/postern/internal/service/ec2/endpoint"
	"github.com/posternhq/postern/internal/service/ec2/endpointservice"
	"github.com/posternhq/postern/internal/service/ec2/gateway"
	"github.com/posternhq/postern/internal/service/ec2/group"
	"github.com/posternhq/postern/internal/service/ec2/iface"
	"github.com/posternhq/postern/internal/service/ec2/nat"
	"github.com/posternhq/postern/internal/service/ec2/peering"
	"github.com/posternhq/postern/internal/service/ec2/prefixlist"
	"github.com/posternhq/postern/internal/service/ec2/region"
	"github.com/posternhq/postern/internal/service/ec2/route"
	"github.com/posternhq/postern/internal/service/ec2/subnet"
	"github.com/posternhq/postern/internal/service/ec2/tag"
	"github.com/posternhq/postern/internal/service/ec2/vpc"
)

// API is all operations of EC2: those of each noun, whose packages it embeds.
type API struct {
	absence.Lists
	acl.ACLs
	address.Addresses
	dhcp.Options
	endpoint.Endpoints
	endpointservice.Services
	gateway.Gateways
	group.Groups
	iface.Interfaces
	nat.NATGateways
	peering.Connections
	prefixlist.PrefixLists
	region.Regions
	route.Tables
	subnet.Subnets
	tag.Tags
	vpc.VPCs
}

// New gives the operations in an environment.
func New(env *service.Env) *API {
	return &API{
		Lists:       absence.Lists{Env: env},
		ACLs:        acl.ACLs{Env: env},
		Addresses:   address.Addresses{Env: env},
		Options:     dhcp.Options{Env: env},
		Endpoints:   endpoint.Endpoints{Env: env},
		Services:    endpointservice.Services{Env: env},
		Gateways:    gateway.Gateways{Env: env},
		Groups:      group.Groups{Env: env},
		Interfaces:  iface.Interfaces{Env: env},
		NATGateways: nat.NATGateways{Env: env},
		Connections: peering.Connections{Env: env},
		PrefixLists: prefixlist.PrefixLists{Env: env},
		Regions:     region.Regions{Env: env},
		Tables:      route.Tables{Env: env},
		Subnets:     subnet.Subnets{Env: env},
		Tags:        tag.Tags{Env: env},
		VPCs:        vpc.VPCs{Env: env},
	}
}

var _ shape.API = (*API)(nil)
