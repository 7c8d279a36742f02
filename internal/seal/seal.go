// SPDX-License-Identifier: Apache-2.0

// Package seal keeps what only Postern may read or make: secrets in rows, and
// what clients carry for it, such as session tokens. It is AES-256 in Galois/Counter
// Mode with random nonces (NIST SP 800-38D) under keys that are not in the store.
//
// A Ring has keys of several generations. The newest one seals, and what any of
// them sealed is opened, so that keys can be changed while things are sealed.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Purpose is what something is sealed for. What was sealed for one purpose cannot
// be opened for another.
type Purpose uint8

// The purposes. The numbers are part of what is sealed: they stay.
const (
	// AccessKey is the secret of an access key, in its row.
	AccessKey Purpose = 1
	// SessionToken is what clients send back in X-Amz-Security-Token.
	SessionToken Purpose = 2
	// Refusal is what sts:DecodeAuthorizationMessage opens.
	Refusal Purpose = 3
	// AuthorityKey is the private key of a certificate authority, in its row.
	AuthorityKey Purpose = 4
	// DatabasePassword is the password of a user of a database, in the database's row.
	DatabasePassword Purpose = 5

	purposes = 5
)

// String names the purpose in errors; keys are derived by it.
func (p Purpose) String() string {
	return [...]string{
		AccessKey: "access key", SessionToken: "session token", Refusal: "refusal", AuthorityKey: "authority key", DatabasePassword: "database password",
	}[p]
}

// The causes when something cannot be opened.
var (
	// ErrUnknownKey says that a key sealed it which the ring does not have: it was made
	// by another installation, or keys were lost.
	ErrUnknownKey = errors.New("sealed with a key that is not here")
	// ErrBroken says that it was altered, is for something else, or was never sealed.
	ErrBroken = errors.New("not sealed here, or altered")
)

// keyBytes is the length of a key, which AES-256 is named for.
const keyBytes = 32

// generation is one key of a ring.
type generation struct {
	id    uint32
	made  time.Time
	key   [keyBytes]byte
	boxes [purposes + 1]cipher.AEAD // by purpose
}

// Ring has keys. It is immutable and may be used by several goroutines.
type Ring struct {
	generations []*generation // the newest last, never none
}

// New makes a ring of one key.
func New(now time.Time) (*Ring, error) { return new(Ring).Renewed(now) }

// Renewed gives a ring with one more key, which seals from now on.
func (r *Ring) Renewed(now time.Time) (*Ring, error) {
	g := &generation{made: now.UTC().Truncate(time.Second)}
	var id [4]byte
	for fresh := false; !fresh; {
		rand.Read(id[:]) // it never fails
		g.id = binary.BigEndian.Uint32(id[:])
		fresh = r.find(g.id) == nil
	}
	rand.Read(g.key[:])
	if newest := r.newest(); newest != nil && g.made.Before(newest.made) {
		g.made = newest.made // a clock that was set back: the new key is the newest all the same
	}
	return ring(append(slices.Clone(r.generations), g))
}

// Without gives a ring that lacks the generations which are not needed: it keeps the
// newest one, and those for which keep says so.
func (r *Ring) Without(keep func(id uint32, superseded time.Time) bool) *Ring {
	var kept []*generation
	for i, g := range r.generations {
		if i == len(r.generations)-1 || keep(g.id, r.generations[i+1].made) {
			kept = append(kept, g)
		}
	}
	return &Ring{kept}
}

// ring makes the ciphers of generations that lack them.
func ring(generations []*generation) (*Ring, error) {
	for _, g := range generations {
		for p := AccessKey; p <= purposes; p++ {
			if g.boxes[p] != nil {
				continue
			}
			key, err := hkdf.Key(sha256.New, g.key[:], nil, "postern "+p.String(), keyBytes)
			if err != nil {
				return nil, fmt.Errorf("derive a sealing key: %w", err)
			}
			block, err := aes.NewCipher(key)
			if err != nil {
				return nil, fmt.Errorf("derive a sealing key: %w", err)
			}
			if g.boxes[p], err = cipher.NewGCMWithRandomNonce(block); err != nil {
				return nil, fmt.Errorf("derive a sealing key: %w", err)
			}
		}
	}
	return &Ring{generations}, nil
}

func (r *Ring) newest() *generation {
	if len(r.generations) == 0 {
		return nil
	}
	return r.generations[len(r.generations)-1]
}

func (r *Ring) find(id uint32) *generation {
	for _, g := range r.generations {
		if g.id == id {
			return g
		}
	}
	return nil
}

// Newest is the id of the key that seals.
func (r *Ring) Newest() uint32 { return r.newest().id }

// format is the first byte of all that is sealed. Then come the id of the key, the
// nonce, and what was made of the text.
const (
	format      = 1
	headerBytes = 1 + 4
)

// Overhead is how many bytes longer the sealed form of a text is.
func (r *Ring) Overhead() int { return headerBytes + r.newest().boxes[AccessKey].Overhead() }

// Seal seals a text. What it is bound to, such as the id of its row, is not in the
// result, and must be given to open it.
func (r *Ring) Seal(p Purpose, text []byte, boundTo string) []byte {
	g := r.newest()
	header := binary.BigEndian.AppendUint32([]byte{format}, g.id)
	sealed := make([]byte, headerBytes, headerBytes+len(text)+g.boxes[p].Overhead())
	copy(sealed, header)
	return g.boxes[p].Seal(sealed, nil, text, append(header, boundTo...))
}

// Open gives the text of what was sealed. It fails with ErrUnknownKey or ErrBroken.
func (r *Ring) Open(p Purpose, sealed []byte, boundTo string) ([]byte, error) {
	id, ok := KeyOf(sealed)
	if !ok {
		return nil, fmt.Errorf("open %s: %w", p, ErrBroken)
	}
	g := r.find(id)
	if g == nil {
		return nil, fmt.Errorf("open %s: key %08x: %w", p, id, ErrUnknownKey)
	}
	additional := append(sealed[:headerBytes:headerBytes], boundTo...)
	text, err := g.boxes[p].Open(nil, nil, sealed[headerBytes:], additional)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", p, ErrBroken)
	}
	return text, nil
}

// KeyOf gives the id of the key that sealed something; false says that nothing was
// sealed here.
func KeyOf(sealed []byte) (id uint32, ok bool) {
	if len(sealed) < headerBytes || sealed[0] != format {
		return 0, false
	}
	return binary.BigEndian.Uint32(sealed[1:]), true
}
