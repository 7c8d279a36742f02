// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// The files of a server's own log folder are read, and nothing beside it.
func TestLogsOfDatabases(t *testing.T) {
	dir := t.TempDir()
	folder := filepath.Join(dir, "db-1", "log")
	secret := filepath.Join(dir, "db-1", "secret")
	if err := errors.Join(
		os.MkdirAll(filepath.Join(folder, "below"), 0o700), os.WriteFile(filepath.Join(folder, "server.log"), []byte("one\ntwo\n"), 0o600),
		os.WriteFile(filepath.Join(folder, "supervisor.log"), []byte("ours"), 0o600),
		os.WriteFile(secret, []byte("secret"), 0o600), os.Symlink("../secret", filepath.Join(folder, "link")),
	); err != nil {
		t.Fatal(err)
	}
	logs := databaseLogs(dir)
	files, err := logs.Files(t.Context(), "db-1")
	if err != nil || len(files) != 1 || files[0].Name != "server.log" || files[0].Size != 8 || files[0].Written.IsZero() {
		t.Errorf("files %+v, %v", files, err)
	}
	for _, part := range []struct {
		from int64
		most int
		want string
	}{{0, 100, "one\ntwo\n"}, {4, 2, "tw"}, {8, 10, ""}, {100, 10, ""}} {
		if text, err := logs.Read(t.Context(), "db-1", "server.log", part.from, part.most); err != nil || string(text) != part.want {
			t.Errorf("%d bytes from %d: %q, %v", part.most, part.from, text, err)
		}
	}
	for _, bad := range [][2]string{{"db-1", "../secret"}, {"db-1", "link"}, {"db-1", "none"}, {"db-2", "server.log"}, {"../db-1", "server.log"}, {"", "server.log"}, {"..", "x"}} {
		if text, err := logs.Read(t.Context(), bad[0], bad[1], 0, 100); err == nil {
			t.Errorf("%v: %q is read", bad, text)
		}
	}
	if _, err := logs.Files(t.Context(), "db-2"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a server that has not begun: %v", err)
	}
}
