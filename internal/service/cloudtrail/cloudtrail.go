// SPDX-License-Identifier: Apache-2.0

// Package cloudtrail answers what was asked of the APIs: LookupEvents of AWS CloudTrail
// over the audit log. There are no trails to be made, everything is always recorded.
package cloudtrail

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/cloudtrail"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/trail"
)

// API implements the operations of CloudTrail.
type API struct {
	*service.Env
	Trail Trail
}

var _ shape.API = (*API)(nil)

// Trail is where records are read, see trail.Trail.
type Trail interface {
	Backwards(ctx context.Context, account string, from trail.Position, since time.Time, yield func(trail.Position, []byte) bool) error
}

const (
	pageSize = 50
	// history is how far back one can look, as on AWS.
	history = 90 * 24 * time.Hour
	// mostRead is how many bytes of the log one request reads; what lies before is for
	// the next one, also when nothing was found.
	mostRead = 16 << 20
)

// LookupEvents gives the events of the caller's account in its region, the newest first
// (https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html).
// Events of the last moments are among them: those that were answered before it was
// asked.
func (a *API) LookupEvents(ctx context.Context, in *shape.LookupEventsInput) (*shape.LookupEventsOutput, error) {
	who := access.From(ctx)
	q, err := a.query(who, in)
	if err != nil {
		return nil, err
	}
	page := service.NewPage(who, "LookupEvents", []any{in.LookupAttributes, in.StartTime, in.EndTime, in.EventCategory}, in.NextToken, in.MaxResults, pageSize)
	from, err := position(page)
	if err != nil {
		return nil, fault.AWSJSON("InvalidNextTokenException", "The next token is invalid: %v.", err)
	}
	out := &shape.LookupEventsOutput{Events: []shape.Event{}}
	if in.EventCategory != nil {
		return out, nil // there are no insights
	}
	read, last := 0, from
	err = a.Trail.Backwards(ctx, who.Account, from, q.start, func(at trail.Position, line []byte) bool {
		if len(out.Events) == page.Limit || read > mostRead {
			out.NextToken = new(page.Next(fmt.Sprintf("%d.%d", last.File, last.Offset)))
			return false
		}
		read, last = read+len(line), at
		e, more := q.find(line)
		if e != nil {
			out.Events = append(out.Events, *e)
		}
		return more
	})
	return out, err
}

// position is where a page begins.
func position(p service.Page) (at trail.Position, err error) {
	key, err := p.After()
	if err != nil || key == "" {
		return at, err
	}
	file, offset, _ := strings.Cut(key, ".")
	if at.File, err = strconv.ParseInt(file, 10, 64); err == nil {
		at.Offset, err = strconv.ParseInt(offset, 10, 64)
	}
	if err != nil {
		return at, service.ErrPageToken
	}
	return at, nil
}

// query checks what is looked for.
func (a *API) query(who access.View, in *shape.LookupEventsInput) (*query, error) {
	now := a.Now()
	q := &query{region: who.Region, others: who.Region == a.Regions[0], regions: a.Regions, start: now.Add(-history), end: now.Add(time.Minute)}
	if in.StartTime != nil && in.StartTime.After(q.start) {
		q.start = in.StartTime.Truncate(time.Second) // records have no parts of one
	}
	if in.EndTime != nil {
		q.end = *in.EndTime
	}
	if in.StartTime != nil && in.EndTime != nil && in.StartTime.After(*in.EndTime) {
		return nil, fault.AWSJSON("InvalidTimeRangeException", "StartTime %s is after EndTime %s.", in.StartTime.Format(time.RFC3339), in.EndTime.Format(time.RFC3339))
	}
	if len(in.LookupAttributes) > 1 {
		return nil, fault.AWSJSON("InvalidLookupAttributesException", "LookupAttributes can have one item only, not %d.", len(in.LookupAttributes))
	}
	for _, attribute := range in.LookupAttributes {
		q.key, q.value = *attribute.AttributeKey, *attribute.AttributeValue
	}
	if q.key == "ReadOnly" && q.value != "true" && q.value != "false" {
		return nil, fault.AWSJSON("InvalidLookupAttributesException", "The value of the attribute ReadOnly is true or false, not '%s'.", q.value)
	}
	return q, nil
}
