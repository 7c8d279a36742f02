// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/posternhq/postern/internal/engine"
	"github.com/posternhq/postern/internal/engine/folder"
)

// control gives what the control file of the data says.
func (s *server) control(ctx context.Context) (map[string]string, error) {
	var out bytes.Buffer
	c := s.command("pg_controldata", "-D", s.Host.Path(engine.PartData, folder.Main))
	c.Output = &out
	if err := s.Host.Run(ctx, c); err != nil {
		return nil, err
	}
	said := map[string]string{}
	for line := range strings.Lines(out.String()) {
		if name, value, ok := strings.Cut(line, ":"); ok {
			said[name] = strings.TrimSpace(value)
		}
	}
	return said, nil
}

// leasts are settings that a replica must have at least as the writer has them, by what the
// control file calls them
// (https://www.postgresql.org/docs/current/hot-standby.html#HOT-STANDBY-ADMIN), and what
// PostgreSQL has where nothing is set.
var leasts = []struct {
	control, name string
	usual         int
}{
	{"max_connections setting", "max_connections", 100}, {"max_worker_processes setting", "max_worker_processes", 8},
	{"max_wal_senders setting", "max_wal_senders", 10}, {"max_prepared_xacts setting", "max_prepared_transactions", 0},
	{"max_locks_per_xact setting", "max_locks_per_transaction", 64},
}

// least gives the options of a replica whose own settings are less than those of the
// writer whose log it has.
func (s *server) least(ctx context.Context) (options []string, err error) {
	said, err := s.control(ctx)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(s.Part(engine.PartConf, fileMain))
	if err != nil {
		return nil, err
	}
	for _, l := range leasts {
		own := l.usual
		for line := range strings.Lines(string(text)) {
			if name, value, ok := strings.Cut(strings.TrimSpace(line), " = "); ok && name == l.name {
				if own, err = strconv.Atoi(strings.Trim(value, "'")); err != nil {
					return nil, fmt.Errorf("read %s: %w", l.name, err)
				}
			}
		}
		if writers, err := strconv.Atoi(said[l.control]); err == nil && writers > own {
			options = append(options, "-c", fmt.Sprintf("%s=%d", l.name, writers))
		}
	}
	return options, nil
}

// Inspect implements engine.Server.
func (s *server) Inspect(ctx context.Context) (d engine.Data, err error) {
	if !s.exists() {
		return d, nil
	}
	major, err := os.ReadFile(s.Main("PG_VERSION"))
	if err != nil {
		return d, fmt.Errorf("inspect %s: %w", s.Spec.ID, err)
	}
	d.Exists, d.Major = true, strings.TrimSpace(string(major))
	_, err = os.Stat(s.Main(standbySignal))
	if d.Writer = errors.Is(err, fs.ErrNotExist); !d.Writer && err != nil {
		return d, fmt.Errorf("inspect %s: %w", s.Spec.ID, err)
	}
	d.Own = d.Writer
	said, err := s.control(ctx)
	if err != nil {
		return d, fmt.Errorf("inspect %s: %w", s.Spec.ID, err)
	}
	state := said["Database cluster state"]
	d.Clean = state == "shut down" || state == "shut down in recovery"
	d.Identity = said["Database system identifier"]
	timeline, err := strconv.ParseUint(said["Latest checkpoint's TimeLineID"], 10, 32)
	if err != nil {
		return d, fmt.Errorf("inspect %s: read the timeline: %w", s.Spec.ID, err)
	}
	d.Timeline = uint32(timeline)
	// The checkpoint's record begins there: it is there as a whole when what is there goes
	// beyond. A replica has at least what it has replayed.
	d.At = position(parseLSN(said["Latest checkpoint location"]).Order + 1)
	if ending, err := strconv.ParseUint(said["Min recovery ending loc's timeline"], 10, 32); err == nil && uint32(ending) >= d.Timeline && ending > 0 {
		d.Timeline, d.At = uint32(ending), later(d.At, parseLSN(said["Minimum recovery ending location"]))
	}
	if d.Turns, err = turnsIn(s.Main(), d.Timeline); err != nil {
		return d, fmt.Errorf("inspect %s: %w", s.Spec.ID, err)
	}
	return d, nil
}

