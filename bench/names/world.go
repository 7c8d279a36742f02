// SPDX-License-Identifier: Apache-2.0

package names

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/posternhq/postern/bench/load"
	"github.com/posternhq/postern/bench/postern"
	"github.com/posternhq/postern/internal/aws/shape/route53"
	"github.com/posternhq/postern/internal/resolver"
	"github.com/posternhq/postern/test/testnet"
)

const (
	network   = "10.0.0.0/16"
	workload  = "10.0.0.10"
	resolving = "169.254.169.253"
	region    = "us-east-1"

	zoneCount = 100
	batchSize = 1000 // records, the most that Route 53 takes at once
	atOnce    = 4    // calls
)

// lifted is the share of questions of an interface, far above what can be asked.
const lifted = "queries=10000000"

// hostName is the name of record i, and hostAddress what it says.
func hostName(i int) string { return fmt.Sprintf("host%d.%s", i, zoneName(i%zoneCount)) }

func hostAddress(i int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
}

func zoneName(z int) string { return fmt.Sprintf("zone%d.example.com", z) }

// world is a Postern with a client in a VPC.
type world struct {
	belongings
	*postern.Postern
	vpc     *postern.VPC
	client  *testnet.NS
	agent   *load.Agent // at the client, if there is one
	zones   []string    // IDs; the VPC sees them all
	records int
}

// newWorld starts a Postern that asks nobody else for names. The caller calls
// Close, also when this fails.
func newWorld(ctx context.Context, binary string) (w *world, err error) {
	w = &world{}
	p, err := postern.New(binary, "--log-level", "warn", "--upstream", "none", "--share", lifted)
	if err != nil {
		return w, err
	}
	w.Postern = p
	w.Add(p.Close)
	if err := p.Up(ctx); err != nil {
		return w, err
	}
	if w.vpc, err = w.network(ctx, network, network); err != nil {
		return w, err
	}
	w.client, err = w.attach(ctx, w.vpc, workload)
	return w, err
}

// Close takes everything away that belongs to the world.
func (w *world) Close() error { return w.belongings.Close() }

// network makes a VPC that sees the zones that are associated with it.
func (w *world) network(ctx context.Context, block, subnet string) (*postern.VPC, error) {
	v, err := w.VPC(ctx, block, subnet)
	if err != nil {
		return nil, err
	}
	return v, v.NameHosts(ctx)
}

// attach makes a workload in a namespace of its own.
func (w *world) attach(ctx context.Context, v *postern.VPC, address string) (*testnet.NS, error) {
	ns, err := w.Namespace()
	if err != nil {
		return nil, err
	}
	return ns, v.Attach(ctx, ns, address)
}

// parallel does something with 0 to n-1, some at once.
func parallel(ctx context.Context, n, atOnce int, one func(ctx context.Context, i int) error) error {
	g, within := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for i := range n {
		g.Go(func() error {
			if within.Err() != nil {
				return within.Err()
			}
			return one(within, i)
		})
	}
	return g.Wait()
}

// zone makes a hosted zone that a VPC sees.
func (w *world) zone(ctx context.Context, name string, v *postern.VPC) (id string, err error) {
	out, err := postern.Call[route53.CreateHostedZoneOutput](ctx, w.Postern, route53.Service, "CreateHostedZone",
		&route53.CreateHostedZoneInput{Name: &name, CallerReference: &name, VPC: seenBy(v)})
	if err != nil {
		return "", err
	}
	return *out.HostedZone.Id, nil
}

func seenBy(v *postern.VPC) *route53.VPC { return &route53.VPC{VPCId: &v.ID, VPCRegion: new(region)} }

// makeZones makes the zones, without records.
func (w *world) makeZones(ctx context.Context) error {
	w.zones = make([]string, zoneCount)
	return parallel(ctx, zoneCount, atOnce, func(ctx context.Context, z int) (err error) {
		w.zones[z], err = w.zone(ctx, zoneName(z), w.vpc)
		return err
	})
}

// upsert is the change that gives a name an address, and create that of a name that
// is not there yet, which counts half as much in a batch.
func upsert(name string, addr netip.Addr, ttl int64) route53.Change {
	return changeTo(route53.ChangeActionUpsert, name, addr, ttl)
}

func create(name string, addr netip.Addr, ttl int64) route53.Change {
	return changeTo(route53.ChangeActionCreate, name, addr, ttl)
}

func changeTo(action, name string, addr netip.Addr, ttl int64) route53.Change {
	return route53.Change{Action: &action, ResourceRecordSet: &route53.ResourceRecordSet{
		Name: &name, Type: new(route53.RRTypeA), TTL: &ttl, ResourceRecords: []route53.ResourceRecord{{Value: new(addr.String())}},
	}}
}

// change makes changes to a zone.
func (w *world) change(ctx context.Context, zone string, changes ...route53.Change) error {
	return w.Client.Do(ctx, route53.Service, "ChangeResourceRecordSets", &route53.ChangeResourceRecordSetsInput{
		HostedZoneId: &zone, ChangeBatch: &route53.ChangeBatch{Changes: changes},
	}, nil)
}

// fill adds records until there are n, and returns when the client is answered
// with the last one of each zone.
func (w *world) fill(ctx context.Context, n int) error {
	err := parallel(ctx, zoneCount, atOnce, func(ctx context.Context, z int) error {
		var changes []route53.Change
		for i := z; i < n; i += zoneCount {
			if i >= w.records {
				changes = append(changes, create(hostName(i), hostAddress(i), 60))
			}
		}
		for batch := range slices.Chunk(changes, batchSize) {
			if err := w.change(ctx, w.zones[z], batch...); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("make %d records: %w", n, err)
	}
	w.records = n
	return answered(ctx, w.client, resolving, n)
}

// answered waits until a server answers with the last record of each zone.
func answered(ctx context.Context, client *testnet.NS, server string, n int) error {
	a, err := newAsker(ctx, client, server)
	if err != nil {
		return err
	}
	defer a.close()
	for i := max(0, n-zoneCount); i < n; i++ {
		if _, err := a.await(ctx, hostName(i), func(got netip.Addr) bool { return got == hostAddress(i) }); err != nil {
			return err
		}
	}
	return nil
}

// resolver is the number of the process that resolves names.
func (w *world) resolver() (pid int, err error) {
	text, err := os.ReadFile(filepath.Join(w.Data, resolver.LockName))
	if err != nil {
		return 0, fmt.Errorf("find the resolver: %w", err)
	}
	return strconv.Atoi(strings.TrimSpace(string(text)))
}
