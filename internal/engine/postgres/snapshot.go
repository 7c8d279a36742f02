// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/posternhq/postern/internal/engine"
	"github.com/posternhq/postern/internal/engine/folder"
)

// Snapshot implements engine.Server.
func (s *server) Snapshot(ctx context.Context, tell func(engine.Progress)) (string, error) {
	made, err := s.snapshot(ctx, tell)
	if err != nil {
		return "", fmt.Errorf("copy the data of %s: %w", s.Spec.ID, folder.Full(err))
	}
	return made, nil
}

func (s *server) snapshot(ctx context.Context, tell func(engine.Progress)) (string, error) {
	to := s.Part(engine.PartCopy, folder.Next)
	if err := os.RemoveAll(to); err != nil {
		return "", err
	}
	p, err := s.Host.Process(ctx)
	if err != nil {
		return "", err
	}
	copied := folder.Size(s.Main(), filepath.Join("pg_wal", "*")) // of the log, what is written meanwhile
	err = s.Fill(ctx, to, copied, func(ctx context.Context, _ func(int64)) error {
		if p.Running {
			err = s.copyUp(ctx, tell)
		} else {
			err = s.copyDown(ctx, to, tell)
		}
		for _, f := range []string{standbySignal, "postmaster.pid", "postmaster.opts"} {
			if gone := os.Remove(filepath.Join(to, f)); err == nil && !errors.Is(gone, fs.ErrNotExist) {
				err = gone
			}
		}
		return err
	})
	return to, err
}

// copyUp copies the data of a server that runs.
func (s *server) copyUp(ctx context.Context, tell func(engine.Progress)) error {
	c := s.command("pg_basebackup", "-h", s.Host.Path(engine.PartRun), "-p", s.port(), "-U", admin, "-D", s.Host.Path(engine.PartCopy, folder.Next),
		"-X", "stream", "-c", "fast", "-P")
	return s.Host.Run(ctx, s.telling(c, "copying the data", tell))
}

// port is that of the server that runs.
func (s *server) port() string {
	name, err := s.socket()
	if err != nil {
		return "0" // then nobody is found there
	}
	return name[len(".s.PGSQL."):]
}

// copyDown copies the data of a server that does not run, and was stopped cleanly.
func (s *server) copyDown(ctx context.Context, to string, tell func(engine.Progress)) error {
	data, err := s.Inspect(ctx)
	switch {
	case err != nil:
		return err
	case !data.Exists:
		return engine.ErrNoData
	case !data.Clean:
		return errors.New("the server was not stopped cleanly; start it first")
	}
	return folder.CopyTree(ctx, s.Main(), to, "copying the data", tell)
}

// Restore implements engine.Server. The copy has the identity of what it is a copy of; its
// passwords and certificates are its own.
func (s *server) Restore(ctx context.Context, from string, tell func(engine.Progress)) error {
	err := engine.ErrExists
	if !s.exists() {
		err = s.restore(ctx, from, tell)
	}
	if err != nil {
		return fmt.Errorf("make the data of %s from a snapshot: %w", s.Spec.ID, folder.Full(err))
	}
	return nil
}

func (s *server) restore(ctx context.Context, from string, tell func(engine.Progress)) error {
	next, err := s.Making(ctx)
	if err != nil {
		return err
	}
	err = s.Fill(ctx, next, folder.Size(from), func(ctx context.Context, _ func(int64)) error {
		return folder.CopyTree(ctx, from, next, "copying the snapshot", tell)
	})
	if err != nil {
		return err
	}
	return s.Made()
}
