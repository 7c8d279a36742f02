// SPDX-License-Identifier: Apache-2.0

// Package dataplane makes the kernel of one host look as desired entries say,
// and reads the kernel back as the same entries.
//
// A Host composes two parts: package network makes namespaces, interfaces and
// routes, package nft the filter and the translation. The entries decide which
// part does what; a caller need not know.
package dataplane

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/posternhq/postern/internal/dataplane/express"
	"github.com/posternhq/postern/internal/dataplane/network"
	"github.com/posternhq/postern/internal/dataplane/nft"
	"github.com/posternhq/postern/internal/desired"
)

// ErrNamespaceGone is in the error of a workload whose namespace does not exist
// any more: its process has ended, or its name now means another namespace.
// Trying again does not help.
var ErrNamespaceGone = network.ErrNamespaceGone

// ErrNoRouter is in the error of an entry whose router is not on this host.
var ErrNoRouter = network.ErrNoRouter

// Lives reports whether the namespace that a workload names is there and is the
// one that is meant. One of our own realms, which comes again, always is.
func Lives(n desired.Namespace) (bool, error) {
	if n.Realm != "" {
		return true, nil
	}
	ns, err := network.Find(n)
	if errors.Is(err, ErrNamespaceGone) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, ns.Close()
}

// Config says whose routers a Host looks after.
type Config struct {
	// Instance is the mark of what is made: one to eight lower-case letters
	// and digits. What has another mark, or none, is never touched.
	Instance string
	// Idle is how long connection tracking remembers an idle established TCP
	// connection; zero means network.DefaultIdle.
	Idle time.Duration
	// Shares bound what one party may have of a router's connection tracking;
	// what is zero there comes from nft.DefaultShares, for this kernel's room.
	Shares nft.Shares
	// NATPorts is how many ports an address of a NAT gateway has; zero means as many as
	// on AWS.
	NATPorts int
	// SlowPathOnly leaves the express lane out.
	SlowPathOnly bool
	// LookOnly is for who only reads while nobody else works on the host: the
	// express lane and the routers' settings are left as they are, and not looked at.
	LookOnly bool
	// Log gets one line for each thing that a person cares about; nil means
	// slog.Default.
	Log *slog.Logger
}

// Host is the kernel of this host, as far as it belongs to one instance. Its
// methods may be called from several goroutines; calls for one VPC wait for
// each other.
type Host struct {
	log     *slog.Logger
	routers *network.Routers
	shares  nft.Shares
	stock   nft.Stock
	ports   int
	lane    *express.Lane // nil when there is none

	mu     sync.Mutex
	locks  map[string]*sync.Mutex
	tables map[string]openTable
	// settled are the routers, by their inodes, whose connections all have a
	// right to be there.
	settled map[string]uint64
}

// openTable is the table of a router while that router is the same.
type openTable struct {
	inode uint64
	*nft.Table
}

// New prepares the use of a host. It changes nothing, but that an express lane
// of another version, or one that is not wanted, is switched off. A kernel that
// has no use for the lane is told of in the log.
func New(c Config) (*Host, error) {
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Idle == 0 {
		c.Idle = network.DefaultIdle
	}
	h := &Host{
		log: c.Log, ports: c.NATPorts, shares: c.Shares.Or(nft.DefaultShares(trackingRoom())),
		locks: map[string]*sync.Mutex{}, tables: map[string]openTable{}, settled: map[string]uint64{},
	}
	if c.LookOnly {
		c.Idle = network.AnyIdle
	}
	lane := h.openLane(c)
	var err error
	if h.routers, err = network.NewRouters(c.Instance, c.Idle, lane); err != nil {
		h.lane.Close()
		return nil, fmt.Errorf("open data plane: %w", err)
	}
	return h, nil
}

