// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/store/memstore"
	"github.com/posternhq/postern/internal/table"
)

const (
	account = "111122223333"
	region  = "us-east-1"
	suffix  = "postern.internal."

	databaseSuffix = "rds.example."
)

func meta(id string) model.Meta { return model.Meta{Account: account, Region: region, ID: id} }

func ref(id string) model.Ref { return model.Ref{Account: account, Region: region, ID: id} }

func addr(text string) netip.Addr { return netip.MustParseAddr(text) }

func prefix(text string) netip.Prefix { return netip.MustParsePrefix(text) }

// world is the tables with a plan that follows them step by step.
type world struct {
	db   *table.DB
	plan *Plan
	last *table.Txn
}

func newWorld(t interface {
	Fatal(...any)
	Cleanup(func())
}) *world {
	ctx, log := t.(interface{ Helper() }), slog.New(slog.DiscardHandler)
	ctx.Helper()
	db, err := state.Open(background, memstore.New(), log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return &world{db: db, plan: New(model.Host{Name: "h"}, Domains{}, model.Outside{}), last: db.Snapshot()}
}

// newNamedWorld is a newWorld whose host has a resolver.
func newNamedWorld(t interface {
	Fatal(...any)
	Cleanup(func())
}) *world {
	w := newWorld(t)
	w.plan = New(w.plan.host, Domains{Endpoints: suffix, Databases: databaseSuffix}, model.Outside{
		Pool: []netip.Prefix{prefix("203.0.113.0/24")}, Uplink: model.Uplink{Name: "wan", Device: "netns:internet"},
	})
	return w
}

// connection is the rows of one endpoint that leads from vpc-a to vpc-b, both
// with the same addresses.
func connection() []table.Row {
	return []table.Row{
		&model.VPC{Meta: meta("vpc-a"), CIDRs: []model.CIDRAssociation{{Prefix: prefix("10.0.0.0/16")}}, TransitIndex: 0},
		&model.VPC{Meta: meta("vpc-b"), CIDRs: []model.CIDRAssociation{{Prefix: prefix("10.0.0.0/16")}}, TransitIndex: 1},
		&model.Subnet{Meta: meta("subnet-a"), VPC: "vpc-a", Zone: "us-east-1a", CIDR: prefix("10.0.1.0/24")},
		&model.Subnet{Meta: meta("subnet-b"), VPC: "vpc-b", Zone: "us-east-1a", CIDR: prefix("10.0.1.0/24")},
		&model.SecurityGroup{Meta: meta("sg-a"), VPC: "vpc-a", Rules: []model.SecurityGroupRule{
			{Protocol: "-1", From: -1, To: -1, Group: "sg-a"},
			{Egress: true, Protocol: "-1", From: -1, To: -1, CIDR: prefix("0.0.0.0/0")},
		}},
		&model.SecurityGroup{Meta: meta("sg-b"), VPC: "vpc-b", Rules: []model.SecurityGroupRule{
			{Egress: true, Protocol: "tcp", From: 5432, To: 5432, CIDR: prefix("10.0.0.0/16")},
		}},
		&model.NetworkInterface{Meta: meta("eni-w"), VPC: "vpc-a", Subnet: "subnet-a", Zone: "us-east-1a", Type: model.InterfaceWorkload, SourceDestCheck: true, MAC: "02:00:00:00:00:01", Groups: []string{"sg-a"}, Addresses: []netip.Addr{addr("10.0.1.10")}},
		&model.Attachment{Account: account, Region: region, Interface: "eni-w", Host: "h", PID: 42, Device: "eth0"},
		&model.NetworkInterface{Meta: meta("eni-g"), VPC: "vpc-b", Subnet: "subnet-b", Zone: "us-east-1a", Type: model.InterfaceGateway, Owner: "rgw-1", Groups: []string{"sg-b"}, Addresses: []netip.Addr{addr("10.0.1.50"), addr("10.0.1.51")}},
		&model.ResourceGateway{Meta: meta("rgw-1"), VPC: "vpc-b", Subnets: []string{"subnet-b"}, Interfaces: []string{"eni-g"}},
		&model.ResourceConfiguration{Meta: meta("rcfg-1"), Gateway: "rgw-1", IP: addr("10.0.1.10"), Ports: []model.PortRange{{From: 5432, To: 5432}}, Targets: []model.TransitTarget{{Interface: "eni-g", Zone: "us-east-1a", Index: 5}}},
		&model.NetworkInterface{Meta: meta("eni-e"), VPC: "vpc-a", Subnet: "subnet-a", Zone: "us-east-1a", Type: model.InterfaceEndpoint, Owner: "vpce-1", Groups: []string{"sg-a"}, Addresses: []netip.Addr{addr("10.0.1.100")}},
		&model.EndpointAssociation{Meta: meta("rea-1"), Endpoint: ref("vpce-1"), Configuration: ref("rcfg-1")},
		&model.VPCEndpoint{Meta: meta("vpce-1"), VPC: "vpc-a", Subnets: []string{"subnet-a"}, Interfaces: []string{"eni-e"}, Configuration: ref("rcfg-1")},
	}
}

func TestAnEndpointLeadsThroughBothRouters(t *testing.T) {
	w := newWorld(t)
	w.put(t, connection()...)
	want := `router vpc-a self networks=10.0.0.0/16 gateways=10.0.1.1 source4=240.0.0.0/26 source6=fd70:6f73:7400::/64
router vpc-b self networks=10.0.0.0/16 gateways=10.0.1.1 source4=240.0.0.64/26 source6=fd70:6f73:7400:1::/64
link vpc-a vpc-b
route vpc-a 240.8.0.5/32 peer=vpc-b
route vpc-b 240.0.0.0/26 peer=vpc-a
class vpc-a CA in=all@sg-a out=all@0.0.0.0/0
class vpc-b CB out=6/5432-5432@10.0.0.0/16
pool vpc-b 10.0.1.50 addresses=10.0.1.50/32,10.0.1.51/32
member vpc-a sg-a/10.0.1.10
member vpc-a sg-a/10.0.1.100
address vpc-a 10.0.1.10 class=CA
address vpc-a 10.0.1.100 class=CA
address vpc-b 10.0.1.50 class=CB
address vpc-b 10.0.1.51 class=CB
workload vpc-a eni-w mac=02:00:00:00:00:01 addresses=10.0.1.10/24 gateway=10.0.1.1 device=eth0 namespace=pid:42
target vpc-b 240.8.0.5 dest=10.0.1.10 gateway=10.0.1.50
allow vpc-b 240.0.0.0/26>240.8.0.5
endpoint vpc-a 10.0.1.100 target=240.8.0.5 ports=5432
`
	got := replaceAll(desired.Text(w.plan.Entries()), map[string]string{
		desired.ClassName([]string{"sg-a"}): "CA", desired.ClassName([]string{"sg-b"}): "CB",
	})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("desired state (-want +got):\n%s", diff)
	}
}

