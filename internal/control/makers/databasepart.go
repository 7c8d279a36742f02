// SPDX-License-Identifier: Apache-2.0

package makers

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/posternhq/postern/internal/alloc"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// DatabaseParts gives the resource configuration of a database a child for each name of
// it, and ends those of which the name is gone: a cluster has a writer, a reader, its
// custom endpoints and its instances, an instance only itself. A child comes when its
// instance has been made, and stays while that is there. When the database itself is gone
// all children end, and another one with the same name gets none: consumers are not led to
// what they have not asked for.
type DatabaseParts struct {
	// Alloc hands out places in the transit realm, on Host.
	Alloc *alloc.Allocator
	Host  int
	// Suffix is the domain of the names of databases.
	Suffix string
}

// Name implements Maker.
func (DatabaseParts) Name() string { return "children of databases' resource configurations" }

// Ask implements Maker.
func (m DatabaseParts) Ask(tx *table.Txn, now time.Time) Answer {
	var a Answer
	for above := range state.DatabaseConfigurations.Rows(tx) {
		if len(a.Changes) >= atOnce {
			break
		}
		parts := m.parts(tx, above)
		for _, p := range parts {
			child, ok := state.ResourceConfigurations.Get(tx, above.Account, above.Region, p.id(above))
			if ok && (child.Deleting() || p.fits(child)) || !ok && p.waits {
				continue
			}
			a.Changes = append(a.Changes, Change{above.ID + ", " + p.part, m.make(above, p, now)})
		}
		for child := range state.ResourceConfigurationsByGroup.Rows(tx, above.Ref()) {
			if child.Deleting() || slices.ContainsFunc(parts, func(p part) bool { return p.id(above) == child.ID }) {
				continue
			}
			a.Changes = append(a.Changes, Change{child.ID, m.end(child, now)})
		}
	}
	return a
}

// part is a name of a database and what it leads to.
type part struct {
	part, member string
	// name is in normal form, title what users call it.
	name, title string
	port        uint16
	is4         bool
	// waits says that no child is made yet, though one that is there stays.
	waits bool
}

// id is always the same one for a part of a configuration, so whoever makes it does so once.
func (p part) id(above *model.ResourceConfiguration) string {
	return "rcfg-" + p.hash(above)
}

func (p part) hash(above *model.ResourceConfiguration) string {
	sum := sha256.Sum256([]byte(above.Ref().String() + " " + p.part + " " + p.member))
	return hex.EncodeToString(sum[:])[:17]
}

// longestTitle leaves room for what makes a configuration's name unique: it may have 40
// characters.
const longestTitle = 22

// label is the name of the child among its account's resource configurations.
func (p part) label(above *model.ResourceConfiguration) string {
	title := strings.TrimRight(p.title[:min(len(p.title), longestTitle)], "-")
	return title + "-" + p.hash(above)
}

// dns is the name as a definition has it.
func (p part) dns() model.DNSResource {
	family := model.FamilyIPv6
	if p.is4 {
		family = model.FamilyIPv4
	}
	return model.DNSResource{Name: strings.TrimSuffix(p.name, model.RootName), Family: family}
}

func (p part) ports() []model.PortRange { return []model.PortRange{{From: p.port, To: p.port}} }

// fits reports whether a child is as it is to be.
func (p part) fits(child *model.ResourceConfiguration) bool {
	return child.DNS == p.dns() && slices.Equal(child.Ports, p.ports())
}

