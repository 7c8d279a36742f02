// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// groupOfCluster is a parameter group for clusters, which has a table of its own.
type groupOfCluster struct{ *model.DBParameterGroup }

// database draws what has to do with databases. Instance 0 is in cluster 0, and others as a
// rule alone; snapshot 0 is the last one of cluster 0.
func (d drawer) database(kind int) table.Row {
	switch kind {
	case 0:
		c := &model.DBCluster{Meta: d.meta("cluster"), Database: d.whole(), ParameterGroup: d.one("pg", 0)}
		if d.odd("no last snapshot") == 0 {
			c.FinalSnapshot = d.one("final", 0)
		}
		return c
	case 1:
		return d.instance()
	case 2:
		ni := d.networkInterface(12+d.n, 0)
		ni.Type, ni.Owner, ni.SourceDestCheck = model.InterfaceDatabase, d.one("db", 0), true
		ni.Addresses = append([]netip.Addr{d.serverAddress()}, ni.Addresses...)
		return ni
	case 3:
		of := d.name("of", d.one("db", 0), d.one("cluster", 0), d.one("snap", 0))
		return &model.DatabaseState{Account: d.account(), Region: region, ID: of, Phase: d.phase()}
	case 4:
		s := &model.DBSnapshot{Meta: d.meta("snap"), Identifier: d.one("final", 0), Final: d.odd("not the last") == 0}
		s.Source = d.name("of", d.one("cluster", 0), d.one("db", 0))
		return s
	case 5:
		e := &model.DBClusterEndpoint{Meta: d.meta("own"), Cluster: d.one("cluster", 0), Readers: d.yes("readers only")}
		if d.yes("some only") {
			e.Static = []string{d.one("db", 0)}
		} else if d.yes("all but some") {
			e.Excluded = []string{d.one("db", 1)}
		}
		return e
	}
	g := &model.DBParameterGroup{Meta: d.meta("pg"), Parameters: map[string]model.DBParameter{}}
	for range d.number("parameters", 3) {
		g.Parameters[d.name("parameter", "work_mem", "log_statement")] = model.DBParameter{Value: d.name("value", "1", "2")}
	}
	if kind == 6 {
		return groupOfCluster{g}
	}
	return g
}

func (d drawer) phase() model.DatabasePhase {
	return model.DatabasePhase(d.name("phase", string(model.DatabaseAvailable), string(model.DatabaseCreating), string(model.DatabaseFailed), string(model.DatabaseModifying)))
}

func (d drawer) serverAddress() netip.Addr { return addr(fmt.Sprintf("10.0.1.8%d", d.n)) }

// whole draws what a database has as a whole.
func (d drawer) whole() model.Database {
	w := model.Database{
		Identifier: d.name("identifier", "orders", "users"), Engine: "aurora-postgresql", Version: "15.18", Port: 5432, VPC: d.one("vpc", 0),
		Writer: d.one("db", 0), Epoch: int64(d.odd("epoch")), Turn: int64(d.odd("turn")), Stopped: d.odd("stopped") == 1, Secret: int64(d.odd("secret")),
	}
	if d.odd("registered") == 1 {
		w.Registered = model.RegisteredDatabase{Ask: model.AskPostgres, Writer: d.name("own name", "pg.example.com.", ""), Reader: "pg.example.com."}
	}
	return w
}

func (d drawer) instance() *model.DBInstance {
	i := &model.DBInstance{
		Meta: d.meta("db"), Database: d.whole(), Class: d.name("class", "db.t3.micro", "other"), Interface: d.one("eni", 12), Addr: d.serverAddress(),
		ParameterGroup: d.one("pg", 0), PromotionTier: d.odd("tier"), Reboot: int64(d.odd("reboot")), DNS: d.name("own name", "", "one.example.com."),
	}
	if d.n == 0 || d.yes("in a cluster") {
		i.Cluster = d.one("cluster", 0)
	} else if d.yes("a replica") {
		i.Source, i.Writer = d.one("db", 0), ""
	}
	if d.odd("no last snapshot") == 0 {
		i.FinalSnapshot = d.one("final", 0)
	}
	if d.odd("no address") == 1 {
		i.Addr = netip.Addr{}
	}
	return i
}

