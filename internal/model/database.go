// SPDX-License-Identifier: Apache-2.0

package model

import (
	"maps"
	"net/netip"
	"slices"
	"time"
)

// Database is what a database has as a whole: one of a cluster, or one of an instance that
// is in no cluster.
type Database struct {
	// Identifier is the name that users gave it, in lower case. Another database can have
	// it when this one is gone; the row's id never.
	Identifier string `json:"identifier"`
	// Engine is in the words of RDS, such as aurora-postgresql.
	Engine string `json:"engine"`
	// Version is the whole version of the engine's program.
	Version string `json:"version,omitempty"`
	Port    uint16 `json:"port"`
	// SubnetGroup is the name of a DBSubnetGroup, VPC what that is in.
	SubnetGroup string   `json:"subnetGroup,omitempty"`
	VPC         string   `json:"vpc"`
	Groups      []string `json:"groups,omitempty"`
	// Name is that of the database that is made with it; empty for none.
	Name string `json:"name,omitempty"`
	// MasterUser is the user that is made with it. Password is its password, sealed for the
	// row's id, as base64url; Secret counts its changes.
	MasterUser string `json:"masterUser,omitempty"`
	Password   string `json:"password,omitempty"`
	Secret     int64  `json:"secret,omitempty"`
	// ManagedSecret is the name of the secret that a password has which was made here, and
	// not given by a user; empty for one that was given.
	ManagedSecret string `json:"managedSecret,omitempty"`
	// Authority is the certificate authority as users named it.
	Authority string `json:"authority,omitempty"`
	// Writer is the id of the instance that takes writes, and Epoch counts how often that
	// was decided. Both change in one transaction, before anything is promoted.
	Writer string `json:"writer,omitempty"`
	Epoch  int64  `json:"epoch,omitempty"`
	// Turn counts the requests to have another writer, Prefer is the instance that the last
	// one named, if any, and Turned the last one that was answered, be it by refusal.
	Turn   int64  `json:"turn,omitempty"`
	Prefer string `json:"prefer,omitempty"`
	Turned int64  `json:"turned,omitempty"`
	// Stopped says that it was asked to stop.
	Stopped bool `json:"stopped,omitempty"`
	// Snapshot is the id of the snapshot that it began as.
	Snapshot string `json:"snapshot,omitempty"`

	DeletionProtection bool   `json:"deletionProtection,omitempty"`
	CopyTagsToSnapshot bool   `json:"copyTagsToSnapshot,omitempty"`
	BackupRetention    int    `json:"backupRetention,omitempty"`
	BackupWindow       string `json:"backupWindow,omitempty"`
	MaintenanceWindow  string `json:"maintenanceWindow,omitempty"`
	StorageType        string `json:"storageType,omitempty"`
	StorageEncrypted   bool   `json:"storageEncrypted,omitempty"`
	AllocatedStorage   int    `json:"allocatedStorage,omitempty"`
	// MaxStorage is up to how many GiB users let it grow by itself; zero when they did not say.
	MaxStorage int `json:"maxStorage,omitempty"`
	// LifecycleSupport and NoMinorUpgrades are what users said of versions that are no more
	// supported, and of newer ones. They are shown again, and change nothing.
	LifecycleSupport string   `json:"lifecycleSupport,omitempty"`
	NoMinorUpgrades  bool     `json:"noMinorUpgrades,omitempty"`
	Zones            []string `json:"zones,omitempty"`
	// Registered is how a database is asked that exists without Postern, which then watches
	// it and changes nothing of it. It is zero for those that Postern runs.
	Registered RegisteredDatabase `json:"registered,omitzero"`
}

// IsRegistered reports whether the database exists without Postern.
func (d *Database) IsRegistered() bool { return d.Registered.Ask != "" }

// SecretARN names the secret of a password that was made here, for the row that has it; empty
// for none.
func (d *Database) SecretARN(of *Meta) string {
	if d.ManagedSecret == "" {
		return ""
	}
	return ARN("secretsmanager", of.Region, of.Account, "secret:"+d.ManagedSecret)
}

