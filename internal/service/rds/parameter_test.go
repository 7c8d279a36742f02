// SPDX-License-Identifier: Apache-2.0

package rds

import (
	"maps"
	"slices"
	"testing"

	shape "github.com/posternhq/postern/internal/aws/shape/rds"
	"github.com/posternhq/postern/internal/engine"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

func (w *world) createGroup(t *testing.T, name, family string) shape.DBParameterGroup {
	t.Helper()
	out, err := w.CreateDBParameterGroup(w.ctx, &shape.CreateDBParameterGroupInput{DBParameterGroupName: &name, DBParameterGroupFamily: &family, Description: new("for tests")})
	return *must(t, out, err).DBParameterGroup
}

func setting(name, value, method string) shape.Parameter {
	return shape.Parameter{ParameterName: &name, ParameterValue: &value, ApplyMethod: &method}
}

func (w *world) modify(name string, list ...shape.Parameter) error {
	_, err := w.ModifyDBParameterGroup(w.ctx, &shape.ModifyDBParameterGroupInput{DBParameterGroupName: &name, Parameters: list})
	return err
}

// parameters gives what a group has from a source, as name=value (apply method).
func (w *world) parameters(t *testing.T, name, source string) (list []string) {
	t.Helper()
	in := &shape.DescribeDBParametersInput{DBParameterGroupName: &name, MaxRecords: new(int32(20))}
	if source != "" {
		in.Source = &source
	}
	for {
		out, err := w.DescribeDBParameters(w.ctx, in)
		for _, p := range must(t, out, err).Parameters {
			list = append(list, *p.ParameterName+"="+service.Value(p.ParameterValue)+" ("+*p.ApplyMethod+")")
		}
		if in.Marker = out.Marker; in.Marker == nil {
			return list
		}
	}
}

// What users set is shown as theirs, and nothing else is, as clients that compare need it;
// what is reset is the default again.
func TestParametersOfUsers(t *testing.T) {
	w := newWorld(t)
	g := w.createGroup(t, "Orders", "postgres15")
	if *g.DBParameterGroupName != "orders" || *g.DBParameterGroupArn != "arn:aws:rds:us-east-1:111122223333:pg:orders" {
		t.Errorf("made %+v", g)
	}
	expect := func(when string, want ...string) {
		t.Helper()
		if got := w.parameters(t, "ORDERS", "user"); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", when, got, want)
		}
	}
	expect("at first")
	all := w.parameters(t, "orders", "")
	if len(all) != len(engine.Parameters("postgres15")) || !slices.IsSorted(all) {
		t.Errorf("all are %d, the engine has %d", len(all), len(engine.Parameters("postgres15")))
	}
	if err := w.modify("orders", setting("work_mem", "8192", "immediate"), setting("max_connections", "50", "pending-reboot")); err != nil {
		t.Fatal(err)
	}
	expect("two set", "max_connections=50 (pending-reboot)", "work_mem=8192 (immediate)")
	if n := len(w.parameters(t, "orders", "engine-default")); n != len(all)-2 {
		t.Errorf("%d have their defaults, of %d", n, len(all))
	}
	if err := w.modify("orders", setting("work_mem", "4096", "pending-reboot")); err != nil {
		t.Fatal(err)
	}
	expect("one set anew", "max_connections=50 (pending-reboot)", "work_mem=4096 (pending-reboot)")
	_, err := w.CopyDBParameterGroup(w.ctx, &shape.CopyDBParameterGroupInput{
		SourceDBParameterGroupIdentifier: new("arn:aws:rds:us-east-1:111122223333:pg:orders"), TargetDBParameterGroupIdentifier: new("copy"), TargetDBParameterGroupDescription: new("d"),
	})
	if err != nil {
		t.Fatal(err)
	}
	reset := &shape.ResetDBParameterGroupInput{DBParameterGroupName: new("orders"), Parameters: []shape.Parameter{{ParameterName: new("work_mem"), ApplyMethod: new("immediate")}}}
	if _, err := w.ResetDBParameterGroup(w.ctx, reset); err != nil {
		t.Fatal(err)
	}
	expect("one reset", "max_connections=50 (pending-reboot)")
	if _, err := w.ResetDBParameterGroup(w.ctx, &shape.ResetDBParameterGroupInput{DBParameterGroupName: new("orders"), ResetAllParameters: new(true)}); err != nil {
		t.Fatal(err)
	}
	expect("all reset")
	if got := w.parameters(t, "copy", "user"); len(got) != 2 {
		t.Errorf("the copy has %q", got)
	}
	events, err := w.DescribeEvents(w.ctx, &shape.DescribeEventsInput{SourceType: new("db-parameter-group"), SourceIdentifier: new("orders")})
	if n := len(must(t, events, err).Events); n != 5 {
		t.Errorf("%d events of the group, want one for each change of a parameter and one for all", n)
	}
}

