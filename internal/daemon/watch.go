// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/posternhq/postern/internal/agent/watch"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/seal"
	"github.com/posternhq/postern/internal/service/rds"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// register is what the watcher of registered databases knows of rows: it implements
// watch.Control.
type register struct{ *ledger }

// Access implements watch.Control.
func (r register) Access(_ context.Context, database string) (a watch.Access, err error) {
	d, err := r.opened()
	if err != nil {
		return a, err
	}
	tx := d.db.Snapshot()
	row, err := databaseByID(tx, database)
	if err != nil {
		return a, err
	}
	how := row.database.Registered
	a = watch.Access{User: how.User, Authority: how.Authority, Own: map[string]string{}, Writer: row.database.Writer}
	for _, name := range []string{how.Writer, how.Reader} {
		if name != "" {
			a.Names = append(a.Names, name)
		}
	}
	for i := range state.DBInstancesByCluster.Rows(tx, row.meta.Ref()) {
		a.Own[i.ID] = i.DNS
	}
	if how.Password == "" {
		return a, nil
	}
	text, err := d.env.Seal.OpenText(seal.DatabasePassword, how.Password, row.meta.ID)
	if err != nil {
		return a, fmt.Errorf("read what the database %s is asked with: %w", database, err)
	}
	a.Password = string(text)
	return a, nil
}

// Tell implements watch.Control. What is about something that is gone meanwhile is left out.
func (r register) Tell(ctx context.Context, report watch.Report) error {
	d, err := r.opened()
	if err != nil {
		return err
	}
	_, err = d.db.Update(ctx, func(tx *table.Txn) error {
		row, err := databaseByID(tx, report.Database)
		if errors.Is(err, errNoDatabase) {
			return nil
		}
		if err != nil {
			return err
		}
		if row.database.Writer != report.Writer {
			row.database.Writer = report.Writer
			row.put()
		}
		up, down := 0, 0
		for i := range state.DBInstancesByCluster.Rows(tx, row.meta.Ref()) {
			trouble := report.Troubles[i.ID]
			switch {
			case report.Up[i.ID]:
				up++
				behind := i.ID != report.Writer && !slices.Contains(report.Readers, i.ID)
				if behind && row.database.Registered.Ask != model.AskTCP {
					trouble = cmp.Or(trouble, "it is not read from: it follows no writer, is too far behind, or is not meant for it")
				}
				d.say(tx, &i.Meta, model.DatabaseAvailable, behind, trouble)
			case trouble != "":
				down++
				d.say(tx, &i.Meta, model.DatabaseFailed, false, trouble)
			}
		}
		switch {
		case report.Wrong != "" && up == 0:
			d.say(tx, row.meta, model.DatabaseFailed, false, "no server answers")
		case report.Wrong != "":
			d.say(tx, row.meta, model.DatabaseAvailable, false, withIdentifiers(tx, row.meta, report.Wrong))
		case up > 0 || down == 0:
			d.say(tx, row.meta, model.DatabaseAvailable, false, "")
		}
		if of, ok := rds.SourceOf(tx, row.meta.Ref()); ok {
			for _, e := range report.Events {
				rds.AddEvent(tx, d.env, of, d.env.Now(), withIdentifiers(tx, row.meta, e), "notification")
			}
		}
		return nil
	})
	return err
}

// say writes how something is that is registered, if it is otherwise than was said.
func (d *daemon) say(tx *table.Txn, m *model.Meta, phase model.DatabasePhase, behind bool, reason string) {
	if was, ok := state.DatabaseStates.Get(tx, m.Account, m.Region, m.ID); ok && was.Phase == phase && was.Behind == behind && was.Reason == reason {
		return
	}
	state.DatabaseStates.Put(tx, &model.DatabaseState{Account: m.Account, Region: m.Region, ID: m.ID, Phase: phase, Behind: behind, Reason: reason, At: d.env.Now()})
}

// withIdentifiers has a text name members as users do, and not by their ids.
func withIdentifiers(tx *table.Txn, m *model.Meta, text string) string {
	var pairs []string
	for i := range state.DBInstancesByCluster.Rows(tx, m.Ref()) {
		pairs = append(pairs, i.ID, i.Identifier)
	}
	return strings.NewReplacer(pairs...).Replace(text)
}
