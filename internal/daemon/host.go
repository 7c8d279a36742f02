// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"fmt"
	"slices"

	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// registerHost finds this host's row, or makes one at first start. An embedded store
// is of one machine: a host of another name in it is this one, which was called
// otherwise, and what it has is this one's.
func (d *daemon) registerHost(ctx context.Context) (model.Host, error) {
	var host model.Host
	var former []string
	_, err := d.db.Update(ctx, func(tx *table.Txn) (err error) {
		host, former, err = d.hostRow(tx)
		return err
	})
	for _, name := range former {
		if err == nil {
			err = d.takeOver(ctx, name)
		}
	}
	if err != nil {
		return model.Host{}, fmt.Errorf("register host %s: %w", d.config.HostName, err)
	}
	return host, nil
}

// hostRow gives the row of this host, which is written when it is new or another one
// than before, and the names under which the host is in the state besides.
func (d *daemon) hostRow(tx *table.Txn) (host model.Host, former []string, err error) {
	host = model.Host{Name: d.config.HostName, Instance: d.instance, CreatedAt: d.env.Now()}
	known, ok := state.Hosts.Get(tx, "", "", d.config.HostName)
	if ok {
		host = *known
	}
	for h := range state.HostsByAll.Rows(tx, state.Everything) {
		switch {
		case h.Name == host.Name:
		case len(d.config.Etcd) == 0:
			former = append(former, h.Name)
			host.Index = min(host.Index, h.Index)
		case !ok:
			return host, nil, &otherHostError{h.Name}
		}
	}
	for row := range tx.SetAside() { // of a later version, as a rule
		if row.Kind == state.Hosts.Kind() && row.ID != host.Name && len(d.config.Etcd) > 0 && !ok {
			return host, nil, &otherHostError{row.ID}
		}
	}
	if host.Instance != d.instance {
		if err := d.checkInstance(host.Instance); err != nil {
			return host, nil, err
		}
		// The state is in a cluster, and the data folder is another one than
		// before: what this host makes from now on has the new mark.
		host.Instance = d.instance
	}
	if !ok || host != *known {
		state.Hosts.Put(tx, &host)
	}
	return host, former, nil
}

// takeOver makes the attachments of a former name of this host its own, and removes
// that name.
func (d *daemon) takeOver(ctx context.Context, former string) error {
	attached := slices.Collect(state.AttachmentsByHost.Rows(d.db.Snapshot(), former))
	err := table.UpdateInParts(ctx, d.db.Update, attached, func(tx *table.Txn, part []*model.Attachment) error {
		for _, a := range part {
			if a, ok := state.Attachments.Get(tx, a.Account, a.Region, a.Interface); ok && a.Host == former {
				a = a.Clone()
				a.Host = d.config.HostName
				state.Attachments.Put(tx, a)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("take over the attachments of host %s: %w", former, err)
	}
	_, err = d.db.Update(ctx, func(tx *table.Txn) error { state.Hosts.Delete(tx, "", "", former); return nil })
	return err
}
