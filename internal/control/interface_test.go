// SPDX-License-Identifier: Apache-2.0

package control

import (
	"net/netip"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// interfaceRows are an endpoint to an API of Postern, with two interfaces.
func interfaceRows(tx *table.Txn) {
	state.VPCs.Put(tx, &model.VPC{Meta: meta("vpc-a"), CIDRs: []model.CIDRAssociation{{Prefix: netip.MustParsePrefix("10.0.0.0/16")}}, TransitIndex: 1})
	state.VPCEndpoints.Put(tx, &model.VPCEndpoint{
		Meta: meta("vpce-1"), Type: model.EndpointInterface, VPC: "vpc-a", Interfaces: []string{"eni-1", "eni-2"},
		ServiceName: "com.amazonaws.us-east-1.ec2", Targets: []model.TransitTarget{{Index: 9}},
	})
	state.TransitClaims.Put(tx, &model.TransitClaim{Space: model.SpaceTarget, Index: 9, Owner: ref("vpce-1")})
	for id, addr := range map[string]string{"eni-1": "10.0.2.100", "eni-2": "10.0.2.101"} {
		a := netip.MustParseAddr(addr)
		state.NetworkInterfaces.Put(tx, &model.NetworkInterface{
			Meta: meta(id), VPC: "vpc-a", Subnet: "subnet-a", Type: model.InterfaceEndpoint, Owner: "vpce-1", Addresses: []netip.Addr{a},
		})
		state.AddressClaims.Put(tx, &model.AddressClaim{Account: account, Region: region, Subnet: "subnet-a", Addr: a, Interface: id})
	}
}

// The names of an interface endpoint follow when its packets got through; an interface that it
// has given up goes with the host's acknowledgement, and with it all that it had.
func TestAnInterfaceEndpointLives(t *testing.T) {
	run(t, func(f *fixture) {
		has := func(claim string) bool {
			_, ok := state.AddressClaims.Get(f.db.Snapshot(), account, region, "subnet-a/"+claim)
			return ok
		}
		names := func() model.StatusState {
			s, _ := state.Statuses.Get(f.db.Snapshot(), account, region, "vpce-1")
			if s == nil {
				return model.StatusUnsaid
			}
			return s.Names.State
		}
		change := func(fn func(*model.VPCEndpoint)) {
			f.update(func(tx *table.Txn) {
				row, _ := state.VPCEndpoints.Get(tx, account, region, "vpce-1")
				row = row.Clone()
				fn(row)
				state.VPCEndpoints.Put(tx, row)
			})
		}
		f.update(interfaceRows)
		f.expect("before", "vpce-1", model.Pending)
		f.settle(nil)
		f.expect("with its packets", "vpce-1", model.Ready)
		if names() != model.StatusUnsaid {
			t.Error("the names are out before a host was asked for them")
		}
		f.settle(nil)
		if names() != model.StatusReady {
			t.Errorf("the names are %q when the host has them", names())
		}
		change(func(e *model.VPCEndpoint) {
			e.Interfaces, e.Leaving = []string{"eni-1"}, []string{"eni-2"}
			e.Update(time.Unix(2, 0))
		})
		if f.expect("with an interface less", "vpce-1", model.Updating); !has("10.0.2.101") {
			t.Error("an address is free before the host has let go of it")
		}
		f.settle(nil)
		if f.expect("without it", "vpce-1", model.Ready); has("10.0.2.101") || !has("10.0.2.100") {
			t.Error("its address is claimed still, or the other one is not")
		}
		change(func(e *model.VPCEndpoint) { e.Delete(time.Unix(3, 0)) })
		f.settle(nil)
		if f.expect("deleted", "vpce-1", "gone"); has("10.0.2.100") || state.TransitClaimsBySpace.Count(f.db.Snapshot(), model.SpaceTarget) != 0 {
			t.Error("something is claimed still")
		}
	})
}
