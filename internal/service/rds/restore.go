// SPDX-License-Identifier: Apache-2.0

package rds

import (
	"context"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/rds"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/table"
)

// restorable finds a snapshot that a database can be made of: the caller's, or one that is
// shared with it.
func (k snapshotKind) restorable(ctx context.Context, a *API, name string) (*model.DBSnapshot, error) {
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	s, err := k.usableBy(tx, access.From(ctx), name, k.restore)
	if err != nil {
		return nil, err
	}
	return s, k.usable(tx, s)
}

func (k snapshotKind) usable(tx *table.Txn, s *model.DBSnapshot) error {
	if status := snapshotStatus(tx, s); status != string(model.DatabaseAvailable) {
		return fault.RDS(k.badState, "The snapshot %s is %s, not available.", s.Identifier, status)
	}
	return nil
}

// still sees that the snapshot is there in the transaction that makes a database of it.
func (k snapshotKind) still(ctx context.Context, s *model.DBSnapshot) func(*table.Txn) error {
	who := access.From(ctx)
	return func(tx *table.Txn) error {
		now, err := k.usableBy(tx, who, s.ARN(), k.restore)
		if err != nil {
			return err
		}
		if now.ID != s.ID {
			return fault.RDS(k.badState, "The snapshot %s was replaced.", s.Identifier)
		}
		return k.usable(tx, now)
	}
}

// restored gives what a database is that is made of a snapshot: users, passwords and names are
// those in its data.
func (a *API) restored(s *model.DBSnapshot, id, identifier string, p version, w wanted) (model.Database, error) {
	was := s.Was
	if p.Major != versionNow(&was).Major {
		return was, conflicting("The snapshot %s is of version %s of %s, and version %s cannot read it", s.Identifier, was.Version, was.Engine, p.Version)
	}
	d := model.Database{
		Identifier: identifier, Engine: p.Engine, Version: p.Version, Name: was.Name, MasterUser: was.MasterUser, Password: was.Password, Secret: 1, Port: was.Port,
		Snapshot: s.ID, StorageEncrypted: was.StorageEncrypted, AllocatedStorage: was.AllocatedStorage, StorageType: was.StorageType,
		DeletionProtection: service.Value(w.protection), CopyTagsToSnapshot: service.Value(w.copyTags), NoMinorUpgrades: w.minor != nil && !*w.minor,
		LifecycleSupport: service.Value(w.support),
	}
	if a.movePassword(&d, s.ID, id); service.Value(w.manage) {
		d.Secret = 0 // another first password, instead of the one that the data has
		if err := a.makePassword(&d, id); err != nil {
			return d, err
		}
	}
	if w.retention == nil {
		w.retention = new(int32(max(was.BackupRetention, w.leastDays)))
	}
	return d, a.readSettings(id, &d, p, w)
}

var restoredClusterMembers = []string{
	"AvailabilityZones", "DBClusterIdentifier", "SnapshotIdentifier", "Engine", "EngineVersion", "Port", "DBSubnetGroupName", "VpcSecurityGroupIds", "Tags",
	"DBClusterParameterGroupName", "DeletionProtection", "CopyTagsToSnapshot", "StorageType", "BackupRetentionPeriod", "PreferredBackupWindow", "EngineLifecycleSupport",
}

