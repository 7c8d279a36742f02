// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/sys/unix"
)

const (
	// clients is how many write at the same time.
	clients = 8
	// commitEvery is the pause of a client after a commit, which leaves the machine to others.
	commitEvery = 5 * time.Millisecond
	// reconnectEvery is the pause of a client after an attempt that failed. Each attempt asks
	// for the name's IPv4 and IPv6 addresses. What an interface asks beyond its share is
	// dropped, and a client waits 5 s for such an answer (resolv.conf(5), timeout), so all of
	// them together have to stay below it.
	reconnectEvery = 20 * time.Millisecond
	// commitFor bounds an attempt, on a busy machine too.
	commitFor = time.Minute
	// recountFor bounds how long the last reading may take to succeed.
	recountFor = 5 * time.Minute
)

// The lines by which those who commit tell how far they are.
const (
	writingLine   = "all write"
	movedLine     = "moved to %s after %d ns"
	committedLine = "%d acknowledged, %d of them lost"
)

// The table that is written to. A client never uses a number twice: what became of one that
// was not acknowledged is not known.
const (
	makeEntries = "create table entry (client int, number int, primary key (client, number))"
	addEntry    = "insert into entry values (%d, %d) returning inet_server_addr()"
	allEntries  = "select client, number from entry"
)

// entry is a row that a client has committed.
type entry struct{ client, number string }

// ledger is what clients were told to be committed, and by which server.
type ledger struct {
	out io.Writer

	mu           sync.Mutex
	acknowledged map[entry]bool
	server       string
	// last is when the last commit was acknowledged, and moved when the first one of the
	// present server was. Both are of the monotonic clock.
	last, moved int64
}

// acknowledge remembers a commit that was sent and is acknowledged now. When it is of another
// server than those before, it tells how long nothing was committed. What was sent before the
// present server took over is of a former one, and was told late.
func (l *ledger) acknowledge(e entry, server string, sent, now int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acknowledged[e] = true
	switch {
	case l.server == "":
		l.server, l.moved = server, now
	case server != l.server && sent > l.moved:
		fmt.Fprintf(l.out, movedLine+"\n", server, now-l.last)
		l.server, l.moved = server, now
	}
	l.last = max(l.last, now)
}

// commit lets clients write to the database of a connection string until it is told to end,
// each of which connects again when it is cut. Then it tells how many commits were
// acknowledged, and how many of those the database does not have.
func commit(out io.Writer, connection string) error {
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM)
	defer stop()
	l := &ledger{out: out, acknowledged: map[entry]bool{}}
	var begun, all sync.WaitGroup
	begun.Add(clients)
	for c := range clients {
		all.Go(func() { l.write(ctx, connection, c, sync.OnceFunc(begun.Done)) })
	}
	all.Go(func() {
		begun.Wait()
		fmt.Fprintln(out, writingLine)
	})
	all.Wait()
	lost, err := l.lost(connection)
	if err != nil {
		return err
	}
	for _, e := range lost {
		fmt.Fprintf(out, "lost: number %s of client %s\n", e.number, e.client)
	}
	fmt.Fprintf(out, committedLine+"\n", len(l.acknowledged), len(lost))
	return nil
}

// write is one client. It calls begun at its first commit, or when it ends without one.
func (l *ledger) write(ctx context.Context, connection string, client int, begun func()) {
	defer begun()
	var conn *pgconn.PgConn
	for number := 0; ctx.Err() == nil; number++ {
		sent := monotonic()
		rows, err := query(ctx, &conn, connection, fmt.Sprintf(addEntry, client, number))
		pause := reconnectEvery
		if err == nil && len(rows) == 1 {
			l.acknowledge(entry{fmt.Sprint(client), fmt.Sprint(number)}, string(rows[0][0]), sent, monotonic())
			begun()
			pause = commitEvery
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
func query(ctx context.Context, conn **pgconn.PgConn, connection, sql string) (rows [][][]byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, commitFor)
	defer cancel()
	if *conn == nil {
		if *conn, err = pgconn.Connect(ctx, connection); err != nil {
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

// lost reads the table and gives what was acknowledged and is not there.
func (l *ledger) lost(connection string) ([]entry, error) {
	ctx, cancel := context.WithTimeout(context.Background(), recountFor)
	defer cancel()
	var conn *pgconn.PgConn
	for {
		rows, err := query(ctx, &conn, connection, allEntries)
		if err == nil {
			there := map[entry]bool{}
			for _, r := range rows {
				there[entry{string(r[0]), string(r[1])}] = true
			}
			var lost []entry
			for e := range l.acknowledged {
				if !there[e] {
					lost = append(lost, e)
				}
			}
			return lost, conn.Close(ctx)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("read what is committed: %w", err)
		case <-time.After(reconnectEvery):
		}
	}
}
