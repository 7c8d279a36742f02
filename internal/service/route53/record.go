// SPDX-License-Identifier: Apache-2.0

package route53

import (
	"fmt"
	"slices"
	"strings"

	shape "github.com/posternhq/postern/internal/aws/shape/route53"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
)

// edit is one change of a batch: an action, and the set that it is about, without its zone.
type edit struct {
	action   string
	set      *model.RecordSet
	problems []string
}

func (e *edit) wrong(format string, args ...any) {
	e.problems = append(e.problems, fmt.Sprintf(format, args...))
}

// readEdits reads the changes of a batch. The error is for what is no change of a record
// set; what is wrong with one that is one is in the edit.
func readEdits(changes []shape.Change) ([]edit, error) {
	var edits []edit
	for i := range changes {
		c := &changes[i]
		if err := checkForm(c); err != nil {
			return nil, err
		}
		e := edit{action: *c.Action}
		e.read(c.ResourceRecordSet)
		edits = append(edits, e)
	}
	return edits, nil
}

// policies are the routing policies that a set names, as Route 53 calls their members.
func policies(in *shape.ResourceRecordSet) (names []string) {
	for _, p := range []struct {
		name string
		has  bool
	}{
		{"Weight", in.Weight != nil}, {"Region", in.Region != nil}, {"Failover", in.Failover != nil}, {"GeoLocation", in.GeoLocation != nil},
		{"MultiValueAnswer", service.Value(in.MultiValueAnswer)}, {"CidrRoutingConfig", in.CidrRoutingConfig != nil}, {"GeoProximityLocation", in.GeoProximityLocation != nil},
	} {
		if p.has {
			names = append(names, p.name)
		}
	}
	return names
}

// checkForm wants a change to have what goes together, and nothing that is not served.
func checkForm(c *shape.Change) error {
	in := c.ResourceRecordSet
	which := fmt.Sprintf("Change with [Action=%s, Name=%s, Type=%s, SetIdentifier=%s]", *c.Action, *in.Name, *in.Type, textOrNull(in.SetIdentifier))
	named := policies(in)
	for _, name := range named {
		if !slices.Contains([]string{"Weight", "Failover", "MultiValueAnswer"}, name) {
			return invalidInput("Invalid request: the routing policy %s is not served here in %s; Weight, Failover and MultiValueAnswer are.", name, which)
		}
	}
	data, rest := in.ResourceRecords != nil, in.TTL != nil
	switch {
	case !model.ServedRecordType(*in.Type):
		return invalidInput("Invalid request: records of type %s are not served here in %s; A, AAAA, CAA, CNAME, MX, NS, PTR, SOA, SRV and TXT are.", *in.Type, which)
	case in.HealthCheckId != nil:
		return invalidInput("Invalid request: health checks are not served here; leave HealthCheckId out in %s", which)
	case in.TrafficPolicyInstanceId != nil:
		return invalidInput("Invalid request: traffic policies are not served here; leave TrafficPolicyInstanceId out in %s", which)
	case in.SetIdentifier == nil && len(named) > 0:
		return invalidInput("Invalid request: Missing field 'SetIdentifier' in %s", which)
	case in.SetIdentifier != nil && len(named) != 1:
		return invalidInput("Invalid request: Expected exactly one of [Weight, Region, Failover, GeoLocation, MultiValueAnswer, CidrRoutingConfig, or GeoProximityLocation], but found %s in %s", howMany(len(named)), which)
	case in.AliasTarget == nil && !data && !rest:
		return invalidInput("Invalid request: Expected exactly one of [AliasTarget, all of [TTL, and ResourceRecords], or TrafficPolicyInstanceId], but found none in %s", which)
	case in.AliasTarget != nil && (data || rest):
		return invalidInput("Invalid request: Expected exactly one of [AliasTarget, all of [TTL, and ResourceRecords], or TrafficPolicyInstanceId], but found more than one in %s", which)
	case in.AliasTarget == nil && !rest:
		return invalidInput("Invalid request: Missing field 'TTL' in %s", which)
	case in.AliasTarget == nil && len(in.ResourceRecords) == 0:
		return invalidInput("Invalid request: Missing field 'ResourceRecords' in %s", which)
	}
	return nil
}

func textOrNull(text *string) string {
	if text == nil {
		return "null"
	}
	return *text
}