// foundation is what a new database has from its beginning, in single-user mode: a
// statement is a line there.
var foundation = strings.Join([]string{
	"CREATE ROLE " + superuser + " NOLOGIN",
	"GRANT pg_monitor, pg_signal_backend TO " + superuser + " WITH ADMIN OPTION",
	"CREATE ROLE " + replication + " NOLOGIN REPLICATION",
	"CREATE DATABASE " + admin,
	"REVOKE ALL ON DATABASE " + admin + " FROM PUBLIC",
	"GRANT CONNECT ON DATABASE " + admin + " TO " + replication,
}, "\n") + "\n"

// guard keeps who may make roles, which before version 16 means to grant all roles but
// superusers, from granting those that run programs or come to files of the host: only
// superusers can grant what is one itself. Nobody can log in as these.
const guard = "UPDATE pg_authid SET rolsuper = true WHERE rolname IN ('pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files')\n"

// rewindRights are what pg_rewind needs in the database that it connects to
// (https://www.postgresql.org/docs/current/app-pgrewind.html).
var rewindRights = func() string {
	var list []string
	for _, f := range []string{"pg_ls_dir(text, boolean, boolean)", "pg_stat_file(text, boolean)", "pg_read_binary_file(text)", "pg_read_binary_file(text, bigint, bigint, boolean)"} {
		list = append(list, "GRANT EXECUTE ON FUNCTION pg_catalog."+f+" TO "+replication)
	}
	return strings.Join(list, "\n") + "\n"
}()

// Init implements engine.Server. Pages have checksums, which pg_rewind needs, too.
func (s *server) Init(ctx context.Context) error {
	if s.exists() {
		return fmt.Errorf("make the database of %s: %w", s.Spec.ID, engine.ErrExists)
	}
	if err := s.init(ctx); err != nil {
		return fmt.Errorf("make the database of %s: %w", s.Spec.ID, folder.Full(err))
	}
	return nil
}

func (s *server) init(ctx context.Context) error {
	if _, err := s.Making(ctx); err != nil {
		return err
	}
	next := s.Host.Path(engine.PartData, folder.Next)
	err := s.Host.Run(ctx, s.command("initdb", "-D", next, "--data-checksums", "-E", "UTF8", "--locale=C.UTF-8", "-U", admin,
		"--auth-local=peer", "--auth-host=reject", "--no-sync"))
	if err != nil {
		return err
	}
	first := foundation
	if engine.CompareVersions(s.Spec.Major, "16") < 0 {
		first += guard
	}
	for _, step := range []struct{ database, sql string }{{"postgres", first}, {admin, rewindRights}} {
		if err := s.single(ctx, next, step.database, step.sql); err != nil {
			return err
		}
	}
	if err := s.Host.Run(ctx, s.command("initdb", "-D", next, "--sync-only")); err != nil {
		return err
	}
	return s.Made()
}

// single runs statements without a server. Single-user mode goes on after an error and
// says so only in its log.
func (s *server) single(ctx context.Context, data, database, sql string) error {
	var said bytes.Buffer
	c := s.command("postgres", "--single", "-D", data, "-c", "log_min_messages=error", "-c", "listen_addresses=", database)
	c.Input, c.Errors = []byte(sql), &said
	if err := s.Host.Run(ctx, c); err != nil {
		return err
	}
	if text := said.String(); strings.Contains(text, "ERROR:") || strings.Contains(text, "FATAL:") {
		return errors.New(strings.TrimSpace(text))
	}
	return nil
}

// Clone implements engine.Server.
func (s *server) Clone(ctx context.Context, from engine.Peer, tell func(engine.Progress)) error {
	if err := s.clone(ctx, from, tell); err != nil {
		return fmt.Errorf("copy %s to %s: %w", from.ID, s.Spec.ID, folder.Full(err))
	}
	return nil
}

func (s *server) clone(ctx context.Context, from engine.Peer, tell func(engine.Progress)) error {
	next, err := s.Making(ctx)
	if err != nil {
		return err
	}
	err = s.Fill(ctx, next, 0, func(ctx context.Context, need func(int64)) error {
		told := func(p engine.Progress) {
			need(p.Total)
			if tell != nil {
				tell(p)
			}
		}
		err := s.copyFrom(ctx, from, told, "-S", slotOf(s.Spec.ID))
		if err != nil && strings.Contains(err.Error(), "replication slot") && ctx.Err() == nil {
			// It is not there yet, or in use by a connection that is about to end. What is
			// written meanwhile is kept for some time without it, too.
			if err = os.RemoveAll(next); err == nil {
				err = s.copyFrom(ctx, from, told)
			}
		}
		if err != nil {
			return err
		}
		return s.Touch(filepath.Join(next, standbySignal))
	})
	if err != nil {
		return err
	}
	return s.Made()
}

