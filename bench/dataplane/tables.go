// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/posternhq/postern/bench/load"
)

// The way by a route: the server is a workload that takes what is for others, and has an
// address that is none of the VPC's. The last of a table's routes leads there.
const (
	routesOfTable = 50
	tablesAtOnce  = 8
	behindRoute   = "198.18.0.50"
)

// routeOf is the i-th destination of every table, from 1 to routesOfTable.
func routeOf(i int) string { return fmt.Sprintf("198.18.0.%d/32", i) }

// newTables starts a Postern with so many route tables in one VPC, all of which are in
// use; the client's is the last one. The caller calls Close, also when this fails.
func newTables(ctx context.Context, binary string, tables int, flags ...string) (*world, error) {
	w, err := begin(ctx, binary, flags...)
	if err != nil {
		return w, err
	}
	p := w.postern
	if w.consumer, err = p.VPC(ctx, network, serverSubnet); err != nil {
		return w, err
	}
	eni, err := w.behind(ctx)
	if err != nil {
		return w, fmt.Errorf("make the server: %w", err)
	}
	if err := w.others(ctx, tables-1, eni); err != nil {
		return w, fmt.Errorf("make %d route tables: %w", tables, err)
	}
	if err := w.routes(ctx, w.consumer.Subnet, eni); err != nil {
		return w, err
	}
	client, err := w.workload(ctx, w.consumer, theServer)
	if err != nil {
		return w, err
	}
	w.clients = []*load.Agent{client}
	return w, p.Programmed(ctx)
}

// behind makes the server and gives its network interface.
func (w *world) behind(ctx context.Context) (eni string, err error) {
	subnet, err := w.consumer.MakeSubnet(ctx, "10.0.2.0/24")
	if err != nil {
		return "", err
	}
	ns, err := w.Namespace()
	if err != nil {
		return "", err
	}
	if eni, err = w.consumer.AttachForwarder(ctx, ns, subnet, "10.0.2.10"); err != nil {
		return "", err
	}
	if err := ns.Give(netip.MustParseAddr(behindRoute)); err != nil {
		return "", err
	}
	answering, err := w.agent(ctx, ns, 1)
	if err != nil {
		return "", err
	}
	return eni, answering.Serve(netip.AddrPortFrom(netip.IPv4Unspecified(), posternBase))
}

// routes gives a subnet a route table with all routes.
func (w *world) routes(ctx context.Context, subnet, eni string) error {
	table, err := w.consumer.MakeTable(ctx, subnet)
	if err != nil {
		return err
	}
	for i := 1; i <= routesOfTable; i++ {
		if err := w.postern.LeadTo(ctx, table, routeOf(i), eni); err != nil {
			return err
		}
	}
	return nil
}

// others makes subnets with a route table each, and a gateway, by which the table is in
// use.
func (w *world) others(ctx context.Context, n int, eni string) error {
	g, within := errgroup.WithContext(ctx)
	g.SetLimit(tablesAtOnce)
	for i := range n {
		g.Go(func() error {
			if within.Err() != nil {
				return within.Err()
			}
			subnet, err := w.consumer.MakeSubnet(within, fmt.Sprintf("10.0.%d.0/24", 3+i))
			if err != nil {
				return err
			}
			if err := w.routes(within, subnet, eni); err != nil {
				return err
			}
			return w.consumer.AskForGateway(within, fmt.Sprintf("gateway-%d", i), subnet)
		})
	}
	return g.Wait()
}

// compareTables compares the way through a router by one route table of 50 routes with
// that by one of many, with the express lane and past it. Past it every packet is
// looked up.
func (b *bench) compareTables(ctx context.Context) (err error) {
	title := fmt.Sprintf("one route table of %d routes against %d of them in one VPC", routesOfTable, b.tables)
	trials := b.wanted(title, requests(1), requests(atOnce), connections(1))
	if len(trials) == 0 || b.other != nil {
		return nil
	}
	var worlds belongings
	defer func() { err = errors.Join(err, worlds.Close()) }()
	var candidates []candidate
	one, many := count(1, "table"), count(b.tables, "table")
	for _, flags := range [][]string{nil, {"--no-express-lane"}} {
		for _, n := range []int{1, b.tables} {
			name := count(n, "table")
			if flags != nil {
				name += ", nftables"
			}
			b.Log.Info("program", "world", name)
			begun := time.Now()
			w, err := newTables(ctx, b.PosternBin, n, flags...)
			worlds.Add(w.Close)
			if err != nil {
				return err
			}
			b.Log.Info("programmed", "world", name, "took", time.Since(begun).Round(time.Millisecond))
			candidates = append(candidates, w.at(name, behindRoute))
		}
	}
	b.section.Notes = append(b.section.Notes,
		fmt.Sprintf("Route tables: client and server are in two subnets of one VPC, and the server behind an address of another network, to which the last route of the client's table leads. All tables have the same %d routes and are in use.", routesOfTable))
	t := b.table(title, one, candidates)
	if err := b.run(ctx, t, candidates, trials...); err != nil {
		return err
	}
	for _, m := range t.Measures {
		for _, trial := range trials {
			if m.Name == trial.name {
				m.AtLeast(many, one, noSlower).AtLeast(many+", nftables", one+", nftables", noSlower)
			}
		}
	}
	return nil
}

// noSlower is the ratio that counts as equal: two rounds of one candidate differ by more.
const noSlower = 0.95
