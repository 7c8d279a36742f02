// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/posternhq/postern/internal/authority"
	"github.com/posternhq/postern/internal/control/audit"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/seal"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/account"
	"github.com/posternhq/postern/internal/service/rds"
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
	if err == nil {
		err = d.sealForDatabases(ctx)
	}
	if errors.Is(err, table.ErrFull) {
		d.config.Log.Warn("what is stored is not sealed with the newest key, which the next start does", "error", err)
		return nil
	}
	if err != nil {
		return err
	}
	return d.dropSealingKeys()
}

// sealForDatabases seals anew what databases have: the keys of who certifies them, and
// passwords.
func (d *daemon) sealForDatabases(ctx context.Context) error {
	if err := d.sealAuthorities(ctx); err != nil {
		return err
	}
	lost, err := rds.Reseal(ctx, d.env)
	for _, arn := range lost {
		d.config.Log.Error("the password of a database is not known, since it was sealed with a key that is not in this data folder: set it anew, "+
			"or stop Postern and add the lines of the former file to it, from a backup or the folder that was used before",
			"file", d.folder.path(sealingFile), "database", arn)
	}
	return err
}

// sealAuthorities seals the keys of certificate authorities anew, and says which certify
// nothing any more, since the keys that sealed theirs are not here.
func (d *daemon) sealAuthorities(ctx context.Context) error {
	lost, err := service.Reseal(ctx, d.env, state.Authorities, func(a *model.Authority) (*model.Authority, error) { return authority.Resealed(d.env.Seal, a) })
	for _, a := range lost {
		d.config.Log.Error("a certificate authority certifies nothing, since its key was sealed with a key that is not in this data folder: "+
			"stop Postern and add the lines of the former file to it, from a backup or the folder that was used before",
			"file", d.folder.path(sealingFile), "authority", authority.Describe(a))
	}
	return err
}

// longestSession is how long a token may be good that a former key has sealed.
const longestSession = 36 * time.Hour

// dropSealingKeys drops the keys under which nothing is that can still be used: no secret
// of an access key, after they were sealed anew, and no session.
func (d *daemon) dropSealingKeys() error {
	keys := d.env.Seal.Ring().Without(func(_ uint32, superseded time.Time) bool { return time.Since(superseded) < longestSession })
	if err := d.folder.keep(sealingFile, keys.Text()); err != nil && !isFull(err) {
		return err
	}
	d.env.Seal.Use(keys)
	return nil
}

// reseal has another key seal from now on, and seals all secrets anew with it. Sessions go
// on: what the former keys have sealed is opened as long as a session lasts.
func (d *daemon) reseal(ctx context.Context, w io.Writer) error {
	keys, err := d.env.Seal.Ring().Renewed(time.Now())
	if err != nil {
		return err
	}
	if err := d.folder.keep(sealingFile, keys.Text()); err != nil {
		return err // nothing is sealed with it yet
	}
	d.env.Seal.Use(keys)
	lost, err := account.Reseal(ctx, d.env)
	if err != nil {
		return err
	}
	if err := d.sealForDatabases(ctx); err != nil {
		return err
	}
	if err := d.dropSealingKeys(); err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "sealed anew with key %08x; %d access keys cannot be opened\n", keys.Newest(), len(lost))
	return err
}

// Reseal asks the daemon of a folder to seal all secrets anew, with a new key, and writes
// what it says.
func Reseal(ctx context.Context, f Folder, w io.Writer) error {
	if os.Geteuid() != 0 {
		return errors.New("postern reseal needs root: sealing keys are for root only; use sudo")
	}
	err := f.ask(ctx, "reseal", w)
	if errors.Is(err, errNobody) || errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("no Postern is running on %s, which would do it; start one with: postern up --data %s", f, f)
	}
	return err
}

// lostSecrets finds access keys, certificate authorities and databases' passwords that cannot be used with the
// keys of the folder, which may be none.
func lostSecrets(tx *table.Txn, keys *seal.Ring) (found []audit.Finding) {
	if keys == nil {
		keys = new(seal.Ring)
	}
	for k := range state.AccessKeys.All(tx) {
		if _, err := account.Secret(seal.Using(keys), k); err != nil {
			found = append(found, audit.Finding{Object: "access key " + k.ID, Problem: "it is refused: " + err.Error()})
		}
	}
	for a := range state.Authorities.All(tx) {
		if _, err := authority.Key(seal.Using(keys), a); err != nil {
			found = append(found, audit.Finding{Object: authority.Describe(a), Problem: "it certifies nothing: " + err.Error()})
		}
	}
	for _, arn := range rds.LostPasswords(tx, seal.Using(keys)) {
		found = append(found, audit.Finding{Object: arn, Problem: "its password was sealed with a key that is not here"})
	}
	return found
}
