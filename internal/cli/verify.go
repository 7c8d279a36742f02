// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"os/signal"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/daemon"
)

type verifyCommand struct{ stored }

// Run prints a line for each thing that is wrong. The exit status is 0 when
// nothing is, and 1 otherwise.
func (c *verifyCommand) Run(in *Invocation) error {
	ctx, stop := signal.NotifyContext(in.Context, unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	defer stop()
	v, err := daemon.Verify(ctx, c.config(in))
	if err != nil {
		return err
	}
	for _, f := range v.Findings {
		if _, err := fmt.Fprintln(in.Stdout, f); err != nil {
			return err
		}
	}
	result := "nothing is wrong"
	if n := len(v.Findings); n > 0 {
		result = fmt.Sprintf("%d things are wrong", n)
	}
	if _, err := fmt.Fprintf(in.Stdout, "%s: %d rows, %d entries\n", result, v.Rows, v.Entries); err != nil {
		return err
	}
	if len(v.Findings) > 0 {
		return &exitError{1}
	}
	return nil
}
