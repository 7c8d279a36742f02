// SPDX-License-Identifier: Apache-2.0

package postern

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	shape "github.com/posternhq/postern/internal/aws/shape/postern"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service/servicetest"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// TestStatusOfPeeringConnections shows each once, in its state and why it is in that, and of
// those that are active where nothing leads to them: but of VPCs of others only their owners
// and the management account are told.
func TestStatusOfPeeringConnections(t *testing.T) {
	f := newFixture(t)
	f.api.Observer = nil
	ours := model.PeeringSide{Account: servicetest.Account, VPC: "vpc-1"}
	theirs := model.PeeringSide{Account: servicetest.OtherAccount, VPC: "vpc-2"}
	when := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	both := func(tx *table.Txn, p model.PeeringConnection) {
		for _, account := range []string{servicetest.Account, servicetest.OtherAccount} {
			row := p
			row.Account, row.Region = account, servicetest.Region
			state.PeeringConnections.Put(tx, &row)
		}
	}
	named := func(id string) model.Meta { return model.Meta{ID: id} }
	f.put(t, func(tx *table.Txn) {
		both(tx, model.PeeringConnection{Meta: named("pcx-1"), Requester: ours, Accepter: theirs, Code: model.PeeringActive})
		both(tx, model.PeeringConnection{Meta: named("pcx-2"), Requester: theirs, Accepter: ours, Code: model.PeeringActive})
		both(tx, model.PeeringConnection{Meta: named("pcx-3"), Requester: ours, Accepter: theirs, Code: model.PeeringPending, ExpiresAt: when})
		both(tx, model.PeeringConnection{Meta: named("pcx-4"), Requester: ours, Accepter: theirs, Code: model.PeeringRejected, EndedBy: servicetest.OtherAccount, EndedAt: when})
		both(tx, model.PeeringConnection{Meta: named("pcx-5"), Requester: ours, Accepter: theirs, Code: model.PeeringExpired, EndedAt: when})
		meta := func(account, id string) model.Meta {
			return model.Meta{Account: account, Region: servicetest.Region, ID: id}
		}
		// One of an account with itself, and one that only who was asked is still shown.
		state.PeeringConnections.Put(tx, &model.PeeringConnection{Meta: meta(servicetest.Account, "pcx-6"), Requester: ours, Accepter: ours, Code: model.PeeringFailed, Message: "Failed due to x"})
		state.PeeringConnections.Put(tx, &model.PeeringConnection{
			Meta: meta(servicetest.OtherAccount, "pcx-7"), Requester: ours, Accepter: theirs, Code: model.PeeringDeleted, EndedBy: servicetest.Account, EndedAt: when,
		})
		to := func(target string) []model.Route {
			return []model.Route{{Dest: netip.MustParsePrefix("10.9.0.0/16"), Target: target}}
		}
		state.RouteTables.Put(tx, &model.RouteTable{Meta: meta(servicetest.Account, "rtb-1"), VPC: "vpc-1", Routes: append(to("pcx-1"), to("pcx-2")...)})
		state.RouteTables.Put(tx, &model.RouteTable{Meta: meta(servicetest.OtherAccount, "rtb-2"), VPC: "vpc-2", Routes: to("pcx-2")})
	})
	shown := func(out *shape.GetStatusOutput, err error) (lines []string) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range out.Resources {
			if *r.Kind != "vpc-peering-connection" {
				continue
			}
			line := *r.Id + " " + *r.State
			if r.Reason != nil {
				line += ": " + *r.Reason
			}
			lines = append(lines, line)
		}
		return lines
	}
	const a, b = servicetest.Account, servicetest.OtherAccount
	rest := []string{
		"pcx-3 pending-acceptance: account " + b + " may accept it for vpc-2 until 2026-01-02T03:04:05Z",
		"pcx-4 rejected: by account " + b + " at 2026-01-02T03:04:05Z",
		"pcx-5 expired: account " + b + " did not accept it by 2026-01-02T03:04:05Z",
	}
	failed, deleted := "pcx-6 failed: Failed due to x", "pcx-7 deleted: by account "+a+" at 2026-01-02T03:04:05Z"
	other := append([]string{"pcx-1 active: no route leads to it in vpc-2", "pcx-2 active"}, rest...)
	got := shown(f.api.GetStatus(f.other, &shape.GetStatusInput{}))
	if diff := cmp.Diff(append(other, deleted), got); diff != "" {
		t.Errorf("the other account sees (-want +got):\n%s", diff)
	}
	got = shown(f.api.GetStatus(f.ctx, &shape.GetStatusInput{}))
	all := append(append([]string{"pcx-1 active: no route leads to it in vpc-2", "pcx-2 active"}, rest...), failed, deleted)
	if diff := cmp.Diff(slices.Sorted(slices.Values(all)), slices.Sorted(slices.Values(got))); diff != "" {
		t.Errorf("the management account sees (-want +got):\n%s", diff)
	}
	f.put(t, func(tx *table.Txn) { state.RouteTables.Delete(tx, servicetest.Account, servicetest.Region, "rtb-1") })
	got = shown(f.api.GetStatus(f.other, &shape.GetStatusInput{}))
	if strings.Contains(strings.Join(got, "\n"), "vpc-1") {
		t.Errorf("the other account is told of routes of others: %q", got)
	}
	got = shown(f.api.GetStatus(f.ctx, &shape.GetStatusInput{}))
	if want := "pcx-1 active: no route leads to it in vpc-1 and vpc-2"; !strings.Contains(strings.Join(got, "\n"), want) {
		t.Errorf("without any route: %q", got)
	}
}

// TestStatusOfEndpointsThatAreNotAccepted says who has not, and until or since when.
func TestStatusOfEndpointsThatAreNotAccepted(t *testing.T) {
	f := newFixture(t)
	f.api.Observer = nil
	when := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for acceptance, want := range map[string]string{
		model.AcceptanceAccepted: "pending",
		model.AcceptancePending:  "pendingAcceptance: the owner of com.example.a may accept it until 2026-01-09T03:04:05Z",
		model.AcceptanceRejected: "rejected: by the owner of com.example.a at 2026-01-02T03:04:05Z",
		model.AcceptanceExpired:  "expired: the owner of com.example.a did not accept it by 2026-01-02T03:04:05Z",
	} {
		f.put(t, func(tx *table.Txn) {
			state.VPCEndpoints.Put(tx, &model.VPCEndpoint{
				Meta: model.Meta{Account: servicetest.Account, Region: servicetest.Region, ID: "vpce-1"}, Type: model.EndpointInterface,
				VPC: "vpc-1", ServiceName: "com.example.a", Acceptance: acceptance, AcceptanceAt: when,
			})
		})
		out, err := f.api.GetStatus(f.ctx, &shape.GetStatusInput{})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range out.Resources {
			got := *r.State
			if r.Reason != nil {
				got += ": " + *r.Reason
			}
			if *r.Kind == "vpc-endpoint" && got != want {
				t.Errorf("%s is shown as %q, want %q", acceptance, got, want)
			}
		}
	}
}
