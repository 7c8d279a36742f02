// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"context"
	"database/sql"
	"errors"
	"net"
	"strings"

	"github.com/go-sql-driver/mysql"
)

// mySQL asks a server of MySQL or MariaDB, alone, with replicas or in a Galera cluster, over
// a connection that is kept.
type mySQL struct {
	question
	db  *sql.DB
	err error
}

func newMySQL(q question) asker {
	secure, err := q.config()
	if err != nil {
		return &mySQL{q, nil, err}
	}
	cfg := mysql.NewConfig()
	cfg.User, cfg.Passwd, cfg.Net, cfg.Addr = q.access.User, q.access.Password, "tcp", q.addr.String()
	cfg.TLS, cfg.AllowFallbackToPlaintext, cfg.Logger = secure, q.access.Authority == "", &mysql.NopLogger{}
	cfg.DialFunc = func(ctx context.Context, _, _ string) (net.Conn, error) { return q.dial(ctx, q.addr) }
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return &mySQL{q, nil, err}
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(1)
	return &mySQL{q, db, nil}
}

func (m *mySQL) ask(ctx context.Context) Answer {
	if m.err != nil {
		return Answer{Err: m.err}
	}
	var readOnly bool
	if err := m.db.QueryRowContext(ctx, "SELECT @@global.read_only").Scan(&readOnly); err != nil {
		return spurned(err)
	}
	galera, err := m.status(ctx, "SHOW GLOBAL STATUS LIKE 'wsrep\\_%'")
	if err != nil {
		return spurned(err)
	}
	if galera["wsrep_provider_name"] != "" { // whose nodes all write, when they are joined
		joined := galera["wsrep_ready"] == "ON" && galera["wsrep_cluster_status"] == "Primary" && galera["wsrep_local_state"] == "4"
		return Answer{Writes: joined && !readOnly, Shares: joined && !readOnly, System: galera["wsrep_cluster_state_uuid"]}
	}
	return Answer{Writes: !readOnly, Reads: readOnly && m.follows(ctx)}
}

// follows reports whether a replica applies what it receives, as far as the role may know.
func (m *mySQL) follows(ctx context.Context) bool {
	rows, err := m.db.QueryContext(ctx, "SHOW SLAVE STATUS")
	if err != nil {
		return true
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil || !rows.Next() {
		return true
	}
	values, into := make([]sql.NullString, len(columns)), make([]any, len(columns))
	for i := range values {
		into[i] = &values[i]
	}
	if rows.Scan(into...) != nil {
		return true
	}
	for i, name := range columns {
		if (strings.HasSuffix(name, "_IO_Running") || strings.HasSuffix(name, "_SQL_Running")) && values[i].String == "No" {
			return false
		}
	}
	return true
}

// status gives the variables that a statement shows.
func (m *mySQL) status(ctx context.Context, statement string) (map[string]string, error) {
	rows, err := m.db.QueryContext(ctx, statement)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	found := map[string]string{}
	for rows.Next() {
		var name, value string
		if err := rows.Scan(&name, &value); err != nil {
			return nil, err
		}
		found[name] = value
	}
	return found, rows.Err()
}

// spurned makes an answer of an error: a server that says why it does not answer is alive.
func spurned(err error) Answer {
	var said *mysql.MySQLError
	return Answer{Err: err, Alive: errors.As(err, &said)}
}

func (m *mySQL) close() {
	if m.db != nil {
		_ = m.db.Close() // the server learns of it, or it does not
	}
}
