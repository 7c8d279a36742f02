// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"cmp"
	"slices"
	"strings"
	"time"
	"unique"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/table"
)

// unitKind names a way of deriving entries.
type unitKind uint8

// The kinds of units, in the order in which changes go through them: a unit reads
// values of earlier kinds, as a rule, and of its own.
const (
	unitResolver   unitKind = iota // of a VPC, when it has a router: what is asked there
	unitVPC                        // of a VPC, when anything lives there: its router
	unitSubnet                     // of a subnet: what its interfaces have of it
	unitSubnets                    // of a VPC: which blocks and subnets it has
	unitBalancers                  // of everything: in which regions there are load balancers
	unitHubs                       // of everything: whether there are interface endpoints
	unitSight                      // of a VPC: whether it sees hosted zones
	unitTable                      // of a route table that somebody uses: its routes
	unitMain                       // of a VPC: its main route table
	unitCourse                     // of a subnet: which table it uses
	unitPeopled                    // of a VPC: whether anything lives there
	unitUplink                     // of the host's uplink, when a VPC has a way there: its edge
	unitFront                      // of the host's front, when an endpoint leads there
	unitRelay                      // of the host's relay, when an endpoint leads there
	unitACL                        // of a network ACL that a subnet uses: its rules
	unitBorder                     // of a VPC: which subnets are filtered
	unitReferenced                 // of a security group: whether any rule names it
	unitClass                      // of a combination of groups: their rules together
	unitInterface                  // of a network interface: its addresses
	unitGateway                    // of a resource gateway: its pools
	unitDBCluster                  // of a cluster of databases: what its members have in common
	unitDBInstance                 // of a database instance: its sandbox and its server
	unitBalancer                   // of a load balancer: its doors, and what is behind them
	unitConfiguration
	unitWorkload    // of an attachment
	unitEdge        // of an association of a route table with an internet gateway
	unitExit        // of a VPC: its way to the outside
	unitPublic      // of a claim on a public address: who has it
	unitPeering     // of a peering connection, by the row of who asked for it
	unitNAT         // of a NAT gateway: its namespace
	unitEndpoint    // of a VPC endpoint: where its interfaces are, and the ways of one to a service
	unitAssociation // of an endpoint and a configuration: the way between them
	unitNames       // of an association: its names
	unitCalled      // of an interface endpoint: its names
	unitDomain      // of a VPC endpoint with private DNS: the zone of its group
	unitZone        // of a hosted zone: who sees it
	unitRecord      // of a record set
	unitDBNames     // of a cluster of databases: the names of its writer and its readers
	unitDBEndpoint  // of an endpoint of a cluster: its name
	unitDBSnapshot
	unitKinds // how many there are
)

// onDemand tells of units that are there because others read their values, and as
// long as these do. The others are there because of their rows.
func (k unitKind) onDemand() bool { return k <= unitClass }

// explains tells of units that can say why their subjects cannot be what was asked
// for.
func (k unitKind) explains() bool {
	return k == unitBalancer || k == unitConfiguration || k == unitAssociation || k == unitNames || k == unitEndpoint || k == unitCalled
}

// unitID names a unit: the row it is about. The id of a class unit is the
// VPC with the groups.
type unitID struct {
	kind  unitKind
	place place
}

func idOf(kind unitKind, ref model.Ref) unitID { return unitID{kind, placeOf(ref)} }

// place is a reference in half of its memory: most of a plan are these.
type place struct {
	scope unique.Handle[scope]
	id    string
}

type scope struct{ account, region string }

func placeOf(ref model.Ref) place {
	return place{unique.Make(scope{ref.Account, ref.Region}), ref.ID}
}

func (p place) ref() model.Ref {
	s := p.scope.Value()
	return model.Ref{Account: s.account, Region: s.region, ID: p.id}
}

// unit is what a unit asked for last, what it read for it, and who reads it. There are
// as many units as rows, so it is one piece of memory, with notes that have no pointers.
type unit struct {
	id       unitID
	number   number
	readers  set  // units
	marked   bool // to be derived anew
	deriving bool
	known    bool // has been derived
	value    any  // for other units, nil when there is none; never changed
	subjects []standing
	few      [2]standing // memory for subjects
	notes
}

