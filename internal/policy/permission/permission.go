// SPDX-License-Identifier: Apache-2.0

// Package permission has what accounts can let others do with their resources: the
// types of resources that can be shared, the permissions that are everybody's, and how
// an account's own are written. A permission is a policy without principals and
// resources; those are the share's.
// https://docs.aws.amazon.com/ram/latest/userguide/security-ram-permissions.html
package permission

import (
	"slices"
	"strings"
	"time"

	"github.com/posternhq/postern/internal/model"
)

// Type is a type of resources that can be shared.
type Type struct {
	// Name is what RAM calls it.
	Name string
	// Service and ARNType are how ARNs of its resources name it.
	Service, ARNType string
	// Invitation is how long an invitation to a share that has such resources can be
	// accepted.
	Invitation time.Duration
	// Organization says that it can be shared within an organization only.
	Organization bool
	// Actions are those that permissions for the type can name, sorted.
	Actions []string
}

// The types by which others are asked for.
const (
	// ResourceConfiguration is the type of resource configurations.
	ResourceConfiguration = "vpc-lattice:ResourceConfiguration"
	// Subnet is the type of subnets.
	Subnet = "ec2:Subnet"
)

// Types are all types, sorted by name. Nobody changes them.
// https://docs.aws.amazon.com/ram/latest/userguide/shareable.html
var Types = []*Type{
	{
		// Nobody outside of the organization can be invited to one.
		Name: Subnet, Service: "ec2", ARNType: "subnet", Invitation: 12 * time.Hour, Organization: true,
		Actions: []string{createInterface, describeSubnets, "ec2:RunInstances"},
	},
	{
		Name: ResourceConfiguration, Service: "vpc-lattice", ARNType: "resourceconfiguration",
		// Seven days are for a list of types that VPC Lattice's are not on:
		// https://docs.aws.amazon.com/ram/latest/userguide/working-with-shared-invitations.html
		Invitation: 12 * time.Hour,
		Actions: []string{
			"vpc-lattice:AssociateViaAWSService", "vpc-lattice:AssociateViaAWSService-EventsAndStates",
			createNetworkAssociation, getConfiguration, listNetworkAssociations,
		},
	},
}

const (
	getConfiguration         = "vpc-lattice:GetResourceConfiguration"
	createNetworkAssociation = "vpc-lattice:CreateServiceNetworkResourceAssociation"
	listNetworkAssociations  = "vpc-lattice:ListServiceNetworkResourceAssociations"

	createInterface = "ec2:CreateNetworkInterface"
	describeSubnets = "ec2:DescribeSubnets"
)

// stands has the actions that permissions do not name, with the one that stands for
// them: who may know of a resource configuration may make endpoints for it, and list what
// is its own there. Who may have interfaces in a subnet may have security groups for them.
var stands = map[string]string{
	"ec2:CreateSecurityGroup":                      createInterface,
	"ec2:CreateVpcEndpoint":                        getConfiguration,
	"vpc-lattice:ListResourceConfigurations":       getConfiguration,
	"vpc-lattice:ListResourceEndpointAssociations": getConfiguration,
}

// Named finds a type by its name.
func Named(name string) (*Type, bool) {
	for _, t := range Types {
		if t.Name == name {
			return t, true
		}
	}
	return nil, false
}

// Of finds the type of the resource that an ARN names.
func Of(arn model.ParsedARN) (*Type, bool) {
	for _, t := range Types {
		if t.Service == arn.Service && t.ARNType == arn.Type {
			return t, true
		}
	}
	return nil, false
}

// Owner is the account in ARNs of permissions that are everybody's.
const Owner = "aws"

// Managed is a permission that is everybody's.
type Managed struct {
	Name         string
	ResourceType string
	// Versions are the actions that are allowed, by version from the first one. The last
	// one is the default.
	Versions [][]string
	// Default says that shares have it which name none for the type.
	Default bool
	// Since is when its versions were made.
	Since []time.Time
}

// All are the permissions that are everybody's, sorted by name. Nobody changes them.
var All = []*Managed{
	{
		Name: "AWSRAMDefaultPermissionSubnet", ResourceType: Subnet, Default: true,
		Versions: [][]string{{createInterface, describeSubnets, "ec2:RunInstances"}},
		Since:    []time.Time{time.Date(2018, 12, 1, 0, 0, 0, 0, time.UTC)},
	},
	{
		Name: "AWSRAMPermissionVpcLatticeResourceConfiguration", ResourceType: ResourceConfiguration, Default: true,
		// A service network needs version 2:
		// https://docs.aws.amazon.com/vpc-lattice/latest/ug/resource-configuration-associations.html
		Versions: [][]string{
			{getConfiguration, listNetworkAssociations},
			{
				"vpc-lattice:AssociateViaAWSService", "vpc-lattice:AssociateViaAWSService-EventsAndStates",
				createNetworkAssociation, getConfiguration, listNetworkAssociations,
			},
		},
		Since: []time.Time{time.Date(2024, 12, 1, 0, 0, 0, 0, time.UTC), time.Date(2025, 3, 1, 0, 0, 0, 0, time.UTC)},
	},
}

// ARN names the permission.
func (m *Managed) ARN() string { return ARN(m.Name) }

// ARN names the permission of everybody's with a name.
func ARN(name string) string { return model.ARN("ram", "", Owner, "permission/"+name) }

// Latest is the number of the default version.
func (m *Managed) Latest() int { return len(m.Versions) }

// Allows reports whether a version allows an action.
func (m *Managed) Allows(version int, action string) bool {
	return version >= 1 && version <= len(m.Versions) && slices.Contains(m.Versions[version-1], standing(action))
}

// Template gives a version as the policy that it is.
func (m *Managed) Template(version int) string {
	return Format(m.Versions[version-1])
}

// ManagedNamed finds a permission that is everybody's.
func ManagedNamed(name string) (*Managed, bool) {
	for _, m := range All {
		if m.Name == name {
			return m, true
		}
	}
	return nil, false
}

// DefaultFor gives the permission of shares that name none for a type.
func DefaultFor(resourceType string) (*Managed, bool) {
	for _, m := range All {
		if m.ResourceType == resourceType && m.Default {
			return m, true
		}
	}
	return nil, false
}

// standing is the action that permissions name for one that is asked.
func standing(action string) string {
	for asked, named := range stands {
		if strings.EqualFold(asked, action) {
			return named
		}
	}
	return action
}
