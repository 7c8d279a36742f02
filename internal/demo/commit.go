// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"fmt"
	"io"
	"os/signal"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/test/commits"
)

const (
	// clients is how many write at the same time.
	clients = 8
	// recountFor bounds how long the last reading may take to succeed.
	recountFor = 5 * time.Minute
)

// The lines by which those who commit tell how far they are.
const (
	writingLine   = "all write"
	movedLine     = "moved to %s after %d ns"
	committedLine = "%d acknowledged, %d of them lost"
)

// commit lets clients write to the database of a connection string until it is told to end,
// each of which connects again when it is cut. Then it tells how many commits were
// acknowledged, and how many of those the database does not have.
func commit(out io.Writer, connection string) error {
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM)
	defer stop()
	l := &commits.Ledger{Moved: func(server string, pause time.Duration) {
		fmt.Fprintf(out, movedLine+"\n", server, pause.Nanoseconds())
	}}
	dial := commits.To(connection)
	var begun, all sync.WaitGroup
	begun.Add(clients)
	for c := range clients {
		all.Go(func() { l.Write(ctx, dial, c, sync.OnceFunc(begun.Done)) })
	}
	all.Go(func() {
		begun.Wait()
		fmt.Fprintln(out, writingLine)
	})
	all.Wait()
	recount, cancel := context.WithTimeout(context.Background(), recountFor)
	defer cancel()
	lost, err := l.Lost(recount, dial)
	if err != nil {
		return err
	}
	for _, e := range lost {
		fmt.Fprintf(out, "lost: number %s of client %s\n", e.Number, e.Client)
	}
	fmt.Fprintf(out, committedLine+"\n", l.Count(), len(lost))
	return nil
}
