// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/posternhq/postern/internal/engine"
	"github.com/posternhq/postern/internal/engine/folder"
)

// Promote implements engine.Server.
func (s *server) Promote(ctx context.Context) error {
	err := s.with(ctx, func(conn *pgconn.PgConn) error {
		for told := false; ; {
			replica, err := query(ctx, conn, "SELECT pg_is_in_recovery()")
			if err != nil || replica == "f" {
				return err
			}
			if !told {
				if _, err := query(ctx, conn, "SELECT pg_promote(false)"); err != nil {
					return err
				}
				told = true
			}
			if err := folder.Pause(ctx, 3*time.Millisecond); err != nil {
				return err
			}
		}
	})
	if err != nil {
		return fmt.Errorf("promote %s: %w", s.Spec.ID, err)
	}
	return nil
}

// Settle implements engine.Server. pg_rewind takes from the last checkpoint on which
// timeline a server is; after a promotion the next one could take minutes to come.
func (s *server) Settle(ctx context.Context) error {
	err := s.with(ctx, func(conn *pgconn.PgConn) error {
		_, err := query(ctx, conn, "CHECKPOINT")
		return err
	})
	if err != nil {
		return fmt.Errorf("have %s write a checkpoint: %w", s.Spec.ID, err)
	}
	return nil
}

// Follow implements engine.Server. Without anybody to follow the receiver of the log ends.
func (s *server) Follow(ctx context.Context, writer *engine.Peer) error {
	text := revised(fileUpstream, s.upstreamText(writer))
	err := s.Write(engine.PartConf, fileUpstream, text)
	if err == nil {
		_, err = s.reload(ctx, fileUpstream, text)
	}
	if err == nil && writer == nil {
		err = s.receiverGone(ctx)
	}
	if err != nil {
		return fmt.Errorf("have %s follow another one: %w", s.Spec.ID, err)
	}
	return nil
}

// receiverGone waits until nothing more is received: what is, is on disk then, and counts
// in the position.
func (s *server) receiverGone(ctx context.Context) error {
	return s.with(ctx, func(conn *pgconn.PgConn) error {
		for {
			n, err := query(ctx, conn, "SELECT count(*) FROM pg_stat_wal_receiver")
			if err != nil || n == "0" {
				return err
			}
			if err := folder.Pause(ctx, 3*time.Millisecond); err != nil {
				return err
			}
		}
	})
}

// slot is a replication slot of Postern's.
type slot struct {
	Name               string
	Active, Kept, Lost bool
}

const slotsSQL = `SELECT json_build_object('Replica', pg_is_in_recovery(), 'Slots', (SELECT coalesce(json_agg(json_build_object(
	'Name', slot_name, 'Active', active, 'Kept', restart_lsn IS NOT NULL, 'Lost', coalesce(wal_status = 'lost', false)) ORDER BY slot_name), '[]')
	FROM pg_replication_slots WHERE slot_type = 'physical' AND NOT temporary AND slot_name LIKE 'postern\_%'))`

// dropSlot removes a slot. Who uses it is nobody's member any more, and is cut off.
func dropSlot(ctx context.Context, conn *pgconn.PgConn, l slot) error {
	for {
		n, err := query(ctx, conn, "SELECT count(pg_terminate_backend(active_pid)) FROM pg_replication_slots WHERE slot_name = "+literal(l.Name)+" AND active_pid IS NOT NULL")
		if err != nil {
			return err
		}
		if n == "0" {
			_, err := query(ctx, conn, "SELECT pg_drop_replication_slot("+literal(l.Name)+")")
			return err
		}
		if err := folder.Pause(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}
}

// SetMembers implements engine.Server. On a replica a slot is only prepared, and keeps
// nothing until it is used.
func (s *server) SetMembers(ctx context.Context, ids []string) error {
	err := s.with(ctx, func(conn *pgconn.PgConn) error {
		var has struct {
			Replica bool
			Slots   []slot
		}
		if err := ask(ctx, conn, slotsSQL, &has); err != nil {
			return err
		}
		wanted := map[string]bool{}
		for _, id := range ids {
			wanted[slotOf(id)] = id != s.Spec.ID
		}
		var errs []error
		for _, l := range has.Slots {
			stays := wanted[l.Name] && !l.Lost && !(has.Replica && l.Kept && !l.Active)
			if stays {
				delete(wanted, l.Name)
				continue
			}
			if l.Active && wanted[l.Name] && !l.Lost {
				delete(wanted, l.Name)
				continue
			}
			errs = append(errs, dropSlot(ctx, conn, l))
		}
		for name, make := range wanted {
			if make {
				_, err := query(ctx, conn, fmt.Sprintf("SELECT pg_create_physical_replication_slot(%s, %t)", literal(name), !has.Replica))
				errs = append(errs, err)
			}
		}
		return errors.Join(errs...)
	})
	if err != nil {
		return fmt.Errorf("tell %s of the other members: %w", s.Spec.ID, err)
	}
	return nil
}

// durabilityText has commits wait for one of the members. A user's own setting of
// synchronous_commit comes behind it and counts.
func durabilityText(d engine.Durability) (string, error) {
	commit, ok := map[engine.Mode]string{engine.ModeAlone: "on", engine.ModeReceived: "remote_write", engine.ModeWritten: "on"}[d.Mode]
	if !ok {
		return "", fmt.Errorf("there is no mode %q", d.Mode)
	}
	names := ""
	if d.Mode != engine.ModeAlone && len(d.AnyOf) > 0 {
		var list []string
		for _, id := range slices.Sorted(slices.Values(d.AnyOf)) {
			if strings.ContainsAny(id, "\"\\'\n") {
				return "", fmt.Errorf("%q is no id", id)
			}
			list = append(list, identifier(id))
		}
		names = "ANY 1 (" + strings.Join(list, ", ") + ")"
	}
	return setting("synchronous_standby_names", names) + setting("synchronous_commit", commit) + setting("postern.mode", string(d.Mode)), nil
}

// SetDurability implements engine.Server.
func (s *server) SetDurability(ctx context.Context, d engine.Durability) error {
	text, err := durabilityText(d)
	if err == nil {
		text = revised(fileDurability, text)
		err = s.Write(engine.PartConf, fileDurability, text)
	}
	if err == nil {
		_, err = s.reload(ctx, fileDurability, text)
	}
	if err != nil {
		return fmt.Errorf("set who has to have commits of %s: %w", s.Spec.ID, err)
	}
	return nil
}
