// SPDX-License-Identifier: Apache-2.0

package model

import (
	"slices"
	"time"
)

// FullAccessPolicy is the id of the service control policy that every organization has,
// and that allows everything. It is no row.
const FullAccessPolicy = "p-FullAWSAccess"

// FullAccessPolicyARN names it.
const FullAccessPolicyARN = "arn:" + Partition + ":organizations::aws:policy/service_control_policy/" + FullAccessPolicy

// Organization is that of all accounts of the installation; there is one at most. Its
// Meta has the management account, no region, and the tags of the root.
type Organization struct {
	Meta
	// Root is the id of what all units and accounts are below.
	Root string `json:"root"`
	// Controlled says that service control policies count.
	Controlled bool `json:"controlled,omitempty"`
	// Policies are the service control policies that are attached to the root, in the order
	// of attaching; none stands for FullAccessPolicy alone, here and below.
	Policies []string `json:"policies,omitempty"`
	// Services are those of AWS that may look into the organization.
	Services []EnabledService `json:"services,omitempty"`
}

// EnabledService is a service that was let into an organization.
type EnabledService struct {
	// Principal is its name, such as ram.amazonaws.com.
	Principal string    `json:"principal"`
	Since     time.Time `json:"since"`
}

// Clone copies the row so that the copy can be changed.
func (o *Organization) Clone() *Organization {
	c := *o
	c.Meta = o.Meta.clone()
	c.Policies, c.Services = slices.Clone(o.Policies), slices.Clone(o.Services)
	return &c
}

// ARN names the organization.
func (o *Organization) ARN() string { return o.name("organization/" + o.ID) }

// RootARN names its root.
func (o *Organization) RootARN() string { return o.name("root/" + o.ID + "/" + o.Root) }

// UnitARN, AccountARN and PolicyARN name what it has by its id.
func (o *Organization) UnitARN(id string) string { return o.name("ou/" + o.ID + "/" + id) }

// AccountARN names an account in it.
func (o *Organization) AccountARN(id string) string { return o.name("account/" + o.ID + "/" + id) }

// PolicyARN names a service control policy.
func (o *Organization) PolicyARN(id string) string {
	if id == FullAccessPolicy {
		return FullAccessPolicyARN
	}
	return o.name("policy/" + o.ID + "/service_control_policy/" + id)
}

func (o *Organization) name(resource string) string {
	return ARN("organizations", "", o.Account, resource)
}

// Has says whether a service may look into the organization.
func (o *Organization) Has(service string) bool {
	return slices.ContainsFunc(o.Services, func(s EnabledService) bool { return s.Principal == service })
}

// OrganizationalUnit is a unit of an organization, with the organization's account.
type OrganizationalUnit struct {
	Meta
	Name string `json:"name"`
	// Parent is the unit that it is in; empty for the root.
	Parent string `json:"parent,omitempty"`
	// Policies are as those of an organization.
	Policies []string `json:"policies,omitempty"`
}

// Clone copies the row so that the copy can be changed.
func (u *OrganizationalUnit) Clone() *OrganizationalUnit {
	c := *u
	c.Meta = u.Meta.clone()
	c.Policies = slices.Clone(u.Policies)
	return &c
}

// OrganizationAccount is what an organization knows of an account beside that it is in
// it. Its Meta has the organization's account, and the id of the account that it is
// about; accounts without such a row are in the root.
type OrganizationAccount struct {
	Meta
	// Parent is the unit that the account is in; empty for the root.
	Parent string `json:"parent,omitempty"`
	// Email and Request are of an account that the organization made: Request is the id
	// of its creation.
	Email   string `json:"email,omitempty"`
	Request string `json:"request,omitempty"`
	// Policies are as those of an organization.
	Policies []string `json:"policies,omitempty"`
}

// Clone copies the row so that the copy can be changed.
func (a *OrganizationAccount) Clone() *OrganizationAccount {
	c := *a
	c.Meta = a.Meta.clone()
	c.Policies = slices.Clone(a.Policies)
	return &c
}

// ControlPolicy is a service control policy of an organization, with its account.
type ControlPolicy struct {
	Meta
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	// Content is the text as it was sent.
	Content string `json:"content"`
}

// Clone copies the row so that the copy can be changed.
func (p *ControlPolicy) Clone() *ControlPolicy {
	c := *p
	c.Meta = p.Meta.clone()
	return &c
}
