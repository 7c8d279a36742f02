// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/posternhq/postern/internal/engine"
)

// copyVolume takes a snapshot of the data that the last member of a database has left: in a
// folder that is like a server's, with that data in the place of its own.
func (d *database) copyVolume(ctx context.Context, id string) (bytes int64, err error) {
	k := d.keeper
	driver, err := d.driver()
	if err != nil {
		return 0, err
	}
	installation, err := d.installation(ctx, driver)
	if err != nil {
		return 0, err
	}
	folder := filepath.Join(k.folder(d.id), lastFolder)
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	if err := errors.Join(os.RemoveAll(folder), os.MkdirAll(filepath.Join(folder, engine.PartCopy), 0o700)); err != nil {
		return 0, fmt.Errorf("copy the data that the last member of %s left: %w", d.id, err)
	}
	if err := os.Symlink(filepath.Join(k.folder(d.id), volumeFolder), filepath.Join(folder, engine.PartData)); err != nil {
		return 0, fmt.Errorf("copy the data that the last member of %s left: %w", d.id, err)
	}
	server, err := driver.Open(engine.Spec{ID: d.id, Folder: folder, Installation: installation}, nobody{folder})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	made, err := server.Snapshot(ctx, nil)
	if err != nil {
		return 0, err
	}
	return k.keepSnapshot(made, id)
}

// nobody is the host of a folder on which no server runs, and none is started. Programs that
// read it run as the keeper does.
type nobody struct{ folder string }

var _ engine.Host = nobody{}

// Path implements engine.Host.
func (n nobody) Path(parts ...string) string {
	return filepath.Join(append([]string{n.folder}, parts...)...)
}

// Run implements engine.Host.
func (n nobody) Run(ctx context.Context, c engine.Command) error {
	run := exec.CommandContext(ctx, c.Path, c.Args...)
	run.Env, run.Stdout, run.Stderr = c.Env, c.Output, c.Errors
	if err := run.Run(); err != nil {
		return fmt.Errorf("run %s: %w", c.Path, err)
	}
	return nil
}

// Start implements engine.Host.
func (nobody) Start(context.Context, engine.Command) error { return engine.ErrHost }

// Signal implements engine.Host.
func (nobody) Signal(context.Context, int) error { return engine.ErrDown }

// Hold implements engine.Host.
func (nobody) Hold(context.Context) error { return nil }

// Kill implements engine.Host.
func (nobody) Kill(context.Context) error { return nil }

// Process implements engine.Host.
func (nobody) Process(context.Context) (engine.Process, error) { return engine.Process{}, nil }

// Wait implements engine.Host.
func (nobody) Wait(ctx context.Context, _ engine.Process) (engine.Process, error) {
	<-ctx.Done()
	return engine.Process{}, ctx.Err()
}