// openLane opens the express lane. It returns nil when there is none: what an
// earlier process has left is off then, because nobody would tell it of
// connections that were cut.
func (h *Host) openLane(c Config) network.Lane {
	if c.LookOnly {
		return nil
	}
	if c.SlowPathOnly {
		if err := express.Disable(c.Instance); err != nil {
			h.log.Warn("an express lane may be left", "error", err)
		}
		return nil
	}
	lane, err := express.Open(c.Instance, c.Idle)
	if err != nil {
		h.log.Warn("no express lane: all packets go through nftables", "error", errors.Join(err, express.Disable(c.Instance)))
		return nil
	}
	if err := lane.Questions(h.shares.Queries, nft.Burst(h.shares.Queries)); err != nil {
		h.log.Warn("no express lane: all packets go through nftables", "error", errors.Join(err, lane.Close(), express.Disable(c.Instance)))
		return nil
	}
	h.lane = lane
	return lane
}

// Shelf gives what the process that resolves names may have the express lane answer by
// itself, and makes void what was put there before; nil when there is no lane.
func (h *Host) Shelf() (*express.Shelf, error) {
	if h.lane == nil {
		return nil, nil
	}
	s, err := h.lane.Hand()
	if err != nil {
		return nil, err
	}
	return &s, nil
}

// ExpressLane tells what the express lane has done; nil means that there is
// none.
func (h *Host) ExpressLane() (*express.Counters, error) {
	if h.lane == nil {
		return nil, nil
	}
	c, err := h.lane.Counters()
	return &c, err
}

// Close closes what the host has open and changes nothing in the kernel: what
// is programmed goes on working. No other call may be running.
func (h *Host) Close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, t := range h.tables {
		t.Close()
	}
	clear(h.tables)
	h.routers.Close()
	return h.lane.Close()
}

// Realms lists the routers of this instance and its other namespaces, sorted.
func (h *Host) Realms(ctx context.Context) ([]desired.Realm, error) {
	return h.routers.Realms()
}

// Clean removes every trace of an instance, or of all instances when it is
// empty, and returns the names of the namespaces that it removed. What looks
// like ours by its name and does not carry the mark is left alone and reported
// in the error.
func Clean(ctx context.Context, instance string) (removed []string, err error) {
	return network.Clean(ctx, instance)
}

// Instances returns the marks of all instances that have a router on this host,
// sorted.
func Instances() ([]string, error) { return network.Instances() }

// lock waits for other calls about a VPC and returns the function that lets
// the next one go on.
func (h *Host) lock(vpc string) func() {
	h.mu.Lock()
	l := h.locks[vpc]
	if l == nil {
		l = &sync.Mutex{}
		h.locks[vpc] = l
	}
	h.mu.Unlock()
	l.Lock()
	return l.Unlock
}

// table opens the table of a router, or returns the one that is open. The lock
// of the VPC is held.
func (h *Host) table(r *network.Router) (*nft.Table, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	t, ok := h.tables[r.VPC]
	if ok && t.inode == r.Inode() {
		return t.Table, nil
	}
	if ok {
		t.Close()
		delete(h.tables, r.VPC)
	}
	table, err := nft.OpenShared(r.FD(), h.shares)
	if err != nil {
		return nil, err
	}
	table.Draw(&h.stock)
	h.tables[r.VPC] = openTable{r.Inode(), table}
	return table, nil
}

// Prepare makes rules beforehand that routers have only at times, so that the first one
// that needs them has them sooner. Nothing of it stays in the kernel.
func (h *Host) Prepare(ctx context.Context) error { return h.stock.Fill(ctx, h.shares) }

// forget closes the table of a router that is no more. The lock of the VPC is
// held.
func (h *Host) forget(vpc string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if t, ok := h.tables[vpc]; ok {
		t.Close()
		delete(h.tables, vpc)
	}
	delete(h.settled, vpc)
}

// recheck makes the express lane ask again about everything that it knows of a
// router.
func (h *Host) recheck(r *network.Router) error {
	if h.lane == nil {
		return nil
	}
	return h.lane.Recheck(r.Cookie())
}

// bypass has the packets of a router take the slow path while any of its subnets is
// filtered: each of them is asked about.
func (h *Host) bypass(ctx context.Context, r *network.Router, table *nft.Table) error {
	if h.lane == nil {
		return nil
	}
	filtered, err := table.Filtered(ctx)
	if err != nil {
		return fmt.Errorf("read which subnets of %s are filtered: %w", r.VPC, err)
	}
	return h.lane.Bypass(r.Cookie(), filtered)
}
