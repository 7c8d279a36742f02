// SPDX-License-Identifier: Apache-2.0

// Package service holds what the AWS services of Postern have in common: their
// environment, quotas, pages of lists, filters, tags and client tokens.
//
// Each service is a package below this one. Its handlers take a request, run
// one transaction on the tables of package state, and give a reply; they know
// neither HTTP nor the kernel.
package service

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"time"

	"github.com/posternhq/postern/internal/alloc"
	"github.com/posternhq/postern/internal/engine"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/seal"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// Zone is an availability zone of a region.
type Zone struct {
	// Name is what users choose, such as us-east-1a, and ID what is the same
	// for all accounts, such as use1-az1.
	Name, ID string
}

// Env is what handlers work with. All fields are set at start and not changed
// afterwards.
type Env struct {
	DB *table.DB
	// Now tells the time of creations and deletions.
	Now func() time.Time
	// Rand is the source of identifiers and random places; crypto/rand.Reader
	// in production. It must be safe for concurrent use and never fail.
	Rand io.Reader
	// Seal has the keys that secrets and session tokens are sealed with.
	Seal *seal.Keys
	// Zones gives the zones of a region in the order of their names, and none
	// for a region that is not served.
	Zones func(region string) []Zone
	// Regions are those that are served, the default first.
	Regions []string
	Quotas  Quotas
	// IPv6Pool is where "Amazon-provided" IPv6 blocks come from. It is a prefix
	// of at most 56 bits.
	IPv6Pool netip.Prefix
	// Suffix is the domain of the names of endpoints, in normal form.
	Suffix string
	// AWSNames says that Postern's own APIs have their names in amazonaws.com too.
	AWSNames bool
	// DatabaseSuffix is the domain of the names of databases, in normal form.
	DatabaseSuffix string
	// Engines gives the database engines that are installed on this host, the newest
	// version of each driver first. It answers from memory; nil stands for none.
	Engines func() []engine.Installation
	// EncryptedStorage says that the operator vouches that what databases write is on
	// encrypted storage.
	EncryptedStorage bool
	// Outside is what the operator says of the way to the outside: the pool of public
	// addresses, and the uplink.
	Outside model.Outside
	// Host is the place in the transit realm of the host that new resource gateways
	// forward on, see model.Host.
	Host int
	// DefaultVPC says that accounts have a default VPC in each of Regions.
	DefaultVPC bool
	Log        *slog.Logger
}

// NewID makes an identifier of a kind: the prefix, a dash and 17 random
// hexadecimal digits, as AWS has them
// (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/resource-ids.html).
func (e *Env) NewID(prefix string) string {
	var raw [9]byte
	e.read(raw[:])
	return prefix + "-" + hex.EncodeToString(raw[:])[:17]
}

// NewDatabaseID makes the id of a cluster or an instance of RDS, which users see beside the
// identifier that they gave it.
func (e *Env) NewDatabaseID(prefix string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	id := []byte(prefix)
	for range 26 {
		id = append(id, alphabet[e.Intn(len(alphabet))])
	}
	return string(id)
}

// NewDigits makes the part of an ARN of Elastic Load Balancing that tells resources of one name
// apart: 16 hexadecimal digits.
func (e *Env) NewDigits() string {
	var raw [8]byte
	e.read(raw[:])
	return hex.EncodeToString(raw[:])
}

// NewSecret makes the secret of an access key: 40 characters of base64, as those of AWS have.
func (e *Env) NewSecret() string {
	var raw [30]byte
	e.read(raw[:])
	return base64.StdEncoding.EncodeToString(raw[:])
}

// Intn gives a random number from 0 to n-1, to probe for a free place. It is
// not perfectly even, which does not matter there. It panics when n < 1.
func (e *Env) Intn(n int) int {
	if n < 1 {
		panic(fmt.Sprintf("random number below %d", n))
	}
	var raw [8]byte
	e.read(raw[:])
	return int(binary.BigEndian.Uint64(raw[:]) % uint64(n))
}

// Naming is what names are below.
func (e *Env) Naming() state.Naming { return state.Naming{Suffix: e.Suffix, AWS: e.AWSNames} }

// Alloc gives what hands out addresses, interfaces and places, within the limits
// of this environment.
func (e *Env) Alloc() *alloc.Allocator {
	return &alloc.Allocator{
		Intn: e.Intn, Now: e.Now, MaxInterfaces: e.Quotas.InterfacesPerRegion, Pool6: e.IPv6Pool,
		Public: e.Outside.Pool, PublicExcept: e.Outside.Reserved(),
	}
}

func (e *Env) read(into []byte) {
	if _, err := io.ReadFull(e.Rand, into); err != nil {
		panic(fmt.Sprintf("read random bytes: %v", err)) // the contract of Rand excludes it
	}
}

// Zone finds a zone of a region by its name or its id.
func (e *Env) Zone(region, nameOrID string) (Zone, bool) {
	for _, z := range e.Zones(region) {
		if z.Name == nameOrID || z.ID == nameOrID {
			return z, true
		}
	}
	return Zone{}, false
}
