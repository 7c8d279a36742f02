// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"maps"
	"time"

	"github.com/posternhq/postern/internal/desired"
)

// Report says how far the host is. Reports passed to Config.Report tell what
// changed since the one before; the one that Reconciler.Report gives is whole.
// The package comment says how to know from them that an entry is done.
type Report struct {
	// Full says that Failed is all that is in error, and that what was known
	// before is to be forgotten.
	Full bool
	// Revision is the settled revision: everything that deltas up to it asked
	// for is done or in error, but in the realms of Behind.
	Revision int64
	// Behind gives the realms that have not settled Revision, with the
	// revisions that they have settled: realms that do not answer, and those with
	// entries whose values are still to come. It is whole in each report.
	Behind map[desired.Realm]int64
	// Failed gives the reason for each entry that is in error now and was not,
	// or was for another reason. It includes entries that cannot be removed.
	Failed map[desired.Key]string
	// Recovered are entries that are in error no more. Nil in a full report.
	Recovered []desired.Key
	Counts
	// Repairs counts, since the start, the entries of each kind that were found
	// missing, changed or unknown after they had been done. The receiver owns
	// the map.
	Repairs map[desired.Kind]int64
	// LastVerify is when the last verification of all realms ended; zero
	// before the first one.
	LastVerify time.Time
}

// Counts are totals over the entries of a host.
type Counts struct {
	// Wanted entries should be there, Done ones are. Failed ones are in error,
	// among them some that should be gone.
	Wanted, Done, Failed int
}

// told is what has been reported.
type told struct {
	failed   map[desired.Key]string
	revision int64
	behind   map[desired.Realm]int64
	counts   Counts
	repairs  map[desired.Kind]int64
	verified time.Time
}

// Report gives the whole state of affairs, for a receiver that starts anew.
func (r *Reconciler) Report() Report {
	r.mu.Lock()
	defer r.mu.Unlock()
	report := r.summary()
	report.Full = true
	report.Failed = make(map[desired.Key]string)
	for it := range r.tbl.dirty {
		if it.state == Error {
			report.Failed[it.key] = it.message
		}
	}
	return report
}

// summary is a report without failures. The caller holds the lock.
func (r *Reconciler) summary() Report {
	report := Report{
		Revision:   r.settled,
		Behind:     maps.Clone(r.behind),
		Counts:     Counts{Wanted: r.tbl.wanted, Done: r.tbl.wanted},
		Repairs:    maps.Clone(r.repairs),
		LastVerify: r.verified,
	}
	r.holdBack(&report)
	for it := range r.tbl.dirty {
		if it.want != nil {
			report.Done--
		}
		if it.state == Error {
			report.Counts.Failed++
		}
	}
	return report
}

// tell reports what is new, if anything is. Its cost goes with the number of
// entries that are not done, not with the number of all.
func (r *Reconciler) tell() {
	if r.cfg.Report == nil || r.isRecalled() {
		return
	}
	report, news := r.news()
	if news {
		r.cfg.Report(report)
	}
}

// isRecalled reports whether the state is one that was wanted before, or the host is not
// adopted yet for the one after it.
func (r *Reconciler) isRecalled() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.recalled || r.anew
}

func (r *Reconciler) news() (report Report, news bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	report = r.summary()
	report.Failed = make(map[desired.Key]string)
	for k := range r.told.failed {
		if it := r.tbl.get(k); it == nil || it.state == Done {
			report.Recovered = append(report.Recovered, k)
			delete(r.told.failed, k)
		}
	}
	for it := range r.tbl.dirty {
		if it.state == Error && r.told.failed[it.key] != it.message {
			report.Failed[it.key] = it.message
			r.told.failed[it.key] = it.message
		}
	}
	news = len(report.Failed)+len(report.Recovered) > 0 ||
		report.Revision != r.told.revision || !maps.Equal(report.Behind, r.told.behind) || report.Counts != r.told.counts ||
		!maps.Equal(report.Repairs, r.told.repairs) || !report.LastVerify.Equal(r.told.verified)
	r.told.revision, r.told.counts = report.Revision, report.Counts
	r.told.behind = maps.Clone(report.Behind)
	r.told.repairs, r.told.verified = maps.Clone(report.Repairs), report.LastVerify
	return report, news
}
