// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/engine"
)

// What people have to do something for is told once, with the reason.
func TestWhatIsOutOfOrderIsTold(t *testing.T) {
	k := newMachine("cluster-1", nil)
	k.want(desired.DatabaseMember{ID: "db-1"})
	m := k.members["db-1"]
	fail := func(n int, err error) (told []string) {
		k.events = nil
		for range n {
			k.now = k.now.Add(time.Hour)
			k.failed(m, action{verb: verbStart, member: "db-1"}, result{err: err})
		}
		for _, e := range k.events {
			told = append(told, e.Message)
		}
		return told
	}
	settings := &engine.StartError{Exit: "exit status 1", Words: "FATAL: could not map shared memory", Parameters: true}
	if diff := cmp.Diff([]string{"The DB instance does not start with its parameters: FATAL: could not map shared memory"}, fail(3, settings)); diff != "" {
		t.Error(diff)
	}
	m.retry.succeed()
	if told := fail(tries-1, errors.New("no")); told != nil {
		t.Errorf("told is %q, which may pass", told)
	}
	if diff := cmp.Diff([]string{"The DB instance is out of order, and is tried again every minute: no"}, fail(3, errors.New("no"))); diff != "" {
		t.Error(diff)
	}
}

// What failed is tried at once with other parameters, whoever they are of.
func TestOtherParametersAreTriedAtOnce(t *testing.T) {
	k := newMachine("cluster-1", nil)
	k.wants(&desired.Database{ID: "cluster-1"})
	k.want(desired.DatabaseMember{ID: "db-1"})
	m := k.members["db-1"]
	later := time.Unix(1e9, 0)
	for what, change := range map[string]struct {
		do   func()
		soon bool
	}{
		"nothing new of the member":   {func() { k.want(m.want) }, false},
		"nothing new of the database": {func() { k.wants(&desired.Database{ID: "cluster-1", Params: k.wanted.Params, Turn: 1}) }, false},
		"a parameter of the member":   {func() { k.want(desired.DatabaseMember{ID: "db-1", Params: append(m.want.Params, "a=1")}) }, true},
		"one of the database":         {func() { k.wants(&desired.Database{ID: "cluster-1", Params: append(k.wanted.Params, "b=1")}) }, true},
	} {
		m.retry.at = later
		if change.do(); m.retry.at.IsZero() != change.soon {
			t.Errorf("after %s it is tried again at %v", what, m.retry.at)
		}
	}
}
