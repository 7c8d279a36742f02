// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"log/slog"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/front/relay"
	"github.com/posternhq/postern/internal/resolver"
)

// relayCommand is the process that hands connections of endpoints on to registered services.
// `postern up` starts it.
type relayCommand struct {
	Data     string `required:"" help:"Data folder." type:"path" placeholder:"DIR"`
	Instance string `required:"" help:"Mark of the namespaces." placeholder:"MARK"`
	Identity string `help:"What tells this process from one of another program."`
}

// Run relays until there is nothing to relay, another process does, or it is told to end. A
// terminal that is closed does not end it.
func (c *relayCommand) Run(in *Invocation) error {
	if err := resolver.Confine(c.Data); err != nil {
		return err
	}
	signal.Ignore(unix.SIGHUP, unix.SIGXFSZ)
	ctx, stop := signal.NotifyContext(in.Context, os.Interrupt, unix.SIGTERM)
	defer stop()
	return relay.Run(ctx, relay.Config{Folder: c.Data, Identity: c.Identity, Log: slog.New(slog.NewTextHandler(in.Stderr, nil))})
}
