// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"sync"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/policy"
	"github.com/posternhq/postern/internal/table"
)

// latest has the policies of callers, as they are in the state that was read last: a
// request is decided about twice, mostly in the same state, and so are others that come
// while nothing changes. What an Update decides it reads itself, because its commit
// depends on it.
type latest struct {
	mu       sync.Mutex
	revision int64
	callers  map[string]read // by access key
}

// read is what was read of a caller. Nobody changes it.
type read struct {
	principal *policy.Principal
	tags      map[string]string
	// organization and paths say where the account is, see access.Rules.
	organization string
	paths        []string
}

// manyCallers bounds what is kept: temporary keys are many.
const manyCallers = 4096

func (l *latest) find(tx *table.Txn, who *access.Caller) (read, bool) {
	if tx.Writable() || who.AccessKeyID == "" {
		return read{}, false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.revision != tx.Revision() {
		return read{}, false
	}
	r, ok := l.callers[who.AccessKeyID]
	return r, ok
}

func (l *latest) note(tx *table.Txn, who *access.Caller, r read) {
	if tx.Writable() || who.AccessKeyID == "" {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if revision := tx.Revision(); revision < l.revision {
		return // somebody has read a newer state
	} else if revision > l.revision || len(l.callers) >= manyCallers {
		l.revision, l.callers = revision, map[string]read{}
	}
	l.callers[who.AccessKeyID] = r
}
