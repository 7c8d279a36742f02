// SPDX-License-Identifier: Apache-2.0

// Package instance runs the real binary on a data folder of its own, over several
// lives: for tests, benchmarks and the demo. It knows the binary's command line
// and the files of its data folder, and nothing of its inside.
//
// Whatever way the process ends that started a Postern here, neither the daemon
// nor a namespace of it is left.
package instance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/posternhq/postern/test/child"
	"github.com/posternhq/postern/test/janitor"
)

// patience bounds the start of a daemon, which may have ten thousand endpoints to
// adopt, and its end.
const patience = time.Minute

// Instance is a Postern. It may be running or not. It may be used by many
// goroutines, but started and stopped by one at a time.
type Instance struct {
	// Binary is the path of the program, Data its data folder.
	Binary, Data string
	// Flags are more flags for `postern up`.
	Flags []string
	// Environment is that of the daemon and of commands; nil is child.Environment.
	Environment []string
	// Log gets what the daemons log; when it is nil, the end of it is kept for
	// errors.
	Log io.Writer

	process *child.Process // of the present or last life
	answers bool           // whether its API has answered
	access  atomic.Pointer[Access]
	forget  func() // tells the janitor that nothing is left
}

// Access is where a daemon answers and how its first account signs.
type Access struct {
	URL                                   string `json:"endpoint"`
	TLS                                   string `json:"tlsEndpoint"` // empty when it is not served over TLS
	Region                                string
	Account, AccessKeyID, SecretAccessKey string
}

// UpCommand is the command line that Up starts.
func (i *Instance) UpCommand() []string {
	return append([]string{i.Binary, "up", "--data", i.Data, "--listen", "127.0.0.1:0"}, i.Flags...)
}

// Up starts the daemon on the data folder as it is, and returns when its API
// answers.
func (i *Instance) Up(ctx context.Context) error {
	if i.forget == nil {
		forget, err := janitor.AbandonFolder(i.Data)
		if err != nil {
			return err
		}
		i.forget = forget
	}
	line := i.UpCommand()
	cmd := exec.Command(line[0], line[1:]...)
	cmd.Env, cmd.Stdout, cmd.Stderr = i.Environment, i.Log, i.Log
	p, err := child.Start(cmd)
	if err != nil {
		return err
	}
	p.Name = "postern up"
	i.process, i.answers = p, false
	err = Poll(ctx, patience, "the API", func() (bool, error) {
		if _, ended := p.Status(); ended {
			return false, p.Early()
		}
		return i.Connect() == nil, nil
	})
	i.answers = err == nil
	return err
}

// Connect finds the API again after the daemon started anew in its own process.
func (i *Instance) Connect() error {
	var running struct {
		PID int
		Access
	}
	if err := errors.Join(i.read("running.json", &running), i.read("credentials.json", &running.Access)); err != nil {
		return err
	}
	if running.PID != i.process.PID {
		return fmt.Errorf("running.json is of process %d, not of %d", running.PID, i.process.PID)
	}
	i.access.Store(&running.Access)
	return nil
}

func (i *Instance) read(name string, into any) error {
	text, err := os.ReadFile(filepath.Join(i.Data, name))
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}

// Access tells where the daemon answers that was started last.
func (i *Instance) Access() Access { return *i.access.Load() }

// Process is the daemon's, of the present or the last life; nil before the first.
func (i *Instance) Process() *child.Process { return i.process }

// PID is the number of the daemon's process.
func (i *Instance) PID() int { return i.process.PID }

// Runs tells whether the daemon was started and has not ended.
func (i *Instance) Runs() bool {
	if i.process == nil {
		return false
	}
	_, ended := i.process.Status()
	return !ended
}

// Signal sends the daemon a signal.
func (i *Instance) Signal(s os.Signal) { i.process.Signal(s) }

// Kill ends the daemon at once. What is programmed stays.
func (i *Instance) Kill() { i.process.Kill() }

// Stop ends the daemon as an administrator does, and wants it to run until then
// and to end well, but in the middle of its start. What is programmed stays.
func (i *Instance) Stop() error {
	if !i.Runs() {
		return i.process.Early()
	}
	status, err := i.process.Stop(patience)
	if err == nil && status != 0 && i.answers {
		err = fmt.Errorf("postern up ended with status %d at %v: %s", status, syscall.SIGTERM, i.process.Output())
	}
	return err
}

// Close stops the daemon if it runs, removes what it made in the kernel, and
// tells what is left. The data folder stays.
func (i *Instance) Close() error {
	var err error
	if i.Runs() {
		err = i.Stop()
	}
	cleanErr := i.clean()
	if cleanErr == nil && i.forget != nil {
		i.forget()
		i.forget = nil
	}
	return errors.Join(err, cleanErr)
}
