// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/posternhq/postern/internal/dataplane"
	"github.com/posternhq/postern/internal/state"
)

// instance gives the mark of the folder. A first start chooses one. When the
// file was lost, the state still has the mark of this host, and all that was
// made with it is in the kernel: it is taken from there.
func instance(ctx context.Context, c Config) (string, error) {
	folder := Folder(c.Data)
	known, err := folder.Instance()
	if !errors.Is(err, fs.ErrNotExist) {
		return known, err
	}
	if folder.holdsStore() || len(c.Etcd) > 0 {
		if known, err = rememberedInstance(ctx, c); err != nil {
			return "", err
		}
	}
	if known != "" {
		c.Log.Warn("the mark of this data folder was lost and is taken from the state", "instance", known, "file", folder.path(instanceFile))
		return known, folder.writeInstance(known)
	}
	tellOthers(c)
	return folder.makeInstance()
}

// rememberedInstance reads the mark of this host from the state; it is empty
// when the state does not know the host.
func rememberedInstance(ctx context.Context, c Config) (instance string, err error) {
	kv, err := openStore(ctx, c)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, kv.Close()) }()
	if len(c.Etcd) > 0 {
		// A mark that another process uses is not this folder's.
		if err := heldByOther(ctx, c, kv); err != nil {
			return "", err
		}
	}
	db, err := state.Open(ctx, kv, c.Log)
	if err != nil {
		return "", err
	}
	defer db.Close()
	if host, ok := state.Hosts.Get(db.Snapshot(), "", "", c.HostName); ok {
		return host.Instance, nil
	}
	return "", nil
}

// tellOthers says at a first start what others have made on this host: it may
// be what is left of a data folder that is gone.
func tellOthers(c Config) {
	others, err := dataplane.Instances()
	if err != nil {
		c.Log.Warn("other instances on this host are not known", "error", err)
	} else if len(others) > 0 {
		c.Log.Info("this host has routers of other instances; if their data folders are gone, stop every Postern and remove them with: postern clean --all",
			"instances", strings.Join(others, " "))
	}
}

// checkInstance refuses a file that has another mark than the state in the same
// folder: what is in the kernel would be left there for ever.
func (d *daemon) checkInstance(remembered string) error {
	if len(d.config.Etcd) > 0 || remembered == d.instance {
		return nil
	}
	return fmt.Errorf("%s has the mark %s, and what is programmed from the state of this data folder has the mark %s; "+
		"to go on with that, remove the file and start again", d.folder.path(instanceFile), d.instance, remembered)
}
