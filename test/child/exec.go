// SPDX-License-Identifier: Apache-2.0

package child

import (
	"bytes"
	"os/exec"
)

// Result is what a program left that ran to its end.
type Result struct {
	// Status is its exit status as a shell has it.
	Status         int
	Stdout, Stderr string
}

// Exec runs a program in an environment, without a shell, to its end. No
// environment stands for Environment.
func Exec(environment []string, path string, args ...string) Result {
	cmd := exec.Command(path, args...)
	cmd.Env = environment
	return Run(cmd)
}

// Run starts a command and waits for its end. One that cannot be started has the
// status -1, with the reason as its standard error.
func Run(cmd *exec.Cmd) Result {
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	p, err := Start(cmd)
	if err != nil {
		return Result{-1, "", err.Error()}
	}
	<-p.Ended()
	status, _ := p.Status()
	return Result{status, stdout.String(), stderr.String()}
}
