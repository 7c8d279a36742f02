// SPDX-License-Identifier: Apache-2.0

package desired

import "strings"

// Realm is where entries live on a host, and the unit that can be slow or out of
// reach by itself: the router of a VPC, whose realm is the VPC's identifier, the
// host itself, a zone of names, or another namespace of ours.
type Realm string

// Host is the realm of what a host has once, whatever VPCs are on it.
const Host Realm = "host"

const (
	zonePrefix     = "zone:"
	natPrefix      = "nat:"
	edgePrefix     = "edge:"
	sandboxPrefix  = "sandbox:"
	databasePrefix = "database:"
)

// Zone is the realm of a zone of names.
func Zone(name string) Realm { return Realm(zonePrefix + name) }

// NATRealm is the realm of a NAT gateway.
func NATRealm(id string) Realm { return Realm(natPrefix + id) }

// EdgeRealm is the realm of the edge of an uplink.
func EdgeRealm(uplink string) Realm { return Realm(edgePrefix + uplink) }

// SandboxRealm is the realm of the sandbox of a program that the host runs.
func SandboxRealm(id string) Realm { return Realm(sandboxPrefix + id) }

// DatabaseRealm is the realm of a database, or of a snapshot of one.
func DatabaseRealm(id string) Realm { return Realm(databasePrefix + id) }

// RealmSort says what a realm is.
type RealmSort string

// The sorts of realms.
const (
	Routers   RealmSort = "router"
	Hosts     RealmSort = "host"
	Zones     RealmSort = "zone"
	NATs      RealmSort = "nat"
	Edges     RealmSort = "edge"
	Sandboxes RealmSort = "sandbox"
	Databases RealmSort = "database"
)

// prefixes are what the texts of realms begin with, by their sorts; all others are
// those of routers.
var prefixes = []struct {
	sort   RealmSort
	prefix string
}{{Zones, zonePrefix}, {NATs, natPrefix}, {Edges, edgePrefix}, {Sandboxes, sandboxPrefix}, {Databases, databasePrefix}}

// Sort says what the realm is.
func (r Realm) Sort() RealmSort {
	if r == Host {
		return Hosts
	}
	for _, p := range prefixes {
		if strings.HasPrefix(string(r), p.prefix) {
			return p.sort
		}
	}
	return Routers
}

// Name is the name of what the realm is of: a VPC's identifier, or what comes behind
// the word for its sort.
func (r Realm) Name() string {
	for _, p := range prefixes {
		if name, ok := strings.CutPrefix(string(r), p.prefix); ok {
			return name
		}
	}
	return string(r)
}
