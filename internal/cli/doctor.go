// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/posternhq/postern/internal/daemon"
	"github.com/posternhq/postern/internal/kernel"
)

type doctorCommand struct {
	location
	Output string `short:"o" help:"Form of the answer: text or json." default:"text" enum:"text,json"`
}

// Run fails when something that Postern needs is missing.
func (c *doctorCommand) Run(in *Invocation) error {
	features := kernel.Probe(in.Context)
	if disk, ok := daemon.Folder(c.Data).Disk(); ok {
		features = append(features, disk)
	}
	if err := c.print(in, features); err != nil {
		return err
	}
	n := len(kernel.Missing(features))
	switch {
	case n > 0 && os.Geteuid() != 0:
		return errors.New("doctor: what needs root was not tried; use sudo")
	case n > 0:
		return fmt.Errorf("%d needed things are missing on this host", n)
	}
	return nil
}

func (c *doctorCommand) print(in *Invocation, features []kernel.Feature) error {
	if c.Output == "json" {
		e := json.NewEncoder(in.Stdout)
		e.SetIndent("", "  ")
		return e.Encode(features)
	}
	for _, f := range features {
		mark := "ok      "
		switch {
		case !f.OK && f.Needed:
			mark = "MISSING "
		case !f.OK:
			mark = "absent  "
		}
		if _, err := fmt.Fprintf(in.Stdout, "%s%s: %s\n", mark, f.Name, f.Reason); err != nil {
			return err
		}
		if f.OK || f.Advice == "" {
			continue
		}
		if _, err := fmt.Fprintf(in.Stdout, "        %s\n", f.Advice); err != nil {
			return err
		}
	}
	return nil
}
