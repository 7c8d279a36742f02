// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/table"
)

// replicated is two instances, of which the second is the read replica of the first, with a
// port of its own, and a third one that is neither.
func replicated() (rows []table.Row) {
	rows = append(rows,
		&model.VPC{Meta: meta("vpc-a"), CIDRs: []model.CIDRAssociation{{Prefix: prefix("10.0.0.0/16")}}},
		&model.Subnet{Meta: meta("subnet-a"), VPC: "vpc-a", CIDR: prefix("10.0.1.0/24")},
		&model.SecurityGroup{Meta: meta("sg-1"), VPC: "vpc-a", Rules: []model.SecurityGroupRule{{ID: "sgr-1", Protocol: "tcp", From: 5432, To: 5433, CIDR: prefix("10.9.0.0/16")}}})
	for n, d := range []model.DBInstance{
		{Database: model.Database{Port: 5432, Writer: "db-1", Epoch: 1, Secret: 1}}, {Database: model.Database{Port: 5433}, Source: "db-1"}, {Database: model.Database{Port: 5432, Writer: "db-3", Epoch: 1, Secret: 1}},
	} {
		n++
		d.Meta, d.Class, d.Subnet, d.Interface, d.Addr = meta(fmt.Sprintf("db-%d", n)), "db.t3.micro", "subnet-a", fmt.Sprintf("eni-%d", n), addr(fmt.Sprintf("10.0.1.8%d", n))
		d.Identifier, d.Engine, d.Version, d.VPC, d.MasterUser, d.Groups = fmt.Sprintf("orders-%d", n), "postgres", "15.18", "vpc-a", "boss", []string{"sg-1"}
		rows = append(rows, &d, &model.NetworkInterface{
			Meta: meta(d.Interface), VPC: "vpc-a", Subnet: "subnet-a", Type: model.InterfaceDatabase, Owner: d.ID, MAC: fmt.Sprintf("02:00:00:00:00:0%d", n),
			Addresses: []netip.Addr{d.Addr}, Groups: d.Groups, SourceDestCheck: true,
		})
	}
	return rows
}

// rulesOf gives what the class of an address admits.
func (w *world) rulesOf(a string) string {
	var in, out []string
	class := w.plan.held[desired.Address{VPC: "vpc-a", Addr: addr(a)}.Key()].effective().(desired.Address).Class
	c := w.plan.held[desired.Class{VPC: "vpc-a", Name: class}.Key()].effective().(desired.Class)
	for _, r := range c.In {
		in = append(in, r.String())
	}
	for _, r := range c.Out {
		out = append(out, r.String())
	}
	return "in " + strings.Join(in, " ") + " out " + strings.Join(out, " ")
}

// A read replica knows how to come to its source, which admits it; both reach each other
// whatever their groups say, at the ports of the databases, until it is promoted.
func TestAReplicaAndItsSourceReachEachOther(t *testing.T) {
	w := newNamedWorld(t)
	rows := replicated()
	w.put(t, rows...)
	one := rows[3].(*model.DBInstance)
	name := one.NameIn(databaseSuffix)
	const rest = "engine=postgres version=15.18"
	want := "database database:db-1 self vpc=vpc-a " + rest + " port=5432 user=boss secret=1 writer=db-1 epoch=1 replicas=db-2=10.0.1.82\n" +
		"database database:db-2 self vpc=vpc-a " + rest + " port=5433 user=boss source=db-1 source-name=" + name + " source-addr=10.0.1.81 source-port=5432\n" +
		"database database:db-3 self vpc=vpc-a " + rest + " port=5432 user=boss secret=1 writer=db-3 epoch=1\n"
	if diff := cmp.Diff(want, w.entriesOf(desired.KindDatabase)); diff != "" {
		t.Error(diff)
	}
	const own = "in 6/5432-5433@10.9.0.0/16"
	for a, want := range map[string]string{
		"10.0.1.81": "in 6/5432-5432@circle-db-1 6/5432-5433@10.9.0.0/16 out 6/-1--1@circle-db-1",
		"10.0.1.82": own + " 6/5433-5433@circle-db-1 out 6/-1--1@circle-db-1", "10.0.1.83": own + " out ",
	} {
		if got := w.rulesOf(a); got != want {
			t.Errorf("%s: %s, want %s", a, got, want)
		}
	}
	if diff := cmp.Diff("member vpc-a circle-db-1/10.0.1.81\nmember vpc-a circle-db-1/10.0.1.82\n", w.entriesOf(desired.KindMember)); diff != "" {
		t.Error(diff)
	}

	two := rows[5].(*model.DBInstance).Clone()
	two.Promote()
	w.put(t, two)
	want = strings.NewReplacer(" replicas=db-2=10.0.1.82", "", "source=db-1 source-name="+name+" source-addr=10.0.1.81 source-port=5432", "writer=db-2 epoch=1").Replace(want)
	if diff := cmp.Diff(want, w.entriesOf(desired.KindDatabase)); diff != "" {
		t.Errorf("promoted: %s", diff)
	}
	if left := w.entriesOf(desired.KindMember); left != "" || w.rulesOf("10.0.1.82") != own+" out " {
		t.Errorf("promoted it admits %s, and there are %s", w.rulesOf("10.0.1.82"), left)
	}
}

// Members of a cluster do, too.
func TestMembersOfAClusterReachEachOther(t *testing.T) {
	w := newNamedWorld(t)
	w.put(t, cluster()...)
	for _, a := range []string{"10.0.1.81", "10.0.1.82"} {
		if got := w.rulesOf(a); got != "in 6/5432-5432@circle-cluster-1 out 6/-1--1@circle-cluster-1" {
			t.Errorf("%s: %s", a, got)
		}
	}
}
