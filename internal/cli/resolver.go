// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"log/slog"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/daemon"
	"github.com/posternhq/postern/internal/resolver"
)

// resolverCommand is the process that resolves names. `postern up` starts it.
type resolverCommand struct {
	Data     string   `required:"" help:"Data folder." type:"path" placeholder:"DIR"`
	Instance string   `required:"" help:"Mark of the routers to serve." placeholder:"MARK"`
	Identity string   `help:"What tells this process from one with another program or other flags."`
	Upstream []string `help:"Servers for names that no zone has, or none; by default the machine's." placeholder:"HOST:PORT,…"`
	Listen   []string `help:"Addresses at which everybody is told the names of endpoints." placeholder:"HOST:PORT,…"`
	Suffix   string   `help:"Domain of the names of endpoints." placeholder:"NAME"`
}

// Run serves until it is told to end, or another process takes its place. A terminal that
// is closed does not end it.
func (c *resolverCommand) Run(in *Invocation) error {
	servers, none, err := daemon.ParseUpstream(c.Upstream)
	if err != nil {
		return err
	}
	listen, err := daemon.ParseDNSListen(c.Listen)
	if err != nil {
		return err
	}
	if err := resolver.Confine(c.Data); err != nil {
		return err
	}
	signal.Ignore(unix.SIGHUP, unix.SIGXFSZ)
	ctx, stop := signal.NotifyContext(in.Context, os.Interrupt, unix.SIGTERM)
	defer stop()
	return resolver.Run(ctx, resolver.Config{
		Folder: c.Data, Instance: c.Instance, Upstream: servers, NoUpstream: none, Listen: listen, Domain: c.Suffix, Identity: c.Identity, Version: Version,
		Log: slog.New(slog.NewTextHandler(in.Stderr, nil)),
	})
}
