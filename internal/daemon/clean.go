// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/posternhq/postern/internal/dataplane"
	"github.com/posternhq/postern/internal/dataplane/names"
	"github.com/posternhq/postern/internal/store/etcdstore"
)

// Clean removes from the kernel what the folder's daemon made, or what any did,
// and names it. It refuses while a daemon runs on the folder. The state in the
// folder stays: the next start programs it again. Database servers are stopped only when
// databases says so, and their data stays too.
func Clean(ctx context.Context, folder Folder, all, databases bool) ([]string, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("postern clean needs root: it removes network namespaces; use sudo")
	}
	instance, err := folder.Instance()
	switch {
	case err == nil:
		lock, err := etcdstore.LockFolder(string(folder))
		if err != nil {
			return nil, fmt.Errorf("clean: stop Postern first: %w", err)
		}
		defer lock.Close()
	case errors.Is(err, fs.ErrNotExist) && !all && (folder.wasUsed() || folder.holdsStore()):
		return nil, fmt.Errorf("clean: %s is missing, which has the mark of what is to be removed; "+
			"to get it back from the state start Postern once, or remove what any Postern made on this host with --all", folder.path(instanceFile))
	case errors.Is(err, fs.ErrNotExist) && !all:
		return nil, fmt.Errorf("clean: no Postern ever ran on %s; to remove what any Postern made on this host use --all", folder)
	case !all:
		return nil, err
	}
	running := servers(folder, all)
	if len(running) > 0 && !databases {
		return nil, fmt.Errorf("clean: %d database servers run, such as that of %s; to stop them too use --databases, their data stays", len(running), running[0])
	}
	ended, err := stopServers(ctx, running)
	if err != nil {
		return ended, err
	}
	stopped, err := stopNames(ctx, folder, all)
	stopped = append(ended, stopped...)
	relays, failed := stopRelay(folder, all)
	if stopped, err = append(stopped, relays...), errors.Join(err, failed); err != nil {
		return stopped, err
	}
	if all {
		instance = ""
	}
	removed, err := dataplane.Clean(ctx, instance)
	return append(stopped, removed...), err
}

// stopNames ends the process that resolves the names of a folder, or all there are: what
// it has open keeps routers alive.
func stopNames(ctx context.Context, folder Folder, all bool) (stopped []string, err error) {
	folders := []string{string(folder)}
	if all {
		folders, err = names.StopAll(ctx)
	} else if ended, stopErr := names.Stop(ctx, string(folder)); !ended {
		folders, err = nil, stopErr
	}
	for _, f := range folders {
		stopped = append(stopped, "resolver of "+f)
	}
	return stopped, err
}
