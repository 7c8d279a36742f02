// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/engine"
)

// anew is how often a probe tries a new connection beside the one that it keeps: a server
// whose first process hangs serves those that it has.
const anew = time.Second

// probeSQL asks for all that there is to say. The timeline of a writer is that of the file
// that it writes; of a replica the one that it receives, or has received: the control file
// tells of that only after a while, the names of the log's files at once.
const probeSQL = `SELECT json_build_object(
	'Version', split_part(current_setting('server_version'), ' ', 1),
	'Replica', r, 'ReadOnly', current_setting('default_transaction_read_only') = 'on' AND NOT r,
	'Identity', (SELECT system_identifier::text FROM pg_control_system()),
	'Written', CASE WHEN NOT r THEN pg_current_wal_flush_lsn()::text END,
	'File', CASE WHEN NOT r THEN pg_walfile_name(pg_current_wal_lsn()) END,
	'Received', CASE WHEN r THEN pg_last_wal_receive_lsn()::text END,
	'Replayed', CASE WHEN r THEN pg_last_wal_replay_lsn()::text END,
	'Timeline', CASE WHEN r THEN greatest(
		(SELECT timeline_id FROM pg_control_checkpoint()), (SELECT min_recovery_end_timeline FROM pg_control_recovery()),
		coalesce((SELECT received_tli FROM pg_stat_wal_receiver),
			(SELECT max(('x' || left(name, 8))::bit(32)::int) FROM pg_ls_waldir() WHERE name ~ '^[0-9A-F]{24}$'))) END,
	'Lag', CASE WHEN r THEN coalesce(extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()), 0) ELSE 0 END,
	'Upstream', coalesce(current_setting('postern.upstream', true), ''),
	'Stuck', CASE WHEN r THEN pg_is_wal_replay_paused() ELSE false END,
	'Streaming', coalesce((SELECT status = 'streaming' FROM pg_stat_wal_receiver), false),
	'Names', current_setting('synchronous_standby_names'), 'Commit', current_setting('postern.mode', true),
	'Forsaken', EXISTS (SELECT FROM pg_replication_slots WHERE slot_type = 'physical' AND slot_name LIKE 'postern\_%' AND wal_status = 'lost'),
	'Waiting', (SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'),
	'Replicas', (SELECT coalesce(json_agg(json_build_object('ID', application_name, 'Streaming', state = 'streaming',
		'Counts', sync_state IN ('quorum', 'sync'), 'Written', flush_lsn::text, 'Replayed', replay_lsn::text) ORDER BY application_name), '[]')
		FROM pg_stat_replication WHERE usename = '` + replication + `' AND application_name <> 'pg_basebackup')
) FROM (SELECT pg_is_in_recovery() AS r) AS role`

const pendingSQL = `SELECT coalesce(json_agg(name ORDER BY name), '[]') FROM pg_settings WHERE pending_restart`

// answer is what probeSQL gives.
type answer struct {
	Version, Identity, Upstream, Names  string
	Replica, ReadOnly, Streaming, Stuck bool
	Forsaken                            bool
	Written, File, Received, Replayed   string
	Commit                              string
	Timeline                            uint32
	Lag                                 float64
	Waiting                             int
	Replicas                            []struct {
		ID, Written, Replayed string
		Streaming, Counts     bool
	}
}

// Probe implements engine.Server.
func (s *server) Probe(ctx context.Context) (engine.State, error) {
	s.probing.Lock()
	defer s.probing.Unlock()
	state := engine.State{Phase: engine.PhaseDown}
	p, err := s.Host.Process(ctx)
	state.Process = p
	switch {
	case errors.Is(err, engine.ErrHost):
		s.drop()
		state.Reason = err.Error()
		return state, nil
	case err != nil && ctx.Err() != nil:
		state.Phase, state.Reason = engine.PhaseSilent, "the supervisor does not answer in time"
		return state, nil
	case err != nil:
		return state, fmt.Errorf("probe %s: %w", s.Spec.ID, err)
	case !p.Running:
		s.drop()
		state.Reason = p.Exit
		return state, nil
	}
	var a answer
	if err := s.question(ctx, p.Life, &a); err != nil {
		state.Phase, state.Reason = phaseOf(ctx, err), err.Error()
		return state, nil
	}
	state.Phase = engine.PhaseUp
	return state, s.fill(&state, a)
}

