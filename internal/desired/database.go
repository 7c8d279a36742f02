// SPDX-License-Identifier: Apache-2.0

package desired

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Sandbox is a network namespace for one program that the host runs, such as a database
// server. It filters and forwards nothing, its loopback interface is up, and a Workload
// entry with this realm as its namespace gives it its interface.
type Sandbox struct {
	ID string
	// VPC is whose router it is at, for who speaks of it; it is no part of the state.
	VPC string
	// Local are blocks of which each address is at home there, beside those of its
	// interface: a program that listens at all addresses is told which one a connection
	// came to. Their order says nothing.
	Local []netip.Prefix
}

// KindSandbox is the kind of Sandbox. Connections end with the workload's addresses.
var KindSandbox = ours(Description[Sandbox]{
	Name: "sandbox", Stage: StageRealm, Sort: Sandboxes, Spell: (*Sandbox).spell, Ends: EndsNothing[Sandbox], Turns: TurnsNothing[Sandbox], Root: true,
	Examples: []Sandbox{{ID: "db-1", VPC: "vpc-1", Local: []netip.Prefix{netip.MustParsePrefix("100.64.0.0/13"), netip.MustParsePrefix("fd00::/96")}}},
})

// Key implements Entry.
func (b Sandbox) Key() Key { return Key{SandboxRealm(b.ID), KindSandbox, rootID} }

// String implements Entry.
func (b Sandbox) String() string {
	s := spell(make([]byte, 0, usual), b.Key())
	b.spell(&s)
	return s.String()
}

func (b *Sandbox) spell(s *Spelling) {
	b.Local = sorted(b.Local, netip.Prefix.Compare)
	s.Realm(&b.ID)
	s.self()
	s.Prefixes("local", &b.Local)
	s.Notes()
	s.Name("vpc", &b.VPC)
}

// Database is a database that the host runs: what its servers, the DatabaseMembers of its
// realm, have in common. Putting one is done when the host knows of it; how far it is is
// told apart from that.
type Database struct {
	ID string
	// VPC is where its members are.
	VPC string
	// Engine and Version are in the words of RDS.
	Engine, Version string
	Port            uint16
	// Name is that of the database that is made with it, User the master user. Secret
	// counts the changes of that user's password, which is no part of entries.
	Name, User string
	Secret     int64
	// Writer is the id of the member that takes writes, as it was decided last; Epoch counts
	// the decisions. The host may have decided again since.
	Writer string
	Epoch  int64
	// Turn counts the requests to have another writer, Prefer is the member that the last
	// one named, if any.
	Turn   int64
	Prefer string
	// Stopped says that no server is to run.
	Stopped bool
	// Params are the parameters of all members, as name=value. Their order says nothing.
	Params []string
	// Names are those by which clients may call any member, beside the member's own name.
	// Their order says nothing.
	Names []string
	// From is the id of the snapshot that it begins as; empty for none.
	From string
	// Authority is the id of who signs the certificates.
	Authority string
	// Source is the id of the database that this one is a read replica of, whose server has
	// the name SourceName and listens at SourceAddr and SourcePort; empty for none. There is
	// no Writer while there is a Source.
	Source     string
	SourceName string
	SourceAddr netip.Addr
	SourcePort uint16
	// Replicas are where the servers of its read replicas are, which are databases of their
	// own. Their order says nothing.
	Replicas []MemberAddr
}

// KindDatabase is the kind of Database.
var KindDatabase = ours(Description[Database]{
	Name: "database", Stage: StageRealm, Sort: Databases, Spell: (*Database).spell, Ends: EndsNothing[Database], Turns: TurnsNothing[Database], Root: true,
	Examples: []Database{{
		ID: "cluster-1", VPC: "vpc-1", Engine: "aurora-postgresql", Version: "15.18", Port: 5432, Name: "app", User: "master", Secret: 1, Writer: "db-1", Epoch: 3, Turn: 2,
		Prefer: "db-2", Stopped: true, Params: []string{"work_mem=4096"}, Names: []string{"app.cluster-1.example.", "app.cluster-ro-1.example."}, From: "snap-1", Authority: "ca-1",
		Source: "db-7", SourceName: "seven.1.example.", SourceAddr: netip.MustParseAddr("10.0.1.67"), SourcePort: 5433,
		Replicas: []MemberAddr{{"db-8", netip.MustParseAddr("10.0.1.70")}, {"db-9", netip.MustParseAddr("10.0.2.70")}},
	}},
})

