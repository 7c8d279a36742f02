// SPDX-License-Identifier: Apache-2.0

package token

import (
	"encoding/base64"
	"errors"

	"github.com/posternhq/postern/internal/seal"
)

// maxRefusal is how long a sealed refusal is at most, in characters: what
// DecodeAuthorizationMessage takes.
const maxRefusal = 10240

// ErrNoRefusal says that a text is no refusal that was told to the account.
var ErrNoRefusal = errors.New("no encoded authorization message")

// SealRefusal gives a text about why a request was refused in a form that only
// sts:DecodeAuthorizationMessage opens, for callers of the account. It is empty for a text
// that is too long.
func SealRefusal(keys *seal.Keys, account string, text []byte) string {
	sealed := base64.RawURLEncoding.EncodeToString(keys.Seal(seal.Refusal, pack(text), account))
	if len(sealed) > maxRefusal {
		return ""
	}
	return sealed
}

// OpenRefusal gives the text of SealRefusal. It fails with ErrNoRefusal.
func OpenRefusal(keys *seal.Keys, account, sealed string) ([]byte, error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(sealed)
	if err != nil {
		return nil, ErrNoRefusal
	}
	packed, err := keys.Open(seal.Refusal, raw, account)
	if err != nil {
		return nil, ErrNoRefusal
	}
	text, err := unpack(packed)
	if err != nil {
		return nil, ErrNoRefusal
	}
	return text, nil
}
