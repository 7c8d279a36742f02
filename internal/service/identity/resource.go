// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/policy"
	"github.com/posternhq/postern/internal/share"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// resources reads what policies ask of resources, which are the caller's own, or subnets and
// VPCs in which it has a part. It implements access.Resources.
type resources struct {
	tx              *table.Txn
	docs            *documents
	account, region string
}

// Find implements access.Resources.
func (r resources) Find(a *access.Ask) (string, bool) {
	kind := a.Resource.Kind
	if kind.Service == state.RDS {
		return strings.ToLower(a.Resource.ID), true // identifiers have no case
	}
	if find := finders[kind.Service+":"+kind.Type]; find != nil && a.Resource.Account == r.account {
		return find(r, a)
	}
	return "", false
}

// finders find resources by what requests name them by in place of their ids, or give the
// id that ARNs have, by the kind.
var finders = map[string]func(r resources, a *access.Ask) (string, bool){
	"ec2:elastic-ip":     other(resources.address),
	"ec2:route-table":    other(resources.routeTable),
	"ec2:security-group": other(resources.securityGroup),
	"ec2:subnet":         other(resources.subnet),
	"ec2:vpc":            other(resources.vpc),

	"elasticloadbalancing:listener":     newListener,
	"elasticloadbalancing:loadbalancer": balanced("net/"),
	"elasticloadbalancing:targetgroup":  balanced(""),

	"organizations:account": inOrganization(""),
	"organizations:ou":      inOrganization(""),
	"organizations:policy":  inOrganization("service_control_policy/"),
	"organizations:root":    inOrganization(""),

	"iam:group": entity(state.GroupsByName, func(g *model.Group) string { return g.Path + g.Name }),
	"iam:role":  entity(state.RolesByName, func(g *model.Role) string { return g.Path + g.Name }),
	"iam:user":  resources.user,
}

func other(find func(r resources, name string) (string, bool)) func(resources, *access.Ask) (string, bool) {
	return func(r resources, a *access.Ask) (string, bool) {
		if a.Other == "" {
			return "", false
		}
		return find(r, a.Other)
	}
}

// user finds a user by its name, or by one of its access keys.
func (r resources) user(a *access.Ask) (string, bool) {
	if a.Other == "" {
		return entity(state.UsersByName, func(u *model.User) string { return u.Path + u.Name })(r, a)
	}
	key, ok := state.AccessKeys.Get(r.tx, "", "", a.Other)
	if !ok || key.Account != r.account {
		return "", false
	}
	user, ok := state.Users.Get(r.tx, r.account, "", key.User)
	if !ok {
		return "", false
	}
	return strings.TrimPrefix(user.Path+user.Name, "/"), true
}

// entity finds users, groups and roles, which requests name without the path that is in
// their ARNs.
func entity[T table.Row](index table.Index[T, model.Ref], id func(T) string) func(resources, *access.Ask) (string, bool) {
	return func(r resources, a *access.Ask) (string, bool) {
		for row := range index.Rows(r.tx, model.Ref{Account: r.account, ID: model.FoldName(a.Resource.ID)}) {
			return strings.TrimPrefix(id(row), "/"), true
		}
		return "", false
	}
}

// address finds an elastic address by itself or by its association.
func (r resources) address(name string) (string, bool) {
	addr, _ := netip.ParseAddr(name)
	for row := range state.ElasticAddresses.Scope(r.tx, r.account, r.region) {
		if row.Addr == addr || row.Association != "" && row.Association == name {
			return row.ID, true
		}
	}
	return "", false
}

// routeTable finds a table by its association with a subnet or gateway, or as the main one.
func (r resources) routeTable(name string) (string, bool) {
	if row, ok := state.RouteTableAssociations.Get(r.tx, r.account, r.region, name); ok {
		return row.Table, true
	}
	for row := range state.RouteTables.Scope(r.tx, r.account, r.region) {
		if row.Main && row.MainAssociation == name {
			return row.ID, true
		}
	}
	return "", false
}

