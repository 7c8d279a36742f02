// SPDX-License-Identifier: Apache-2.0

package rds

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/rds"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/view"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// Snapshots of instances and of clusters are one kind of rows, with errors of their own.
var (
	instanceSnapshots = snapshotKind{"snapshot", "DBSnapshotNotFound", "DBSnapshotAlreadyExists", "InvalidDBSnapshotState", false}
	clusterSnapshots  = snapshotKind{"cluster-snapshot", "DBClusterSnapshotNotFoundFault", "DBClusterSnapshotAlreadyExistsFault", "InvalidDBClusterSnapshotStateFault", true}
)

type snapshotKind struct {
	arn, notFound, exists, badState string
	ofCluster                       bool
}

func kindOf(s *model.DBSnapshot) snapshotKind {
	if s.OfCluster {
		return clusterSnapshots
	}
	return instanceSnapshots
}

// find finds a snapshot of the caller's by its identifier or its ARN.
func (k snapshotKind) find(tx *table.Txn, who access.View, name string) (*model.DBSnapshot, error) {
	for s := range state.DBSnapshotsByIdentifier.Rows(tx, who.Own(named(who, k.arn, name))) {
		if s.OfCluster == k.ofCluster {
			return s, nil
		}
	}
	return nil, fault.RDS(k.notFound, "%s not found.", name)
}

// snapshotOf makes the row of a snapshot of a database; its password is still sealed for the
// database.
func snapshotOf(of *model.Meta, d *model.Database, name, id string, now time.Time) *model.DBSnapshot {
	s := &model.DBSnapshot{
		Meta:       model.Meta{Account: of.Account, Region: of.Region, ID: id, CreatedAt: now, UpdatedAt: now},
		Identifier: name, Source: of.ID, Was: *d, Final: true,
	}
	s.Was.ManagedSecret = "" // it ends with the database
	if d.CopyTagsToSnapshot {
		s.Tags = maps.Clone(of.Tags)
	}
	return s
}

// addSnapshot adds a snapshot to the state; from is the id of the row that its password is
// sealed for.
func (a *API) addSnapshot(tx *table.Txn, who access.View, s *model.DBSnapshot, from string) error {
	k := kindOf(s)
	if other, err := k.find(tx, who, s.Identifier); err == nil {
		return fault.RDS(k.exists, "Cannot create the snapshot because a snapshot with the identifier %s already exists.", other.Identifier)
	}
	count := 0
	for o := range view.All(tx, who, state.DBSnapshots) {
		if o.OfCluster == s.OfCluster {
			count++
		}
	}
	if most := a.Quotas.DBSnapshotsPerRegion; count >= most {
		return fault.RDS("SnapshotQuotaExceeded", "The request cannot be processed because it would exceed the maximum number of snapshots: %d", most)
	}
	a.movePassword(&s.Was, from, s.ID)
	state.DBSnapshots.Put(tx, s)
	return nil
}

