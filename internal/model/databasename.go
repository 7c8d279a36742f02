// SPDX-License-Identifier: Apache-2.0

package model

import (
	"cmp"
	"crypto/sha256"
	"encoding/base32"
	"strings"
)

// The names of databases are those of RDS, below a suffix that stands for its
// rds.amazonaws.com. Drivers read in them what a name is for, so their form is kept:
// https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/Aurora.Overview.Endpoints.html
// All are in normal form, as the suffix is. A registered database keeps the names that it
// has; of those that it has not the ones in RDS's form take the place.

// WriterName is the name that leads to whichever instance takes writes.
func (c *DBCluster) WriterName(suffix string) string {
	return cmp.Or(c.Registered.Writer, databaseName(c.Meta, c.Identifier, "cluster-", suffix))
}

// ReaderName is the name that leads to the replicas.
func (c *DBCluster) ReaderName(suffix string) string {
	return cmp.Or(c.Registered.Reader, databaseName(c.Meta, c.Identifier, "cluster-ro-", suffix))
}

// NameIn is the name that leads to the endpoint's instances.
func (e *DBClusterEndpoint) NameIn(suffix string) string {
	return databaseName(e.Meta, e.ID, "cluster-custom-", suffix)
}

// NameIn is the instance's own name.
func (i *DBInstance) NameIn(suffix string) string {
	return cmp.Or(i.DNS, databaseName(i.Meta, i.Identifier, "", suffix))
}

// DatabaseZoneID is the identifier of the hosted zone that is shown with names of databases
// of a region. It is nobody's zone, and the same each time.
func DatabaseZoneID(region, suffix string) string { return EndpointZoneID(region + "." + suffix) }

func databaseName(m Meta, name, kind, suffix string) string {
	return name + "." + kind + databaseLabel(m.Account, m.Region) + "." + m.Region + "." + suffix
}

// databaseLabel is a label that all names of an account's databases in a region have.
// Drivers take letters and digits for it, and nothing else.
func databaseLabel(account, region string) string {
	sum := sha256.Sum256([]byte("database\x00" + account + "\x00" + region))
	return "c" + strings.ToLower(base32.StdEncoding.EncodeToString(sum[:]))[:11]
}