// securityGroup finds a group of the default VPC by its name.
func (r resources) securityGroup(name string) (string, bool) {
	for v := range state.VPCs.Scope(r.tx, r.account, r.region) {
		if !v.Default {
			continue
		}
		for g := range state.SecurityGroupsByVPC.Rows(r.tx, v.Ref()) {
			if g.Name == name {
				return g.ID, true
			}
		}
	}
	return "", false
}

// subnet finds a subnet by the association of its IPv6 block, or of its network ACL.
func (r resources) subnet(name string) (string, bool) {
	if row, ok := state.NetworkACLAssociations.Get(r.tx, r.account, r.region, name); ok {
		return row.Subnet, true
	}
	for row := range state.Subnets.Scope(r.tx, r.account, r.region) {
		if row.CIDR6.ID != "" && row.CIDR6.ID == name {
			return row.ID, true
		}
	}
	return "", false
}

// vpc finds a VPC by the association of a block.
func (r resources) vpc(name string) (string, bool) {
	for row := range state.VPCs.Scope(r.tx, r.account, r.region) {
		for _, blocks := range [][]model.CIDRAssociation{row.CIDRs, row.CIDRs6} {
			for _, block := range blocks {
				if block.ID == name {
					return row.ID, true
				}
			}
		}
	}
	return "", false
}

// tagsOf are the kinds that have tags, by service and type as ARNs name them.
var tagsOf = func() map[string]*state.Tagged {
	kinds := map[string]*state.Tagged{}
	for _, service := range []string{state.EC2, state.Lattice, state.Route53, state.IAM, state.RAM, state.RDS, state.Balancing} {
		for _, k := range state.TaggedIn(service) {
			kinds[service+":"+k.Type] = k
		}
	}
	return kinds
}()

// Tags implements access.Resources.
func (r resources) Tags(of access.Resource) map[string]string {
	kind := tagsOf[of.Kind.Service+":"+of.Kind.Type]
	if kind == nil || of.Account != r.account {
		return nil
	}
	ref := of.Ref
	switch of.Kind.Service {
	case state.IAM:
		ref = r.iamRow(of)
	case state.RDS:
		ref = r.databaseRow(of)
	}
	tags, _ := kind.Tags(r.tx, ref)
	return tags
}

// iamRow names the row of what ARNs of IAM name.
func (r resources) iamRow(of access.Resource) model.Ref {
	name := model.Ref{Account: r.account, ID: model.FoldName(of.ID[strings.LastIndexByte(of.ID, '/')+1:])}
	switch of.Kind.Type {
	case "user":
		for row := range state.UsersByName.Rows(r.tx, name) {
			return row.Ref()
		}
	case "role":
		for row := range state.RolesByName.Rows(r.tx, name) {
			return row.Ref()
		}
	case "policy":
		for row := range state.PoliciesByName.Rows(r.tx, name) {
			return row.Ref()
		}
	}
	return model.Ref{}
}

// Trust implements access.Resources. The ARN's path matters, not only the name.
func (r resources) Trust(of access.Resource) *policy.Named {
	if of.Kind.Service != state.IAM || of.Kind.Type != "role" {
		return nil
	}
	name := of.ID[strings.LastIndexByte(of.ID, '/')+1:]
	for row := range state.RolesByName.Rows(r.tx, model.Ref{Account: of.Account, ID: model.FoldName(name)}) {
		if row.ARN() == of.ARN() && open(r.tx, row.Account) {
			return &policy.Named{Document: r.docs.roles.read(row)}
		}
	}
	return nil
}

// Account implements access.Resources.
func (r resources) Account(of access.Resource) string {
	if of.Account != r.account || of.Kind == nil || of.Kind.Service != state.EC2 {
		return of.Account
	}
	switch of.Kind.Type {
	case "subnet":
		if _, ok := state.Subnets.Get(r.tx, r.account, r.region, of.ID); ok {
			break
		}
		if s, ok := share.In(r.tx).SubnetNamed(r.account, r.region, of.ID); ok {
			return s.Account
		}
	case "vpc":
		if _, ok := state.VPCs.Get(r.tx, r.account, r.region, of.ID); ok {
			break
		}
		if v, ok := share.In(r.tx).VPCNamed(r.account, r.region, of.ID); ok {
			return v.Account
		}
	}
	return of.Account
}

