// SPDX-License-Identifier: Apache-2.0

package names

import (
	"errors"
	"net"
	"os"

	"github.com/posternhq/postern/test/testnet"
)

// scope closes what was made, the last first.
type scope struct{ closers []func() error }

func (s *scope) add(f func() error) { s.closers = append(s.closers, f) }

// Close closes everything, whatever fails.
func (s *scope) Close() error {
	var errs []error
	for i := len(s.closers) - 1; i >= 0; i-- {
		errs = append(errs, s.closers[i]())
	}
	s.closers = nil
	return errors.Join(errs...)
}

// namespace makes a namespace that goes with the scope.
func (s *scope) namespace() (*testnet.NS, error) {
	ns, err := testnet.Make("pbench-" + testnet.RandomName(10))
	if err != nil {
		return nil, err
	}
	s.add(ns.Close)
	return ns, nil
}

// folder makes a folder that goes with the scope.
func (s *scope) folder() (string, error) {
	folder, err := os.MkdirTemp("", "postern-bench-")
	if err != nil {
		return "", err
	}
	s.add(func() error { return os.RemoveAll(folder) })
	return folder, nil
}

// greet answers every connection to an address in a namespace with a word, and
// ends it.
func (s *scope) greet(ns *testnet.NS, address, word string) error {
	l, err := ns.Listen("tcp", address)
	if err != nil {
		return err
	}
	s.add(l.Close)
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
