// SPDX-License-Identifier: Apache-2.0

package postern

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	shape "github.com/posternhq/postern/internal/aws/shape/postern"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/seal"
	"github.com/posternhq/postern/internal/service/servicetest"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

func databaseInput() *shape.RegisterDatabaseInput {
	return &shape.RegisterDatabaseInput{
		Identifier: new("Shop"), Engine: new("postgres"), Ask: new("postgres"), VpcId: new("vpc-db"), Port: new(int32(5432)), User: new("postern"), Password: new("s3cret"),
		WriterName: new("pg.prod.internal"), Members: []shape.DatabaseMember{{Address: new("10.0.1.20"), Name: new("one.pg.prod.internal")}, {Identifier: new("two"), Address: new("10.0.1.21")}},
	}
}

// A registered database is asked as another role, with another password, at once; nobody is
// told of it, and what was not given stays.
func TestARegisteredDatabaseIsAskedInAnotherWay(t *testing.T) {
	f := newFixture(t)
	f.put(t, func(tx *table.Txn) {
		state.VPCs.Put(tx, &model.VPC{Meta: model.Meta{Account: servicetest.Account, Region: servicetest.Region, ID: "vpc-db"}})
		state.DBClusters.Put(tx, &model.DBCluster{Meta: model.Meta{Account: servicetest.Account, Region: servicetest.Region, ID: "cluster-M"}, Database: model.Database{Identifier: "managed"}})
	})
	made, err := f.api.RegisterDatabase(f.ctx, databaseInput())
	if err != nil {
		t.Fatal(err)
	}
	if made.Reason == nil || !strings.Contains(*made.Reason, "not asked") {
		t.Errorf("of a database that nothing leads to it is said %v", made.Reason)
	}
	row := func() *model.DBCluster {
		c, _ := state.DBClusters.Get(f.DB.Snapshot(), servicetest.Account, servicetest.Region, *made.ResourceId)
		return c
	}
	type input = shape.UpdateRegisteredDatabaseInput
	before := row()
	for name, c := range map[string]struct {
		code string
		in   input
	}{
		"one that is managed":          {"ConflictException", input{Identifier: new("managed"), User: new("x")}},
		"none":                         {"ResourceNotFoundException", input{Identifier: new("none"), User: new("x")}},
		"nobody to ask as":             {"ValidationException", input{Identifier: new("shop"), User: new("")}},
		"an authority that is no PEM":  {"ValidationException", input{Identifier: new("shop"), CertificateAuthority: new("no certificate")}},
		"Patroni's port where none is": {"ValidationException", input{Identifier: new("shop"), RestPort: new(int32(8008))}},
		"a lag that is none":           {"ValidationException", input{Identifier: new("shop"), MaxLag: new(int64(-1))}},
	} {
		f.refused(t, name, c.code, func() error { _, err := f.api.UpdateRegisteredDatabase(f.ctx, &c.in); return err })
	}
	f.refused(t, "another account's", "ResourceNotFoundException", func() error {
		_, err := f.api.UpdateRegisteredDatabase(f.other, &input{Identifier: new("shop"), User: new("x")})
		return err
	})
	if diff := cmp.Diff(before, row()); diff != "" {
		t.Fatalf("a refused request changed something: %s", diff)
	}
	if _, err := f.api.UpdateRegisteredDatabase(f.ctx, &input{Identifier: new("SHOP"), Password: new("0ther"), MaxLag: new(int64(7))}); err != nil {
		t.Fatal(err)
	}
	now := row()
	if opened, err := f.Seal.OpenText(seal.DatabasePassword, now.Registered.Password, now.ID); err != nil || string(opened) != "0ther" {
		t.Errorf("the password is %q, %v", opened, err)
	}
	if now.Secret <= before.Secret || now.Registered.User != "postern" || now.Registered.MaxLag != 7 || now.Registered.Writer != before.Registered.Writer {
		t.Errorf("the row is %+v", now.Database)
	}
	if strings.Contains(fmt.Sprint(f.Dump(t)), "0ther") {
		t.Error("the rows have the password")
	}
	if _, err := f.api.UpdateRegisteredDatabase(f.ctx, &input{Identifier: new("shop"), Password: new(""), User: new("other")}); err != nil {
		t.Fatal(err)
	}
	if now := row(); now.Registered.Password != "" || now.Registered.User != "other" {
		t.Errorf("the row is %+v", now.Database)
	}
}

