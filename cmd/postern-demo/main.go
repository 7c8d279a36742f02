// SPDX-License-Identifier: Apache-2.0

// Command postern-demo shows the main job of Postern step by step, with
// PostgreSQL and psql: `sudo make demo`; `sudo make demo-overlap` has several services
// and their names, `sudo make demo-egress` public names from networks without internet,
// `sudo make demo-tenants` accounts that share, `sudo make demo-databases` a cluster of
// database servers whose writer is killed, `sudo make demo-central` services that all VPCs
// call by one endpoint each. It exits with 0 when every step held
// and nothing is left behind, with 1 when not, and with 130 when it was stopped.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"github.com/posternhq/postern/internal/demo"
)

func main() { os.Exit(run()) }

func run() int {
	postern := flag.String("postern", "bin/postern", "the postern `program`")
	story := flag.String("story", demo.Stories[0], "the `story` to tell: "+strings.Join(demo.Stories, " or "))
	flag.Parse()
	if flag.NArg() > 0 {
		return demo.Helper(os.Stdout, flag.Args())
	}
	// Signals are caught to the very end, so that an impatient second one does
	// not interrupt the cleaning up.
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	defer stop()
	config, err := configure(*postern)
	config.Story = *story
	if err == nil && !slices.Contains(demo.Stories, *story) {
		err = fmt.Errorf("--story is %s, not %q", strings.Join(demo.Stories, " or "), *story)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "postern-demo:", err)
		return 1
	}
	err = demo.Run(ctx, config)
	switch {
	case err == nil:
		return 0
	case errors.Is(err, context.Canceled):
		return 130
	}
	return 1
}

func configure(postern string) (demo.Config, error) {
	self, err := os.Executable()
	if err != nil {
		return demo.Config{}, err
	}
	if postern, err = filepath.Abs(postern); err != nil {
		return demo.Config{}, err
	}
	if _, err := os.Stat(postern); err != nil {
		return demo.Config{}, fmt.Errorf("find the postern program: %w (make build makes it)", err)
	}
	return demo.Config{
		Postern: postern, Self: self, Out: os.Stdout,
		Color: term.IsTerminal(int(os.Stdout.Fd())) && os.Getenv("NO_COLOR") == "",
	}, nil
}
