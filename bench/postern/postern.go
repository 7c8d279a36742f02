// SPDX-License-Identifier: Apache-2.0

// Package postern runs Posterns for benchmarks: the real binary on a data folder
// of its own, driven by its real API.
package postern

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/posternhq/postern/internal/aws/schema"
	shape "github.com/posternhq/postern/internal/aws/shape/postern"
	"github.com/posternhq/postern/internal/client"
	"github.com/posternhq/postern/test/instance"
)

// quotas are far above what any benchmark makes.
const quotas = "vpcs-per-region=100000;endpoints-per-vpc=100000;interfaces-per-region=1000000;" +
	"configurations-per-region=100000;gateways-per-vpc=100000;route-tables-per-vpc=1000;groups-per-region=100000;subnets-per-vpc=10000"

// programmed bounds how long it may take until all is.
const programmed = 3 * time.Minute

// Postern is one instance. It may be used by many goroutines, but started and
// stopped by one.
type Postern struct {
	*instance.Instance
	// Client calls with the administrator's key, or that of As. It is there once Up has returned.
	Client *client.Client
}

// New prepares a Postern in a new data folder, with raised quotas and more flags
// for `postern up`. The caller calls Close.
func New(binary string, flags ...string) (*Postern, error) {
	data, err := os.MkdirTemp("", "postern-bench-")
	if err != nil {
		return nil, err
	}
	return &Postern{Instance: &instance.Instance{Binary: binary, Data: data, Flags: append([]string{"--quota", quotas}, flags...)}}, nil
}

// Up starts the daemon on the data folder as it is, and returns when its API
// answers.
func (p *Postern) Up(ctx context.Context) error {
	if err := p.Instance.Up(ctx); err != nil {
		return err
	}
	a := p.Access()
	p.Client = p.As(a.AccessKeyID, a.SecretAccessKey).Client
	return nil
}

// As gives the same instance as it is used with another key. A start ends that, as the
// address of the API is another one then.
func (p *Postern) As(accessKeyID, secret string) *Postern {
	a := p.Access()
	return &Postern{Instance: p.Instance, Client: client.New(a.URL, a.Region, accessKeyID, secret)}
}

// Programmed waits until the kernel has all that is wanted, and everything that users
// made is ready.
func (p *Postern) Programmed(ctx context.Context) error {
	return instance.Poll(ctx, programmed, "programming of everything", func() (bool, error) {
		s, err := Call[shape.GetStatusOutput](ctx, p, shape.Service, "GetStatus", &shape.GetStatusInput{})
		if err != nil {
			return false, err
		}
		for _, r := range s.Resources {
			if *r.State != "ready" && *r.State != "active" { // the latter are of peering connections
				return false, nil
			}
		}
		return *s.DesiredEntries == *s.ProgrammedEntries, nil
	})
}

// Close stops the daemon, removes what it made in the kernel, checks that
// nothing is left, and removes the data folder, which is kept when something is:
// it names what to clean.
func (p *Postern) Close() error {
	if err := p.Instance.Close(); err != nil {
		return fmt.Errorf("close Postern on %s: %w", p.Data, err)
	}
	return os.RemoveAll(p.Data)
}

// Call calls an operation with the key of the Postern's client. A refusal is a
// *client.Error.
func Call[Out any](ctx context.Context, p *Postern, s *schema.Service, operation string, in any) (*Out, error) {
	out := new(Out)
	return out, p.Client.Do(ctx, s, operation, in, out)
}
