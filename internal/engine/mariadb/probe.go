// SPDX-License-Identifier: Apache-2.0

package mariadb

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/posternhq/postern/internal/engine"
)

// anew is how often a probe tries a new connection beside the one that it keeps: a server
// that cannot start threads any more serves those that it has.
const anew = time.Second

// answer is what a server says of itself.
type answer struct {
	version, state string
	stream         stream
	domain         uint32
	readOnly       bool
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
	a, err := s.question(ctx, p.Life)
	if err != nil {
		s.drop()
		state.Phase, state.Reason = phaseOf(ctx, err), err.Error()
		return state, nil
	}
	state.Phase, state.Writer, state.Own, state.Pending = engine.PhaseUp, !a.readOnly, !a.readOnly, s.pending
	state.Version, _, _ = strings.Cut(a.version, "-")
	state.Identity = note{Domain: a.domain}.identity()
	state.At = positionOf(a.domain, strings.Split(a.state, ","))
	if a.stream != nil {
		state.Replayed, state.Lag, state.Reason = state.At, a.stream.lag(), a.stream.wrong()
		if received := positionOf(a.domain, strings.Split(a.stream["Gtid_IO_Pos"], ",")); state.At.Before(received) {
			state.At = received
		}
		state.Upstream, state.Streaming = s.upstream(a.stream), a.stream.flows()
	}
	return state, nil
}

// question asks over the connection that is kept, and over a new one when it is time.
func (s *server) question(ctx context.Context, life int64) (a answer, err error) {
	if s.kept != nil && s.life != life {
		s.drop()
	}
	if s.kept == nil || time.Since(s.tried) >= anew {
		fresh, err := s.connect(ctx)
		if err != nil && (s.kept == nil || codeOf(err) != codeTooManyConnections) {
			return a, err
		}
		if err == nil {
			s.drop()
			s.kept, s.life, s.tried = fresh, life, time.Now()
			if s.pending, err = s.waiting(ctx, fresh); err != nil {
				return a, err
			}
		}
	}
	err = s.kept.QueryRowContext(ctx, "SELECT VERSION(), @@global.read_only, @@global.gtid_domain_id, CONCAT(@@global.gtid_binlog_state, ',', @@global.gtid_slave_pos)").
		Scan(&a.version, &a.readOnly, &a.domain, &a.state)
	if err == nil && a.readOnly {
		a.stream, err = s.kept.stream(ctx)
	}
	return a, err
}

// drop closes the connection that is kept.
func (s *server) drop() {
	if s.kept != nil {
		s.kept.close()
		s.kept = nil
	}
}

// phaseOf says how a server is that does not give an answer.
func phaseOf(ctx context.Context, err error) engine.Phase {
	switch code := codeOf(err); {
	case code == codeShutdown:
		return engine.PhaseStopping
	case nobody(err):
		return engine.PhaseStarting
	case code != 0 && ctx.Err() == nil:
		return engine.PhaseBusy // it is alive and says what is wrong
	}
	return engine.PhaseSilent
}
