// SPDX-License-Identifier: Apache-2.0

package makers

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// Texts gives the texts of the TXT records that a name has in public, which no VPC's zones
// have a say in. A name that is not there has none; an error is that nobody knows.
type Texts func(ctx context.Context, name string) ([]string, error)

// Verifications looks for the records by which accounts show that domains are their own,
// when it is time to.
type Verifications struct{ Texts Texts }

// Name implements Maker.
func (Verifications) Name() string { return "verification of domains" }

// Ask implements Maker.
func (m Verifications) Ask(tx *table.Txn, now time.Time) Answer {
	var a Answer
	for v := range state.DomainVerificationsByNext.Rows(tx) {
		if !a.due(v.NextAt, now) {
			break
		}
		a.Looks = append(a.Looks, Look{v.ID, func(ctx context.Context) func(*table.Txn) error { return m.look(ctx, v, now) }})
	}
	return a
}

// look looks for the record of a verification, and gives what notes what was seen, unless
// somebody has noted something meanwhile.
func (m Verifications) look(ctx context.Context, seen *model.DomainVerification, now time.Time) func(*table.Txn) error {
	name, err := model.NormalName(seen.RecordName())
	var texts []string
	if err == nil {
		texts, err = m.Texts(ctx, name)
	}
	problem, missing := "", false
	switch {
	case err != nil:
		problem = err.Error()
	case len(texts) == 0:
		problem, missing = fmt.Sprintf("%s has no TXT record; it must have %q", seen.RecordName(), seen.Value), true
	case !slices.Contains(texts, seen.Value):
		problem, missing = fmt.Sprintf("of the TXT records of %s none is %q; the first one is %.100q", seen.RecordName(), seen.Value, texts[0]), true
	}
	return still(state.DomainVerifications, seen, func(tx *table.Txn, v *model.DomainVerification) {
		if !v.NextAt.Equal(seen.NextAt) {
			return
		}
		v = v.Clone()
		v.Looked(now, problem, missing)
		state.DomainVerifications.Put(tx, v)
	})
}