// Key implements Entry.
func (d Database) Key() Key { return Key{DatabaseRealm(d.ID), KindDatabase, rootID} }

// String implements Entry.
func (d Database) String() string {
	s := spell(make([]byte, 0, 2*usual), d.Key())
	d.spell(&s)
	return s.String()
}

func (d *Database) spell(s *Spelling) {
	s.Realm(&d.ID)
	s.self()
	d.Params, d.Names = sorted(d.Params, strings.Compare), sorted(d.Names, strings.Compare)
	s.Name("vpc", &d.VPC)
	s.Name("engine", &d.Engine)
	s.Name("version", &d.Version)
	spellNumber(s, "port", &d.Port)
	s.Name("name", &d.Name)
	s.Name("user", &d.User)
	spellNumber(s, "secret", &d.Secret)
	s.Name("writer", &d.Writer)
	spellNumber(s, "epoch", &d.Epoch)
	spellNumber(s, "turn", &d.Turn)
	s.Name("prefer", &d.Prefer)
	s.Flag("stopped", &d.Stopped)
	s.names("params", &d.Params)
	s.names("names", &d.Names)
	s.Name("from", &d.From)
	s.Name("authority", &d.Authority)
	s.Name("source", &d.Source)
	s.Name("source-name", &d.SourceName)
	s.Addr("source-addr", &d.SourceAddr)
	spellNumber(s, "source-port", &d.SourcePort)
	s.memberAddrs("replicas", &d.Replicas)
}

// DatabaseMember is one server of a Database. It runs in the Sandbox of the same id.
type DatabaseMember struct {
	Database string
	ID       string
	// Name is its own DNS name, and Addr where it listens.
	Name string
	Addr netip.Addr
	// Tier orders members that could become the writer and have the same: lower is rather.
	Tier int64
	// Params are parameters of this server, as name=value. Their order says nothing.
	Params []string
	// Reboot counts the requests to start it anew.
	Reboot int64
	// Memory is what it may count on, in MiB.
	Memory int64
}

// KindDatabaseMember is the kind of DatabaseMember.
var KindDatabaseMember = ours(Description[DatabaseMember]{
	Name: "database-member", Stage: StageServer, Sort: Databases, Spell: (*DatabaseMember).spell,
	Ends: EndsNothing[DatabaseMember], Turns: TurnsNothing[DatabaseMember],
	Examples: []DatabaseMember{{
		Database: "cluster-1", ID: "db-1", Name: "one.1.example.", Addr: netip.MustParseAddr("10.0.1.60"), Tier: 1, Params: []string{"work_mem=4096"}, Reboot: 2, Memory: 2048,
	}},
})

// Key implements Entry.
func (m DatabaseMember) Key() Key { return Key{DatabaseRealm(m.Database), KindDatabaseMember, m.ID} }

// String implements Entry.
func (m DatabaseMember) String() string {
	s := spell(make([]byte, 0, usual), m.Key())
	m.spell(&s)
	return s.String()
}

func (m *DatabaseMember) spell(s *Spelling) {
	s.Realm(&m.Database)
	s.IDName(&m.ID)
	m.Params = sorted(m.Params, strings.Compare)
	s.Name("name", &m.Name)
	s.Addr("addr", &m.Addr)
	spellNumber(s, "tier", &m.Tier)
	s.names("params", &m.Params)
	spellNumber(s, "reboot", &m.Reboot)
	spellNumber(s, "memory", &m.Memory)
}

// Snapshot is a copy of the data of a database, in a realm of its own: putting one takes it
// unless it is there, and deleting it removes it.
type Snapshot struct {
	ID string
	// Of is the id of the Database that it is taken of, and CopyOf that of another snapshot
	// which it is a copy of. One of both is given.
	Of, CopyOf string
}

