// SPDX-License-Identifier: Apache-2.0

package vpclattice

import (
	"context"
	"time"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/alloc"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/vpclattice"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/share"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// groupFor finds the group of a new child and sees that there is room in it.
func (a *API) groupFor(tx *table.Txn, n *newConfiguration) (*model.ResourceConfiguration, error) {
	identifier := *n.in.ResourceConfigurationGroupIdentifier
	group, err := find(tx, state.ResourceConfigurations, n.who, kindConfiguration, identifier)
	switch {
	case err != nil:
		return nil, err
	case n.who.Own(group.ID) != group.Ref():
		return nil, fault.NotFound(kindConfiguration, identifier)
	case group.Type != model.TypeGroup:
		return nil, fault.Validation(memberGroup, "%s is of type %s; a child is part of a resource configuration of type GROUP", group.ID, group.Type)
	case group.Deleting():
		return nil, fault.Conflict(kindConfiguration, group.ID, "resource configuration %s is being deleted", group.ID)
	}
	if most := a.Quotas.ChildrenPerGroup; state.ResourceConfigurationsByGroup.Count(tx, group.Ref()) >= most {
		return nil, fault.QuotaExceeded(kindConfiguration, group.ID, "children-per-group", "group %s has %d children, the most it can have", group.ID, most)
	}
	domain := service.Value(n.in.CustomDomainName)
	if err := checkBelow(domain, group); err != nil {
		return nil, err
	}
	return group, checkSole(tx, domain, group)
}

// checkSole sees that no other child of a group has the custom domain of a new one: both
// would be one name in the zone that each endpoint has for the domain of the group. Without
// such a domain the names of children go nowhere, and any will do.
func checkSole(tx *table.Txn, domain string, group *model.ResourceConfiguration) error {
	if domain == "" || group.GroupDomain == "" {
		return nil
	}
	for child := range state.ResourceConfigurationsByGroup.Rows(tx, group.Ref()) {
		if !child.Deleting() && plain(child.CustomDomain) == plain(domain) {
			return fault.Conflict(kindConfiguration, child.ID, "customDomainName %s is that of %s in group %s already; a name leads to one child", domain, child.ID, group.ID)
		}
	}
	return nil
}

// joinEndpoints associates endpoints of a group with its new child, as many as a transaction
// takes. The others a maker of rows does.
func (a *API) joinEndpoints(tx *table.Txn, child *model.ResourceConfiguration) error {
	joined := 0
	for e := range state.VPCEndpointsByConfiguration.Rows(tx, child.Sibling(child.Group)) {
		if joined++; joined > alloc.EndpointsPerCommit(len(e.Interfaces)) {
			return nil
		}
		if e.Deleting() || !alloc.Allowed(tx, e) {
			continue
		}
		if err := a.Alloc().Join(tx, e, child, child.CreatedAt); err != nil {
			return err
		}
	}
	return nil
}

// DeleteResourceConfiguration starts the deletion of a resource configuration that no
// endpoint is associated with, or of a group that has no children and no endpoints, whosever
// the endpoints are. No share has it any more. A child
// leaves the endpoints of its group with its associations; those of a database's
// configuration go with it, and with nothing else. Deleting it again changes nothing.
func (a *API) DeleteResourceConfiguration(ctx context.Context, in *shape.DeleteResourceConfigurationInput) (*shape.DeleteResourceConfigurationOutput, error) {
	who, now := access.From(ctx), a.Now()
	_, err := a.DB.Update(ctx, func(tx *table.Txn) error {
		r, err := own(state.ResourceConfigurations, kindConfiguration)(tx, who, *in.ResourceConfigurationIdentifier)
		if err != nil {
			return err
		}
		if err := changeable(r); err != nil {
			return err
		}
		switch {
		case r.Type == model.TypeChild:
			removeChild(tx, r, now)
			return nil
		case r.Type == model.TypeARN && state.VPCEndpointsByConfiguration.Count(tx, r.Ref()) == 0:
			removeChildren(tx, r, now)
		}
		if by := state.Held(tx, state.ResourceConfigurations, r); by != nil && r.Type != model.TypeARN {
			return fault.Conflict(kindConfiguration, r.ID, "%s %s has %d %s(s)", kindConfiguration, r.ID, by.Count(), by.Noun())
		}
		if n := state.VPCEndpointsByConfiguration.Count(tx, r.Ref()); n > 0 && r.IsGroup() {
			return fault.Conflict(kindConfiguration, r.ID, "%s %s has %d VPC endpoint(s)", kindConfiguration, r.ID, n)
		}
		service.MarkDeleted(tx, state.ResourceConfigurations, r, now)
		share.Drop(tx, r.Ref())
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &shape.DeleteResourceConfigurationOutput{}, nil
}

// removeChild starts the deletion of a child and of its associations, as many as a
// transaction takes. The others a maker of rows does.
func removeChild(tx *table.Txn, child *model.ResourceConfiguration, now time.Time) {
	service.MarkDeleted(tx, state.ResourceConfigurations, child, now)
	marked := 0
	for row := range state.EndpointAssociationsByConfiguration.Rows(tx, child.Ref()) {
		if marked++; marked > alloc.PerCommit(len(row.Addresses)) {
			return
		}
		service.MarkDeleted(tx, state.EndpointAssociations, row, now)
	}
}
