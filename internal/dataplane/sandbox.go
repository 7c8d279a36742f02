// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/posternhq/postern/internal/dataplane/network"
	"github.com/posternhq/postern/internal/dataplane/nft"
	"github.com/posternhq/postern/internal/desired"
)

// errInhabited says that a sandbox is not taken away from who runs in it.
var errInhabited = fmt.Errorf("programs still run in it: %w", desired.ErrWaits)

// runSandbox makes the namespace of a server, or what is missing of it, or takes it away
// when nobody runs in it any more.
func (c *change) runSandbox(_ context.Context, realm desired.Realm) {
	name := network.NameOf(realm)
	if slices.ContainsFunc(c.del, isRoot) {
		if err := c.removeSandbox(name); err != nil {
			c.fail(c.del, fmt.Errorf("remove sandbox %s: %w", realm.Name(), err))
		}
		return
	}
	if len(c.put) == 0 {
		return
	}
	r, err := c.host.routers.Make(name)
	if err == nil {
		defer r.Release()
		err = r.Seclude()
		for _, e := range c.put {
			if b, ok := e.(desired.Sandbox); ok && err == nil {
				err = r.Own(b.Local)
			}
		}
	}
	if err != nil {
		c.fail(c.put, fmt.Errorf("make sandbox %s: %w", realm.Name(), err))
	}
}

func (c *change) removeSandbox(name string) error {
	r, err := c.host.routers.Open(name)
	if errors.Is(err, ErrNoRouter) {
		return nil
	}
	if err != nil {
		return err
	}
	inhabited, err := r.Inhabited()
	r.Release()
	switch {
	case err != nil:
		return err
	case inhabited:
		return errInhabited
	}
	return c.removeRouter(name)
}

// dumpSandbox reads the namespace of a server back.
func (h *Host) dumpSandbox(_ context.Context, realm desired.Realm) ([]desired.Entry, error) {
	r, err := h.routers.Open(network.NameOf(realm))
	if errors.Is(err, ErrNoRouter) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer r.Release()
	whole, err := r.Secluded()
	if err != nil {
		return nil, err
	}
	local, err := r.Owned()
	if err != nil {
		return nil, err
	}
	var e desired.Entry = desired.Sandbox{ID: realm.Name(), Local: local}
	if !whole {
		e = nft.Damaged{Entry: e}
	}
	return []desired.Entry{e}, nil
}

// Seal has nothing come into a sandbox or leave it, whatever its interfaces are. It is for
// a server that must not be reached any more and may not have ended yet.
func (h *Host) Seal(id string) error { return h.inSandbox(id, nft.Seal) }

// Unseal ends that.
func (h *Host) Unseal(id string) error { return h.inSandbox(id, nft.Unseal) }

func (h *Host) inSandbox(id string, do func(nsFD int) error) error {
	ns, err := network.OpenNamespace(h.SandboxNamespace(id))
	if err != nil {
		return fmt.Errorf("open sandbox %s: %w", id, err)
	}
	defer ns.Close()
	return do(int(ns.Fd()))
}

// SandboxNamespace is the name of a sandbox's namespace below /run/netns.
func (h *Host) SandboxNamespace(id string) string {
	return network.NamespaceName(h.routers.Instance(), network.NameOf(desired.SandboxRealm(id)))
}

// IsSandbox reports whether an inode is that of the namespace which a sandbox has now.
func (h *Host) IsSandbox(id string, inode uint64) bool {
	ns, err := network.OpenNamespace(h.SandboxNamespace(id))
	if err != nil {
		return false
	}
	defer ns.Close()
	now, err := network.Inode(ns)
	return err == nil && now == inode
}