// Requests that cannot be carried out whole change nothing.
func TestParametersThatAreRefused(t *testing.T) {
	w := newWorld(t)
	w.createGroup(t, "orders", "postgres15")
	w.createGroup(t, "members", "aurora-postgresql15")
	if err := w.modify("orders", setting("work_mem", "8192", "immediate")); err != nil {
		t.Fatal(err)
	}
	before := w.base.Dump(t)
	good := setting("work_mem", "70", "immediate")
	many := slices.Repeat([]shape.Parameter{good}, 21)
	for _, test := range []struct {
		what, code, words string
		err               error
	}{
		{"an unknown one", badValue, "Could not find parameter with name: data_directory", w.modify("orders", good, setting("data_directory", "/", "immediate"))},
		{"out of range", badValue, "allowed values are: ", w.modify("orders", good, setting("max_connections", "0", "pending-reboot"))},
		{"no number", badValue, "allowed values are: ", w.modify("orders", setting("work_mem", "1MB", "immediate"))},
		{"a formula", badValue, "Formulas", w.modify("orders", setting("work_mem", "{DBInstanceClassMemory/1024}", "immediate"))},
		{"static at once", badCombination, "static parameter", w.modify("orders", good, setting("max_connections", "50", "immediate"))},
		{"twice", badValue, "twice", w.modify("orders", good, good)},
		{"too many", badValue, "at most 20", w.modify("orders", many...)},
		{"none", "MissingParameter", "Parameters", w.modify("orders")},
		{"no name", "MissingParameter", "ParameterName", w.modify("orders", shape.Parameter{ApplyMethod: new("immediate")})},
		{"no value", "MissingParameter", "ParameterValue", w.modify("orders", shape.Parameter{ParameterName: new("work_mem"), ApplyMethod: new("immediate")})},
		{"no method", "MissingParameter", "ApplyMethod", w.modify("orders", shape.Parameter{ParameterName: new("work_mem"), ParameterValue: new("70")})},
		{"one of the whole cluster, for a member", badValue, "Could not find", w.modify("members", setting("max_connections", "50", "pending-reboot"))},
		{"a default group", "InvalidDBParameterGroupState", "Default DBParameterGroup cannot be modified", w.modify("default.postgres15", good)},
		{"no group", "DBParameterGroupNotFound", "DBParameterGroup not found: none", w.modify("none", good)},
	} {
		refused(t, test.what, test.err, test.code, test.words)
	}
	_, err := w.ModifyDBParameterGroup(w.other, &shape.ModifyDBParameterGroupInput{DBParameterGroupName: new("orders"), Parameters: []shape.Parameter{good}})
	refused(t, "another account's", err, "DBParameterGroupNotFound", "")
	_, err = w.ResetDBParameterGroup(w.ctx, &shape.ResetDBParameterGroupInput{DBParameterGroupName: new("orders"), ResetAllParameters: new(true), Parameters: []shape.Parameter{good}})
	refused(t, "all and some", err, badCombination, "")
	_, err = w.DescribeDBParameters(w.ctx, &shape.DescribeDBParametersInput{DBParameterGroupName: new("orders"), Source: new("User")})
	refused(t, "an unknown source", err, badValue, "Source")
	if after := w.base.Dump(t); !maps.Equal(before, after) {
		t.Error("a refused request changed something")
	}
}

// Groups of clusters have what all members must have alike, and those of lone instances too.
func TestParametersOfClusters(t *testing.T) {
	w := newWorld(t)
	_, err := w.CreateDBClusterParameterGroup(w.ctx, &shape.CreateDBClusterParameterGroupInput{DBClusterParameterGroupName: new("all"), DBParameterGroupFamily: new("aurora-postgresql15"), Description: new("d")})
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.CreateDBClusterParameterGroup(w.ctx, &shape.CreateDBClusterParameterGroupInput{DBClusterParameterGroupName: new("lone"), DBParameterGroupFamily: new("postgres15"), Description: new("d")})
	refused(t, "a family without clusters", err, badValue, "aurora-postgresql15, aurora-postgresql17")
	_, err = w.ModifyDBClusterParameterGroup(w.ctx, &shape.ModifyDBClusterParameterGroupInput{DBClusterParameterGroupName: new("all"), Parameters: []shape.Parameter{setting("max_connections", "50", "pending-reboot")}})
	if err != nil {
		t.Fatal(err)
	}
	out, err := w.DescribeDBClusterParameters(w.ctx, &shape.DescribeDBClusterParametersInput{DBClusterParameterGroupName: new("all"), Source: new("user")})
	if list := must(t, out, err).Parameters; len(list) != 1 || *list[0].ParameterValue != "50" || *list[0].ApplyType != "static" || !*list[0].IsModifiable || list[0].SupportedEngineModes[0] != "provisioned" {
		t.Errorf("the cluster's are %+v", list)
	}
	defaults := func(of func(string) (*shape.EngineDefaults, error), family string) map[string]bool {
		d, err := of(family)
		names := map[string]bool{}
		for _, p := range must(t, d, err).Parameters {
			names[*p.ParameterName] = true
		}
		return names
	}
	filter := []shape.Filter{{Name: new("parameter-name"), Values: []string{"max_connections", "work_mem"}}}
	ofInstances := func(family string) (*shape.EngineDefaults, error) {
		out, err := w.DescribeEngineDefaultParameters(w.ctx, &shape.DescribeEngineDefaultParametersInput{DBParameterGroupFamily: &family, Filters: filter})
		if err != nil {
			return nil, err
		}
		return out.EngineDefaults, nil
	}
	ofClusters := func(family string) (*shape.EngineDefaults, error) {
		out, err := w.DescribeEngineDefaultClusterParameters(w.ctx, &shape.DescribeEngineDefaultClusterParametersInput{DBParameterGroupFamily: &family, Filters: filter})
		if err != nil {
			return nil, err
		}
		return out.EngineDefaults, nil
	}
	for what, got := range map[string]struct {
		have map[string]bool
		want map[string]bool
	}{
		"members":        {defaults(ofInstances, "aurora-postgresql15"), map[string]bool{"work_mem": true}},
		"clusters":       {defaults(ofClusters, "aurora-postgresql15"), map[string]bool{"work_mem": true, "max_connections": true}},
		"lone instances": {defaults(ofInstances, "postgres15"), map[string]bool{"work_mem": true, "max_connections": true}},
	} {
		if !maps.Equal(got.have, got.want) {
			t.Errorf("%s have %v, want %v", what, got.have, got.want)
		}
	}
	_, err = ofInstances("postgres9")
	refused(t, "a family that is not installed", err, badValue, "postgres15")
}

