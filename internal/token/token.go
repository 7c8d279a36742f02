// SPDX-License-Identifier: Apache-2.0

// Package token makes session tokens, which clients send back in X-Amz-Security-Token,
// and reads them. A token is the session itself, sealed: nothing else is kept of it.
//
// A token is for one temporary access key, whose secret is in it. Whether the session
// goes on, by time and because of what became of its principal, is not asked here.
package token

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/policy"
	"github.com/posternhq/postern/internal/seal"
)

// MaxLength is how long a token is at most, in characters:
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_temp.html
const MaxLength = 4096

// ErrTooLarge says that a session has more policies and tags than a token holds.
var ErrTooLarge = errors.New("session is too large for a token")

// ErrInvalid says that a text is no token of that access key, or that the key which
// sealed it is gone.
var ErrInvalid = errors.New("invalid session token")

// stored is a session as tokens have it. Members may be added; one that means something
// else than before needs another form.
type stored struct {
	Secret         string               `json:"x"`
	Account        string               `json:"a"`
	Kind           policy.PrincipalKind `json:"k"`
	Entity         string               `json:"e,omitempty"`
	Parent         string               `json:"p,omitempty"`
	Through        []string             `json:"o,omitempty"`
	Name           string               `json:"n,omitempty"`
	Issued         int64                `json:"i"` // Unix time, as Expires
	Expires        int64                `json:"u"`
	Policies       []string             `json:"d,omitempty"`
	PolicyARNs     []string             `json:"m,omitempty"`
	Bounded        bool                 `json:"b,omitempty"`
	Tags           map[string]string    `json:"t,omitempty"`
	Transitive     []string             `json:"v,omitempty"`
	SourceIdentity string               `json:"s,omitempty"`
}

// The forms of what is sealed, its first byte.
const (
	plain    = 'j' // JSON
	deflated = 'z' // JSON, compressed (RFC 1951)
)

// small is up to which size a session is not compressed: most are, and are read with
// each request.
const small = 600

// Seal makes the token of a session, whose times it takes to the second, of at least that
// many characters. It fails with ErrTooLarge.
func Seal(keys *seal.Keys, s *access.Session, atLeast int) (string, error) {
	packed, err := packed(s)
	if err != nil {
		return "", fmt.Errorf("make a session token: %w", err)
	}
	least := (atLeast+3)/4*3 - keys.Ring().Overhead()
	for len(packed) < least {
		packed = append(packed, ' ') // which readers of either form skip
	}
	token := base64.StdEncoding.EncodeToString(keys.Seal(seal.SessionToken, packed, s.KeyID))
	if len(token) > MaxLength {
		return "", fmt.Errorf("make a session token of %d characters: %w", len(token), ErrTooLarge)
	}
	return token, nil
}

// packed is what of a session is sealed.
func packed(s *access.Session) ([]byte, error) {
	text, err := json.Marshal(stored{
		s.Secret, s.Account, s.Kind, s.Entity, s.Parent, s.Through, s.Name, s.Issued.Unix(), s.Expires.Unix(),
		s.Policies, s.PolicyARNs, s.Bounded, s.Tags, s.Transitive, s.SourceIdentity,
	})
	if err != nil {
		return nil, err
	}
	return pack(text), nil
}

func pack(text []byte) []byte {
	if len(text) <= small {
		return append([]byte{plain}, text...)
	}
	var packed bytes.Buffer
	packed.WriteByte(deflated)
	w, err := flate.NewWriter(&packed, flate.BestCompression)
	if err != nil {
		panic(err) // the level is one
	}
	w.Write(text) // a buffer takes everything
	w.Close()
	return packed.Bytes()
}

// Open reads the token of an access key. The error is ErrInvalid, whatever is wrong.
func Open(keys *seal.Keys, accessKeyID, token string) (*access.Session, error) {
	if len(token) > MaxLength || strings.ContainsAny(token, "\r\n") { // which the decoder skips
		return nil, ErrInvalid
	}
	sealed, err := base64.StdEncoding.Strict().DecodeString(token)
	if err != nil {
		return nil, ErrInvalid
	}
	packed, err := keys.Open(seal.SessionToken, sealed, accessKeyID)
	if err != nil {
		return nil, ErrInvalid
	}
	text, err := unpack(packed)
	if err != nil {
		return nil, ErrInvalid
	}
	var s stored
	if err := json.Unmarshal(text, &s); err != nil || s.Secret == "" {
		return nil, ErrInvalid // of a version that makes other tokens
	}
	return &access.Session{
		KeyID: accessKeyID, Secret: s.Secret, Account: s.Account, Kind: s.Kind, Entity: s.Entity, Parent: s.Parent, Through: s.Through, Name: s.Name,
		Issued: time.Unix(s.Issued, 0).UTC(), Expires: time.Unix(s.Expires, 0).UTC(),
		Policies: s.Policies, PolicyARNs: s.PolicyARNs, Bounded: s.Bounded,
		Tags: s.Tags, Transitive: s.Transitive, SourceIdentity: s.SourceIdentity,
	}, nil
}

// mostUnpacked bounds a session that is read: more than any that is made.
const mostUnpacked = 1 << 20

func unpack(packed []byte) ([]byte, error) {
	if len(packed) == 0 {
		return nil, io.ErrUnexpectedEOF
	}
	switch form, rest := packed[0], packed[1:]; form {
	case plain:
		return rest, nil
	case deflated:
		return io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(rest)), mostUnpacked))
	}
	return nil, errors.New("unknown form")
}

// Share is how much of the room for policies and tags in a token a session takes, in
// percent: 0 for none of them, and more than 100 for what no token holds.
func Share(keys *seal.Keys, s *access.Session) (int, error) {
	bare := *s
	bare.Policies, bare.PolicyARNs, bare.Tags, bare.Transitive = nil, nil, nil, nil
	without, err := packed(&bare)
	if err != nil {
		return 0, err
	}
	with, err := packed(s)
	if err != nil {
		return 0, err
	}
	room := base64.StdEncoding.DecodedLen(MaxLength) - keys.Ring().Overhead() - len(without)
	return (max(0, len(with)-len(without))*100 + room - 1) / room, nil
}
