// SPDX-License-Identifier: Apache-2.0

package fakedp

import (
	"context"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/desired"
)

// Effects is what Faulty wraps: reconcile.Effects, which this layer may not
// import.
type Effects interface {
	Realms(ctx context.Context) ([]desired.Realm, error)
	Dump(ctx context.Context, vpc desired.Realm) ([]desired.Entry, error)
	Apply(ctx context.Context, vpc desired.Realm, put, del []desired.Entry) map[desired.Key]error
}

// errnos are what busy kernels answer now and then.
var errnos = [...]unix.Errno{unix.EBUSY, unix.EINTR, unix.ENOBUFS, unix.ENOMEM, unix.EAGAIN, unix.EIO}

type faulty struct {
	inner Effects
	rate  float64
	seed  uint64

	mu      sync.Mutex
	sources map[desired.Realm]*rand.Rand
}

// Faulty passes calls on to inner and lets a share of them fail: each listing,
// each dump, and each entry of an Apply fails with probability rate. Half of
// the entries that fail have been done nevertheless. For one seed the failures
// of one router depend on nothing but the calls made for it.
func Faulty(inner Effects, rate float64, seed uint64) Effects {
	return &faulty{inner: inner, rate: rate, seed: seed, sources: make(map[desired.Realm]*rand.Rand)}
}

// fault tosses the coin for an operation on the router of vpc. Done says
// whether the operation is to be carried out nevertheless.
func (f *faulty) fault(vpc desired.Realm) (err error, done bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	source := f.sources[vpc]
	if source == nil {
		h := fnv.New64a()
		h.Write([]byte(vpc))
		source = rand.New(rand.NewPCG(f.seed, h.Sum64()))
		f.sources[vpc] = source
	}
	if source.Float64() >= f.rate {
		return nil, true
	}
	return errnos[source.IntN(len(errnos))], source.IntN(2) == 0
}

func (f *faulty) Realms(ctx context.Context) ([]desired.Realm, error) {
	if err, _ := f.fault(""); err != nil {
		return nil, fmt.Errorf("list routers: %w", err)
	}
	return f.inner.Realms(ctx)
}

func (f *faulty) Dump(ctx context.Context, vpc desired.Realm) ([]desired.Entry, error) {
	if err, _ := f.fault(vpc); err != nil {
		return nil, fmt.Errorf("dump router of %s: %w", vpc, err)
	}
	return f.inner.Dump(ctx, vpc)
}

func (f *faulty) Apply(ctx context.Context, vpc desired.Realm, put, del []desired.Entry) map[desired.Key]error {
	faults := make(map[desired.Key]error)
	pick := func(verb string, entries []desired.Entry) (passed []desired.Entry) {
		for _, e := range entries {
			err, done := f.fault(vpc)
			if err != nil {
				faults[e.Key()] = fmt.Errorf("%s %s: %w", verb, e.Key(), err)
			}
			if done {
				passed = append(passed, e)
			}
		}
		return passed
	}
	put, del = pick("put", put), pick("delete", del)
	for key, err := range f.inner.Apply(ctx, vpc, put, del) {
		faults[key] = err
	}
	return faults
}