func (d Database) clone() Database {
	d.Groups = slices.Clone(d.Groups)
	d.Zones = slices.Clone(d.Zones)
	return d
}

// RegisteredDatabase is how a database that exists already is asked who writes.
type RegisteredDatabase struct {
	// Ask is one of the Ask constants.
	Ask string `json:"ask"`
	// User and Password are those of a role that needs no rights but to log in; the password
	// is sealed for the row's id.
	User     string `json:"user,omitempty"`
	Password string `json:"password,omitempty"`
	// Authority is the certificate, in PEM, that the servers' certificates are checked
	// with; without one connections are encrypted when the server can, and not checked.
	Authority string `json:"authority,omitempty"`
	// Writer and Reader are the database's own names, in normal form; empty when it has none.
	Writer string `json:"writer,omitempty"`
	Reader string `json:"reader,omitempty"`
	// MaxLag is how many bytes behind the writer a reader may be; zero means no limit.
	MaxLag int64 `json:"maxLag,omitempty"`
	// RESTPort is where Patroni answers.
	RESTPort uint16 `json:"restPort,omitempty"`
}

// How registered databases are asked who writes.
const (
	AskPostgres = "postgres" // pg_is_in_recovery
	AskMySQL    = "mysql"    // read_only, and the states of Galera where there are any
	AskPatroni  = "patroni"  // its REST interface
	AskTCP      = "tcp"      // whether the port is open: the first that is writes
)

// DBCluster is a cluster of database instances. Its id is what RDS calls its resource id.
type DBCluster struct {
	Meta
	Database
	// ParameterGroup is the name of a cluster parameter group; empty for the default one.
	ParameterGroup string         `json:"parameterGroup,omitempty"`
	Held           HeldParameters `json:"heldParameters,omitempty"`
	// FinalSnapshot is the identifier of the snapshot that its deletion waits for.
	FinalSnapshot string `json:"finalSnapshot,omitempty"`
}

// Clone copies the row so that the copy can be changed.
func (c *DBCluster) Clone() *DBCluster {
	d := *c
	d.Meta, d.Database, d.Held = c.Meta.clone(), c.Database.clone(), maps.Clone(c.Held)
	return &d
}

// ARN names the cluster.
func (c *DBCluster) ARN() string {
	return ARN("rds", c.Region, c.Account, "cluster:"+c.Identifier)
}

// DBInstance is one server: a member of a cluster, or a database of its own. Its id is what
// RDS calls its resource id.
type DBInstance struct {
	Meta
	// Database is that of an instance that is in no cluster; a member's has only Identifier,
	// Engine, Port and VPC.
	Database
	// Cluster is the id of the cluster; empty when it is in none.
	Cluster string `json:"cluster,omitempty"`
	// Source is the id of the instance that it is a read replica of; it has no Writer then.
	Source string `json:"source,omitempty"`
	Class  string `json:"class"`
	// PendingClass is the class that it has from the next reboot on; empty for the same.
	PendingClass string `json:"pendingClass,omitempty"`
	Subnet       string `json:"subnet,omitempty"`
	Zone         string `json:"zone,omitempty"`
	// Interface is the id of its network interface, Addr the address at which the server
	// listens. A registered one has an address only.
	Interface string     `json:"interface,omitempty"`
	Addr      netip.Addr `json:"addr,omitzero"`
	// DNS is the name of a member of a registered database, in normal form, if it has one.
	DNS            string         `json:"dns,omitempty"`
	ParameterGroup string         `json:"parameterGroup,omitempty"`
	Held           HeldParameters `json:"heldParameters,omitempty"`
	PromotionTier  int            `json:"promotionTier,omitempty"`
	// Reboot counts the requests to start the server anew.
	Reboot        int64  `json:"reboot,omitempty"`
	FinalSnapshot string `json:"finalSnapshot,omitempty"`
}

