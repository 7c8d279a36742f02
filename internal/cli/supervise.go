// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"os"

	"github.com/posternhq/postern/internal/engine/supervisor"
)

// superviseCommand is the process above a database's server. `postern up` starts it.
type superviseCommand struct {
	Folder string `required:"" help:"Folder of the server." type:"path" placeholder:"DIR"`
	UID    uint32 `name:"uid" required:"" help:"User that the server runs as."`
	GID    uint32 `name:"gid" required:"" help:"Group that the server runs as."`
}

// Run supervises until it is told to end. A terminal that is closed does not end it.
func (c *superviseCommand) Run(in *Invocation) error {
	return supervisor.Supervise(in.Context, supervisor.Config{
		Folder: c.Folder, UID: c.UID, GID: c.GID, Version: Version, Ready: os.NewFile(supervisor.ReadyFD, "ready"),
	})
}
