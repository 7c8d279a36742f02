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
	"github.com/posternhq/postern/internal/service/ec2/endpoint"
	"github.com/posternhq/postern/internal/service/ec2/group"
	"github.com/posternhq/postern/internal/service/ec2/iface"
	"github.com/posternhq/postern/internal/service/ec2/subnet"
	"github.com/posternhq/postern/internal/service/ec2/vpc"
)

// API implements the operations of EC2 on the tables of its environment.
type API struct {
	*service.Env
	absence.Lists
	vpc.VPCs
	subnet.Subnets
	group.Groups
	iface.Interfaces
	endpoint.Endpoints
}

// New gives the operations in an environment.
func New(env *service.Env) *API {
	return &API{
		Env:        env,
		Lists:      absence.Lists{Env: env},
		VPCs:       vpc.VPCs{Env: env},
		Subnets:    subnet.Subnets{Env: env},
		Groups:     group.Groups{Env: env},
		Interfaces: iface.Interfaces{Env: env},
		Endpoints:  endpoint.Endpoints{Env: env},
	}
}

var _ shape.API = (*API)(nil)
