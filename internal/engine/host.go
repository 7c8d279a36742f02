// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"io"
	"time"
)

// Host runs the processes of one server, in its namespaces and as its user. A server of
// one folder has one host, for which package supervisor is the real thing.
type Host interface {
	// Path is where the server sees a part of its folder: PartData and so on, and names in it.
	// It is the same for all servers, and short enough for the address of a socket.
	Path(parts ...string) string
	// Run runs a program to its end and gives its error, with the last words that it wrote
	// to its standard error. When the context ends, or the connection to the host, the
	// program and all that it started are killed.
	Run(ctx context.Context, c Command) error
	// Start starts the server. One that runs is ErrRunning.
	Start(ctx context.Context, c Command) error
	// Signal sends a signal to the server's first process; one that does not run is ErrDown.
	Signal(ctx context.Context, signal int) error
	// Hold ends the policy of restart: a server that ends stays down.
	Hold(ctx context.Context) error
	// Kill ends the server at once, with all that it started, and returns when nothing of it
	// is left. Policy of restart ends with it.
	Kill(ctx context.Context) error
	// Process says how the server is.
	Process(ctx context.Context) (Process, error)
	// Wait returns when the server is another one than in the given state: when it has ended
	// or was started again. It is told at once.
	Wait(ctx context.Context, since Process) (Process, error)
}

// Command is a program to run.
type Command struct {
	// Path and Args are as the server sees them; Args is without the name of the program.
	Path string
	Args []string
	// Env is all of the environment.
	Env []string
	// Input is given to the program as its standard input. It is for what no other process
	// may see in a command line.
	Input []byte
	// Output gets what the program writes to its standard output and Errors to its standard
	// error, while it runs; nil drops it. Of a server both go to its log.
	Output, Errors io.Writer
	// Restart starts a server again when it ends by itself, with growing pauses.
	Restart bool
	// Stop is the signal that ends a server cleanly, which it gets when the machine goes down.
	Stop int
}

// Process is a server's as its host sees it. That it does not run means that nothing of it
// is left: whoever it had started is gone, too.
type Process struct {
	Running bool `json:"running"`
	// Life counts the starts since the host began; zero says that there was none.
	Life int64 `json:"life"`
	// Started is when it was started, Ended when the last one ended.
	Started time.Time `json:"started,omitzero"`
	Ended   time.Time `json:"ended,omitzero"`
	// Exit is how the last one ended, for people, such as "signal: killed". Asked says that it
	// was told to end.
	Exit  string `json:"exit,omitempty"`
	Asked bool   `json:"asked,omitempty"`
	// Words are the last lines of its log, of this life.
	Words string `json:"words,omitempty"`
}
