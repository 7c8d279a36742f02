// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/posternhq/postern/internal/control/audit"
	"github.com/posternhq/postern/internal/control/plan"
	"github.com/posternhq/postern/internal/dataplane"
	"github.com/posternhq/postern/internal/dataplane/nft"
	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/store/etcdstore"
	"github.com/posternhq/postern/internal/table"
)

// Verified is what Verify found.
type Verified struct {
	// Rows and Entries are how many were looked at.
	Rows, Entries int
	Findings      []audit.Finding
}

// Verify looks for what is wrong in the state of a folder and in the kernel. While
// the folder's daemon runs, it is asked. It changes nothing.
func Verify(ctx context.Context, c Config) (v Verified, err error) {
	if os.Geteuid() != 0 {
		return v, errors.New("postern verify needs root: it reads network namespaces; use sudo")
	}
	var answer bytes.Buffer
	err = Folder(c.Data).ask(ctx, "verify", &answer)
	switch {
	case err == nil:
		err = json.Unmarshal(answer.Bytes(), &v)
	case errors.Is(err, errNobody), errors.Is(err, fs.ErrNotExist):
		v, err = verifyStopped(ctx, c)
	}
	if err != nil {
		return v, fmt.Errorf("verify %s: %w", c.Data, err)
	}
	return v, nil
}

// verifyStopped looks at a folder whose daemon does not run.
func verifyStopped(ctx context.Context, c Config) (v Verified, err error) {
	err = withStopped(ctx, c, func(kv *etcdstore.Store) (err error) {
		db, err := state.Open(ctx, kv, c.Log)
		if err != nil {
			return err
		}
		defer db.Close()
		name := Folder(c.Data).HostName()
		row, ok := state.Hosts.Get(db.Snapshot(), "", "", name)
		if !ok {
			return fmt.Errorf("the state does not know the host %q", name)
		}
		kernel, err := dataplane.New(dataplane.Config{Instance: row.Instance, LookOnly: true, Log: c.Log})
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, kernel.Close()) }()
		outside, err := outsideThere(ctx, kernel)
		if err != nil {
			return err
		}
		// What names there are below which domain depends on flags of the daemon.
		v, err = look(ctx, db, *row, kernel, plan.Domains{}, outside, func(e desired.Entry) desired.Entry {
			if d, ok := e.(nft.Damaged); ok && e.Key().Kind == desired.KindRouter {
				return d.Entry // whether rules and settings are as wanted depends on flags of the daemon
			}
			return e
		})
		keys, noKeys := Folder(c.Data).sealingKeys()
		v.Findings = append(v.Findings, lostSecrets(db.Snapshot(), keys)...)
		v.Findings = append(v.Findings, dataAside(Folder(c.Data))...)
		if noKeys != nil && !errors.Is(noKeys, fs.ErrNotExist) {
			v.Findings = append(v.Findings, audit.Finding{Object: sealingFile, Problem: noKeys.Error()})
		}
		return err
	})
	return v, err
}

// withStopped opens the store of a folder that no daemon uses, for a function.
// Until it returns, no daemon can use the folder.
func withStopped(ctx context.Context, c Config, do func(*etcdstore.Store) error) (err error) {
	f := Folder(c.Data)
	switch {
	case len(c.Etcd) > 0: // the store itself says who holds it
	case !f.holdsStore() && f.wasUsed():
		return errors.New("its state is not in the folder but in an external etcd; name that with --etcd, or start Postern")
	case !f.holdsStore():
		return errors.New("no Postern ever ran there")
	default:
		lock, lockErr := etcdstore.LockFolder(c.Data)
		if lockErr != nil {
			return lockErr
		}
		defer func() { err = errors.Join(err, lock.Close()) }()
	}
	kv, err := openSoon(ctx, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, kv.Close()) }()
	return do(kv)
}

// settling is how often a running daemon is looked at again while something seems
// wrong, and how long is waited in between: it may be on its way.
const (
	settling      = 12
	settlingPause = 100 * time.Millisecond
)

