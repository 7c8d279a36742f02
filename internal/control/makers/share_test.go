// SPDX-License-Identifier: Apache-2.0

package makers

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

const (
	patience = 12 * time.Hour
	receiver = "444455556666"
)

// invite puts an invitation to a share, and its receiver among the share's principals.
func invite(tx *table.Txn, share, id string, expires time.Time) {
	state.ShareAssociations.Put(tx, &model.ShareAssociation{Account: account, Region: region, Share: share, Principal: receiver, External: true, Invited: true})
	state.ShareInvitations.Put(tx, &model.ShareInvitation{
		Account: account, Region: region, ID: id, Share: share, Receiver: receiver, State: model.InvitationPending, ExpiresAt: expires,
	})
}

// accept answers an invitation as its receiver does.
func accept(tx *table.Txn, share, id string) {
	i, _ := state.ShareInvitations.Get(tx, account, region, id)
	i = i.Clone()
	i.State, i.AnsweredAt = model.InvitationAccepted, time.Now()
	state.ShareInvitations.Put(tx, i)
	a, _ := state.ShareAssociations.Get(tx, account, region, model.SharePrincipalID(share, receiver))
	a = a.Clone()
	a.Invited = false
	state.ShareAssociations.Put(tx, a)
}

// sharing tells the shares that there are, what they have and whom, and the invitations.
func (w *world) sharing() string {
	var all []string
	tx := w.db.Snapshot()
	for s := range state.ResourceShares.All(tx) {
		all = append(all, s.ID)
	}
	for a := range state.ShareAssociations.All(tx) {
		text := a.Share + ":" + a.Entity()
		if a.Invited {
			text += "?"
		}
		all = append(all, text)
	}
	for i := range state.ShareInvitations.All(tx) {
		all = append(all, i.ID+"="+strings.ToLower(string(i.State)))
	}
	return strings.Join(all, " ")
}

func (w *world) shares(when, want string) {
	w.Helper()
	if got := w.sharing(); got != want {
		w.Errorf("%s there is %q, want %q", when, got, want)
	}
}

// TestInvitationsExpire on the second, also those that did while nobody ran. Who has not
// answered is no principal any more; who was invited again still is, and who has accepted.
// A week later nothing tells of them.
func TestInvitationsExpire(t *testing.T) {
	const week = 7 * 24 * time.Hour
	run(t, nil, func(w *world) {
		start := time.Now()
		w.update(func(tx *table.Txn) {
			for i, id := range []string{"a", "b", "c", "d"} {
				state.ResourceShares.Put(tx, &model.ResourceShare{Meta: model.Meta{Account: account, Region: region, ID: id}})
				invite(tx, id, "i"+id, start.Add(patience+time.Duration(i)*time.Hour))
			}
		})
		_, stop := w.start(w.db, nil, Shares{})
		w.update(func(tx *table.Txn) { accept(tx, "d", "id") })
		w.elapse(patience - time.Second)
		const all = "a b c d a:444455556666? b:444455556666? c:444455556666? d:444455556666 "
		w.shares("before the first expires", all+"ia=pending ib=pending ic=pending id=accepted")
		w.elapse(time.Second)
		w.shares("when it expires", strings.Replace(all, "a:444455556666? ", "", 1)+"ia=expired ib=pending ic=pending id=accepted")
		again := time.Now().Add(patience)
		w.update(func(tx *table.Txn) { invite(tx, "b", "ib2", again) })
		w.elapse(time.Hour)
		w.shares("when one expires whose receiver was invited again",
			"a b c d b:444455556666? c:444455556666? d:444455556666 ia=expired ib=expired ib2=pending ic=pending id=accepted")
		stop()
		w.elapse(patience)
		_, stop = w.start(w.db, nil, Shares{})
		w.shares("when somebody runs again", "a b c d d:444455556666 ia=expired ib=expired ib2=expired ic=expired id=accepted")
		w.elapse(time.Until(start.Add(week)) - time.Second)
		w.shares("before the accepted one is forgotten", "a b c d d:444455556666 ia=expired ib=expired ib2=expired ic=expired id=accepted")
		w.elapse(time.Second)
		w.shares("a week after it was accepted", "a b c d d:444455556666 ia=expired ib=expired ib2=expired ic=expired")
		w.elapse(time.Until(again.Add(week)) - time.Second)
		w.shares("before the last one is forgotten", "a b c d d:444455556666 ib2=expired")
		w.elapse(time.Second)
		w.shares("in the end", "a b c d d:444455556666")
		stop()
	})
}

// TestAnInvitationIsAcceptedBeforeItIsSeenToExpire: what the maker has seen is not what it
// changes.
func TestAnInvitationIsAcceptedBeforeItIsSeenToExpire(t *testing.T) {
	run(t, nil, func(w *world) {
		w.update(func(tx *table.Txn) {
			state.ResourceShares.Put(tx, &model.ResourceShare{Meta: model.Meta{Account: account, Region: region, ID: "a"}})
			invite(tx, "a", "ia", time.Now().Add(patience))
		})
		late := Shares{}.Ask(w.db.Snapshot(), time.Now().Add(patience))
		w.update(func(tx *table.Txn) { accept(tx, "a", "ia") })
		for _, c := range late.Changes {
			w.update(func(tx *table.Txn) {
				if err := c.Make(tx); err != nil {
					w.Error(err)
				}
			})
		}
		w.shares("when it was accepted meanwhile", "a a:444455556666 ia=accepted")
		if len(late.Changes) != 1 {
			w.Errorf("%d changes, want one", len(late.Changes))
		}
	})
}

// TestDeletedSharesAreCleared at once of what they have, however much that is, and are
// shown for two hours more. Others keep theirs.
func TestDeletedSharesAreCleared(t *testing.T) {
	const many = 3 * atOnce
	run(t, nil, func(w *world) {
		for _, id := range []string{"a", "b"} {
			w.update(func(tx *table.Txn) {
				state.ResourceShares.Put(tx, &model.ResourceShare{Meta: model.Meta{Account: account, Region: region, ID: id}})
				state.ShareAssociations.Put(tx, &model.ShareAssociation{Account: account, Region: region, Share: id, ResourceARN: "arn-" + id})
				invite(tx, id, "i"+id, time.Now().Add(100*patience))
			})
		}
		for from := 0; from < many; from += 50 {
			w.update(func(tx *table.Txn) {
				for i := range 50 {
					state.ShareAssociations.Put(tx, &model.ShareAssociation{Account: account, Region: region, Share: "a", Principal: fmt.Sprintf("%012d", from+i)})
				}
			})
		}
		_, stop := w.start(w.db, nil, Shares{})
		defer stop()
		w.update(func(tx *table.Txn) {
			s, _ := state.ResourceShares.Get(tx, account, region, "a")
			s = s.Clone()
			s.Delete(time.Now())
			state.ResourceShares.Put(tx, s)
		})
		w.elapse(time.Minute)
		w.shares("when it is cleared", "a b b:444455556666? b:arn-b ib=pending")
		w.elapse(2*time.Hour - time.Minute - time.Second)
		w.shares("while it is shown", "a b b:444455556666? b:arn-b ib=pending")
		w.elapse(time.Second)
		w.shares("two hours later", "b b:444455556666? b:arn-b ib=pending")
	})
}