// parts gives what a configuration is to have children for: nothing when it is being
// deleted, or its database is gone.
func (m DatabaseParts) parts(tx *table.Txn, above *model.ResourceConfiguration) (parts []part) {
	if above.Deleting() {
		return nil
	}
	if i, ok := state.DBInstances.Get(tx, above.Account, above.Region, above.Database); ok && !i.Deleting() {
		return []part{m.member(tx, i)}
	}
	c, ok := state.DBClusters.Get(tx, above.Account, above.Region, above.Database)
	if !ok || c.Deleting() {
		return nil
	}
	is4 := true
	for i := range state.DBInstancesByCluster.Rows(tx, c.Ref()) {
		if !i.Deleting() {
			p := m.member(tx, i)
			parts = append(parts, p)
			is4 = p.is4
		}
	}
	for e := range state.DBClusterEndpointsByCluster.Rows(tx, c.Ref()) {
		if !e.Deleting() {
			parts = append(parts, part{part: model.PartCustom, member: e.ID, name: e.NameIn(m.Suffix), title: e.ID, port: c.Port, is4: is4})
		}
	}
	return append(parts,
		part{part: model.PartWriter, name: c.WriterName(m.Suffix), title: model.PartWriter, port: c.Port, is4: is4},
		part{part: model.PartReader, name: c.ReaderName(m.Suffix), title: model.PartReader, port: c.Port, is4: is4})
}

func (m DatabaseParts) member(tx *table.Txn, i *model.DBInstance) part {
	return part{
		part: model.PartMember, member: i.ID, name: i.NameIn(m.Suffix), title: i.Identifier, port: i.Port,
		is4: !i.Addr.IsValid() || i.Addr.Is4(), waits: !state.DatabaseAvailable(tx, i),
	}
}

// make gives the change that makes a child, or gives it the name and port that it is to
// have. When it is made it looks again whether there is to be one.
func (m DatabaseParts) make(seen *model.ResourceConfiguration, wanted part, now time.Time) func(*table.Txn) error {
	return func(tx *table.Txn) error {
		above, ok := state.ResourceConfigurations.Get(tx, seen.Account, seen.Region, seen.ID)
		if !ok {
			return nil
		}
		parts := m.parts(tx, above)
		at := slices.IndexFunc(parts, func(p part) bool { return p.id(above) == wanted.id(seen) })
		if at < 0 {
			return nil
		}
		p := parts[at]
		child, ok := state.ResourceConfigurations.Get(tx, above.Account, above.Region, p.id(above))
		switch {
		case ok && (child.Deleting() || p.fits(child)), !ok && p.waits:
			return nil
		case ok:
			child = child.Clone()
			child.DNS, child.Ports = p.dns(), p.ports()
			child.Update(now)
			state.ResourceConfigurations.Put(tx, child)
			return nil
		}
		return m.add(tx, above, p, now)
	}
}

// add makes a child. Endpoints are associated with it by another maker.
func (m DatabaseParts) add(tx *table.Txn, above *model.ResourceConfiguration, p part, now time.Time) error {
	g, ok := state.ResourceGateways.Get(tx, above.Account, above.Region, above.Gateway)
	if !ok {
		return fmt.Errorf("make a child of %s: resource gateway %s does not exist", above.ID, above.Gateway)
	}
	child := &model.ResourceConfiguration{
		Meta: model.Meta{Account: above.Account, Region: above.Region, ID: p.id(above), CreatedAt: now},
		Name: p.label(above), Type: model.TypeChild, Gateway: above.Gateway, Protocol: above.Protocol, Ports: p.ports(), DNS: p.dns(),
		Group: above.ID, AllowShareable: above.AllowShareable, Database: above.Database, Part: p.part, Member: p.member, AmazonManaged: true,
	}
	var err error
	if child.Targets, err = m.Alloc.Lead(tx, child.Meta, g.Interfaces, m.Host); err != nil {
		return err
	}
	state.ResourceConfigurations.Put(tx, child)
	return nil
}

// end gives the change that starts the deletion of a child, if nothing wants it. Its
// associations end by another maker.
func (m DatabaseParts) end(seen *model.ResourceConfiguration, now time.Time) func(*table.Txn) error {
	return still(state.ResourceConfigurations, seen, func(tx *table.Txn, child *model.ResourceConfiguration) {
		above, ok := state.ResourceConfigurations.Get(tx, child.Account, child.Region, child.Group)
		wanted := ok && slices.ContainsFunc(m.parts(tx, above), func(p part) bool { return p.id(above) == child.ID })
		if wanted || child.Deleting() {
			return
		}
		child = child.Clone()
		child.Delete(now)
		state.ResourceConfigurations.Put(tx, child)
	})
}
