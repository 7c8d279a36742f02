// SPDX-License-Identifier: Apache-2.0

// Package servicetest gives tests of services an environment of their own:
// tables over a store in memory, a clock that stands still, and random numbers
// that are the same in each run.
package servicetest

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/engine"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/policy"
	"github.com/posternhq/postern/internal/seal"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/store"
	"github.com/posternhq/postern/internal/store/memstore"
)

// The callers of tests.
const (
	Account      = "111122223333"
	OtherAccount = "444455556666"
	Region       = "us-east-1"
	OtherRegion  = "eu-west-1"
)

// Now is the time of the clock that stands still.
var Now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// World is an environment and the store below it.
type World struct {
	*service.Env
	Store store.Store
}

// New makes an environment with two regions of three zones each. It is closed
// at the end of the test.
func New(t testing.TB) *World {
	t.Helper()
	return NewOn(t, memstore.New())
}

// NewOn is New with the store, which stays the caller's to close.
func NewOn(t testing.TB, s store.Store) *World {
	t.Helper()
	db, err := state.Open(t.Context(), s, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	ring, err := seal.New(Now)
	if err != nil {
		t.Fatal(err)
	}
	return &World{Store: s, Env: &service.Env{
		DB:      db,
		Now:     func() time.Time { return Now },
		Rand:    &lockedRand{source: rand.NewChaCha8([32]byte{1})},
		Seal:    seal.Using(ring),
		Zones:   zones,
		Regions: []string{Region, OtherRegion},
		Quotas:  service.DefaultQuotas(),
		Outside: model.Outside{
			Pool:   []netip.Prefix{netip.MustParsePrefix("203.0.113.0/29"), netip.MustParsePrefix("198.51.100.8/30")},
			Uplink: model.Uplink{Name: "wan", Device: "dev:eth1", Addresses: []netip.Prefix{netip.MustParsePrefix("203.0.113.254/24")}},
		},
		Suffix: "postern.internal.", Engines: engines, DatabaseSuffix: "rds.amazonaws.com.", IPv6Pool: netip.MustParsePrefix("2001:db8::/40"),
		Log: slog.New(slog.DiscardHandler),
	}}
}

// As gives a context whose caller is an account in a region. Account manages.
func As(t testing.TB, account, region string) context.Context {
	return access.With(t.Context(), &access.View{Caller: access.Caller{
		Account: account, Region: region, Management: account == Account, Kind: policy.Root,
		ARN: "arn:aws:iam::" + account + ":user/test", UserID: "AIDATEST", AccessKeyID: "AKIATEST", RequestID: "test",
	}})
}

// Dump gives all rows in the store, to see whether anything changed.
func (w *World) Dump(t testing.TB) map[string]string {
	t.Helper()
	rows, _, err := w.Store.Range(t.Context(), "/postern/v1/row/")
	if err != nil {
		t.Fatal(err)
	}
	dump := make(map[string]string, len(rows))
	for _, kv := range rows {
		dump[kv.Key] = string(kv.Value)
	}
	return dump
}

// engines are those of a host with two versions of PostgreSQL.
func engines() []engine.Installation {
	return []engine.Installation{
		{Driver: engine.DriverMariaDB, Version: "10.11.14", Major: "10.11", Programs: "/usr/sbin", User: "mysql"},
		{Driver: engine.DriverPostgres, Version: "17.6", Major: "17", Programs: "/usr/lib/postgresql/17/bin", User: "postgres"},
		{Driver: engine.DriverPostgres, Version: "15.18", Major: "15", Programs: "/usr/lib/postgresql/15/bin", User: "postgres"},
	}
}

func zones(region string) []service.Zone {
	switch region {
	case Region:
		return []service.Zone{{Name: "us-east-1a", ID: "use1-az1"}, {Name: "us-east-1b", ID: "use1-az2"}, {Name: "us-east-1c", ID: "use1-az3"}}
	case OtherRegion:
		return []service.Zone{{Name: "eu-west-1a", ID: "euw1-az1"}, {Name: "eu-west-1b", ID: "euw1-az2"}, {Name: "eu-west-1c", ID: "euw1-az3"}}
	}
	return nil
}

type lockedRand struct {
	mu     sync.Mutex
	source *rand.ChaCha8
}

func (r *lockedRand) Read(into []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.source.Read(into)
}
