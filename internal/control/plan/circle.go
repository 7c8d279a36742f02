// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"cmp"
	"strconv"
	"strings"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
)

// A circle is the servers that replicate from each other: the members of a cluster, or an
// instance with its read replicas. On AWS they reach each other whatever security groups say,
// which are about clients. So each circle is a group that nobody sees: its members admit each
// other at the port of the database, beside what their own groups admit.

// circlePrefix begins the names of such groups, and of what stands for their rules in the
// list of a class. No security group has a name like it.
const circlePrefix = "circle-"

const protocolTCP = 6

// circle gives the name of the group of servers that an interface's is in, and what it has
// in the list of its class; empty when it replicates with nobody.
func (r *reading) circle(ni *model.NetworkInterface) (group, rules string) {
	if ni.Type != model.InterfaceDatabase {
		return "", ""
	}
	i, ok := state.DBInstances.Get(r.tx, ni.Account, ni.Region, ni.Owner)
	if !ok {
		return "", ""
	}
	of := cmp.Or(i.Cluster, i.Source)
	if of == "" {
		if state.DBInstancesBySource.Count(r.tx, i.Ref()) == 0 {
			return "", ""
		}
		of = i.ID
	}
	group = circlePrefix + of
	return group, group + ":" + strconv.Itoa(int(i.Port))
}

// addCircle adds to a class what a circle admits, if an element of its list stands for that:
// into a server at its port, and out to the others, which have rules of their own.
func addCircle(c *desired.Class, element string) bool {
	group, text, ok := strings.Cut(element, ":")
	if !ok || !strings.HasPrefix(group, circlePrefix) {
		return false
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		return false
	}
	c.In = append(c.In, desired.Rule{Protocol: protocolTCP, From: port, To: port, Group: group})
	c.Out = append(c.Out, desired.Rule{Protocol: protocolTCP, From: -1, To: -1, Group: group})
	return true
}