// part has a configuration lead to a part of a database, now and then.
func (d drawer) part(rc *model.ResourceConfiguration) {
	if d.odd("leads to a database") == 0 {
		return
	}
	rc.Database = d.name("database", d.one("cluster", 0), d.one("db", 0))
	rc.Part = d.name("part", model.PartWriter, model.PartReader, model.PartMember, model.PartCustom)
	switch rc.Part {
	case model.PartMember:
		rc.Member = d.one("db", 0)
	case model.PartCustom:
		rc.Member = d.one("own", 0)
	}
}

// cluster is a cluster of two with an endpoint of its own, and where it is.
func cluster() []table.Row {
	server := func(n int) []table.Row {
		id, a := fmt.Sprintf("db-%d", n), addr(fmt.Sprintf("10.0.1.8%d", n))
		return []table.Row{
			&model.NetworkInterface{
				Meta: meta(fmt.Sprintf("eni-%d", n)), VPC: "vpc-a", Subnet: "subnet-a", Type: model.InterfaceDatabase, Owner: id, MAC: fmt.Sprintf("02:00:00:00:00:0%d", n),
				Addresses: []netip.Addr{a}, SourceDestCheck: true,
			},
			&model.DBInstance{
				Meta: meta(id), Database: model.Database{Identifier: fmt.Sprintf("orders-%d", n), Engine: "aurora-postgresql", Port: 5432, VPC: "vpc-a"},
				Cluster: "cluster-1", Class: "db.t3.micro", Subnet: "subnet-a", Interface: fmt.Sprintf("eni-%d", n), Addr: a, PromotionTier: n,
			},
		}
	}
	return slices.Concat([]table.Row{
		&model.VPC{Meta: meta("vpc-a"), CIDRs: []model.CIDRAssociation{{Prefix: prefix("10.0.0.0/16")}}, DNSSupport: true},
		&model.Subnet{Meta: meta("subnet-a"), VPC: "vpc-a", CIDR: prefix("10.0.1.0/24")},
		&model.DBCluster{
			Meta: meta("cluster-1"), ParameterGroup: "pg-1", Database: model.Database{
				Identifier: "orders", Engine: "aurora-postgresql", Version: "15.18", Port: 5432, VPC: "vpc-a", Name: "app", MasterUser: "admin", Secret: 1, Writer: "db-1", Epoch: 2,
			},
		},
		groupOfCluster{&model.DBParameterGroup{Meta: meta("pg-1"), Parameters: map[string]model.DBParameter{"work_mem": {Value: "4096"}, "log_statement": {Value: "all"}}}},
		&model.DBClusterEndpoint{Meta: meta("reports"), Cluster: "cluster-1", Readers: true},
	}, server(1), server(2))
}

// said is that an instance is in a phase.
func said(id string, phase model.DatabasePhase) *model.DatabaseState {
	return &model.DatabaseState{Account: account, Region: region, ID: id, Phase: phase}
}

// behind is that an instance is available, and what it shows is old.
func behind(id string) *model.DatabaseState {
	s := said(id, model.DatabaseAvailable)
	s.Behind = true
	return s
}

// entriesOf prints those entries of a plan that are of some kinds, one after the other.
func (w *world) entriesOf(kinds ...desired.Kind) string {
	var some []desired.Entry
	for _, e := range w.plan.Entries() {
		if slices.Contains(kinds, e.Key().Kind) {
			some = append(some, e)
		}
	}
	return desired.Text(some)
}

// namesOf gives the names of the cluster that are in entries and answers, by what they are.
func (w *world) namesOf() *strings.Replacer {
	c, _ := state.DBClusters.Get(w.last, account, region, "cluster-1")
	e, _ := state.DBClusterEndpoints.Get(w.last, account, region, "reports")
	pairs := []string{c.WriterName(databaseSuffix), "WRITER", c.ReaderName(databaseSuffix), "READER", e.NameIn(databaseSuffix), "REPORTS"}
	for _, id := range []string{"db-1", "db-2"} {
		i, _ := state.DBInstances.Get(w.last, account, region, id)
		pairs = append(pairs, i.NameIn(databaseSuffix), strings.ToUpper(id))
	}
	return strings.NewReplacer(pairs...)
}

