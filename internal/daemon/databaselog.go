// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/posternhq/postern/internal/engine"
	"github.com/posternhq/postern/internal/service/rds"
)

// serverLog is what the names of a server's logs begin with; beside them is its supervisor's.
const serverLog = "server.log"

// databaseLogs reads what servers have written, in their folders below this one. It
// implements rds.Logs.
type databaseLogs string

// open opens the folder of the logs of an instance, below which it keeps.
func (l databaseLogs) open(instance string) (*os.Root, error) {
	if !filepath.IsLocal(instance) || filepath.Base(instance) != instance {
		return nil, fmt.Errorf("open the logs of %q: %w", instance, fs.ErrNotExist)
	}
	return os.OpenRoot(filepath.Join(string(l), instance, engine.PartLog))
}

// Files implements rds.Logs.
func (l databaseLogs) Files(_ context.Context, instance string) (files []rds.LogFile, err error) {
	root, err := l.open(instance)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return nil, fmt.Errorf("list the logs of %s: %w", instance, err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // it was given another name meanwhile
		}
		if err != nil {
			return nil, fmt.Errorf("list the logs of %s: %w", instance, err)
		}
		if info.Mode().IsRegular() && strings.HasPrefix(e.Name(), serverLog) {
			files = append(files, rds.LogFile{Name: e.Name(), Written: info.ModTime(), Size: info.Size()})
		}
	}
	return files, nil
}

// Read implements rds.Logs.
func (l databaseLogs) Read(_ context.Context, instance, name string, from int64, most int) (text []byte, err error) {
	root, err := l.open(instance)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	file, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	text = make([]byte, most)
	n, err := file.ReadAt(text, from)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read log %s of %s: %w", name, instance, err)
	}
	return text[:n], nil
}
