// SPDX-License-Identifier: Apache-2.0

package databases

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/posternhq/postern/bench/report"
	"github.com/posternhq/postern/test/commits"
	"github.com/posternhq/postern/test/instance"
)

// changes are those of writers.
type changes struct {
	began              time.Time
	pauses             []float64 // s, from the beginning to the first commit of the new writer
	acknowledged, lost int
}

func (a *changes) begin() { a.began = time.Now() }

// measure has clients commit while a writer is changed, and counts what is lost.
func (a *changes) measure(ctx context.Context, name string, dial commits.Dial, change func() error) error {
	moved := make(chan time.Time, 16)
	l := &commits.Ledger{Restarts: true, Moved: func(string, time.Duration) {
		select {
		case moved <- time.Now():
		default: // nobody waits for a second one
		}
	}}
	if err := prepare(ctx, dial); err != nil {
		return err
	}
	writing, stop := context.WithCancel(ctx)
	defer stop()
	var begun, all sync.WaitGroup
	begun.Add(clients)
	for n := range clients {
		all.Go(func() { l.Write(writing, dial, n, sync.OnceFunc(begun.Done)) })
	}
	begun.Wait()
	if err := reach(ctx, l, l.Count()+warmUp); err != nil {
		return err
	}
	if err := change(); err != nil {
		return err
	}
	select {
	case at := <-moved:
		a.pauses = append(a.pauses, max(0, at.Sub(a.began).Seconds())) // it may be seen first
	case <-time.After(born):
		return fmt.Errorf("no commit by a new writer of %s in %v", name, born)
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := reach(ctx, l, l.Count()+warmUp); err != nil {
		return err
	}
	stop()
	all.Wait()
	lost, err := l.Lost(ctx, dial)
	if err != nil {
		return err
	}
	a.acknowledged += l.Count()
	a.lost += len(lost)
	return nil
}

// reach waits until so many commits are acknowledged.
func reach(ctx context.Context, l *commits.Ledger, count int) error {
	return instance.Poll(ctx, born, fmt.Sprint(count, " commits"), func() (bool, error) { return l.Count() >= count, nil })
}

// prepare makes an empty table.
func prepare(ctx context.Context, dial commits.Dial) error {
	conn, err := dial(ctx)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, "drop table if exists entry; "+commits.Make).ReadAll()
	return err
}

// What a pause begins with.
const (
	killing   = "kill"
	asking    = "FailoverDBCluster"
	promotion = "promotion"
)

// The rows of changes, behind what a pause begins with.
const (
	leastRow  = " → first commit of the new writer, least"
	medianRow = " → first commit of the new writer, p50"
	worstRow  = " → first commit of the new writer, p99"
	mostRow   = " → first commit of the new writer, most"
	lostRow   = "acknowledged commits that are lost"
)

// bound says what is wanted of a candidate, in seconds; nothing where that is zero.
func bound(t *report.Table, of, from string, median, worst float64) {
	if median > 0 {
		t.Less(from+medianRow, "s").Within(of, median)
	}
	if worst > 0 {
		t.Less(from+worstRow, "s").Within(of, worst)
	}
	t.Less(lostRow, "").Within(of, 0)
}

// show adds what was measured of a candidate to a table.
func (a *changes) show(t *report.Table, of, from string) {
	if len(a.pauses) == 0 {
		return
	}
	slices.Sort(a.pauses)
	t.More("how often", "").Add(of, float64(len(a.pauses)))
	t.Less(from+leastRow, "s").Add(of, a.pauses[0])
	t.Less(from+medianRow, "s").Add(of, report.Quantile(a.pauses, 0.5))
	t.Less(from+worstRow, "s").Add(of, report.Quantile(a.pauses, 0.99))
	t.Less(from+mostRow, "s").Add(of, a.pauses[len(a.pauses)-1])
	t.More("acknowledged commits", "").Add(of, float64(a.acknowledged))
	t.Less(lostRow, "").Add(of, float64(a.lost))
}
