// SPDX-License-Identifier: Apache-2.0

package state_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/store/memstore"
	"github.com/posternhq/postern/internal/table"
)

const benchEndpoints = 10_000

// endpoints are tables with the rows of many endpoints.
type endpoints struct {
	store *memstore.Store
	db    *table.DB
	made  int
}

func manyEndpoints(b *testing.B) *endpoints {
	e := &endpoints{store: memstore.New()}
	b.Cleanup(func() { _ = e.store.Close() })
	e.open(b)
	for range benchEndpoints {
		e.create(b)
	}
	return e
}

func (e *endpoints) open(b *testing.B) {
	db, err := state.Open(context.Background(), e.store, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	db.OnlyWriter()
	e.db = db
}

// create writes what is written for an endpoint when it is made, and when it is
// acknowledged, in two Updates.
func (e *endpoints) create(b *testing.B) {
	e.made++
	const account, region = "111122223333", "us-east-1"
	id := func(prefix string) string { return fmt.Sprintf("%s-0%016x", prefix, uint64(e.made)*0x9e3779b97f4a7c15) }
	vpc := fmt.Sprintf("-0a1b2c3d4e5f%04x", e.made%50)
	meta := func(prefix string) model.Meta {
		return model.Meta{Account: account, Region: region, ID: id(prefix), CreatedAt: time.Now(), UpdatedAt: time.Now()}
	}
	n := &model.NetworkInterface{
		Meta: meta("eni"), VPC: "vpc" + vpc, Subnet: "subnet" + vpc, Zone: "us-east-1a", ZoneID: "use1-az1", Type: model.InterfaceEndpoint,
		Description: "VPC Endpoint Interface " + id("vpce"), MAC: fmt.Sprintf("02:00:%x:%x", e.made>>8, e.made&0xff), Owner: id("vpce"),
		Groups: []string{"sg" + vpc}, Addresses: []netip.Addr{netip.AddrFrom4([4]byte{10, 0, byte(e.made >> 8), byte(e.made)})},
	}
	v := &model.VPCEndpoint{
		Meta: meta("vpce"), Type: "Resource", VPC: n.VPC, Subnets: []string{n.Subnet}, Groups: n.Groups, Interfaces: []string{n.ID},
		IPAddressType: "ipv4", Configuration: model.Ref{Account: account, Region: region, ID: "rcfg-0123456789abcdef0"},
	}
	e.update(b, func(tx *table.Txn) error {
		claim := &model.AddressClaim{Account: account, Region: region, Subnet: n.Subnet, Addr: n.Addresses[0], Interface: n.ID}
		if err := state.AddressClaims.Insert(tx, claim); err != nil {
			return err
		}
		if err := state.NetworkInterfaces.Insert(tx, n); err != nil {
			return err
		}
		state.VPCEndpoints.Put(tx, v)
		state.EndpointAssociations.Put(tx, &model.EndpointAssociation{
			Meta: meta("rea"), EndpointSideID: id("vpce-rsc-asc"), Endpoint: v.Ref(), Configuration: v.Configuration,
		})
		return nil
	})
	e.update(b, func(tx *table.Txn) error {
		for _, of := range []string{v.ID, id("rea")} {
			state.Statuses.Put(tx, &model.Status{
				Account: account, Region: region, ID: of, State: model.StatusReady, Since: time.Now(), Revision: int64(e.made), Established: true,
			})
		}
		return nil
	})
}

func (e *endpoints) update(b *testing.B, fn func(*table.Txn) error) {
	if _, err := e.db.Update(context.Background(), fn); err != nil {
		b.Fatal(err)
	}
}

// weigh reports what the tables hold for each endpoint.
func (e *endpoints) weigh(b *testing.B) {
	var with, without runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&with)
	e.db.Close()
	e.db = nil
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&without)
	b.ReportMetric(float64(with.HeapAlloc-without.HeapAlloc)/float64(e.made), "live-B/endpoint")
	b.ReportMetric(float64(with.HeapObjects-without.HeapObjects)/float64(e.made), "live-objects/endpoint")
}

// BenchmarkEndpoint writes the rows of one endpoint more to those of many.
func BenchmarkEndpoint(b *testing.B) {
	e := manyEndpoints(b)
	b.ReportAllocs()
	for b.Loop() {
		e.create(b)
	}
	b.StopTimer()
	e.weigh(b)
}

// BenchmarkEndpointsLoaded opens the tables on the rows of many endpoints.
func BenchmarkEndpointsLoaded(b *testing.B) {
	e := manyEndpoints(b)
	b.ReportAllocs()
	for b.Loop() {
		e.db.Close()
		e.open(b)
	}
	b.StopTimer()
	e.weigh(b)
}
