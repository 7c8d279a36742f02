// SPDX-License-Identifier: Apache-2.0

package route53

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/route53"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// The limits of a batch and of a set:
// https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/DNSLimitations.html
const (
	batchValues     = 1000
	batchCharacters = 32000
	setValues       = 400
	setsOfOneName   = 100
)

// ChangeResourceRecordSets makes all changes of a batch, or none: each is held against the
// zone as those before it leave it, and all that is wrong is said at once.
func (a *API) ChangeResourceRecordSets(ctx context.Context, in *shape.ChangeResourceRecordSetsInput) (*shape.ChangeResourceRecordSetsOutput, error) {
	edits, err := readEdits(in.ChangeBatch.Changes)
	if err != nil {
		return nil, err
	}
	if problems := slices.Concat(checkSize(in.ChangeBatch.Changes), wrongIn(edits)); len(problems) > 0 {
		return nil, invalidBatch(problems)
	}
	who := access.From(ctx)
	change := a.newChange(who, in.ChangeBatch.Comment)
	var out *shape.ChangeResourceRecordSetsOutput
	_, err = a.DB.Update(ctx, func(tx *table.Txn) error {
		zone, err := findZone(tx, who, *in.HostedZoneId)
		if err != nil {
			return err
		}
		b := &batch{api: a, tx: tx, who: who, zone: zone, names: map[string][]*model.RecordSet{}, last: map[string]string{}}
		for _, e := range edits {
			b.apply(e)
		}
		b.checkWhole()
		if len(b.problems) > 0 {
			return invalidBatch(b.problems)
		}
		b.write()
		change.Zone = zone.Ref()
		state.ZoneChanges.Put(tx, change)
		out = &shape.ChangeResourceRecordSetsOutput{ChangeInfo: changeShape(tx, change)}
		return nil
	})
	return out, err
}

// invalidBatch says what is wrong with a batch: as a list, and as clients print it.
func invalidBatch(problems []string) error {
	e := fault.Route53("InvalidChangeBatch", "[%s]", strings.Join(problems, ", "))
	e.Messages = problems
	return e
}

// checkSize holds a batch against its limits, in which what may replace something counts
// twice.
func checkSize(changes []shape.Change) (problems []string) {
	values, characters := 0, 0
	for _, c := range changes {
		times := 1
		if *c.Action == shape.ChangeActionUpsert {
			times = 2
		}
		values += times * max(1, len(c.ResourceRecordSet.ResourceRecords))
		for _, r := range c.ResourceRecordSet.ResourceRecords {
			characters += times * len(*r.Value)
		}
	}
	if values > batchValues {
		problems = append(problems, fmt.Sprintf("Number of records limit of %d exceeded.", batchValues))
	}
	if characters > batchCharacters {
		problems = append(problems, fmt.Sprintf("Number of characters limit of %d exceeded.", batchCharacters))
	}
	return problems
}

// wrongIn gives what is wrong with edits whatever the zone has.
func wrongIn(edits []edit) (problems []string) {
	for _, e := range edits {
		problems = append(problems, e.problems...)
	}
	return problems
}

// batch is a zone while changes are made to it.
type batch struct {
	api  *API
	tx   *table.Txn
	who  access.View
	zone *model.HostedZone
	// names are the record sets, as changed so far, of the names that were looked at.
	names map[string][]*model.RecordSet
	// last are the actions on sets, by their row ids, and order the ids as they came.
	last  map[string]string
	order []edit
	// more is how many sets the zone has more than before.
	more     int
	problems []string
}

func (b *batch) wrong(format string, args ...any) {
	b.problems = append(b.problems, fmt.Sprintf(format, args...))
}

// sets gives those of a name of the zone.
func (b *batch) sets(name string) []*model.RecordSet {
	sets, ok := b.names[name]
	if !ok {
		sets = slices.Collect(state.RecordSetsByName.Rows(b.tx, state.ZoneName{Zone: b.zone.Ref(), Name: name}))
		b.names[name] = sets
	}
	return sets
}

// apply makes one change.
func (b *batch) apply(e edit) {
	r := e.set
	r.Account, r.Zone = b.zone.Account, b.zone.ID
	_, _, id := r.RowKey()
	before, twice := b.last[id]
	b.last[id] = e.action
	switch {
	case !model.NameWithin(r.Name, b.zone.Name):
		b.wrong("RRSet with DNS name %s is not permitted in zone %s", r.Name, b.zone.Name)
		return
	case twice && (before != shape.ChangeActionDelete || e.action == shape.ChangeActionDelete):
		b.wrong("The request contains an invalid set of changes for a resource record set '%s %s'", r.Type, r.Name)
		return
	case !twice:
		b.order = append(b.order, e)
	}
	sets := b.sets(r.Name)
	at := slices.IndexFunc(sets, func(s *model.RecordSet) bool { return s.Type == r.Type && s.Set == r.Set })
	switch {
	case e.action == shape.ChangeActionDelete && at < 0:
		b.wrong("Tried to delete resource record set %s but it was not found", called(r))
	case e.action == shape.ChangeActionDelete && !same(sets[at], r):
		b.wrong("Tried to delete resource record set %s but the values provided do not match the current values", called(r))
	case e.action == shape.ChangeActionDelete:
		b.names[r.Name] = slices.Delete(slices.Clone(sets), at, at+1)
		b.more--
	case e.action == shape.ChangeActionCreate && at >= 0:
		b.wrong("Tried to create resource record set %s but it already exists", called(r))
	case !b.fits(r, sets, at):
	case at >= 0:
		b.names[r.Name] = slices.Concat(sets[:at], []*model.RecordSet{r}, sets[at+1:])
	default:
		b.names[r.Name] = append(slices.Clone(sets), r)
		b.more++
	}
}

