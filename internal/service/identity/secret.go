// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"sync"

	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/seal"
	"github.com/posternhq/postern/internal/service/account"
)

// secrets are those of access keys that were asked for last, opened: one key signs many
// requests. A row that is put again is another row, and what another ring has is opened
// with that.
type secrets struct {
	mu     sync.RWMutex
	ring   *seal.Ring
	opened map[*model.AccessKey]string
}

func (s *secrets) of(keys *seal.Keys, key *model.AccessKey) (string, error) {
	ring := keys.Ring()
	s.mu.RLock()
	secret, ok := s.opened[key]
	ok = ok && s.ring == ring
	s.mu.RUnlock()
	if ok {
		return secret, nil
	}
	secret, err := account.Secret(seal.Using(ring), key)
	if err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ring != ring || len(s.opened) >= manyCallers {
		s.ring, s.opened = ring, map[*model.AccessKey]string{}
	}
	s.opened[key] = secret
	return secret, nil
}
