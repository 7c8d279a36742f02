// SPDX-License-Identifier: Apache-2.0

package seal

import "sync/atomic"

// Keys is the ring that a process uses, which may be changed while others seal and open.
type Keys struct{ ring atomic.Pointer[Ring] }

// Using makes Keys that use a ring.
func Using(r *Ring) *Keys {
	k := new(Keys)
	k.Use(r)
	return k
}

// Use has everybody use another ring from now on. It has what the one before sealed, or
// that cannot be opened any more.
func (k *Keys) Use(r *Ring) { k.ring.Store(r) }

// Ring is the one that is used now.
func (k *Keys) Ring() *Ring { return k.ring.Load() }

// Seal is Ring.Seal.
func (k *Keys) Seal(p Purpose, text []byte, boundTo string) []byte {
	return k.Ring().Seal(p, text, boundTo)
}

// Open is Ring.Open.
func (k *Keys) Open(p Purpose, sealed []byte, boundTo string) ([]byte, error) {
	return k.Ring().Open(p, sealed, boundTo)
}
