// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/posternhq/postern/internal/desired"
)

// ErrNoState means that there is nothing to compare a host with yet.
var ErrNoState = errors.New("no desired state yet")

// reading is what was found in one router.
type reading struct {
	vpc    string
	there  []desired.Entry
	exists bool
	err    error
}

// attempt is when a router that could not be read is tried next.
type attempt struct {
	count int
	due   time.Time
}

// read reads routers back, some at the same time. What comes later than patience
// is taken up when it comes.
func (r *Reconciler) read(ctx context.Context, vpcs []string, patience time.Duration) []reading {
	var (
		mu       sync.Mutex
		over     bool
		readings []reading
	)
	without := r.round(vpcs, patience, func(vpc string) {
		ctx, cancel := r.limited(ctx)
		defer cancel()
		rd := r.readOne(ctx, vpc)
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
	for _, vpc := range without {
		if !slices.ContainsFunc(readings, func(rd reading) bool { return rd.vpc == vpc }) {
			readings = append(readings, reading{vpc: vpc, err: errNotYet})
		}
	}
	slices.SortFunc(readings, func(a, b reading) int { return strings.Compare(a.vpc, b.vpc) })
	return readings
}

// takeLate takes up what slow routers have answered. Nothing was changed there
// meanwhile.
func (r *Reconciler) takeLate(ctx context.Context) {
	r.mu.Lock()
	late := r.late
	r.late = nil
	r.mu.Unlock()
	if len(late) == 0 {
		return
	}
	_, concerned, err := r.compareAll(late)
	if err == nil {
		_, err = r.verify(ctx, concerned, r.cfg.Patience)
	}
	if err != nil && ctx.Err() == nil {
		r.cfg.Logger.Warn("verification", "error", err)
	}
}

// readOne reads one router back. A router that seems empty or cannot be read
// may be one that does not exist, which is no error.
func (r *Reconciler) readOne(ctx context.Context, vpc string) reading {
	there, err := r.effects.Dump(ctx, vpc)
	if err == nil && len(there) > 0 {
		return reading{vpc: vpc, there: there, exists: true}
	}
	vpcs, listErr := r.existing(ctx)
	switch {
	case listErr != nil:
		return reading{vpc: vpc, err: errors.Join(err, listErr)}
	case !slices.Contains(vpcs, vpc):
		return reading{vpc: vpc}
	default:
		return reading{vpc: vpc, there: there, exists: true, err: err}
	}
}

// verify reads routers back and makes due what differs. Where a router or a
// link has to be remade, the routers at the other ends have lost something as
// well and are read too: also those that have been read, because what was lost
// may have been there still. Each loss is found once, so this comes to an end. It
// gives the number of differences.
func (r *Reconciler) verify(ctx context.Context, vpcs []string, patience time.Duration) (found int, err error) {
	var errs []error
	for len(vpcs) > 0 && ctx.Err() == nil {
		n, concerned, err := r.compareAll(r.read(ctx, vpcs, patience))
		found += n
		if err != nil {
			errs = append(errs, err)
		}
		slices.Sort(concerned)
		vpcs = slices.Compact(concerned)
	}
	return found, errors.Join(append(errs, ctx.Err())...)
}

// compareAll compares readings with what is wanted. Routers that could not be
// read are noted for another attempt.
func (r *Reconciler) compareAll(readings []reading) (found int, concerned []string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var errs []error
	for _, rd := range readings {
		if rd.err != nil {
			last := r.unread[rd.vpc].count
			r.unread[rd.vpc] = attempt{last + 1, time.Now().Add(r.cfg.delay(last + 1))}
			errs = append(errs, fmt.Errorf("read router of %s: %w", rd.vpc, rd.err))
			continue
		}
		delete(r.unread, rd.vpc)
		n, peers := r.compare(rd)
		if n > 0 && r.adopted {
			r.cfg.Logger.Warn("router differs, repairing", "router", rd.vpc, "entries", n)
		}
		found += n
		concerned = append(concerned, peers...)
	}
	return found, concerned, errors.Join(errs...)
}

// compare makes due what differs between one router and what is wanted in it,
// and sets at rest what is as wanted although that was not known. It gives the
// number of differences that nobody ordered, and the routers at the other end
// of what was lost. The caller holds the lock.
func (r *Reconciler) compare(rd reading) (found int, peers []string) {
	there := make(map[desired.Key]desired.Entry, len(rd.there))
	for _, e := range rd.there {
		if k := e.Key(); k.VPC == rd.vpc {
			there[k] = e
		}
	}
	for k, it := range r.tbl.routers[rd.vpc] {
		e, ok := there[k]
		delete(there, k)
		switch {
		case it.want == nil && !ok && !(k.Kind == desired.KindRouter && rd.exists):
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
	if rd.exists && !r.tbl.wants(rd.vpc) {
		// Nothing is wanted here: the router goes as a whole.
		router := desired.Entry(desired.Router{VPC: rd.vpc})
		there = map[desired.Key]desired.Entry{router.Key(): router}
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

// others gives the routers at the far ends of a router's or link's links.
func (r *Reconciler) others(it *item) []string {
	switch it.key.Kind {
	case desired.KindLink:
		return []string{it.key.ID}
	case desired.KindRouter:
		var vpcs []string
		for _, link := range r.tbl.links(it.key.VPC) {
			peer := link.key.VPC
			if peer == it.key.VPC {
				peer = link.key.ID
			}
			vpcs = append(vpcs, peer)
		}
		return vpcs
	default:
		return nil
	}
}

// candidates gives the routers that exist or should, sorted.
func (r *Reconciler) candidates(ctx context.Context) ([]string, error) {
	vpcs, err := r.existing(ctx)
	if err != nil {
		return nil, fmt.Errorf("list routers: %w", err)
	}
	vpcs = slices.Clone(vpcs)
	r.mu.Lock()
	for vpc := range r.tbl.routers {
		vpcs = append(vpcs, vpc)
	}
	r.mu.Unlock()
	slices.Sort(vpcs)
	return slices.Compact(vpcs), nil
}

// leastPause is the least time between two turns of the rotation.
const leastPause = 100 * time.Millisecond

// rotation shares the verification of all routers out over an interval.
type rotation struct {
	left  []string // routers whose turn is still to come
	slice int      // how many have their turn together
	pause time.Duration
	next  time.Time // of the next turn
}

// turn verifies the routers whose turn it is.
func (r *Reconciler) turn(ctx context.Context) {
	rot := &r.rounds
	if len(rot.left) == 0 {
		vpcs, err := r.candidates(ctx)
		if err != nil {
			r.cfg.Logger.Warn("verification", "error", err)
			rot.next = time.Now().Add(r.cfg.RetryMax)
			return
		}
		rot.begin(vpcs, r.cfg.VerifyInterval)
	}
	now := rot.left[:min(rot.slice, len(rot.left))]
	rot.left = rot.left[len(now):]
	rot.next = time.Now().Add(rot.pause)
	if _, err := r.verify(ctx, now, r.cfg.Patience); err != nil && ctx.Err() == nil {
		r.cfg.Logger.Warn("verification", "error", err)
	}
	if len(rot.left) == 0 && ctx.Err() == nil {
		r.mu.Lock()
		r.verified = time.Now()
		r.mu.Unlock()
	}
}

// begin deals out the routers of one round.
func (rot *rotation) begin(vpcs []string, interval time.Duration) {
	rot.left = vpcs
	turns := max(1, min(len(vpcs), int(interval/leastPause)))
	rot.slice = max(1, (len(vpcs)+turns-1)/turns)
	turns = max(1, (len(vpcs)+rot.slice-1)/rot.slice)
	rot.pause = interval / time.Duration(turns)
}

// retryUnread reads routers again that could not be read.
func (r *Reconciler) retryUnread(ctx context.Context) {
	var due []string
	for vpc, a := range r.unread {
		if !a.due.After(time.Now()) {
			due = append(due, vpc)
		}
	}
	slices.Sort(due)
	if _, err := r.verify(ctx, due, r.cfg.Patience); err != nil {
		r.cfg.Logger.Debug("verification", "error", err)
	}
}

// verifyRequest is a call of Verify: the channel takes its answer and has room
// for it.
type verifyRequest chan verifyAnswer

type verifyAnswer struct {
	found int
	err   error
}

// Verify reads every router back now and repairs what differs. It returns the
// number of differences found after one attempt to repair them was made;
// whether that went well is told by reports. Routers that could not be read are
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
	vpcs, err := r.candidates(ctx)
	if err != nil {
		return verifyAnswer{0, err}
	}
	found, err := r.verify(ctx, vpcs, r.cfg.ApplyTimeout)
	if err == nil {
		r.mu.Lock()
		r.verified = time.Now()
		r.mu.Unlock()
	}
	r.pass(ctx)
	r.tell()
	return verifyAnswer{found, err}
}
