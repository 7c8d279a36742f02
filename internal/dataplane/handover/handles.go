// SPDX-License-Identifier: Apache-2.0

package handover

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/posternhq/postern/internal/desired"
)

// Life is how long a handle is good for. Whoever asks for one uses it at once.
const Life = 10 * time.Second

// ErrHandle says that a handle is no good: it was made up, used, is too old, or
// belongs to another access key. Which of these it is nobody is told.
var ErrHandle = errors.New("handle is not good")

// Handles gives out handles and takes them back, each one once. Its methods may
// be called from several goroutines.
type Handles struct {
	seal cipher.AEAD
	now  func() time.Time
	born time.Time

	mu sync.Mutex
	// used are the handles that were used since turned, and before those of the
	// time before that, which is at least a Life.
	used, before map[string]bool
	turned       time.Time
}

// claim is what a handle says, under seal.
type claim struct {
	AccessKeyID string
	Namespace   desired.Namespace
	// Ends is when the handle expires, since born: a clock that is set does not
	// change it.
	Ends time.Duration
}

// NewHandles makes a Handles with a key of its own. The clock is time.Now but in
// tests.
func NewHandles(now func() time.Time) (*Handles, error) {
	key := make([]byte, 32)
	rand.Read(key) // never fails, see crypto/rand
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("make a key for handles: %w", err)
	}
	seal, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("make a key for handles: %w", err)
	}
	return &Handles{seal: seal, now: now, born: now(), turned: now(), used: map[string]bool{}}, nil
}

// Give makes a handle of a namespace for an access key.
func (h *Handles) Give(accessKeyID string, ns desired.Namespace) (string, error) {
	text, err := json.Marshal(claim{accessKeyID, ns, h.now().Sub(h.born) + Life})
	if err != nil {
		return "", fmt.Errorf("make a handle: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(h.seal.Seal(nil, nil, text, nil)), nil
}

// Redeem gives the namespace that a handle stands for, to the access key that it
// was made for, once; anything else is ErrHandle. An attempt with another key
// does not use the handle up.
func (h *Handles) Redeem(handle, accessKeyID string) (desired.Namespace, error) {
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(handle)
	if err != nil {
		return desired.Namespace{}, ErrHandle
	}
	text, err := h.seal.Open(nil, nil, sealed, nil)
	if err != nil {
		return desired.Namespace{}, ErrHandle
	}
	var c claim
	if err := json.Unmarshal(text, &c); err != nil {
		return desired.Namespace{}, fmt.Errorf("read a handle: %w", err)
	}
	if c.AccessKeyID != accessKeyID || !h.first(handle, c.Ends) {
		return desired.Namespace{}, ErrHandle
	}
	return c.Namespace, nil
}

// first reports whether a handle is in time and was not used before, and notes
// that it is used.
func (h *Handles) first(handle string, ends time.Duration) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.now()
	if now.Sub(h.turned) >= Life {
		h.before, h.used, h.turned = h.used, map[string]bool{}, now
	}
	if now.Sub(h.born) >= ends || h.used[handle] || h.before[handle] {
		return false
	}
	h.used[handle] = true
	return true
}