// A member of a cluster is a server in a sandbox with an interface, and has a place in the
// cluster's database; it waits for all of that.
func TestAClusterIsServersInSandboxes(t *testing.T) {
	w := newNamedWorld(t)
	w.put(t, cluster()...)
	want := `database database:cluster-1 self vpc=vpc-a engine=aurora-postgresql version=15.18 port=5432 name=app user=admin secret=1 writer=db-1 epoch=2 params=log_statement=all,work_mem=4096 names=WRITER,READER,REPORTS
sandbox sandbox:db-1 self
sandbox sandbox:db-2 self
workload vpc-a eni-1 mac=02:00:00:00:00:01 addresses=10.0.1.81/24 gateway=10.0.1.1 device=eth0 namespace=realm:sandbox:db-1
workload vpc-a eni-2 mac=02:00:00:00:00:02 addresses=10.0.1.82/24 gateway=10.0.1.1 device=eth0 namespace=realm:sandbox:db-2
database-member database:cluster-1 db-1 name=DB-1 addr=10.0.1.81 tier=1 memory=1024
database-member database:cluster-1 db-2 name=DB-2 addr=10.0.1.82 tier=2 memory=1024
`
	if diff := cmp.Diff(want, w.namesOf().Replace(w.entriesOf(desired.KindDatabase, desired.KindSandbox, desired.KindWorkload, desired.KindDatabaseMember))); diff != "" {
		t.Error(diff)
	}
	waits := map[desired.Key]Subject{desired.Database{ID: "cluster-1"}.Key(): {SubjectDBCluster, ref("cluster-1")}}
	for _, n := range []string{"1", "2"} {
		for _, e := range []desired.Entry{
			desired.Sandbox{ID: "db-" + n}, desired.DatabaseMember{Database: "cluster-1", ID: "db-" + n}, desired.Workload{VPC: "vpc-a", ENI: "eni-" + n},
			desired.Address{VPC: "vpc-a", Addr: addr("10.0.1.8" + n)},
		} {
			waits[e.Key()] = Subject{SubjectDBInstance, ref("db-" + n)}
		}
	}
	for key, subject := range waits {
		if !contains(w.plan.Subjects(key), subject) {
			t.Errorf("%s does not wait for %s", subject.Ref.ID, key)
		}
	}
}

