// SPDX-License-Identifier: Apache-2.0

package rds

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/posternhq/postern/internal/access"
	shape "github.com/posternhq/postern/internal/aws/shape/rds"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/view"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// The categories of events that Postern makes
// (https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_Events.Messages.html and
// https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/USER_Events.Messages.html).
const (
	EventAvailability  = "availability"
	EventBackup        = "backup"
	EventConfiguration = "configuration change"
	EventCreation      = "creation"
	EventDeletion      = "deletion"
	EventFailover      = "failover"
	EventFailure       = "failure"
	EventLowStorage    = "low storage"
	EventMaintenance   = "maintenance"
	EventNotification  = "notification"
	EventReplica       = "read replica"
	EventRecovery      = "recovery"
	EventRestoration   = "restoration"
	EventSecurity      = "security"
)

// Source is what an event is of.
type Source struct {
	Account, Region string
	// Type is one of shape.SourceType, Identifier what users call it.
	Type, Identifier string
	ARN              string
}

// SourceCluster is the source of events of a cluster.
func SourceCluster(c *model.DBCluster) Source {
	return Source{c.Account, c.Region, shape.SourceTypeDbCluster, c.Identifier, c.ARN()}
}

// SourceInstance is the source of events of an instance.
func SourceInstance(i *model.DBInstance) Source {
	return Source{i.Account, i.Region, shape.SourceTypeDbInstance, i.Identifier, i.ARN()}
}

// SourceSnapshot is the source of events of a snapshot.
func SourceSnapshot(s *model.DBSnapshot) Source {
	kind := shape.SourceTypeDbSnapshot
	if s.OfCluster {
		kind = shape.SourceTypeDbClusterSnapshot
	}
	return Source{s.Account, s.Region, kind, s.Identifier, s.ARN()}
}

// SourceOf finds what has an id: a cluster, an instance or a snapshot.
func SourceOf(tx *table.Txn, ref model.Ref) (Source, bool) {
	if c, ok := state.DBClusters.Get(tx, ref.Account, ref.Region, ref.ID); ok {
		return SourceCluster(c), true
	}
	if i, ok := state.DBInstances.Get(tx, ref.Account, ref.Region, ref.ID); ok {
		return SourceInstance(i), true
	}
	if s, ok := state.DBSnapshots.Get(tx, ref.Account, ref.Region, ref.ID); ok {
		return SourceSnapshot(s), true
	}
	return Source{}, false
}

// mostEvents bounds how many events an account keeps in a region: a server that fails again
// and again must not fill the store.
const mostEvents = 5000

// AddEvent adds an event of a source, which is kept for two weeks, or until there are too many
// later ones. It belongs in the transaction that changes the source, if any does.
func AddEvent(tx *table.Txn, env *service.Env, of Source, at time.Time, message string, categories ...string) {
	var unique [6]byte
	if _, err := io.ReadFull(env.Rand, unique[:]); err != nil {
		panic(fmt.Sprintf("read random bytes: %v", err)) // the contract of Rand excludes it
	}
	for oldest := range state.DBEvents.Scope(tx, of.Account, of.Region) {
		if state.DBEvents.CountScope(tx, of.Account, of.Region) < mostEvents {
			break
		}
		state.DBEvents.Delete(tx, oldest.Account, oldest.Region, oldest.ID)
	}
	state.DBEvents.Put(tx, &model.DBEvent{
		Account: of.Account, Region: of.Region, ID: fmt.Sprintf("%016x-%s", at.UnixNano(), hex.EncodeToString(unique[:])),
		SourceType: of.Type, Source: of.Identifier, SourceARN: of.ARN, Message: message, Categories: categories, At: at,
	})
}

// How far back events are listed, if nobody says, and at most
// (https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_DescribeEvents.html).
const (
	defaultMinutes = 60
	mostMinutes    = 14 * 24 * 60
)

// span gives the first time and the one after the last that a request asks for.
func span(in *shape.DescribeEventsInput, now time.Time) (from, to time.Time, err error) {
	minutes := int32(defaultMinutes)
	if in.Duration != nil {
		if minutes = *in.Duration; minutes < 1 || minutes > mostMinutes {
			return from, to, invalid("Duration must be between 1 and %d minutes, not %d", mostMinutes, minutes)
		}
		if in.StartTime != nil && in.EndTime != nil {
			return from, to, conflicting("Duration cannot be given together with StartTime and EndTime")
		}
	}
	length := time.Duration(minutes) * time.Minute
	switch {
	case in.StartTime != nil && in.EndTime != nil:
		if from, to = *in.StartTime, *in.EndTime; to.Before(from) {
			return from, to, conflicting("EndTime must not be before StartTime")
		}
	case in.StartTime != nil && in.Duration != nil:
		from = *in.StartTime
		to = from.Add(length)
	case in.StartTime != nil:
		if from, to = *in.StartTime, now; from.After(now) {
			return from, to, invalid("StartTime is in the future")
		}
	case in.EndTime != nil:
		to = *in.EndTime
		from = to.Add(-length)
	default:
		from, to = now.Add(-length), now
	}
	return from, to, nil
}

