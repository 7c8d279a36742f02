// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"log/slog"
	"os/signal"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/daemon"
)

// stored says which state a command works on.
type stored struct {
	location
	Etcd []string `help:"URLs of the external etcd cluster that has the state; not needed while Postern runs." placeholder:"URL,…"`
}

func (s stored) config(in *Invocation) daemon.Config {
	log := slog.New(slog.NewTextHandler(in.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	return daemon.Config{Data: s.Data, Etcd: s.Etcd, Version: Version, Log: log}
}

type backupCommand struct {
	stored
	File string `arg:"" help:"File to write; one that is there is replaced when the new one is whole." type:"path" placeholder:"FILE"`
}

// Run makes a backup and says what is in it.
func (c *backupCommand) Run(in *Invocation) error {
	ctx, stop := signal.NotifyContext(in.Context, unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	defer stop()
	b, err := daemon.MakeBackup(ctx, c.config(in), c.File)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(in.Stdout, "%s: %d rows of revision %d, keys of all accounts among them\n", c.File, b.Rows, b.Revision)
	return err
}

type restoreCommand struct {
	stored
	File    string `arg:"" help:"Backup to read." type:"path" placeholder:"FILE"`
	Replace bool   `help:"Give up the state that the data folder has."`
}

// Run restores a backup and says what is in it.
func (c *restoreCommand) Run(in *Invocation) error {
	ctx, stop := signal.NotifyContext(in.Context, unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	defer stop()
	b, err := daemon.Restore(ctx, c.config(in), c.File, c.Replace)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(in.Stdout, "%s: %d rows, as they were on %s; start it with: postern up --data %[1]s\n",
		c.Data, b.Rows, b.Made.Format("2006-01-02 15:04:05 MST"))
	return err
}