// called names a set as messages do.
func called(r *model.RecordSet) string {
	if r.Set != "" {
		return fmt.Sprintf("[name='%s', type='%s', set-identifier='%s']", r.Name, r.Type, r.Set)
	}
	return fmt.Sprintf("[name='%s', type='%s']", r.Name, r.Type)
}

// fits reports whether a set can be beside the others of its name, but for the one that it
// replaces, which is at a place, if there is one; it says what is wrong.
func (b *batch) fits(r *model.RecordSet, sets []*model.RecordSet, at int) bool {
	found := len(b.problems)
	if r.Type == shape.RRTypeCname && r.Name == b.zone.Name {
		b.wrong("RRSet of type CNAME with DNS name %s is not permitted at apex in zone %s", r.Name, b.zone.Name)
	}
	if r.Type == shape.RRTypeSoa && r.Name != b.zone.Name {
		b.wrong("RRSet of type SOA with DNS name %s is only permitted at apex in zone %s", r.Name, b.zone.Name)
	}
	alike := 0
	for i, other := range sets {
		switch {
		case i == at:
		case other.Type == r.Type:
			if alike++; alike == 1 {
				b.share(r, other)
			}
			if r.Routing == model.RoutingFailover && other.Routing == r.Routing && other.Secondary == r.Secondary {
				b.wrong("RRSet with DNS name %s, type %s, SetIdentifier %s cannot be created as a failover %s set exists with the same name and type.", r.Name, r.Type, r.Set, failoverOf(r))
			}
		case r.Type == shape.RRTypeCname:
			b.wrong("RRSet of type CNAME with DNS name %s is not permitted as it conflicts with other records with the same DNS name in zone %s", r.Name, b.zone.Name)
			return false
		case other.Type == shape.RRTypeCname:
			b.wrong("RRSet of type %s with DNS name %s is not permitted because a conflicting RRSet of type CNAME with the same DNS name already exists in zone %s", r.Type, r.Name, b.zone.Name)
			return false
		}
	}
	if alike >= setsOfOneName {
		b.wrong("RRSet with DNS name %s, type %s, SetIdentifier %s cannot be created as %d sets exist with the same name and type, the most there can be.", r.Name, r.Type, r.Set, alike)
	}
	return len(b.problems) == found
}

// share sees that a set can have its name and type in common with another one.
func (b *batch) share(r, other *model.RecordSet) {
	switch {
	case r.Routing == model.RoutingSimple:
		b.wrong("RRSet with DNS name %s, type %s cannot be created as other RRSets exist with the same name and type.", r.Name, r.Type)
	case r.Routing == model.RoutingMultivalue && other.Routing != model.RoutingMultivalue:
		b.wrong("RRSet with DNS name %s, type %s, SetIdentifier %s cannot be created because a non multivalue answer rrset exists with the same name and type.", r.Name, r.Type, r.Set)
	case r.Routing != other.Routing:
		b.wrong("RRSet with DNS name %s, type %s, SetIdentifier %s cannot be created as a non-%s set exists with the same name and type.", r.Name, r.Type, r.Set, r.Routing)
	}
}

// checkWhole looks at what only all changes together can make right.
func (b *batch) checkWhole() {
	if most := b.api.Quotas.RecordSetsPerZone; b.more > 0 && state.RecordSetsByZone.Count(b.tx, b.zone.Ref())+b.more > most {
		b.wrong("The hosted zone %s would have more than %d resource record sets, the most it can have.", b.zone.Name, most)
	}
	for _, kind := range []string{shape.RRTypeNs, shape.RRTypeSoa} {
		own := &model.RecordSet{Account: b.zone.Account, Zone: b.zone.ID, Name: b.zone.Name, Type: kind}
		_, _, id := own.RowKey()
		if b.last[id] == shape.ChangeActionDelete {
			b.wrong("A HostedZone must contain at least one %s record for the zone itself.", kind)
		}
	}
	for _, e := range b.order {
		_, _, id := e.set.RowKey()
		if b.last[id] == shape.ChangeActionDelete {
			continue
		}
		r := b.now(e.set)
		if r == nil {
			continue // what is wrong with it was said
		}
		if !r.Alias.IsZero() {
			b.checkAlias(r)
		}
		if r.Routing == model.RoutingWeighted && r.Alias.IsZero() && !b.sameTTL(r) {
			b.wrong("RRSet with DNS name %s, type %s, SetIdentifier %s cannot be created as weighted sets must contain the same TTL.", r.Name, r.Type, r.Set)
		}
	}
}

// now gives what has become of a set, nil if it is not there.
func (b *batch) now(r *model.RecordSet) *model.RecordSet {
	for _, s := range b.sets(r.Name) {
		if s.Type == r.Type && s.Set == r.Set {
			return s
		}
	}
	return nil
}

func (b *batch) sameTTL(r *model.RecordSet) bool {
	return !slices.ContainsFunc(b.sets(r.Name), func(s *model.RecordSet) bool {
		return s.Type == r.Type && s.Alias.IsZero() && s.TTL != r.TTL
	})
}

// write puts what has become of all sets that were changed.
func (b *batch) write() {
	for _, e := range b.order {
		if r := b.now(e.set); r != nil {
			state.RecordSets.Put(b.tx, r)
			continue
		}
		account, region, id := e.set.RowKey()
		state.RecordSets.Delete(b.tx, account, region, id)
	}
}
