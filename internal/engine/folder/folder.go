// SPDX-License-Identifier: Apache-2.0

// Package folder is what drivers do alike with a server's folder and its processes: data
// that is replaced as a whole or not at all, files that are, copies, and ends.
package folder

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/engine"
)

// Names in engine.PartData. What is being made is in Next and becomes Main at once, when it
// is whole; Main that is being changed in place has the mark Unfit beside it.
const (
	Main  = "main"
	Next  = "next"
	Unfit = "main.unfit"
)

// Folder is a server's, with the host that runs it.
type Folder struct {
	Spec engine.Spec
	Host engine.Host
}

// Open checks what is needed to work with a folder.
func Open(spec engine.Spec, host engine.Host) (Folder, error) {
	if !filepath.IsAbs(spec.Folder) || spec.ID == "" || spec.Programs == "" {
		return Folder{}, fmt.Errorf("open server %q of %s: its id, an absolute path and its programs are needed", spec.ID, spec.Folder)
	}
	return Folder{spec, host}, nil
}

// Part gives the path on this host of a part of the folder.
func (f Folder) Part(parts ...string) string {
	return filepath.Join(append([]string{f.Spec.Folder}, parts...)...)
}

// Main gives the path on this host of the data, or of what is in it.
func (f Folder) Main(parts ...string) string {
	return f.Part(append([]string{engine.PartData, Main}, parts...)...)
}

// NeedDown refuses what is for servers that do not run.
func (f Folder) NeedDown(ctx context.Context) error {
	p, err := f.Host.Process(ctx)
	if err == nil && p.Running {
		err = engine.ErrRunning
	}
	return err
}

// Making readies Next for what is to become the data, where somebody may have removed all.
func (f Folder) Making(ctx context.Context) (next string, err error) {
	if err := f.NeedDown(ctx); err != nil {
		return "", err
	}
	data := f.Part(engine.PartData)
	switch err := os.Mkdir(data, 0o700); {
	case err == nil:
		if err := os.Chown(data, int(f.Spec.UID), int(f.Spec.GID)); err != nil {
			return "", err
		}
	case !errors.Is(err, fs.ErrExist):
		return "", err
	}
	next = f.Part(engine.PartData, Next)
	return next, os.RemoveAll(next)
}

// Made makes Next the data, at once, and removes what was.
func (f Folder) Made() error {
	data := f.Part(engine.PartData)
	next := f.Part(engine.PartData, Next)
	how := uint(unix.RENAME_EXCHANGE)
	if _, err := os.Stat(f.Main()); errors.Is(err, fs.ErrNotExist) {
		how = unix.RENAME_NOREPLACE
	}
	if err := unix.Renameat2(unix.AT_FDCWD, next, unix.AT_FDCWD, f.Main(), how); err != nil {
		return fmt.Errorf("put the data in its place: %w", err)
	}
	if err := os.Remove(f.Part(engine.PartData, Unfit)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := Sync(data); err != nil {
		return err
	}
	return os.RemoveAll(next)
}

// Destroy is engine.Server's.
func (f Folder) Destroy(ctx context.Context) error {
	if err := f.NeedDown(ctx); err != nil && !errors.Is(err, engine.ErrHost) {
		return fmt.Errorf("remove the data of %s: %w", f.Spec.ID, err)
	}
	for _, part := range []string{engine.PartData, engine.PartCopy} {
		found, err := os.ReadDir(f.Part(part))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove the data of %s: %w", f.Spec.ID, err)
		}
		for _, name := range found {
			if err := os.RemoveAll(f.Part(part, name.Name())); err != nil {
				return fmt.Errorf("remove the data of %s: %w", f.Spec.ID, err)
			}
		}
	}
	return nil
}

// Stop is engine.Server's, with the signal that ends the engine cleanly.
func (f Folder) Stop(ctx context.Context, how engine.Stop, signal syscall.Signal) error {
	if err := f.stop(ctx, how, signal); err != nil && !errors.Is(err, engine.ErrHost) {
		return fmt.Errorf("stop %s: %w", f.Spec.ID, err)
	}
	return nil
}

func (f Folder) stop(ctx context.Context, how engine.Stop, signal syscall.Signal) error {
	if how.Clean > 0 {
		if err := f.Host.Hold(ctx); err != nil {
			return err
		}
		p, err := f.Host.Process(ctx)
		if err != nil || !p.Running {
			return err
		}
		if err := f.Host.Signal(ctx, int(signal)); err == nil {
			patience, cancel := context.WithTimeout(ctx, how.Clean)
			p, err = f.Host.Wait(patience, p)
			cancel()
			if err == nil && !p.Running {
				return nil
			}
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return f.Host.Kill(ctx)
}

// Touch makes an empty file of the server's, for good.
func (f Folder) Touch(path string) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(file.Chown(int(f.Spec.UID), int(f.Spec.GID)), file.Sync(), file.Close(), Sync(filepath.Dir(path)))
}

// Write replaces a file of the folder that the server may read and nobody else.
func (f Folder) Write(part, name, text string) error {
	return f.replace(f.Part(part, name), text, 0, 0o640)
}

// WriteSecret replaces a file of the folder's settings that is the server's alone.
func (f Folder) WriteSecret(name, text string) error {
	return f.replace(f.Part(engine.PartConf, name), text, int(f.Spec.UID), 0o600)
}

// replace puts a text into a file at once. One that has it is left.
func (f Folder) replace(path, text string, owner int, mode os.FileMode) error {
	if old, err := os.ReadFile(path); err == nil && string(old) == text {
		return nil
	}
	file, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	_, err = file.WriteString(text)
	err = errors.Join(err, file.Chmod(mode), file.Chown(owner, int(f.Spec.GID)))
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return os.Rename(file.Name(), path)
}

// Sync has the names in a folder be on the disk.
func Sync(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// Full says that the disk is, when that is the reason.
func Full(err error) error {
	if err != nil && (strings.Contains(err.Error(), "No space left on device") || errors.Is(err, unix.ENOSPC)) {
		return fmt.Errorf("%w: %w", engine.ErrFull, err)
	}
	return err
}

// Pause waits for some time, or until the context ends.
func Pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
