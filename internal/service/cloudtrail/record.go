// SPDX-License-Identifier: Apache-2.0

package cloudtrail

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	shape "github.com/posternhq/postern/internal/aws/shape/cloudtrail"
	"github.com/posternhq/postern/internal/service"
)

// query is what is looked for.
type query struct {
	region  string
	others  bool // events of regions that are not served are this region's
	regions []string
	// start and end bound the time; both belong to it.
	start, end time.Time
	key, value string // empty for any
}

// disorder is how much later than one behind it a record of the log can have been: they
// are in the order of time, but for what moved the clock.
const disorder = time.Hour

// record is what can be looked for in an event.
type record struct {
	UserIdentity struct {
		Type, PrincipalID, UserName, AccessKeyID string
	}
	EventTime                                  time.Time
	EventSource, EventName, AwsRegion, EventID string
	ReadOnly                                   bool
	Resources                                  []struct{ Type, ARN string }
}

// find gives the event of a line if it is one that is looked for, and says whether
// earlier ones may be, too. A line that is none is nothing.
func (q *query) find(line []byte) (event *shape.Event, more bool) {
	at, ok := timeOf(line)
	switch {
	case !ok:
		return nil, true
	case at.Before(q.start):
		return nil, at.After(q.start.Add(-disorder))
	case at.After(q.end), !q.mayHave(line):
		return nil, true
	}
	var r record
	if json.Unmarshal(line, &r) != nil || !q.matches(&r) {
		return nil, true
	}
	event = &shape.Event{
		EventId: &r.EventID, EventName: &r.EventName, EventSource: &r.EventSource, EventTime: &r.EventTime,
		ReadOnly: new(strconv.FormatBool(r.ReadOnly)), AccessKeyId: service.Optional(r.UserIdentity.AccessKeyID),
		Username: service.Optional(r.username()), Resources: []shape.Resource{}, CloudTrailEvent: new(string(line)),
	}
	for _, res := range r.Resources {
		event.Resources = append(event.Resources, shape.Resource{ResourceType: new(res.Type), ResourceName: new(nameOf(res.ARN))})
	}
	return event, true
}

var timeKey = []byte(`"eventTime":"`)

// timeOf reads the time of a record without the rest. The quotation marks of values are
// escaped, so that no value can be taken for the key.
func timeOf(line []byte) (time.Time, bool) {
	_, rest, ok := bytes.Cut(line, timeKey)
	text, _, end := bytes.Cut(rest, []byte{'"'})
	if !ok || !end {
		return time.Time{}, false
	}
	at, err := time.Parse(time.RFC3339, string(text))
	return at, err == nil
}

// mayHave leaves out most records without reading them: what is looked for stands in
// those that have it as it is, if it needs no escapes.
func (q *query) mayHave(line []byte) bool {
	switch q.key {
	case "EventId", "EventName", "EventSource", "AccessKeyId", "ResourceName":
		plain := !strings.ContainsFunc(q.value, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`"\<>&`, r) })
		return !plain || bytes.Contains(line, []byte(q.value))
	}
	return true
}

func (q *query) matches(r *record) bool {
	if r.AwsRegion != q.region && (!q.others || slices.Contains(q.regions, r.AwsRegion)) {
		return false
	}
	switch q.key {
	case "EventId":
		return r.EventID == q.value
	case "EventName":
		return r.EventName == q.value
	case "EventSource":
		return r.EventSource == q.value
	case "AccessKeyId":
		return r.UserIdentity.AccessKeyID == q.value
	case "ReadOnly":
		return strconv.FormatBool(r.ReadOnly) == q.value
	case "Username":
		return r.username() == q.value
	}
	if q.key == "" {
		return true
	}
	for _, res := range r.Resources {
		if q.key == "ResourceType" && res.Type == q.value || q.key == "ResourceName" && (res.ARN == q.value || nameOf(res.ARN) == q.value) {
			return true
		}
	}
	return false
}

// username is whom CloudTrail shows: the user, the name of the session, or root.
func (r *record) username() string {
	switch id := &r.UserIdentity; id.Type {
	case "Root":
		return "root"
	case "AssumedRole", "FederatedUser":
		_, name, _ := strings.Cut(id.PrincipalID, ":")
		return name
	default:
		return id.UserName
	}
}

// nameOf is the name in an ARN that users know: an id, or the name without its path.
func nameOf(arn string) string { return arn[strings.LastIndexAny(arn, ":/")+1:] }