// KindSnapshot is the kind of Snapshot.
var KindSnapshot = ours(Description[Snapshot]{
	Name: "snapshot", Stage: StageMeans, Sort: Databases, Spell: (*Snapshot).spell, Ends: EndsNothing[Snapshot], Turns: TurnsNothing[Snapshot],
	Examples: []Snapshot{{ID: "snap-1", Of: "cluster-1"}, {ID: "snap-2", CopyOf: "snap-1"}},
})

// Key implements Entry.
func (p Snapshot) Key() Key { return Key{DatabaseRealm(p.ID), KindSnapshot, rootID} }

// String implements Entry.
func (p Snapshot) String() string {
	s := spell(make([]byte, 0, usual), p.Key())
	p.spell(&s)
	return s.String()
}

func (p *Snapshot) spell(s *Spelling) {
	s.Realm(&p.ID)
	s.self()
	s.Name("of", &p.Of)
	s.Name("copyof", &p.CopyOf)
}

// MemberAddr is where a member of a database listens.
type MemberAddr struct {
	Member string
	Addr   netip.Addr
}

// Compare orders them by member.
func (m MemberAddr) Compare(o MemberAddr) int {
	if order := strings.Compare(m.Member, o.Member); order != 0 {
		return order
	}
	return m.Addr.Compare(o.Addr)
}

func (m MemberAddr) append(b []byte) []byte {
	return m.Addr.AppendTo(append(appendName(b, m.Member, ",="), '='))
}

func parseMemberAddr(text string) (m MemberAddr, err error) {
	member, addr, ok := strings.Cut(text, "=")
	if !ok {
		return m, fmt.Errorf("%q does not say where a member listens", text)
	}
	if m.Member, err = nameInList(member); err != nil {
		return m, err
	}
	m.Addr, err = netip.ParseAddr(addr)
	return m, err
}

func (s *Spelling) memberAddrs(field string, values *[]MemberAddr) {
	*values = sorted(*values, MemberAddr.Compare)
	spellList(s, field, values, parseMemberAddr, func(b []byte, m MemberAddr) []byte { return m.append(b) })
}

// DatabasePart says which members of a database are meant.
type DatabasePart string

// The parts of a database.
const (
	// PartWriter is the member that takes writes.
	PartWriter DatabasePart = "writer"
	// PartReader is every member that does not and is available; the writer when there is none.
	PartReader DatabasePart = "reader"
	// PartMember is the only one of Members.
	PartMember DatabasePart = "member"
	// PartAny is every member that is available.
	PartAny DatabasePart = "any"
)

// FollowDatabase has a transit target lead to members of a database, now and later. Which
// of them take writes and which are available only the host knows: it puts a Target of the
// same key in the router, as for a Follow.
type FollowDatabase struct {
	VPC string
	// Addr is the transit target. Its family is that of the members' addresses.
	Addr netip.Addr
	// Gateway names the Pool that connections leave from.
	Gateway netip.Addr
	// Database is its id, Part which members are meant.
	Database string
	Part     DatabasePart
	// Members are the ids of the only members that may be meant, and without any all but
	// those in Except. The order of either says nothing.
	Members, Except []string
	// Addrs are where all members listen. Their order says nothing.
	Addrs []MemberAddr
	Port  uint16
	// Never are prefixes that nothing is sent to, as those of a Follow.
	Never []netip.Prefix
}

// KindFollowDatabase is the kind of FollowDatabase.
var KindFollowDatabase = ours(Description[FollowDatabase]{
	Name: "follow-database", Stage: StageTarget, Sort: Routers, Spell: (*FollowDatabase).spell, Turns: TurnsNothing[FollowDatabase],
	Ends: func(f FollowDatabase) []Connections { return []Connections{{Dest: f.Addr}} },
	Examples: []FollowDatabase{{
		VPC: "vpc-2", Addr: netip.MustParseAddr("240.8.0.1"), Gateway: netip.MustParseAddr("10.0.1.50"), Database: "cluster-1", Part: PartReader, Members: []string{"db-2"},
		Except: []string{"db-3"}, Addrs: []MemberAddr{{"db-1", netip.MustParseAddr("10.0.1.60")}, {"db-2", netip.MustParseAddr("10.0.1.61")}}, Port: 5432,
		Never: []netip.Prefix{netip.MustParsePrefix("10.0.1.50/32")},
	}},
})

