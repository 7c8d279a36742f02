// SPDX-License-Identifier: Apache-2.0

package isolation

import (
	"net/netip"
	"slices"

	"github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/test/postern"
)

// covers reports whether an address is of the VPC's blocks, which have 16 bits.
func (v *VPC) covers(a netip.Addr) bool {
	return slices.ContainsFunc(v.blocks(), func(p netip.Prefix) bool { return p.Contains(a) })
}

func (v *VPC) blocks() []netip.Prefix {
	all := []netip.Prefix{v.Block6}
	for _, s := range v.Subnets {
		if p := netip.PrefixFrom(s.CIDR.Addr(), 16).Masked(); !slices.Contains(all, p) {
			all = append(all, p)
		}
	}
	return all
}

// peers peers VPCs, the first two in any case, makes routes between them, some of which lead
// by a third one or are on one side only, and has some groups name those of peers.
func (m *maker) peers() {
	for i, a := range m.w.VPCs {
		for j, b := range m.w.VPCs[i+1:] {
			if i+j == 0 || m.IntN(2) == 0 {
				m.peer(a, b)
			}
		}
	}
	for i, v := range m.w.VPCs {
		v.Routes = map[*VPC]*VPC{}
		for j, dest := range m.w.VPCs {
			switch by := slices.Index(v.Peers, dest); {
			case dest == v || len(v.Peers) == 0 || i+j > 1 && m.IntN(4) == 0:
			case by >= 0:
				m.route(v, dest, dest)
			default:
				m.route(v, dest, pick(m, v.Peers))
			}
		}
		for _, peer := range v.Peers {
			r := m.randomRule(v, direction(m.IntN(2) == 0))
			r.Group, r.CIDR = pick(m, peer.Groups), netip.Prefix{}
			m.rule(pick(m, v.Groups[1:]), r)
		}
	}
}

func (m *maker) peer(a, b *VPC) {
	made := postern.Call[ec2.CreateVpcPeeringConnectionOutput](m.p, ec2.Service, "CreateVpcPeeringConnection", &ec2.CreateVpcPeeringConnectionInput{VpcId: &a.ID, PeerVpcId: &b.ID})
	id := made.VpcPeeringConnection.VpcPeeringConnectionId
	postern.Call[ec2.AcceptVpcPeeringConnectionOutput](m.p, ec2.Service, "AcceptVpcPeeringConnection", &ec2.AcceptVpcPeeringConnectionInput{VpcPeeringConnectionId: id})
	a.Peers, b.Peers = append(a.Peers, b), append(b.Peers, a)
	for _, sides := range [][2]*VPC{{a, b}, {b, a}} {
		if sides[0].connections == nil {
			sides[0].connections = map[*VPC]string{}
		}
		sides[0].connections[sides[1]] = *id
	}
}

// route leads the VPC's main table to all blocks of another one by a peer.
func (m *maker) route(v, dest, by *VPC) {
	tables := postern.Call[ec2.DescribeRouteTablesOutput](m.p, ec2.Service, "DescribeRouteTables", &ec2.DescribeRouteTablesInput{Filters: []ec2.Filter{
		{Name: new("vpc-id"), Values: []string{v.ID}}, {Name: new("association.main"), Values: []string{"true"}},
	}})
	for _, p := range dest.blocks() {
		in := &ec2.CreateRouteInput{RouteTableId: tables.RouteTables[0].RouteTableId, VpcPeeringConnectionId: new(v.connections[by])}
		if p.Addr().Is4() {
			in.DestinationCidrBlock = new(p.String())
		} else {
			in.DestinationIpv6CidrBlock = new(p.String())
		}
		postern.Call[ec2.CreateRouteOutput](m.p, ec2.Service, "CreateRoute", in)
	}
	v.Routes[dest] = by
}

// known gives the interface with an address, of the VPC or of one of its peers: those that
// rules of its groups can name.
func (v *VPC) known(to netip.Addr) *Interface {
	for _, each := range append([]*VPC{v}, v.Peers...) {
		if i := each.At[to]; i != nil && each.covers(to) {
			return i
		}
	}
	return nil
}

// leadsTo gives the VPC that a route leads to for an address, and the one by which; false when
// no route does.
func (v *VPC) leadsTo(to netip.Addr) (dest, by *VPC, leads bool) {
	for dest, by := range v.Routes {
		if dest.covers(to) {
			return dest, by, true
		}
	}
	return nil, nil, false
}

// toPeer is what becomes of a packet that a route leads to a VPC by a peer: nothing, when the
// peer is another one. What a peer's router refuses it may refuse in silence, and whoever the
// other VPC has no route back to gets no answer.
func (w *World) toPeer(t *trip, from *Interface, dest, by *VPC, to netip.Addr) Verdict {
	source := from.source(to)
	t.hop(from.VPC, from.Subnet, nil, source[0].Addr(), to)
	if dest != by {
		return t.filtered(Verdict{Outcome: Refused})
	}
	t.hop(dest, nil, dest.subnet(to), source[0].Addr(), to)
	there := dest.At[to]
	var v Verdict
	switch {
	case there != nil && there.Endpoint != nil:
		v = w.throughEndpoint(t, from, there, to)
	case there == nil || !there.Attached:
		v = t.filtered(Verdict{Outcome: Refused})
	case !there.admits(in, source[0].Addr(), from, t):
		return Verdict{Outcome: Dropped}
	default:
		v = t.filtered(Verdict{Outcome: portOutcome(t.port), Reaches: there, Sources: source})
	}
	_, back, leads := dest.leadsTo(source[0].Addr())
	if v.Outcome != Dropped && v.Outcome != Unforetold && (v.Reaches == nil || !leads || back != from.VPC) {
		v.Outcome = Unanswered
	}
	return v
}

// crossings counts the connects from workloads to those of peers that are answered.
func (w *World) crossings() (n int) {
	for _, from := range w.Workloads {
		for _, to := range w.Tried {
			for _, port := range servedPorts {
				v := w.Predict(from, "tcp", to, port)
				if v.Outcome == Answered && v.Reaches != nil && v.Reaches.VPC != from.VPC && v.Reaches.VPC.covers(to) {
					n++
				}
			}
		}
	}
	return n
}