// Groups are listed with the default ones of what is installed, and are deleted when
// nothing has them.
func TestParameterGroups(t *testing.T) {
	w := newWorld(t)
	w.createGroup(t, "orders", "postgres15")
	_, err := w.CreateDBParameterGroup(w.ctx, &shape.CreateDBParameterGroupInput{DBParameterGroupName: new("ORDERS"), DBParameterGroupFamily: new("postgres17"), Description: new("d")})
	refused(t, "a name that is taken", err, "DBParameterGroupAlreadyExists", "orders")
	for _, bad := range []string{"", "1st", "a_b", "a--b", "a-", "default.postgres15"} {
		_, err := w.CreateDBParameterGroup(w.ctx, &shape.CreateDBParameterGroupInput{DBParameterGroupName: &bad, DBParameterGroupFamily: new("postgres15"), Description: new("d")})
		refused(t, "name "+bad, err, badValue, "DBParameterGroupName")
	}
	_, err = w.CreateDBParameterGroup(w.ctx, &shape.CreateDBParameterGroupInput{DBParameterGroupName: new("other"), DBParameterGroupFamily: new("mysql8.0"), Description: new("d")})
	refused(t, "a family that is not installed", err, badValue, "mysql8.0 is not a valid parameter group family")
	out, err := w.DescribeDBParameterGroups(w.ctx, &shape.DescribeDBParameterGroupsInput{})
	var names []string
	for _, g := range must(t, out, err).DBParameterGroups {
		names = append(names, *g.DBParameterGroupName)
	}
	want := []string{"default.aurora-postgresql15", "default.aurora-postgresql17", "default.mariadb10.11", "default.postgres15", "default.postgres17", "orders"}
	if !slices.Equal(names, want) {
		t.Errorf("groups are %q, want %q", names, want)
	}
	if out, err := w.DescribeDBParameterGroups(w.other, &shape.DescribeDBParameterGroupsInput{DBParameterGroupName: new("default.postgres15")}); err != nil || *out.DBParameterGroups[0].DBParameterGroupArn != "arn:aws:rds:us-east-1:444455556666:pg:default.postgres15" {
		t.Errorf("another account's default group: %v, %v", out, err)
	}
	_, err = w.DescribeDBParameterGroups(w.other, &shape.DescribeDBParameterGroupsInput{DBParameterGroupName: new("orders")})
	refused(t, "another account's group", err, "DBParameterGroupNotFound", "orders")

	w.put(t, func(tx *table.Txn) {
		i := &model.DBInstance{Meta: metaOf("db-1"), ParameterGroup: "orders"}
		i.Identifier, i.VPC = "shop", "vpc-1"
		state.DBInstances.Put(tx, i)
	})
	remove := func(name string) error {
		_, err := w.DeleteDBParameterGroup(w.ctx, &shape.DeleteDBParameterGroupInput{DBParameterGroupName: &name})
		return err
	}
	refused(t, "one that an instance has", remove("orders"), "InvalidDBParameterGroupState", "shop")
	refused(t, "a default one", remove("default.postgres15"), "InvalidDBParameterGroupState", "cannot be deleted")
	w.put(t, func(tx *table.Txn) { state.DBInstances.Delete(tx, metaOf("").Account, metaOf("").Region, "db-1") })
	if err := remove("orders"); err != nil {
		t.Error(err)
	}
	refused(t, "one that is gone", remove("orders"), "DBParameterGroupNotFound", "DBParameterGroup not found: orders")
	w.Quotas.DBParameterGroupsPerRegion = 1
	w.createGroup(t, "one", "postgres15")
	_, err = w.CreateDBParameterGroup(w.ctx, &shape.CreateDBParameterGroupInput{DBParameterGroupName: new("two"), DBParameterGroupFamily: new("postgres15"), Description: new("d")})
	refused(t, "one too many", err, "DBParameterGroupQuotaExceeded", "1")
}
