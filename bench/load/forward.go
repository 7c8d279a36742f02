// SPDX-License-Identifier: Apache-2.0

package load

import (
	"io"
	"net"
	"net/netip"
)

// forward is the proxy that a Go programmer writes first: it copies with
// io.Copy, which splices from socket to socket.
func forward(listen, backend netip.AddrPort) error {
	for service := range Ports {
		to := net.TCPAddrFromAddrPort(at(backend, service))
		err := accept(at(listen, service), func(near *net.TCPConn) {
			defer near.Close()
			far, err := net.DialTCP("tcp", nil, to)
			if err != nil {
				return
			}
			defer far.Close()
			done := make(chan struct{})
			go func() {
				pass(far, near)
				close(done)
			}()
			pass(near, far)
			<-done
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// pass copies one direction and its end.
func pass(to, from *net.TCPConn) {
	if _, err := io.Copy(to, from); err != nil {
		// A reset on one side is passed on as a reset.
		_ = to.SetLinger(0)
		_ = to.Close()
		_ = from.Close()
		return
	}
	_ = to.CloseWrite() // it may be closed already
}
