// SPDX-License-Identifier: Apache-2.0

package seal

import (
	"encoding/base64"
	"fmt"
)

// SealText seals a text in the form that rows have it in, which is base64url.
func (k *Keys) SealText(p Purpose, text []byte, boundTo string) string {
	return base64.RawURLEncoding.EncodeToString(k.Seal(p, text, boundTo))
}

// OpenText gives the text of what SealText sealed. It fails like Ring.Open.
func (k *Keys) OpenText(p Purpose, sealed, boundTo string) ([]byte, error) {
	raw, err := base64.RawURLEncoding.DecodeString(sealed)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", p, ErrBroken)
	}
	return k.Open(p, raw, boundTo)
}

// ResealText seals what SealText sealed with the newest key. What that key has sealed
// stays as it is, and so does an empty text, in which nothing is.
func (k *Keys) ResealText(p Purpose, sealed, boundTo string) (string, error) {
	if sealed == "" {
		return "", nil
	}
	text, err := k.OpenText(p, sealed, boundTo)
	if err != nil {
		return "", err
	}
	raw, _ := base64.RawURLEncoding.DecodeString(sealed) // OpenText has
	if by, _ := KeyOf(raw); by == k.Ring().Newest() {
		return sealed, nil
	}
	return k.SealText(p, text, boundTo), nil
}
