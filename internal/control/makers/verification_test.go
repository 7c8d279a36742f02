// SPDX-License-Identifier: Apache-2.0

package makers

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

func verification(i int) *model.DomainVerification {
	return &model.DomainVerification{Meta: row(fmt.Sprint("dv-", i)), Domain: fmt.Sprintf("Example%d.com", i), Label: "_one", Value: "vpc-lattice:one"}
}

// wavering says different things of different names, and always the same of each.
func wavering(_ context.Context, name string) ([]string, error) {
	switch name {
	case "_one.example0.com.":
		return []string{"v=spf1 -all", "vpc-lattice:one"}, nil
	case "_one.example1.com.":
		return nil, errors.New("nobody answers")
	}
	return nil, nil
}

// drawVerifications gives some in all states, to be looked at at any time or never.
func drawVerifications(t *rapid.T, at *rapid.Generator[time.Time]) func(*table.Txn) {
	var all []*model.DomainVerification
	for i := range rapid.IntRange(0, 5).Draw(t, "verifications") {
		v := verification(i)
		v.State = rapid.SampledFrom([]string{model.DomainPending, model.DomainVerified, model.DomainTimedOut}).Draw(t, "state")
		v.Since = at.Draw(t, "since")
		if v.State != model.DomainTimedOut {
			v.NextAt = v.Since.Add(time.Duration(rapid.IntRange(0, 90).Draw(t, "hours")) * time.Hour)
		}
		all = append(all, v)
	}
	return func(tx *table.Txn) {
		for _, v := range all {
			state.DomainVerifications.Put(tx, v)
		}
	}
}

// public is what names have in public, and how often it was asked.
type public struct {
	mu    sync.Mutex
	texts []string
	err   error
	count int
	name  string
}

// say changes what is answered from now on.
func (p *public) say(err error, texts ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.texts, p.err = texts, err
}

// asked tells how often names were looked for, and which was last.
func (p *public) asked() (count int, name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.count, p.name
}

