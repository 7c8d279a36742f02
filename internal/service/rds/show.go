// SPDX-License-Identifier: Apache-2.0

package rds

import (
	"cmp"
	"slices"
	"strings"

	"github.com/posternhq/postern/internal/authority"
	shape "github.com/posternhq/postern/internal/aws/shape/rds"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// inSync is the status of what is as it was asked to be.
const inSync = "in-sync"

// host writes a name in normal form as RDS does; nil for none.
func host(name string) *string { return service.Optional(strings.TrimSuffix(name, ".")) }

// groupsShape shows security groups.
func groupsShape(ids []string) []shape.VpcSecurityGroupMembership {
	return service.Each(ids, func(id string) shape.VpcSecurityGroupMembership {
		return shape.VpcSecurityGroupMembership{VpcSecurityGroupId: &id, Status: new("active")}
	})
}

// versionOf is the version that runs, or would.
func versionOf(tx *table.Txn, d *model.Database, m *model.Meta) string {
	if s := stateOf(tx, m); s != nil && s.Version != "" {
		return s.Version
	}
	return d.Version
}

// shownAuthority is the authority as it was named.
func shownAuthority(d *model.Database) string { return cmp.Or(d.Authority, authority.Name) }

// supportOf is what was said of versions that are no more supported.
func supportOf(d *model.Database) *string {
	return new(cmp.Or(d.LifecycleSupport, "open-source-rds-extended-support"))
}

func (a *API) clusterShape(tx *table.Txn, c *model.DBCluster) shape.DBCluster {
	p := versionNow(&c.Database)
	out := shape.DBCluster{
		AllocatedStorage: new(int32(max(c.AllocatedStorage, 1))), AvailabilityZones: c.Zones, BackupRetentionPeriod: new(int32(c.BackupRetention)), BacktrackWindow: nil,
		CopyTagsToSnapshot: &c.CopyTagsToSnapshot, DatabaseName: service.Optional(c.Name), DBClusterArn: new(c.ARN()), DBClusterIdentifier: &c.Identifier,
		DBClusterMembers: []shape.DBClusterMember{}, DBClusterParameterGroup: new(cmp.Or(c.ParameterGroup, defaultPrefix+p.family())),
		DBSubnetGroup: service.Optional(c.SubnetGroup), DbClusterResourceId: &c.ID, DeletionProtection: &c.DeletionProtection,
		Endpoint: host(c.WriterName(a.DatabaseSuffix)), ReaderEndpoint: host(c.ReaderName(a.DatabaseSuffix)), CustomEndpoints: []string{},
		Engine: &c.Engine, EngineMode: new("provisioned"), EngineVersion: new(versionOf(tx, &c.Database, &c.Meta)),
		HostedZoneId: new(model.DatabaseZoneID(c.Region, a.DatabaseSuffix)), HttpEndpointEnabled: new(false), IAMDatabaseAuthenticationEnabled: new(false),
		MasterUsername: &c.MasterUser, NetworkType: new("IPV4"), Port: new(int32(c.Port)), PreferredBackupWindow: service.Optional(c.BackupWindow),
		PreferredMaintenanceWindow: service.Optional(c.MaintenanceWindow), StorageEncrypted: &c.StorageEncrypted, StorageType: service.Optional(c.StorageType),
		Status: new(clusterStatus(tx, c)), TagList: tagList(c.Tags), VpcSecurityGroups: groupsShape(c.Groups), ClusterCreateTime: &c.CreatedAt,
		AutoMinorVersionUpgrade: new(!c.NoMinorUpgrades), EngineLifecycleSupport: supportOf(&c.Database), AssociatedRoles: []shape.DBClusterRole{},
		ReadReplicaIdentifiers: []string{}, DomainMemberships: []shape.DomainMembership{}, CrossAccountClone: new(false), PubliclyAccessible: nil,
		DatabaseInsightsMode: new("standard"), // certificates are its instances'; clients take it that details of a cluster's have their end
	}
	out.MasterUserSecret = secretShape(tx, &c.Meta, &c.Database)
	if len(out.AvailabilityZones) == 0 {
		out.AvailabilityZones = zonesOf(tx, c)
	}
	for e := range state.DBClusterEndpointsByCluster.Rows(tx, c.Ref()) {
		out.CustomEndpoints = append(out.CustomEndpoints, *host(e.NameIn(a.DatabaseSuffix)))
	}
	zones := map[string]bool{}
	for _, i := range membersOf(tx, c) {
		zones[i.Zone] = true
		out.DBClusterMembers = append(out.DBClusterMembers, shape.DBClusterMember{
			DBInstanceIdentifier: &i.Identifier, IsClusterWriter: new(i.ID == c.Writer), DBClusterParameterGroupStatus: new(parametersStatus(tx, i, c.Held)), PromotionTier: new(int32(i.PromotionTier)),
		})
	}
	out.MultiAZ = new(len(zones) > 1)
	return out
}

// parametersStatus says whether parameters of an instance wait for a reboot: of those that a
// server can only be started with, or that have other values held.
func parametersStatus(tx *table.Txn, i *model.DBInstance, held model.HeldParameters) string {
	if s := stateOf(tx, &i.Meta); s != nil && s.Pending || len(held) > 0 {
		return "pending-reboot"
	}
	return inSync
}

func (a *API) instanceShape(tx *table.Txn, i *model.DBInstance) shape.DBInstance {
	d, meta := &i.Database, &i.Meta
	c, member := state.DBClusters.Get(tx, i.Account, i.Region, i.Cluster)
	if member {
		d, meta = &c.Database, &c.Meta
	}
	p := versionNow(d)
	out := shape.DBInstance{
		DBInstanceIdentifier: &i.Identifier, DBInstanceClass: &i.Class, Engine: &d.Engine, DBInstanceStatus: new(instanceStatus(tx, i)), MasterUsername: &d.MasterUser,
		DBName: service.Optional(d.Name), AllocatedStorage: new(int32(max(d.AllocatedStorage, 1))), InstanceCreateTime: &i.CreatedAt,
		PreferredBackupWindow: service.Optional(cmp.Or(i.BackupWindow, d.BackupWindow)), PreferredMaintenanceWindow: service.Optional(cmp.Or(i.MaintenanceWindow, d.MaintenanceWindow)),
		BackupRetentionPeriod: new(int32(d.BackupRetention)), DBSecurityGroups: []shape.DBSecurityGroupMembership{}, VpcSecurityGroups: groupsShape(d.Groups),
		DBParameterGroups: []shape.DBParameterGroupStatus{{DBParameterGroupName: new(cmp.Or(i.ParameterGroup, defaultPrefix+p.family())), ParameterApplyStatus: new(parametersStatus(tx, i, i.Held))}},
		AvailabilityZone:  service.Optional(i.Zone), PendingModifiedValues: &shape.PendingModifiedValues{DBInstanceClass: service.Optional(i.PendingClass)},
		MultiAZ: new(false), EngineVersion: new(versionOf(tx, d, &i.Meta)), AutoMinorVersionUpgrade: new(!i.NoMinorUpgrades),
		ReadReplicaDBInstanceIdentifiers: []string{}, ReadReplicaDBClusterIdentifiers: []string{}, LicenseModel: service.Optional(p.License),
		OptionGroupMemberships: []shape.OptionGroupMembership{{OptionGroupName: new(p.optionGroup()), Status: new(inSync)}},
		PubliclyAccessible:     new(false), StatusInfos: []shape.DBInstanceStatusInfo{}, StorageType: service.Optional(d.StorageType), DbInstancePort: new(int32(0)),
		StorageEncrypted: &d.StorageEncrypted, DbiResourceId: &i.ID, CACertificateIdentifier: new(cmp.Or(i.Authority, shownAuthority(d))), DomainMemberships: []shape.DomainMembership{},
		CopyTagsToSnapshot: &i.CopyTagsToSnapshot, MonitoringInterval: new(int32(0)), PromotionTier: new(int32(i.PromotionTier)), DBInstanceArn: new(i.ARN()),
		IAMDatabaseAuthenticationEnabled: new(false), DatabaseInsightsMode: new("standard"), PerformanceInsightsEnabled: new(false), DeletionProtection: &d.DeletionProtection,
		AssociatedRoles: []shape.DBInstanceRole{}, TagList: tagList(i.Tags), CustomerOwnedIpEnabled: new(false), NetworkType: new("IPV4"), BackupTarget: new("region"),
		CertificateDetails: &shape.CertificateDetails{CAIdentifier: new(cmp.Or(i.Authority, shownAuthority(d)))}, DedicatedLogVolume: new(false),
		EngineLifecycleSupport: supportOf(d), MaxAllocatedStorage: service.Optional(int32(i.MaxStorage)), ActivityStreamStatus: new("stopped"),
	}
	if member {
		out.DBClusterIdentifier = &c.Identifier
	}
	if g, ok := state.DBSubnetGroups.Get(tx, i.Account, i.Region, d.SubnetGroup); ok {
		out.DBSubnetGroup = new(subnetGroupShape(tx, g))
		out.DBSubnetGroup.DBSubnetGroupArn, out.DBSubnetGroup.SupportedNetworkTypes = nil, nil
	}
	if stateOf(tx, &i.Meta) != nil { // before, there is none to connect to
		out.Endpoint = &shape.Endpoint{Address: host(i.NameIn(a.DatabaseSuffix)), Port: new(int32(d.Port)), HostedZoneId: new(model.DatabaseZoneID(meta.Region, a.DatabaseSuffix))}
		if out.Endpoint.Address == nil && i.Addr.IsValid() {
			out.Endpoint.Address = new(i.Addr.String())
		}
	}
	out.MasterUserSecret = secretShape(tx, &i.Meta, &i.Database)
	a.showReplicas(tx, i, &out)
	return out
}

// showReplicas shows whose replica an instance is, and which it has.
func (a *API) showReplicas(tx *table.Txn, i *model.DBInstance, out *shape.DBInstance) {
	if source, ok := state.DBInstances.Get(tx, i.Account, i.Region, i.Source); ok {
		out.ReadReplicaSourceDBInstanceIdentifier = &source.Identifier
		if s := stateOf(tx, &i.Meta); s != nil && s.Replication != "" {
			out.StatusInfos = append(out.StatusInfos, shape.DBInstanceStatusInfo{
				StatusType: new("read replication"), Normal: new(s.Replication == model.Replicating), Status: new(string(s.Replication)), Message: service.Optional(s.ReplicationReason),
			})
		}
	}
	for r := range state.DBInstancesBySource.Rows(tx, i.Ref()) {
		out.ReadReplicaDBInstanceIdentifiers = append(out.ReadReplicaDBInstanceIdentifiers, r.Identifier)
	}
	slices.Sort(out.ReadReplicaDBInstanceIdentifiers)
}
