// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"errors"
	"io"
	"net"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// chunk is how much is copied before the time is looked at; the kernel moves it from socket
// to socket (splice(2)).
const chunk = 256 << 10

// join copies both ways until both sides have ended, each by itself, one has failed, or
// nothing has come either way for the idle time. Then both are closed.
func join(a, b *net.TCPConn, idle time.Duration) {
	j := &joint{idle: idle}
	j.heard()
	var both sync.WaitGroup
	both.Go(func() { j.copy(a, b) })
	both.Go(func() { j.copy(b, a) })
	both.Wait()
	if j.broken.Load() { // each side is told that the other is not there any more
		reset(a)
		reset(b)
		return
	}
	_, _ = a.Close(), b.Close()
}

// joint is what both ways of a connection know.
type joint struct {
	idle   time.Duration
	last   atomic.Int64 // when something came, either way, in nanoseconds
	broken atomic.Bool
}

func (j *joint) heard() { j.last.Store(time.Now().UnixNano()) }

// copy copies from one side to the other until that one has ended, and says so to the other.
func (j *joint) copy(to, from *net.TCPConn) {
	for {
		_ = from.SetReadDeadline(time.Unix(0, j.last.Load()).Add(j.idle))
		_ = to.SetWriteDeadline(time.Now().Add(j.idle)) // of who takes nothing any more
		n, err := to.ReadFrom(&io.LimitedReader{R: from, N: chunk})
		if n > 0 {
			j.heard()
		}
		switch {
		case j.broken.Load():
			return
		case err == nil && n == chunk:
		case err == nil:
			_ = to.CloseWrite()
			return
		case errors.Is(err, os.ErrDeadlineExceeded) && time.Since(time.Unix(0, j.last.Load())) < j.idle:
		default:
			j.broken.Store(true)
			past := time.Unix(1, 0) // ends the other way
			_, _ = to.SetDeadline(past), from.SetDeadline(past)
			return
		}
	}
}

func itoa(port uint16) string { return strconv.Itoa(int(port)) }
