// SPDX-License-Identifier: Apache-2.0

// Package instance runs Posterns for benchmarks: the real binary on a data
// folder of its own, driven by its real API.
package instance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/posternhq/postern/bench/child"
	"github.com/posternhq/postern/internal/aws/schema"
	"github.com/posternhq/postern/internal/client"
)

// quotas are far above what any benchmark makes.
const quotas = "vpcs-per-region=100000;endpoints-per-vpc=100000;interfaces-per-region=1000000;" +
	"configurations-per-region=100000;gateways-per-vpc=100000;groups-per-region=100000;subnets-per-vpc=10000"

// startTimeout bounds the start of a daemon, with ten thousand endpoints to
// adopt.
const startTimeout = time.Minute

// Instance is a Postern. It may be used by many goroutines, but started and
// stopped by one.
type Instance struct {
	// Data is its data folder.
	Data string

	binary  string
	flags   []string
	process *child.Process
	client  *client.Client
}

// Start starts a Postern in a new data folder, with raised quotas and more
// flags for `postern up`. The caller calls Close.
func Start(ctx context.Context, binary string, flags ...string) (*Instance, error) {
	data, err := os.MkdirTemp("", "postern-bench-")
	if err != nil {
		return nil, err
	}
	i := &Instance{Data: data, binary: binary, flags: flags}
	if err := i.Up(ctx); err != nil {
		return nil, errors.Join(err, i.Close())
	}
	return i, nil
}

// Up starts the daemon on the data folder as it is, and returns when its API
// answers.
func (i *Instance) Up(ctx context.Context) error {
	args := []string{"up", "--data", i.Data, "--listen", "127.0.0.1:0", "--log-level", "warn", "--quota", quotas}
	p, err := child.Start(nil, exec.Command(i.binary, append(args, i.flags...)...))
	if err != nil {
		return err
	}
	i.process = p
	return Poll(ctx, startTimeout, "the API", func() (bool, error) {
		select {
		case <-p.Ended():
			return false, p.Err()
		default:
			return i.connect(p.PID) == nil, nil
		}
	})
}

// connect reads where the daemon is.
func (i *Instance) connect(pid int) error {
	var running struct {
		PID              int
		Endpoint, Region string
	}
	var key struct{ AccessKeyID, SecretAccessKey string }
	if err := errors.Join(i.read("running.json", &running), i.read("credentials.json", &key)); err != nil {
		return err
	}
	if running.PID != pid {
		return fmt.Errorf("running.json is of process %d, not of %d", running.PID, pid)
	}
	i.client = client.New(running.Endpoint, running.Region, key.AccessKeyID, key.SecretAccessKey)
	return nil
}

func (i *Instance) read(name string, into any) error {
	text, err := os.ReadFile(filepath.Join(i.Data, name))
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}

// PID is the daemon's process.
func (i *Instance) PID() int { return i.process.PID }

// Client is a client with the administrator's key.
func (i *Instance) Client() *client.Client { return i.client }

// Stop ends the daemon as an administrator does. What is programmed stays.
func (i *Instance) Stop() error { return i.process.Stop() }

// Kill ends the daemon at once. What is programmed stays.
func (i *Instance) Kill() {
	i.process.Signal(9)
	<-i.process.Ended()
}

// Close stops the daemon, removes what it made in the kernel, checks that
// nothing is left, and removes the data folder.
func (i *Instance) Close() error {
	var errs []error
	if i.process != nil {
		errs = append(errs, i.process.Stop())
	}
	mark, err := os.ReadFile(filepath.Join(i.Data, "instance"))
	switch {
	case errors.Is(err, os.ErrNotExist): // it never came that far
	case err != nil:
		errs = append(errs, err)
	default:
		errs = append(errs, i.clean(strings.TrimSpace(string(mark))))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close Postern on %s: %w", i.Data, err)
	}
	return os.RemoveAll(i.Data)
}

func (i *Instance) clean(mark string) error {
	if out, err := exec.Command(i.binary, "clean", "--data", i.Data).CombinedOutput(); err != nil {
		return fmt.Errorf("postern clean: %w: %s", err, out)
	}
	left, err := filepath.Glob("/run/netns/postern-" + mark + "-*")
	if err == nil && len(left) > 0 {
		err = fmt.Errorf("postern clean left %v", left)
	}
	return err
}

// Call calls an operation with the administrator's key. A refusal is a
// *client.Error.
func Call[Out any](ctx context.Context, i *Instance, s *schema.Service, operation string, in any) (*Out, error) {
	out := new(Out)
	return out, i.client.Do(ctx, s, operation, in, out)
}

// Poll asks until the answer is yes, quickly at first. An error of done ends it.
func Poll(ctx context.Context, timeout time.Duration, what string, done func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	for wait := time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
		ok, err := done()
		if ok {
			return nil
		}
		if err != nil {
			return fmt.Errorf("wait for %s: %w", what, err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w", what, ctx.Err())
		case <-time.After(wait):
		}
	}
}
