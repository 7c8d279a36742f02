// SPDX-License-Identifier: Apache-2.0

package databases

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/posternhq/postern/bench/postern"
	"github.com/posternhq/postern/bench/scope"
	shape "github.com/posternhq/postern/internal/aws/shape/postern"
)

// watcher is the role as which registered servers are asked who writes.
const watcher = "watch"

// registered is a database that exists without Postern, and is offered by it.
type registered struct {
	offered
}

// register has servers at addresses of the provider's VPC be a database that the consumer
// reaches by its writer's name.
func (w *world) register(ctx context.Context, name, ask string, addresses []string) (r *registered, err error) {
	r = &registered{offered{world: w, name: name}}
	in := &shape.RegisterDatabaseInput{Identifier: &name, Engine: new("postgres"), Ask: &ask, VpcId: &w.provider.ID, Port: new(int32(5432))}
	if ask == byRole {
		in.User = new(watcher)
	}
	for _, a := range addresses {
		in.Members = append(in.Members, shape.DatabaseMember{Address: &a})
	}
	made, err := postern.Call[shape.RegisterDatabaseOutput](ctx, w.Postern, shape.Service, "RegisterDatabase", in)
	if err != nil {
		return r, err
	}
	r.dial = w.dial(fmt.Sprintf("host=%s user=%s dbname=postgres sslmode=disable", *made.WriterName, serverUser))
	return r, r.offer(ctx, *made.Arn)
}

// remove has Postern know nothing of the database any more.
func (r *registered) remove(ctx context.Context) error {
	if err := r.withdraw(ctx); err != nil {
		return err
	}
	return r.Client.Do(ctx, shape.Service, "DeregisterDatabase", &shape.DeregisterDatabaseInput{Identifier: &r.name}, nil)
}

// managed are plain servers in the provider's VPC, of which one writes, with a manager that
// is none of Postern: this program.
type managed struct {
	scope.Scope
	servers        []*plainServer
	addresses      []string
	writer, former int // among servers
}

// newManaged makes three, which the caller closes also when they are not whole.
func newManaged(ctx context.Context, w *world) (m *managed, err error) {
	m = &managed{}
	for i := range members {
		ns, err := m.Namespace()
		if err != nil {
			return m, err
		}
		m.addresses = append(m.addresses, fmt.Sprintf("10.0.2.%d", 40+i))
		if err := w.provider.AttachIn(ctx, ns, w.others, m.addresses[i]); err != nil {
			return m, err
		}
		s, err := newPlainServer(ctx, &m.Scope, ns)
		if err != nil {
			return m, err
		}
		m.servers = append(m.servers, s)
	}
	first := m.servers[0]
	if err := first.initialize(ctx); err != nil {
		return m, err
	}
	if err := first.start(ctx); err != nil {
		return m, err
	}
	if err := first.do(ctx, "create role "+watcher+" login"); err != nil {
		return m, err
	}
	for i := range m.servers[1:] {
		if err := m.follow(ctx, i+1); err != nil {
			return m, err
		}
	}
	return m, m.settle(ctx)
}

// follow makes a server that does not run a replica of the writer. Until settle says so it
// would wait for no replica, if it were the writer.
func (m *managed) follow(ctx context.Context, of int) error {
	s := m.servers[of]
	if err := s.copy(ctx, m.addresses[m.writer]); err != nil {
		return err
	}
	if err := s.start(ctx); err != nil {
		return err
	}
	return s.do(ctx, "alter system set synchronous_standby_names = ''", "select pg_reload_conf()")
}

// settle has the writer wait at commits for one of its replicas, once all are there.
func (m *managed) settle(ctx context.Context) error {
	s := m.servers[m.writer]
	if err := s.do(ctx, "alter system set synchronous_standby_names = 'ANY 1 (*)'", "select pg_reload_conf()"); err != nil {
		return err
	}
	return s.replicated(ctx, len(m.servers)-1)
}

// change ends the writer, by a crash or in order, and promotes the replica that is ahead of
// the other one. It says when that is a replica no more.
func (m *managed) change(ctx context.Context, crash bool, promoted func()) (err error) {
	conns := map[int]*pgconn.PgConn{}
	defer func() {
		for _, conn := range conns {
			_ = conn.Close(ctx) // nothing is under way
		}
	}()
	for i, s := range m.servers {
		if i == m.writer {
			continue
		}
		if conns[i], err = s.connect(ctx); err != nil {
			delete(conns, i)
			return err
		}
	}
	if crash {
		m.servers[m.writer].kill()
	} else if err := m.servers[m.writer].stop(); err != nil {
		return err
	}
	next, ahead := -1, ""
	for i, conn := range conns {
		// As fixed digits, which compare as text.
		at, err := value(ctx, conn, "select lpad(pg_wal_lsn_diff(pg_last_wal_receive_lsn(), '0/0')::text, 20, '0')")
		if err != nil {
			return err
		}
		if next < 0 || at > ahead {
			next, ahead = i, at
		}
	}
	if _, err := value(ctx, conns[next], "select pg_promote(false)"); err != nil {
		return err
	}
	if err := writes(ctx, conns[next]); err != nil {
		return err
	}
	promoted()
	m.former, m.writer = m.writer, next
	return nil
}

// rejoin has the other replica follow the new writer, and the former writer be a copy of it.
func (m *managed) rejoin(ctx context.Context) error {
	for i, s := range m.servers {
		if i == m.former || i == m.writer {
			continue
		}
		if err := s.do(ctx, fmt.Sprintf("alter system set primary_conninfo = 'host=%s user=%s'", m.addresses[m.writer], serverUser), "select pg_reload_conf()"); err != nil {
			return err
		}
	}
	if err := m.follow(ctx, m.former); err != nil {
		return err
	}
	return m.settle(ctx)
}

// measurePromotions has plain servers promoted that Postern watches as a role of theirs,
// every other time after a crash.
func (b *bench) measurePromotions(ctx context.Context) (err error) {
	m, err := newManaged(ctx, b.w)
	defer func() { err = errors.Join(err, m.Close()) }()
	if err != nil {
		return fmt.Errorf("make servers: %w", err)
	}
	r, err := b.w.register(ctx, "plain", byRole, m.addresses)
	if err != nil {
		return err
	}
	var all changes
	for i := range b.promotions {
		err := all.measure(ctx, r.name, r.dial, func() error { return m.change(ctx, i%2 == 0, all.begin) })
		if err == nil {
			err = m.rejoin(ctx)
		}
		if err != nil {
			return err
		}
	}
	all.show(b.promoted, askedByRole, promotion)
	bound(b.promoted, askedByRole, promotion, 0, 0.5)
	return r.remove(ctx)
}
