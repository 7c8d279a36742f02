// SPDX-License-Identifier: Apache-2.0

package rds

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/rds"
	"github.com/posternhq/postern/internal/engine"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
)

// engineMode is the only mode that clusters can have here.
const engineMode = "provisioned"

// version is a version of an engine that is installed, as RDS offers it.
type version struct {
	engine.Offer
	engine.Installation
	// first says that it is the newest one of its engine.
	first bool
}

// versions gives all versions of all engines that are installed on this host, by engine,
// the newest first.
func (a *API) versions() (all []version) {
	if a.Engines == nil {
		return nil
	}
	installed := a.Engines()
	for _, o := range engine.Offers() {
		at := len(all)
		for _, i := range installed {
			if i.Driver == o.Driver {
				all = append(all, version{Offer: o, Installation: i})
			}
		}
		slices.SortStableFunc(all[at:], func(x, y version) int { return engine.CompareVersions(y.Version, x.Version) })
		if at < len(all) {
			all[at].first = true
		}
	}
	slices.SortStableFunc(all, func(x, y version) int { return cmp.Compare(x.Engine, y.Engine) })
	return all
}

// is reports whether a version is what a request calls so: the whole version, or the first
// parts of it.
func (v version) is(wanted string) bool {
	return v.Version == wanted || strings.HasPrefix(v.Version, wanted+".")
}

// key sorts versions within their engine.
func (v version) key() string { return v.Engine + " " + v.Version }

var versionProperties = properties[version]{
	"db-parameter-group-family": func(v version) []string { return []string{v.Family(v.Major)} },
	"engine":                    func(v version) []string { return []string{v.Engine} },
	"engine-mode":               func(v version) []string { return v.modes() },
	"engine-version":            func(v version) []string { return []string{v.Version} },
	"status":                    func(version) []string { return []string{"available"} },
}

func (v version) modes() []string {
	if v.Cluster {
		return []string{engineMode}
	}
	return []string{}
}

// DescribeDBEngineVersions lists the versions of engines that are installed.
func (a *API) DescribeDBEngineVersions(ctx context.Context, in *shape.DescribeDBEngineVersionsInput) (*shape.DescribeDBEngineVersionsOutput, error) {
	holds, err := versionProperties.compile(in.Filters)
	if err != nil {
		return nil, err
	}
	var items []version
	for _, v := range a.versions() {
		named := func(member *string, is func(string) bool) bool { return service.Value(member) == "" || is(*member) }
		if named(in.Engine, func(s string) bool { return strings.EqualFold(s, v.Engine) }) && named(in.EngineVersion, v.is) &&
			named(in.DBParameterGroupFamily, func(s string) bool { return s == v.Family(v.Major) }) && (!service.Value(in.DefaultOnly) || v.first) && holds(v) {
			items = append(items, v)
		}
	}
	choice := []any{in.Engine, in.EngineVersion, in.DBParameterGroupFamily, in.DefaultOnly, in.Filters}
	page, marker, err := paginate(query{access.From(ctx), "DescribeDBEngineVersions", choice, in.Marker, in.MaxRecords}, items, version.key)
	if err != nil {
		return nil, err
	}
	return &shape.DescribeDBEngineVersionsOutput{DBEngineVersions: service.Each(page, version.shape), Marker: marker}, nil
}

func (v version) shape() shape.DBEngineVersion {
	return shape.DBEngineVersion{
		Engine: &v.Engine, EngineVersion: &v.Version, MajorEngineVersion: &v.Major, DBParameterGroupFamily: new(v.Family(v.Major)),
		DBEngineDescription: &v.Title, DBEngineVersionDescription: new(v.Title + " " + v.Version), Status: new("available"),
		ValidUpgradeTarget: []shape.UpgradeTarget{}, ExportableLogTypes: []string{}, SupportsLogExportsToCloudwatchLogs: new(false),
		SupportsReadReplica: new(!v.Cluster), SupportedEngineModes: v.modes(), SupportedFeatureNames: []string{}, SupportsParallelQuery: new(false),
		SupportsGlobalDatabases: new(false), SupportsBabelfish: new(false), SupportsLimitlessDatabase: new(false), SupportsCertificateRotationWithoutRestart: new(true),
		SupportedCACertificateIdentifiers: certificateNames, SupportsLocalWriteForwarding: new(false), SupportsIntegrations: new(false), TagList: []shape.Tag{},
	}
}