// Clone copies the row so that the copy can be changed.
func (i *DBInstance) Clone() *DBInstance {
	c := *i
	c.Meta, c.Database, c.Held = i.Meta.clone(), i.Database.clone(), maps.Clone(i.Held)
	return &c
}

// Restart asks for the server to be started anew, with all that waits for it.
func (i *DBInstance) Restart() {
	i.Reboot++
	i.Held = nil
}

// Promote makes a read replica a database of its own, which writes.
func (i *DBInstance) Promote() {
	i.Source = ""
	i.Writer, i.Epoch = i.ID, i.Epoch+1
}

// ARN names the instance.
func (i *DBInstance) ARN() string { return ARN("rds", i.Region, i.Account, "db:"+i.Identifier) }

// Whole is the id of the database that the instance is of: its cluster's, or its own.
func (i *DBInstance) Whole() string {
	if i.Cluster != "" {
		return i.Cluster
	}
	return i.ID
}

// DatabasePhase is what a server is about, as whoever runs or watches it says.
type DatabasePhase string

// The phases, in the words of RDS.
const (
	DatabaseCreating  DatabasePhase = "creating"
	DatabaseAvailable DatabasePhase = "available"
	DatabaseModifying DatabasePhase = "modifying"
	DatabaseRebooting DatabasePhase = "rebooting"
	DatabaseFailing   DatabasePhase = "failing-over" // of a cluster
	DatabaseStopping  DatabasePhase = "stopping"
	DatabaseStopped   DatabasePhase = "stopped"
	DatabaseStarting  DatabasePhase = "starting"
	DatabaseFull      DatabasePhase = "storage-full"
	DatabaseBadParams DatabasePhase = "incompatible-parameters"
	DatabaseResetting DatabasePhase = "resetting-master-credentials"
	DatabaseFailed    DatabasePhase = "failed"
	DatabaseUnasked   DatabasePhase = "incompatible-network" // there is no way to ask it
)

// Serves reports whether clients are served in a phase.
func (p DatabasePhase) Serves() bool {
	switch p {
	case DatabaseAvailable, DatabaseModifying, DatabaseResetting, DatabaseFull:
		return true
	}
	return false
}

// Replication is how a read replica gets on with its source, in the words of RDS.
type Replication string

// The states of replication.
const (
	Replicating      Replication = "replicating"
	ReplicationError Replication = "error"
)

// DatabaseState is what the host says of an instance, a cluster or a snapshot, whose id the
// row has. There is none of what the host has said nothing of.
type DatabaseState struct {
	Account string        `json:"account"`
	Region  string        `json:"region"`
	ID      string        `json:"id"`
	Phase   DatabasePhase `json:"phase"`
	// Reason is why, for people; empty when all is well.
	Reason string `json:"reason,omitempty"`
	// Secret and Reboot are the counts that the host has seen to.
	Secret int64 `json:"secret,omitempty"`
	Reboot int64 `json:"reboot,omitempty"`
	// Pending says that parameters wait for a reboot.
	Pending bool `json:"pending,omitempty"`
	// Version is that of the program that runs.
	Version string `json:"version,omitempty"`
	// Bytes is what it takes on disk, of a snapshot.
	Bytes int64 `json:"bytes,omitempty"`
	// Behind says that what a reader shows is old, so that the readers' name leads to others.
	Behind bool `json:"behind,omitempty"`
	// Replication is how a read replica gets on with its source; empty of others, and before
	// it had its data. ReplicationReason is why it does not, for people.
	Replication       Replication `json:"replication,omitempty"`
	ReplicationReason string      `json:"replicationReason,omitempty"`
	At                time.Time   `json:"at"`
}

// Clone copies the row so that the copy can be changed.
func (s *DatabaseState) Clone() *DatabaseState { c := *s; return &c }

// RowKey gives the parts of the row's key: those of what it is about.
func (s *DatabaseState) RowKey() (account, region, id string) { return s.Account, s.Region, s.ID }
