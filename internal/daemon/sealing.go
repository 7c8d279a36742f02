// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/posternhq/postern/internal/control/audit"
	"github.com/posternhq/postern/internal/seal"
	"github.com/posternhq/postern/internal/service/account"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// sealingKeys reads the keys that secrets are sealed with; fs.ErrNotExist says that the
// folder has none.
func (f Folder) sealingKeys() (*seal.Ring, error) {
	text, err := os.ReadFile(f.path(sealingFile))
	if err != nil {
		return nil, fmt.Errorf("read sealing keys of data folder: %w", err)
	}
	keys, err := seal.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("read sealing keys of data folder: %s: %w; put it back from a backup; "+
			"if there is none, remove it: the next start makes another, and access keys that were made before must be made anew", f.path(sealingFile), err)
	}
	return keys, nil
}

// makeSealingKeys reads the keys, or makes some where there are none: at the first start,
// at the first one of a version that seals, and when the file was lost.
func (f Folder) makeSealingKeys(now time.Time) (*seal.Ring, error) {
	keys, err := f.sealingKeys()
	if !errors.Is(err, fs.ErrNotExist) {
		return keys, err
	}
	if keys, err = seal.New(now); err != nil {
		return nil, err
	}
	return keys, f.keep(sealingFile, keys.Text()) // before anything is sealed that only it opens
}

// takeSealingKeys adds the keys of a backup, before its state is there, to those that the
// folder has, which a restore that is cut short still needs.
func (f Folder) takeSealingKeys(text string) error {
	if text == "" {
		return nil // a backup of a version that did not seal
	}
	known, err := os.ReadFile(f.path(sealingFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read sealing keys of data folder: %w", err)
	}
	keys, err := seal.Parse([]byte(text + "\n" + string(known)))
	if err != nil { // what the folder has is damaged
		if keys, err = seal.Parse([]byte(text)); err != nil {
			return fmt.Errorf("take sealing keys of the backup: %w", err)
		}
	}
	return f.keep(sealingFile, keys.Text())
}

// sealSecrets seals what former versions stored in clear, or under former keys, and says
// which access keys cannot be used, since the keys that sealed them are not here.
func (d *daemon) sealSecrets(ctx context.Context) error {
	lost, err := account.Reseal(ctx, d.env)
	if len(lost) > 0 {
		slices.Sort(lost)
		d.config.Log.Error("access keys are refused, since their secrets were sealed with keys that are not in this data folder: "+
			"stop Postern and add the lines of the former file to it, from a backup or the folder that was used before, or make new access keys",
			"file", d.folder.path(sealingFile), "number", len(lost), "access keys", strings.Join(lost[:min(len(lost), 10)], " "))
	}
	if errors.Is(err, table.ErrFull) {
		d.config.Log.Warn("secrets of access keys are not sealed, which the next start does", "error", err)
		return nil
	}
	return err
}

// lostSecrets finds access keys that cannot be used with the keys of the folder, which
// may be none.
func lostSecrets(tx *table.Txn, keys *seal.Ring) (found []audit.Finding) {
	if keys == nil {
		keys = new(seal.Ring)
	}
	for k := range state.AccessKeys.All(tx) {
		if _, err := account.Secret(seal.Using(keys), k); err != nil {
			found = append(found, audit.Finding{Object: "access key " + k.ID, Problem: "it is refused: " + err.Error()})
		}
	}
	return found
}