// CreateDBSnapshot makes a snapshot of an instance that is a database of its own.
func (a *API) CreateDBSnapshot(ctx context.Context, in *shape.CreateDBSnapshotInput) (*shape.CreateDBSnapshotOutput, error) {
	name, tags, err := readSnapshot("DBSnapshotIdentifier", in.DBSnapshotIdentifier, in.Tags)
	if err != nil {
		return nil, err
	}
	who, id, now := access.From(ctx), a.NewID("snap"), a.Now()
	var out shape.DBSnapshot
	_, err = a.DB.Update(ctx, func(tx *table.Txn) error {
		i, err := findInstance(tx, who, service.Value(in.DBInstanceIdentifier))
		if err != nil {
			return err
		}
		if err := changeable(i); err != nil {
			return err
		}
		switch {
		case i.Cluster != "":
			return fault.RDS("InvalidDBInstanceState", "Instance %s is a member of a cluster: CreateDBClusterSnapshot makes a snapshot of the cluster.", i.Identifier)
		case !available(instanceStatus(tx, i)):
			return instanceNotAvailable(tx, i)
		}
		s := snapshotOf(&i.Meta, &i.Database, name, id, now)
		s.Final, s.Class = false, i.Class
		s.Tags = joined(s.Tags, tags)
		users := usersOf(tx, i)
		s.Was.Password = users.Password
		if err := a.addSnapshot(tx, who, s, users.ID); err != nil {
			return err
		}
		out = snapshotShape(tx, s)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &shape.CreateDBSnapshotOutput{DBSnapshot: &out}, nil
}

// CreateDBClusterSnapshot makes a snapshot of a cluster.
func (a *API) CreateDBClusterSnapshot(ctx context.Context, in *shape.CreateDBClusterSnapshotInput) (*shape.CreateDBClusterSnapshotOutput, error) {
	name, tags, err := readSnapshot("DBClusterSnapshotIdentifier", in.DBClusterSnapshotIdentifier, in.Tags)
	if err != nil {
		return nil, err
	}
	who, id, now := access.From(ctx), a.NewID("snap"), a.Now()
	var out shape.DBClusterSnapshot
	_, err = a.DB.Update(ctx, func(tx *table.Txn) error {
		c, err := findCluster(tx, who, service.Value(in.DBClusterIdentifier))
		if err != nil {
			return err
		}
		if err := changeableCluster(c); err != nil {
			return err
		}
		switch {
		case !available(clusterStatus(tx, c)):
			return clusterNotAvailable(tx, c)
		case c.Epoch == 0:
			return fault.RDS("InvalidDBClusterStateFault", "Cluster %s never had an instance, so that there is nothing to make a snapshot of.", c.Identifier)
		}
		s := snapshotOf(&c.Meta, &c.Database, name, id, now)
		s.Final, s.OfCluster = false, true
		s.Tags = joined(s.Tags, tags)
		if err := a.addSnapshot(tx, who, s, c.ID); err != nil {
			return err
		}
		out = clusterSnapshotShape(tx, s)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &shape.CreateDBClusterSnapshotOutput{DBClusterSnapshot: &out}, nil
}

func readSnapshot(parameter string, name *string, list []shape.Tag) (string, map[string]string, error) {
	id, err := identifier(parameter, service.Value(name), maxSnapshot)
	if err != nil {
		return "", nil, err
	}
	tags, err := makeTags(list)
	return id, tags, err
}

// joined gives the tags of both; those of the second count where both have a key.
func joined(tags, more map[string]string) map[string]string {
	if tags == nil {
		return more
	}
	maps.Copy(tags, more)
	return tags
}

// DeleteDBSnapshot starts the deletion of a snapshot of an instance.
func (a *API) DeleteDBSnapshot(ctx context.Context, in *shape.DeleteDBSnapshotInput) (*shape.DeleteDBSnapshotOutput, error) {
	var out shape.DBSnapshot
	err := a.deleteSnapshot(ctx, instanceSnapshots, in.DBSnapshotIdentifier, func(tx *table.Txn, s *model.DBSnapshot) { out = snapshotShape(tx, s) })
	if err != nil {
		return nil, err
	}
	out.Status = new("deleted")
	return &shape.DeleteDBSnapshotOutput{DBSnapshot: &out}, nil
}

// DeleteDBClusterSnapshot starts the deletion of a snapshot of a cluster.
func (a *API) DeleteDBClusterSnapshot(ctx context.Context, in *shape.DeleteDBClusterSnapshotInput) (*shape.DeleteDBClusterSnapshotOutput, error) {
	var out shape.DBClusterSnapshot
	err := a.deleteSnapshot(ctx, clusterSnapshots, in.DBClusterSnapshotIdentifier, func(tx *table.Txn, s *model.DBSnapshot) { out = clusterSnapshotShape(tx, s) })
	if err != nil {
		return nil, err
	}
	out.Status = new("deleted")
	return &shape.DeleteDBClusterSnapshotOutput{DBClusterSnapshot: &out}, nil
}

func (a *API) deleteSnapshot(ctx context.Context, k snapshotKind, name *string, show func(*table.Txn, *model.DBSnapshot)) error {
	who, now := access.From(ctx), a.Now()
	_, err := a.DB.Update(ctx, func(tx *table.Txn) error {
		s, err := k.find(tx, who, service.Value(name))
		if err != nil {
			return err
		}
		if status := snapshotStatus(tx, s); status != string(model.DatabaseAvailable) && status != string(model.DatabaseFailed) {
			return fault.RDS(k.badState, "The snapshot %s is %s: only one that is available or has failed can be deleted.", s.Identifier, status)
		}
		if user := begun(tx, s); user != "" {
			return fault.RDS(k.badState, "The snapshot %s cannot be deleted: %s is being restored from it.", s.Identifier, user)
		}
		show(tx, s)
		service.MarkDeleted(tx, state.DBSnapshots, s, now)
		return nil
	})
	return err
}

// begun names a database that is being made of a snapshot, if one is and is to stay.
func begun(tx *table.Txn, s *model.DBSnapshot) string {
	for c := range state.DBClusters.Scope(tx, s.Account, s.Region) {
		if c.Snapshot == s.ID && !c.Deleting() && stateOf(tx, &c.Meta) == nil {
			return c.Identifier
		}
	}
	for i := range state.DBInstances.Scope(tx, s.Account, s.Region) {
		if i.Snapshot == s.ID && !i.Deleting() && stateOf(tx, &i.Meta) == nil {
			return i.Identifier
		}
	}
	return ""
}

// snapshotType is manual: there are no automated ones.
const snapshotType = "manual"

// snapshots finds what a Describe request asks for.
func (k snapshotKind) snapshots(tx *table.Txn, q query, name, source, resource, kind *string, filters []shape.Filter, can properties[*model.DBSnapshot]) ([]*model.DBSnapshot, *string, error) {
	all := func() []*model.DBSnapshot {
		return slices.DeleteFunc(slices.Collect(view.All(tx, q.who, state.DBSnapshots)), func(s *model.DBSnapshot) bool { return s.OfCluster != k.ofCluster })
	}
	of := "db"
	if k.ofCluster {
		of = "cluster"
	}
	page, marker, err := list(q, name, func() (*model.DBSnapshot, error) { return k.find(tx, q.who, *name) }, func() []*model.DBSnapshot {
		return slices.DeleteFunc(all(), func(s *model.DBSnapshot) bool {
			return source != nil && s.Was.Identifier != named(q.who, of, *source) || resource != nil && s.Source != *resource || kind != nil && *kind != snapshotType
		})
	}, filters, can, func(s *model.DBSnapshot) string { return s.Identifier })
	return page, marker, err
}

// DescribeDBSnapshots lists snapshots of instances, or shows the one that is named.
func (a *API) DescribeDBSnapshots(ctx context.Context, in *shape.DescribeDBSnapshotsInput) (*shape.DescribeDBSnapshotsOutput, error) {
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	type row = *model.DBSnapshot
	q := query{access.From(ctx), "DescribeDBSnapshots", []any{in.DBInstanceIdentifier, in.DBSnapshotIdentifier, in.SnapshotType, in.DbiResourceId, in.Filters}, in.Marker, in.MaxRecords}
	page, marker, err := instanceSnapshots.snapshots(tx, q, in.DBSnapshotIdentifier, in.DBInstanceIdentifier, in.DbiResourceId, in.SnapshotType, in.Filters, properties[row]{
		"db-instance-id": func(s row) []string {
			return []string{s.Was.Identifier, (&model.DBInstance{Meta: s.Meta, Database: s.Was}).ARN()}
		},
		"db-snapshot-id":  func(s row) []string { return []string{s.Identifier} },
		"dbi-resource-id": func(s row) []string { return []string{s.Source} },
		"snapshot-type":   func(row) []string { return []string{snapshotType} },
		"engine":          func(s row) []string { return []string{s.Was.Engine} },
	})
	if err != nil {
		return nil, err
	}
	show := func(s row) shape.DBSnapshot { return snapshotShape(tx, s) }
	return &shape.DescribeDBSnapshotsOutput{DBSnapshots: service.Each(page, show), Marker: marker}, nil
}

// DescribeDBClusterSnapshots lists snapshots of clusters, or shows the one that is named.
func (a *API) DescribeDBClusterSnapshots(ctx context.Context, in *shape.DescribeDBClusterSnapshotsInput) (*shape.DescribeDBClusterSnapshotsOutput, error) {
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	type row = *model.DBSnapshot
	q := query{access.From(ctx), "DescribeDBClusterSnapshots", []any{in.DBClusterIdentifier, in.DBClusterSnapshotIdentifier, in.SnapshotType, in.DbClusterResourceId, in.Filters}, in.Marker, in.MaxRecords}
	page, marker, err := clusterSnapshots.snapshots(tx, q, in.DBClusterSnapshotIdentifier, in.DBClusterIdentifier, in.DbClusterResourceId, in.SnapshotType, in.Filters, properties[row]{
		"db-cluster-id": func(s row) []string {
			return []string{s.Was.Identifier, (&model.DBCluster{Meta: s.Meta, Database: s.Was}).ARN()}
		},
		"db-cluster-snapshot-id": func(s row) []string { return []string{s.Identifier} },
		"db-cluster-resource-id": func(s row) []string { return []string{s.Source} },
		"snapshot-type":          func(row) []string { return []string{snapshotType} },
		"engine":                 func(s row) []string { return []string{s.Was.Engine} },
	})
	if err != nil {
		return nil, err
	}
	show := func(s row) shape.DBClusterSnapshot { return clusterSnapshotShape(tx, s) }
	return &shape.DescribeDBClusterSnapshotsOutput{DBClusterSnapshots: service.Each(page, show), Marker: marker}, nil
}

// progress is how much of a snapshot is made, in percent.
func progress(status string) *int32 {
	if status == string(model.DatabaseCreating) {
		return new(int32(0))
	}
	return new(int32(100))
}

func snapshotShape(tx *table.Txn, s *model.DBSnapshot) shape.DBSnapshot {
	p, status := versionNow(&s.Was), snapshotStatus(tx, s)
	return shape.DBSnapshot{
		DBSnapshotIdentifier: &s.Identifier, DBInstanceIdentifier: &s.Was.Identifier, SnapshotCreateTime: &s.CreatedAt, OriginalSnapshotCreateTime: &s.CreatedAt,
		Engine: &s.Was.Engine, AllocatedStorage: new(int32(s.Was.AllocatedStorage)), Status: &status, Port: new(int32(s.Was.Port)), VpcId: &s.Was.VPC,
		MasterUsername: &s.Was.MasterUser, EngineVersion: &s.Was.Version, LicenseModel: service.Optional(p.License), SnapshotType: new(snapshotType),
		OptionGroupName: new(p.optionGroup()), PercentProgress: progress(status), StorageType: service.Optional(s.Was.StorageType), Encrypted: &s.Was.StorageEncrypted,
		DBSnapshotArn: new(s.ARN()), IAMDatabaseAuthenticationEnabled: new(false), DbiResourceId: &s.Source, TagList: tagList(s.Tags), SnapshotTarget: new("region"),
		ProcessorFeatures: []shape.ProcessorFeature{}, DedicatedLogVolume: new(false),
	}
}

func clusterSnapshotShape(tx *table.Txn, s *model.DBSnapshot) shape.DBClusterSnapshot {
	p, status := versionNow(&s.Was), snapshotStatus(tx, s)
	zones := s.Was.Zones
	if zones == nil {
		zones = []string{}
	}
	return shape.DBClusterSnapshot{
		AvailabilityZones: zones, DBClusterSnapshotIdentifier: &s.Identifier, DBClusterIdentifier: &s.Was.Identifier, SnapshotCreateTime: &s.CreatedAt,
		Engine: &s.Was.Engine, EngineMode: new("provisioned"), AllocatedStorage: new(int32(s.Was.AllocatedStorage)), Status: &status, Port: new(int32(s.Was.Port)),
		VpcId: &s.Was.VPC, MasterUsername: &s.Was.MasterUser, EngineVersion: &s.Was.Version, LicenseModel: service.Optional(p.License), SnapshotType: new(snapshotType),
		PercentProgress: progress(status), StorageEncrypted: &s.Was.StorageEncrypted, DBClusterSnapshotArn: new(s.ARN()), IAMDatabaseAuthenticationEnabled: new(false),
		TagList: tagList(s.Tags), StorageType: service.Optional(s.Was.StorageType), DbClusterResourceId: &s.Source,
	}
}
