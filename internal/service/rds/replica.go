// SPDX-License-Identifier: Apache-2.0

package rds

import (
	"cmp"
	"context"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/rds"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/view"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// replicaMembers are what CreateDBInstanceReadReplica sees to.
var replicaMembers = []string{
	"DBInstanceIdentifier", "SourceDBInstanceIdentifier", "DBInstanceClass", "AvailabilityZone", "Port", "AutoMinorVersionUpgrade", "OptionGroupName",
	"DBParameterGroupName", "Tags", "DBSubnetGroupName", "VpcSecurityGroupIds", "StorageType", "CopyTagsToSnapshot", "DeletionProtection", "MaxAllocatedStorage",
	"AllocatedStorage", "CACertificateIdentifier",
}

// CreateDBInstanceReadReplica makes an instance that follows another one. It has all that the
// request does not say from its source, but for backups and the protection from being deleted
// (https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_CreateDBInstanceReadReplica.html).
func (a *API) CreateDBInstanceReadReplica(ctx context.Context, in *shape.CreateDBInstanceReadReplicaInput) (*shape.CreateDBInstanceReadReplicaOutput, error) {
	if err := refuseUnserved(in, replicaMembers...); err != nil {
		return nil, err
	}
	who := access.From(ctx)
	name := service.Value(in.SourceDBInstanceIdentifier)
	if err := sourceHere(who, name); err != nil {
		return nil, err
	}
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	source, err := a.replicable(tx, who, name)
	if err != nil {
		return nil, err
	}
	p := versionNow(&source.Database)
	if err := checkOptions(p, in.OptionGroupName, nil); err != nil {
		return nil, err
	}
	n, err := a.beginInstance(who, in.DBInstanceIdentifier, new(cmp.Or(service.Value(in.DBInstanceClass), source.Class)), in.AvailabilityZone, in.Tags, p)
	if err != nil {
		return nil, err
	}
	if n.row.Database, err = a.replicaDatabase(n.row, source, in); err != nil {
		return nil, err
	}
	n.row.PromotionTier = 1
	n.params, n.group, n.groups, n.source = in.DBParameterGroupName, in.DBSubnetGroupName, in.VpcSecurityGroupIds, source
	out, err := a.createInstance(ctx, n, func(*table.Txn) error { return nil })
	if err != nil {
		return nil, err
	}
	return &shape.CreateDBInstanceReadReplicaOutput{DBInstance: out}, nil
}

// sourceHere refuses what names an instance of another region or account.
func sourceHere(who access.View, name string) error {
	arn, err := model.ParseARN(name)
	switch {
	case name == "":
		return missing("SourceDBInstanceIdentifier")
	case err != nil:
	case arn.Region != who.Region:
		return invalid("SourceDBInstanceIdentifier: %s is in another region; databases are replicated in one region only", name)
	case !view.Own(who, model.Ref{Account: arn.Account, Region: arn.Region, ID: arn.ID}):
		return invalid("SourceDBInstanceIdentifier: %s is another account's; make a database of your own of a snapshot that it shares", name)
	}
	return nil
}

// replicable finds an instance that can have one more read replica.
func (a *API) replicable(tx *table.Txn, who access.View, name string) (*model.DBInstance, error) {
	i, err := findInstance(tx, who, name)
	if err != nil {
		return nil, err
	}
	switch most := a.Quotas.ReplicasPerDB; {
	case i.Cluster != "":
		return nil, fault.RDS("InvalidDBInstanceState", "DB instance %s is a member of a cluster: add instances to the cluster, which are its readers.", i.Identifier)
	case i.IsRegistered():
		return nil, registered("DBInstance", i.Identifier, "InvalidDBInstanceState")
	case i.Source != "":
		return nil, fault.RDS("InvalidDBInstanceState", "DB instance %s is a read replica; read replicas of read replicas are not served: name its source.", i.Identifier)
	case !available(instanceStatus(tx, i)):
		return nil, instanceNotAvailable(tx, i)
	case i.BackupRetention == 0:
		return nil, fault.RDS("InvalidDBInstanceState", "Automated backups are not enabled for this database instance. To enable automated backups, use ModifyDBInstance to set the backup retention period to a non-zero value.")
	case state.DBInstancesBySource.Count(tx, i.Ref()) >= most:
		return nil, fault.RDS("InstanceQuotaExceeded", "DB instance %s has %d read replicas, the most that it can have.", i.Identifier, most)
	}
	return i, nil
}

// replicaDatabase is what a read replica is as a database. Its users, and their passwords,
// come with the data.
func (a *API) replicaDatabase(row, source *model.DBInstance, in *shape.CreateDBInstanceReadReplicaInput) (model.Database, error) {
	of := source.Database
	d := model.Database{
		Identifier: row.Identifier, Engine: of.Engine, Version: of.Version, Name: of.Name, MasterUser: of.MasterUser, StorageType: of.StorageType, StorageEncrypted: of.StorageEncrypted,
		AllocatedStorage: of.AllocatedStorage, MaxStorage: of.MaxStorage, Authority: of.Authority, LifecycleSupport: of.LifecycleSupport, NoMinorUpgrades: of.NoMinorUpgrades,
		DeletionProtection: service.Value(in.DeletionProtection), CopyTagsToSnapshot: service.Value(in.CopyTagsToSnapshot),
	}
	if in.AutoMinorVersionUpgrade != nil {
		d.NoMinorUpgrades = !*in.AutoMinorVersionUpgrade
	}
	var err error
	if d.Port, err = checkPort(in.Port, of.Port); err != nil {
		return d, err
	}
	if in.CACertificateIdentifier != nil {
		if d.Authority, err = certificateName(*in.CACertificateIdentifier); err != nil {
			return d, err
		}
	}
	if d.BackupWindow, d.MaintenanceWindow, err = checkWindows(row.ID, "", "", nil, nil); err != nil {
		return d, err
	}
	return d, checkStorage(&d, in.AllocatedStorage, in.MaxAllocatedStorage, in.StorageType)
}

// addReplica finishes a read replica, if its source is still as it was seen.
func (a *API) addReplica(tx *table.Txn, n *newInstance, row *model.DBInstance) error {
	source, err := a.replicable(tx, n.who, n.source.Identifier)
	if err != nil {
		return err
	}
	if source.ID != n.source.ID {
		return fault.RDS("InvalidDBInstanceState", "DB instance %s was replaced.", source.Identifier)
	}
	if n.group == nil {
		n.group = &source.SubnetGroup
	}
	groups := n.groups
	if len(groups) == 0 {
		groups = source.Groups
	}
	g, err := a.subnetGroupFor(tx, n.who, n.group)
	if err != nil {
		return err
	}
	if g.VPC != source.VPC {
		return fault.RDS("DBSubnetGroupNotAllowedFault", "The DB subnet group %s is in %s; a read replica is in the VPC of its source, %s.", g.ID, g.VPC, source.VPC)
	}
	if err := a.locate(tx, n.who, &row.Database, n.group, groups); err != nil {
		return err
	}
	if row.ParameterGroup = source.ParameterGroup; n.params != nil {
		if row.ParameterGroup, err = parameterGroup(tx, n.who, instanceGroups, n.params, n.p.family(), "DBParameterGroupNotFound"); err != nil {
			return err
		}
	}
	row.Source = source.ID
	others := []*model.DBInstance{source}
	for r := range state.DBInstancesBySource.Rows(tx, source.Ref()) {
		others = append(others, r)
	}
	return a.place(tx, row, &row.Database, n.iface, n.zone, others)
}

// PromoteReadReplica makes a read replica a database of its own, with what it has.
func (a *API) PromoteReadReplica(ctx context.Context, in *shape.PromoteReadReplicaInput) (*shape.PromoteReadReplicaOutput, error) {
	if err := refuseUnserved(in, "DBInstanceIdentifier", "BackupRetentionPeriod", "PreferredBackupWindow"); err != nil {
		return nil, err
	}
	out, err := a.actOn(ctx, in.DBInstanceIdentifier, func(tx *table.Txn, i *model.DBInstance) (err error) {
		switch {
		case i.Source == "":
			return fault.RDS("InvalidDBInstanceState", "DB Instance %s is not a read replica.", i.Identifier)
		case !promotable(tx, i):
			return instanceNotAvailable(tx, i)
		}
		if i.BackupRetention, err = checkRetention(in.BackupRetentionPeriod, 0); err != nil {
			return err
		}
		if i.BackupWindow, _, err = checkWindows(i.ID, i.BackupWindow, i.MaintenanceWindow, in.PreferredBackupWindow, nil); err != nil {
			return err
		}
		a.promote(tx, i)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &shape.PromoteReadReplicaOutput{DBInstance: out}, nil
}

// promotable reports whether a read replica has data that it could go on with.
func promotable(tx *table.Txn, i *model.DBInstance) bool {
	s := stateOf(tx, &i.Meta)
	return s != nil && s.Replication != "" && (available(instanceStatus(tx, i)) || s.Phase == model.DatabaseFailed)
}

// promote changes the caller's copy of a read replica. Its master user has the password that
// it has in the data, which is that of the source.
func (a *API) promote(tx *table.Txn, i *model.DBInstance) {
	users := usersOf(tx, i)
	i.Password, i.Secret = users.Password, 1
	a.movePassword(&i.Database, users.ID, i.ID)
	i.Promote()
}

// usersOf gives the instance whose users another one has in its data: the source of a read
// replica, and of others themselves.
func usersOf(tx *table.Txn, i *model.DBInstance) *model.DBInstance {
	if source, ok := state.DBInstances.Get(tx, i.Account, i.Region, i.Source); ok {
		return source
	}
	return i
}

// promoteReplicas makes databases of their own of the read replicas of an instance that is
// being deleted.
func (a *API) promoteReplicas(tx *table.Txn, source *model.DBInstance) error {
	var replicas []*model.DBInstance
	for r := range state.DBInstancesBySource.Rows(tx, source.Ref()) {
		if r.Deleting() {
			continue
		}
		if s := stateOf(tx, &r.Meta); s == nil || s.Replication == "" {
			return fault.RDS("InvalidDBInstanceState", "DB instance %s cannot be deleted while its read replica %s is being created.", source.Identifier, r.Identifier)
		}
		replicas = append(replicas, r.Clone())
	}
	for _, r := range replicas {
		a.promote(tx, r)
		r.UpdatedAt = a.Now()
		r.Generation++
		state.DBInstances.Put(tx, r)
	}
	return nil
}
