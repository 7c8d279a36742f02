// SPDX-License-Identifier: Apache-2.0

package rds

import (
	"slices"
	"strconv"
	"testing"
	"time"

	shape "github.com/posternhq/postern/internal/aws/shape/rds"
	"github.com/posternhq/postern/internal/service/servicetest"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// Events are those of the time that is asked for, oldest first, of what is asked for.
func TestEvents(t *testing.T) {
	w := newWorld(t)
	c := w.putCluster(t, "orders", "orders-1")
	now := servicetest.Now
	w.put(t, func(tx *table.Txn) {
		i, _ := SourceOf(tx, metaOf("db-ORDERS-1").Ref())
		AddEvent(tx, w.Env, SourceCluster(c), now.Add(-10*time.Minute), "now", EventFailover)
		AddEvent(tx, w.Env, i, now.Add(-20*time.Minute), "a bit ago", EventAvailability, EventRecovery)
		AddEvent(tx, w.Env, SourceCluster(c), now.Add(-3*time.Hour), "hours ago", EventCreation)
		AddEvent(tx, w.Env, i, now.Add(-15*24*time.Hour), "weeks ago", EventCreation)
	})
	at := func(d time.Duration) *time.Time { return new(now.Add(d)) }
	for _, test := range []struct {
		what string
		in   shape.DescribeEventsInput
		want []string
	}{
		{"the last hour", shape.DescribeEventsInput{}, []string{"a bit ago", "now"}},
		{"minutes", shape.DescribeEventsInput{Duration: new(int32(15))}, []string{"now"}},
		{"a day", shape.DescribeEventsInput{Duration: new(int32(1440))}, []string{"hours ago", "a bit ago", "now"}},
		{"what is not kept", shape.DescribeEventsInput{StartTime: at(-30 * 24 * time.Hour)}, []string{"hours ago", "a bit ago", "now"}},
		{"from a time on", shape.DescribeEventsInput{StartTime: at(-12 * time.Minute)}, []string{"now"}},
		{"minutes from a time on", shape.DescribeEventsInput{StartTime: at(-4 * time.Hour), Duration: new(int32(90))}, []string{"hours ago"}},
		{"between", shape.DescribeEventsInput{StartTime: at(-4 * time.Hour), EndTime: at(-15 * time.Minute)}, []string{"hours ago", "a bit ago"}},
		{"the hour before", shape.DescribeEventsInput{EndTime: at(-15 * time.Minute)}, []string{"a bit ago"}},
		{"of clusters", shape.DescribeEventsInput{SourceType: new("db-cluster")}, []string{"now"}},
		{"of one", shape.DescribeEventsInput{SourceType: new("db-instance"), SourceIdentifier: new("Orders-1")}, []string{"a bit ago"}},
		{"of none", shape.DescribeEventsInput{SourceType: new("db-instance"), SourceIdentifier: new("orders")}, nil},
		{"of categories", shape.DescribeEventsInput{EventCategories: []string{"recovery", "deletion"}}, []string{"a bit ago"}},
	} {
		out, err := w.DescribeEvents(w.ctx, &test.in)
		var got []string
		for _, e := range must(t, out, err).Events {
			got = append(got, *e.Message)
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, want %q", test.what, got, test.want)
		}
	}
	for what, test := range map[string]struct {
		in   shape.DescribeEventsInput
		code string
	}{
		"an identifier of no type": {shape.DescribeEventsInput{SourceIdentifier: new("orders")}, badCombination},
		"too long":                 {shape.DescribeEventsInput{Duration: new(int32(20161))}, badValue},
		"no time":                  {shape.DescribeEventsInput{Duration: new(int32(0))}, badValue},
		"an end before":            {shape.DescribeEventsInput{StartTime: at(-time.Hour), EndTime: at(-2 * time.Hour)}, badCombination},
		"to come":                  {shape.DescribeEventsInput{StartTime: at(time.Hour)}, badValue},
		"all three":                {shape.DescribeEventsInput{StartTime: at(-2 * time.Hour), EndTime: at(-time.Hour), Duration: new(int32(5))}, badCombination},
		"no category":              {shape.DescribeEventsInput{EventCategories: []string{"weather"}}, badValue},
		"a small page":             {shape.DescribeEventsInput{MaxRecords: new(int32(5))}, badValue},
	} {
		_, err := w.DescribeEvents(w.ctx, &test.in)
		refused(t, what, err, test.code, "")
	}
	if out, err := w.DescribeEvents(w.other, &shape.DescribeEventsInput{}); err != nil || len(out.Events) != 0 {
		t.Errorf("another account sees %v, %v", out, err)
	}
}

// The newest events are kept when there are too many.
func TestEventsAreBounded(t *testing.T) {
	w := newWorld(t)
	c := w.putCluster(t, "orders")
	w.put(t, func(tx *table.Txn) {
		for n := range mostEvents + 3 {
			AddEvent(tx, w.Env, SourceCluster(c), servicetest.Now.Add(time.Duration(n)*time.Millisecond), strconv.Itoa(n), EventFailure)
		}
	})
	rows := slices.Collect(state.DBEvents.Scope(w.DB.Snapshot(), servicetest.Account, servicetest.Region))
	if len(rows) != mostEvents || rows[0].Message != "3" {
		t.Errorf("%d are left, the oldest is %s", len(rows), rows[0].Message)
	}
}

// Each category that an event can have is one of those that are listed for its source.
func TestEventCategories(t *testing.T) {
	w := newWorld(t)
	out, err := w.DescribeEventCategories(w.ctx, &shape.DescribeEventCategoriesInput{})
	if n := len(must(t, out, err).EventCategoriesMapList); n != len(eventCategories) {
		t.Errorf("%d sources", n)
	}
	out, err = w.DescribeEventCategories(w.ctx, &shape.DescribeEventCategoriesInput{SourceType: new("db-cluster")})
	if list := must(t, out, err).EventCategoriesMapList; len(list) != 1 || !slices.Contains(list[0].EventCategories, "failover") {
		t.Errorf("of clusters: %v", list)
	}
}
