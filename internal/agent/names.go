// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/posternhq/postern/internal/agent/follow"
	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/reconcile"
)

// kernelTargets are the targets that the kernel had when the agent was started.
type kernelTargets map[desired.Key]desired.Target

// noLookup is in the place of whoever looks names up.
type noLookup struct{}

// Lookup implements follow.Lookup.
func (noLookup) Lookup(context.Context, follow.Question) (follow.Answer, error) {
	return follow.Answer{}, errors.New("this host looks no names up")
}

// setUpNames makes the reconciler, and who follows names in front of it.
func (a *Agent) setUpNames() {
	cfg := a.cfg.Follow
	cfg.Logger = a.log
	cfg.Lookup = cmp.Or[follow.Lookup](cfg.Lookup, noLookup{})
	a.names = follow.New(cfg)
	a.cfg.Reconcile.Report = func(r reconcile.Report) { a.cfg.Sink.Report(a.asAsked(r)) }
	a.cfg.Reconcile.Found = func(all []desired.Entry) {
		a.had = kernelTargets{}
		for _, e := range all {
			if t, ok := e.(desired.Target); ok {
				a.had[t.Key()] = t
			}
		}
		close(a.found)
	}
	a.rec = reconcile.New(a.cfg.Effects, a.cfg.Reconcile)
}

// knowsFound waits until it is known what the kernel had, if a state that has names is
// the first one: their last good answers are there. False says that the agent ends.
func (a *Agent) knowsFound(ctx context.Context, d desired.Delta) bool {
	if !d.Full || !slices.ContainsFunc(d.Put, follow.IsFollowed) {
		return true
	}
	select {
	case <-a.found:
		return true
	case <-ctx.Done():
		return false
	}
}

// before tells what a target was before a name is followed: what the kernel had when
// the agent was started, or what the target has been since.
func (a *Agent) before(key desired.Key) (t desired.Target, former bool) {
	if e, ok := a.rec.Value(key).(desired.Target); ok {
		return e, true
	}
	if a.current {
		return t, false // what the kernel had was taken away, if nobody wanted it
	}
	select {
	case <-a.found:
		return a.had[key], false
	default:
		return t, false
	}
}

// forgetFound forgets what the kernel had, which is of no use after the first state.
func (a *Agent) forgetFound() {
	select {
	case <-a.found:
		a.had = nil
	default:
	}
}

// wanted is what the host was told.
func (a *Agent) wanted() []desired.Entry { return a.names.Original(a.rec.Wanted()) }

// asAsked gives a report about what the host was told: of names, and not of the targets
// that they were turned into. Of what has recovered both are named, as one may have come
// in the place of the other.
func (a *Agent) asAsked(r reconcile.Report) reconcile.Report {
	for key, reason := range r.Failed {
		if asked := a.names.Asked(key); asked != key {
			delete(r.Failed, key)
			r.Failed[asked] = reason
		}
	}
	for _, key := range r.Recovered {
		if asked := a.names.Asked(key); asked != key {
			r.Recovered = append(r.Recovered, asked)
		}
	}
	return r
}

// Names tells how it stands with each name that is followed.
func (a *Agent) Names() []follow.Observation { return a.names.Observations() }

// Health tells how it stands with each member of a target group that is asked.
func (a *Agent) Health() []follow.MemberHealth { return a.names.Health() }