// DescribeEvents lists what happened in the last hour, or when the request says, the oldest
// first.
func (a *API) DescribeEvents(ctx context.Context, in *shape.DescribeEventsInput) (*shape.DescribeEventsOutput, error) {
	if service.Value(in.SourceIdentifier) != "" && in.SourceType == nil {
		return nil, conflicting("SourceIdentifier cannot be given without SourceType")
	}
	if _, err := (properties[*model.DBEvent]{}).compile(in.Filters); err != nil {
		return nil, err
	}
	from, to, err := span(in, a.Now())
	if err != nil {
		return nil, err
	}
	for _, c := range in.EventCategories {
		if !slices.ContainsFunc(eventCategories, func(of categories) bool { return slices.Contains(of.names, strings.ToLower(c)) }) {
			return nil, invalid("EventCategories: there is no category %s", c)
		}
	}
	who := access.From(ctx)
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	var rows []*model.DBEvent
	for e := range view.All(tx, who, state.DBEvents) {
		if !e.At.Before(from) && !e.At.After(to) && a.Now().Before(e.Expires()) && asked(in, e) {
			rows = append(rows, e)
		}
	}
	choice := []any{in.SourceIdentifier, in.SourceType, in.StartTime, in.EndTime, in.Duration, in.EventCategories}
	page, marker, err := paginate(query{who, "DescribeEvents", choice, in.Marker, in.MaxRecords}, rows, func(e *model.DBEvent) string { return e.ID })
	if err != nil {
		return nil, err
	}
	return &shape.DescribeEventsOutput{Events: service.Each(page, eventShape), Marker: marker}, nil
}

// asked reports whether a request for events, whatever its times, asks for one.
func asked(in *shape.DescribeEventsInput, e *model.DBEvent) bool {
	if in.SourceType != nil && *in.SourceType != e.SourceType {
		return false
	}
	if name := service.Value(in.SourceIdentifier); name != "" && !strings.EqualFold(name, e.Source) {
		return false
	}
	return len(in.EventCategories) == 0 || slices.ContainsFunc(in.EventCategories, func(c string) bool { return slices.Contains(e.Categories, strings.ToLower(c)) })
}

func eventShape(e *model.DBEvent) shape.Event {
	return shape.Event{
		SourceIdentifier: &e.Source, SourceType: &e.SourceType, SourceArn: &e.SourceARN, Message: &e.Message, Date: &e.At,
		EventCategories: slices.Concat([]string{}, e.Categories),
	}
}

// categories are those of a type of sources.
type categories struct {
	source string
	names  []string
}

// eventCategories are those of what has events here.
var eventCategories = []categories{
	{shape.SourceTypeDbCluster, []string{EventConfiguration, EventCreation, EventDeletion, EventFailover, EventFailure, EventMaintenance, EventNotification}},
	{shape.SourceTypeDbClusterSnapshot, []string{EventBackup, EventNotification}},
	{shape.SourceTypeDbInstance, []string{
		EventAvailability, EventBackup, EventConfiguration, EventCreation, EventDeletion, EventFailover, EventFailure, EventLowStorage, EventMaintenance,
		EventNotification, EventReplica, EventRecovery, EventRestoration, EventSecurity,
	}},
	{shape.SourceTypeDbParameterGroup, []string{EventConfiguration}},
	{shape.SourceTypeDbSnapshot, []string{EventCreation, EventDeletion, EventNotification, EventRestoration}},
}

// DescribeEventCategories lists the categories of events.
func (a *API) DescribeEventCategories(_ context.Context, in *shape.DescribeEventCategoriesInput) (*shape.DescribeEventCategoriesOutput, error) {
	if _, err := (properties[categories]{}).compile(in.Filters); err != nil {
		return nil, err
	}
	out := &shape.DescribeEventCategoriesOutput{EventCategoriesMapList: []shape.EventCategoriesMap{}}
	for _, c := range eventCategories {
		if wanted := service.Value(in.SourceType); wanted == "" || wanted == c.source {
			out.EventCategoriesMapList = append(out.EventCategoriesMapList, shape.EventCategoriesMap{SourceType: &c.source, EventCategories: c.names})
		}
	}
	return out, nil
}
