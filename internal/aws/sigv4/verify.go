// SPDX-License-Identifier: Apache-2.0

package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"net/http"
	"sync"
	"time"
)

// maxKeys bounds the cache of derived keys. A key is used by one caller for one
// region and service on one day, so this serves a thousand callers and more.
const maxKeys = 4096

// Verifier checks signatures. It keeps derived signing keys, which cost four
// times what the rest of the check costs. The zero value is ready for use by
// many goroutines; do not copy it after first use.
type Verifier struct {
	mu      sync.RWMutex
	keys    map[keyID]*signingKey
	scratch sync.Pool // of *scratch
}

type keyID struct{ secret, scope string }

// signingKey is a derived key with what has begun to sign with it, which need not
// take the key in again.
type signingKey struct {
	key  [sha256.Size]byte
	macs sync.Pool // of hash.Hash
}

// mac signs data.
func (k *signingKey) mac(b, data []byte) []byte {
	h, ok := k.macs.Get().(hash.Hash)
	if ok {
		h.Reset()
	} else {
		h = hmac.New(sha256.New, k.key[:])
	}
	defer k.macs.Put(h)
	h.Write(data)
	return h.Sum(b)
}

// scratch is room for the texts that are hashed.
type scratch struct{ payload, canonical, toSign, sum, signature []byte }

// maxScratch bounds the room that is kept for the next request.
const maxScratch = 16 << 10

// Verify returns nil if the request was signed with the secret, now or within
// the time allowed, over exactly this body. All errors are *Error. The signature
// must come from Parse of the same request; that the session token belongs to
// the secret is for the caller to check.
func (v *Verifier) Verify(s *Signature, r *http.Request, body []byte, secret string, now time.Time) error {
	if err := s.checkTime(now); err != nil {
		return err
	}
	room, ok := v.scratch.Get().(*scratch)
	if !ok {
		room = new(scratch)
	}
	defer func() {
		if cap(room.canonical) <= maxScratch {
			v.scratch.Put(room)
		}
	}()
	sum := sha256.Sum256(body)
	room.payload = hex.AppendEncode(room.payload[:0], sum[:])
	err := checkDeclaredPayload(r, room.payload)
	if err != nil {
		return err
	}
	canonical, err := appendCanonicalRequest(room.canonical[:0], s, r, room.payload)
	if err != nil {
		return err
	}
	room.canonical = canonical
	room.toSign = s.appendStringToSign(room.toSign[:0], room.canonical)
	key, cached := v.key(secret, s)
	room.sum = key.mac(room.sum[:0], room.toSign)
	room.signature = hex.AppendEncode(room.signature[:0], room.sum)
	if !hmac.Equal(room.signature, []byte(s.signature)) {
		return mismatch(room.canonical, room.toSign)
	}
	if !cached {
		v.remember(keyID{secret, s.scope}, key)
	}
	return nil
}

func (s *Signature) appendStringToSign(b, canonical []byte) []byte {
	sum := sha256.Sum256(canonical)
	b = append(b, algorithm+"\n"...)
	b = append(b, s.timestamp...)
	b = append(b, '\n')
	b = append(b, s.scope...)
	b = append(b, '\n')
	return hex.AppendEncode(b, sum[:])
}

// checkTime compares the time of signing with the credential scope and the
// server's clock.
func (s *Signature) checkTime(now time.Time) error {
	now = now.UTC()
	var room [len(dateFormat)]byte
	if day := s.Time.AppendFormat(room[:0], dateFormat); string(day) != s.date {
		return &Error{Reason: Scope, Message: fmt.Sprintf("Date in Credential scope does not match YYYYMMDD "+
			"from ISO-8601 version of date from HTTP: '%s' != '%s', from '%s'.", clip(s.date), day, s.timestamp)}
	}
	if latest := now.Add(MaxSkew); s.Time.After(latest) {
		return &Error{Reason: NotYetValid, Message: fmt.Sprintf(
			"Signature not yet current: %s is still later than %s (%s + 5 min.)",
			s.timestamp, latest.Format(timeFormat), now.Format(timeFormat))}
	}
	valid := MaxSkew
	if s.Presigned {
		valid = s.Expires
	}
	if s.Time.Add(valid).Before(now) {
		return &Error{Reason: Expired, Message: fmt.Sprintf(
			"Signature expired: %s is now earlier than %s (%s - %v)",
			s.timestamp, now.Add(-valid).Format(timeFormat), now.Format(timeFormat), valid)}
	}
	return nil
}

// checkDeclaredPayload compares X-Amz-Content-Sha256, where a client sends it,
// with the body. UNSIGNED-PAYLOAD is a privilege of S3 and so an error: a body
// that nobody signed is never accepted.
func checkDeclaredPayload(r *http.Request, payload []byte) error {
	declared := r.Header.Get("X-Amz-Content-Sha256")
	if declared == "" || hmac.Equal([]byte(declared), payload) {
		return nil
	}
	return &Error{Reason: Payload, Message: fmt.Sprintf("The provided 'x-amz-content-sha256' header does not match "+
		"what was computed: '%s' != '%s'.", clip(declared), payload)}
}

func (v *Verifier) key(secret string, s *Signature) (key *signingKey, cached bool) {
	v.mu.RLock()
	key, cached = v.keys[keyID{secret, s.scope}]
	v.mu.RUnlock()
	if cached {
		return key, true
	}
	return &signingKey{key: deriveKey(secret, s.date, s.Region, s.Service)}, false
}

// remember keeps a key that has proven good. When the cache is full it starts
// again: keys of past days go with it, and the others are soon back.
func (v *Verifier) remember(id keyID, key *signingKey) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.keys == nil || len(v.keys) >= maxKeys {
		v.keys = make(map[keyID]*signingKey)
	}
	v.keys[id] = key
}

func deriveKey(secret, date, region, service string) [sha256.Size]byte {
	key := mac([]byte("AWS4"+secret), []byte(date))
	for _, part := range []string{region, service, terminator} {
		key = mac(key[:], []byte(part))
	}
	return key
}

func mac(key, data []byte) (sum [sha256.Size]byte) {
	h := hmac.New(sha256.New, key)
	h.Write(data)
	h.Sum(sum[:0])
	return sum
}