// What exists already becomes a cluster of its servers, whose password nobody is told and
// the rows have sealed only.
func TestADatabaseIsRegistered(t *testing.T) {
	f := newFixture(t)
	f.put(t, func(tx *table.Txn) {
		state.VPCs.Put(tx, &model.VPC{Meta: model.Meta{Account: servicetest.Account, Region: servicetest.Region, ID: "vpc-db"}})
		state.DBClusters.Put(tx, &model.DBCluster{Meta: model.Meta{Account: servicetest.Account, Region: servicetest.Region, ID: "cluster-M"}, Database: model.Database{Identifier: "managed"}})
	})
	made, err := f.api.RegisterDatabase(f.ctx, databaseInput())
	if err != nil {
		t.Fatal(err)
	}
	if *made.Identifier != "shop" || *made.Arn != "arn:aws:rds:"+servicetest.Region+":"+servicetest.Account+":cluster:shop" || *made.WriterName != "pg.prod.internal" ||
		!strings.HasPrefix(*made.ReaderName, "shop.cluster-ro-") || len(made.Members) != 2 || *made.Members[0].Identifier != "shop-1" || *made.Members[0].Name != "one.pg.prod.internal" {
		t.Errorf("made is %+v", made)
	}
	row, _ := state.DBClusters.Get(f.DB.Snapshot(), servicetest.Account, servicetest.Region, *made.ResourceId)
	if opened, err := f.Seal.OpenText(seal.DatabasePassword, row.Registered.Password, row.ID); err != nil || string(opened) != "s3cret" {
		t.Errorf("the password is %q, %v", opened, err)
	}
	if strings.Contains(fmt.Sprint(f.Dump(t)), "s3cret") {
		t.Error("the rows have the password")
	}
	list, err := f.api.ListRegisteredDatabases(f.ctx, &shape.ListRegisteredDatabasesInput{})
	if err != nil || len(list.Databases) != 1 || cmp.Diff(shape.RegisteredDatabase(*made), list.Databases[0]) != "" {
		t.Errorf("listed are %+v, %v", list, err)
	}
	if s := list.Databases[0]; *s.Status != "incompatible-network" || !strings.Contains(*s.Reason, "there is no resource gateway in vpc-db") || *s.Members[1].Status != *s.Status {
		t.Errorf("before there is a gateway it is %+v", s)
	}
	f.put(t, func(tx *table.Txn) {
		own := func(id string) model.Meta {
			return model.Meta{Account: servicetest.Account, Region: servicetest.Region, ID: id}
		}
		state.ResourceGateways.Put(tx, &model.ResourceGateway{Meta: own("rgw-1"), VPC: "vpc-db"})
		state.NetworkInterfaces.Put(tx, &model.NetworkInterface{Meta: own("eni-1"), VPC: "vpc-db", Type: model.InterfaceGateway, Owner: "rgw-1"})
	})
	if list, err = f.api.ListRegisteredDatabases(f.ctx, &shape.ListRegisteredDatabasesInput{}); err != nil || *list.Databases[0].Status != "creating" || list.Databases[0].Reason != nil {
		t.Errorf("until it was asked it is %+v, %v", list.Databases[0], err)
	}
	if other, err := f.api.ListRegisteredDatabases(f.other, &shape.ListRegisteredDatabasesInput{}); err != nil || len(other.Databases) > 0 {
		t.Errorf("another account lists %+v, %v", other, err)
	}
	type input = shape.RegisterDatabaseInput
	for name, c := range map[string]struct {
		code string
		edit func(*input)
	}{
		"a name that is taken":               {"ConflictException", func(*input) {}},
		"a member's name that is taken":      {"ConflictException", func(in *input) { in.Identifier, in.Members[0].Identifier = new("other"), new("shop-1") }},
		"no such VPC":                        {"ResourceNotFoundException", func(in *input) { in.Identifier, in.VpcId = new("other"), new("vpc-none") }},
		"an engine that is asked otherwise":  {"ValidationException", func(in *input) { in.Engine = new("mysql") }},
		"port 0":                             {"ValidationException", func(in *input) { in.Port = new(int32(0)) }},
		"nobody to ask as":                   {"ValidationException", func(in *input) { in.User = nil }},
		"an address that is none":            {"ValidationException", func(in *input) { in.Members[0].Address = new("db.example.com") }},
		"the host's own address":             {"ValidationException", func(in *input) { in.Members[0].Address = new("127.0.0.1") }},
		"an address between VPCs":            {"ValidationException", func(in *input) { in.Members[0].Address = new("240.4.0.1") }},
		"one address twice":                  {"ValidationException", func(in *input) { in.Members[1].Address = in.Members[0].Address }},
		"addresses of two families":          {"ValidationException", func(in *input) { in.Members[1].Address = new("2001:db8::1") }},
		"one identifier twice":               {"ValidationException", func(in *input) { in.Members[1].Identifier = new("Shop-1") }},
		"a member that says who it is":       {"ValidationException", func(in *input) { in.Members[0].Writer = new(true) }},
		"one name for writer and reader":     {"ValidationException", func(in *input) { in.ReaderName = in.WriterName }},
		"one name for writer and member":     {"ValidationException", func(in *input) { in.Members[0].Name = in.WriterName }},
		"a name of one label":                {"ValidationException", func(in *input) { in.WriterName = new("pg") }},
		"an authority that is no PEM":        {"ValidationException", func(in *input) { in.CertificateAuthority = new("no certificate") }},
		"a lag that is none":                 {"ValidationException", func(in *input) { in.MaxLag = new(int64(-1)) }},
		"a password for a port":              {"ValidationException", func(in *input) { in.Ask = new("tcp") }},
		"Patroni's port of what it does not": {"ValidationException", func(in *input) { in.RestPort = new(int32(8008)) }},
	} {
		in := databaseInput()
		c.edit(in)
		f.refused(t, name, c.code, func() error { _, err := f.api.RegisterDatabase(f.ctx, in); return err })
	}
	for name, code := range map[string]string{"managed": "ConflictException", "none": "ResourceNotFoundException"} {
		f.refused(t, "deregistering "+name, code, func() error {
			_, err := f.api.DeregisterDatabase(f.ctx, &shape.DeregisterDatabaseInput{Identifier: &name})
			return err
		})
	}
	if _, err := f.api.DeregisterDatabase(f.ctx, &shape.DeregisterDatabaseInput{Identifier: new("shop")}); err != nil {
		t.Fatal(err)
	}
	tx := f.DB.Snapshot()
	for range state.DBInstances.All(tx) {
		t.Error("a member outlives its database")
	}
	for range state.DatabaseStates.All(tx) {
		t.Error("something is said of a database that is not known")
	}
}
