// SPDX-License-Identifier: Apache-2.0

package account

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/posternhq/postern/internal/alloc"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service/servicetest"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// networks tells what accounts have, one VPC a line.
func networks(t *testing.T, w *servicetest.World) string {
	t.Helper()
	tx, err := w.DB.View(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for v := range state.VPCs.All(tx) {
		in := v.Ref()
		var subnets []string
		for s := range state.SubnetsByVPC.Rows(tx, in) {
			subnets = append(subnets, fmt.Sprintf("%s %s %t %t", s.Zone, s.CIDR, s.DefaultForZone, s.MapPublicIP))
		}
		slices.Sort(subnets)
		g, _ := state.SecurityGroups.Get(tx, v.Account, v.Region, v.DefaultGroup)
		lines = append(lines, fmt.Sprintf("%s %s %s default=%t %d/%d/%d %s [%s]", v.Account, v.Region, v.CIDRs[0].Prefix, v.Default,
			state.RouteTablesByVPC.Count(tx, in), state.NetworkACLsByVPC.Count(tx, in), state.SecurityGroupsByVPC.Count(tx, in),
			g.Name, strings.Join(subnets, ", ")))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

const (
	defaultHere  = servicetest.Account + " us-east-1 172.31.0.0/16 default=true 1/1/1 default [us-east-1a 172.31.0.0/20 true true, us-east-1b 172.31.16.0/20 true true, us-east-1c 172.31.32.0/20 true true]"
	defaultThere = servicetest.Account + " eu-west-1 172.31.0.0/16 default=true 1/1/1 default [eu-west-1a 172.31.0.0/20 true true, eu-west-1b 172.31.16.0/20 true true, eu-west-1c 172.31.32.0/20 true true]"
)

func (w *accountWorld) bootstrap(t *testing.T) {
	t.Helper()
	if _, _, err := Bootstrap(t.Context(), w.Env, servicetest.Account); err != nil {
		t.Fatal(err)
	}
}

type accountWorld struct{ *servicetest.World }

func (w *accountWorld) want(t *testing.T, when string, lines ...string) {
	t.Helper()
	if diff := cmp.Diff(strings.Join(lines, "\n"), networks(t, w.World)); diff != "" {
		t.Errorf("%s:\n%s", when, diff)
	}
}

func (w *accountWorld) update(t *testing.T, change func(*table.Txn) error) {
	t.Helper()
	if _, err := w.DB.Update(t.Context(), change); err != nil {
		t.Fatal(err)
	}
}

func TestAccountsHaveADefaultVPCInEachRegion(t *testing.T) {
	w := &accountWorld{servicetest.New(t)}
	w.DefaultVPC = true
	w.bootstrap(t)
	w.want(t, "the first account", defaultThere, defaultHere)
	other, err := New(w.Env, servicetest.OtherAccount, "other")
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Create(t.Context(), w.Env); err != nil {
		t.Fatal(err)
	}
	theirs := func(line string) string {
		return strings.Replace(line, servicetest.Account, servicetest.OtherAccount, 1)
	}
	w.want(t, "another account", defaultThere, defaultHere, theirs(defaultThere), theirs(defaultHere))
}

func TestDefaultVPCsAreGivenOnce(t *testing.T) {
	w := &accountWorld{servicetest.New(t)}
	w.Regions = []string{servicetest.Region}
	w.bootstrap(t)
	w.want(t, "with default VPCs left out")

	w.DefaultVPC = true
	w.bootstrap(t)
	w.want(t, "an account from before", defaultHere)

	w.update(t, func(tx *table.Txn) error {
		for v := range state.VPCs.Scope(tx, servicetest.Account, servicetest.Region) {
			state.VPCs.Delete(tx, v.Account, v.Region, v.ID)
		}
		return nil
	})
	w.bootstrap(t)
	w.want(t, "a deleted one comes back")

	w.Regions = []string{servicetest.Region, servicetest.OtherRegion}
	w.bootstrap(t)
	w.want(t, "a new region", defaultThere)
	before := w.Dump(t)
	w.bootstrap(t)
	if diff := cmp.Diff(before, w.Dump(t)); diff != "" {
		t.Errorf("a later start changed the state:\n%s", diff)
	}
}

func TestDefaultVPCThatWasMadeByHandIsKept(t *testing.T) {
	w := &accountWorld{servicetest.New(t)}
	w.Regions = []string{servicetest.Region}
	w.bootstrap(t)
	w.update(t, func(tx *table.Txn) error {
		return newNetwork(w.Env, servicetest.Account, servicetest.Region).parts.Insert(tx, w.Env)
	})
	w.DefaultVPC = true
	w.bootstrap(t)
	w.want(t, "after the next start", defaultHere)
}

func TestStartGoesOnWithoutRoomForDefaultVPCs(t *testing.T) {
	w := &accountWorld{servicetest.New(t)}
	w.Log = slog.New(slog.DiscardHandler)
	w.Regions = []string{servicetest.Region}
	w.bootstrap(t)
	for first := 0; first < model.SourcesPerHost; first += 512 {
		w.update(t, func(tx *table.Txn) error {
			for i := range 512 {
				state.TransitClaims.Put(tx, &model.TransitClaim{Space: model.SpaceSource, Index: first + i})
			}
			return nil
		})
	}
	w.DefaultVPC = true
	w.bootstrap(t)
	w.want(t, "no room")
	w.update(t, func(tx *table.Txn) error { alloc.FreeTransit(tx, model.SpaceSource, 7); return nil })
	w.bootstrap(t)
	w.want(t, "room at the next start", defaultHere)
}