// notes are what a unit keeps of its derivation: the units whose values were read, the
// entries that it asks for in the order of keys, both by their numbers, and what was
// read of the tables.
type notes struct {
	list         []table.Dependency
	views, asked uint32 // how many are units and entries
}

func newNotes(views, asked []number, reads []table.Dependency) notes {
	n := notes{views: uint32(len(views)), asked: uint32(len(asked))}
	if length := len(views) + len(asked) + len(reads); length > 0 {
		n.list = make([]table.Dependency, 0, length)
	}
	for _, list := range [][]number{views, asked} {
		for _, i := range list {
			n.list = append(n.list, table.Dependency(i))
		}
	}
	n.list = append(n.list, reads...)
	return n
}

func (n *notes) viewed() []number          { return numbers(n.list[:n.views]) }
func (n *notes) entries() []number         { return numbers(n.list[n.views : n.views+n.asked]) }
func (n *notes) reads() []table.Dependency { return n.list[n.views+n.asked:] }
func (n *notes) equal(o notes) bool {
	return n.views == o.views && n.asked == o.asked && slices.Equal(n.list, o.list)
}

func numbers(list []table.Dependency) []number {
	all := make([]number, len(list))
	for i, n := range list {
		all[i] = number(n)
	}
	return all
}

// needed reports whether anything would be missing without the unit.
func (u *unit) needed() bool {
	if !u.readers.empty() {
		return true
	}
	return !u.id.kind.onDemand() && (int(u.asked)+len(u.subjects) > 0 || u.value != nil)
}

// derived is what a unit asks for.
type derived struct {
	entries  []desired.Entry
	subjects []standing
	value    any
	// problem is why the unit's own subject cannot be what was asked for; empty
	// when nothing is known to be against it.
	problem string
}

// standing is a subject and where its row stands. A change of that is news for
// the subject, also when it asks for the same entries as before.
type standing struct {
	place   place
	kind    subjectKind
	leaving bool
	updated int64 // nanoseconds
}

func newStanding(kind SubjectKind, ref model.Ref, updated int64, leaving bool) standing {
	return standing{placeOf(ref), compactKinds[kind], leaving, updated}
}

func standingOf(kind SubjectKind, m *model.Meta) standing {
	return newStanding(kind, m.Ref(), stamp(m.CreatedAt, m.UpdatedAt), m.Deleting())
}

func (s standing) subject() Subject { return Subject{subjectKinds[s.kind], s.place.ref()} }

// subjectKind is the place of a SubjectKind in subjectKinds.
type subjectKind uint8

var (
	subjectKinds = [...]SubjectKind{
		SubjectAddress, SubjectAttachment, SubjectGateway, SubjectConfiguration, SubjectEndpoint, SubjectAssociation, SubjectNames,
		SubjectZone, SubjectZoneChange, SubjectPublic, SubjectNAT, SubjectDBCluster, SubjectDBInstance, SubjectDBSnapshot, SubjectBalancer,
	}
	compactKinds = func() map[SubjectKind]subjectKind {
		m := map[SubjectKind]subjectKind{}
		for i, kind := range subjectKinds {
			m[kind] = subjectKind(i)
		}
		return m
	}()
)

// stamp is the latest of some times, of which those that are not set do not count.
func stamp(times ...time.Time) int64 {
	var last int64
	for _, t := range times {
		if !t.IsZero() {
			last = max(last, t.UnixNano())
		}
	}
	return last
}

// wish is an entry that a unit asks for.
type wish struct {
	key   desired.Key
	entry desired.Entry
}

// wishes puts entries into order. Of several under one key the last one counts.
func wishes(entries []desired.Entry) []wish {
	list := make([]wish, len(entries))
	for i, e := range entries {
		list[len(list)-1-i] = wish{e.Key(), e}
	}
	slices.SortStableFunc(list, func(a, b wish) int { return a.key.Compare(b.key) })
	return slices.CompactFunc(list, func(a, b wish) bool { return a.key == b.key })
}

// Compare orders subjects by kind and reference.
func (s Subject) Compare(o Subject) int {
	return cmp.Or(strings.Compare(string(s.Kind), string(o.Kind)), compareRefs(s.Ref, o.Ref))
}

func compareRefs(a, b model.Ref) int {
	return cmp.Or(strings.Compare(a.Account, b.Account), strings.Compare(a.Region, b.Region), strings.Compare(a.ID, b.ID))
}