// verify is verifyStopped for a running daemon. What is wrong at every look is told.
func (d *daemon) verify(ctx context.Context, p *plane, host model.Host, w io.Writer) error {
	var v Verified
	for i := range settling {
		next, err := look(ctx, d.db, host, p.effects, domainsOf(d.env), d.env.Outside, func(e desired.Entry) desired.Entry { return e })
		if err != nil {
			return err
		}
		next.Findings = append(next.Findings, lostSecrets(d.db.Snapshot(), d.env.Seal.Ring())...)
		next.Findings = append(next.Findings, dataAside(d.folder)...)
		next.Findings = append(next.Findings, relayFindings(d.db.Snapshot(), host.Index, d.folder)...)
		if i > 0 {
			next.Findings = both(v.Findings, next.Findings)
		}
		if v = next; len(v.Findings) == 0 {
			break
		}
		select {
		case <-time.After(settlingPause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	failed := map[string]string{}
	for k, reason := range p.agent.Report().Failed {
		failed[k.String()] = reason
	}
	for i, f := range v.Findings {
		if reason, ok := failed[f.Object]; ok {
			v.Findings[i].Problem = "it is in error: " + reason
		}
	}
	return json.NewEncoder(w).Encode(v)
}

// both gives what is in both lists.
func both(a, b []audit.Finding) (out []audit.Finding) {
	in := map[audit.Finding]bool{}
	for _, f := range a {
		in[f] = true
	}
	for _, f := range b {
		if in[f] {
			out = append(out, f)
		}
	}
	return out
}

// errLooked ends the following of tables after the first call.
var errLooked = errors.New("looked")

// anyDomains are for who asks for nothing that depends on them.
var anyDomains = plan.Domains{Endpoints: "postern.internal.", Databases: "postern.internal."}

// outsideThere is what a daemon that has stopped was told of the outside, as far as the
// kernel has it.
func outsideThere(ctx context.Context, on reader) (o model.Outside, err error) {
	realms, err := on.Realms(ctx)
	if err != nil {
		return o, err
	}
	for _, realm := range realms {
		if realm.Sort() != desired.Edges {
			continue
		}
		entries, err := on.Dump(ctx, realm)
		if err != nil {
			return o, err
		}
		for _, e := range entries {
			if e, ok := e.(desired.Edge); ok {
				u := model.Uplink{Name: e.Name, Device: e.Device, Addresses: e.Addresses, Via: e.Via, Denied: e.Denied, Allowed: e.Allowed}
				o = model.Outside{Pool: e.Pool, Uplink: u}
			}
		}
	}
	return o, nil
}

// reader reads back what is on a host; see reconcile.Effects.
type reader interface {
	Realms(ctx context.Context) ([]desired.Realm, error)
	Dump(ctx context.Context, realm desired.Realm) ([]desired.Entry, error)
}

// look verifies one state of the tables, and what is on the host against it. Entries are
// compared as seen through a function. Without domains, what has
// names is not compared.
func look(ctx context.Context, db *table.DB, host model.Host, on reader, domains plan.Domains, outside model.Outside, seen func(desired.Entry) desired.Entry) (v Verified, err error) {
	if _, err := db.View(ctx); err != nil {
		return v, err
	}
	var wanted, there []desired.Entry
	err = db.Follow(ctx, func(tx *table.Txn, rows []table.Change) error {
		v.Rows, v.Findings = len(rows), audit.Rows(tx)
		wanted = audit.Desired(tx, rows, host, cmp.Or(domains, anyDomains), outside)
		return errLooked
	})
	if !errors.Is(err, errLooked) {
		return v, err
	}
	if domains == (plan.Domains{}) {
		wanted = slices.DeleteFunc(wanted, func(e desired.Entry) bool {
			sort := e.Key().Realm.Sort()
			return sort == desired.Zones || sort == desired.Databases
		})
	}
	realms, err := on.Realms(ctx)
	if err != nil {
		return v, err
	}
	for _, realm := range realms {
		entries, err := on.Dump(ctx, realm)
		if err != nil {
			v.Findings = append(v.Findings, audit.Finding{Object: string(realm.Sort()) + " " + realm.Name(), Problem: "it cannot be read: " + err.Error()})
		}
		there = append(there, entries...)
	}
	for _, list := range [][]desired.Entry{wanted, there} {
		for i, e := range list {
			list[i] = seen(e)
		}
	}
	v.Entries = len(wanted)
	v.Findings = append(v.Findings, audit.Kernel(wanted, there)...)
	return v, nil
}
