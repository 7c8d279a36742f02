// SPDX-License-Identifier: Apache-2.0

// Package postern is the service for what AWS has no call for: accounts, the
// attachment of network interfaces to network namespaces, and the state of the
// installation itself.
package postern

import (
	shape "github.com/posternhq/postern/internal/aws/shape/postern"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/ec2/iface"
)

// API implements the operations of the service. Its fields are set at start.
type API struct {
	*service.Env
	// Observer tells of the data plane; nil where there is none, as in tests.
	Observer Observer
	// Namespaces finds network namespaces of the host; nil where there are none.
	Namespaces Namespaces
	// Interfaces makes network interfaces, with the rules of EC2.
	Interfaces iface.Interfaces
	// Version is that of the program.
	Version string
}

var _ shape.API = (*API)(nil)

// The kinds of resources, as errors name them.
const (
	kindAccount    = "Account"
	kindAccessKey  = "AccessKey"
	kindAttachment = "Attachment"
	kindInterface  = "NetworkInterface"
	kindHost       = "Host"
	kindDatabase   = "Database"
	kindVPC        = "VPC"
	kindService    = "Service"
	kindBalancer   = "LoadBalancer"
)
