// SPDX-License-Identifier: Apache-2.0

package mariadb

import (
	"bytes"
	"context"
	"errors"
	"fmt"
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
	n, err := s.note()
	if err != nil {
		return "", err
	}
	if !n.exists() {
		return "", engine.ErrNoData
	}
	to := s.Part(engine.PartCopy, folder.Next)
	if err := os.RemoveAll(to); err != nil {
		return "", err
	}
	p, err := s.Host.Process(ctx)
	if err != nil {
		return "", err
	}
	err = s.Fill(ctx, to, folder.Size(s.Main(), logName+".*"), func(ctx context.Context, _ func(int64)) error {
		if p.Running {
			err = s.copyUp(ctx, tell)
		} else {
			err = s.copyDown(ctx, to, tell)
		}
		if err != nil {
			return err
		}
		return s.sign(to, note{Major: n.Major, Of: n.Domain})
	})
	return to, err
}

// copyUp copies the data of a server that runs, and makes the copy as after a clean stop.
func (s *server) copyUp(ctx context.Context, tell func(engine.Progress)) error {
	to := s.Host.Path(engine.PartCopy, folder.Next)
	if tell != nil {
		tell(engine.Progress{Step: "copying the data"})
	}
	for _, args := range [][]string{
		{"--no-defaults", "--backup", "--target-dir=" + to, "--datadir=" + s.Host.Path(engine.PartData, folder.Main),
			"--socket=" + s.Host.Path(engine.PartRun, socketName), "--user=" + s.Spec.User, "--tmpdir=" + s.Host.Path(engine.PartData, partTemporary)},
		{"--no-defaults", "--prepare", "--target-dir=" + to, "--tmpdir=" + s.Host.Path(engine.PartData, partTemporary)},
	} {
		c, err := s.command(programBackup, args...)
		if err != nil {
			return err
		}
		var said bytes.Buffer
		c.Errors = &said
		if err := s.Host.Run(ctx, c); err != nil {
			return fmt.Errorf("%w: %s", err, last(said.String()))
		}
	}
	return nil
}

// copyDown copies the data of a server that does not run, and was stopped cleanly.
func (s *server) copyDown(ctx context.Context, to string, tell func(engine.Progress)) error {
	clean, err := s.clean()
	if err != nil {
		return err
	}
	if !clean {
		return errors.New("the server was not stopped cleanly; start it first")
	}
	return folder.CopyTree(ctx, s.Main(), to, "copying the data", tell)
}

// Restore implements engine.Server. What comes of a snapshot is a database of its own: its
// log of changes begins anew, and its identity is another one.
func (s *server) Restore(ctx context.Context, from string, tell func(engine.Progress)) error {
	n, err := s.note()
	if err == nil && n.exists() {
		err = engine.ErrExists
	}
	if err == nil {
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
		if err := folder.CopyTree(ctx, from, next, "copying the snapshot", tell); err != nil {
			return err
		}
		if err := forget(next); err != nil {
			return err
		}
		return s.sign(next, note{Major: s.Spec.Major})
	})
	if err != nil {
		return err
	}
	return s.Made()
}

// forget removes the log of changes of a copy, and whom it followed.
func forget(path string) (err error) {
	for _, pattern := range []string{logName + ".*", relayName + "*", "master.info", "relay-log.info"} {
		found, wrong := filepath.Glob(filepath.Join(path, pattern))
		err = errors.Join(err, wrong)
		for _, name := range found {
			err = errors.Join(err, os.Remove(name))
		}
	}
	return err
}
