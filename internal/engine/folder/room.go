// SPDX-License-Identifier: Apache-2.0

package folder

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/engine"
)

// Reserve is how much of a disk copies leave free. Servers go on with it, and so does
// whatever else is on the disk, such as Postern's own state.
const Reserve = 256 << 20

// watching is how often the disk is looked at while a copy is made. What is written
// meanwhile is to be less than Reserve.
const watching = 50 * time.Millisecond

// Fill has a copy written to a path of the disk that the folder is on, and removes what
// there is of it when that fails. A copy of more bytes than there is room for is not begun,
// and one that turns out to be larger is ended while Reserve is free: the error is
// engine.ErrFull then. Who does not know the size before gives zero, and calls need
// when it is known.
func (f Folder) Fill(ctx context.Context, to string, bytes int64, write func(ctx context.Context, need func(bytes int64)) error) error {
	free, err := Free(f.Spec.Folder)
	if err != nil {
		return err
	}
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	need := func(bytes int64) {
		if free-bytes < Reserve {
			end(fmt.Errorf("%w: a copy takes %d MiB and leaves %d MiB to others, and %d MiB are free", engine.ErrFull, bytes>>20, Reserve>>20, free>>20))
		}
	}
	if need(bytes); ctx.Err() == nil {
		go f.watch(ctx, end)
		err = write(ctx, need)
	} else {
		err = ctx.Err()
	}
	if err == nil {
		return nil
	}
	if cause := context.Cause(ctx); errors.Is(cause, engine.ErrFull) {
		err = cause
	}
	return errors.Join(err, os.RemoveAll(to))
}

// watch ends what is being written when the disk has no more than Reserve left.
func (f Folder) watch(ctx context.Context, end context.CancelCauseFunc) {
	for Pause(ctx, watching) == nil {
		if free, err := Free(f.Spec.Folder); err == nil && free < Reserve {
			end(fmt.Errorf("%w: a copy was ended when %d MiB were left", engine.ErrFull, free>>20))
		}
	}
}

// Free gives how many bytes a process without privileges may write on the disk of a folder.
func Free(folder string) (int64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(folder, &s); err != nil {
		return 0, fmt.Errorf("see how much is free in %s: %w", folder, err)
	}
	return int64(s.Bavail) * s.Bsize, nil
}

// Size gives how many bytes the files of a folder have, but for those that match patterns
// of paths in it. Files that go away meanwhile do not count.
func Size(root string, without ...string) (bytes int64) {
	_ = filepath.WalkDir(root, func(path string, file fs.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		for _, pattern := range without {
			if out, _ := filepath.Match(filepath.Join(root, pattern), path); out {
				if file.IsDir() {
					return fs.SkipDir
				}
				return nil
			}
		}
		if info, err := file.Info(); err == nil && info.Mode().IsRegular() {
			bytes += info.Size()
		}
		return nil
	})
	return bytes
}