// copyFrom copies the data of another server, by the network.
func (s *server) copyFrom(ctx context.Context, from engine.Peer, tell func(engine.Progress), slot ...string) error {
	args := append([]string{"-d", s.conninfo(from), "-D", s.Host.Path(engine.PartData, folder.Next), "-X", "stream", "-c", "fast", "-P"}, slot...)
	return s.Host.Run(ctx, s.telling(s.command("pg_basebackup", args...), "copying "+from.ID, tell))
}

// progress is what programs of PostgreSQL write with -P, in kB.
var progress = regexp.MustCompile(`(\d+)/(\d+) kB`)

// telling has a program's progress told, and keeps that out of what it says when it fails.
func (s *server) telling(c engine.Command, step string, tell func(engine.Progress)) engine.Command {
	if tell != nil {
		tell(engine.Progress{Step: step})
		c.Errors = teller(func(p []byte) {
			if found := progress.FindAllSubmatch(p, -1); len(found) > 0 {
				last := found[len(found)-1]
				done, _ := strconv.ParseInt(string(last[1]), 10, 64) // digits
				total, _ := strconv.ParseInt(string(last[2]), 10, 64)
				tell(engine.Progress{Step: step, Done: done << 10, Total: max(done, total) << 10})
			}
		})
	}
	return c
}

type teller func([]byte)

// Write implements io.Writer.
func (t teller) Write(p []byte) (int, error) { t(p); return len(p), nil }

// Rejoin implements engine.Server.
func (s *server) Rejoin(ctx context.Context, writer engine.Peer, tell func(engine.Progress)) (engine.Rejoined, error) {
	if s.exists() {
		how, err := s.rewind(ctx, writer, tell)
		if err == nil {
			return how, nil
		}
		if ctx.Err() != nil || errors.Is(err, engine.ErrRunning) || errors.Is(err, engine.ErrHost) {
			return "", fmt.Errorf("take back what %s has more than %s: %w", s.Spec.ID, writer.ID, err)
		}
	}
	if err := s.Clone(ctx, writer, tell); err != nil {
		return "", err
	}
	return engine.RejoinedCloned, nil
}

// rewind takes back what a writer does not have. Data that it was changing is not a
// database until it is done.
func (s *server) rewind(ctx context.Context, writer engine.Peer, tell func(engine.Progress)) (engine.Rejoined, error) {
	if err := s.NeedDown(ctx); err != nil {
		return "", err
	}
	data, err := s.Inspect(ctx)
	if err != nil {
		return "", err
	}
	unfit := s.Part(engine.PartData, folder.Unfit)
	if err := errors.Join(s.Touch(unfit), s.removeSignal()); err != nil {
		return "", err
	}
	main := s.Host.Path(engine.PartData, folder.Main)
	if !data.Clean { // it needs a log that ends well
		c := s.command("postgres", "--single", "-D", main, "-c", "config_file="+s.Host.Path(engine.PartConf, fileMain), "-c", "listen_addresses=", "template1")
		if err := s.Host.Run(ctx, c); err != nil {
			return "", err
		}
	}
	var said bytes.Buffer
	c := s.command("pg_rewind", "-D", main, "--source-server="+s.conninfo(writer)+" dbname="+admin, "--no-ensure-shutdown", "-P")
	c = s.telling(c, "taking back what "+writer.ID+" does not have", tell)
	heard := c.Errors
	c.Errors = teller(func(p []byte) {
		said.Write(p)
		if heard != nil {
			_, _ = heard.Write(p)
		}
	})
	c.Output = &said
	if err := s.Host.Run(ctx, c); err != nil {
		return "", err
	}
	if data.Own && strings.Contains(said.String(), "on the same timeline") {
		// Both have written a timeline of that number; pg_rewind takes them to be one.
		return "", fmt.Errorf("%s has a timeline of the same number", writer.ID)
	}
	if err := errors.Join(s.Touch(s.Main(standbySignal)), os.Remove(unfit), folder.Sync(s.Part(engine.PartData))); err != nil {
		return "", err
	}
	if strings.Contains(said.String(), "no rewind required") {
		return engine.RejoinedAsIs, nil
	}
	return engine.RejoinedRewound, nil
}

// removeSignal makes data no replica's: those cannot be opened without a server.
func (s *server) removeSignal() error {
	err := os.Remove(s.Main(standbySignal))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
