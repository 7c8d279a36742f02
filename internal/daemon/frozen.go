// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"time"
)

// ErrStartAgain ends a Run whose store froze, because it could not write, when
// it can write again. The store needs a new process; the caller starts one.
var ErrStartAgain = errors.New("the store can be written again, in a new process")

// trialEvery is how often it is tried whether a frozen store could write.
const trialEvery = time.Second

// outliveStore goes on without a store that froze, with what the tables have:
// everything is answered that changes nothing. It returns ErrStartAgain when
// there is hope, and nil when the context ends.
func (d *daemon) outliveStore(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-d.kv.Frozen():
	}
	d.config.Log.Error(d.kv.FrozenBecause().Error())
	trial := time.NewTicker(trialEvery)
	defer trial.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-trial.C:
		}
		if d.kv.Writable() == nil {
			d.config.Log.Info("the store can be written again; Postern starts anew", "data", d.config.Data)
			return ErrStartAgain
		}
	}
}
