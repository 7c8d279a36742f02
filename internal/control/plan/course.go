// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
)

// course is a route table that packets take, by its number in a VPC.
type course struct {
	vpc    string
	number uint32
}

// deriveTable asks for a route table that somebody uses and that has more than local
// routes. Its value is its course, which does not change with the routes.
func (r *reading) deriveTable(ref model.Ref) derived {
	row, ok := state.RouteTables.Get(r.tx, ref.Account, ref.Region, ref.ID)
	if !ok || row.Number == 0 || len(row.Routes) == 0 {
		return derived{}
	}
	vpc, ok := valueOf[network](r, unitVPC, row.Sibling(row.VPC))
	if !ok {
		return derived{}
	}
	t := desired.Table{VPC: vpc.id, Number: row.Number}
	routes := r.routes(row)
	for p, target := range routes {
		t.Routes = append(t.Routes, desired.TableRoute{Prefix: p, To: r.leadsTo(row, routes, p, target)})
	}
	if len(t.Routes) == 0 {
		return derived{}
	}
	slices.SortFunc(t.Routes, func(a, b desired.TableRoute) int { return a.Prefix.Compare(b.Prefix) })
	return derived{entries: []desired.Entry{t}, value: course{vpc.id, uint32(row.Number)}}
}

// routes gives the targets of the routes that a table has for packets.
func (r *reading) routes(row *model.RouteTable) map[netip.Prefix]string {
	there := make(map[netip.Prefix]string)
	add := func(p netip.Prefix, target string) {
		if _, never := model.Unroutable(p); !never && there[p] == "" {
			there[p] = target
		}
	}
	for _, route := range row.Routes {
		if route.PrefixList == "" && route.Dest.IsValid() {
			add(route.Dest, route.Target)
		}
	}
	r.addLists(row, add)
	return there
}

// addLists adds the blocks of prefix lists that a table has routes to. A route to the same
// block goes before, and so does a local one to what it has inside the VPC; of several
// lists the first one counts
// (https://docs.aws.amazon.com/vpc/latest/userguide/route-tables-priority.html).
func (r *reading) addLists(row *model.RouteTable, add func(netip.Prefix, string)) {
	var local []netip.Prefix
	for _, route := range row.Routes {
		if route.PrefixList == "" {
			continue
		}
		if local == nil {
			local = r.land(row.Sibling(row.VPC)).blocks
		}
		list, _ := state.ListOf(r.tx, row.Sibling(route.PrefixList))
		for _, block := range list.Blocks {
			inside := func(p netip.Prefix) bool { return p.Bits() <= block.Bits() && p.Contains(block.Addr()) }
			if !slices.ContainsFunc(local, inside) {
				add(block, route.Target)
			}
		}
	}
}

func (r *reading) land(vpc model.Ref) land {
	l, _ := valueOf[land](r, unitSubnets, vpc)
	return l
}

// leadsTo gives where a route of a table leads to in the router: nowhere when its target
// is gone, or an interface that does not forward for others, or a NAT gateway that would
// send to itself.
func (r *reading) leadsTo(row *model.RouteTable, routes map[netip.Prefix]string, p netip.Prefix, target string) string {
	switch kind, _, _ := strings.Cut(target, "-"); kind {
	case "igw", "eigw":
		if state.Leads(r.tx, row, target) {
			return desired.Outside
		}
	case "nat":
		if n, ok := state.NATGateways.Get(r.tx, row.Account, row.Region, target); ok && n.Interface != "" && state.Leads(r.tx, row, target) && !r.comesBack(row, routes, p, n) {
			return n.Interface
		}
	case "pcx":
		if peer, ok := state.PeerOf(r.tx, row.Sibling(row.VPC), target); ok {
			return peer.ID
		}
	case "eni":
		ni, ok := state.NetworkInterfaces.Get(r.tx, row.Account, row.Region, target)
		if !ok || ni.Owner != "" || ni.SourceDestCheck || !state.Leads(r.tx, row, target) {
			break
		}
		if a, ok := state.Attachments.Get(r.tx, row.Account, row.Region, target); ok && a.Host == r.plan.host.Name {
			return target
		}
	}
	return desired.Unreachable
}