// The writer's name is the writer's, whatever becomes of it; readers' names are those of
// members that serve, one for each answer, and the writer's when none does.
func TestNamesOfADatabaseFollowWhoServes(t *testing.T) {
	w := newNamedWorld(t)
	w.put(t, cluster()...)
	third := &model.DBInstance{
		Meta: meta("db-3"), Database: model.Database{Identifier: "orders-3", Engine: "aurora-postgresql", Port: 5432, VPC: "vpc-a"}, Cluster: "cluster-1", Addr: addr("10.0.1.83"),
	}
	w.put(t, third, said("db-1", model.DatabaseAvailable), said("db-2", model.DatabaseCreating), said("db-3", model.DatabaseFailed))
	names := w.namesOf()
	answers := func() string {
		var lines []string
		for _, e := range w.plan.Entries() {
			r, is := e.(desired.NameRecord)
			if line := names.Replace(r.Name); is && r.Zone == "vpc-a/"+r.Name && strings.ToUpper(line) == line {
				lines = append(lines, fmt.Sprintf("%s %d %s", line, r.TTL, strings.Join(r.Data, ",")))
			}
		}
		slices.Sort(lines)
		return strings.Join(lines, "; ")
	}
	own := "DB-1 60 10.0.1.81; DB-2 60 10.0.1.82; "
	for _, step := range []struct {
		what string
		rows []table.Row
		want string
	}{
		{"no reader serves", nil, "READER 1 10.0.1.81; REPORTS 1 10.0.1.82; REPORTS 1 10.0.1.83; WRITER 1 10.0.1.81"},
		{"one does", []table.Row{said("db-2", model.DatabaseAvailable)}, "READER 1 10.0.1.82; REPORTS 1 10.0.1.82; WRITER 1 10.0.1.81"},
		{"both do", []table.Row{said("db-3", model.DatabaseModifying)}, "READER 1 10.0.1.82; READER 1 10.0.1.83; REPORTS 1 10.0.1.82; REPORTS 1 10.0.1.83; WRITER 1 10.0.1.81"},
		{"one of them is behind", []table.Row{behind("db-2")}, "READER 1 10.0.1.83; REPORTS 1 10.0.1.83; WRITER 1 10.0.1.81"},
		{"it has caught up", []table.Row{said("db-2", model.DatabaseAvailable)}, "READER 1 10.0.1.82; READER 1 10.0.1.83; REPORTS 1 10.0.1.82; REPORTS 1 10.0.1.83; WRITER 1 10.0.1.81"},
		{"the writer does not", []table.Row{said("db-1", model.DatabaseFailed)}, "READER 1 10.0.1.82; READER 1 10.0.1.83; REPORTS 1 10.0.1.82; REPORTS 1 10.0.1.83; WRITER 1 10.0.1.81"},
		{"another one writes", []table.Row{written(w, "db-2")}, "READER 1 10.0.1.83; REPORTS 1 10.0.1.83; WRITER 1 10.0.1.82"},
		{"a reader is deleted", []table.Row{deleted(third)}, "READER 1 10.0.1.82; REPORTS 1 10.0.1.81; WRITER 1 10.0.1.82"},
	} {
		w.put(t, step.rows...)
		if diff := cmp.Diff(own+step.want, answers()); diff != "" {
			t.Errorf("%s: %s", step.what, diff)
		}
	}
	views := 0
	for _, e := range w.plan.Entries() {
		if v, is := e.(desired.View); is && v.VPC == "vpc-a" && v.Zone != endpointZoneOf("vpc-a") {
			views++
		}
	}
	if views != 5 {
		t.Errorf("the VPC sees %d zones of names of databases, want one for each name", views)
	}
}

// written is the cluster with another writer.
func written(w *world, id string) *model.DBCluster {
	c, _ := state.DBClusters.Get(w.last, account, region, "cluster-1")
	c = c.Clone()
	c.Writer = id
	return c
}

func deleted(i *model.DBInstance) *model.DBInstance {
	i = i.Clone()
	i.Delete(time.Unix(2, 0))
	return i
}

