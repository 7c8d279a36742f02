// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/posternhq/postern/internal/dataplane"
	"github.com/posternhq/postern/internal/dataplane/express"
	"github.com/posternhq/postern/internal/reconcile"
	"github.com/posternhq/postern/internal/store/etcdstore"
)

// Sources are asked at each scrape.
type Sources struct {
	// State is what is in memory; it must not wait for anything.
	State func() State
	// Kernel asks the kernel, which may take long.
	Kernel func(context.Context) (Kernel, error)
}

// State is how far the daemon is.
type State struct {
	// StoreRevision is the revision that the tables have.
	StoreRevision int64
	// SetAside is how many rows cannot be read.
	SetAside int
	// StuckMakers is how many makers of rows cannot do their work.
	StuckMakers int
	// Names are how many names are followed; NamesFailing are those whose last look-up
	// failed, NamesNowhere those that have no address, and NamesDown how many addresses
	// are left out because they do not answer.
	Names, NamesFailing, NamesNowhere, NamesDown int
	Report                                       reconcile.Report
	// Store is nil for an external store.
	Store *etcdstore.Usage
}

// Kernel is what the kernel tells.
type Kernel struct {
	Routers []dataplane.RouterUse
	NATs    []dataplane.NATUse
	// Shares are those that are worth attention.
	Shares []dataplane.Share
	// Lane is nil when there is no express lane.
	Lane *express.Counters
}

// Bounds of a scrape: how long it waits for the kernel, how long the kernel may
// take at all, and of how many routers there are metrics of their own. The others,
// those with the busiest connections, are added up.
const (
	kernelPatience = time.Second
	kernelAtMost   = 30 * time.Second
	routersMost    = 200
)

// collector makes metrics of what the sources tell.
type collector struct {
	from    Sources
	metrics []*prometheus.Desc

	mu     sync.Mutex
	asking chan struct{} // closed when the kernel has answered; nil when it is not asked
	last   Kernel
	lastAt time.Time
}

func newCollector(from Sources) *collector {
	return &collector{from: from, metrics: []*prometheus.Desc{
		storeRevision, settledRevision, setAside, stuckMakers, names, namesDown, entries, repairs, storeBytes, storeInUse, storeQuota, storeFree,
		sampleAge, routers, connections, tracked, lost, laneConnections, laneRouterPackets, laneRouterBytes, shareUsed, shareLimit, shareRefused, lanePackets, laneBytes, laneLearned, laneNoRoom, laneAnswers, laneBeyond,
		natConnections, natLimit, natLost, natAttempts, natLate, natDropped, natPackets, natBytes,
	}}
}

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(namespace+"_"+name, help, labels, nil)
}

