// SPDX-License-Identifier: Apache-2.0

package mariadb

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/engine"
	"github.com/posternhq/postern/internal/engine/folder"
)

// server is one server and its folder.
type server struct {
	folder.Folder

	probing sync.Mutex
	kept    *connection
	life    int64 // of the server that kept is a connection to
	tried   time.Time
	pending []string
}

var _ engine.Server = (*server)(nil)

// Folders in engine.PartData that are made anew at each start: one for what queries write
// that is not to last, and the only one whose files they may name, which stays empty.
const (
	partTemporary = "tmp"
	partFiles     = "files"
)

// command gives a program of MariaDB to run. It reads no settings but those that it is told.
func (s *server) command(program string, args ...string) (engine.Command, error) {
	path, err := programIn(s.Spec.Programs, program)
	if err != nil {
		return engine.Command{}, fmt.Errorf("find %s: %w", program, err)
	}
	return engine.Command{
		Path: path, Args: args,
		Env: []string{"PATH=" + filepath.Dir(path) + ":" + s.Spec.Programs + ":/usr/bin:/bin", "HOME=/nonexistent", "LC_ALL=C.UTF-8", "TZ=UTC"},
	}, nil
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
		c, err := s.ready(r)
		if err != nil {
			return err
		}
		if err := s.Host.Start(ctx, c); err != nil && !errors.Is(err, engine.ErrRunning) {
			return err
		}
		if p, err = s.Host.Process(ctx); err != nil {
			return err
		}
	}
	return s.answers(ctx, p.Life, r)
}

// ready gives the command that starts the server. One that is to be started again by
// itself writes from its beginning, since nobody is there then to tell it.
func (s *server) ready(r engine.Role) (engine.Command, error) {
	note, err := s.note()
	if err != nil {
		return engine.Command{}, err
	}
	switch {
	case !note.exists():
		return engine.Command{}, engine.ErrNoData
	case note.Replica && r.Writer:
		return engine.Command{}, fmt.Errorf("its data is a replica's: %w", engine.ErrRole)
	}
	for _, f := range []string{s.Part(engine.PartTLS, fileCertificate), s.Part(engine.PartConf, fileMain)} {
		if _, err := os.Stat(f); err != nil {
			return engine.Command{}, fmt.Errorf("it has no settings or no certificate yet: %w", err)
		}
	}
	temporary, files := s.Part(engine.PartData, partTemporary), s.Part(engine.PartData, partFiles)
	err = errors.Join(os.RemoveAll(temporary), os.Mkdir(temporary, 0o700), os.Chown(temporary, int(s.Spec.UID), int(s.Spec.GID)),
		os.RemoveAll(files), os.Mkdir(files, 0o555))
	if err != nil {
		return engine.Command{}, err
	}
	readOnly := "ON"
	if r.Writer && r.Restart {
		readOnly = "OFF"
	}
	c, err := s.command(programServer, "--defaults-file="+s.Host.Path(engine.PartConf, fileMain), "--datadir="+s.Host.Path(engine.PartData, folder.Main),
		fmt.Sprintf("--gtid-domain-id=%d", note.Domain), "--read-only="+readOnly)
	if !note.Replica {
		c.Args = append(c.Args, "--skip-slave-start")
	}
	c.Restart, c.Stop = r.Restart, int(unix.SIGTERM)
	return c, err
}

// answers waits until a server answers, or has ended, and has it write when it is to.
func (s *server) answers(ctx context.Context, life int64, r engine.Role) error {
	for wait := 10 * time.Millisecond; ; wait = min(2*wait, 160*time.Millisecond) {
		err := s.with(ctx, func(c *connection) error {
			if r.Writer {
				return s.lead(ctx, c)
			}
			if err := c.do(ctx, "SET GLOBAL read_only = ON"); err != nil || r.Of == nil {
				return err
			}
			return s.follow(ctx, c, *r.Of)
		})
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
		case codeOf(err) != 0 && codeOf(err) != codeTooManyConnections:
			return err
		}
		if err := folder.Pause(ctx, wait); err != nil {
			return err
		}
	}
}

// settingsWords are in what MariaDB says of settings that it does not start with.
var settingsWords = []string{"unknown variable", "unknown option", "Error while setting value", "Cannot allocate memory for the buffer pool", "Cannot map innodb_buffer_pool_size", "Unknown suffix", "ambiguous option"}

// wrong gives those of the last lines of a log that say what is wrong, or all when none does.
func wrong(words string) string {
	var lines []string
	for line := range strings.Lines(words) {
		if strings.Contains(line, "[ERROR]") {
			lines = append(lines, strings.TrimRight(line, "\n"))
		}
	}
	if len(lines) == 0 {
		return words
	}
	return strings.Join(lines, "\n")
}

func startError(p engine.Process) error {
	e := &engine.StartError{Exit: p.Exit, Words: wrong(p.Words)}
	for _, w := range settingsWords {
		e.Parameters = e.Parameters || strings.Contains(p.Words, w)
	}
	if strings.Contains(p.Words, "No space left on device") {
		return fmt.Errorf("%w: %w", e, engine.ErrFull)
	}
	return e
}

// Stop implements engine.Server.
func (s *server) Stop(ctx context.Context, how engine.Stop) error {
	return s.Folder.Stop(ctx, how, unix.SIGTERM)
}

// Settle implements engine.Server: nobody rejoins.
func (s *server) Settle(context.Context) error { return nil }

// SetDurability implements engine.Server.
func (s *server) SetDurability(_ context.Context, d engine.Durability) error {
	if d.Mode != engine.ModeAlone && len(d.AnyOf) > 0 {
		return fmt.Errorf("set who has to have commits of %s: %w", s.Spec.ID, errAlone)
	}
	return nil
}

// Clone implements engine.Server: there is no copy by the network, but Adopt.
func (s *server) Clone(_ context.Context, from engine.Peer, _ func(engine.Progress)) error {
	return fmt.Errorf("copy %s to %s: %w", from.ID, s.Spec.ID, errAlone)
}

// Rejoin implements engine.Server.
func (s *server) Rejoin(_ context.Context, writer engine.Peer, _ func(engine.Progress)) (engine.Rejoined, error) {
	return "", fmt.Errorf("have %s follow %s: %w", s.Spec.ID, writer.ID, errAlone)
}
