// SPDX-License-Identifier: Apache-2.0

package reconcile

import "github.com/posternhq/postern/internal/desired"

// awaited is an entry whose value is not the last word of the delta that put it.
type awaited struct {
	revision int64
	given    bool // Update gave it
}

// Update gives entries that are wanted other values, of which no delta tells: what a
// host learns by itself. An entry that is not wanted is passed over, so whoever learns
// something late brings nothing back. Settled revisions stay what they are.
func (r *Reconciler) Update(entries []desired.Entry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range entries {
		k := e.Key()
		it := r.tbl.get(k)
		if it == nil || it.want == nil {
			continue
		}
		r.put(e, it.revision)
		if a, ok := r.awaited[k]; ok {
			a.given = true
			r.awaited[k] = a
		}
	}
	r.wake()
}

// Value is what is wanted under a key now; nil when nothing is.
func (r *Reconciler) Value(key desired.Key) desired.Entry {
	r.mu.Lock()
	defer r.mu.Unlock()
	if it := r.tbl.get(key); it != nil {
		return it.want
	}
	return nil
}

// await notes which values of a delta are still to come. The caller holds the lock.
func (r *Reconciler) await(d desired.Delta, updated []desired.Key) {
	if d.Full {
		clear(r.awaited)
	}
	if len(r.awaited) > 0 {
		for _, e := range d.Put {
			delete(r.awaited, e.Key())
		}
	}
	for _, k := range d.Delete {
		delete(r.awaited, k)
	}
	for _, k := range updated {
		r.awaited[k] = awaited{revision: d.Revision}
	}
}

// holdBack has a report not say that what is awaited is settled, and forgets what has
// come. The caller holds the lock.
func (r *Reconciler) holdBack(report *Report) {
	for k, a := range r.awaited {
		it := r.tbl.get(k)
		if it == nil || a.given && it.state != Pending {
			delete(r.awaited, k)
			continue
		}
		settled, known := report.Behind[k.Realm]
		if !known {
			settled = report.Revision
		}
		report.Behind[k.Realm] = min(settled, a.revision-1)
	}
}
