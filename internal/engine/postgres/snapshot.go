// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/posternhq/postern/internal/engine"
)

// Snapshot implements engine.Server.
func (s *server) Snapshot(ctx context.Context, tell func(engine.Progress)) (string, error) {
	folder, err := s.snapshot(ctx, tell)
	if err != nil {
		return "", fmt.Errorf("copy the data of %s: %w", s.spec.ID, full(err))
	}
	return folder, nil
}

func (s *server) snapshot(ctx context.Context, tell func(engine.Progress)) (string, error) {
	to := s.part(engine.PartCopy, dataNext)
	if err := os.RemoveAll(to); err != nil {
		return "", err
	}
	p, err := s.host.Process(ctx)
	if err != nil {
		return "", err
	}
	if p.Running {
		c := s.command("pg_basebackup", "-h", s.host.Path(engine.PartRun), "-p", s.port(), "-U", admin, "-D", s.host.Path(engine.PartCopy, dataNext),
			"-X", "stream", "-c", "fast", "-P")
		err = s.host.Run(ctx, s.telling(c, "copying the data", tell))
	} else {
		err = s.copyDown(ctx, to, tell)
	}
	if err != nil {
		return "", err
	}
	for _, f := range []string{standbySignal, "postmaster.pid", "postmaster.opts"} {
		if err := os.Remove(filepath.Join(to, f)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
	return to, nil
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
	return copyTree(ctx, s.main(), to, "copying the data", tell)
}

// Restore implements engine.Server. The copy has the identity of what it is a copy of; its
// passwords and certificates are its own.
func (s *server) Restore(ctx context.Context, folder string, tell func(engine.Progress)) error {
	err := engine.ErrExists
	if !s.exists() {
		err = s.restore(ctx, folder, tell)
	}
	if err != nil {
		return fmt.Errorf("make the data of %s from a snapshot: %w", s.spec.ID, full(err))
	}
	return nil
}

func (s *server) restore(ctx context.Context, folder string, tell func(engine.Progress)) error {
	next, err := s.making(ctx)
	if err != nil {
		return err
	}
	if err := copyTree(ctx, folder, next, "copying the snapshot", tell); err != nil {
		return err
	}
	return s.made()
}

// copyTree copies a folder of regular files, with owners and modes. File systems that can
// share what is the same do so (copy_file_range(2)).
func copyTree(ctx context.Context, from, to, step string, tell func(engine.Progress)) error {
	var done, total int64
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			total += info.Size()
		}
		return err
	})
	if err != nil {
		return err
	}
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if !d.IsDir() && !d.Type().IsRegular() {
			return fmt.Errorf("%s is no regular file", path) // such as a tablespace, which nobody can make here
		}
		n, err := copyOne(path, filepath.Join(to, rel), info)
		if done += n; tell != nil {
			tell(engine.Progress{Step: step, Done: done, Total: max(done, total)})
		}
		return err
	})
}

// copyOne copies a file, or makes a folder, and gives how many bytes were copied.
func copyOne(from, to string, info fs.FileInfo) (n int64, err error) {
	uid, gid := -1, -1 // leaves them
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		uid, gid = int(st.Uid), int(st.Gid)
	}
	if info.IsDir() {
		return 0, errors.Join(os.Mkdir(to, info.Mode().Perm()), os.Chown(to, uid, gid))
	}
	source, err := os.Open(from)
	if err != nil {
		return 0, err
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, info.Mode().Perm())
	if err != nil {
		return 0, err
	}
	n, err = io.Copy(target, source)
	return n, errors.Join(err, target.Chown(uid, gid), target.Sync(), target.Close())
}
