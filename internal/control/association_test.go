// SPDX-License-Identifier: Apache-2.0

package control

import (
	"net/netip"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// furtherRows are a second resource behind the gateway of wayRows, and a second
// association of the endpoint, with an address of its own.
func furtherRows(tx *table.Txn) {
	second := netip.MustParseAddr("10.0.2.101")
	ni, _ := state.NetworkInterfaces.Get(tx, account, region, "eni-e")
	ni = ni.Clone()
	ni.Addresses = append(ni.Addresses, second)
	state.NetworkInterfaces.Put(tx, ni)
	state.AddressClaims.Put(tx, &model.AddressClaim{Account: account, Region: region, Subnet: "subnet-a", Addr: second, Interface: "eni-e"})
	state.ResourceConfigurations.Put(tx, &model.ResourceConfiguration{
		Meta: meta("rcfg-2"), Gateway: "rgw-1", IP: netip.MustParseAddr("10.0.1.20"), Ports: []model.PortRange{{From: 80, To: 80}},
		Targets: []model.TransitTarget{{Interface: "eni-g", Index: 2}},
	})
	state.EndpointAssociations.Put(tx, &model.EndpointAssociation{
		Meta: meta("rea-2"), Endpoint: ref("vpce-1"), Configuration: ref("rcfg-2"),
		Addresses: []model.InterfaceAddress{{Interface: "eni-e", Addr: second}},
	})
}

// An endpoint is ready when all its ways are, and each association when its own is.
// One that is removed keeps its address until the host has let go of it, and the
// rest stays.
func TestAssociationsSettleByThemselves(t *testing.T) {
	run(t, func(f *fixture) {
		f.update(wayRows)
		f.update(furtherRows)
		own := desired.Key{Kind: desired.KindEndpoint, Realm: "vpc-a", ID: "10.0.2.101"}
		f.settle(map[desired.Key]string{own: "no room"})
		f.expect("while the other one fails", "rea-1", model.Ready)
		f.expect("while its entry fails", "rea-2", model.Failed)
		f.expect("while one of its ways fails", "vpce-1", model.Failed)
		f.settle(nil, own)
		for _, id := range []string{"rea-1", "rea-2", "vpce-1"} {
			f.expect("when all is well", id, model.Ready)
		}

		f.update(func(tx *table.Txn) {
			row, _ := state.EndpointAssociations.Get(tx, account, region, "rea-2")
			row = row.Clone()
			row.Delete(time.Unix(2, 0))
			state.EndpointAssociations.Put(tx, row)
		})
		address := desired.Key{Kind: desired.KindAddress, Realm: "vpc-a", ID: "10.0.2.101"}
		f.settle(map[desired.Key]string{address: "busy"})
		f.expect("while its address is not gone", "rea-2", model.DeleteFailed)
		f.expectClaims("while it is not gone", 2)
		f.settle(nil, address)
		f.expect("when it is", "rea-2", "gone")
		f.expect("all the time", "rea-1", model.Ready)
		f.expect("without it", "vpce-1", model.Ready)
		f.expectClaims("when it is", 1)

		f.update(func(tx *table.Txn) {
			row, _ := state.EndpointAssociations.Get(tx, account, region, "rea-1")
			row = row.Clone()
			row.Delete(time.Unix(3, 0))
			state.EndpointAssociations.Put(tx, row)
		})
		f.settle(nil)
		f.expect("in the end", "rea-1", "gone")
		f.expect("when it leads nowhere", "vpce-1", model.Ready)
		f.expectClaims("when it leads nowhere", 1)
	})
}

// expectClaims wants the endpoint's interface to have so many addresses, and its
// first one among them; all but those of wayRows are claimed.
func (f *fixture) expectClaims(when string, want int) {
	f.t.Helper()
	tx := f.db.Snapshot()
	ni, _ := state.NetworkInterfaces.Get(tx, account, region, "eni-e")
	_, claimed := state.AddressClaims.Get(tx, account, region, "subnet-a/10.0.2.101")
	if len(ni.Addresses) != want || ni.Addresses[0] != netip.MustParseAddr("10.0.2.100") || claimed != (want == 2) {
		f.t.Errorf("%s the interface has %v, and the second one is claimed: %v", when, ni.Addresses, claimed)
	}
}
