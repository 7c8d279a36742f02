// SPDX-License-Identifier: Apache-2.0

// Package cli is the command line of Postern: what people and scripts type.
//
// Commands are structs that kong fills in; each one's Run does the work with
// what an Invocation gives it, so tests can run commands without a process.
// Results go to standard output, everything else to standard error. Exit
// status: 0 done, 1 not done, 2 not understood, 64 and above as the program
// that `postern run` ran.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/alecthomas/kong"
)

// Version is set when the program is linked.
var Version = "devel"

// Invocation is what a command is run with.
type Invocation struct {
	Context context.Context
	Args    []string
	Stdin   io.Reader
	Stdout  io.Writer
	Stderr  io.Writer
	Getenv  func(string) string
}

// commands is the whole command line.
type commands struct {
	Up       upCommand        `cmd:"" help:"Run Postern on this machine: the AWS API, and the networks behind it."`
	Env      envCommand       `cmd:"" help:"Print the environment for AWS clients, for eval."`
	CA       authorityCommand `cmd:"" name:"ca" help:"Print the certificate authority of the API in PEM, for AWS_CA_BUNDLE and the like."`
	Run      runCommand       `cmd:"" help:"Run a program as a workload in a subnet."`
	Attach   attachCommand    `cmd:"" help:"Put a network interface into a network namespace that exists."`
	Detach   detachCommand    `cmd:"" help:"Take a network interface out of its namespace."`
	Account  accountCommand   `cmd:"" help:"Make, list, disable and trust accounts."`
	Key      keyCommand       `cmd:"" help:"Make, list, rotate, disable and delete access keys of accounts."`
	RDS      rdsCommand       `cmd:"" name:"rds" help:"Print what clients of databases need."`
	Database databaseCommand  `cmd:"" help:"Register databases that exist already, and list them."`
	Service  serviceCommand   `cmd:"" help:"Register services of your own for interface endpoints, list them, and write their certificates."`
	Status   statusCommand    `cmd:"" help:"Show what exists, what is programmed, and what is in error and why."`
	Desired  desiredCommand   `cmd:"" help:"Print this host's desired state as text."`
	Doctor   doctorCommand    `cmd:"" help:"Show what this kernel and host can do, and what is missing."`
	Backup   backupCommand    `cmd:"" help:"Write the state to a file, while Postern runs or not."`
	Restore  restoreCommand   `cmd:"" help:"Make a data folder from a backup."`
	Reseal   resealCommand    `cmd:"" help:"Seal the secrets of all access keys anew, with a new key; while Postern runs."`
	Verify   verifyCommand    `cmd:"" help:"Look for what is wrong in the state and in the kernel; exit status 0 when nothing is."`
	Clean    cleanCommand     `cmd:"" help:"Remove every trace of Postern from the kernel."`
	Version  versionCommand   `cmd:"" help:"Print the version."`

	Completion completionCommand `cmd:"" help:"Print a completion script for a shell."`
	Workload   workloadCommand   `cmd:"" hidden:""`
	Resolver   resolverCommand   `cmd:"" hidden:""`
	Relay      relayCommand      `cmd:"" hidden:""`
	Supervise  superviseCommand  `cmd:"" hidden:""`
}

// location is how a command finds its Postern.
type location struct {
	Data string `help:"Data folder." default:"/var/lib/postern" env:"POSTERN_DATA" type:"path" placeholder:"DIR"`
}

// exitError ends the program with a status of its own.
type exitError struct{ status int }

func (e *exitError) Error() string { return fmt.Sprintf("exit status %d", e.status) }

// Main runs a command line and gives the exit status.
func Main(in Invocation) int {
	var cmds commands
	parser, err := newParser(&cmds, in)
	if err != nil {
		fmt.Fprintln(in.Stderr, "postern:", err)
		return 2
	}
	exited := -1
	parser.Exit = func(status int) { exited = status }
	parsed, err := parser.Parse(in.Args)
	if exited >= 0 { // --help was given and printed
		return exited
	}
	if err != nil {
		fmt.Fprintf(in.Stderr, "postern: %v\nTry: postern --help\n", err)
		return 2
	}
	err = parsed.Run(&in)
	var exit *exitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.status
	}
	fmt.Fprintln(in.Stderr, "postern:", err)
	return 1
}

func newParser(cmds *commands, in Invocation) (*kong.Kong, error) {
	return kong.New(cmds,
		kong.Name("postern"),
		kong.Description("Private ways from one isolated network to one resource in another, by the AWS APIs, through the Linux kernel."),
		kong.Writers(in.Stdout, in.Stderr),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
		kong.UsageOnError(),
	)
}

// System gives the invocation of this process.
func System(ctx context.Context) Invocation {
	return Invocation{
		Context: ctx, Args: os.Args[1:],
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv,
	}
}

type versionCommand struct{}

func (versionCommand) Run(in *Invocation) error {
	_, err := fmt.Fprintln(in.Stdout, "postern", Version)
	return err
}
