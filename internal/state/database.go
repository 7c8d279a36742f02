// SPDX-License-Identifier: Apache-2.0

package state

import (
	"iter"

	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/table"
)

// Tables of databases.
var (
	DBSubnetGroups = tagged(RDS, table.Define[*model.DBSubnetGroup]("db-subnet-group"), "subgrp", "")
	// DBSubnetGroupsBySubnet finds those that a subnet is in.
	DBSubnetGroupsBySubnet = refer(DBSubnetGroups, "subnet", Holds, func(g *model.DBSubnetGroup) []model.Ref { return siblings(g.Meta, g.Subnets...) }, to(Subnets))

	DBParameterGroups        = tagged(RDS, table.Define[*model.DBParameterGroup]("db-parameter-group"), "pg", "")
	DBClusterParameterGroups = tagged(RDS, table.Define[*model.DBParameterGroup]("db-cluster-parameter-group"), "cluster-pg", "")

	DBClusters = tagged(RDS, table.Define[*model.DBCluster]("db-cluster"), "cluster", "cluster-")
	// DBClustersByID finds one without knowing its account.
	DBClustersByID = byText(DBClusters, "id", func(c *model.DBCluster) []string { return []string{c.ID} })
	// DBClustersByIdentifier takes the identifier as an id.
	DBClustersByIdentifier     = byRef(DBClusters, "identifier", func(c *model.DBCluster) []model.Ref { return siblings(c.Meta, c.Identifier) })
	DBClustersByVPC            = refer(DBClusters, "vpc", Holds, func(c *model.DBCluster) []model.Ref { return optional(c.Meta, c.VPC) }, to(VPCs))
	DBClustersBySubnetGroup    = refer(DBClusters, "subnet-group", Holds, func(c *model.DBCluster) []model.Ref { return optional(c.Meta, c.SubnetGroup) }, to(DBSubnetGroups))
	DBClustersByGroup          = refer(DBClusters, "group", Holds, func(c *model.DBCluster) []model.Ref { return siblings(c.Meta, c.Groups...) }, to(SecurityGroups))
	DBClustersByParameterGroup = refer(DBClusters, "parameter-group", Holds, func(c *model.DBCluster) []model.Ref { return optional(c.Meta, c.ParameterGroup) }, to(DBClusterParameterGroups))

	DBInstances = tagged(RDS, table.Define[*model.DBInstance]("db-instance"), "db", "db-")
	// DBInstancesByID finds one without knowing its account.
	DBInstancesByID = byText(DBInstances, "id", func(i *model.DBInstance) []string { return []string{i.ID} })
	// DBInstancesByIdentifier takes the identifier as an id.
	DBInstancesByIdentifier = byRef(DBInstances, "identifier", func(i *model.DBInstance) []model.Ref { return siblings(i.Meta, i.Identifier) })
	// DBInstancesByCluster finds the members of a cluster.
	DBInstancesByCluster = refer(DBInstances, "cluster", Holds, func(i *model.DBInstance) []model.Ref { return optional(i.Meta, i.Cluster) }, to(DBClusters))
	// DBInstancesBySource finds the read replicas of an instance.
	DBInstancesBySource         = refer(DBInstances, "source", Loses, func(i *model.DBInstance) []model.Ref { return optional(i.Meta, i.Source) }, to(DBInstances))
	DBInstancesByVPC            = refer(DBInstances, "vpc", Holds, func(i *model.DBInstance) []model.Ref { return optional(i.Meta, i.VPC) }, to(VPCs))
	DBInstancesBySubnetGroup    = refer(DBInstances, "subnet-group", Holds, func(i *model.DBInstance) []model.Ref { return optional(i.Meta, i.SubnetGroup) }, to(DBSubnetGroups))
	DBInstancesByParameterGroup = refer(DBInstances, "parameter-group", Holds, func(i *model.DBInstance) []model.Ref { return optional(i.Meta, i.ParameterGroup) }, to(DBParameterGroups))

	// DatabaseStates are keyed like what they are about: an instance, a cluster or a snapshot.
	DatabaseStates = table.Define[*model.DatabaseState]("database-state")

	DBClusterEndpoints = tagged(RDS, table.Define[*model.DBClusterEndpoint]("db-cluster-endpoint"), "cluster-endpoint", "")
	// DBClusterEndpointsByCluster finds the names that users gave parts of a cluster.
	DBClusterEndpointsByCluster = refer(DBClusterEndpoints, "cluster", Follows, func(e *model.DBClusterEndpoint) []model.Ref { return siblings(e.Meta, e.Cluster) }, to(DBClusters))

	DBSnapshots = tagged(RDS, table.Define[*model.DBSnapshot]("db-snapshot"), "snapshot", "")
	// DBSnapshotsByID finds one without knowing its account.
	DBSnapshotsByID = byText(DBSnapshots, "id", func(s *model.DBSnapshot) []string { return []string{s.ID} })
	// DBSnapshotsByIdentifier takes the identifier as an id; a cluster's and an instance's
	// may have the same.
	DBSnapshotsByIdentifier = byRef(DBSnapshots, "identifier", func(s *model.DBSnapshot) []model.Ref { return siblings(s.Meta, s.Identifier) })
	// DBSnapshotsBySource finds those of a database, which may be gone.
	DBSnapshotsBySource = refer(DBSnapshots, "source", Outlives, func(s *model.DBSnapshot) []model.Ref { return siblings(s.Meta, s.Source) }, to(DBClusters), to(DBInstances))
	// DBSnapshotsByCopied finds the copies of a snapshot, which may be gone, and other accounts'.
	DBSnapshotsByCopied = refer(DBSnapshots, "copied", Outlives, func(s *model.DBSnapshot) []model.Ref {
		if s.Copied.IsZero() {
			return nil
		}
		return []model.Ref{s.Copied.Ref}
	}, to(DBSnapshots))
	// DBSnapshotsByShared finds those that are shared with an account, or with everybody.
	DBSnapshotsByShared = byText(DBSnapshots, "shared", func(s *model.DBSnapshot) []string { return s.Shared })
	// DBClustersBySnapshot and DBInstancesBySnapshot find what was made of a snapshot, by its id.
	DBClustersBySnapshot  = byText(DBClusters, "snapshot", func(c *model.DBCluster) []string { return madeOf(&c.Database) })
	DBInstancesBySnapshot = byText(DBInstances, "snapshot", func(i *model.DBInstance) []string { return madeOf(&i.Database) })

	DBEvents = table.Define[*model.DBEvent]("db-event")
	// DBEventsByExpiry has the oldest first.
	DBEventsByExpiry = table.NewTimeline(DBEvents, "expiry", (*model.DBEvent).Expires)

	Authorities = table.Define[*model.Authority]("authority")
)

