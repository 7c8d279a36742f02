// SPDX-License-Identifier: Apache-2.0

package rds

import (
	"slices"
	"strings"
	"testing"

	shape "github.com/posternhq/postern/internal/aws/shape/rds"
	"github.com/posternhq/postern/internal/engine"
	"github.com/posternhq/postern/internal/model"
)

// What is installed is offered, and nothing else.
func TestEngineVersions(t *testing.T) {
	w := newWorld(t)
	filter := func(name string, values ...string) []shape.Filter {
		return []shape.Filter{{Name: &name, Values: values}}
	}
	for _, test := range []struct {
		what string
		in   shape.DescribeDBEngineVersionsInput
		want []string
	}{
		{"all", shape.DescribeDBEngineVersionsInput{}, []string{"aurora-postgresql 15.18", "aurora-postgresql 17.6", "mariadb 10.11.14", "postgres 15.18", "postgres 17.6"}},
		{"an engine", shape.DescribeDBEngineVersionsInput{Engine: new("postgres")}, []string{"postgres 15.18", "postgres 17.6"}},
		{"a major version", shape.DescribeDBEngineVersionsInput{Engine: new("postgres"), EngineVersion: new("15")}, []string{"postgres 15.18"}},
		{"no part of a number", shape.DescribeDBEngineVersionsInput{Engine: new("postgres"), EngineVersion: new("1")}, nil},
		{"a version that is not here", shape.DescribeDBEngineVersionsInput{Engine: new("postgres"), EngineVersion: new("15.4")}, nil},
		{"an engine that is not here", shape.DescribeDBEngineVersionsInput{Engine: new("mysql")}, nil},
		{"the default ones", shape.DescribeDBEngineVersionsInput{DefaultOnly: new(true)}, []string{"aurora-postgresql 17.6", "mariadb 10.11.14", "postgres 17.6"}},
		{"a family", shape.DescribeDBEngineVersionsInput{DBParameterGroupFamily: new("mariadb10.11")}, []string{"mariadb 10.11.14"}},
		{"a mode", shape.DescribeDBEngineVersionsInput{Filters: filter("engine-mode", "provisioned")}, []string{"aurora-postgresql 15.18", "aurora-postgresql 17.6"}},
		{"a status", shape.DescribeDBEngineVersionsInput{Filters: filter("status", "deprecated")}, nil},
	} {
		out, err := w.DescribeDBEngineVersions(w.ctx, &test.in)
		var got []string
		for _, v := range must(t, out, err).DBEngineVersions {
			got = append(got, *v.Engine+" "+*v.EngineVersion)
			if *v.SupportsReadReplica == strings.HasPrefix(*v.Engine, "aurora") { // clusters have readers
				t.Errorf("%s: %s is said to have read replicas: %t", test.what, *v.Engine, *v.SupportsReadReplica)
			}
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, want %q", test.what, got, test.want)
		}
	}
	_, err := w.DescribeDBEngineVersions(w.ctx, &shape.DescribeDBEngineVersionsInput{Filters: filter("color", "red")})
	refused(t, "an unknown filter", err, badValue, "color")
	w.Engines = func() []engine.Installation { return nil }
	if out, err := w.DescribeDBEngineVersions(w.ctx, &shape.DescribeDBEngineVersionsInput{}); err != nil || len(out.DBEngineVersions) != 0 || out.DBEngineVersions == nil {
		t.Errorf("with nothing installed: %v, %v", out, err)
	}
}

// All pages of what can be ordered are each class and storage once, and each order names
// what can be made.
func TestOrders(t *testing.T) {
	w := newWorld(t)
	in := &shape.DescribeOrderableDBInstanceOptionsInput{Engine: new("postgres"), EngineVersion: new("15.18")}
	seen := map[string]bool{}
	for pages := 0; ; pages++ {
		out, err := w.DescribeOrderableDBInstanceOptions(w.ctx, in)
		for _, o := range must(t, out, err).OrderableDBInstanceOptions {
			key := *o.DBInstanceClass + " " + *o.StorageType
			if _, ok := model.DBClassOf(*o.DBInstanceClass); !ok || seen[key] || len(o.AvailabilityZones) != 3 {
				t.Errorf("%s is offered, seen before: %t", key, seen[key])
			}
			if seen[key] = true; *o.ReadReplicaCapable == strings.HasPrefix(*o.Engine, "aurora") {
				t.Errorf("%s is said to have read replicas: %t", key, *o.ReadReplicaCapable)
			}
		}
		if in.Marker = out.Marker; in.Marker == nil {
			if pages == 0 {
				t.Error("there is one page only")
			}
			break
		}
	}
	if want := 2 * len(model.DBClasses()); len(seen) != want {
		t.Errorf("%d orders, want %d", len(seen), want)
	}
	out, err := w.DescribeOrderableDBInstanceOptions(w.ctx, &shape.DescribeOrderableDBInstanceOptionsInput{Engine: new("aurora-postgresql"), DBInstanceClass: new("db.r6g.large"), Vpc: new(true), LicenseModel: new("postgresql-license")})
	if n := len(must(t, out, err).OrderableDBInstanceOptions); n != 4 { // two versions, two kinds of storage
		t.Errorf("%d orders of one class", n)
	}
	whole, err := w.DescribeOrderableDBInstanceOptions(w.ctx, &shape.DescribeOrderableDBInstanceOptionsInput{Engine: new("postgres"), EngineVersion: new("15.18"), MaxRecords: new(int32(1000))})
	if n := len(must(t, whole, err).OrderableDBInstanceOptions); n != len(seen) || whole.Marker != nil {
		t.Errorf("%d orders on a large page", n)
	}
	for what, in := range map[string]shape.DescribeOrderableDBInstanceOptionsInput{
		"a class of none":      {Engine: new("postgres"), DBInstanceClass: new("db.serverless")},
		"a version of none":    {Engine: new("postgres"), EngineVersion: new("15.4")},
		"outside of VPCs":      {Engine: new("postgres"), Vpc: new(false)},
		"another license":      {Engine: new("postgres"), LicenseModel: new("bring-your-own-license")},
		"another zones' group": {Engine: new("postgres"), AvailabilityZoneGroup: new("us-west-2-lax-1")},
	} {
		if out, err := w.DescribeOrderableDBInstanceOptions(w.ctx, &in); err != nil || len(out.OrderableDBInstanceOptions) != 0 {
			t.Errorf("%s: %v, %v", what, out, err)
		}
	}
	_, err = w.DescribeOrderableDBInstanceOptions(w.ctx, &shape.DescribeOrderableDBInstanceOptionsInput{Engine: new("oracle-ee")})
	refused(t, "an engine that there is no driver for", err, badValue, "Invalid DB engine: oracle-ee")
}

