// SPDX-License-Identifier: Apache-2.0

package engine

import "slices"

// Names of drivers.
const (
	DriverPostgres = "postgres"
	DriverMariaDB  = "mariadb"
)

// Offer is an engine as RDS names it. An aurora engine is the same program as the other
// one in the shape of a cluster: its storage and its functions are not Aurora's.
type Offer struct {
	// Engine is its name in RDS, Title what DescribeDBEngineVersions calls it.
	Engine, Title string
	// Driver is the name of the driver that runs it.
	Driver string
	// Cluster says that its instances are members of clusters, and never alone.
	Cluster bool
	// family is the beginning of the names of its families of parameters.
	family string
	Port   uint16
	// License is in the words of RDS.
	License string
	// Package is what to install of the distribution when there is no such engine, with
	// spaces between.
	Package string
}

var offers = []Offer{
	{"aurora-postgresql", "Aurora PostgreSQL", DriverPostgres, true, "aurora-postgresql", 5432, "postgresql-license", "postgresql"},
	{"mariadb", "MariaDB Community Edition", DriverMariaDB, false, "mariadb", 3306, "general-public-license", "mariadb-server mariadb-backup"},
	{"postgres", "PostgreSQL", DriverPostgres, false, "postgres", 5432, "postgresql-license", "postgresql"},
}

// Offers lists all engines that there are drivers for, installed or not, by name.
func Offers() []Offer { return slices.Clone(offers) }

// OfferOf finds an engine by the name that RDS has for it.
func OfferOf(engine string) (Offer, bool) {
	i := slices.IndexFunc(offers, func(o Offer) bool { return o.Engine == engine })
	if i < 0 {
		return Offer{}, false
	}
	return offers[i], true
}

// Family is the name of the family of parameters for a major version, such as postgres15
// or mariadb10.11.
func (o Offer) Family(major string) string { return o.family + major }
