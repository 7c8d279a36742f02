// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/control/audit"
	"github.com/posternhq/postern/internal/engine"
	"github.com/posternhq/postern/internal/engine/keeper"
	"github.com/posternhq/postern/internal/engine/supervisor"
)

// databasesFile says where the folder of the databases is, when it is not in the data
// folder.
const databasesFile = "databases-folder"

// databases is the folder of the databases, as the last daemon had it.
func (f Folder) databases() string {
	if text, err := os.ReadFile(f.path(databasesFile)); err == nil {
		return strings.TrimSpace(string(text))
	}
	return f.path(databasesFolder)
}

// dataAside tells which data of databases waits for somebody to say what becomes of it.
func dataAside(folder Folder) (list []audit.Finding) {
	aside, err := keeper.Aside(folder.databases())
	if err != nil {
		return []audit.Finding{{Object: databasesFolder, Problem: err.Error()}}
	}
	for _, f := range aside {
		list = append(list, audit.Finding{Object: f, Problem: "it is data of a database that no row knows, and was put aside: remove it when nobody needs it"})
	}
	return list
}

// servers are the folders of the database servers of a data folder that run, or of all
// there are.
func servers(folder Folder, all bool) []string {
	inside := folder.databases() + string(filepath.Separator)
	if absolute, err := filepath.Abs(folder.databases()); err == nil {
		inside = absolute + string(filepath.Separator)
	}
	list := slices.Sorted(maps.Values(supervisor.Supervised()))
	return slices.DeleteFunc(slices.Compact(list), func(f string) bool { return !all && !strings.HasPrefix(f, inside) })
}

// stopServers ends database servers in order, and what they run below. Their data stays.
func stopServers(ctx context.Context, folders []string) (stopped []string, err error) {
	for _, f := range folders {
		c, failed := supervisor.Open(ctx, f)
		if errors.Is(failed, engine.ErrHost) {
			continue
		}
		if failed == nil {
			failed = errors.Join(stopServer(ctx, c), c.Close())
		}
		if failed != nil {
			err = errors.Join(err, fmt.Errorf("stop the database server of %s: %w", f, failed))
			continue
		}
		stopped = append(stopped, "database server of "+f+", not its data")
	}
	return stopped, err
}

// ordered is how long a database server has to end in order.
const ordered = 30 * time.Second

// stopServer has a server end as it does when the machine goes down, with its supervisor.
func stopServer(ctx context.Context, c *supervisor.Client) error {
	soon, cancel := context.WithTimeout(ctx, ordered)
	defer cancel()
	if err := unix.Kill(c.PID, unix.SIGTERM); err == nil {
		select {
		case <-c.Gone():
			return nil
		case <-soon.Done():
		}
	}
	return c.End(ctx)
}
