// SPDX-License-Identifier: Apache-2.0

package control

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/posternhq/postern/test/testnet"
)

// probe is a client workload that tries one address.
type probe struct {
	ns      *testnet.NS
	address string
	// patience is how long one attempt may take.
	patience time.Duration
	// pause is how long it rests after an attempt that failed.
	pause time.Duration
}

// attempt is one connection, up to the first byte of the server.
type attempt struct {
	begun, ended time.Time
	answered     bool
	said         byte // of an answer
}

// once makes one attempt. The calling thread is in the workload's namespace.
// The connection ends with a reset, so that a loop does not use up ports.
func (p probe) once(ctx context.Context) attempt {
	a := attempt{begun: time.Now()}
	d := net.Dialer{Deadline: a.begun.Add(p.patience)}
	conn, err := d.DialContext(ctx, "tcp", p.address)
	if err == nil {
		_ = conn.SetReadDeadline(a.begun.Add(p.patience))
		said := make([]byte, 1)
		_, err = conn.Read(said)
		a.said = said[0]
		_ = conn.(*net.TCPConn).SetLinger(0)
		conn.Close()
	}
	a.ended, a.answered = time.Now(), err == nil
	return a
}

// until makes attempts until settled says that the last ones tell what was
// waited for, and gives all of them. Begun is closed after the first one.
func (p probe) until(ctx context.Context, begun chan<- struct{}, settled func([]attempt) bool) (all []attempt, err error) {
	err = p.ns.Run(func() error {
		for {
			all = append(all, p.once(ctx))
			if len(all) == 1 {
				close(begun)
			}
			if settled(all) {
				return nil
			}
			if err := ctx.Err(); err != nil {
				return fmt.Errorf("try %s: %w", p.address, err)
			}
			if !all[len(all)-1].answered {
				time.Sleep(p.pause)
			}
		}
	})
	return all, err
}

// settling bounds how long a change may take until the probe sees it.
const settling = 30 * time.Second

// watch makes a change while the probe is trying, and gives the time from just
// before the change until what read finds in the attempts.
func (p probe) watch(ctx context.Context, change func() error, settled func([]attempt) bool, read func([]attempt) time.Time) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, settling)
	defer cancel()
	var all []attempt
	begun, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		var err error
		all, err = p.until(ctx, begun, settled)
		ended <- err
	}()
	select {
	case <-begun:
	case err := <-ended:
		return 0, err
	}
	sent := time.Now()
	if err := change(); err != nil {
		cancel()
		<-ended
		return 0, err
	}
	if err := <-ended; err != nil {
		return 0, err
	}
	return read(all).Sub(sent), nil
}

// firstByte is watch for a change that lets the probe be answered.
func (p probe) firstByte(ctx context.Context, change func() error) (time.Duration, error) {
	return p.watch(ctx, change,
		func(all []attempt) bool { return last(all, 1)[0].answered },
		func(all []attempt) time.Time { return last(all, 1)[0].ended })
}

// last gives the last attempts, as many as n; fewer when there are not so many.
func last(all []attempt, n int) []attempt { return all[max(0, len(all)-n):] }
