// SPDX-License-Identifier: Apache-2.0

package vpclattice

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/vpclattice"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

const memberARN = memberDefinition + ".arnResource.arn"

// definedARN reads the ARN of a database in a definition:
// https://docs.aws.amazon.com/vpc-lattice/latest/ug/resource-configuration.html
func definedARN(who access.View, d *shape.ResourceConfigurationDefinition) (string, error) {
	switch {
	case d.DnsResource != nil, d.IpResource != nil:
		return "", fault.Validation(memberDefinition, "resourceConfigurationDefinition of type ARN must have arnResource, and nothing else")
	case d.ArnResource == nil || d.ArnResource.Arn == nil:
		return "", fault.Validation(memberARN, "arnResource.arn is required for type ARN")
	}
	text := *d.ArnResource.Arn
	arn, err := model.ParseARN(text)
	switch {
	case err != nil, arn.Service != "rds", arn.Type != "cluster" && arn.Type != "db", arn.ID == "":
		return "", fault.Validation(memberARN, "%s is not the ARN of an RDS DB cluster or DB instance, which are the resources that a resource configuration of type ARN can have", text)
	case !who.Owns(arn.Account):
		return "", fault.Validation(memberARN, "%s is of account %s; a resource configuration of type ARN can have databases of its own account, %s, only", text, arn.Account, who.Account)
	case arn.Region != who.Region:
		return "", fault.Validation(memberARN, "%s is in region %s; the resource configuration is in %s", text, arn.Region, who.Region)
	}
	return text, nil
}

// database is what a configuration of type ARN leads to.
type database struct {
	ref model.Ref
	of  *model.Database
	// members are those with their addresses, or that one.
	members []*model.DBInstance
}

// databaseAt finds the database that an ARN names. One that is being deleted is not there.
func databaseAt(tx *table.Txn, who access.View, text string) (d database, found bool) {
	arn, _ := model.ParseARN(text) // which was seen before
	named := who.Own(strings.ToLower(arn.ID))
	if arn.Type == "db" {
		for i := range state.DBInstancesByIdentifier.Rows(tx, named) {
			if !i.Deleting() {
				return database{i.Ref(), &i.Database, []*model.DBInstance{i}}, true
			}
		}
		return d, false
	}
	for c := range state.DBClustersByIdentifier.Rows(tx, named) {
		if !c.Deleting() {
			return database{c.Ref(), &c.Database, slices.Collect(state.DBInstancesByCluster.Rows(tx, c.Ref()))}, true
		}
	}
	return d, false
}

// bind has a new configuration be that of the database which it names, from now on by the
// database's id. The children come by themselves.
func bind(tx *table.Txn, n *newConfiguration, r *model.ResourceConfiguration, g *model.ResourceGateway) error {
	d, ok := databaseAt(tx, n.who, n.arn)
	switch {
	case !ok:
		return fault.NotFound("Database", n.arn)
	case g.ResolvesInVPC():
		return fault.Validation(memberGateway, "%s resolves names IN_VPC; a resource configuration of type ARN needs a resource gateway whose resourceConfigDnsResolution is PUBLIC", g.ID)
	case d.of.VPC != g.VPC:
		return fault.Validation(memberGateway, "%s is in VPC %s and %s in %s; the resource gateway must be in the VPC of the database", g.ID, g.VPC, n.arn, d.of.VPC)
	}
	for _, m := range d.members {
		if err := checkMember(n.arn, m, g); err != nil {
			return err
		}
	}
	r.DatabaseARN, r.Database = n.arn, d.ref.ID
	return nil
}

// checkMember sees that a server of a database can be reached through a gateway, and is
// reached by no other way. Servers that Postern runs are never publicly accessible.
func checkMember(arn string, m *model.DBInstance, g *model.ResourceGateway) error {
	private := func(p netip.Prefix) bool { return p.Contains(m.Addr) }
	switch a := m.Addr; {
	case !a.IsValid():
	case a.Is4() && !g.Family.Has4(), a.Is6() && !g.Family.Has6():
		return fault.Validation(memberGateway, "%s, which listens at %s, cannot be reached through %s, whose ipAddressType is %s", m.Identifier, a, g.ID, g.Family)
	case a.Is4() && !slices.ContainsFunc(resource4, private):
		return fault.Validation(memberARN, "%s is publicly accessible: %s listens at %s. A resource configuration can have databases that are not", arn, m.Identifier, a)
	}
	return nil
}

// changeable sees that a user may change or delete a configuration.
func changeable(r *model.ResourceConfiguration) error {
	if r.AmazonManaged {
		return fault.Validation("resourceConfigurationIdentifier", "%s is managed with %s, the resource configuration of its database, and cannot be changed or deleted by itself", r.ID, r.Group)
	}
	return nil
}

// amendARN puts what an update says into a configuration of type ARN: whether it may be
// shared on, and nothing else. Clients send the definition as they know it.
func amendARN(r *model.ResourceConfiguration, in *shape.UpdateResourceConfigurationInput) error {
	if d := in.ResourceConfigurationDefinition; d != nil {
		if d.ArnResource == nil || service.Value(d.ArnResource.Arn) != r.DatabaseARN || d.IpResource != nil || d.DnsResource != nil {
			return fault.Validation(memberDefinition, "the resource of %s cannot be changed; it stays %s", r.ID, r.DatabaseARN)
		}
	}
	if in.PortRanges != nil {
		return unexpected(memberPorts, r.Type)
	}
	if in.AllowAssociationToShareableServiceNetwork != nil {
		r.AllowShareable = *in.AllowAssociationToShareableServiceNetwork
	}
	return nil
}

// removeChildren starts the deletion of the children that a database's configuration has:
// they go with it, and are few.
func removeChildren(tx *table.Txn, r *model.ResourceConfiguration, now time.Time) {
	for child := range state.ResourceConfigurationsByGroup.Rows(tx, r.Ref()) {
		service.MarkDeleted(tx, state.ResourceConfigurations, child, now)
	}
}