// An instance that is to have a last snapshot stays until the snapshot is there, or is not
// to be any more. A cluster stays as long as it has instances.
func TestADatabaseWaitsForItsLastSnapshot(t *testing.T) {
	w := newNamedWorld(t)
	w.put(t, cluster()...)
	i, _ := state.DBInstances.Get(w.last, account, region, "db-1")
	alone := i.Clone()
	alone.Cluster, alone.FinalSnapshot = "", "last"
	w.put(t, alone)
	there := func(e desired.Entry) bool { return w.plan.held[e.Key()] != nil }
	if all := []bool{there(desired.Database{ID: "db-1"}), there(desired.DatabaseMember{Database: "db-1", ID: "db-1"}), there(desired.Sandbox{ID: "db-1"})}; slices.Contains(all, false) {
		t.Fatalf("of an instance that is in no cluster there is %v", all)
	}
	last := &model.DBSnapshot{Meta: meta("snap-1"), Identifier: "last", Source: "db-1", Final: true}
	other := &model.DBSnapshot{Meta: meta("snap-2"), Identifier: "last", Source: "db-2", Final: true}
	gone := last.Clone()
	gone.Delete(time.Unix(3, 0))
	w.put(t, deleted(alone), last, other)
	if e := (desired.Snapshot{ID: "snap-1"}); !there(e) || w.plan.held[e.Key()].effective().String() != "snapshot database:snap-1 self of=db-1" {
		t.Error("the snapshot is not taken")
	}
	for _, step := range []struct {
		rows  []table.Row
		stays bool
	}{
		{nil, true}, {[]table.Row{said("snap-1", model.DatabaseCreating)}, true}, {[]table.Row{said("snap-1", model.DatabaseAvailable)}, false},
		{[]table.Row{said("snap-1", model.DatabaseFailed)}, true}, {[]table.Row{gone}, false},
	} {
		w.put(t, step.rows...)
		for _, e := range []desired.Entry{
			desired.Database{ID: "db-1"}, desired.DatabaseMember{Database: "db-1", ID: "db-1"}, desired.Sandbox{ID: "db-1"}, desired.Workload{VPC: "vpc-a", ENI: "eni-1"},
			desired.Address{VPC: "vpc-a", Addr: addr("10.0.1.81")},
		} {
			if there(e) != step.stays {
				t.Errorf("after %v: that %s is there is %v", step.rows, e.Key(), !step.stays)
			}
		}
	}
	c := written(w, "db-2")
	c.Delete(time.Unix(4, 0))
	w.put(t, c)
	if !there(desired.Database{ID: "cluster-1"}) {
		t.Error("a cluster that is deleted goes before its last instance")
	}
	i, _ = state.DBInstances.Get(w.last, account, region, "db-2")
	if w.remove(t, i); there(desired.Database{ID: "cluster-1"}) {
		t.Error("a cluster that is deleted stays behind its last instance")
	}
}

// A configuration leads to a part of a database, whoever that is; and nowhere, when the
// part is gone.
func TestAConfigurationLeadsToAPartOfADatabase(t *testing.T) {
	w := newNamedWorld(t)
	w.put(t, cluster()...)
	w.put(t,
		&model.ResourceGateway{Meta: meta("rgw-1"), VPC: "vpc-a", Subnets: []string{"subnet-a"}},
		&model.NetworkInterface{Meta: meta("eni-9"), VPC: "vpc-a", Subnet: "subnet-a", Type: model.InterfaceGateway, Owner: "rgw-1", MAC: "02:00:00:00:00:09", Addresses: []netip.Addr{addr("10.0.1.50")}})
	target := model.TransitTarget{Interface: "eni-9", Zone: "us-east-1a"}
	const addrs = " addrs=db-1=10.0.1.81,db-2=10.0.1.82 port=5432"
	for _, c := range []struct{ database, part, member, want string }{
		{"cluster-1", model.PartWriter, "", "database=cluster-1 part=writer" + addrs},
		{"cluster-1", model.PartReader, "", "database=cluster-1 part=reader" + addrs},
		{"cluster-1", model.PartMember, "db-2", "database=cluster-1 part=member members=db-2" + addrs},
		{"db-2", model.PartMember, "db-2", "database=cluster-1 part=member members=db-2" + addrs},
		{"cluster-1", model.PartCustom, "reports", "database=cluster-1 part=reader" + addrs},
		{"cluster-1", model.PartMember, "db-7", ""}, {"cluster-1", model.PartCustom, "other", ""}, {"cluster-7", model.PartWriter, "", ""},
	} {
		rc := &model.ResourceConfiguration{
			Meta: meta("rcfg-1"), Type: model.TypeChild, Gateway: "rgw-1", Ports: []model.PortRange{{From: 5432, To: 5432}}, DNS: model.DNSResource{Name: "x.rds.example", Family: model.FamilyIPv4},
			Database: c.database, Part: c.part, Member: c.member, Targets: []model.TransitTarget{target},
		}
		w.put(t, rc)
		want := ""
		if c.want != "" {
			want = "follow-database vpc-a " + target.Addr(true).String() + " gateway=10.0.1.50 " + c.want + "\n"
		}
		if diff := cmp.Diff(want, w.entriesOf(desired.KindFollowDatabase, desired.KindFollow)); diff != "" {
			t.Errorf("%s %s of %s: %s", c.part, c.member, c.database, diff)
		}
		if problem := w.plan.Problem(Subject{SubjectConfiguration, ref("rcfg-1")}); (problem == "") != (c.want != "") {
			t.Errorf("%s %s of %s: against it is %q", c.part, c.member, c.database, problem)
		}
	}
}

