// SPDX-License-Identifier: Apache-2.0

package names

import (
	"context"
	"net"
	"os"

	"github.com/posternhq/postern/bench/load"
	"github.com/posternhq/postern/bench/scope"
	"github.com/posternhq/postern/test/testnet"
)

// belongings are what one thing has, and go with it.
type belongings struct{ scope.Scope }

// folder makes a folder that goes with the scope.
func (s *belongings) folder() (string, error) {
	folder, err := os.MkdirTemp("", "postern-bench-")
	if err != nil {
		return "", err
	}
	s.Add(func() error { return os.RemoveAll(folder) })
	return folder, nil
}

// asking starts an agent in a namespace, which asks name servers.
func (s *belongings) asking(ctx context.Context, ns *testnet.NS) (*load.Agent, error) {
	a, err := load.Start(ctx, ns, 1)
	if err != nil {
		return nil, err
	}
	s.Add(a.Close)
	return a, nil
}

// greet answers every connection to an address in a namespace with a word, and
// ends it.
func (s *belongings) greet(ns *testnet.NS, address, word string) error {
	l, err := ns.Listen("tcp", address)
	if err != nil {
		return err
	}
	s.Add(l.Close)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			greetOne(conn, word)
		}
	}()
	return nil
}

// greetOne answers one connection. Who hangs up early sees it itself.
func greetOne(conn net.Conn, word string) {
	_, _ = conn.Write([]byte(word))
	_ = conn.Close()
}
