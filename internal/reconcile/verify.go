// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/posternhq/postern/internal/desired"
)

// ErrNoState means that there is nothing to compare a host with yet.
var ErrNoState = errors.New("no desired state yet")

// reading is what was found in one realm.
type reading struct {
	realm  desired.Realm
	there  []desired.Entry
	exists bool
	err    error
	ended  bool // there is only half of it: it was ended for a change
}

// read reads realms back, some at the same time. What comes later than patience
// is taken up when it comes.
func (r *Reconciler) read(ctx context.Context, realms []desired.Realm, patience time.Duration) []reading {
	var (
		mu       sync.Mutex
		over     bool
		readings []reading
	)
	without := r.round(realms, patience, func(realm desired.Realm) {
		ctx, cancel := r.limited(ctx)
		defer cancel()
		rd := r.readOne(ctx, realm)
		mu.Lock()
		defer mu.Unlock()
		if !over {
			readings = append(readings, rd)
			return
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.late = append(r.late, rd)
	})
	mu.Lock()
	defer mu.Unlock()
	over = true
	for _, realm := range without {
		if !slices.ContainsFunc(readings, func(rd reading) bool { return rd.realm == realm }) {
			readings = append(readings, reading{realm: realm, err: errNotYet})
		}
	}
	slices.SortFunc(readings, func(a, b reading) int { return cmp.Compare(a.realm, b.realm) })
	return readings
}

// readOne reads one realm back. A realm that seems empty or cannot be read
// may be one that does not exist, which is no error.
func (r *Reconciler) readOne(ctx context.Context, realm desired.Realm) reading {
	there, err := r.effects.Dump(ctx, realm)
	for _, e := range there {
		if k := e.Key(); err == nil && k.Realm != realm {
			err = fmt.Errorf("%s is there, which lives in %s", k, k.Realm)
		}
	}
	if err == nil && len(there) > 0 {
		return reading{realm: realm, there: there, exists: true}
	}
	realms, listErr := r.existing(ctx)
	switch {
	case listErr != nil:
		return reading{realm: realm, err: errors.Join(err, listErr)}
	case !slices.Contains(realms, realm):
		return reading{realm: realm}
	default:
		return reading{realm: realm, there: there, exists: true, err: err}
	}
}

// verify reads realms back and makes due what differs. Where a realm or a
// link has to be remade, the realms at the other ends have lost something as
// well and are read too: also those that have been read, because what was lost
// may have been there still. Each loss is found once, so this comes to an end. It
// gives the number of differences.
func (r *Reconciler) verify(ctx context.Context, realms []desired.Realm, patience time.Duration) (found int, err error) {
	var errs []error
	for len(realms) > 0 && ctx.Err() == nil {
		n, concerned, err := r.compareAll(r.read(ctx, realms, patience))
		found += n
		if err != nil {
			errs = append(errs, err)
		}
		slices.Sort(concerned)
		realms = slices.Compact(concerned)
	}
	return found, errors.Join(append(errs, ctx.Err())...)
}

// compareAll compares readings with what is wanted. Realms that could not be
// read are noted for another attempt.
func (r *Reconciler) compareAll(readings []reading) (found int, concerned []desired.Realm, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var errs []error
	for _, rd := range readings {
		if rd.err != nil {
			last := r.unread[rd.realm].count
			r.unread[rd.realm] = attempt{count: last + 1, due: time.Now().Add(r.cfg.delay(last + 1))}
			errs = append(errs, fmt.Errorf("read %s: %w", rd.realm, rd.err))
			continue
		}
		delete(r.unread, rd.realm)
		n, peers := r.compare(rd)
		if n > 0 && r.adopted {
			r.cfg.Logger.Warn("realm differs, repairing", "realm", rd.realm, "entries", n)
		}
		found += n
		concerned = append(concerned, peers...)
	}
	return found, concerned, errors.Join(errs...)
}

// compare makes due what differs between one realm and what is wanted in it,
// and sets at rest what is as wanted although that was not known. It gives the
// number of differences that nobody ordered, and the realms at the other end
// of what was lost. The caller holds the lock.
func (r *Reconciler) compare(rd reading) (found int, peers []desired.Realm) {
	there := make(map[desired.Key]desired.Entry, len(rd.there))
	for _, e := range rd.there {
		there[e.Key()] = e
	}
	for _, it := range r.tbl.realms[rd.realm] {
		k := it.key
		e, ok := there[k]
		delete(there, k)
		switch {
		case it.want == nil && !ok && !(k.Kind.Root() && rd.exists):
			r.tbl.done(it)
		case it.want == nil:
		case ok && it.is(e):
			r.tbl.done(it)
		case it.state == Done:
			r.repair(it, "changed or missing")
			found++
			peers = append(peers, r.others(it)...)
		}
	}
	if r.recalled {
		return found, peers // what is unknown is nobody's to remove yet
	}
	if rd.exists && !r.tbl.wants(rd.realm) {
		// Nothing is wanted here: the realm goes as a whole, if it can.
		if root, ok := desired.RootOf(rd.realm); ok {
			there = map[desired.Key]desired.Entry{root.Key(): root}
		}
	}
	for k, e := range there {
		if r.tbl.get(k) != nil {
			continue
		}
		it := r.tbl.add(k)
		it.last, it.prune = e, true
		r.repair(it, "unknown")
		found++
	}
	return found, peers
}

// repair makes an item due that nobody ordered.
func (r *Reconciler) repair(it *item, why string) {
	r.tbl.pend(it)
	if !r.adopted {
		return
	}
	r.repairs[it.key.Kind]++
	r.cfg.Logger.Debug("repairing", "entry", it.key, "found", why)
}

// others gives the realms at the far ends of what joins a realm with others, or of
// one such entry.
func (r *Reconciler) others(it *item) []desired.Realm {
	if far, joins := it.key.Far(); joins {
		return []desired.Realm{far}
	}
	if it.key.Kind.Root() {
		return slices.Collect(maps.Values(r.tbl.joins(it.key.Realm)))
	}
	return nil
}

// candidates gives the realms that exist or should, sorted.
func (r *Reconciler) candidates(ctx context.Context) ([]desired.Realm, error) {
	realms, err := r.existing(ctx)
	if err != nil {
		return nil, fmt.Errorf("list realms: %w", err)
	}
	realms = slices.Clone(realms)
	r.mu.Lock()
	for realm := range r.tbl.realms {
		realms = append(realms, realm)
	}
	r.mu.Unlock()
	slices.Sort(realms)
	return slices.Compact(realms), nil
}

// verifyRequest is a call of Verify: the channel takes its answer and has room
// for it.
type verifyRequest chan verifyAnswer

type verifyAnswer struct {
	found int
	err   error
}

// Verify reads every realm back now and repairs what differs. It returns the
// number of differences found after one attempt to repair them was made;
// whether that went well is told by reports. Realms that could not be read are
// in the error, and are tried again. It needs Run to be running; before the
// first full delta the error is ErrNoState.
func (r *Reconciler) Verify(ctx context.Context) (found int, err error) {
	req := make(verifyRequest, 1)
	select {
	case r.asked <- req:
	case <-ctx.Done():
		return 0, fmt.Errorf("verify host: %w", ctx.Err())
	}
	select {
	case a := <-req:
		return a.found, a.err
	case <-ctx.Done():
		return 0, fmt.Errorf("verify host: %w", ctx.Err())
	}
}

// verifyNow does what Verify promises.
func (r *Reconciler) verifyNow(ctx context.Context) verifyAnswer {
	if !r.adopted {
		return verifyAnswer{0, ErrNoState}
	}
	realms, err := r.candidates(ctx)
	if err != nil {
		return verifyAnswer{0, err}
	}
	r.awaitReading(ctx)
	found, err := r.verify(ctx, realms, r.cfg.ApplyTimeout)
	if err == nil {
		r.mu.Lock()
		r.verified = time.Now()
		r.mu.Unlock()
	}
	r.pass(ctx)
	r.tell()
	return verifyAnswer{found, err}
}