func TestAnEndpointWaitsForItsWholeWay(t *testing.T) {
	w := newWorld(t)
	w.put(t, connection()...)
	endpoint := Subject{SubjectEndpoint, ref("vpce-1")}
	for _, key := range []desired.Key{
		{Kind: desired.KindTarget, Realm: "vpc-b", ID: "240.8.0.5"},
		{Kind: desired.KindAllow, Realm: "vpc-b", ID: "240.0.0.0/26>240.8.0.5"},
		{Kind: desired.KindEndpoint, Realm: "vpc-a", ID: "10.0.1.100"},
		{Kind: desired.KindAddress, Realm: "vpc-a", ID: "10.0.1.100"},
	} {
		found := false
		for _, s := range w.plan.Subjects(key) {
			found = found || s == endpoint
		}
		if !found {
			t.Errorf("entry %v does not belong to %v", key, endpoint)
		}
	}
}

func TestRemovingAnAssociationClosesTheWayAndKeepsTheRest(t *testing.T) {
	w := newWorld(t)
	w.put(t, connection()...)
	closed := &model.EndpointAssociation{Meta: meta("rea-1"), Endpoint: ref("vpce-1"), Configuration: ref("rcfg-1")}
	closed.DeletedAt = time.Unix(1, 0)
	r := w.put(t, closed)
	var deleted []string
	for _, k := range r.Delete {
		deleted = append(deleted, k.String())
	}
	want := []string{
		"endpoint vpc-a 10.0.1.100", "allow vpc-b 240.0.0.0/26>240.8.0.5",
		"route vpc-b 240.0.0.0/26", "route vpc-a 240.8.0.5/32", "link vpc-a vpc-b",
	}
	if diff := cmp.Diff(want, deleted); diff != "" {
		t.Errorf("deleted (-want +got):\n%s", diff)
	}
	association := Subject{SubjectAssociation, ref("rea-1")}
	for _, k := range r.Delete {
		if !contains(r.Released[k], association) {
			t.Errorf("%v is not released for %v", k, association)
		}
	}
}

