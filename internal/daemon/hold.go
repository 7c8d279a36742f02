// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/store/etcdstore"
)

// otherHostError refuses a cluster that another host has state in, be it stopped:
// what its kernel forwards would be given away from here.
type otherHostError struct{ host string }

// Error says what to do.
func (e *otherHostError) Error() string {
	return fmt.Sprintf("the cluster belongs to host %[1]s: until several hosts are served, one cluster has one. "+
		"Use another cluster; or, when host %[1]s is gone for good and forwards nothing any more, take its place with --host-name %[1]s", e.host)
}

// bootID is the identifier of the time since this machine was started.
func bootID() (string, error) {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("tell this machine apart: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}

// holder says who this process is to others that use the same cluster.
func holder(c Config, instance string) (etcdstore.Holder, error) {
	boot, err := bootID()
	if err != nil {
		return etcdstore.Holder{}, err
	}
	var stat unix.Stat_t
	if err := unix.Stat(c.Data, &stat); err != nil {
		return etcdstore.Holder{}, fmt.Errorf("tell the data folder apart: stat %s: %w", c.Data, err)
	}
	return etcdstore.Holder{
		Host: c.HostName, Instance: instance, PID: os.Getpid(),
		Folder: fmt.Sprintf("%s/%d/%d", boot, stat.Dev, stat.Ino),
	}, nil
}

// heldByOther refuses a cluster that somebody else uses.
func heldByOther(ctx context.Context, c Config, kv *etcdstore.Store) error {
	who, err := holder(c, "")
	if err != nil {
		return err
	}
	held, err := kv.Holds(ctx, who)
	if err == nil && held != nil {
		err = held
	}
	return err
}

// takeHold takes the right to an external cluster, and gives what returns it. An
// embedded store needs none: its folder is locked.
func takeHold(ctx context.Context, c Config, kv *etcdstore.Store, instance string) (*etcdstore.Hold, func() error, error) {
	if len(c.Etcd) == 0 {
		return nil, func() error { return nil }, nil
	}
	who, err := holder(c, instance)
	if err != nil {
		return nil, nil, err
	}
	hold, err := kv.Hold(ctx, who, c.Log)
	for told := false; own(err, who); told = true {
		if !told {
			c.Log.Info("waiting for the lease of this host before the machine was started anew to end", "host", c.HostName)
		}
		select {
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		case <-time.After(ownRetry):
		}
		before := err
		if hold, err = kv.Hold(ctx, who, c.Log); renewed(before, err) {
			break
		}
	}
	if err != nil {
		return nil, nil, err
	}
	return hold, func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownGrace)
		defer cancel()
		return hold.Release(ctx)
	}, nil
}

// ownRetry is the pause before a lease that seems to be of this data folder before
// a restart of the machine is asked for again.
const ownRetry = time.Second

// own reports whether the lease that stands in the way looks like one of this data
// folder from before the machine was started anew, or the folder was moved.
func own(err error, who etcdstore.Holder) bool {
	var held *etcdstore.HeldError
	return errors.As(err, &held) && held.Holder.Host == who.Host && held.Holder.Instance == who.Instance
}

// renewed reports whether a lease is kept alive by somebody: it has more time left
// than before.
func renewed(before, now error) bool {
	var a, b *etcdstore.HeldError
	return errors.As(before, &a) && errors.As(now, &b) && b.Left > a.Left
}

// keepHold ends the daemon when another one has got the cluster. The kernel stays.
func (d *daemon) keepHold(ctx context.Context) error {
	if d.hold == nil {
		return nil
	}
	select {
	case <-ctx.Done():
		return nil
	case <-d.hold.Lost():
		return d.hold.Err()
	}
}
