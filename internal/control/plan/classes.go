// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"slices"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/model"
)

// classes counts which combinations of security groups are in use, and finds
// those with a given group.
type classes struct {
	byID    map[unitID]*class
	byGroup map[model.Ref]map[unitID]struct{}
}

// class is one combination in one VPC.
type class struct {
	vpc    string
	groups []string
	users  int
}

func newClasses() *classes {
	return &classes{byID: map[unitID]*class{}, byGroup: map[model.Ref]map[unitID]struct{}{}}
}

// classOf gives the name of the class of an interface and its unit.
func classOf(ni *model.NetworkInterface) (name string, id unitID) {
	name = desired.ClassName(sortedGroups(ni))
	return name, unitID{unitClass, model.Ref{Account: ni.Account, Region: ni.Region, ID: ni.VPC + "/" + name}}
}

func sortedGroups(ni *model.NetworkInterface) []string {
	groups := slices.Clone(ni.Groups)
	slices.Sort(groups)
	return slices.Compact(groups)
}

// use notes a user of the interface's class; it says the unit and whether it is
// new.
func (c *classes) use(ni *model.NetworkInterface) (unitID, bool) {
	_, id := classOf(ni)
	if known := c.byID[id]; known != nil {
		known.users++
		return id, false
	}
	made := &class{vpc: ni.VPC, groups: sortedGroups(ni), users: 1}
	c.byID[id] = made
	for _, g := range made.groups {
		ref := model.Ref{Account: ni.Account, Region: ni.Region, ID: g}
		if c.byGroup[ref] == nil {
			c.byGroup[ref] = map[unitID]struct{}{}
		}
		c.byGroup[ref][id] = struct{}{}
	}
	return id, true
}

// drop takes a user away; it says the unit and whether that was the last one.
func (c *classes) drop(ni *model.NetworkInterface) (unitID, bool) {
	_, id := classOf(ni)
	known := c.byID[id]
	if known == nil {
		return id, false
	}
	if known.users--; known.users > 0 {
		return id, false
	}
	delete(c.byID, id)
	for _, g := range known.groups {
		ref := model.Ref{Account: ni.Account, Region: ni.Region, ID: g}
		if delete(c.byGroup[ref], id); len(c.byGroup[ref]) == 0 {
			delete(c.byGroup, ref)
		}
	}
	return id, true
}