var (
	storeRevision     = describe("store_revision", "Revision of the store that the tables have.")
	settledRevision   = describe("settled_revision", "Revision of the last change for this host of which all is done in the kernel, or in error there.")
	setAside          = describe("rows_set_aside", "Rows of the store that cannot be read.")
	stuckMakers       = describe("makers_failing", "Controllers that make and remove rows by themselves, and fail at it.")
	names             = describe("names_followed", "Names that connections to resources go by: all, of these those whose last look-up failed, and those without an address.", "state")
	namesDown         = describe("names_addresses_down", "Addresses of names that nothing is sent to because they do not answer.")
	entries           = describe("entries", "Entries of the desired state: wanted, of these programmed, and failed ones.", "state")
	repairs           = describe("repairs_total", "Entries that were found missing, changed or unknown in the kernel after they had been done.", "kind")
	storeBytes        = describe("store_size_bytes", "Size of the embedded store's database.")
	storeInUse        = describe("store_in_use_bytes", "What of the embedded store's database is in use.")
	storeQuota        = describe("store_quota_bytes", "How large the embedded store's database may grow.")
	storeFree         = describe("store_disk_free_bytes", "Free space of the disk that the embedded store is on.")
	sampleAge         = describe("kernel_sample_age_seconds", "How long ago the kernel told what the metrics of routers, shares and express lane say.")
	routers           = describe("routers", "VPC routers on this host.")
	connections       = describe("router_connections", "Connections that a router tracks.", "vpc")
	tracked           = describe("router_connections_limit", "How many connections a router can track.", "vpc")
	lost              = describe("router_insertions_failed_total", "First packets that were lost because connection tracking had no room or no port.", "vpc")
	laneConnections   = describe("router_express_connections", "Connections of a router that the express lane carries, about.", "vpc")
	laneRouterPackets = describe("router_express_packets_total", "Packets that the express lane has carried through a router.", "vpc")
	laneRouterBytes   = describe("router_express_bytes_total", "Bytes, from the IP header on, that the express lane has carried through a router.", "vpc")
	shareUsed         = describe("share_used", "Connections in a share of a router that is used to eight tenths, or beyond which something was refused.", "vpc", "share")
	shareLimit        = describe("share_limit", "Connections that such a share has room for.", "vpc", "share")
	shareRefused      = describe("share_refused_total", "Connections, or packets of the express lane, beyond such a share.", "vpc", "share")
	lanePackets       = describe("express_packets_total", "Packets that took the express lane through a router.")
	laneBytes         = describe("express_bytes_total", "Bytes, from the IP header on, that took the express lane through a router.")
	laneLearned       = describe("express_connections_learned_total", "How often the express lane has remembered a connection in a router.")
	laneAnswers       = describe("express_answers_total", "Questions to VPCs' resolvers that the express lane has answered by itself.")
	laneBeyond        = describe("express_questions_refused_total", "Packets to VPCs' resolvers that the express lane has dropped because they were beyond the share of their interface.")
	laneNoRoom        = describe("express_packets_refused_total", "Packets that took the slow path because their router's share of the express lane was used up.")
)

var (
	natConnections = describe("nat_connections", "Connections that a NAT gateway tracks.", "nat")
	natLimit       = describe("nat_connections_limit", "How many connections a NAT gateway can track.", "nat")
	natLost        = describe("nat_port_allocation_errors_total", "First packets that a NAT gateway lost because it had no port or no room.", "nat")
	natAttempts    = describe("nat_connection_attempts_total", "First packets of connections that came to a NAT gateway and might leave.", "nat")
	natRefused     = describe("nat_connections_refused_total", "Packets of new connections that a NAT gateway refused, because a client had its share of it.", "nat")
	natLate        = describe("nat_idle_timeouts_total", "Packets of TCP that came to a NAT gateway from within when their connection had been forgotten, and were answered by a reset.", "nat")
	natDropped     = describe("nat_packets_dropped_total", "Packets that a NAT gateway let neither in nor out.", "nat")
	natPackets     = describe("nat_packets_total", "Packets that came to a NAT gateway from both sides.", "nat")
	natBytes       = describe("nat_bytes_total", "Bytes, of whole frames, that came to a NAT gateway from both sides.", "nat")
)

