// SPDX-License-Identifier: Apache-2.0

package rds

import (
	"context"
	"slices"

	"github.com/posternhq/postern/internal/access"
	shape "github.com/posternhq/postern/internal/aws/shape/rds"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/view"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// The types of snapshots: all are manual, and those of others are shared with the caller or
// public.
const (
	snapshotManual = "manual"
	snapshotShared = "shared"
	snapshotPublic = "public"
)

// snapshotChoice is which snapshots a Describe request asks for.
type snapshotChoice struct {
	name, source, resource, kind *string
	shared, public               *bool
	filters                      []shape.Filter
}

// page is what pages of one list have in common.
func (c snapshotChoice) page() any {
	return []any{c.source, c.name, c.kind, c.resource, c.shared, c.public, c.filters}
}

// typeOf is a snapshot's type for the caller, when snapshots of a type were asked for, or not.
// What is asked for as public is called so, also by its owner.
func (c snapshotChoice) typeOf(who access.View, s *model.DBSnapshot) string {
	switch {
	case s.IsPublic() && (service.Value(c.kind) == snapshotPublic || !who.Owns(s.Account)):
		return snapshotPublic
	case !who.Owns(s.Account):
		return snapshotShared
	}
	return snapshotManual
}

// identifier is how the caller has to call it.
func (c snapshotChoice) identifier(who access.View, s *model.DBSnapshot) string {
	if c.typeOf(who, s) == snapshotManual {
		return s.Identifier
	}
	return s.ARN()
}

// all gives the snapshots of a kind that the request is about, without its other conditions.
func (c snapshotChoice) all(tx *table.Txn, who access.View, ofCluster bool) (rows []*model.DBSnapshot) {
	kind := service.Value(c.kind)
	if kind == "" || kind == snapshotManual || kind == snapshotPublic {
		rows = slices.Collect(view.All(tx, who, state.DBSnapshots))
	}
	if kind == snapshotShared || kind == "" && service.Value(c.shared) {
		rows = append(rows, view.OthersSnapshots(tx, who, false)...)
	}
	if kind == snapshotPublic || kind == "" && service.Value(c.public) {
		rows = append(rows, view.OthersSnapshots(tx, who, true)...)
	}
	seen := map[model.Ref]bool{}
	return slices.DeleteFunc(rows, func(s *model.DBSnapshot) bool {
		again := seen[s.Ref()]
		seen[s.Ref()] = true
		return again || s.OfCluster != ofCluster || kind == snapshotPublic && !s.IsPublic()
	})
}

// others reports whether the request is about snapshots of other accounts, too.
func (c snapshotChoice) others() bool {
	kind := service.Value(c.kind)
	return kind == snapshotShared || kind == snapshotPublic || service.Value(c.shared) || service.Value(c.public)
}

// snapshots finds what a Describe request asks for.
func (k snapshotKind) snapshots(tx *table.Txn, q query, c snapshotChoice, can properties[*model.DBSnapshot]) ([]*model.DBSnapshot, *string, error) {
	of := "db"
	if k.ofCluster {
		of = "cluster"
	}
	can["snapshot-type"] = func(s *model.DBSnapshot) []string { return []string{c.typeOf(q.who, s)} }
	find := func() (*model.DBSnapshot, error) {
		if c.others() {
			return k.usableBy(tx, q.who, *c.name, k.see)
		}
		return k.find(tx, q.who, *c.name)
	}
	return list(q, c.name, find, func() []*model.DBSnapshot {
		return slices.DeleteFunc(c.all(tx, q.who, k.ofCluster), func(s *model.DBSnapshot) bool {
			return c.source != nil && s.Was.Identifier != named(q.who, of, *c.source) || c.resource != nil && s.Source != *c.resource
		})
	}, c.filters, can, func(s *model.DBSnapshot) string { return c.identifier(q.who, s) })
}

// DescribeDBSnapshots lists snapshots of instances, or shows the one that is named.
func (a *API) DescribeDBSnapshots(ctx context.Context, in *shape.DescribeDBSnapshotsInput) (*shape.DescribeDBSnapshotsOutput, error) {
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	type row = *model.DBSnapshot
	who := access.From(ctx)
	choice := snapshotChoice{in.DBSnapshotIdentifier, in.DBInstanceIdentifier, in.DbiResourceId, in.SnapshotType, in.IncludeShared, in.IncludePublic, in.Filters}
	q := query{who, "DescribeDBSnapshots", choice.page(), in.Marker, in.MaxRecords}
	page, marker, err := instanceSnapshots.snapshots(tx, q, choice, properties[row]{
		"db-instance-id": func(s row) []string {
			return []string{s.Was.Identifier, (&model.DBInstance{Meta: s.Meta, Database: s.Was}).ARN()}
		},
		"db-snapshot-id":  func(s row) []string { return []string{choice.identifier(who, s)} },
		"dbi-resource-id": func(s row) []string { return []string{s.Source} },
		"engine":          func(s row) []string { return []string{s.Was.Engine} },
	})
	if err != nil {
		return nil, err
	}
	show := func(s row) shape.DBSnapshot {
		shown := snapshotShape(tx, s)
		shown.DBSnapshotIdentifier, shown.SnapshotType = new(choice.identifier(who, s)), new(choice.typeOf(who, s))
		return shown
	}
	return &shape.DescribeDBSnapshotsOutput{DBSnapshots: service.Each(page, show), Marker: marker}, nil
}

// DescribeDBClusterSnapshots lists snapshots of clusters, or shows the one that is named.
func (a *API) DescribeDBClusterSnapshots(ctx context.Context, in *shape.DescribeDBClusterSnapshotsInput) (*shape.DescribeDBClusterSnapshotsOutput, error) {
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	type row = *model.DBSnapshot
	who := access.From(ctx)
	choice := snapshotChoice{in.DBClusterSnapshotIdentifier, in.DBClusterIdentifier, in.DbClusterResourceId, in.SnapshotType, in.IncludeShared, in.IncludePublic, in.Filters}
	q := query{who, "DescribeDBClusterSnapshots", choice.page(), in.Marker, in.MaxRecords}
	page, marker, err := clusterSnapshots.snapshots(tx, q, choice, properties[row]{
		"db-cluster-id": func(s row) []string {
			return []string{s.Was.Identifier, (&model.DBCluster{Meta: s.Meta, Database: s.Was}).ARN()}
		},
		"db-cluster-snapshot-id": func(s row) []string { return []string{choice.identifier(who, s)} },
		"db-cluster-resource-id": func(s row) []string { return []string{s.Source} },
		"engine":                 func(s row) []string { return []string{s.Was.Engine} },
	})
	if err != nil {
		return nil, err
	}
	show := func(s row) shape.DBClusterSnapshot {
		shown := clusterSnapshotShape(tx, s)
		shown.DBClusterSnapshotIdentifier, shown.SnapshotType = new(choice.identifier(who, s)), new(choice.typeOf(who, s))
		return shown
	}
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
		DBSnapshotIdentifier: &s.Identifier, DBInstanceIdentifier: &s.Was.Identifier, SnapshotCreateTime: &s.CreatedAt, OriginalSnapshotCreateTime: new(s.Taken()), SourceDBSnapshotIdentifier: copiedARN(s),
		Engine: &s.Was.Engine, AllocatedStorage: new(int32(s.Was.AllocatedStorage)), Status: &status, Port: new(int32(s.Was.Port)), VpcId: &s.Was.VPC,
		MasterUsername: &s.Was.MasterUser, EngineVersion: &s.Was.Version, LicenseModel: service.Optional(p.License), SnapshotType: new(snapshotManual),
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
		VpcId: &s.Was.VPC, MasterUsername: &s.Was.MasterUser, EngineVersion: &s.Was.Version, LicenseModel: service.Optional(p.License), SnapshotType: new(snapshotManual),
		PercentProgress: progress(status), StorageEncrypted: &s.Was.StorageEncrypted, DBClusterSnapshotArn: new(s.ARN()), IAMDatabaseAuthenticationEnabled: new(false),
		TagList: tagList(s.Tags), StorageType: service.Optional(s.Was.StorageType), DbClusterResourceId: &s.Source,
		SourceDBClusterSnapshotArn: copiedARN(s),
	}
}

// copiedARN names what a snapshot is a copy of, if it is one.
func copiedARN(s *model.DBSnapshot) *string {
	if s.Copied.IsZero() {
		return nil
	}
	return new(s.CopiedARN())
}