func madeOf(d *model.Database) []string {
	if d.Snapshot == "" {
		return nil
	}
	return []string{d.Snapshot}
}

// InstanceLeaves reports whether a database instance is to go now: it was deleted, and the
// snapshot that is to be taken of it before is there.
func InstanceLeaves(tx *table.Txn, i *model.DBInstance) bool {
	return i.Deleting() && !awaits(tx, i.Ref(), i.FinalSnapshot)
}

// ClusterLeaves reports whether a cluster of databases is to go now. It goes after its
// instances, and after the snapshot that is to be taken of it before.
func ClusterLeaves(tx *table.Txn, c *model.DBCluster) bool {
	return c.Deleting() && DBInstancesByCluster.Count(tx, c.Ref()) == 0 && !awaits(tx, c.Ref(), c.FinalSnapshot)
}

// awaits reports whether the last snapshot of a database is still to be taken. One that
// was deleted meanwhile is not.
func awaits(tx *table.Txn, of model.Ref, identifier string) bool {
	if identifier == "" {
		return false
	}
	for s := range DBSnapshotsByIdentifier.Rows(tx, model.Ref{Account: of.Account, Region: of.Region, ID: identifier}) {
		if s.Source == of.ID && s.Final && !s.Deleting() {
			said, ok := DatabaseStates.Get(tx, s.Account, s.Region, s.ID)
			return !ok || said.Phase != model.DatabaseAvailable
		}
	}
	return false
}

// What rows of databases name and nothing looks for them by.
var _ = []*Relation{
	name(DBSubnetGroups, "vpc", Relies, func(g *model.DBSubnetGroup) []model.Ref { return siblings(g.Meta, g.VPC) }, to(VPCs)),
	name(DBClusters, "writer", Outlives, func(c *model.DBCluster) []model.Ref { return optional(c.Meta, c.Writer) }, to(DBInstances)),
	name(DBInstances, "interface", Has, func(i *model.DBInstance) []model.Ref { return optional(i.Meta, i.Interface) }, to(NetworkInterfaces)),
	name(DBInstances, "subnet", Relies, func(i *model.DBInstance) []model.Ref { return optional(i.Meta, i.Subnet) }, to(Subnets)),
	name(DBClusterEndpoints, "static", Outlives, func(e *model.DBClusterEndpoint) []model.Ref { return siblings(e.Meta, e.Static...) }, to(DBInstances)),
	name(DBClusterEndpoints, "excluded", Outlives, func(e *model.DBClusterEndpoint) []model.Ref { return siblings(e.Meta, e.Excluded...) }, to(DBInstances)),
}

