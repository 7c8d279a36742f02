// SPDX-License-Identifier: Apache-2.0

package databases

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/bench/scope"
	"github.com/posternhq/postern/bench/wiring"
	"github.com/posternhq/postern/test/testnet"
)

// ideal is what a killed writer is compared with: a pair of PostgreSQL servers behind a plain
// router, of which the client knows both addresses, and whose manager notices the end of the
// writer at once. No real one does, so it is a lower bound for them.
const ideal = "ideal manager"

// pair is a writer and a replica without which it acknowledges nothing.
type pair struct {
	scope.Scope
	client  *testnet.NS
	servers [2]*plainServer
}

// newPair makes one, which the caller closes also when it is not whole.
func newPair(ctx context.Context) (*pair, error) {
	p := &pair{}
	router, err := p.Namespace()
	if err != nil {
		return p, err
	}
	if err := wiring.Forward(router); err != nil {
		return p, err
	}
	if p.client, err = p.behind(router, 0); err != nil {
		return p, err
	}
	for i := range p.servers {
		ns, err := p.behind(router, i+1)
		if err != nil {
			return p, err
		}
		if p.servers[i], err = newPlainServer(ctx, &p.Scope, ns); err != nil {
			return p, err
		}
	}
	writer, replica := p.servers[0], p.servers[1]
	if err := writer.initialize(ctx); err != nil {
		return p, err
	}
	if err := writer.start(ctx, "-c synchronous_standby_names=*"); err != nil {
		return p, err
	}
	copying := replica.program(ctx, "pg_basebackup", "-R", "-c", "fast", "-h", pairAddress(1, 2).String(), "-U", serverUser, "-D", replica.data())
	if out, err := copying.CombinedOutput(); err != nil {
		return p, fmt.Errorf("pg_basebackup: %w\n%s", err, out)
	}
	// With the default, 5 s, one in a dozen replicas was seen to write that much later.
	return p, replica.start(ctx, "-c wal_retrieve_retry_interval=100ms")
}

// pairAddress is the address of an end of the link of the client, which is 0, or a server.
func pairAddress(link, end int) netip.Addr {
	return netip.AddrFrom4([4]byte{192, 168, byte(10 + link), byte(end)})
}

// behind makes a namespace behind a router.
func (p *pair) behind(router *testnet.NS, link int) (*testnet.NS, error) {
	ns, err := p.Namespace()
	if err != nil {
		return nil, err
	}
	near, far := pairAddress(link, 1), pairAddress(link, 2)
	return ns, errors.Join(
		wiring.Wire(wiring.End{NS: router, Device: fmt.Sprintf("to%d", link), Address: near}, wiring.End{NS: ns, Device: "eth0", Address: far}, wiring.WorkloadMTU),
		wiring.Route(ns, "0.0.0.0/0", near),
	)
}

// dial connects to whichever server writes, as libpq does with the same connection string.
func (p *pair) dial(ctx context.Context) (*pgconn.PgConn, error) {
	config, err := pgconn.ParseConfig(fmt.Sprintf("host=%s,%s port=%s user=%s dbname=postgres sslmode=disable connect_timeout=10 target_session_attrs=read-write",
		pairAddress(1, 2), pairAddress(2, 2), port, serverUser))
	if err != nil {
		return nil, err
	}
	config.DialFunc = p.client.Dial
	return pgconn.ConnectConfig(ctx, config)
}

// change kills the writer, and promotes the replica at once.
func (p *pair) change(ctx context.Context, begin func()) error {
	text, err := os.ReadFile(filepath.Join(p.servers[0].data(), "postmaster.pid"))
	if err != nil {
		return err
	}
	line, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(line)
	if err != nil {
		return fmt.Errorf("read the server's number: %w", err)
	}
	begin()
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		return fmt.Errorf("kill the writer: %w", err)
	}
	p.servers[0].killed = true
	if out, err := p.servers[1].program(ctx, "pg_ctl", "-W", "-D", p.servers[1].data(), "promote").CombinedOutput(); err != nil {
		return fmt.Errorf("promote the replica: %w\n%s", err, out)
	}
	return nil
}

// measureIdeal kills the writer of one pair.
func measureIdeal(ctx context.Context, all *changes) (err error) {
	p, err := newPair(ctx)
	defer func() { err = errors.Join(err, p.Close()) }()
	if err != nil {
		return fmt.Errorf("make a pair of servers: %w", err)
	}
	return all.measure(ctx, "the pair", p.dial, func() error { return p.change(ctx, all.begin) })
}
