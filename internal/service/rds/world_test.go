// SPDX-License-Identifier: Apache-2.0

package rds

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/posternhq/postern/internal/aws/fault"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service/servicetest"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// world is RDS over an environment of a test's own, and its callers.
type world struct {
	*API
	base       *servicetest.World
	ctx, other context.Context
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := servicetest.New(t)
	return &world{
		API: &API{Env: w.Env}, base: w,
		ctx: servicetest.As(t, servicetest.Account, servicetest.Region), other: servicetest.As(t, servicetest.OtherAccount, servicetest.Region),
	}
}

// refused checks that a request failed with a code and a message that has some words.
func refused(t *testing.T, what string, err error, code, words string) {
	t.Helper()
	var f *fault.Error
	if !errors.As(err, &f) || f.Code != code || !strings.Contains(f.Message, words) {
		t.Errorf("%s: %v, want %s with %q", what, err, code, words)
	}
}

func must[T any](t testing.TB, out T, err error) T {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// put writes rows past the service.
func (w *world) put(t testing.TB, write func(*table.Txn)) {
	t.Helper()
	if _, err := w.DB.Update(t.Context(), func(tx *table.Txn) error { write(tx); return nil }); err != nil {
		t.Fatal(err)
	}
}

func metaOf(id string) model.Meta {
	return model.Meta{Account: servicetest.Account, Region: servicetest.Region, ID: id, CreatedAt: servicetest.Now, UpdatedAt: servicetest.Now}
}

// putCluster writes a cluster with members, as if they had been made and were there.
func (w *world) putCluster(t testing.TB, identifier string, members ...string) *model.DBCluster {
	t.Helper()
	database := model.Database{Identifier: identifier, Engine: "aurora-postgresql", Version: "15.18", Port: 5432, VPC: "vpc-1"}
	c := &model.DBCluster{Meta: metaOf("cluster-" + strings.ToUpper(identifier)), Database: database}
	w.put(t, func(tx *table.Txn) {
		for _, m := range members {
			i := &model.DBInstance{Meta: metaOf("db-" + strings.ToUpper(m)), Cluster: c.ID, Class: "db.t4g.medium", Interface: "eni-" + m}
			i.Database = database
			i.Identifier = m
			state.DBInstances.Put(tx, i)
			state.DatabaseStates.Put(tx, &model.DatabaseState{Account: i.Account, Region: i.Region, ID: i.ID, Phase: model.DatabaseAvailable})
		}
		state.DBClusters.Put(tx, c)
	})
	return c
}
