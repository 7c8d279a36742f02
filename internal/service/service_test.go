// SPDX-License-Identifier: Apache-2.0

package service_test

import (
	"errors"
	"regexp"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/servicetest"
	"github.com/posternhq/postern/internal/table"
)

func TestNewIDHasTheFormOfAWS(t *testing.T) {
	w := servicetest.New(t)
	form := regexp.MustCompile(`^vpc-[0-9a-f]{17}$`)
	seen := make(map[string]bool)
	for range 100 {
		id := w.NewID("vpc")
		if !form.MatchString(id) || seen[id] {
			t.Fatalf("got %s", id)
		}
		seen[id] = true
	}
}

func TestQuotasAreSetByName(t *testing.T) {
	q := service.DefaultQuotas()
	if err := q.Set("rules-per-group", 7); err != nil || q.RulesPerGroup != 7 {
		t.Errorf("got %d, %v", q.RulesPerGroup, err)
	}
	if err := q.Set("rules-per-groop", 7); err == nil {
		t.Error("an unknown name is taken")
	}
	if err := q.Set("rules-per-group", -1); err == nil {
		t.Error("a negative number is taken")
	}
	for _, name := range q.Names() {
		if err := q.Set(name, 1); err != nil {
			t.Error(err)
		}
	}
}

// once runs a request with a token; made is what it makes when it is new.
func once(t *testing.T, w *servicetest.World, who access.View, token, parameters, made string) (string, error) {
	t.Helper()
	request := w.Idempotent(who, "Create", &token, parameters)
	var result string
	_, err := w.DB.Update(t.Context(), func(tx *table.Txn) (err error) {
		if result, err = request.Result(tx); err != nil || result != "" {
			return err
		}
		result = made
		request.Record(tx, made)
		return nil
	})
	return result, err
}

func TestTokenGivesTheFirstResultForADay(t *testing.T) {
	w := servicetest.New(t)
	now := servicetest.Now
	w.Now = func() time.Time { return now }
	who := access.View{Caller: access.Caller{Account: servicetest.Account, Region: servicetest.Region}}
	stranger := access.View{Caller: access.Caller{Account: servicetest.OtherAccount, Region: servicetest.Region}}
	for _, step := range []struct {
		name                    string
		who                     access.View
		token, parameters, made string
		later                   time.Duration
		want                    string
		fails                   bool
	}{
		{"first", who, "token", "red", "r-1", 0, "r-1", false},
		{"again", who, "token", "red", "r-2", time.Hour, "r-1", false},
		{"other parameters", who, "token", "blue", "r-3", 0, "", true},
		{"other account", stranger, "token", "blue", "r-4", 0, "r-4", false},
		{"no token", who, "", "red", "r-5", 0, "r-5", false},
		{"a day later", who, "token", "blue", "r-6", 23 * time.Hour, "r-6", false},
	} {
		now = now.Add(step.later)
		got, err := once(t, w, step.who, step.token, step.parameters, step.made)
		if failed := errors.Is(err, service.ErrTokenReused); failed != step.fails || (err == nil && got != step.want) {
			t.Errorf("%s: got %q, %v; want %q, failure %v", step.name, got, err, step.want, step.fails)
		}
	}
}
