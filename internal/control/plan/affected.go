// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"slices"

	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// affected marks the units that depend on a changed row.
func (p *Plan) affected(tx *table.Txn, c table.Change, mark func(...unitID)) {
	row := c.New
	if row == nil {
		row = c.Old
	}
	appeared := c.Old == nil || c.New == nil // or disappeared
	switch row := row.(type) {
	case *model.VPC:
		mark(unitID{unitVPC, row.Ref()})
		if appeared {
			vpcAppeared(tx, row, mark)
		}
	case *model.Subnet:
		mark(unitID{unitVPC, sibling(&row.Meta, row.VPC)})
		if appeared {
			for ni := range state.NetworkInterfaces.By(tx, state.BySubnet, row.Ref().String()) {
				mark(unitID{unitWorkload, ni.Ref()})
			}
		}
	case *model.NetworkInterface:
		p.interfaceChanged(tx, c, row, mark)
	case *model.AddressClaim:
		claimChanged(c, mark)
	case *model.SecurityGroup:
		p.groupChanged(tx, c, mark)
	case *model.Attachment:
		mark(unitID{unitWorkload, model.Ref{Account: row.Account, Region: row.Region, ID: row.Interface}})
	case *model.ResourceGateway:
		mark(unitID{unitGateway, row.Ref()})
		if appeared {
			gatewayAppeared(tx, row.Ref(), mark)
		}
	case *model.ResourceConfiguration:
		configurationChanged(tx, row, mark)
	case *model.VPCEndpoint:
		mark(unitID{unitEndpoint, row.Ref()})
	case *model.EndpointAssociation:
		mark(unitID{unitEndpoint, row.Endpoint})
	}
}

// claimChanged marks the interface that has given an address up, which waits for
// it, or waits no more.
func claimChanged(c table.Change, mark func(...unitID)) {
	for _, row := range []table.Row{c.Old, c.New} {
		if a, ok := row.(*model.AddressClaim); ok && a.Released() {
			ref := model.Ref{Account: a.Account, Region: a.Region, ID: a.Interface}
			mark(unitID{unitInterface, ref}, unitID{unitWorkload, ref})
		}
	}
}

// vpcAppeared marks what needs the VPC's place in the transit realm.
func vpcAppeared(tx *table.Txn, vpc *model.VPC, mark func(...unitID)) {
	for e := range state.VPCEndpoints.By(tx, state.ByVPC, vpc.Ref().String()) {
		mark(unitID{unitEndpoint, e.Ref()})
	}
	for g := range state.ResourceGateways.By(tx, state.ByVPC, vpc.Ref().String()) {
		gatewayAppeared(tx, g.Ref(), mark)
	}
}

// gatewayAppeared marks what leads through a gateway.
func gatewayAppeared(tx *table.Txn, gateway model.Ref, mark func(...unitID)) {
	for rc := range state.ResourceConfigurations.By(tx, state.ByGateway, gateway.String()) {
		configurationChanged(tx, rc, mark)
	}
}

func configurationChanged(tx *table.Txn, rc *model.ResourceConfiguration, mark func(...unitID)) {
	mark(unitID{unitConfiguration, rc.Ref()})
	for e := range state.VPCEndpoints.By(tx, state.ByConfiguration, rc.Ref().String()) {
		mark(unitID{unitEndpoint, e.Ref()})
	}
}

// sibling names another row of the same account and region.
func sibling(m *model.Meta, id string) model.Ref {
	return model.Ref{Account: m.Account, Region: m.Region, ID: id}
}

func (p *Plan) interfaceChanged(tx *table.Txn, c table.Change, row *model.NetworkInterface, mark func(...unitID)) {
	old, hadOld := c.Old.(*model.NetworkInterface)
	if hadOld {
		if id, last := p.classes.drop(old); last {
			mark(id)
		}
	}
	next, hasNew := c.New.(*model.NetworkInterface)
	if hasNew {
		if id, first := p.classes.use(next); first {
			mark(id)
		}
	}
	mark(unitID{unitInterface, row.Ref()})
	if !hadOld || !hasNew {
		mark(unitID{unitVPC, sibling(&row.Meta, row.VPC)})
	}
	switch row.Type {
	case model.InterfaceEndpoint:
		mark(unitID{unitEndpoint, sibling(&row.Meta, row.Owner)})
	case model.InterfaceGateway:
		gateway := sibling(&row.Meta, row.Owner)
		mark(unitID{unitGateway, gateway})
		if !hadOld || !hasNew || !slices.Equal(old.Addresses, next.Addresses) || old.Prefix6 != next.Prefix6 {
			gatewayAppeared(tx, gateway, mark)
		}
	default:
		mark(unitID{unitWorkload, row.Ref()})
	}
}

// groupChanged marks the classes with the group, and the members of groups that
// rules have begun or ceased to refer to.
func (p *Plan) groupChanged(tx *table.Txn, c table.Change, mark func(...unitID)) {
	var mentioned []model.Ref
	for _, row := range []table.Row{c.Old, c.New} {
		g, ok := row.(*model.SecurityGroup)
		if !ok {
			continue
		}
		for id := range p.classes.byGroup[g.Ref()] {
			mark(id)
		}
		for _, r := range g.Rules {
			if ref := sibling(&g.Meta, r.Group); r.Group != "" && !slices.Contains(mentioned, ref) {
				mentioned = append(mentioned, ref)
			}
		}
	}
	for _, ref := range mentioned {
		now := state.SecurityGroups.Count(tx, state.ByReferenced, ref.String()) > 0
		if now == p.referenced[ref] {
			continue
		}
		if now {
			p.referenced[ref] = true
		} else {
			delete(p.referenced, ref)
		}
		for ni := range state.NetworkInterfaces.By(tx, state.ByGroup, ref.String()) {
			mark(unitID{unitInterface, ni.Ref()})
		}
	}
}
