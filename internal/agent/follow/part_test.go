// SPDX-License-Identifier: Apache-2.0

package follow

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/posternhq/postern/internal/agent/roles"
	"github.com/posternhq/postern/internal/desired"
)

const database = "cluster-1"

func memberAddr(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, 1, byte(60 + i)}) }

func memberID(i int) string { return fmt.Sprint("db-", i) }

// partOf gives the entry of a part of a database with so many members.
func partOf(kind desired.DatabasePart, members int, only ...string) desired.FollowDatabase {
	f := desired.FollowDatabase{
		VPC: "vpc-b", Addr: netip.MustParseAddr("240.8.0.9"), Gateway: netip.MustParseAddr("10.0.1.50"), Database: database, Part: kind, Members: only, Port: 5432,
	}
	for i := range members {
		f.Addrs = append(f.Addrs, desired.MemberAddr{Member: memberID(i), Addr: memberAddr(i)})
	}
	return f
}

// ofMembers are roles in which a member writes and others read.
func ofMembers(writer string, readers ...string) roles.Roles {
	r := roles.Roles{Database: database, Writer: writer, Readers: readers, Up: map[string]bool{}}
	for _, id := range append(readers, writer) {
		r.Up[id] = id != ""
	}
	return r
}

// led is a follower of one part of a database, and what it says of its target.
type led struct {
	*testing.T
	f     *Follower
	board *roles.Board
}

func lead(t *testing.T, entry desired.FollowDatabase, before ...netip.Addr) *led {
	l := &led{T: t, board: roles.NewBoard()}
	l.f = New(Config{Lookup: noLookups{}, Roles: l.board})
	out, later := l.f.Take(desired.Delta{Full: true, Put: []desired.Entry{entry}}, func(desired.Key) (desired.Target, bool) { return desired.Target{Several: before}, false })
	if len(later) > 0 || len(out.Put) != 1 {
		t.Fatalf("the part became %v, later %v", out.Put, later)
	}
	return l
}

type noLookups struct{}

// Lookup implements Lookup.
func (noLookups) Lookup(context.Context, Question) (Answer, error) { return Answer{}, ErrNone }

// is says what the target is now: its addresses by the members' numbers, and what is cut.
func (l *led) is() string {
	for _, p := range l.f.parts {
		var list []string
		for _, a := range p.target().Dests() {
			list = append(list, fmt.Sprint(int(a.As4()[3])-60))
		}
		return fmt.Sprint(list, " cut ", p.target().Cut)
	}
	return "gone"
}

// pulled says what the agent is told.
func (l *led) pulled() string {
	targets := l.f.Pull()
	if len(targets) == 0 {
		return "nothing"
	}
	return l.is()
}

func (l *led) want(when, want string) {
	l.Helper()
	if is := l.is(); is != want {
		l.Errorf("%s the target is %s, want %s", when, is, want)
	}
}

func TestTheWriterIsFollowed(t *testing.T) {
	l := lead(t, partOf(desired.PartWriter, 3), memberAddr(1))
	l.want("before anybody has said anything, as the kernel had it,", "[1] cut true")
	l.board.Set(ofMembers("db-1", "db-0", "db-2"))
	if got := l.pulled(); got != "nothing" {
		t.Errorf("with the same writer the agent is told %s", got)
	}
	l.board.Set(ofMembers("", "db-0", "db-2"))
	if got := l.pulled(); got != "[] cut true" {
		t.Errorf("without a writer the agent is told %s", got)
	}
	l.board.Set(ofMembers("db-2", "db-0"))
	if got := l.pulled(); got != "[2] cut true" {
		t.Errorf("with another writer the agent is told %s", got)
	}
	l.board.Set(roles.Roles{Database: "cluster-2", Writer: "db-9"})
	if got := l.pulled(); got != "nothing" {
		t.Errorf("of another database the agent is told %s", got)
	}
	l.board.Drop(database)
	l.want("after the database", "[] cut true")
}

// The kernel's addresses are the last good answer only as far as members have them.
func TestWhatTheKernelHadMustBeAMembers(t *testing.T) {
	lead(t, partOf(desired.PartWriter, 2), netip.MustParseAddr("10.9.9.9")).want("with another's address", "[] cut true")
	lead(t, partOf(desired.PartMember, 2, "db-0"), memberAddr(1)).want("with another member's address", "[] cut true")
}

func TestReadersAreFollowed(t *testing.T) {
	l := lead(t, partOf(desired.PartReader, 3))
	l.board.Set(ofMembers("db-0", "db-1", "db-2"))
	l.want("with two replicas", "[1 2] cut true")
	l.board.Set(ofMembers("db-1", "db-2"))
	l.want("when one was promoted", "[2] cut true")
	l.board.Set(ofMembers("db-1"))
	l.want("without a replica", "[1] cut true")
	l.board.Set(ofMembers("db-1", "db-0"))
	l.want("when there is one again, readers at the writer go on:", "[0] cut false")
	l.board.Set(ofMembers("db-1", "db-0", "db-2"))
	l.want("with another one", "[0 2] cut false")
	l.board.Set(ofMembers("db-1", "db-2"))
	l.want("when one is lost", "[2] cut true")
	l.board.Set(ofMembers("db-1"))
	l.board.Set(ofMembers("db-2", "db-0"))
	l.want("when the writer they read at is another's", "[0] cut true")
}

