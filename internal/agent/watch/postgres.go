// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// postgres asks a PostgreSQL server over a connection that is kept.
type postgres struct {
	question
	conn *pgconn.PgConn
}

// roleSQL asks for what every role may know: whether the server is a replica, what database
// it is of, how far it is, and whether it receives anything from a writer.
const roleSQL = `SELECT r, (SELECT system_identifier FROM pg_control_system()),
	pg_wal_lsn_diff(CASE WHEN r THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END, '0/0')::bigint,
	EXISTS (SELECT 1 FROM pg_stat_wal_receiver WHERE pid IS NOT NULL)
FROM (SELECT pg_is_in_recovery() AS r) AS role`

func (p *postgres) ask(ctx context.Context) Answer {
	kept := p.conn != nil
	a := p.try(ctx)
	if a.Err != nil && !a.Alive {
		p.close()
		if kept && ctx.Err() == nil { // the server may be there again
			return p.ask(ctx)
		}
	}
	return a
}

func (p *postgres) try(ctx context.Context) Answer {
	if p.conn == nil {
		if err := p.connect(ctx); err != nil {
			return refusal(err)
		}
	}
	results, err := p.conn.Exec(ctx, roleSQL).ReadAll()
	if err != nil {
		return refusal(err)
	}
	return read(results)
}

// refusal makes an answer of an error: a server that says why it does not answer is alive.
// One that starts or stops is not, as nobody can use it.
func refusal(err error) Answer {
	var said *pgconn.PgError
	alive := errors.As(err, &said) && !strings.HasPrefix(said.Code, "57P")
	return Answer{Err: plainly(err), Alive: alive}
}

var errNoAnswer = errors.New("no answer in time")

// plainly leaves out what whoever registered the database knows: the error of the last way
// to connect, in a line.
func plainly(err error) error {
	var said *pgconn.PgError
	var connecting *pgconn.ConnectError
	switch {
	case errors.As(err, &said):
		return fmt.Errorf("%s (SQLSTATE %s)", said.Message, said.Code)
	case pgconn.Timeout(err):
		return errNoAnswer
	case !errors.As(err, &connecting):
		return err
	}
	last := connecting.Unwrap()
	if ways, ok := last.(interface{ Unwrap() []error }); ok {
		for _, last = range ways.Unwrap() { // with TLS, and where that need not be without
		}
	}
	return cmp.Or(errors.Unwrap(last), last) // without the address once more
}

// read makes an answer of what the server says to roleSQL.
func read(results []*pgconn.Result) Answer {
	if len(results) != 1 || len(results[0].Rows) != 1 || len(results[0].Rows[0]) != 4 {
		return Answer{Err: errors.New("the server's answer has another form")}
	}
	row := results[0].Rows[0]
	position, _ := strconv.ParseInt(string(row[2]), 10, 64) // of a replica that has replayed nothing there is none
	replica := string(row[0]) == "t"
	if !replica && string(row[0]) != "f" {
		return Answer{Err: fmt.Errorf("the server says %q of whether it is a replica", row[0])}
	}
	return Answer{Writes: !replica, Reads: replica && string(row[3]) == "t", System: string(row[1]), Position: position}
}

// connect makes the connection that is kept.
func (p *postgres) connect(ctx context.Context) error {
	cfg, err := p.settings()
	if err != nil {
		return err
	}
	if p.conn, err = pgconn.ConnectConfig(ctx, cfg); err != nil {
		p.conn = nil
		return err
	}
	return nil
}

// settings are those of a connection. Without an authority one that is not encrypted will
// do, where the server has no other.
func (p *postgres) settings() (*pgconn.Config, error) {
	cfg, err := pgconn.ParseConfig("host=/ port=1 sslmode=disable passfile=/dev/null servicefile=/dev/null")
	if err != nil {
		return nil, err
	}
	secure, err := p.config()
	if err != nil {
		return nil, err
	}
	cfg.Host, cfg.Port, cfg.Database, cfg.User, cfg.Password = p.addr.Addr().String(), p.addr.Port(), "postgres", p.access.User, p.access.Password
	cfg.TLSConfig, cfg.Fallbacks = secure, nil
	if p.access.Authority == "" {
		cfg.Fallbacks = []*pgconn.FallbackConfig{{Host: cfg.Host, Port: cfg.Port}}
	}
	cfg.RuntimeParams = map[string]string{"application_name": "postern"}
	cfg.BuildFrontend = func(r io.Reader, w io.Writer) *pgproto3.Frontend {
		f := pgproto3.NewFrontend(r, w)
		f.SetMaxBodyLen(longestMessage)
		return f
	}
	cfg.LookupFunc = func(_ context.Context, host string) ([]string, error) { return []string{host}, nil }
	cfg.DialFunc = func(ctx context.Context, _, _ string) (net.Conn, error) { return p.dial(ctx, p.addr) }
	return cfg, nil
}

func (p *postgres) close() {
	if p.conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	_ = p.conn.Close(ctx) // the server learns of it, or it does not
	p.conn = nil
}
