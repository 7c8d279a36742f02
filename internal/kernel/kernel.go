// SPDX-License-Identifier: Apache-2.0

// Package kernel finds out what the kernel and the tools of this host can do.
//
// It tries things rather than comparing version numbers: distributions move
// features between versions and leave out modules. Everything is tried in a
// network namespace that goes at once; no packet is sent and nothing of the
// host is changed, except that the kernel may load modules on its own.
package kernel

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/dataplane/network"
)

// Feature is one thing that Postern needs, or can use, and whether it is there.
type Feature struct {
	// Name says in a few words what the feature is.
	Name string
	// OK says that it was tried and works.
	OK bool
	// Needed says that Postern cannot work without it.
	Needed bool
	// Reason says in a sentence what was found, good or bad.
	Reason string
	// Advice says what to do about it; empty when nothing needs doing.
	Advice string
}

// Probe tries all features, in the order in which a person should look at
// them. Without root most cannot be tried and say so. A cancelled context
// makes the rest of the features fail with its reason.
func Probe(ctx context.Context) []Feature { return try(ctx, probes) }

// Needed tries only what Postern cannot work without.
func Needed(ctx context.Context) []Feature {
	return try(ctx, slices.DeleteFunc(slices.Clone(probes), func(p probe) bool { return !p.needed }))
}

func try(ctx context.Context, probes []probe) []Feature {
	features := []Feature{privileges()}
	root := features[0].OK
	for _, p := range probes {
		features = append(features, p.run(ctx, root))
	}
	return features
}

// Missing returns the needed features that are not there.
func Missing(features []Feature) []Feature {
	var missing []Feature
	for _, f := range features {
		if f.Needed && !f.OK {
			missing = append(missing, f)
		}
	}
	return missing
}

// probe is one attempt. When it tries something in the kernel, try runs inside
// a namespace of its own.
type probe struct {
	name   string
	needed bool
	// open means that the attempt needs neither root nor a namespace.
	open bool
	// good and advice are the Reason of success and the Advice of failure.
	good, advice string
	// try returns nil when the feature works. What it returns as text replaces
	// good when it is not empty.
	try func(ctx context.Context) (found string, err error)
}

var errNotTried = errors.New("not tried: this needs root")

func (p probe) run(ctx context.Context, root bool) Feature {
	f := Feature{Name: p.name, Needed: p.needed}
	found, err := "", ctx.Err()
	switch {
	case err != nil:
	case p.open:
		found, err = p.try(ctx)
	case !root:
		f.Reason, f.Advice = errNotTried.Error(), "Run postern doctor as root."
		return f
	default:
		err = network.InThrowaway(func() (err error) {
			found, err = p.try(ctx)
			return err
		})
	}
	if err != nil {
		f.Reason, f.Advice = err.Error(), p.advice
		return f
	}
	f.OK, f.Reason = true, p.good
	if found != "" {
		f.Reason = found
	}
	return f
}

// privileges asks for the two capabilities that the data plane uses:
// CAP_NET_ADMIN for everything in namespaces, CAP_SYS_ADMIN to make and enter
// them (capabilities(7)).
func privileges() Feature {
	f := Feature{Name: "privileges", Needed: true}
	effective, err := effectiveCapabilities()
	const need = 1<<unix.CAP_NET_ADMIN | 1<<unix.CAP_SYS_ADMIN
	switch {
	case err != nil:
		f.Reason = err.Error()
	case effective&need != need:
		f.Reason = fmt.Sprintf("user %d has no CAP_NET_ADMIN and CAP_SYS_ADMIN", os.Geteuid())
	default:
		f.OK, f.Reason = true, "CAP_NET_ADMIN and CAP_SYS_ADMIN are there"
		return f
	}
	f.Advice = "Run Postern as root."
	return f
}

func effectiveCapabilities() (uint64, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, fmt.Errorf("read capabilities: %w", err)
	}
	for line := range strings.Lines(string(status)) {
		if text, ok := strings.CutPrefix(line, "CapEff:"); ok {
			return strconv.ParseUint(strings.TrimSpace(text), 16, 64)
		}
	}
	return 0, errors.New("read capabilities: no CapEff in /proc/self/status")
}
