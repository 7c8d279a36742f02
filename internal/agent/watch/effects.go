// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"context"
	"fmt"
	"slices"

	"github.com/posternhq/postern/internal/desired"
)

// Realms implements reconcile.Effects.
func (w *Watcher) Realms(context.Context) (all []desired.Realm, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for realm := range w.watched {
		all = append(all, realm)
	}
	slices.Sort(all)
	return all, nil
}

// Dump implements reconcile.Effects.
func (w *Watcher) Dump(_ context.Context, realm desired.Realm) (all []desired.Entry, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if d := w.watched[realm]; d != nil {
		all = append(all, d.entry)
	}
	return all, nil
}

// Apply implements reconcile.Effects. A database that is asked for in another way is asked
// anew.
func (w *Watcher) Apply(_ context.Context, realm desired.Realm, put, del []desired.Entry) map[desired.Key]error {
	w.mu.Lock()
	defer w.mu.Unlock()
	failed := map[desired.Key]error{}
	for _, e := range put {
		entry, ok := e.(desired.Watch)
		switch {
		case !ok || e.Key().Realm != realm:
			failed[e.Key()] = fmt.Errorf("watch a database: %s is none of %s", e.Key(), realm)
		case w.closed:
			failed[e.Key()] = fmt.Errorf("watch the database %s: nothing is watched any more", entry.ID)
		case w.watched[realm] != nil && desired.Equal(w.watched[realm].entry, entry):
		default:
			w.cease(realm)
			w.begin(entry)
		}
	}
	for _, e := range del {
		if e.Key().Kind != desired.KindWatch || e.Key().Realm != realm {
			failed[e.Key()] = fmt.Errorf("watch a database no more: %s is none of %s", e.Key(), realm)
			continue
		}
		if d := w.watched[realm]; d != nil {
			w.cease(realm)
			w.cfg.Roles.Drop(d.entry.ID)
		}
	}
	return failed
}

// cease ends a watch and waits until it has. The caller holds the lock.
func (w *Watcher) cease(realm desired.Realm) {
	if d := w.watched[realm]; d != nil {
		d.end()
		<-d.ended
		delete(w.watched, realm)
	}
}

// Close ends all watches. Connections go where they went last.
func (w *Watcher) Close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	for realm := range w.watched {
		w.cease(realm)
	}
	w.work.Wait()
}
