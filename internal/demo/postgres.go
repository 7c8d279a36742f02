// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"

	"github.com/posternhq/postern/internal/engine/mariadb"
)

// tools are the programs of the distribution that a story needs, and the
// user that runs the database: PostgreSQL refuses to run as root.
type tools struct {
	postgres, initdb, psql, setpriv, curl string
	mariadb                               string // of the story that has such a server
	aws                                   string // of the story in which workloads call the API
	uid, gid                              uint32
}

// findTools looks for PostgreSQL where distributions put it, and for MariaDB where a story
// has both.
func findTools(ctx context.Context, story string) (t tools, err error) {
	programs := map[string]*string{"postgres": &t.postgres, "initdb": &t.initdb, "psql": &t.psql, "setpriv": &t.setpriv, "curl": &t.curl}
	if story == databasesStory {
		programs["mariadb"] = &t.mariadb
		found, err := mariadb.New().Discover(ctx)
		if err == nil && len(found) == 0 {
			err = errors.New("find MariaDB's server and mariabackup: they are not there (tool/needs demo-databases installs them)")
		}
		if err != nil {
			return tools{}, err
		}
	}
	if story == centralStory {
		programs["aws"] = &t.aws
	}
	for name, place := range programs {
		if *place, err = findProgram(name); err != nil {
			return tools{}, err
		}
	}
	for _, name := range []string{"postgres", "nobody"} {
		if u, err := user.Lookup(name); err == nil {
			uid, uidErr := strconv.ParseUint(u.Uid, 10, 32)
			gid, gidErr := strconv.ParseUint(u.Gid, 10, 32)
			t.uid, t.gid = uint32(uid), uint32(gid)
			return t, errors.Join(uidErr, gidErr)
		}
	}
	return tools{}, errors.New("find a user to run PostgreSQL as: there is neither postgres nor nobody")
}

// findProgram prefers the newest version of Debian's folders, where psql is the
// program itself and not a script that looks for clusters.
func findProgram(name string) (string, error) {
	versions, err := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if err != nil || len(versions) == 0 {
		path, err := exec.LookPath(name)
		if err != nil {
			return "", fmt.Errorf("find %s: %w (tool/needs demo installs it)", name, err)
		}
		return path, nil
	}
	return slices.MaxFunc(versions, func(a, b string) int { return version(a) - version(b) }), nil
}

// version reads N from /usr/lib/postgresql/N/bin/name; 0 when it is none.
func version(path string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path))))
	return n
}

// initDatabase makes a PostgreSQL cluster that trusts whoever reaches it: who
// does is what the demo is about.
func (d *demo) initDatabase(ctx context.Context) (dir string, err error) {
	dir = filepath.Join(d.folder, "postgresql")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", fmt.Errorf("make the database's folder: %w", err)
	}
	if err := os.Chown(dir, int(d.tools.uid), int(d.tools.gid)); err != nil {
		return "", fmt.Errorf("make the database's folder: %w", err)
	}
	cmd := d.command(d.tools.initdb, "-D", dir, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: &syscall.Credential{Uid: d.tools.uid, Gid: d.tools.gid}}
	output, status, err := run(ctx, cmd)
	if err == nil && status != 0 {
		err = fmt.Errorf("initdb ended with status %d:\n%s", status, output)
	}
	if err != nil {
		return "", fmt.Errorf("make the database: %w", err)
	}
	access := "host all all 0.0.0.0/0 trust\n"
	if err := os.WriteFile(filepath.Join(dir, "pg_hba.conf"), []byte(access), 0o644); err != nil {
		return "", fmt.Errorf("make the database: %w", err)
	}
	return dir, nil
}

// databaseCommand is the program that runs as the workload, with root's rights
// taken away.
func (d *demo) databaseCommand(dir string) []string {
	command := []string{
		d.tools.setpriv, "--reuid", fmt.Sprint(d.tools.uid), "--regid", fmt.Sprint(d.tools.gid), "--clear-groups", "--pdeathsig", "KILL",
		d.tools.postgres, "-D", dir, "-c", "listen_addresses=*", "-c", "unix_socket_directories=", "-c", "fsync=off",
	}
	if _, err := os.Stat(filepath.Join(dir, certificateFile)); err == nil {
		command = append(command, "-c", "ssl=on")
	}
	return command
}