func TestEqualWaysAreKeptWhileAnyEndpointNeedsThem(t *testing.T) {
	w := newWorld(t)
	w.put(t, connection()...)
	second := []table.Row{
		&model.NetworkInterface{Meta: meta("eni-f"), VPC: "vpc-a", Subnet: "subnet-a", Zone: "us-east-1a", Type: model.InterfaceEndpoint, Owner: "vpce-2", Groups: []string{"sg-a"}, Addresses: []netip.Addr{addr("10.0.1.101")}},
		&model.EndpointAssociation{Meta: meta("rea-2"), Endpoint: ref("vpce-2"), Configuration: ref("rcfg-1")},
		&model.VPCEndpoint{Meta: meta("vpce-2"), VPC: "vpc-a", Subnets: []string{"subnet-a"}, Interfaces: []string{"eni-f"}, Configuration: ref("rcfg-1")},
	}
	if r := w.put(t, second...); len(r.Put) != 3 { // endpoint, address, member
		t.Errorf("a second endpoint puts %d entries, want 3:\n%s", len(r.Put), desired.Text(r.Put))
	}
	r := w.remove(t, second...)
	if len(r.Delete) != 3 || len(r.Put) != 0 {
		t.Errorf("its removal deletes %v and puts %v, want the 3 entries of its own gone", r.Delete, r.Put)
	}
}

func moreEndpoint(i int) []table.Row {
	id := fmt.Sprintf("m%d", i)
	a := netip.AddrFrom4([4]byte{10, 0, byte(2 + i/250), byte(i % 250)})
	return []table.Row{
		&model.NetworkInterface{Meta: meta("eni-" + id), VPC: "vpc-a", Subnet: "subnet-a", Zone: "us-east-1a", Type: model.InterfaceEndpoint, Owner: "vpce-" + id, Groups: []string{"sg-a"}, Addresses: []netip.Addr{a}},
		&model.EndpointAssociation{Meta: meta("rea-" + id), Endpoint: ref("vpce-" + id), Configuration: ref("rcfg-1")},
		&model.VPCEndpoint{Meta: meta("vpce-" + id), VPC: "vpc-a", Subnets: []string{"subnet-a"}, Interfaces: []string{"eni-" + id}, Configuration: ref("rcfg-1")},
	}
}

// Whose an endpoint's address is, is told to the host although it is no part of the
// state: whoever records connections there needs it.
func TestANewOwnerIsTold(t *testing.T) {
	w := newWorld(t)
	w.put(t, connection()...)
	r := w.put(t,
		&model.NetworkInterface{Meta: meta("eni-e"), VPC: "vpc-a", Subnet: "subnet-a", Zone: "us-east-1a", Type: model.InterfaceEndpoint, Owner: "vpce-2", Groups: []string{"sg-a"}, Addresses: []netip.Addr{addr("10.0.1.100")}},
		&model.EndpointAssociation{Meta: meta("rea-1"), Endpoint: ref("vpce-2"), Configuration: ref("rcfg-1")},
		&model.VPCEndpoint{Meta: meta("vpce-2"), VPC: "vpc-a", Subnets: []string{"subnet-a"}, Interfaces: []string{"eni-e"}, Configuration: ref("rcfg-1")},
	)
	want := "endpoint vpc-a 10.0.1.100 target=240.8.0.5 ports=5432 owner=vpce-2\n"
	if got := desired.Records(r.Put); got != want || len(r.Delete) > 0 {
		t.Errorf("put %q and delete %v, want %q", got, r.Delete, want)
	}
}

// TestAPlanFromNothingIsGivenUp ends the context in the middle.
func TestAPlanFromNothingIsGivenUp(t *testing.T) {
	w := newWorld(t)
	w.commit(t, wholeWorld(), false)
	tx := w.db.Snapshot()
	for _, after := range []int64{0, 3} {
		ctx, p := endsAfter{Context: t.Context(), left: new(after)}, New(w.plan.host, Domains{}, model.Outside{})
		if _, err := p.ChangeWithin(ctx, tx, everything(tx)); !errors.Is(err, context.Canceled) || p.derivations > int(after)+len(wholeWorld()) {
			t.Errorf("after %d units: %v, and %d derivations", after, err, p.derivations)
		}
	}
}

// endsAfter is a context that ends when it has been asked so often.
type endsAfter struct {
	context.Context
	left *int64
}

func (c endsAfter) Err() error {
	if *c.left--; *c.left < 0 {
		return context.Canceled
	}
	return nil
}
