// SPDX-License-Identifier: Apache-2.0

package keeper_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/test/testnet"
)

// client writes numbers, one after the other, to whoever is the writer, and knows which of
// them it was told to be sure.
type client struct {
	r    *rig
	stop context.CancelFunc
	done sync.WaitGroup

	mu    sync.Mutex
	acked []int
	by    map[int]string // who said so
	last  time.Time
	gap   time.Duration // the longest one between two
	wrote chan struct{} // closed at the next one
}

func (r *rig) client() *client {
	ctx, stop := context.WithCancel(context.Background())
	c := &client{r: r, stop: stop, by: map[int]string{}, wrote: make(chan struct{})}
	c.done.Go(func() {
		for n := 0; ctx.Err() == nil; {
			n = c.session(ctx, n)
		}
	})
	r.t.Cleanup(c.end)
	return c
}

func (c *client) end() { c.stop(); c.done.Wait() }

// session writes by one connection until that fails, or somebody else is the writer.
func (c *client) session(ctx context.Context, n int) int {
	c.r.mu.Lock()
	writer, changed := c.r.roles.Writer, c.r.changed
	c.r.mu.Unlock()
	if writer == "" {
		select {
		case <-changed:
		case <-ctx.Done():
		}
		return n
	}
	soon, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	conn, err := c.r.connect(soon, writer)
	if err != nil {
		return n
	}
	defer conn.Close(context.WithoutCancel(ctx))
	for ctx.Err() == nil {
		n++
		soon, cancel := context.WithTimeout(ctx, 2*time.Second)
		_, err := conn.Exec(soon, fmt.Sprintf("insert into numbers values (%d)", n)).ReadAll()
		cancel()
		if err != nil {
			return n
		}
		c.mu.Lock()
		now := time.Now()
		if !c.last.IsZero() {
			c.gap = max(c.gap, now.Sub(c.last))
		}
		c.acked, c.last, c.by[n] = append(c.acked, n), now, writer
		close(c.wrote)
		c.wrote = make(chan struct{})
		c.mu.Unlock()
		c.r.mu.Lock()
		moved := c.r.roles.Writer != writer
		c.r.mu.Unlock()
		if moved {
			return n
		}
	}
	return n
}

// goesOn waits for another commit, and gives the longest gap since the call before.
func (c *client) goesOn() time.Duration {
	c.r.t.Helper()
	c.mu.Lock()
	wrote := c.wrote
	c.mu.Unlock()
	select {
	case <-wrote:
	case <-time.After(3 * testnet.Patience):
		c.r.t.Fatal("nothing is written any more")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	gap := c.gap
	c.gap = 0
	return gap
}

// query asks the writer, and gives the first column.
func (r *rig) query(sql string) (list []string) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), testnet.Patience)
	defer cancel()
	conn := r.connected(ctx)
	defer conn.Close(ctx)
	results, err := conn.Exec(ctx, sql).ReadAll()
	r.must(err)
	for _, result := range results {
		for _, row := range result.Rows {
			list = append(list, string(row[0]))
		}
	}
	return list
}

// connected gives a connection to the writer, when there is one: a server that was killed a
// moment ago may still have been seen to answer.
func (r *rig) connected(ctx context.Context) *pgconn.PgConn {
	r.t.Helper()
	for {
		var writer string
		var changed chan struct{}
		r.until("somebody writes", func() bool { writer, changed = r.roles.Writer, r.changed; return writer != "" })
		conn, err := r.connect(ctx, writer)
		if err == nil {
			return conn
		}
		select {
		case <-changed:
		case <-ctx.Done():
			r.t.Fatalf("connect to %s: %v", writer, err)
		}
	}
}

// A database of three real servers, with a client that writes all the time, whose writer is
// replaced when that is asked for, killed, and stopped, with keepers that come and go
// meanwhile: members come back, and all that the client was told to be sure is there.
func TestRealWriterIsReplaced(t *testing.T) {
	r := newRig(t, "db-1", "db-2", "db-3")
	first := r.whole()
	r.query("create table numbers (n int primary key)")
	c := r.client()
	c.goesOn()

	r.mu.Lock()
	r.entry.Turn, r.entry.Prefer = 1, "db-3"
	if first == "db-3" {
		r.entry.Prefer = "db-2"
	}
	prefer := r.entry.Prefer
	r.mu.Unlock()
	r.put()
	r.until("the one that was asked for writes", func() bool { return r.roles.Writer == prefer })
	t.Logf("planned: %v without a commit", c.goesOn())
	r.whole()

	r.signal(prefer, int(unix.SIGKILL))
	r.until("another one writes", func() bool { return r.roles.Writer != "" && r.roles.Writer != prefer })
	t.Logf("killed: %v without a commit", c.goesOn())
	second := r.whole()

	r.stop()
	c.goesOn() // it needs no keeper
	r.again()
	if again := r.whole(); again != second {
		t.Errorf("%s writes after the keeper has begun again, it was %s", again, second)
	}
	c.goesOn()

	r.stop()
	r.signal(second, int(unix.SIGKILL))
	r.again() // soon after the last failover the writer is started again in its place
	r.whole()
	c.goesOn()
	c.end()
	said := r.query("select n from numbers")
	there := map[int]bool{}
	for _, text := range said {
		n, err := strconv.Atoi(text)
		r.must(err)
		there[n] = true
	}
	for _, n := range c.acked {
		if !there[n] {
			t.Errorf("%d was said to be sure by %s and is lost; events %q", n, c.by[n], r.events)
		}
	}
	if len(c.acked) < 4 || !slices.Contains(r.events, "Completed failover to DB instance: "+prefer) {
		t.Errorf("%d commits, events %q", len(c.acked), r.events)
	}
}

// A server that takes connections and answers none is replaced.
func TestRealWriterThatHangsIsReplaced(t *testing.T) {
	r := newRig(t, "db-1", "db-2")
	first := r.whole()
	r.query("create table numbers (n int primary key)")
	c := r.client()
	c.goesOn()
	r.signal(first, int(unix.SIGSTOP))
	r.until("the other one writes", func() bool { return r.roles.Writer != "" && r.roles.Writer != first })
	t.Logf("stopped: %v without a commit", c.goesOn())
	r.whole()
	c.end()
	if got := r.query("select count(*) from numbers where n in (select unnest(array" + fmt.Sprint(numbers(c.acked)) + "))"); !slices.Equal(got, []string{strconv.Itoa(len(c.acked))}) {
		t.Errorf("%v of %d that were said to be sure are there", got, len(c.acked))
	}
}

// numbers print as an array of SQL.
type numbers []int

func (l numbers) String() string {
	text := "["
	for i, n := range l {
		if i > 0 {
			text += ","
		}
		text += strconv.Itoa(n)
	}
	return text + "]"
}