// Key implements Entry.
func (f FollowDatabase) Key() Key { return Key{Realm(f.VPC), KindFollowDatabase, f.Addr.String()} }

// String implements Entry.
func (f FollowDatabase) String() string {
	s := spell(make([]byte, 0, 2*usual), f.Key())
	f.spell(&s)
	return s.String()
}

func (f *FollowDatabase) spell(s *Spelling) {
	s.Realm(&f.VPC)
	s.IDAddr(&f.Addr)
	f.Members, f.Except = sorted(f.Members, strings.Compare), sorted(f.Except, strings.Compare)
	s.Addr("gateway", &f.Gateway)
	s.Name("database", &f.Database)
	s.Name("part", (*string)(&f.Part))
	s.names("members", &f.Members)
	s.names("except", &f.Except)
	s.memberAddrs("addrs", &f.Addrs)
	spellNumber(s, "port", &f.Port)
	s.Prefixes("never", &f.Never)
}

// Target is what the host puts in the router while members with these addresses are meant:
// at most as many as there are slots. With none it refuses connections at once. Cut says
// that connections to other addresses are cut.
func (f FollowDatabase) Target(addrs []netip.Addr, cut bool) Target {
	t := Target{VPC: f.VPC, Addr: f.Addr, Several: addrs, Gateway: f.Gateway, Cut: cut}
	if dests := t.Dests(); len(dests) == 1 {
		t.Dest, t.Several = dests[0], nil
	}
	return t
}

// Carries reports whether an entry that a router has is what a FollowDatabase may have been
// turned into, whoever has the part.
func (f FollowDatabase) Carries(e Entry) bool {
	t, ok := e.(Target)
	stranger := func(a netip.Addr) bool {
		return !slices.ContainsFunc(f.Addrs, func(m MemberAddr) bool { return m.Addr == a })
	}
	return ok && Equal(t, f.Target(t.Dests(), t.Cut)) && !slices.ContainsFunc(t.Dests(), stranger)
}

// Watch has the host ask who writes in a database that exists without it. Passwords and
// certificates are no part of entries.
type Watch struct {
	// ID is the database's.
	ID string
	// VPC and Gateway are where the questions come from.
	VPC     string
	Gateway netip.Addr
	// Ask says how, in the words of the database's row.
	Ask string
	// Members are where its servers listen. Their order says nothing.
	Members []MemberAddr
	Port    uint16
	// REST is where Patroni answers; zero for nowhere.
	REST uint16
	// MaxLag is how many bytes behind the writer a reader may be; zero means no limit.
	MaxLag int64
	// Secret counts the changes of what is asked with.
	Secret int64
	// Seldom says that nobody is led there, so that it need not be known at once who does
	// what.
	Seldom bool
}

// KindWatch is the kind of Watch.
var KindWatch = ours(Description[Watch]{
	Name: "watch", Stage: StageMeans, Sort: Databases, Spell: (*Watch).spell, Ends: EndsNothing[Watch], Turns: TurnsNothing[Watch],
	Examples: []Watch{{
		ID: "cluster-2", VPC: "vpc-2", Gateway: netip.MustParseAddr("10.0.1.50"), Ask: "patroni", Members: []MemberAddr{{"db-4", netip.MustParseAddr("10.0.2.60")}}, Port: 5432,
		REST: 8008, MaxLag: 1 << 20, Secret: 1, Seldom: true,
	}},
})

// Key implements Entry.
func (w Watch) Key() Key { return Key{DatabaseRealm(w.ID), KindWatch, rootID} }

// String implements Entry.
func (w Watch) String() string {
	s := spell(make([]byte, 0, usual), w.Key())
	w.spell(&s)
	return s.String()
}

func (w *Watch) spell(s *Spelling) {
	s.Realm(&w.ID)
	s.self()
	s.Name("vpc", &w.VPC)
	s.Addr("gateway", &w.Gateway)
	s.Name("ask", &w.Ask)
	s.memberAddrs("members", &w.Members)
	spellNumber(s, "port", &w.Port)
	spellNumber(s, "rest", &w.REST)
	spellNumber(s, "max-lag", &w.MaxLag)
	spellNumber(s, "secret", &w.Secret)
	s.Flag("seldom", &w.Seldom)
}