// checkOffer refuses engines that RDS does not have here.
func checkOffer(name string) (engine.Offer, error) {
	if o, ok := engine.OfferOf(strings.ToLower(name)); ok {
		return o, nil
	}
	if name == "mysql" || name == "aurora-mysql" {
		return engine.Offer{}, invalid("Invalid DB engine: %s. It needs a MySQL server, which there is none of here, and MariaDB is not one; the engine mariadb is served", name)
	}
	var known []string
	for _, o := range engine.Offers() {
		known = append(known, o.Engine)
	}
	return engine.Offer{}, invalid("Invalid DB engine: %s. There are: %s", name, strings.Join(known, ", "))
}

// StorageTypes are the kinds of storage that instances of an engine can name, the default
// one first. All of them are the disk of the host.
func StorageTypes(o engine.Offer) []string {
	if o.Cluster {
		return []string{"aurora", "aurora-iopt1"}
	}
	return []string{"gp2", "gp3"}
}

// The sizes of storage that instances can name, in GiB
// (https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/CHAP_Storage.html).
const (
	leastStorage = 20
	mostStorage  = 65536
)

// mostOrders is how many orders a page can have
// (https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_DescribeOrderableDBInstanceOptions.html).
const mostOrders = 1000

// order is a combination that an instance can be made of.
type order struct {
	version
	class   model.DBClass
	storage string
}

func (o order) key() string { return o.version.key() + " " + o.class.Name + " " + o.storage }

// DescribeOrderableDBInstanceOptions lists what instances of an engine can be made of.
func (a *API) DescribeOrderableDBInstanceOptions(ctx context.Context, in *shape.DescribeOrderableDBInstanceOptionsInput) (*shape.DescribeOrderableDBInstanceOptionsOutput, error) {
	offer, err := checkOffer(*in.Engine)
	if err != nil {
		return nil, err
	}
	if _, err := (properties[order]{}).compile(in.Filters); err != nil {
		return nil, err
	}
	who := access.From(ctx)
	var items []order
	for _, v := range a.versions() {
		if v.Engine != offer.Engine || service.Value(in.EngineVersion) != "" && !v.is(*in.EngineVersion) ||
			service.Value(in.LicenseModel) != "" && *in.LicenseModel != v.License || in.Vpc != nil && !*in.Vpc ||
			service.Value(in.AvailabilityZoneGroup) != "" && *in.AvailabilityZoneGroup != who.Region {
			continue
		}
		for _, class := range model.DBClasses() {
			if wanted := service.Value(in.DBInstanceClass); wanted != "" && wanted != class.Name {
				continue
			}
			for _, storage := range StorageTypes(offer) {
				items = append(items, order{v, class, storage})
			}
		}
	}
	choice := []any{in.Engine, in.EngineVersion, in.DBInstanceClass, in.LicenseModel, in.AvailabilityZoneGroup, in.Vpc}
	page, marker, err := paginateTo(mostOrders, query{who, "DescribeOrderableDBInstanceOptions", choice, in.Marker, in.MaxRecords}, items, order.key)
	if err != nil {
		return nil, err
	}
	zones := a.zonesShape(who.Region)
	show := func(o order) shape.OrderableDBInstanceOption { return o.shape(who.Region, zones, a.EncryptedStorage) }
	return &shape.DescribeOrderableDBInstanceOptionsOutput{OrderableDBInstanceOptions: service.Each(page, show), Marker: marker}, nil
}

func (a *API) zonesShape(region string) []shape.AvailabilityZone {
	return service.Each(a.Zones(region), func(z service.Zone) shape.AvailabilityZone { return shape.AvailabilityZone{Name: &z.Name} })
}

func (o order) shape(region string, zones []shape.AvailabilityZone, encrypted bool) shape.OrderableDBInstanceOption {
	out := shape.OrderableDBInstanceOption{
		Engine: &o.Engine, EngineVersion: &o.Version, DBInstanceClass: &o.class.Name, LicenseModel: &o.License, AvailabilityZoneGroup: &region, AvailabilityZones: zones,
		MultiAZCapable: new(o.Cluster), ReadReplicaCapable: new(!o.Cluster), Vpc: new(true), SupportsStorageEncryption: &encrypted, StorageType: &o.storage,
		SupportsIops: new(false), SupportsStorageThroughput: new(false), SupportsEnhancedMonitoring: new(false), SupportsIAMDatabaseAuthentication: new(false),
		SupportsPerformanceInsights: new(false), AvailableProcessorFeatures: []shape.AvailableProcessorFeature{}, SupportedEngineModes: o.modes(),
		SupportsStorageAutoscaling: new(false), SupportsKerberosAuthentication: new(false), OutpostCapable: new(false), SupportedActivityStreamModes: []string{},
		SupportsGlobalDatabases: new(false), SupportedNetworkTypes: []string{"IPV4"}, SupportsClusters: new(false), SupportsDedicatedLogVolume: new(false), SupportsHttpEndpoint: new(false),
	}
	if !o.Cluster {
		out.MinStorageSize, out.MaxStorageSize = new(int32(leastStorage)), new(int32(mostStorage))
	}
	return out
}

