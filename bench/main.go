// SPDX-License-Identifier: Apache-2.0

// Command bench measures Postern against plain routing, proxies and name
// servers on this machine. README.md says how to read what it prints.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/bench/control"
	"github.com/posternhq/postern/bench/databases"
	"github.com/posternhq/postern/bench/dataplane"
	"github.com/posternhq/postern/bench/load"
	"github.com/posternhq/postern/bench/names"
	"github.com/posternhq/postern/bench/report"
)

// part is a part of the benchmark.
type part struct {
	name string
	run  func(context.Context, report.Settings) (report.Section, error)
}

var parts = []part{
	{"dataplane", dataplane.Run},
	{"control", control.Run},
	{"names", names.Run},
	{"databases", databases.Run},
}

func main() {
	if len(os.Args) == 2 && os.Args[1] == load.Argument {
		os.Exit(load.Main())
	}
	if len(os.Args) == 2 && os.Args[1] == control.FloorCommand {
		if err := control.Floor(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM, unix.SIGHUP)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		stop()
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options are what can be chosen on the command line.
type options struct {
	report.Settings
	parts  []string
	output string
}

func parse(args []string, stderr io.Writer) (options, error) {
	o := options{Settings: report.Settings{Log: slog.New(slog.NewTextHandler(stderr, nil))}}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.BoolVar(&o.Quick, "quick", os.Getenv("BENCH") == "quick", "try the harness in under a minute; also with BENCH=quick")
	flags.IntVar(&o.Rounds, "rounds", 0, "how often each candidate is measured (default 5, quick 1)")
	flags.StringVar(&o.PosternBin, "postern", "bin/postern", "path of the postern binary")
	flags.StringVar(&o.Against, "against", "", "path of another postern binary to measure in turns with it, instead of proxies (data plane)")
	flags.StringVar(&o.output, "output", "bench/results/latest.json", "file for the results")
	chosen := flags.String("part", "", "run only these parts, separated by commas")
	only := flags.String("only", "", "measure only what matches this regular expression, as table/row (data plane), or as table/ (names, databases, control plane)")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if *only != "" {
		var err error
		if o.Only, err = regexp.Compile(*only); err != nil {
			return o, fmt.Errorf("-only: %w", err)
		}
	}
	for _, p := range parts {
		o.parts = append(o.parts, p.name)
	}
	if *chosen != "" {
		known := o.parts
		o.parts = strings.Split(*chosen, ",")
		for _, name := range o.parts {
			if !slices.Contains(known, name) {
				return o, fmt.Errorf("-part %s: want some of %s", name, strings.Join(known, ", "))
			}
		}
	}
	if o.Rounds == 0 {
		o.Rounds = 5
		if o.Quick {
			o.Rounds = 1
		}
	}
	if o.Rounds < 1 {
		return o, fmt.Errorf("-rounds %d: want at least one", o.Rounds)
	}
	return o, nil
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		return errors.New("needs root, because it makes network namespaces: sudo make bench")
	}
	if o.PosternBin, err = filepath.Abs(o.PosternBin); err != nil {
		return err
	}
	if o.Against != "" {
		if o.Against, err = filepath.Abs(o.Against); err != nil {
			return err
		}
	}
	results := report.New(o.Settings, time.Now())
	for _, p := range parts {
		if !slices.Contains(o.parts, p.name) {
			continue
		}
		o.Log.Info("begin", "part", p.name)
		section, err := p.run(ctx, o.Settings)
		if err != nil && ctx.Err() != nil {
			return fmt.Errorf("interrupted in part %s: %w", p.name, err)
		}
		if err != nil {
			return fmt.Errorf("part %s: %w", p.name, err)
		}
		results.Sections = append(results.Sections, section)
	}
	results.Finish(time.Now())
	if err := results.Print(stdout); err != nil {
		return err
	}
	return results.Save(o.output)
}
