// SPDX-License-Identifier: Apache-2.0

// Package names measures Postern's resolver: what questions cost it, against
// other name servers that know the same names, how long a change of names takes
// until it is seen, and what many names and VPCs cost in memory.
package names

import (
	"context"
	"fmt"
	"time"

	"github.com/posternhq/postern/bench/report"
)

// What the candidates are called in the tables.
const (
	own     = "Postern"
	unbound = "unbound"
	dnsmasq = "dnsmasq"
)

// The number of records with which changes are measured.
const changing = 10_000

// scale is how much is measured.
type scale struct {
	records []int         // with which questions are measured, rising
	asking  time.Duration // each measurement of questions

	endpoints    int // one after the other, a round
	moving, move int // names of resources that move, and how often each does

	crowd    int           // VPCs
	crowding time.Duration // in which as many of them are made as can be
	changes  int           // a round
	stock    []int         // records when changes are measured, and when memory is
	rounds   int
}

func scaleOf(s report.Settings) scale {
	if s.Quick {
		return scale{records: []int{10, 1_000}, asking: 200 * time.Millisecond, endpoints: 5, moving: 1, move: 1,
			crowd: 10, crowding: 10 * time.Second, changes: 10, stock: []int{200, 1_000}, rounds: min(s.Rounds, 1)}
	}
	return scale{records: []int{10, 1_000, 100_000}, asking: 700 * time.Millisecond, endpoints: 50, moving: 4, move: 3,
		crowd: 1_000, crowding: 2 * time.Minute, changes: 100, stock: []int{changing, 100_000}, rounds: min(s.Rounds, 3)}
}

// bench is one run.
type bench struct {
	report.Settings
	scale
	began time.Time

	questions, ways, crowded *report.Table
}

// Run measures everything. It needs root, and leaves nothing behind.
func Run(ctx context.Context, s report.Settings) (section report.Section, err error) {
	b := &bench{Settings: s, scale: scaleOf(s), began: time.Now()}
	section.Name = "Names"
	b.questions = section.Table("Questions for names that a resolver has, over UDP", unbound, own, unbound, dnsmasq)
	b.ways = section.Table("From a request to a connection by name", "", own)
	b.crowded = section.Table("Many names and VPCs", "", own)
	for _, step := range []struct {
		table *report.Table
		do    func(context.Context) error
	}{{b.questions, b.measureQuestions}, {b.ways, b.measureWays}, {b.crowded, b.measureCrowd}} {
		if !s.Wants(step.table.Title, "") {
			continue
		}
		s.Log.Info("names", "table", step.table.Title)
		if err := step.do(ctx); err != nil {
			return section, fmt.Errorf("measure %q: %w", step.table.Title, err)
		}
	}
	section.Notes = b.notes()
	return section, nil
}

// The crowd is made last, and takes the longest: it is no larger than fits into
// the time of the whole part.
const (
	crowdEnds  = 240 * time.Second // after the beginning
	leastCrowd = 10 * time.Second
)

// crowdTime is for how long VPCs are made from now on.
func (b *bench) crowdTime() time.Duration {
	return min(b.crowding, max(leastCrowd, time.Until(b.began.Add(crowdEnds))))
}

// count shows a number with its thousands apart.
func count(n int) string {
	text := fmt.Sprint(n)
	for at := len(text) - 3; at > 0; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}

func (b *bench) notes() []string {
	return []string{
		fmt.Sprintf("Questions: one thread, %d client sockets, and at most %d questions under way, %s each. They come from a namespace with one veth to that in which the server is, of Postern a workload's and its router's; all have the same names, of type A, in %d zones, and are asked for them by chance, after each was asked for once. unbound has one thread.", sockets, outstanding, b.asking, zoneCount),
		"Of Postern the kernel answers again what the process has answered once, at the expense of whoever asks. So CPU time is the whole machine's, with what it costs to ask, which is the same for all; it is asked by an agent that sends and receives many packets at once. dnsperf costs more itself than any of the servers; half of its maximum is that with the same candidate in the same round. Postern's share of questions for an interface is lifted.",
		fmt.Sprintf("CreateVpcEndpoint → first byte by name: %d endpoints a round, one after the other: the request, the name from DescribeVpcEndpointAssociations, its address from the VPC's resolver, and the first byte of a connection to it.", b.endpoints),
		fmt.Sprintf("A name that moves: %d IN_VPC resources, of which the name changes %d times, each time as soon as the last change has come through, which is right after a look-up. From before ChangeResourceRecordSets is sent to the server's first byte at the other address.", b.moving, b.move),
		fmt.Sprintf("ChangeResourceRecordSets → new answer: %d changes a round of one record each; from before the request is sent, at a client that asks again and again. Each of the VPCs sees one of the %d zones, and that of the client all.", b.changes, zoneCount),
	}
}