// Describe implements prometheus.Collector.
func (c *collector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range c.metrics {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(to chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	counter := func(d *prometheus.Desc, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, value, labels...)
	}
	s := c.from.State()
	gauge(storeRevision, float64(s.StoreRevision))
	gauge(settledRevision, float64(s.Report.Revision))
	gauge(setAside, float64(s.SetAside))
	gauge(stuckMakers, float64(s.StuckMakers))
	gauge(names, float64(s.Names), "all")
	gauge(names, float64(s.NamesFailing), "failing")
	gauge(names, float64(s.NamesNowhere), "nowhere")
	gauge(namesDown, float64(s.NamesDown))
	gauge(entries, float64(s.Report.Wanted), "wanted")
	gauge(entries, float64(s.Report.Done), "programmed")
	gauge(entries, float64(s.Report.Counts.Failed), "failed")
	for kind, n := range s.Report.Repairs {
		counter(repairs, float64(n), kind.String())
	}
	if u := s.Store; u != nil {
		gauge(storeBytes, float64(u.Size))
		gauge(storeInUse, float64(u.InUse))
		gauge(storeQuota, float64(u.Quota))
		gauge(storeFree, float64(u.Free))
	}
	k, at := c.kernel()
	if at.IsZero() {
		return
	}
	gauge(sampleAge, time.Since(at).Seconds())
	gauge(routers, float64(len(k.Routers)))
	for _, r := range busiest(k.Routers) {
		gauge(connections, float64(r.Connections), r.VPC)
		gauge(tracked, float64(r.Limit), r.VPC)
		counter(lost, float64(r.Lost), r.VPC)
		gauge(laneConnections, float64(r.Express), r.VPC)
		counter(laneRouterPackets, float64(r.Carried.Packets), r.VPC)
		counter(laneRouterBytes, float64(r.Carried.Bytes), r.VPC)
	}
	for _, n := range k.NATs[:min(len(k.NATs), routersMost)] {
		gauge(natConnections, float64(n.Connections), n.ID)
		gauge(natLimit, float64(n.Room), n.ID)
		counter(natLost, float64(n.Lost), n.ID)
		counter(natAttempts, float64(n.Attempts), n.ID)
		counter(natRefused, float64(n.Refused), n.ID)
		counter(natLate, float64(n.Late), n.ID)
		counter(natDropped, float64(n.Dropped), n.ID)
		counter(natPackets, float64(n.Packets), n.ID)
		counter(natBytes, float64(n.Bytes), n.ID)
	}
	for _, share := range mostUsed(k.Shares) {
		gauge(shareUsed, float64(share.Used), share.VPC, share.Of)
		gauge(shareLimit, float64(share.Limit), share.VPC, share.Of)
		counter(shareRefused, float64(share.Refused), share.VPC, share.Of)
	}
	if k.Lane != nil {
		counter(lanePackets, float64(k.Lane.Packets))
		counter(laneBytes, float64(k.Lane.Bytes))
		counter(laneLearned, float64(k.Lane.Learned))
		counter(laneNoRoom, float64(k.Lane.NoRoom))
		counter(laneAnswers, float64(k.Lane.Names.Answered))
		counter(laneBeyond, float64(k.Lane.Names.Refused))
	}
}

// kernel asks the kernel, unless it is being asked, and returns what it has told
// last, and when.
func (c *collector) kernel() (Kernel, time.Time) {
	c.mu.Lock()
	if c.asking == nil {
		c.asking = make(chan struct{})
		go c.ask(c.asking)
	}
	answered := c.asking
	c.mu.Unlock()
	patience := time.NewTimer(kernelPatience)
	defer patience.Stop()
	select {
	case <-answered:
	case <-patience.C:
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last, c.lastAt
}

func (c *collector) ask(answered chan struct{}) {
	ctx, cancel := context.WithTimeout(context.Background(), kernelAtMost)
	defer cancel()
	k, err := c.from.Kernel(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		c.last, c.lastAt = k, time.Now()
	}
	c.asking = nil
	close(answered)
}

// busiest gives the routers with the most connections, and the sum of the others.
func busiest(all []dataplane.RouterUse) []dataplane.RouterUse {
	if len(all) <= routersMost {
		return all
	}
	sorted := slices.SortedFunc(slices.Values(all), func(a, b dataplane.RouterUse) int {
		return cmp.Or(cmp.Compare(b.Connections, a.Connections), cmp.Compare(a.VPC, b.VPC))
	})
	rest := dataplane.RouterUse{VPC: otherLabel}
	for _, r := range sorted[routersMost:] {
		rest.Connections += r.Connections
		rest.Limit += r.Limit
		rest.Lost += r.Lost
		rest.Express += r.Express
		rest.Carried.Packets += r.Carried.Packets
		rest.Carried.Bytes += r.Carried.Bytes
	}
	return append(sorted[:routersMost:routersMost], rest)
}

// mostUsed bounds the shares, of which a router has some.
func mostUsed(all []dataplane.Share) []dataplane.Share {
	if len(all) <= routersMost {
		return all
	}
	return slices.SortedFunc(slices.Values(all), func(a, b dataplane.Share) int {
		return cmp.Or(cmp.Compare(b.Used*max(a.Limit, 1), a.Used*max(b.Limit, 1)), cmp.Compare(b.Refused, a.Refused), cmp.Compare(a.VPC+a.Of, b.VPC+b.Of))
	})[:routersMost]
}