// optionGroup is the default option group of a version: without options, and the only one.
type optionGroup struct {
	name string
	version
}

// OptionGroupOf is the name of the option group that all databases of an engine and a major
// version have.
func OptionGroupOf(engine, major string) string {
	return "default:" + engine + "-" + strings.ReplaceAll(major, ".", "-")
}

// DescribeOptionGroups lists the default option groups of engines that are installed. There
// are no others, and none has options.
func (a *API) DescribeOptionGroups(ctx context.Context, in *shape.DescribeOptionGroupsInput) (*shape.DescribeOptionGroupsOutput, error) {
	if _, err := (properties[optionGroup]{}).compile(in.Filters); err != nil {
		return nil, err
	}
	wanted := service.Value(in.OptionGroupName)
	if wanted != "" && service.Value(in.EngineName) != "" {
		return nil, conflicting("OptionGroupName cannot be given together with EngineName")
	}
	if service.Value(in.MajorEngineVersion) != "" && service.Value(in.EngineName) == "" {
		return nil, conflicting("MajorEngineVersion cannot be given without EngineName")
	}
	who := access.From(ctx)
	var items []optionGroup
	for _, v := range a.versions() {
		g := optionGroup{OptionGroupOf(v.Engine, v.Major), v}
		switch {
		case wanted != "" && !strings.EqualFold(wanted, g.name), service.Value(in.EngineName) != "" && *in.EngineName != v.Engine,
			service.Value(in.MajorEngineVersion) != "" && *in.MajorEngineVersion != v.Major,
			slices.ContainsFunc(items, func(other optionGroup) bool { return other.name == g.name }):
		default:
			items = append(items, g)
		}
	}
	if wanted != "" && len(items) == 0 {
		return nil, fault.RDS("OptionGroupNotFoundFault", "Specified OptionGroupName: %s not found.", wanted)
	}
	choice := []any{wanted, in.EngineName, in.MajorEngineVersion}
	page, marker, err := paginate(query{who, "DescribeOptionGroups", choice, in.Marker, in.MaxRecords}, items, func(g optionGroup) string { return g.name })
	if err != nil {
		return nil, err
	}
	show := func(g optionGroup) shape.OptionGroup {
		return shape.OptionGroup{
			OptionGroupName: &g.name, OptionGroupDescription: new("Default option group for " + g.Engine + " " + g.Major), EngineName: &g.Engine, MajorEngineVersion: &g.Major,
			Options: []shape.Option{}, AllowsVpcAndNonVpcInstanceMemberships: new(true), OptionGroupArn: new(model.ARN("rds", who.Region, who.Account, "og:"+g.name)),
		}
	}
	return &shape.DescribeOptionGroupsOutput{OptionGroupsList: service.Each(page, show), Marker: marker}, nil
}

// DescribeValidDBInstanceModifications shows which storage an instance could be given.
func (a *API) DescribeValidDBInstanceModifications(ctx context.Context, in *shape.DescribeValidDBInstanceModificationsInput) (*shape.DescribeValidDBInstanceModificationsOutput, error) {
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	i, err := findManaged(tx, access.From(ctx), *in.DBInstanceIdentifier)
	if err != nil {
		return nil, err
	}
	valid := &shape.ValidDBInstanceModificationsMessage{Storage: []shape.ValidStorageOptions{}, ValidProcessorFeatures: []shape.AvailableProcessorFeature{}, SupportsDedicatedLogVolume: new(false)}
	offer, _ := engine.OfferOf(i.Engine)
	if i.Cluster == "" { // a member's storage is its cluster's
		for _, storage := range StorageTypes(offer) {
			size := shape.Range{From: new(int32(max(leastStorage, i.AllocatedStorage))), To: new(int32(mostStorage)), Step: new(int32(1))}
			valid.Storage = append(valid.Storage, shape.ValidStorageOptions{StorageType: &storage, StorageSize: []shape.Range{size}, SupportsStorageAutoscaling: new(false)})
		}
	}
	return &shape.DescribeValidDBInstanceModificationsOutput{ValidDBInstanceModificationsMessage: valid}, nil
}