// DatabaseNamed gives the name of the row that an ARN of RDS names by a type, such as db or
// cluster-snapshot, and an identifier. Those that are named by their ids are not looked at;
// the zero Ref says that there is no such row.
func DatabaseNamed(tx *table.Txn, typeOfARN string, ref model.Ref) model.Ref {
	switch typeOfARN {
	case "cluster":
		return firstRef(DBClustersByIdentifier.Rows(tx, ref))
	case "db":
		return firstRef(DBInstancesByIdentifier.Rows(tx, ref))
	case "snapshot", "cluster-snapshot":
		for s := range DBSnapshotsByIdentifier.Rows(tx, ref) {
			if s.OfCluster == (typeOfARN == "cluster-snapshot") {
				return s.Ref()
			}
		}
		return model.Ref{}
	}
	return ref
}

func firstRef[T interface{ Ref() model.Ref }](rows iter.Seq[T]) model.Ref {
	for row := range rows {
		return row.Ref()
	}
	return model.Ref{}
}

// IsDatabase reports whether there is a cluster or an instance with an id that is not being
// deleted.
func IsDatabase(tx *table.Txn, ref model.Ref) bool {
	if c, ok := DBClusters.Get(tx, ref.Account, ref.Region, ref.ID); ok {
		return !c.Deleting()
	}
	i, ok := DBInstances.Get(tx, ref.Account, ref.Region, ref.ID)
	return ok && !i.Deleting()
}

// Way is an interface of a resource gateway by which a registered database can be asked, and
// the host on which it forwards. Led says that connections go there by it.
type Way struct {
	Interface model.Ref
	Host      int
	Led       bool
}

// WaysTo gives the ways to a registered database, a cluster or an instance in none: those by
// which configurations lead to it, and the resource gateways of its VPC, by which they could.
func WaysTo(tx *table.Txn, m *model.Meta, d *model.Database) (ways []Way) {
	about := []model.Ref{m.Ref()}
	for i := range DBInstancesByCluster.Rows(tx, m.Ref()) {
		about = append(about, i.Ref())
	}
	for _, ref := range about {
		for rc := range ResourceConfigurationsByDatabase.Rows(tx, ref) {
			for _, t := range rc.Targets {
				ways = append(ways, Way{rc.Sibling(t.Interface), t.Host, true})
			}
		}
	}
	for gw := range ResourceGatewaysByVPC.Rows(tx, m.Sibling(d.VPC)) {
		if !gw.Deleting() {
			for ni := range NetworkInterfacesByOwner.Rows(tx, gw.Ref()) {
				ways = append(ways, Way{Interface: ni.Ref()})
			}
		}
	}
	return ways
}

// SaidOf gives what is said of an instance, a cluster or a snapshot; nil for nothing. Of a
// registered database that there is no way to ask what was said once says nothing any more.
func SaidOf(tx *table.Txn, m *model.Meta) *model.DatabaseState {
	said, _ := DatabaseStates.Get(tx, m.Account, m.Region, m.ID)
	ref := m.Ref()
	if i, ok := DBInstances.Get(tx, ref.Account, ref.Region, ref.ID); ok {
		if i.IsRegistered() && i.Cluster == "" {
			return asked(tx, said, m, &i.Meta, &i.Database)
		}
		ref = i.Sibling(i.Cluster)
	}
	if c, ok := DBClusters.Get(tx, ref.Account, ref.Region, ref.ID); ok && c.IsRegistered() {
		return asked(tx, said, m, &c.Meta, &c.Database)
	}
	return said
}

// asked gives what is said of a part of a registered database, or that it is not asked.
func asked(tx *table.Txn, said *model.DatabaseState, part, whole *model.Meta, d *model.Database) *model.DatabaseState {
	if len(WaysTo(tx, whole, d)) > 0 {
		return said
	}
	return &model.DatabaseState{
		Account: part.Account, Region: part.Region, ID: part.ID, Phase: model.DatabaseUnasked,
		Reason: "it is not asked: there is no resource gateway in " + d.VPC + ", and no resource configuration leads to it",
	}
}

// DatabaseAvailable reports whether a server has been made, be it that it is out of order
// just now. One that is registered was.
func DatabaseAvailable(tx *table.Txn, i *model.DBInstance) bool {
	if i.IsRegistered() {
		return true
	}
	s, ok := DatabaseStates.Get(tx, i.Account, i.Region, i.ID)
	return ok && s.Phase != model.DatabaseCreating && i.Addr.IsValid()
}
