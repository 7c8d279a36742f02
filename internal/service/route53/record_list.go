// SPDX-License-Identifier: Apache-2.0

package route53

import (
	"cmp"
	"context"
	"strconv"

	"github.com/posternhq/postern/internal/access"
	shape "github.com/posternhq/postern/internal/aws/shape/route53"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/state"
)

// recordSetsPerPage is how many record sets a list gives at once.
const recordSetsPerPage = 300

// start is where a list of record sets begins.
type start struct{ name, kind, set string }

// before reports whether a set comes before the start.
func (s start) before(r *model.RecordSet) bool {
	return cmp.Or(cmp.Compare(model.ReversedName(r.Name), s.name), cmp.Compare(r.Type, s.kind), cmp.Compare(r.Set, s.set)) < 0
}

// readStart reads where a list is to begin.
func readStart(in *shape.ListResourceRecordSetsInput) (start, error) {
	s := start{kind: service.Value(in.StartRecordType), set: service.Value(in.StartRecordIdentifier)}
	switch {
	case in.StartRecordName == nil && (in.StartRecordType != nil || in.StartRecordIdentifier != nil):
		return s, invalidInput("The input is not valid: StartRecordType and StartRecordIdentifier cannot be specified without StartRecordName.")
	case in.StartRecordName == nil:
		return s, nil
	case in.StartRecordType == nil && in.StartRecordIdentifier != nil:
		return s, invalidInput("The input is not valid: StartRecordIdentifier cannot be specified without StartRecordType.")
	}
	name, err := model.NormalName(*in.StartRecordName)
	if err != nil {
		return s, invalidInput("StartRecordName: %s", fatal(err))
	}
	s.name = model.ReversedName(name)
	return s, nil
}

// ListResourceRecordSets lists the record sets of a zone in the order of reversed names,
// types and identifiers, from the first one on that is not before the start, which need
// not exist.
func (a *API) ListResourceRecordSets(ctx context.Context, in *shape.ListResourceRecordSetsInput) (*shape.ListResourceRecordSetsOutput, error) {
	size, err := pageSize("MaxItems", in.MaxItems, recordSetsPerPage)
	if err != nil {
		return nil, err
	}
	from, err := readStart(in)
	if err != nil {
		return nil, err
	}
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	zone, err := findZone(tx, access.From(ctx), *in.HostedZoneId)
	if err != nil {
		return nil, err
	}
	out := &shape.ListResourceRecordSetsOutput{ResourceRecordSets: []shape.ResourceRecordSet{}, MaxItems: new(strconv.Itoa(size)), IsTruncated: new(false)}
	for r := range state.RecordSetsByZone.Rows(tx, zone.Ref()) {
		if from.name != "" && from.before(r) {
			continue
		}
		if len(out.ResourceRecordSets) == size {
			out.IsTruncated, out.NextRecordName, out.NextRecordType, out.NextRecordIdentifier = new(true), new(r.Name), new(r.Type), service.Optional(r.Set)
			break
		}
		out.ResourceRecordSets = append(out.ResourceRecordSets, recordShape(r))
	}
	return out, nil
}

func recordShape(r *model.RecordSet) shape.ResourceRecordSet {
	out := shape.ResourceRecordSet{Name: new(r.Name), Type: new(r.Type), SetIdentifier: service.Optional(r.Set)}
	switch r.Routing {
	case model.RoutingWeighted:
		out.Weight = new(r.Weight)
	case model.RoutingMultivalue:
		out.MultiValueAnswer = new(true)
	case model.RoutingFailover:
		out.Failover = new(failoverOf(r))
	}
	if alias := r.Alias; !alias.IsZero() {
		out.AliasTarget = &shape.AliasTarget{HostedZoneId: new(alias.Zone), DNSName: new(alias.Name), EvaluateTargetHealth: new(alias.Evaluate)}
		return out
	}
	out.TTL = new(r.TTL)
	for _, value := range r.Values {
		out.ResourceRecords = append(out.ResourceRecords, shape.ResourceRecord{Value: new(value)})
	}
	return out
}