func howMany(n int) string {
	if n == 0 {
		return "none"
	}
	return "more than one"
}

// read reads a set whose form is right.
func (e *edit) read(in *shape.ResourceRecordSet) {
	r := &model.RecordSet{Name: *in.Name, Type: *in.Type, Set: service.Value(in.SetIdentifier), TTL: service.Value(in.TTL)}
	e.set = r
	switch {
	case in.Weight != nil:
		r.Routing, r.Weight = model.RoutingWeighted, *in.Weight
	case in.Failover != nil:
		r.Routing, r.Secondary = model.RoutingFailover, *in.Failover == shape.ResourceRecordSetFailoverSecondary
	case service.Value(in.MultiValueAnswer):
		r.Routing = model.RoutingMultivalue
	}
	name, err := model.NormalName(r.Name)
	if err != nil {
		e.wrong("%s", fatal(err))
	} else {
		r.Name = name
	}
	if in.AliasTarget != nil {
		e.readAlias(in.AliasTarget)
	} else {
		e.readValues(in.ResourceRecords)
	}
	e.checkKind()
}

func (e *edit) readAlias(in *shape.AliasTarget) {
	name, err := model.NormalName(*in.DNSName)
	if err != nil {
		e.wrong("%s", fatal(err))
	}
	e.set.Alias = model.AliasTarget{Zone: bareID(zonePrefix, *in.HostedZoneId), Name: name, Evaluate: *in.EvaluateTargetHealth}
}

func (e *edit) readValues(in []shape.ResourceRecord) {
	r := e.set
	if len(in) > setValues {
		e.wrong("Cannot have more than %d records in a RRSet.", setValues)
		return
	}
	seen := map[string]bool{}
	for _, record := range in {
		r.Values = append(r.Values, *record.Value)
		form, err := model.RecordData(r.Type, *record.Value)
		switch {
		case err != nil:
			e.wrong("Invalid Resource Record: '%s'", fatal(err))
		case seen[form]:
			e.wrong("Duplicate Resource Record: '%s'", *record.Value)
		}
		seen[form] = true
	}
}

// checkKind holds a set against the rules of its type and its routing policy.
func (e *edit) checkKind() {
	r := e.set
	alone := r.Type == shape.RRTypeCname || r.Type == shape.RRTypeSoa || r.Routing == model.RoutingWeighted
	switch {
	case alone && len(r.Values) > 1:
		e.wrong("RRSet of type %s with DNS name %s has %d resource records; it can have one", r.Type, r.Name, len(r.Values))
	case !r.Alias.IsZero() && (r.Type == shape.RRTypeNs || r.Type == shape.RRTypeSoa):
		e.wrong("RRSet of type %s with DNS name %s cannot be an alias", r.Type, r.Name)
	case r.Set != "" && (r.Type == shape.RRTypeNs || r.Type == shape.RRTypeSoa):
		e.wrong("RRSet of type %s with DNS name %s cannot have a routing policy", r.Type, r.Name)
	case r.Routing == model.RoutingMultivalue && (!r.Alias.IsZero() || r.Type == shape.RRTypeCname):
		e.wrong("RRSet with DNS name %s, type %s, SetIdentifier %s cannot be a multivalue answer: aliases and CNAME records cannot be any", r.Name, r.Type, r.Set)
	case r.Type == shape.RRTypeNs && strings.HasPrefix(r.Name, model.WildcardLabel+"."):
		e.wrong("RRSet of type NS with DNS name %s is not permitted: a wildcard cannot have NS records", r.Name)
	}
}

// failoverOf is which one of its name and type a set is.
func failoverOf(r *model.RecordSet) string {
	if r.Secondary {
		return shape.ResourceRecordSetFailoverSecondary
	}
	return shape.ResourceRecordSetFailoverPrimary
}

// same reports whether two sets of one name, type and identifier say the same.
func same(a, b *model.RecordSet) bool {
	return a.TTL == b.TTL && a.Alias == b.Alias && a.Routing == b.Routing && a.Weight == b.Weight && a.Secondary == b.Secondary &&
		slices.Equal(forms(a), forms(b))
}

// forms gives the normal forms of a set's values, sorted.
func forms(r *model.RecordSet) []string { return slices.Sorted(slices.Values(r.Data())) }
