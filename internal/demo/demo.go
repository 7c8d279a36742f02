// SPDX-License-Identifier: Apache-2.0

// Package demo shows the main job of Postern on one machine, step by step: a
// PostgreSQL server and a client in two networks that have the same addresses,
// and the one private way between them, made by the AWS API. A second story has
// several services behind one endpoint, reached by names, and a third one public names
// that are reached from networks without internet. The fourth is about accounts: a vendor
// and its customers, and what each of them may do. The fifth has a cluster of PostgreSQL
// servers that Postern runs itself, and what clients elsewhere notice when its writer is
// killed, and a server of MariaDB. The sixth has interface endpoints to services in one VPC, and
// many VPCs that call them by one endpoint each.
//
// Everything happens in a temporary data folder and in network namespaces of
// that folder's Postern. Whatever way the demo ends, it takes both away.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/posternhq/postern/internal/client"
	"github.com/posternhq/postern/test/instance"
)

// Config says what the demo runs with.
type Config struct {
	// Postern is the path of the postern program.
	Postern string
	// Self is the path of the program that calls Helper for its arguments; it
	// is run in the consumer's network.
	Self string
	// Out gets the story.
	Out io.Writer
	// Color allows colours on Out.
	Color bool
	// Story is what to tell: one of Stories.
	Story string
}

// Stories lists what can be told.
var Stories = []string{"database", "overlap", "egress", "tenants", databasesStory, centralStory}

const databasesStory = "databases"

// demo is one run.
type demo struct {
	config Config
	screen *screen
	tools  tools
	folder string
	// postern is there once the folder is; api, once postern has answered.
	postern *instance.Instance
	api     *client.Client
	world   *world
	merger  merger
	abroad  abroad
	tenancy tenancy
	hosted  hosted
	hub     hub
	// acting is the environment of whose programs run; empty for the first account's.
	acting []string
	// running are the other programs that were started and go on, oldest first.
	running []*process
}

// Run tells the story and says on Out what went wrong, if anything did. It
// returns nil when every step held and nothing is left of it. When the context
// ends, Run stops where it is, takes everything away and returns the context's
// error.
func Run(ctx context.Context, c Config) error {
	d := &demo{config: c, screen: &screen{out: c.Out, color: c.Color}, world: new(world)}
	err := d.prepare(ctx)
	if err == nil {
		err = d.tell(ctx, map[string]story{"database": d.database(), "overlap": d.overlap(), "egress": d.egress(), "tenants": d.tenants(), databasesStory: d.databases(), centralStory: d.centralServices()}[c.Story])
	}
	switch {
	case ctx.Err() != nil:
		d.screen.say("stopped")
		err = ctx.Err()
	case err != nil:
		d.screen.failed(err)
	}
	if d.folder == "" {
		return err
	}
	if left := d.leaveNothing(); left != nil {
		d.screen.failed(left)
		return left
	}
	if err == nil {
		d.screen.title("Every step held.")
	}
	return err
}

// prepare finds what the story needs and makes its folder.
func (d *demo) prepare(ctx context.Context) (err error) {
	if os.Geteuid() != 0 {
		return errors.New("the demo makes network namespaces and needs root; use sudo")
	}
	if d.tools, err = findTools(ctx, d.config.Story); err != nil {
		return err
	}
	if d.folder, err = os.MkdirTemp("", "postern-demo-"); err != nil {
		return fmt.Errorf("make the temporary folder: %w", err)
	}
	if err := os.Chmod(d.folder, 0o711); err != nil { // the database's user passes through
		return fmt.Errorf("make the temporary folder: %w", err)
	}
	d.postern = &instance.Instance{Binary: d.config.Postern, Data: d.data(), Environment: d.environment()}
	return nil
}

// data is the data folder of the demo's Postern.
func (d *demo) data() string { return filepath.Join(d.folder, "data") }

// leaveNothing ends what runs, cleans the kernel and removes the folder. Each is
// tried whatever became of the others.
func (d *demo) leaveNothing() error {
	d.screen.title("Take everything away")
	var errs []error
	for i := len(d.running) - 1; i >= 0; i-- {
		errs = append(errs, d.running[i].stop())
	}
	if d.postern != nil {
		errs = append(errs, d.postern.Close())
	}
	errs = append(errs, d.abroad.internet.close(), os.RemoveAll(d.folder))
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("take everything away: %w", err)
	}
	d.screen.done("processes, namespaces and %s are gone", d.folder)
	return nil
}