// comesBack reports whether what a table leads to a NAT gateway would never leave it: its
// own subnet's routes lead there too, or to another gateway whose routes do. A smaller
// prefix that only one of these tables has may lead elsewhere, and is no loop then.
func (r *reading) comesBack(row *model.RouteTable, routes map[netip.Prefix]string, p netip.Prefix, g *model.NATGateway) bool {
	for seen := map[string]bool{}; !seen[g.ID]; {
		seen[g.ID] = true
		used := r.tableOf(g.Sibling(g.Subnet), g.VPC)
		on, there := routes, true
		if used != row.Ref() {
			var next *model.RouteTable
			if next, there = state.RouteTables.Get(r.tx, used.Account, used.Region, used.ID); !there {
				return false
			}
			on = r.routes(next)
		}
		var way netip.Prefix
		for q := range on {
			switch _, known := routes[q]; {
			case q.Bits() <= p.Bits() && q.Contains(p.Addr()) && (!way.IsValid() || q.Bits() > way.Bits()):
				way = q
			case q.Bits() > p.Bits() && p.Contains(q.Addr()) && !known:
				return false
			}
		}
		if g, there = state.NATGateways.Get(r.tx, row.Account, row.Region, on[way]); !there || g.Gone() || g.Deleting() {
			return false
		}
	}
	return true
}

// deriveCourse asks for nothing. The value of a subnet is the course of what its
// interfaces send, when the table that they use has more than local routes.
func (r *reading) deriveCourse(ref model.Ref) derived {
	s, ok := valueOf[segment](r, unitSubnet, ref)
	if !ok {
		return derived{}
	}
	return r.courseIn(s.vpc, r.tableOf(ref, s.vpc))
}

// tableOf names the table that a subnet of a VPC uses.
func (r *reading) tableOf(subnet model.Ref, vpc string) model.Ref {
	used := model.Ref{Account: subnet.Account, Region: subnet.Region}
	for a := range state.RouteTableAssociationsBySubnet.Rows(r.tx, subnet) {
		used.ID = a.Table
	}
	if used.ID == "" {
		used.ID, _ = valueOf[string](r, unitMain, model.Ref{Account: subnet.Account, Region: subnet.Region, ID: vpc})
	}
	return used
}

// deriveMain asks for nothing. Its value is the id of the VPC's main table.
func (r *reading) deriveMain(ref model.Ref) derived {
	vpc, ok := state.VPCs.Get(r.tx, ref.Account, ref.Region, ref.ID)
	if !ok {
		return derived{}
	}
	return derived{value: vpc.MainTable}
}

// courseIn is the course of a table for who is in a VPC.
func (r *reading) courseIn(vpc string, used model.Ref) derived {
	if c, ok := valueOf[course](r, unitTable, used); ok && c.vpc == vpc {
		return derived{value: c}
	}
	return derived{}
}

// steer has what somebody in a subnet sends take the course of the subnet. There is
// nothing to ask for when that has local routes only.
func (r *reading) steer(vpc, from string, subnet model.Ref) []desired.Entry {
	c, ok := valueOf[course](r, unitCourse, subnet)
	if !ok || c.vpc != vpc {
		return nil
	}
	return []desired.Entry{desired.Steer{VPC: vpc, From: from, Table: c.number}}
}

// deriveEdge has what comes in by an internet gateway take the table that the gateway is
// associated with.
func (r *reading) deriveEdge(ref model.Ref) derived {
	a, ok := state.RouteTableAssociations.Get(r.tx, ref.Account, ref.Region, ref.ID)
	if !ok || a.Gateway == "" {
		return derived{}
	}
	waiting := derived{value: false} // with a value it is derived again when there is more
	g, ok := state.InternetGateways.Get(r.tx, ref.Account, ref.Region, a.Gateway)
	if !ok || g.VPC == "" {
		return waiting
	}
	c, ok := r.courseIn(g.VPC, a.Sibling(a.Table)).value.(course)
	if !ok {
		return waiting
	}
	return derived{entries: []desired.Entry{desired.Steer{VPC: c.vpc, From: desired.Outside, Table: c.number}}}
}
