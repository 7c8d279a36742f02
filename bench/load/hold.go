// SPDX-License-Identifier: Apache-2.0

package load

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"time"

	"golang.org/x/sync/errgroup"
)

// holdAtOnce is how many idle connections are opened at the same time.
const holdAtOnce = 64

// hold opens connections and keeps them. Each carries one request first: a
// proxy may accept a connection before it has one to the server.
func (a *agent) hold(target netip.AddrPort, n int) error {
	conns := make([]*net.TCPConn, n)
	var g errgroup.Group
	g.SetLimit(holdAtOnce)
	for i := range conns {
		g.Go(func() (err error) {
			if conns[i], err = dial(target); err != nil {
				return err
			}
			return ask(conns[i])
		})
	}
	err := g.Wait()
	for _, conn := range conns {
		if conn != nil {
			a.held = append(a.held, conn)
		}
	}
	if err != nil {
		return errors.Join(err, a.release())
	}
	return nil
}

func ask(conn *net.TCPConn) error {
	if err := conn.SetDeadline(time.Now().Add(grace)); err != nil {
		return err
	}
	message := make([]byte, messageSize)
	if _, err := conn.Write(message); err != nil {
		return err
	}
	if _, err := io.ReadFull(conn, message); err != nil {
		return err
	}
	// Released connections are reset, so that they leave nothing behind.
	return errors.Join(conn.SetDeadline(time.Time{}), conn.SetLinger(0))
}

// release closes what is held.
func (a *agent) release() error {
	var errs []error
	for _, conn := range a.held {
		errs = append(errs, conn.Close())
	}
	a.held = nil
	return errors.Join(errs...)
}
