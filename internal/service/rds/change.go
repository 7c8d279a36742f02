// SPDX-License-Identifier: Apache-2.0

package rds

import (
	"context"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/alloc"
	shape "github.com/posternhq/postern/internal/aws/shape/rds"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// There are no maintenance windows in which changes would be made: what can be changed under
// a server that runs is changed at once, whether or not ApplyImmediately is said, and what
// needs a reboot waits for one, unless it is said.

// change reads what both kinds of databases can be changed in. Windows, retention and so on
// stay as they are where nothing is said.
func (a *API) change(id string, d *model.Database, w wanted, version *string) error {
	if err := checkVersion(d, version); err != nil {
		return err
	}
	port, retention, named, support := d.Port, d.BackupRetention, d.Authority, d.LifecycleSupport
	p := versionNow(d)
	if w.port != nil && *w.port != int32(d.Port) {
		return conflicting("Port: %s", unserved["DBPortNumber"])
	}
	w.port = nil
	if err := a.readSettings(id, d, p, w); err != nil {
		return err
	}
	d.Port = port
	if w.retention == nil {
		d.BackupRetention = retention
	}
	if w.authority == nil {
		d.Authority = named
	}
	if d.LifecycleSupport = support; w.support != nil {
		d.LifecycleSupport = *w.support
	}
	if w.protection != nil {
		d.DeletionProtection = *w.protection
	}
	if w.copyTags != nil {
		d.CopyTagsToSnapshot = *w.copyTags
	}
	if w.minor != nil {
		d.NoMinorUpgrades = !*w.minor
	}
	return a.changePassword(d, id, p, w)
}

// regroup gives a database other security groups.
func (a *API) regroup(tx *table.Txn, of *model.Meta, d *model.Database, ids []string, members []*model.DBInstance) error {
	vpc, ok := state.VPCs.Get(tx, of.Account, of.Region, d.VPC)
	if len(ids) == 0 || !ok {
		return nil
	}
	groups, err := a.checkGroups(tx, vpc, ids)
	if err != nil {
		return err
	}
	d.Groups = groups
	for _, i := range members {
		alloc.Regroup(tx, of, []string{i.Interface}, groups)
	}
	return nil
}

// changedClusterMembers are what ModifyDBCluster sees to.
var changedClusterMembers = []string{
	"DBClusterIdentifier", "ApplyImmediately", "BackupRetentionPeriod", "DBClusterParameterGroupName", "VpcSecurityGroupIds", "Port", "MasterUserPassword",
	"PreferredBackupWindow", "PreferredMaintenanceWindow", "EngineVersion", "AllowMajorVersionUpgrade", "DeletionProtection", "CopyTagsToSnapshot",
	"AutoMinorVersionUpgrade", "CACertificateIdentifier", "EngineLifecycleSupport", "StorageType", "AllowEngineModeChange", "ManageMasterUserPassword", "RotateMasterUserPassword",
}

// ModifyDBCluster changes a cluster.
func (a *API) ModifyDBCluster(ctx context.Context, in *shape.ModifyDBClusterInput) (*shape.ModifyDBClusterOutput, error) {
	if err := refuseUnserved(in, changedClusterMembers...); err != nil {
		return nil, err
	}
	who := access.From(ctx)
	var out shape.DBCluster
	_, err := service.Change(ctx, a.Env, state.DBClusters, findCluster, service.Value(in.DBClusterIdentifier), func(tx *table.Txn, c *model.DBCluster) error {
		if err := changeableCluster(c); err != nil {
			return err
		}
		err := a.change(c.ID, &c.Database, wanted{
			password: in.MasterUserPassword, manage: in.ManageMasterUserPassword, rotate: in.RotateMasterUserPassword, now: in.ApplyImmediately,
			port: in.Port, retention: in.BackupRetentionPeriod, leastDays: 1, backup: in.PreferredBackupWindow, maintenance: in.PreferredMaintenanceWindow,
			protection: in.DeletionProtection, copyTags: in.CopyTagsToSnapshot, minor: in.AutoMinorVersionUpgrade, authority: in.CACertificateIdentifier, support: in.EngineLifecycleSupport,
		}, in.EngineVersion)
		if err != nil {
			return err
		}
		if in.DBClusterParameterGroupName != nil {
			former := c.ParameterGroup
			c.ParameterGroup, err = parameterGroup(tx, who, clusterGroups, in.DBClusterParameterGroupName, versionNow(&c.Database).family(), "DBClusterParameterGroupNotFound")
			if err != nil {
				return err
			}
			if c.ParameterGroup != former {
				c.Held = nil
			}
		}
		if err := a.regroup(tx, &c.Meta, &c.Database, in.VpcSecurityGroupIds, membersOf(tx, c)); err != nil {
			return err
		}
		if in.StorageType != nil {
			c.StorageType = *in.StorageType
		}
		if err := checkStorageType(&c.Database); err != nil {
			return err
		}
		c.Generation++
		state.DBClusters.Put(tx, c)
		out = a.clusterShape(tx, c)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &shape.ModifyDBClusterOutput{DBCluster: &out}, nil
}

// changedInstanceMembers are what ModifyDBInstance sees to.
var changedInstanceMembers = []string{
	"DBInstanceIdentifier", "AllocatedStorage", "DBInstanceClass", "VpcSecurityGroupIds", "ApplyImmediately", "MasterUserPassword", "DBParameterGroupName",
	"BackupRetentionPeriod", "PreferredBackupWindow", "PreferredMaintenanceWindow", "EngineVersion", "AllowMajorVersionUpgrade", "AutoMinorVersionUpgrade",
	"LicenseModel", "OptionGroupName", "StorageType", "CACertificateIdentifier", "CopyTagsToSnapshot", "DBPortNumber", "PromotionTier", "DeletionProtection",
	"MaxAllocatedStorage", "CertificateRotationRestart", "EngineLifecycleSupport", "DisableDomain", "ManageMasterUserPassword", "RotateMasterUserPassword",
}

// ModifyDBInstance changes an instance.
func (a *API) ModifyDBInstance(ctx context.Context, in *shape.ModifyDBInstanceInput) (*shape.ModifyDBInstanceOutput, error) {
	if err := refuseUnserved(in, changedInstanceMembers...); err != nil {
		return nil, err
	}
	var out shape.DBInstance
	_, err := service.Change(ctx, a.Env, state.DBInstances, findInstance, service.Value(in.DBInstanceIdentifier), func(tx *table.Txn, i *model.DBInstance) error {
		if err := a.changeInstance(tx, access.From(ctx), i, in); err != nil {
			return err
		}
		i.Generation++
		state.DBInstances.Put(tx, i)
		out = a.instanceShape(tx, i)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &shape.ModifyDBInstanceOutput{DBInstance: &out}, nil
}

// changeInstance changes the caller's copy of an instance.
func (a *API) changeInstance(tx *table.Txn, who access.View, i *model.DBInstance, in *shape.ModifyDBInstanceInput) (err error) {
	if err := changeable(i); err != nil {
		return err
	}
	whole := &i.Database
	if c, ok := state.DBClusters.Get(tx, i.Account, i.Region, i.Cluster); ok {
		whole = &c.Database
	}
	p := versionNow(whole)
	if err := checkOptions(p, in.OptionGroupName, in.LicenseModel); err != nil {
		return err
	}
	if err := reclass(i, in.DBInstanceClass, service.Value(in.ApplyImmediately)); err != nil {
		return err
	}
	if i.PromotionTier, err = checkTier(in.PromotionTier, i.PromotionTier); err != nil {
		return err
	}
	if in.DBParameterGroupName != nil {
		former := i.ParameterGroup
		if i.ParameterGroup, err = parameterGroup(tx, who, instanceGroups, in.DBParameterGroupName, p.family(), "DBParameterGroupNotFound"); err != nil {
			return err
		}
		if i.ParameterGroup != former {
			i.Held = nil
		}
	}
	if i.Cluster != "" {
		return a.changeMember(i, whole, in)
	}
	switch {
	case i.Source != "" && (in.MasterUserPassword != nil || service.Value(in.ManageMasterUserPassword) || service.Value(in.RotateMasterUserPassword)):
		return conflicting("DB instance %s is a read replica: its users have the passwords that they have at its source. Change the source's.", i.Identifier)
	case in.BackupRetentionPeriod != nil && *in.BackupRetentionPeriod == 0 && state.DBInstancesBySource.Count(tx, i.Ref()) > 0:
		return conflicting("Automated backups cannot be disabled for DB instance %s: it is the source of a read replica.", i.Identifier)
	}
	err = a.change(i.ID, &i.Database, wanted{
		password: in.MasterUserPassword, manage: in.ManageMasterUserPassword, rotate: in.RotateMasterUserPassword, now: in.ApplyImmediately,
		port: in.DBPortNumber, retention: in.BackupRetentionPeriod, backup: in.PreferredBackupWindow, maintenance: in.PreferredMaintenanceWindow,
		protection: in.DeletionProtection, copyTags: in.CopyTagsToSnapshot, minor: in.AutoMinorVersionUpgrade, authority: in.CACertificateIdentifier, support: in.EngineLifecycleSupport,
	}, in.EngineVersion)
	if err != nil {
		return err
	}
	if err := checkStorage(&i.Database, in.AllocatedStorage, in.MaxAllocatedStorage, in.StorageType); err != nil {
		return err
	}
	return a.regroup(tx, &i.Meta, &i.Database, in.VpcSecurityGroupIds, []*model.DBInstance{i})
}

// changeMember changes what a member of a cluster has for itself.
func (a *API) changeMember(i *model.DBInstance, cluster *model.Database, in *shape.ModifyDBInstanceInput) (err error) {
	for _, other := range []struct {
		name string
		set  bool
	}{
		{"MasterUserPassword", in.MasterUserPassword != nil}, {"VpcSecurityGroupIds", len(in.VpcSecurityGroupIds) > 0}, {"BackupRetentionPeriod", in.BackupRetentionPeriod != nil},
		{"AllocatedStorage", in.AllocatedStorage != nil}, {"MaxAllocatedStorage", service.Value(in.MaxAllocatedStorage) != 0}, {"DBPortNumber", in.DBPortNumber != nil},
		{"DeletionProtection", in.DeletionProtection != nil}, {"StorageType", in.StorageType != nil},
		{"ManageMasterUserPassword", in.ManageMasterUserPassword != nil}, {"RotateMasterUserPassword", service.Value(in.RotateMasterUserPassword)},
	} {
		if other.set {
			return conflicting("The DB instance is a member of a DB cluster. %s is changed with ModifyDBCluster.", other.name)
		}
	}
	if err := checkVersion(cluster, in.EngineVersion); err != nil {
		return err
	}
	if in.CACertificateIdentifier != nil {
		if i.Authority, err = certificateName(service.Value(in.CACertificateIdentifier)); err != nil {
			return err
		}
	}
	if in.PreferredBackupWindow != nil || in.PreferredMaintenanceWindow != nil {
		i.BackupWindow, i.MaintenanceWindow, err = checkWindows(i.ID, i.BackupWindow, i.MaintenanceWindow, in.PreferredBackupWindow, in.PreferredMaintenanceWindow)
	}
	if in.AutoMinorVersionUpgrade != nil {
		i.NoMinorUpgrades = !*in.AutoMinorVersionUpgrade
	}
	if in.CopyTagsToSnapshot != nil {
		i.CopyTagsToSnapshot = *in.CopyTagsToSnapshot
	}
	return err
}

// reclass gives an instance another class, for which its server starts anew: at once, or with
// the next reboot.
func reclass(i *model.DBInstance, class *string, now bool) error {
	if class == nil {
		return nil
	}
	if err := checkClass(*class); err != nil {
		return err
	}
	switch {
	case *class == i.Class:
		i.PendingClass = ""
	case now:
		i.Class, i.PendingClass = *class, ""
		i.Restart()
	default:
		i.PendingClass = *class
	}
	return nil
}