func TestNamedMembersAreFollowed(t *testing.T) {
	one := lead(t, partOf(desired.PartMember, 3, "db-1"))
	one.board.Set(ofMembers("db-0", "db-1"))
	one.want("as a reader", "[1] cut true")
	one.board.Set(ofMembers("db-1"))
	one.want("as the writer", "[1] cut true")
	one.board.Set(ofMembers("db-0"))
	one.want("when it is down", "[] cut true")

	static := lead(t, partOf(desired.PartReader, 3, "db-0", "db-1"))
	static.board.Set(ofMembers("db-0", "db-1", "db-2"))
	static.want("of a custom endpoint", "[1] cut true")
	static.board.Set(ofMembers("db-0", "db-2"))
	static.want("of a custom endpoint without replicas of its own", "[] cut true")

	but := partOf(desired.PartAny, 3)
	but.Except = []string{"db-2"}
	any := lead(t, but)
	any.board.Set(ofMembers("db-0", "db-1", "db-2"))
	any.want("of all but one", "[0 1] cut true")
}

// A part that is asked for anew goes on; one that is taken away, or becomes something else,
// is followed no more; and what the host was told comes back as it was.
func TestPartsComeAndGo(t *testing.T) {
	entry := partOf(desired.PartWriter, 2)
	l := lead(t, entry)
	l.board.Set(ofMembers("db-1", "db-0"))
	never := func(desired.Key) (desired.Target, bool) { return desired.Target{}, false }
	target := []desired.Entry{entry.Target([]netip.Addr{memberAddr(1)}, true)}
	if got := l.f.Original(target); !desired.Equal(got[0], entry) {
		t.Errorf("the target was made of %v", got)
	}
	if got := l.f.Asked(target[0].Key()); got != entry.Key() {
		t.Errorf("the target's key was made of %v", got)
	}
	more := partOf(desired.PartWriter, 3)
	if out, _ := l.f.Take(desired.Delta{Put: []desired.Entry{more}}, never); !desired.Equal(out.Put[0], target[0]) {
		t.Errorf("with a third member the target is %v", out.Put)
	}
	out, _ := l.f.Take(desired.Delta{Delete: []desired.Key{entry.Key()}}, never)
	if len(out.Delete) != 1 || out.Delete[0] != target[0].Key() || l.is() != "gone" || len(l.f.byDatabase) > 0 {
		t.Errorf("taken away is %v, followed %s", out.Delete, l.is())
	}
	l.f.Take(desired.Delta{Put: []desired.Entry{entry}}, never)
	plain := desired.Target{VPC: entry.VPC, Addr: entry.Addr, Dest: memberAddr(0), Gateway: entry.Gateway}
	out, _ = l.f.Take(desired.Delta{Put: []desired.Entry{plain}, Delete: []desired.Key{entry.Key()}}, never)
	if len(out.Delete) > 0 || len(out.Put) != 1 || l.is() != "gone" {
		t.Errorf("a part that became an address is %v and without %v, followed %s", out.Put, out.Delete, l.is())
	}
}

// TestPartsGoByRoles draws members, a part of them and roles one after the other. The
// target always has the addresses of exactly those that the part says, keeps who stays in
// its slot, and has connections cut to whoever has left, but for readers at a writer that
// goes on.
func TestPartsGoByRoles(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		members := rapid.IntRange(1, 5).Draw(rt, "members")
		kind := rapid.SampledFrom([]desired.DatabasePart{desired.PartWriter, desired.PartReader, desired.PartAny}).Draw(rt, "part")
		entry := partOf(kind, members)
		entry.Except = rapid.SliceOfNDistinct(rapid.Map(rapid.IntRange(0, 4), memberID), 0, 2, rapid.ID[string]).Draw(rt, "except")
		p := newPart(entry, nil)
		aside := false
		for range rapid.IntRange(1, 8).Draw(rt, "changes") {
			r := roles.Roles{Database: database, Up: map[string]bool{}}
			writer := rapid.IntRange(-1, members-1).Draw(rt, "writer")
			for i := range members {
				up := rapid.Bool().Draw(rt, "up")
				switch {
				case i == writer:
					r.Writer, r.Up[memberID(i)] = memberID(i), true
				case up:
					r.Readers, r.Up[memberID(i)] = append(r.Readers, memberID(i)), true
				}
			}
			before := p.target().Dests()
			p.goes(r, true)
			now := p.target()

			var want []netip.Addr
			for i := range members {
				id := memberID(i)
				has := map[desired.DatabasePart]bool{desired.PartWriter: id == r.Writer, desired.PartReader: slices.Contains(r.Readers, id), desired.PartAny: r.Up[id]}[kind]
				if has && !slices.Contains(entry.Except, id) {
					want = append(want, memberAddr(i))
				}
			}
			wasAside := aside
			if aside = kind == desired.PartReader && len(want) == 0 && len(entry.Except) == 0 && writer >= 0; aside {
				want = []netip.Addr{memberAddr(writer)}
			}
			if got := sortedAddrs(now.Dests()); !slices.Equal(got, want) {
				rt.Fatalf("with %+v the target has %v, want %v", r, got, want)
			}
			for i, a := range before {
				switch at := slices.Index(now.Dests(), a); {
				case at < 0 && !now.Cut && !(wasAside && writer >= 0 && a == memberAddr(writer)):
					rt.Fatalf("with %+v connections to %v go on", r, a)
				case at >= 0 && i < len(now.Dests()) && at != i:
					rt.Fatalf("%v has moved from place %d to %d", a, i, at)
				}
			}
		}
	})
}