// Values implements access.Resources. What is another account's is what Account has found.
func (r resources) Values(of access.Resource, key string) ([]string, bool) {
	read := values[of.Kind.Service+":"+of.Kind.Type][key]
	if read == nil || of.Account != r.account && of.Account != r.Account(access.Resource{Kind: of.Kind, Ref: model.Ref{Account: r.account, Region: of.Region, ID: of.ID}}) {
		return nil, false
	}
	found := read(r, of.Ref)
	return found, len(found) > 0
}

// values read the keys of each kind: those that the table of actions has for it.
var values = map[string]map[string]func(resources, model.Ref) []string{
	"ec2:dhcp-options": {"ec2:dhcpoptionsid": itself},
	"ec2:elastic-ip": {
		"ec2:allocationid":    itself,
		"ec2:domain":          value(state.ElasticAddresses, func(*model.ElasticAddress) []string { return []string{"vpc"} }),
		"ec2:publicipaddress": value(state.ElasticAddresses, func(a *model.ElasticAddress) []string { return []string{a.Addr.String()} }),
	},
	"ec2:internet-gateway": {"ec2:internetgatewayid": itself},
	"ec2:network-acl": {
		"ec2:networkaclid": itself,
		"ec2:vpc":          value(state.NetworkACLs, func(a *model.NetworkACL) []string { return arn(a.Sibling(a.VPC), "vpc") }),
	},
	"ec2:network-interface": {
		"ec2:availabilityzone":   value(state.NetworkInterfaces, func(n *model.NetworkInterface) []string { return []string{n.Zone} }),
		"ec2:networkinterfaceid": itself,
		"ec2:subnet":             value(state.NetworkInterfaces, func(n *model.NetworkInterface) []string { return arn(n.SubnetRef(), "subnet") }),
		"ec2:vpc":                value(state.NetworkInterfaces, func(n *model.NetworkInterface) []string { return arn(n.VPCRef(), "vpc") }),
	},
	"ec2:route-table": {
		"ec2:routetableid": itself,
		"ec2:vpc":          value(state.RouteTables, func(t *model.RouteTable) []string { return arn(t.Sibling(t.VPC), "vpc") }),
	},
	"ec2:security-group": {
		"ec2:securitygroupid": itself,
		"ec2:vpc":             value(state.SecurityGroups, func(g *model.SecurityGroup) []string { return arn(g.VPCRef(), "vpc") }),
	},
	"ec2:subnet": {
		"ec2:availabilityzone":   value(state.Subnets, func(s *model.Subnet) []string { return []string{s.Zone} }),
		"ec2:availabilityzoneid": value(state.Subnets, func(s *model.Subnet) []string { return []string{s.ZoneID} }),
		"ec2:subnetid":           itself,
		"ec2:vpc":                value(state.Subnets, func(s *model.Subnet) []string { return arn(s.Sibling(s.VPC), "vpc") }),
	},
	"ec2:vpc": {
		"ec2:tenancy": value(state.VPCs, func(v *model.VPC) []string { return []string{v.Tenancy} }),
		"ec2:vpcid":   itself,
	},
	"ec2:vpc-endpoint": {
		"ec2:vpceprivatednspreference":       value(state.VPCEndpoints, func(e *model.VPCEndpoint) []string { return optional(e.DNSPreference) }),
		"ec2:vpceprivatednsspecifieddomains": value(state.VPCEndpoints, func(e *model.VPCEndpoint) []string { return e.DNSDomains }),
		"ec2:vpceservicename":                value(state.VPCEndpoints, func(e *model.VPCEndpoint) []string { return optional(e.ServiceName) }),
		"ec2:vpceserviceregion":              value(state.VPCEndpoints, func(e *model.VPCEndpoint) []string { return []string{e.Region} }),
	},
	"ec2:vpc-endpoint-service": {
		"ec2:vpceserviceprivatednsname": value(state.EndpointServices, func(s *model.EndpointService) []string { return optional(s.PrivateName) }),
	},
	"iam:role": {"iam:permissionsboundary": boundary(state.RolesByName, func(r *model.Role) string { return r.Boundary })},
	"iam:user": {"iam:permissionsboundary": boundary(state.UsersByName, func(u *model.User) string { return u.Boundary })},
	"ram:resource-share": {
		"ram:allowsexternalprincipals": value(state.ResourceShares, func(s *model.ResourceShare) []string { return []string{strconv.FormatBool(s.AllowExternal)} }),
		"ram:resourcesharename":        value(state.ResourceShares, func(s *model.ResourceShare) []string { return []string{s.Name} }),
	},
	"rds:db": {
		"rds:databaseclass":  ofInstance(func(_ resources, i *model.DBInstance) []string { return []string{i.Class} }),
		"rds:databaseengine": ofInstance(func(_ resources, i *model.DBInstance) []string { return []string{i.Engine} }),
		"rds:databasename":   ofInstance(func(r resources, i *model.DBInstance) []string { return optional(r.whole(i).Name) }),
		"rds:multiaz":        ofInstance(func(resources, *model.DBInstance) []string { return []string{"false"} }),
		"rds:storageencrypted": ofInstance(func(r resources, i *model.DBInstance) []string {
			return []string{strconv.FormatBool(r.whole(i).StorageEncrypted)}
		}),
		"rds:storagesize": ofInstance(func(r resources, i *model.DBInstance) []string {
			return []string{strconv.Itoa(r.whole(i).AllocatedStorage)}
		}),
		"rds:vpc": ofInstance(func(resources, *model.DBInstance) []string { return []string{"true"} }),
	},
	"vpc-lattice:resourceendpointassociation": {
		"vpc-lattice:resourceconfigurationarn": value(state.EndpointAssociations, func(a *model.EndpointAssociation) []string {
			c := a.Configuration
			return []string{model.ARN("vpc-lattice", c.Region, c.Account, "resourceconfiguration/"+c.ID)}
		}),
		"vpc-lattice:vpcendpointid": value(state.EndpointAssociations, func(a *model.EndpointAssociation) []string { return []string{a.Endpoint.ID} }),
	},
}

