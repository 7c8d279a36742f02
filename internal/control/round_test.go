// SPDX-License-Identifier: Apache-2.0

package control

import (
	"net/netip"
	"testing"

	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// A resource that leads to itself says so, and its endpoint too, until it does not
// any more; it can be deleted like any other.
func TestWhatLeadsToItselfFails(t *testing.T) {
	run(t, func(f *fixture) {
		f.update(func(tx *table.Txn) {
			wayRows(tx)
			state.Subnets.Put(tx, &model.Subnet{Meta: meta("subnet-b"), VPC: "vpc-b", CIDR: netip.MustParsePrefix("10.0.1.0/24")})
			state.AddressClaims.Put(tx, &model.AddressClaim{Account: account, Region: region, Subnet: "subnet-b", Addr: netip.MustParseAddr("10.0.1.200"), Interface: "eni-f"})
			state.NetworkInterfaces.Put(tx, &model.NetworkInterface{
				Meta: meta("eni-f"), VPC: "vpc-b", Subnet: "subnet-b", Type: model.InterfaceEndpoint, Owner: "vpce-2",
				Addresses: []netip.Addr{netip.MustParseAddr("10.0.1.200")},
			})
			state.VPCEndpoints.Put(tx, &model.VPCEndpoint{Meta: meta("vpce-2"), VPC: "vpc-b", Interfaces: []string{"eni-f"}, Configuration: ref("rcfg-1")})
			state.EndpointAssociations.Put(tx, &model.EndpointAssociation{Meta: meta("rea-2"), Endpoint: ref("vpce-2"), Configuration: ref("rcfg-1")})
		})
		f.settle(nil)
		f.expect("before", "rcfg-1", model.Ready)
		f.update(updateConfiguration(func(r *model.ResourceConfiguration) { r.IP = netip.MustParseAddr("10.0.1.200") }))
		f.settle(nil)
		for _, id := range []string{"rcfg-1", "vpce-1", "vpce-2"} {
			f.expect("when it leads to itself", id, model.UpdateFailed)
		}
		f.update(updateConfiguration(func(r *model.ResourceConfiguration) { r.IP = netip.MustParseAddr("10.0.1.10") }))
		f.settle(nil)
		for _, id := range []string{"rcfg-1", "vpce-1", "vpce-2"} {
			f.expect("when it does not any more", id, model.Ready)
		}
	})
}
