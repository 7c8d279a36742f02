// SPDX-License-Identifier: Apache-2.0

package service

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"iter"

	"github.com/posternhq/postern/internal/access"
)

// ErrPageToken is the cause when a page token was not given out by this
// operation for this caller and these parameters.
var ErrPageToken = errors.New("the token is not one that this operation gave for these parameters")

// Page asks for one page of a list.
type Page struct {
	// Token continues the list where the page before ended; empty starts it.
	Token string
	// Limit is how many items a page has at most; at least 1.
	Limit int
	// query makes a digest of who lists what; most lists have one page and need none.
	query func() [sha256.Size]byte
}

// NewPage makes the request for a page. The operation and the parameters that
// choose items (without token and page size) bind tokens to the list they
// belong to; parameters must be encodable as JSON. A nil max means the limit.
func NewPage(who access.View, operation string, parameters any, token *string, max *int32, limit int) Page {
	p := Page{Limit: limit, query: func() [sha256.Size]byte { return digest(who.Account, who.Region, operation, parameters) }}
	if token != nil {
		p.Token = *token
	}
	if max != nil && int(*max) < limit && *max > 0 {
		p.Limit = int(*max)
	}
	return p
}

// Paginate cuts one page out of the items, which must come in ascending order
// of their keys. The next token, empty at the end, says after which key to go
// on, so that items that come or go between two pages make no other item
// appear twice or be left out. It reads no further than the page.
func Paginate[T any](p Page, items iter.Seq[T], key func(T) string) (page []T, next string, err error) {
	after, err := p.After()
	if err != nil {
		return nil, "", err
	}
	for item := range items {
		k := key(item)
		if p.Token != "" && k <= after {
			continue
		}
		if len(page) == p.Limit {
			return page, p.Next(key(page[len(page)-1])), nil
		}
		page = append(page, item)
	}
	return page, "", nil
}

// A token is the check sum of the query and the key, and the key. It holds no
// secret and grants nothing: the check only tells forged and misplaced tokens
// from good ones.
const checkSize = 12

// Next makes the token of the page that begins after a key.
func (p Page) Next(key string) string {
	return base64.RawURLEncoding.EncodeToString(append(p.check(key), key...))
}

func (p Page) check(key string) []byte {
	query := p.query()
	sum := sha256.Sum256(append(query[:], key...))
	return sum[:checkSize]
}

// After gives the key that the page begins after, which Next was given; empty for the
// first page.
func (p Page) After() (string, error) {
	if p.Token == "" {
		return "", nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(p.Token)
	if err != nil || len(raw) < checkSize {
		return "", ErrPageToken
	}
	key := string(raw[checkSize:])
	if !bytes.Equal(raw[:checkSize], p.check(key)) {
		return "", ErrPageToken
	}
	return key, nil
}

// digest hashes values that can be encoded as JSON; it panics for others.
func digest(values ...any) [sha256.Size]byte {
	data, err := json.Marshal(values)
	if err != nil {
		panic(fmt.Sprintf("digest %T: %v", values, err))
	}
	return sha256.Sum256(data)
}

// Each makes the items of a list in an answer: never nil, so that empty lists are answered.
func Each[T, S any](items []T, show func(T) S) []S {
	shown := make([]S, len(items))
	for i, item := range items {
		shown[i] = show(item)
	}
	return shown
}
