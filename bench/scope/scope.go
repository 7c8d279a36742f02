// SPDX-License-Identifier: Apache-2.0

// Package scope keeps what parts of the benchmark make, so that all of it goes when a
// part is done with it.
package scope

import (
	"errors"

	"github.com/posternhq/postern/test/testnet"
)

// Scope closes what was made, the last first. The zero Scope has nothing.
type Scope struct{ closers []func() error }

// Add has f called by Close.
func (s *Scope) Add(f func() error) { s.closers = append(s.closers, f) }

// Close closes everything, whatever fails.
func (s *Scope) Close() error {
	var errs []error
	for i := len(s.closers) - 1; i >= 0; i-- {
		errs = append(errs, s.closers[i]())
	}
	s.closers = nil
	return errors.Join(errs...)
}

// Namespace makes a namespace that goes with the scope.
func (s *Scope) Namespace() (*testnet.NS, error) {
	ns, err := testnet.Make("pbench-" + testnet.RandomName(10))
	if err != nil {
		return nil, err
	}
	s.Add(ns.Close)
	return ns, nil
}
