// SPDX-License-Identifier: Apache-2.0

// Package commits has clients commit rows to a PostgreSQL database through whatever becomes
// of its servers, and tells what became of the rows.
package commits

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

const (
	// Every is the pause of a client after a commit, which leaves the machine to others.
	Every = 5 * time.Millisecond
	// Reconnect is the pause of a client after an attempt that failed. Each attempt asks for
	// the name's IPv4 and IPv6 addresses. What an interface asks beyond its share is dropped,
	// and a client waits 5 s for such an answer (resolv.conf(5), timeout), so all of them
	// together have to stay below it.
	Reconnect = 20 * time.Millisecond
	// attempt bounds an attempt, on a busy machine too.
	attempt = time.Minute
)

// The table that is written to. A client never uses a number twice: what became of one that
// was not acknowledged is not known.
const (
	Make       = "create table entry (client int, number int, primary key (client, number))"
	addEntry   = "insert into entry values (%d, %d) returning inet_server_addr(), pg_postmaster_start_time()"
	allEntries = "select client, number from entry"
)

// Entry is a row that a client has committed.
type Entry struct{ Client, Number string }

// Dial connects to the database.
type Dial func(context.Context) (*pgconn.PgConn, error)

// To is the Dial of a connection string.
func To(connection string) Dial {
	return func(ctx context.Context) (*pgconn.PgConn, error) { return pgconn.Connect(ctx, connection) }
}

// Ledger is what clients were told to be committed, and by which server. Its zero value is
// empty; it is for many goroutines.
type Ledger struct {
	// Moved is told when a commit is of another server than those before, at whose end
	// nothing had been committed for the pause. It may be nil, and is called with a lock held.
	Moved func(server string, pause time.Duration)
	// Restarts says that a server that was started again is another one. It is set before
	// clients write.
	Restarts bool

	mu           sync.Mutex
	acknowledged map[Entry]bool
	server       string
	// last is when the last commit was acknowledged, and moved when the first one of the
	// present server was.
	last, moved time.Time
}

// Acknowledge remembers a commit that was sent and is acknowledged now. What was sent before
// the present server took over is of a former one, and was told late.
func (l *Ledger) Acknowledge(e Entry, server string, sent, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.acknowledged == nil {
		l.acknowledged = map[Entry]bool{}
	}
	l.acknowledged[e] = true
	switch {
	case l.server == "":
		l.server, l.moved = server, now
	case server != l.server && sent.After(l.moved):
		if l.Moved != nil {
			l.Moved(server, now.Sub(l.last))
		}
		l.server, l.moved = server, now
	}
	if now.After(l.last) {
		l.last = now
	}
}

// Count is how many commits were acknowledged.
func (l *Ledger) Count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.acknowledged)
}

// Write is one client, which writes until the context ends, and connects again when it is
// cut. It calls begun at its first commit, or when it ends without one.
func (l *Ledger) Write(ctx context.Context, dial Dial, client int, begun func()) {
	defer begun()
	var conn *pgconn.PgConn
	for number := 0; ctx.Err() == nil; number++ {
		sent := time.Now()
		rows, err := query(ctx, &conn, dial, fmt.Sprintf(addEntry, client, number))
		pause := Reconnect
		if err == nil && len(rows) == 1 {
			server := string(rows[0][0])
			if l.Restarts {
				server += " since " + string(rows[0][1])
			}
			l.Acknowledge(Entry{fmt.Sprint(client), fmt.Sprint(number)}, server, sent, time.Now())
			begun()
			pause = Every
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
	if conn != nil {
		_ = conn.Close(context.Background()) // nothing is under way
	}
}

// query asks over a connection, which it makes when there is none, and gives up when it fails.
func query(ctx context.Context, conn **pgconn.PgConn, dial Dial, sql string) (rows [][][]byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, attempt)
	defer cancel()
	if *conn == nil {
		if *conn, err = dial(ctx); err != nil {
			*conn = nil
			return nil, err
		}
	}
	results, err := (*conn).Exec(ctx, sql).ReadAll()
	if err == nil && len(results) != 1 {
		err = fmt.Errorf("%d results, want 1", len(results))
	}
	if err != nil {
		err = errors.Join(err, (*conn).Close(context.Background()))
		*conn = nil
		return nil, err
	}
	return results[0].Rows, nil
}

// Lost reads the table, as soon as that succeeds, and gives what was acknowledged and is not
// there.
func (l *Ledger) Lost(ctx context.Context, dial Dial) ([]Entry, error) {
	var conn *pgconn.PgConn
	for {
		rows, err := query(ctx, &conn, dial, allEntries)
		if err == nil {
			return l.missing(rows), conn.Close(ctx)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("read what is committed: %w", err)
		case <-time.After(Reconnect):
		}
	}
}

func (l *Ledger) missing(rows [][][]byte) (lost []Entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	there := make(map[Entry]bool, len(rows))
	for _, r := range rows {
		there[Entry{string(r[0]), string(r[1])}] = true
	}
	for e := range l.acknowledged {
		if !there[e] {
			lost = append(lost, e)
		}
	}
	return lost
}
