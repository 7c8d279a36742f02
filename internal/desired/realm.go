// SPDX-License-Identifier: Apache-2.0

package desired

import "strings"

// Realm is where entries live on a host, and the unit that can be slow or out of
// reach by itself: the router of a VPC, whose realm is the VPC's identifier, the
// host itself, or a zone of names.
type Realm string

// Host is the realm of what a host has once, whatever VPCs are on it.
const Host Realm = "host"

const zonePrefix = "zone:"

// Zone is the realm of a zone of names.
func Zone(name string) Realm { return Realm(zonePrefix + name) }

// RealmSort says what a realm is.
type RealmSort string

// The sorts of realms.
const (
	Routers RealmSort = "router"
	Hosts   RealmSort = "host"
	Zones   RealmSort = "zone"
)

// Sort says what the realm is.
func (r Realm) Sort() RealmSort {
	switch {
	case r == Host:
		return Hosts
	case strings.HasPrefix(string(r), zonePrefix):
		return Zones
	}
	return Routers
}

// Name is the name of a zone, and the realm's own text for all others.
func (r Realm) Name() string { return strings.TrimPrefix(string(r), zonePrefix) }