// RestoreDBClusterFromSnapshot makes a cluster of a snapshot of one. Its first instance begins
// with the data.
func (a *API) RestoreDBClusterFromSnapshot(ctx context.Context, in *shape.RestoreDBClusterFromSnapshotInput) (*shape.RestoreDBClusterFromSnapshotOutput, error) {
	if err := refuseUnserved(in, restoredClusterMembers...); err != nil {
		return nil, err
	}
	s, err := clusterSnapshots.restorable(ctx, a, service.Value(in.SnapshotIdentifier))
	if err != nil {
		return nil, err
	}
	if e := service.Value(in.Engine); e != s.Was.Engine {
		return nil, conflicting("The engine %s is not that of the snapshot, %s", e, s.Was.Engine)
	}
	version := in.EngineVersion
	if version == nil {
		version = new(versionNow(&s.Was).Major)
	}
	n, err := a.beginCluster(access.From(ctx), in.DBClusterIdentifier, in.Engine, version, in.AvailabilityZones, in.StorageType, in.Tags)
	if err != nil {
		return nil, err
	}
	d, err := a.restored(s, n.row.ID, n.row.Identifier, n.p, wanted{
		port: in.Port, retention: in.BackupRetentionPeriod, leastDays: 1, backup: in.PreferredBackupWindow,
		protection: in.DeletionProtection, copyTags: in.CopyTagsToSnapshot, support: in.EngineLifecycleSupport,
	})
	if err != nil {
		return nil, err
	}
	d.Zones, d.StorageType = n.row.Zones, n.row.StorageType
	n.row.Database = d
	n.params, n.group, n.groups = in.DBClusterParameterGroupName, in.DBSubnetGroupName, in.VpcSecurityGroupIds
	out, err := a.createCluster(ctx, n, clusterSnapshots.still(ctx, s))
	if err != nil {
		return nil, err
	}
	return &shape.RestoreDBClusterFromSnapshotOutput{DBCluster: out}, nil
}

var restoredInstanceMembers = []string{
	"DBInstanceIdentifier", "DBSnapshotIdentifier", "DBInstanceClass", "Port", "AvailabilityZone", "DBSubnetGroupName", "AutoMinorVersionUpgrade", "LicenseModel",
	"Engine", "OptionGroupName", "Tags", "StorageType", "VpcSecurityGroupIds", "CopyTagsToSnapshot", "DBParameterGroupName", "DeletionProtection", "AllocatedStorage",
	"BackupRetentionPeriod", "PreferredBackupWindow", "CACertificateIdentifier", "EngineLifecycleSupport", "ManageMasterUserPassword",
}

// RestoreDBInstanceFromDBSnapshot makes an instance of a snapshot of one.
func (a *API) RestoreDBInstanceFromDBSnapshot(ctx context.Context, in *shape.RestoreDBInstanceFromDBSnapshotInput) (*shape.RestoreDBInstanceFromDBSnapshotOutput, error) {
	if err := refuseUnserved(in, restoredInstanceMembers...); err != nil {
		return nil, err
	}
	if service.Value(in.DBSnapshotIdentifier) == "" {
		return nil, missing("DBSnapshotIdentifier")
	}
	s, err := instanceSnapshots.restorable(ctx, a, *in.DBSnapshotIdentifier)
	if err != nil {
		return nil, err
	}
	if e := service.Value(in.Engine); e != "" && e != s.Was.Engine {
		return nil, conflicting("The engine %s is not that of the snapshot, %s", e, s.Was.Engine)
	}
	p, err := a.findVersion(&s.Was.Engine, new(versionNow(&s.Was).Major))
	if err != nil {
		return nil, err
	}
	if err := checkOptions(p, in.OptionGroupName, in.LicenseModel); err != nil {
		return nil, err
	}
	class := in.DBInstanceClass
	if service.Value(class) == "" {
		class = &s.Class // none in snapshots that former versions made: then the request is to have one
	}
	n, err := a.beginInstance(access.From(ctx), in.DBInstanceIdentifier, class, in.AvailabilityZone, in.Tags, p)
	if err != nil {
		return nil, err
	}
	n.row.Database, err = a.restored(s, n.row.ID, n.row.Identifier, p, wanted{
		port: in.Port, retention: in.BackupRetentionPeriod, backup: in.PreferredBackupWindow, protection: in.DeletionProtection, copyTags: in.CopyTagsToSnapshot,
		minor: in.AutoMinorVersionUpgrade, authority: in.CACertificateIdentifier, support: in.EngineLifecycleSupport, manage: in.ManageMasterUserPassword,
	})
	if err != nil {
		return nil, err
	}
	if err := checkStorage(&n.row.Database, in.AllocatedStorage, nil, in.StorageType); err != nil {
		return nil, err
	}
	n.row.PromotionTier = 1
	n.params, n.group, n.groups = in.DBParameterGroupName, in.DBSubnetGroupName, in.VpcSecurityGroupIds
	out, err := a.createInstance(ctx, n, instanceSnapshots.still(ctx, s))
	if err != nil {
		return nil, err
	}
	return &shape.RestoreDBInstanceFromDBSnapshotOutput{DBInstance: out}, nil
}
