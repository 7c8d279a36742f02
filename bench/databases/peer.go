// SPDX-License-Identifier: Apache-2.0

package databases

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"
)

// ideal is what a killed writer is compared with: a pair of PostgreSQL servers behind a plain
// router, of which the client knows both addresses, and whose manager notices the end of the
// writer at once. No real one does, so it is a lower bound for them.
const ideal = "ideal manager"

// pair is a writer and a replica without which it acknowledges nothing.
type pair struct {
	*star
	servers [2]*plainServer
}

// newPair makes one, which the caller closes also when it is not whole.
func newPair(ctx context.Context) (p *pair, err error) {
	p = &pair{}
	if p.star, err = newStar(len(p.servers)); err != nil {
		return p, err
	}
	for i, ns := range p.places {
		if p.servers[i], err = newPlainServer(ctx, &p.Scope, ns); err != nil {
			return p, err
		}
	}
	writer, replica := p.servers[0], p.servers[1]
	if err := writer.initialize(ctx); err != nil {
		return p, err
	}
	if err := writer.start(ctx, "synchronous_standby_names=*"); err != nil {
		return p, err
	}
	if err := replica.copy(ctx, spoke(1, far).String()); err != nil {
		return p, err
	}
	if err := replica.start(ctx); err != nil {
		return p, err
	}
	return p, writer.replicated(ctx, 1)
}

// dial connects to whichever server writes, as libpq does with the same connection string.
func (p *pair) dial(ctx context.Context) (*pgconn.PgConn, error) {
	config, err := pgconn.ParseConfig(fmt.Sprintf("host=%s,%s port=%s user=%s dbname=postgres sslmode=disable connect_timeout=10 target_session_attrs=read-write",
		spoke(1, far), spoke(2, far), port, serverUser))
	if err != nil {
		return nil, err
	}
	config.DialFunc = p.client.Dial
	return pgconn.ConnectConfig(ctx, config)
}

// change kills the writer, and promotes the replica at once.
func (p *pair) change(ctx context.Context, begin func()) error {
	manager, err := p.servers[1].connect(ctx)
	if err != nil {
		return err
	}
	defer manager.Close(ctx)
	begin()
	p.servers[0].kill()
	_, err = value(ctx, manager, "select pg_promote(false)")
	return err
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
