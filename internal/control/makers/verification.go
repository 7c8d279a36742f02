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

// Verifications looks for the records by which accounts show that domains are their own, and
// private names of their endpoint services, when it is time to.
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
	for s := range state.EndpointServicesByNext.Rows(tx) {
		if !a.due(s.Verification.NextAt, now) {
			break
		}
		a.Looks = append(a.Looks, Look{s.ID, func(ctx context.Context) func(*table.Txn) error { return m.lookForService(ctx, s, now) }})
	}
	return a
}

// look looks for the record of a verification, and gives what notes what was seen, unless
// somebody has noted something meanwhile.
func (m Verifications) look(ctx context.Context, seen *model.DomainVerification, now time.Time) func(*table.Txn) error {
	problem, missing := m.seek(ctx, seen.RecordName(), seen.Value)
	return still(state.DomainVerifications, seen, func(tx *table.Txn, v *model.DomainVerification) {
		if !v.NextAt.Equal(seen.NextAt) {
			return
		}
		v = v.Clone()
		v.Looked(now, problem, missing)
		state.DomainVerifications.Put(tx, v)
	})
}

// lookForService is look for the private name of an endpoint service. What was found once is
// looked for no more, as on AWS.
func (m Verifications) lookForService(ctx context.Context, seen *model.EndpointService, now time.Time) func(*table.Txn) error {
	problem, missing := m.seek(ctx, seen.RecordName(), seen.Verification.Value)
	return still(state.EndpointServices, seen, func(tx *table.Txn, s *model.EndpointService) {
		if !s.Verification.NextAt.Equal(seen.Verification.NextAt) || s.RecordName() != seen.RecordName() {
			return
		}
		s = s.Clone()
		if s.Verification.Looked(now, problem, missing); s.Verification.State == model.DomainVerified {
			s.Verification.NextAt = time.Time{}
		}
		state.EndpointServices.Put(tx, s)
	})
}

// seek looks for a TXT record with a text, and says what is wrong when it is not seen, and
// whether somebody who must know said that it is not there.
func (m Verifications) seek(ctx context.Context, record, value string) (problem string, missing bool) {
	name, err := model.NormalName(record)
	var texts []string
	if err == nil {
		texts, err = m.Texts(ctx, name)
	}
	switch {
	case err != nil:
		return err.Error(), false
	case len(texts) == 0:
		return fmt.Sprintf("%s has no TXT record; it must have %q", record, value), true
	case !slices.Contains(texts, value):
		return fmt.Sprintf("of the TXT records of %s none is %q; the first one is %.100q", record, value, texts[0]), true
	}
	return "", false
}
