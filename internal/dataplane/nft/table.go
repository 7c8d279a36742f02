// SPDX-License-Identifier: Apache-2.0

package nft

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"net/netip"
	"os/exec"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/dataplane/nft/nfnl"
	"github.com/posternhq/postern/internal/desired"
)

// Table is the table "inet postern" of one router's namespace. Its methods may
// be called from several goroutines; they take turns.
type Table struct {
	shares  Shares
	mu      sync.Mutex
	ns      int
	conn    *nfnl.Conn // nil when it must be opened again
	picture *picture   // nil when the table must be read again
	stock   *Stock
}

// Open connects to nftables in the network namespace that nsFD refers to, and
// keeps the connection. It takes its own reference to the namespace; nsFD
// stays the caller's. Its rules have the default shares.
func Open(nsFD int) (*Table, error) { return OpenShared(nsFD, Shares{}) }

// OpenShared is Open with the shares of the rules that Load loads.
func OpenShared(nsFD int, shares Shares) (*Table, error) {
	ns, err := unix.FcntlInt(uintptr(nsFD), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("keep network namespace: %w", err)
	}
	t := &Table{ns: ns, shares: shares.Or(DefaultShares(0)), stock: &Stock{}}
	if err := t.connect(); err != nil {
		unix.Close(ns)
		return nil, err
	}
	return t, nil
}

// Draw has the table take rules from a stock that others use too.
func (t *Table) Draw(s *Stock) { t.stock = s }

// Close gives up the connection and the namespace. The rules stay.
func (t *Table) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.disconnect()
	return unix.Close(t.ns)
}

func (t *Table) connect() error {
	if t.conn != nil {
		return nil
	}
	conn, err := nfnl.Dial(t.ns)
	if err != nil {
		return fmt.Errorf("connect to nftables: %w", err)
	}
	t.conn = conn
	return nil
}

func (t *Table) disconnect() {
	if t.conn != nil {
		t.conn.Close()
		t.conn = nil
	}
	t.picture = nil
}

// forget makes the next use start with a new connection and a new reading.
func (t *Table) forget() { t.disconnect() }

// Load puts the skeleton for r into the namespace, in one transaction. Elements
// and the chains of entries stay as they are when a skeleton is there already,
// and so do connections. A table that cannot be brought up to date this way is
// replaced by an empty one: Dump tells, and the entries must be put again.
func (t *Table) Load(ctx context.Context, r desired.Router) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.forget()
	if err := t.know(ctx); err != nil {
		return fmt.Errorf("load rules of router %s: %w", r.VPC, err)
	}
	s, err := newSkeleton(r.Source4, r.Source6, t.shares, t.picture.blocks())
	if err != nil {
		return fmt.Errorf("load rules of router %s: %w", r.VPC, err)
	}
	present := t.picture.skeletonChains()
	if err = t.load(ctx, s, present, s.transaction(present)); err == nil {
		err = t.mendBorder(ctx)
	}
	if err != nil {
		return fmt.Errorf("load rules of router %s: %w", r.VPC, err)
	}
	return nil
}

// load puts rules in the place of those whose chains are present, or of the whole table
// when that cannot be done.
func (t *Table) load(ctx context.Context, s *skeleton, present []string, transaction string) error {
	t.picture = nil
	err := t.run(ctx, transaction)
	if err != nil && len(present) > 0 && ctx.Err() == nil {
		err = t.run(ctx, fmt.Sprintf("delete table inet %s\n%s", tableName, s.text))
	}
	return err
}

// Loaded reports whether the skeleton for r is there and whole.
func (t *Table) Loaded(ctx context.Context, r desired.Router) (bool, error) {
	content, err := t.Dump(ctx, r.VPC)
	return content.Intact && content.Source4 == r.Source4 && content.Source6 == r.Source6, err
}

// Gateway gives the number by which the rules know a gateway: what the router itself
// sends with it as its mark leaves from the gateway's addresses.
func (t *Table) Gateway(ctx context.Context, gateway netip.Addr) (uint32, error) {
	if gateway.Is4() {
		return number4(gateway), nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.know(ctx); err != nil {
		return 0, err
	}
	n, ok := t.picture.ids.number(owner{desired.KindPool, gateway.String()})
	if !ok {
		return 0, fmt.Errorf("pool %s is not there", gateway)
	}
	return n, nil
}

// Onward gives the targets that lead on through an endpoint, with the endpoint's
// address.
func (t *Table) Onward(ctx context.Context) (map[netip.Addr]netip.Addr, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.know(ctx); err != nil {
		return nil, err
	}
	return maps.Clone(t.picture.onward), nil
}

// Placed gives the keys of those entries that are there already, as they are.
func (t *Table) Placed(ctx context.Context, entries []desired.Entry) (map[desired.Key]bool, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.know(ctx); err != nil {
		return nil, err
	}
	there := map[desired.Key]bool{}
	for _, e := range entries {
		want, err := encode(e, t.picture.ids)
		there[e.Key()] = err == nil && t.picture.of(ownerOf(e.Key())).equal(want)
	}
	return there, nil
}

func (p *picture) skeletonChains() []string {
	var chains []string
	for name := range p.chains {
		if !isDynamic(name) {
			chains = append(chains, name)
		}
	}
	return chains
}

// run hands a text to the nft program inside the namespace.
func (t *Table) run(ctx context.Context, text string) error {
	cmd := exec.CommandContext(ctx, "nft", "-f", "-")
	cmd.Stdin = strings.NewReader(text)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	// A process starts in the namespace of the thread that starts it.
	if err := nfnl.Inside(t.ns, cmd.Start); err != nil {
		return fmt.Errorf("start nft: %w", err)
	}
	if err := cmd.Wait(); err != nil {
		first, _, _ := strings.Cut(strings.TrimSpace(out.String()), "\n")
		return fmt.Errorf("run nft: %w: %s", err, first)
	}
	return nil
}
