// SPDX-License-Identifier: Apache-2.0

package folder

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

// CopyTree copies a folder of regular files, with owners and modes. File systems that can
// share what is the same do so (copy_file_range(2)).
func CopyTree(ctx context.Context, from, to, step string, tell func(engine.Progress)) error {
	var done int64
	total := Size(from)
	return tree(ctx, from, to, func(path, target string, info fs.FileInfo) error {
		n, err := copyOne(path, target, info)
		if done += n; tell != nil {
			tell(engine.Progress{Step: step, Done: done, Total: max(done, total)})
		}
		return err
	})
}

// LinkTree makes a folder that has the same files as another one, which nobody changes any
// more, in either of them. Not all file systems can do it, and none beyond itself.
func LinkTree(ctx context.Context, from, to string) error {
	return tree(ctx, from, to, func(path, target string, info fs.FileInfo) error {
		if !info.IsDir() {
			return os.Link(path, target)
		}
		_, err := copyOne(path, target, info)
		return err
	})
}

// tree calls one for all folders and files of a folder, folders first.
func tree(ctx context.Context, from, to string, one func(path, target string, info fs.FileInfo) error) error {
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
		return one(path, filepath.Join(to, rel), info)
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
