// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"time"

	"github.com/posternhq/postern/internal/dataplane/handover"
	"github.com/posternhq/postern/internal/desired"
)

// namespaces shows the service the network namespaces of this host.
type namespaces struct{ *handover.Handles }

// Find implements postern.Namespaces; Redeem is that of Handles.
func (namespaces) Find(n desired.Namespace) (desired.Namespace, error) { return handover.Find(n) }

// openDoor opens the socket at which namespaces are handed over. The caller
// serves it and closes it.
func (d *daemon) openDoor() (*handover.Door, namespaces, error) {
	handles, err := handover.NewHandles(time.Now)
	if err != nil {
		return nil, namespaces{}, err
	}
	door, err := handover.Open(string(d.folder), handles, d.config.Log)
	return door, namespaces{handles}, err
}