// A database that exists without Postern is asked by way of the gateway that leads to it, or
// of another one of its VPC now and then, and by its own names in its VPC when somebody is
// known to have them. A server without one has one in RDS's form there, as it is described.
func TestARegisteredDatabaseIsWatched(t *testing.T) {
	w := newNamedWorld(t)
	rows := cluster()
	for _, row := range rows {
		switch row := row.(type) {
		case *model.DBCluster:
			row.Registered = model.RegisteredDatabase{Ask: model.AskPatroni, RESTPort: 8008, MaxLag: 1, Writer: "pg.example.com.", Reader: "ro.pg.example.com."}
			row.Writer = ""
		case *model.DBInstance:
			if row.Interface = ""; row.ID == "db-1" {
				row.DNS = "one.example.com."
			}
		}
	}
	w.put(t, slices.DeleteFunc(rows, func(row table.Row) bool { _, own := row.(*model.DBClusterEndpoint); return own })...)
	kinds := []desired.Kind{desired.KindWatch, desired.KindDatabase, desired.KindDatabaseMember, desired.KindSandbox}
	if text := w.entriesOf(kinds...); text != "" {
		t.Errorf("while there is no gateway there is %s", text)
	}
	w.put(t,
		&model.ResourceGateway{Meta: meta("rgw-0"), VPC: "vpc-a"},
		&model.NetworkInterface{Meta: meta("eni-8"), VPC: "vpc-a", Subnet: "subnet-a", Type: model.InterfaceGateway, Owner: "rgw-0", Addresses: []netip.Addr{addr("10.0.1.40")}})
	want := "watch database:cluster-1 self vpc=vpc-a gateway=10.0.1.40 ask=patroni members=db-1=10.0.1.81,db-2=10.0.1.82 port=5432 rest=8008 max-lag=1 secret=1 seldom=yes\n"
	if diff := cmp.Diff(want, w.entriesOf(kinds...)); diff != "" {
		t.Errorf("while nobody leads to it: %s", diff)
	}
	w.put(t,
		&model.NetworkInterface{Meta: meta("eni-9"), VPC: "vpc-a", Subnet: "subnet-a", Type: model.InterfaceGateway, Owner: "rgw-1", Addresses: []netip.Addr{addr("10.0.1.50")}},
		&model.ResourceConfiguration{Meta: meta("rcfg-1"), Type: model.TypeChild, Gateway: "rgw-1", Database: "cluster-1", Part: model.PartWriter, Targets: []model.TransitTarget{{Interface: "eni-9"}}})
	want = "watch database:cluster-1 self vpc=vpc-a gateway=10.0.1.50 ask=patroni members=db-1=10.0.1.81,db-2=10.0.1.82 port=5432 rest=8008 max-lag=1 secret=1\n"
	if diff := cmp.Diff(want, w.entriesOf(kinds...)); diff != "" {
		t.Error(diff)
	}
	named := func() (names []string) {
		for _, e := range w.plan.Entries() {
			if r, is := e.(desired.NameRecord); is {
				names = append(names, r.Name+" "+strings.Join(r.Data, ","))
			}
		}
		slices.Sort(names)
		return names
	}
	second := model.DBInstance{Meta: meta("db-2"), Database: model.Database{Identifier: "orders-2"}}
	own := []string{"one.example.com. 10.0.1.81", second.NameIn(w.plan.domains.Databases) + " 10.0.1.82"}
	if diff := cmp.Diff(own, named()); diff != "" {
		t.Error(diff)
	}
	w.put(t, written(w, "db-2"))
	if diff := cmp.Diff(append(own, "pg.example.com. 10.0.1.82", "ro.pg.example.com. 10.0.1.82"), named()); diff != "" {
		t.Error(diff)
	}
}
