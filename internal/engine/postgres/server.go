// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/engine"
	"github.com/posternhq/postern/internal/engine/folder"
)

// server is one server and its folder.
type server struct {
	folder.Folder

	probing sync.Mutex
	kept    *pgconn.PgConn
	life    int64 // of the server that kept is a connection to
	tried   time.Time
	pending []string
	turns   map[uint32][]engine.Turn
}

var _ engine.Server = (*server)(nil)

const standbySignal = "standby.signal"

func (s *server) exists() bool {
	_, err := os.Stat(s.Main("PG_VERSION"))
	_, unfit := os.Stat(s.Part(engine.PartData, folder.Unfit))
	return err == nil && errors.Is(unfit, fs.ErrNotExist)
}

// command gives a program of PostgreSQL to run. HOME leads nowhere, since libpq looks for
// certificates there.
func (s *server) command(program string, args ...string) engine.Command {
	return engine.Command{
		Path: filepath.Join(s.Spec.Programs, program), Args: args,
		Env: []string{"PATH=" + s.Spec.Programs + ":/usr/bin:/bin", "HOME=/nonexistent", "LC_ALL=C.UTF-8", "TZ=UTC"},
	}
}

// Close implements engine.Server.
func (s *server) Close() error {
	s.probing.Lock()
	defer s.probing.Unlock()
	s.drop()
	return nil
}

// Start implements engine.Server.
func (s *server) Start(ctx context.Context, r engine.Role) error {
	if err := s.start(ctx, r); err != nil {
		return fmt.Errorf("start %s: %w", s.Spec.ID, err)
	}
	return nil
}

func (s *server) start(ctx context.Context, r engine.Role) error {
	p, err := s.Host.Process(ctx)
	if err != nil {
		return err
	}
	if !p.Running {
		if err := s.assume(r); err != nil {
			return err
		}
		c := s.command("postgres", "-D", s.Host.Path(engine.PartData, folder.Main), "-c", "config_file="+s.Host.Path(engine.PartConf, fileMain))
		if !r.Writer {
			least, err := s.least(ctx)
			if err != nil {
				return err
			}
			c.Args = append(c.Args, least...)
		}
		c.Env = append(c.Env, "PG_OOM_ADJUST_FILE=/proc/self/oom_score_adj", "PG_OOM_ADJUST_VALUE=0")
		c.Restart, c.Stop = r.Restart, int(unix.SIGINT)
		if err := s.Host.Start(ctx, c); err != nil && !errors.Is(err, engine.ErrRunning) {
			return err
		}
		if p, err = s.Host.Process(ctx); err != nil {
			return err
		}
	}
	return s.answers(ctx, p.Life, r)
}

// assume makes the data that of a role, before the start. What was a replica does not
// become a writer by that: its changes would be on the timeline of another one.
func (s *server) assume(r engine.Role) error {
	if !s.exists() {
		return engine.ErrNoData
	}
	for _, f := range []string{s.Part(engine.PartTLS, fileCertificate), s.Part(engine.PartConf, fileMain)} {
		if _, err := os.Stat(f); err != nil {
			return fmt.Errorf("it has no settings or no certificate yet: %w", err)
		}
	}
	signal := s.Main(standbySignal)
	if r.Writer {
		if _, err := os.Stat(signal); err == nil {
			return fmt.Errorf("its data is a replica's: %w", engine.ErrRole)
		}
		return nil
	}
	text := revised(fileUpstream, s.upstreamText(r.Of))
	return errors.Join(s.Write(engine.PartConf, fileUpstream, text), s.Touch(signal))
}

// answers waits until a server answers in its role, or has ended.
func (s *server) answers(ctx context.Context, life int64, r engine.Role) error {
	for wait := 10 * time.Millisecond; ; wait = min(2*wait, 160*time.Millisecond) {
		replica := ""
		err := s.with(ctx, func(conn *pgconn.PgConn) (err error) {
			replica, err = query(ctx, conn, "SELECT pg_is_in_recovery()")
			return err
		})
		if err == nil && (replica == "f") != r.Writer {
			return engine.ErrRole
		}
		if err == nil {
			return nil
		}
		p, gone := s.Host.Process(ctx)
		switch {
		case gone != nil:
			return gone
		case !p.Running:
			_ = s.Host.Hold(ctx) // whoever asked for it tries again, and knows when
			return startError(p)
		case p.Life != life: // it has ended, and was started again by itself: why is told by its end
			if err := s.Host.Hold(ctx); err != nil {
				return err
			}
			life = p.Life
		case ctx.Err() != nil:
			return errors.Join(ctx.Err(), err)
		case !notYet(err) && codeOf(err) != "":
			return err
		}
		if err := folder.Pause(ctx, wait); err != nil {
			return err
		}
	}
}

// settingsWords are in what PostgreSQL says of settings that it does not start with.
var settingsWords = []string{
	"contains errors", "invalid value for parameter", "is outside the valid range", "unrecognized configuration parameter",
	"could not map anonymous shared memory", "could not create shared memory", "could not access file", "must be less than", "insufficient parameter settings",
}

func startError(p engine.Process) error {
	e := &engine.StartError{Exit: p.Exit, Words: p.Words}
	for _, w := range settingsWords {
		e.Parameters = e.Parameters || strings.Contains(p.Words, w)
	}
	if strings.Contains(p.Words, "No space left on device") {
		return fmt.Errorf("%w: %w", e, engine.ErrFull)
	}
	return e
}

// Stop implements engine.Server. A clean stop is a fast one in PostgreSQL's words: clients
// are told, and everything is written down and sent to the replicas.
func (s *server) Stop(ctx context.Context, how engine.Stop) error {
	return s.Folder.Stop(ctx, how, unix.SIGINT)
}
