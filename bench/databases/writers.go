// SPDX-License-Identifier: Apache-2.0

package databases

import (
	"context"
	"os"

	"github.com/posternhq/postern/internal/aws/shape/rds"
	"github.com/posternhq/postern/test/instance"
)

// measureKills kills the writer of one new cluster after the other. One that has failed over
// by itself would not do it again for a minute.
func (b *bench) measureKills(ctx context.Context) error {
	var all, peer changes
	for i := range b.failovers {
		if i < b.ideals {
			if err := measureIdeal(ctx, &peer); err != nil {
				return err
			}
		}
		if err := b.measureKill(ctx, &all, instance.DatabaseServer); err != nil {
			return err
		}
	}
	all.show(b.killed, own, killing)
	peer.show(b.killed, ideal, killing)
	bound(b.killed, own, killing, 0.5, 1.2)
	return nil
}

// measureEnds kills writers with the processes above them.
func (b *bench) measureEnds(ctx context.Context) error {
	var all changes
	for range b.ends {
		if err := b.measureKill(ctx, &all, instance.DatabaseSupervisor); err != nil {
			return err
		}
	}
	all.show(b.gone, own, killing)
	bound(b.gone, own, killing, 0, 1.2)
	return nil
}

// measureKill kills a process of the writer of a new cluster.
func (b *bench) measureKill(ctx context.Context, all *changes, find func(data, resource string) (*os.Process, error)) error {
	return b.withCluster(ctx, func(c *cluster) error {
		return all.measure(ctx, c.name, c.dial, func() error {
			_, resource, err := c.writes(ctx)
			if err != nil {
				return err
			}
			process, err := find(c.Data, resource)
			if err != nil {
				return err
			}
			all.begin()
			return process.Kill()
		})
	})
}

// measurePlanned asks one cluster for another writer again and again.
func (b *bench) measurePlanned(ctx context.Context) error {
	var all changes
	err := b.withCluster(ctx, func(c *cluster) error {
		for range b.planned {
			if err := all.measure(ctx, c.name, c.dial, func() error {
				all.begin()
				return c.Client.Do(ctx, rds.Service, "FailoverDBCluster", &rds.FailoverDBClusterInput{DBClusterIdentifier: &c.name}, nil)
			}); err != nil {
				return err
			}
			for _, name := range c.instances {
				if err := c.available(ctx, name); err != nil {
					return err
				}
			}
		}
		return nil
	})
	all.show(b.asked, own, asking)
	bound(b.asked, own, asking, 0.5, 0)
	return err
}

// withCluster does something with a new cluster.
func (b *bench) withCluster(ctx context.Context, do func(*cluster) error) error {
	c, err := b.w.makeCluster(ctx)
	if err == nil {
		err = do(c)
	}
	if err != nil {
		return err // what is left goes with the world
	}
	return c.remove(ctx)
}
