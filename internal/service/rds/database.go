// SPDX-License-Identifier: Apache-2.0

package rds

import (
	"cmp"
	"slices"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/view"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// wanted is what requests say of a database as a whole, be it a cluster or an instance on its
// own.
type wanted struct {
	name          *string // of the database that is made with it
	nameParameter string
	user          *string
	password      *string
	port          *int32
	retention     *int32
	leastDays     int
	backup        *string
	maintenance   *string
	encrypted     *bool
	protection    *bool
	copyTags      *bool
	minor         *bool
	authority     *string
	support       *string
	// manage says that the password is made here, rotate that another one is to be; now that
	// what is changed is to hold at once.
	manage, rotate, now *bool
}

// newDatabase reads what a new database is to be, but for where.
func (a *API) newDatabase(id, identifier string, p version, w wanted) (d model.Database, err error) {
	d = model.Database{
		Identifier: identifier, Engine: p.Engine, Version: p.Version, Name: service.Value(w.name), MasterUser: service.Value(w.user),
		StorageEncrypted: service.Value(w.encrypted), DeletionProtection: service.Value(w.protection), CopyTagsToSnapshot: service.Value(w.copyTags),
		NoMinorUpgrades: w.minor != nil && !*w.minor, LifecycleSupport: service.Value(w.support),
	}
	if err = checkUser(p.driver(), d.MasterUser); err != nil {
		return d, err
	}
	if err = checkName(p.driver(), w.nameParameter, d.Name); err != nil {
		return d, err
	}
	if err = a.firstPassword(&d, id, p, w); err != nil {
		return d, err
	}
	return d, a.readSettings(id, &d, p, w)
}

// readSettings reads what a database can have besides its users.
func (a *API) readSettings(id string, d *model.Database, p version, w wanted) (err error) {
	if d.Port, err = checkPort(w.port, cmp.Or(d.Port, p.Port)); err != nil {
		return err
	}
	if d.BackupRetention, err = checkRetention(w.retention, w.leastDays); err != nil {
		return err
	}
	if d.BackupWindow, d.MaintenanceWindow, err = checkWindows(id, d.BackupWindow, d.MaintenanceWindow, w.backup, w.maintenance); err != nil {
		return err
	}
	if d.Authority, err = certificateName(service.Value(w.authority)); err != nil {
		return err
	}
	if err := checkSupport(w.support); err != nil {
		return err
	}
	return a.checkEncryption(w.encrypted)
}

// locate finds where a database is to be: its subnet group, the default one if none is named,
// and its security groups.
func (a *API) locate(tx *table.Txn, who access.View, d *model.Database, group *string, groups []string) error {
	g, err := a.subnetGroupFor(tx, who, group)
	if err != nil {
		return err
	}
	vpc, ok := state.VPCs.Get(tx, g.Account, g.Region, g.VPC)
	if !ok {
		return fault.RDS("InvalidVPCNetworkStateFault", "The VPC %s of DB subnet group '%s' does not exist.", g.VPC, g.ID)
	}
	d.SubnetGroup, d.VPC = g.ID, vpc.ID
	d.Groups, err = a.checkGroups(tx, vpc, groups)
	return err
}

// checkGroups reads security groups, which are the default one of the VPC if none are named.
func (a *API) checkGroups(tx *table.Txn, vpc *model.VPC, ids []string) ([]string, error) {
	if len(ids) == 0 {
		return []string{vpc.DefaultGroup}, nil
	}
	if most := a.Quotas.GroupsPerInterface; len(ids) > most {
		return nil, invalid("VpcSecurityGroupIds: %d security groups, a database can have %d", len(ids), most)
	}
	for i, id := range ids {
		g, ok := state.SecurityGroups.Get(tx, vpc.Account, vpc.Region, id)
		switch {
		case !ok:
			return nil, invalid("Invalid security group , groupId= %s, groupName=.", id)
		case g.VPC != vpc.ID:
			return nil, conflicting("The DB instance and EC2 security group are in different VPCs. The DB instance is in %s and the EC2 security group is in %s", vpc.ID, g.VPC)
		case slices.Contains(ids[:i], id):
			return nil, invalid("VpcSecurityGroupIds: %s is named twice", id)
		}
	}
	return ids, nil
}

// subnetGroupFor finds the group that is named, or the default one, which it makes of the
// default VPC when there is none yet.
func (a *API) subnetGroupFor(tx *table.Txn, who access.View, name *string) (*model.DBSubnetGroup, error) {
	if name != nil && *name != defaultGroup {
		return findSubnetGroup(tx, who, *name)
	}
	if g, ok := view.Get(tx, who, state.DBSubnetGroups, defaultGroup); ok {
		return g, nil
	}
	for vpc := range view.All(tx, who, state.VPCs) {
		if !vpc.Default {
			continue
		}
		var subnets []string
		for s := range state.SubnetsByVPC.Rows(tx, vpc.Ref()) {
			if s.DefaultForZone {
				subnets = append(subnets, s.ID)
			}
		}
		if _, err := a.checkSubnets(tx, who, subnets); err != nil {
			return nil, err
		}
		g := &model.DBSubnetGroup{
			Meta:        model.Meta{Account: who.Account, Region: who.Region, ID: defaultGroup, CreatedAt: a.Now(), UpdatedAt: a.Now()},
			Description: "default", VPC: vpc.ID, Subnets: subnets,
		}
		state.DBSubnetGroups.Put(tx, g)
		return g, nil
	}
	return nil, fault.RDS("InvalidSubnet", "No default subnet detected in VPC: there is no default VPC. Name a DBSubnetGroupName.")
}

// parameterGroup gives the parameter group that is named as rows have it: empty for the
// default one of the family. Notfound is the code when there is none.
func parameterGroup(tx *table.Txn, who access.View, k groupKind, name *string, family, notFound string) (string, error) {
	id := named(who, k.typeOfARN, service.Value(name))
	if id == "" || id == defaultPrefix+family {
		return "", nil
	}
	g, ok := view.Get(tx, who, k.rows, id)
	switch {
	case !ok:
		return "", fault.RDS(notFound, "DBParameterGroup not found: %s", *name)
	case g.Family != family:
		return "", conflicting("The parameter group %s with DBParameterGroupFamily %s can't be used for this instance. Please use a parameter group with DBParameterGroupFamily %s", g.ID, g.Family, family)
	}
	return g.ID, nil
}

// stateOf is what the host says of an instance, a cluster or a snapshot; nil for nothing.
func stateOf(tx *table.Txn, m *model.Meta) *model.DatabaseState {
	return state.SaidOf(tx, m)
}