// question asks over the connection that is kept, and over a new one when it is time.
func (s *server) question(ctx context.Context, life int64, a *answer) error {
	if s.kept != nil && (s.life != life || s.kept.IsClosed()) {
		s.drop()
	}
	if s.kept == nil || time.Since(s.tried) >= anew {
		fresh, err := s.connect(ctx)
		if err != nil {
			if s.kept == nil || codeOf(err) != codeTooManyConnections {
				s.drop()
				return err
			}
		} else {
			s.drop()
			s.kept, s.life, s.tried = fresh, life, time.Now()
			if err := ask(ctx, s.kept, pendingSQL, &s.pending); err != nil {
				return err
			}
		}
	}
	return ask(ctx, s.kept, probeSQL, a)
}

// drop closes the connection that is kept, without waiting for anybody.
func (s *server) drop() {
	if s.kept != nil {
		_ = s.kept.Conn().Close() // the server notices
		s.kept = nil
	}
}

// phaseOf says how a server is that does not give an answer.
func phaseOf(ctx context.Context, err error) engine.Phase {
	text := err.Error()
	switch code := codeOf(err); {
	case code == codeTooManyConnections:
		return engine.PhaseBusy
	case code == codeAdminShutdown, code == codeCrashShutdown, strings.Contains(text, "shutting down"):
		return engine.PhaseStopping
	case code == codeCannotConnectNow, errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ECONNREFUSED):
		return engine.PhaseStarting
	case code != "" && ctx.Err() == nil:
		return engine.PhaseBusy // it is alive and says what is wrong
	}
	return engine.PhaseSilent
}

// fill makes a state of an answer.
func (s *server) fill(state *engine.State, a answer) error {
	state.Version, state.Writer, state.ReadOnly = a.Version, !a.Replica, a.ReadOnly
	state.Upstream, state.Streaming, state.Waiting, state.Pending = a.Upstream, a.Streaming, a.Waiting, s.pending
	state.Identity, state.Timeline = a.Identity, a.Timeline
	if a.Replica {
		state.Stuck = a.Stuck // nobody else has reason to pause it
		state.Replayed = parseLSN(a.Replayed)
		state.At = later(parseLSN(a.Received), state.Replayed)
		if state.Replayed.Before(state.At) {
			state.Lag = time.Duration(a.Lag * float64(time.Second))
		}
	} else {
		state.At, state.Own = parseLSN(a.Written), true
		if _, err := fmt.Sscanf(a.File, "%08X", &state.Timeline); err != nil {
			return fmt.Errorf("probe %s: read the timeline in %q: %w", s.Spec.ID, a.File, err)
		}
		state.Upstream = ""
	}
	state.Forsaken = a.Forsaken
	state.Durability = durabilityOf(a.Names, a.Commit)
	for _, r := range a.Replicas {
		state.Replicas = append(state.Replicas, engine.Replica{
			ID: r.ID, Streaming: r.Streaming, Counts: r.Counts, Written: parseLSN(r.Written), Replayed: parseLSN(r.Replayed),
		})
	}
	var err error
	state.Turns, err = s.history(state.Timeline)
	return err
}

// history gives the turns before a timeline, which never change.
func (s *server) history(timeline uint32) ([]engine.Turn, error) {
	if turns, known := s.turns[timeline]; known {
		return turns, nil
	}
	turns, err := turnsIn(s.Main(), timeline)
	if err != nil || turns == nil && timeline > 1 {
		return nil, err // a replica may get the file a moment later
	}
	if s.turns == nil {
		s.turns = map[uint32][]engine.Turn{}
	}
	s.turns[timeline] = turns
	return turns, nil
}

var quoted = regexp.MustCompile(`"([^"]+)"`)

// durabilityOf reads what durabilityText has written.
func durabilityOf(names, mode string) (d engine.Durability) {
	if names == "" {
		return d
	}
	d.Mode = engine.Mode(mode)
	for _, n := range quoted.FindAllStringSubmatch(names, -1) {
		d.AnyOf = append(d.AnyOf, n[1])
	}
	return d
}