// look is Texts; it takes as long as a slow name server.
func (p *public) look(ctx context.Context, name string) ([]string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count, p.name = p.count+1, name
	texts, err := p.texts, p.err
	select {
	case <-time.After(time.Second):
		return texts, err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// A domain is looked at again and again, ever more seldom, until its record is there, and
// then daily. A server that does not answer takes nothing away; a record that is gone does,
// but for endpoints that were there. After three days nobody looks any more.
func TestDomainsAreVerifiedInTime(t *testing.T) {
	run(t, nil, func(w *world) {
		p := &public{texts: []string{"vpc-lattice:another"}}
		begun := time.Now()
		w.update(func(tx *table.Txn) {
			v := verification(1)
			v.Await(begun)
			state.DomainVerifications.Put(tx, v)
		})
		_, stop := w.start(w.db, nil, Verifications{p.look})
		defer stop()
		now := func() *model.DomainVerification {
			v, _ := state.DomainVerifications.Get(w.db.Snapshot(), account, region, "dv-1")
			return v
		}
		count := func() int {
			n, _ := p.asked()
			return n
		}
		expect := func(when, want string, least, most int) {
			w.Helper()
			if v, asked := now(), count(); v.State != want || asked < least || asked > most {
				w.Errorf("%s it is %s, and was looked for %d times; want %s after %d to %d times", when, v.State, asked, want, least, most)
			}
		}
		w.elapse(9 * time.Second)
		expect("before the first look", model.DomainPending, 0, 0)
		w.elapse(2 * time.Second)
		expect("after the first look", model.DomainPending, 1, 1)
		if _, name := p.asked(); name != "_one.example1.com." || now().Problem == "" {
			w.Errorf("%s was looked for, and the problem is %q", name, now().Problem)
		}
		w.elapse(10 * time.Hour)
		expect("after hours", model.DomainPending, 16, 24)
		p.say(nil, "vpc-lattice:another", "vpc-lattice:one")
		w.elapse(time.Hour + time.Minute)
		expect("within an hour of the record", model.DomainVerified, 17, 25)

		before := time.Now()
		asked := count()
		p.say(errors.New("nobody answers"))
		w.elapse(25 * time.Hour)
		expect("without an answer", model.DomainVerified, asked+1, asked+3)
		p.say(nil)
		w.elapse(2 * time.Hour)
		expect("without the record", model.DomainPending, asked+2, 200)
		if v := now(); !v.HoldsFor(before) || v.HoldsFor(time.Now()) {
			w.Errorf("it lapsed at %v; for endpoints of before it holds %v, for new ones %v", v.LapsedAt, v.HoldsFor(before), v.HoldsFor(time.Now()))
		}
		p.say(nil, "vpc-lattice:one")
		w.elapse(2 * time.Hour)
		expect("with the record again", model.DomainVerified, asked+3, 200)
		asked = count()
		w.elapse(10 * 24 * time.Hour)
		expect("in ten days", model.DomainVerified, asked+9, asked+10)

		p.say(nil)
		w.elapse(24 * time.Hour)
		lapsed := now().LapsedAt
		w.elapse(time.Until(lapsed.Add(model.DomainPatience - time.Minute)))
		expect("shortly before the end of patience", model.DomainPending, asked, 1000)
		w.elapse(2 * time.Minute)
		expect("after it", model.DomainTimedOut, asked, 1000)
		asked = count()
		p.say(nil, "vpc-lattice:one")
		w.elapse(100 * 24 * time.Hour)
		expect("long after it", model.DomainTimedOut, asked, asked)
	})
}

// TestPrivateNamesOfServicesAreVerified by their records, when that is asked for, and then
// looked for no more; a name that changes meanwhile is another one.
func TestPrivateNamesOfServicesAreVerified(t *testing.T) {
	asked := &model.EndpointService{
		Meta: row("vpce-svc-1"), PrivateName: "*.Example0.com",
		Verification: model.ServiceVerification{Label: "_one", Value: "vpc-lattice:one"},
	}
	for name, c := range map[string]struct {
		change func(s *model.EndpointService) // before it is asked
		later  func(s *model.EndpointService) // while it is looked for
		want   string
	}{
		"it is there":     {want: model.DomainVerified},
		"nobody answers":  {change: func(s *model.EndpointService) { s.PrivateName = "example1.com" }, want: model.DomainPending},
		"it is not there": {change: func(s *model.EndpointService) { s.PrivateName = "example2.com" }, want: model.DomainPending},
		"for too long": {change: func(s *model.EndpointService) {
			s.PrivateName, s.Verification.Since = "example2.com", s.Verification.Since.Add(-model.DomainPatience)
		}, want: model.DomainTimedOut},
		"another name by now":   {later: func(s *model.EndpointService) { s.PrivateName = "example2.com" }, want: model.DomainPending},
		"nobody asked for that": {change: func(s *model.EndpointService) { s.Verification.Proof = model.Proof{} }},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, nil, func(w *world) {
				now := time.Unix(1000, 0)
				s := asked.Clone()
				s.Verification.Await(now.Add(-time.Minute))
				if c.change != nil {
					c.change(s)
				}
				put := func() { w.update(func(tx *table.Txn) { state.EndpointServices.Put(tx, s) }) }
				put()
				answer := Verifications{wavering}.Ask(w.db.Snapshot(), now)
				if (len(answer.Looks) == 1) != (c.want != "") {
					w.Fatalf("it is looked for %d times", len(answer.Looks))
				}
				for _, l := range answer.Looks {
					note := l.See(w.Context())
					if c.later != nil {
						s = s.Clone()
						c.later(s)
						put()
					}
					w.update(func(tx *table.Txn) {
						if err := note(tx); err != nil {
							w.Error(err)
						}
					})
				}
				got, _ := state.EndpointServices.Get(w.db.Snapshot(), s.Account, s.Region, s.ID)
				if v := got.Verification; v.State != c.want || v.NextAt.IsZero() != (c.want != model.DomainPending) {
					w.Errorf("it is %+v", v)
				}
			})
		})
	}
}