// itself is for keys that have the id, which the request says: it tells nothing.
func itself(_ resources, ref model.Ref) []string { return []string{ref.ID} }

func value[T table.Row](rows *table.Table[T], read func(T) []string) func(resources, model.Ref) []string {
	return func(r resources, ref model.Ref) []string {
		row, ok := rows.Get(r.tx, ref.Account, ref.Region, ref.ID)
		if !ok {
			return nil
		}
		return read(row)
	}
}

// boundary gives the ARN of the policy that bounds a user or role.
func boundary[T table.Row](index table.Index[T, model.Ref], read func(T) string) func(resources, model.Ref) []string {
	return func(r resources, ref model.Ref) []string {
		ref.ID = model.FoldName(ref.ID[strings.LastIndexByte(ref.ID, '/')+1:])
		for row := range index.Rows(r.tx, model.Ref{Account: r.account, ID: ref.ID}) {
			id := read(row)
			if model.IsManagedByAWS(id) {
				return []string{id}
			}
			if p, ok := state.Policies.Get(r.tx, r.account, "", id); ok {
				return []string{p.ARN()}
			}
		}
		return nil
	}
}

func arn(of model.Ref, kind string) []string {
	if of.ID == "" {
		return nil
	}
	return []string{model.ARN("ec2", of.Region, of.Account, kind+"/"+of.ID)}
}

func optional(text string) []string {
	if text == "" {
		return nil
	}
	return []string{text}
}
