// SPDX-License-Identifier: Apache-2.0

package rds

import (
	"context"
	"slices"
	"strings"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/rds"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/view"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// newInstance is an instance that is being made: its row as far as the request says, and what
// is looked up in the state.
type newInstance struct {
	who    access.View
	row    *model.DBInstance
	iface  string
	zone   string
	p      version
	params *string
	group  *string // of subnets
	groups []string
	// cluster is the identifier of the one that it becomes a member of, if any, and member is
	// the request then.
	cluster *string
	member  *shape.CreateDBInstanceInput
	// source is the instance that it becomes a read replica of, if any.
	source *model.DBInstance
}

// instanceMembers are what CreateDBInstance sees to.
var instanceMembers = []string{
	"DBName", "DBInstanceIdentifier", "AllocatedStorage", "DBInstanceClass", "Engine", "MasterUsername", "MasterUserPassword", "VpcSecurityGroupIds",
	"AvailabilityZone", "DBSubnetGroupName", "PreferredMaintenanceWindow", "DBParameterGroupName", "BackupRetentionPeriod", "PreferredBackupWindow", "Port",
	"EngineVersion", "AutoMinorVersionUpgrade", "LicenseModel", "OptionGroupName", "Tags", "DBClusterIdentifier", "StorageType", "StorageEncrypted",
	"CopyTagsToSnapshot", "PromotionTier", "DeletionProtection", "MaxAllocatedStorage", "CACertificateIdentifier", "EngineLifecycleSupport",
	"ManageMasterUserPassword",
}

// CreateDBInstance makes a server: a database of its own, or a member of a cluster.
func (a *API) CreateDBInstance(ctx context.Context, in *shape.CreateDBInstanceInput) (*shape.CreateDBInstanceOutput, error) {
	n, err := a.newInstance(access.From(ctx), in)
	if err != nil {
		return nil, err
	}
	out, err := a.createInstance(ctx, n, func(*table.Txn) error { return nil })
	if err != nil {
		return nil, err
	}
	return &shape.CreateDBInstanceOutput{DBInstance: out}, nil
}

// newInstance reads the request.
func (a *API) newInstance(who access.View, in *shape.CreateDBInstanceInput) (*newInstance, error) {
	if err := refuseUnserved(in, instanceMembers...); err != nil {
		return nil, err
	}
	if service.Value(in.DBClusterIdentifier) != "" {
		return a.newMember(who, in)
	}
	p, err := a.findVersion(in.Engine, in.EngineVersion)
	if err != nil {
		return nil, err
	}
	if err := checkOptions(p, in.OptionGroupName, in.LicenseModel); err != nil {
		return nil, err
	}
	n, err := a.beginInstance(who, in.DBInstanceIdentifier, in.DBInstanceClass, in.AvailabilityZone, in.Tags, p)
	if err != nil {
		return nil, err
	}
	n.params, n.group, n.groups = in.DBParameterGroupName, in.DBSubnetGroupName, in.VpcSecurityGroupIds
	if n.row.PromotionTier, err = checkTier(in.PromotionTier, 1); err != nil {
		return nil, err
	}
	if p.Cluster {
		return nil, conflicting("An instance of %s is a member of a cluster: name its DBClusterIdentifier", p.Engine)
	}
	d, err := a.newDatabase(n.row.ID, n.row.Identifier, p, wanted{
		name: in.DBName, nameParameter: "DBName", user: in.MasterUsername, password: in.MasterUserPassword, manage: in.ManageMasterUserPassword, port: in.Port,
		retention: in.BackupRetentionPeriod, backup: in.PreferredBackupWindow, maintenance: in.PreferredMaintenanceWindow, encrypted: in.StorageEncrypted,
		protection: in.DeletionProtection, copyTags: in.CopyTagsToSnapshot, minor: in.AutoMinorVersionUpgrade, authority: in.CACertificateIdentifier, support: in.EngineLifecycleSupport,
	})
	if err != nil {
		return nil, err
	}
	n.row.Database = d
	return n, checkStorage(&n.row.Database, in.AllocatedStorage, in.MaxAllocatedStorage, in.StorageType)
}

// beginInstance reads what all new instances have.
func (a *API) beginInstance(who access.View, name, class, zone *string, tags []shape.Tag, p version) (*newInstance, error) {
	id, err := identifier("DBInstanceIdentifier", service.Value(name), maxIdentifier)
	if err != nil {
		return nil, err
	}
	if err := checkClass(service.Value(class)); err != nil {
		return nil, err
	}
	n := &newInstance{who: who, iface: a.NewID("eni"), p: p}
	if zone != nil {
		z, ok := a.Zone(who.Region, *zone)
		if !ok {
			return nil, invalid("Invalid Availability Zone: %s", *zone)
		}
		n.zone = z.Name
	}
	now := a.Now()
	n.row = &model.DBInstance{
		Meta:     model.Meta{Account: who.Account, Region: who.Region, ID: a.NewDatabaseID("db-"), CreatedAt: now, UpdatedAt: now},
		Database: model.Database{Identifier: id}, Class: service.Value(class),
	}
	n.row.Tags, err = makeTags(tags)
	return n, err
}

// newMember reads the request for a member of a cluster, which has most from its cluster.
func (a *API) newMember(who access.View, in *shape.CreateDBInstanceInput) (*newInstance, error) {
	o, err := checkOffer(service.Value(in.Engine))
	if err != nil {
		return nil, err
	}
	n, err := a.beginInstance(who, in.DBInstanceIdentifier, in.DBInstanceClass, in.AvailabilityZone, in.Tags, version{Offer: o})
	if err != nil {
		return nil, err
	}
	n.params, n.group, n.cluster, n.member = in.DBParameterGroupName, in.DBSubnetGroupName, in.DBClusterIdentifier, in
	if n.row.PromotionTier, err = checkTier(in.PromotionTier, 1); err != nil {
		return nil, err
	}
	for _, own := range []struct {
		what string
		set  bool
	}{
		{"master user password", in.MasterUserPassword != nil || service.Value(in.ManageMasterUserPassword)}, {"master user name", in.MasterUsername != nil}, {"database name", in.DBName != nil},
		{"VPC security group", len(in.VpcSecurityGroupIds) > 0}, {"port", in.Port != nil}, {"backup retention period", in.BackupRetentionPeriod != nil},
		{"deletion protection", service.Value(in.DeletionProtection)}, {"storage", service.Value(in.MaxAllocatedStorage) != 0},
	} {
		if own.set {
			return nil, conflicting("The requested DB Instance will be a member of a DB Cluster. Set %s for the DB Cluster.", own.what)
		}
	}
	d := &n.row.Database
	d.Engine, d.NoMinorUpgrades, d.CopyTagsToSnapshot = o.Engine, in.AutoMinorVersionUpgrade != nil && !*in.AutoMinorVersionUpgrade, service.Value(in.CopyTagsToSnapshot)
	if in.CACertificateIdentifier != nil {
		if d.Authority, err = certificateName(*in.CACertificateIdentifier); err != nil {
			return nil, err
		}
	}
	if in.PreferredMaintenanceWindow != nil || in.PreferredBackupWindow != nil {
		d.BackupWindow, d.MaintenanceWindow, err = checkWindows(n.row.ID, "", "", in.PreferredBackupWindow, in.PreferredMaintenanceWindow)
	}
	return n, err
}

func checkClass(name string) error {
	switch _, ok := model.DBClassOf(name); {
	case name == "":
		return missing("DBInstanceClass")
	case name == "db.serverless":
		return invalid("DBInstanceClass: %s", unserved["ServerlessV2ScalingConfiguration"])
	case !ok:
		return invalid("Invalid DB Instance class: %s", name)
	}
	return nil
}

func checkTier(tier *int32, usual int) (int, error) {
	if tier == nil {
		return usual, nil
	}
	if *tier < 0 || *tier > 15 {
		return 0, invalid("Invalid PromotionTier %d: it must be between 0 and 15", *tier)
	}
	return int(*tier), nil
}

// checkOptions lets a request name what every database of the program has anyway.
func checkOptions(p version, group, license *string) error {
	if g := service.Value(group); g != "" && g != p.optionGroup() {
		return fault.RDS("OptionGroupNotFoundFault", "Specified OptionGroupName: %s not found; databases of this engine have %s", g, p.optionGroup())
	}
	if l := service.Value(license); l != "" && l != p.License {
		return conflicting("Invalid license model '%s' for engine '%s'. Valid license models are: %s.", l, p.Engine, p.License)
	}
	return nil
}

// checkStorage reads how much storage a database has. It is not set aside: a database takes
// what it needs.
func checkStorage(d *model.Database, size, most *int32, kind *string) error {
	switch n := int(service.Value(size)); {
	case size == nil && d.AllocatedStorage == 0:
		return missing("AllocatedStorage")
	case size == nil:
	case n < leastStorage || n > mostStorage:
		return invalid("Invalid storage size for engine name %s: %d. It must be between %d and %d GiB", d.Engine, n, leastStorage, mostStorage)
	case n < d.AllocatedStorage:
		return conflicting("Requested storage size (%d) cannot be less than the current storage size (%d)", n, d.AllocatedStorage)
	default:
		d.AllocatedStorage = n
	}
	if most != nil {
		if n := int(*most); n != 0 && (n < d.AllocatedStorage || n > mostStorage) {
			return conflicting("Invalid max storage size for engine name %s: %d. It must be between the allocated storage, %d, and %d GiB", d.Engine, n, d.AllocatedStorage, mostStorage)
		}
		d.MaxStorage = int(*most)
	}
	if kind != nil {
		d.StorageType = *kind
	}
	return checkStorageType(d)
}

// checkStorageType lets a database name storage that its engine can have; without a name it
// has the first of that.
func checkStorageType(d *model.Database) error {
	types := StorageTypes(versionNow(d).Offer)
	switch {
	case d.StorageType == "":
		d.StorageType = types[0]
	case !slices.Contains(types, d.StorageType):
		return fault.RDS("StorageTypeNotSupported", "StorageType: %s cannot be had, as %s; there are: %s", d.StorageType, noIOPS, strings.Join(types, ", "))
	}
	return nil
}

// createInstance adds the instance to the state, with its interface. Begin may look at more
// in the transaction, before.
func (a *API) createInstance(ctx context.Context, n *newInstance, begin func(*table.Txn) error) (out *shape.DBInstance, err error) {
	_, err = a.DB.Update(ctx, func(tx *table.Txn) error {
		row := n.row.Clone()
		for range state.DBInstancesByIdentifier.Rows(tx, n.who.Own(row.Identifier)) {
			return fault.RDS("DBInstanceAlreadyExists", "DB instance already exists")
		}
		if most := a.Quotas.DBInstancesPerRegion; view.Count(tx, n.who, state.DBInstances) >= most {
			return fault.RDS("InstanceQuotaExceeded", "The request cannot be processed because it would exceed the maximum number of instances: %d", most)
		}
		if err := begin(tx); err != nil {
			return err
		}
		switch {
		case service.Value(n.cluster) != "":
			err = a.addMember(tx, n, row)
		case n.source != nil:
			err = a.addReplica(tx, n, row)
		default:
			err = a.addAlone(tx, n, row)
		}
		if err != nil {
			return err
		}
		state.DBInstances.Put(tx, row)
		s := a.instanceShape(tx, row)
		out = &s
		return nil
	})
	return out, err
}

// addAlone finishes an instance that is a database of its own.
func (a *API) addAlone(tx *table.Txn, n *newInstance, row *model.DBInstance) (err error) {
	if err := a.locate(tx, n.who, &row.Database, n.group, n.groups); err != nil {
		return err
	}
	if row.ParameterGroup, err = parameterGroup(tx, n.who, instanceGroups, n.params, n.p.family(), "DBParameterGroupNotFound"); err != nil {
		return err
	}
	row.Writer, row.Epoch = row.ID, 1
	return a.place(tx, row, &row.Database, n.iface, n.zone, nil)
}

// addMember finishes an instance that is a member of a cluster: the writer, if there has been
// none, or else a reader.
func (a *API) addMember(tx *table.Txn, n *newInstance, row *model.DBInstance) error {
	c, err := findCluster(tx, n.who, *n.cluster)
	if err != nil {
		return err
	}
	members := membersOf(tx, c)
	switch {
	case c.IsRegistered():
		return registered("DBCluster", c.Identifier, "InvalidDBClusterStateFault")
	case c.Deleting() || c.Stopped:
		return clusterNotAvailable(tx, c)
	case c.Engine != row.Engine:
		return conflicting("The engine name requested for your DB instance (%s) doesn't match the engine name of your DB cluster (%s).", row.Engine, c.Engine)
	case checkVersion(&c.Database, n.member.EngineVersion) != nil:
		return conflicting("The engine version requested for your DB instance (%s) doesn't match the engine version of your DB cluster (%s).", *n.member.EngineVersion, c.Version)
	case n.group != nil && named(n.who, "subgrp", *n.group) != c.SubnetGroup:
		return conflicting("The requested DB Instance will be a member of a DB Cluster. The DB subnet group of the cluster is %s, and cannot be set directly.", c.SubnetGroup)
	case len(members) > a.Quotas.ReplicasPerDB:
		return fault.RDS("InstanceQuotaExceeded", "The cluster %s has a writer and %d readers, the most that it can have", c.Identifier, a.Quotas.ReplicasPerDB)
	}
	v := versionNow(&c.Database)
	if err := checkOptions(v, n.member.OptionGroupName, n.member.LicenseModel); err != nil {
		return err
	}
	if row.ParameterGroup, err = parameterGroup(tx, n.who, instanceGroups, n.params, v.family(), "DBParameterGroupNotFound"); err != nil {
		return err
	}
	row.Cluster, row.VPC, row.Port, row.Version = c.ID, c.VPC, c.Port, c.Version
	if err := a.place(tx, row, &c.Database, n.iface, n.zone, members); err != nil {
		return err
	}
	if c.Writer == "" {
		c = c.Clone()
		c.Writer, c.Epoch = row.ID, c.Epoch+1
		state.DBClusters.Put(tx, c)
	}
	return nil
}

// findInstance finds an instance of the caller's by its identifier or its ARN.
func findInstance(tx *table.Txn, who access.View, name string) (*model.DBInstance, error) {
	for i := range state.DBInstancesByIdentifier.Rows(tx, who.Own(named(who, "db", name))) {
		return i, nil
	}
	return nil, fault.RDS("DBInstanceNotFound", "DBInstance %s not found.", name)
}

// registered refuses to change what Postern only watches.
func registered(noun, name, code string) error {
	return fault.RDS(code, "%s %s is registered, not managed: Postern watches it and changes nothing of it.", noun, name)
}