func TestOptionGroups(t *testing.T) {
	w := newWorld(t)
	out, err := w.DescribeOptionGroups(w.ctx, &shape.DescribeOptionGroupsInput{})
	var names []string
	for _, g := range must(t, out, err).OptionGroupsList {
		names = append(names, *g.OptionGroupName)
	}
	if want := []string{"default:aurora-postgresql-15", "default:aurora-postgresql-17", "default:mariadb-10-11", "default:postgres-15", "default:postgres-17"}; !slices.Equal(names, want) {
		t.Errorf("groups are %q, want %q", names, want)
	}
	one, err := w.DescribeOptionGroups(w.ctx, &shape.DescribeOptionGroupsInput{EngineName: new("postgres"), MajorEngineVersion: new("15")})
	if n := len(must(t, one, err).OptionGroupsList); n != 1 {
		t.Errorf("%d of one version", n)
	}
	_, err = w.DescribeOptionGroups(w.ctx, &shape.DescribeOptionGroupsInput{OptionGroupName: new("mine")})
	refused(t, "an unknown one", err, "OptionGroupNotFoundFault", "mine")
	_, err = w.DescribeOptionGroups(w.ctx, &shape.DescribeOptionGroupsInput{MajorEngineVersion: new("15")})
	refused(t, "a version of no engine", err, badCombination, "EngineName")
}

// The authority is shown by the name that it is asked for with, and is the same one.
func TestCertificates(t *testing.T) {
	w := newWorld(t)
	show := func(name *string) shape.Certificate {
		t.Helper()
		out, err := w.DescribeCertificates(w.ctx, &shape.DescribeCertificatesInput{CertificateIdentifier: name})
		if n := len(must(t, out, err).Certificates); n != 1 || *out.DefaultCertificateForNewLaunches != "postern-ca-g1" {
			t.Fatalf("%d certificates", n)
		}
		return out.Certificates[0]
	}
	own := show(nil)
	if *own.CertificateIdentifier != "postern-ca-g1" || *own.CertificateType != "CA" || len(*own.Thumbprint) != 40 || !own.ValidTill.After(own.ValidFrom.AddDate(30, 0, 0)) {
		t.Errorf("the own one is %+v", own)
	}
	for _, name := range []string{"rds-ca-rsa2048-g1", "rds-ca-rsa4096-g1", "rds-ca-ecc384-g1"} {
		if c := show(&name); *c.CertificateIdentifier != name || *c.Thumbprint != *own.Thumbprint {
			t.Errorf("asked for %s: %s, the same certificate: %t", name, *c.CertificateIdentifier, *c.Thumbprint == *own.Thumbprint)
		}
	}
	_, err := w.DescribeCertificates(w.ctx, &shape.DescribeCertificatesInput{CertificateIdentifier: new("rds-ca-2019")})
	refused(t, "an unknown one", err, "CertificateNotFound", "rds-ca-2019")
	other, err := w.DescribeCertificates(w.other, &shape.DescribeCertificatesInput{})
	if *must(t, other, err).Certificates[0].Thumbprint == *own.Thumbprint {
		t.Error("another account has the same authority")
	}
}

// Quotas show what there is of each.
func TestAccountAttributes(t *testing.T) {
	w := newWorld(t)
	w.putCluster(t, "orders", "orders-1", "orders-2")
	w.createGroup(t, "mine", "postgres15")
	if _, err := w.createEndpoint("some", "ANY", nil, nil); err != nil {
		t.Fatal(err)
	}
	w.Quotas.DBClustersPerRegion = 7
	out, err := w.DescribeAccountAttributes(w.ctx, &shape.DescribeAccountAttributesInput{})
	used := map[string][2]int64{}
	for _, q := range must(t, out, err).AccountQuotas {
		used[*q.AccountQuotaName] = [2]int64{*q.Used, *q.Max}
	}
	for name, want := range map[string][2]int64{"DBInstances": {2, 40}, "DBClusters": {1, 7}, "DBParameterGroups": {1, 50}, "CustomEndpointsPerDBCluster": {1, 5}, "DBSubnetGroups": {0, 50}} {
		if used[name] != want {
			t.Errorf("%s: %v, want %v", name, used[name], want)
		}
	}
}
