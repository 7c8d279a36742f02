// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"errors"
	"net"
	"sync/atomic"
)

// Bounds of what is taken of a server, which may be anything: longestAnswer of all that it
// sends while it is asked once, and longestMessage of one message of PostgreSQL's, whose
// length it says before.
const (
	longestAnswer  = 1 << 20
	longestMessage = 64 << 10
)

var errTalkative = errors.New("the server says more than anybody asked for")

// ration is how much a server may still say until it is asked again.
type ration struct{ left atomic.Int64 }

func (r *ration) renew() { r.left.Store(longestAnswer) }

// on has a connection read no more than the ration.
func (r *ration) on(conn net.Conn) net.Conn { return &rationed{conn, r} }

// rationed is a connection that is read so far only.
type rationed struct {
	net.Conn
	ration *ration
}

func (r *rationed) Read(p []byte) (n int, err error) {
	if r.ration.left.Load() <= 0 {
		return 0, errTalkative
	}
	n, err = r.Conn.Read(p)
	r.ration.left.Add(int64(-n))
	return n, err
}
