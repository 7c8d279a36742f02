// SPDX-License-Identifier: Apache-2.0

package control

import (
	"slices"
	"time"

	"github.com/posternhq/postern/internal/control/plan"
	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// fatesIn tells what the rows of subjects ask for, and what the plan has against it.
// Names of endpoints are below suffix.
func fatesIn(tx *table.Txn, problem func(plan.Subject) string, suffix string) func(plan.Subject) fate {
	return func(s plan.Subject) fate {
		f, ok := fateIn(tx, s)
		if !ok {
			return fate{}
		}
		if f.deleting {
			f.realms = realmsIn(tx, s)
		}
		f.problem = problem(s)
		if s.Kind == plan.SubjectNames {
			f.domain = model.EndpointDomain(s.Ref.Region, suffix)
		}
		return f
	}
}

// fateIn says what a subject's row asks for, without what the plan knows; false says that
// there is none.
func fateIn(tx *table.Txn, s plan.Subject) (f fate, ok bool) {
	ref := s.Ref
	switch s.Kind {
	case plan.SubjectEndpoint:
		if row, ok := state.VPCEndpoints.Get(tx, ref.Account, ref.Region, ref.ID); ok {
			return fateOf(&row.Meta), true
		}
	case plan.SubjectGateway:
		if row, ok := state.ResourceGateways.Get(tx, ref.Account, ref.Region, ref.ID); ok {
			return fateOf(&row.Meta), true
		}
	case plan.SubjectNAT: // one that is gone is only shown
		if row, ok := state.NATGateways.Get(tx, ref.Account, ref.Region, ref.ID); ok && !row.Gone() {
			return fateOf(&row.Meta), true
		}
	case plan.SubjectBalancer:
		if row, ok := state.LoadBalancers.Get(tx, ref.Account, ref.Region, ref.ID); ok {
			return fateOf(&row.Meta), true
		}
	case plan.SubjectDBCluster: // what waits before it goes is not being deleted yet
		if row, ok := state.DBClusters.Get(tx, ref.Account, ref.Region, ref.ID); ok {
			return fate{generation: row.Generation, deleting: state.ClusterLeaves(tx, row)}, true
		}
	case plan.SubjectDBInstance:
		if row, ok := state.DBInstances.Get(tx, ref.Account, ref.Region, ref.ID); ok {
			return fate{generation: row.Generation, deleting: state.InstanceLeaves(tx, row)}, true
		}
	case plan.SubjectDBSnapshot:
		if row, ok := state.DBSnapshots.Get(tx, ref.Account, ref.Region, ref.ID); ok {
			return fateOf(&row.Meta), true
		}
	case plan.SubjectConfiguration:
		if row, ok := state.ResourceConfigurations.Get(tx, ref.Account, ref.Region, ref.ID); ok {
			return fateOf(&row.Meta), true
		}
	case plan.SubjectAssociation:
		if row, ok := state.EndpointAssociations.Get(tx, ref.Account, ref.Region, ref.ID); ok {
			return fateOf(&row.Meta), true
		}
	case plan.SubjectNames: // nothing goes with them, so they are gone when they are to go
		of := model.NamesOwner(ref)
		if row, ok := state.EndpointAssociations.Get(tx, of.Account, of.Region, of.ID); ok && !row.Deleting() {
			return fateOf(&row.Meta), true
		}
		if row, ok := state.VPCEndpoints.Get(tx, of.Account, of.Region, of.ID); ok && !row.Deleting() {
			return fateOf(&row.Meta), true
		}
	case plan.SubjectZone: // the row of one that is deleted is gone at once
		if row, ok := state.HostedZones.Get(tx, ref.Account, ref.Region, ref.ID); ok {
			return fate{generation: row.Generation}, true
		}
	case plan.SubjectZoneChange:
		_, ok := state.ZoneChanges.Get(tx, ref.Account, ref.Region, ref.ID)
		return fate{}, ok
	case plan.SubjectAddress:
		if row, ok := state.AddressClaims.Get(tx, ref.Account, ref.Region, ref.ID); ok && row.Released() {
			return fate{generation: row.ReleasedAt.UnixNano(), deleting: true}, true
		}
	case plan.SubjectPublic: // the row of one that is given up has another generation
		if row, ok := state.PublicClaims.Get(tx, ref.Account, ref.Region, ref.ID); ok {
			return fate{generation: released(row.ReleasedAt), deleting: row.Released()}, true
		}
	case plan.SubjectAttachment:
		if row, ok := state.Attachments.Get(tx, ref.Account, ref.Region, ref.ID); ok {
			return fate{generation: row.Generation, id: row.ID, deleting: !row.DeletedAt.IsZero()}, true
		}
	}
	return fate{}, false
}

// released is the generation of a row by when it was given up; zero while it is not.
func released(at time.Time) int64 {
	if at.IsZero() {
		return 0
	}
	return at.UnixNano()
}

func fateOf(m *model.Meta) fate { return fate{generation: m.Generation, deleting: m.Deleting()} }

// interfacesOf gives the interfaces that go with a subject's row.
func interfacesOf(tx *table.Txn, s plan.Subject) []*model.NetworkInterface {
	switch s.Kind {
	case plan.SubjectEndpoint, plan.SubjectGateway, plan.SubjectNAT, plan.SubjectDBInstance, plan.SubjectBalancer:
		return slices.Collect(state.NetworkInterfacesByOwner.Rows(tx, s.Ref))
	case plan.SubjectAttachment:
		a, ok := state.Attachments.Get(tx, s.Ref.Account, s.Ref.Region, s.Ref.ID)
		if !ok || !a.DeleteOnTermination {
			return nil
		}
		if ni, ok := state.NetworkInterfaces.Get(tx, a.Account, a.Region, a.Interface); ok {
			return []*model.NetworkInterface{ni}
		}
	}
	return nil
}

// realmsIn gives the routers in which a subject may have had something; nil when
// rows that would tell are gone.
func realmsIn(tx *table.Txn, s plan.Subject) []desired.Realm {
	ref := s.Ref
	switch s.Kind {
	case plan.SubjectEndpoint:
		if row, ok := state.VPCEndpoints.Get(tx, ref.Account, ref.Region, ref.ID); ok {
			return endpointRealms(tx, row)
		}
	case plan.SubjectAssociation:
		if row, ok := state.EndpointAssociations.Get(tx, ref.Account, ref.Region, ref.ID); ok {
			e := row.Endpoint
			if ep, ok := state.VPCEndpoints.Get(tx, e.Account, e.Region, e.ID); ok {
				return wayRealms(tx, ep.VPC, row.Configuration)
			}
		}
	case plan.SubjectGateway:
		if row, ok := state.ResourceGateways.Get(tx, ref.Account, ref.Region, ref.ID); ok {
			return []desired.Realm{desired.Realm(row.VPC)}
		}
	case plan.SubjectNAT:
		if row, ok := state.NATGateways.Get(tx, ref.Account, ref.Region, ref.ID); ok {
			return []desired.Realm{desired.Realm(row.VPC), desired.NATRealm(row.ID)}
		}
	case plan.SubjectBalancer:
		if row, ok := state.LoadBalancers.Get(tx, ref.Account, ref.Region, ref.ID); ok {
			return []desired.Realm{desired.Realm(row.VPC)}
		}
	case plan.SubjectDBCluster, plan.SubjectDBSnapshot:
		return []desired.Realm{desired.DatabaseRealm(ref.ID)}
	case plan.SubjectDBInstance:
		if row, ok := state.DBInstances.Get(tx, ref.Account, ref.Region, ref.ID); ok {
			return []desired.Realm{desired.Realm(row.VPC), desired.SandboxRealm(row.ID), desired.DatabaseRealm(row.Whole())}
		}
	case plan.SubjectConfiguration:
		return wayRealms(tx, "", ref)
	case plan.SubjectAddress:
		if row, ok := state.AddressClaims.Get(tx, ref.Account, ref.Region, ref.ID); ok {
			if subnet, ok := state.Subnets.Get(tx, row.Account, row.Region, row.Subnet); ok {
				return []desired.Realm{desired.Realm(subnet.VPC)}
			}
		}
	case plan.SubjectAttachment:
		if ni, ok := state.NetworkInterfaces.Get(tx, ref.Account, ref.Region, ref.ID); ok {
			return []desired.Realm{desired.Realm(ni.VPC)}
		}
	}
	return nil
}

// endpointRealms gives the routers at both ends of all ways of an endpoint.
func endpointRealms(tx *table.Txn, ep *model.VPCEndpoint) []desired.Realm {
	realms := []desired.Realm{desired.Realm(ep.VPC)}
	switch {
	case len(ep.Targets) > 0:
		return append(realms, model.FrontVPC)
	case ep.Type == model.EndpointInterface: // other load balancers may have been behind it
		return nil
	}
	for a := range state.EndpointAssociationsByEndpoint.Rows(tx, ep.Ref()) {
		way := wayRealms(tx, ep.VPC, a.Configuration)
		if way == nil {
			return nil
		}
		realms = append(realms, way...)
	}
	slices.Sort(realms)
	return slices.Compact(realms)
}

// wayRealms gives the routers at both ends of the way to a configuration.
func wayRealms(tx *table.Txn, consumer string, configuration model.Ref) []desired.Realm {
	rc, ok := state.ResourceConfigurations.Get(tx, configuration.Account, configuration.Region, configuration.ID)
	if !ok {
		return nil
	}
	gateway, ok := state.ResourceGateways.Get(tx, rc.Account, rc.Region, rc.Gateway)
	switch {
	case !ok:
		return nil
	case consumer == "" || consumer == gateway.VPC:
		return []desired.Realm{desired.Realm(gateway.VPC)}
	}
	return []desired.Realm{desired.Realm(consumer), desired.Realm(gateway.VPC)}
}

// parentsIn gives the subjects whose updates take effect through the entries of a
// subject: the configuration of an association, and its gateway. Those of an endpoint
// are its associations' too. What is changed of a zone is in the zone's entries and
// those of its records; asked are those that a change of the tables is about.
func parentsIn(tx *table.Txn, asked map[plan.Subject]bool) func(plan.Subject) []plan.Subject {
	ofZones := map[model.Ref][]plan.Subject{}
	for s := range asked {
		if s.Kind != plan.SubjectZoneChange {
			continue
		}
		if row, ok := state.ZoneChanges.Get(tx, s.Ref.Account, s.Ref.Region, s.Ref.ID); ok {
			ofZones[row.Zone] = append(ofZones[row.Zone], s)
		}
	}
	return func(s plan.Subject) []plan.Subject {
		switch ref := s.Ref; s.Kind {
		case plan.SubjectZone:
			return ofZones[ref]
		case plan.SubjectAssociation:
			if row, ok := state.EndpointAssociations.Get(tx, ref.Account, ref.Region, ref.ID); ok {
				return configurationAndGateway(tx, row.Configuration)
			}
		case plan.SubjectConfiguration:
			return configurationAndGateway(tx, ref)
		}
		return nil
	}
}

// isParent says of which kinds parents are.
func isParent(kind plan.SubjectKind) bool {
	return kind == plan.SubjectConfiguration || kind == plan.SubjectGateway || kind == plan.SubjectZoneChange
}

func configurationAndGateway(tx *table.Txn, configuration model.Ref) []plan.Subject {
	subjects := []plan.Subject{{Kind: plan.SubjectConfiguration, Ref: configuration}}
	if rc, ok := state.ResourceConfigurations.Get(tx, configuration.Account, configuration.Region, configuration.ID); ok {
		gateway := rc.Sibling(rc.Gateway)
		subjects = append(subjects, plan.Subject{Kind: plan.SubjectGateway, Ref: gateway})
	}
	return subjects
}

// askedIn gives the subjects whose rows changes have made or raised to another
// generation, and whether the hosts' acknowledgement of it is still to come.
func askedIn(tx *table.Txn, changes []table.Change) map[plan.Subject]bool {
	asked := map[plan.Subject]bool{}
	for _, c := range changes {
		s, now, ok := subjectOf(c.New)
		if _, before, had := subjectOf(c.Old); !ok || had && before == now {
			continue
		}
		status, said := state.Statuses.Get(tx, s.Ref.Account, s.Ref.Region, s.Ref.ID)
		asked[s] = !said || status.State == model.StatusUnsaid || status.Generation < now || s.Kind == plan.SubjectZoneChange && status.State != model.StatusReady
	}
	return asked
}

// subjectOf gives the subject that a row is of, and its generation.
func subjectOf(row table.Row) (s plan.Subject, generation int64, ok bool) {
	switch row := row.(type) {
	case *model.VPCEndpoint:
		return plan.Subject{Kind: plan.SubjectEndpoint, Ref: row.Ref()}, row.Generation, true
	case *model.ResourceGateway:
		return plan.Subject{Kind: plan.SubjectGateway, Ref: row.Ref()}, row.Generation, true
	case *model.NATGateway:
		return plan.Subject{Kind: plan.SubjectNAT, Ref: row.Ref()}, row.Generation, !row.Gone()
	case *model.LoadBalancer:
		return plan.Subject{Kind: plan.SubjectBalancer, Ref: row.Ref()}, row.Generation, true
	case *model.DBCluster:
		return plan.Subject{Kind: plan.SubjectDBCluster, Ref: row.Ref()}, row.Generation, true
	case *model.DBInstance:
		return plan.Subject{Kind: plan.SubjectDBInstance, Ref: row.Ref()}, row.Generation, true
	case *model.DBSnapshot:
		return plan.Subject{Kind: plan.SubjectDBSnapshot, Ref: row.Ref()}, row.Generation, true
	case *model.ResourceConfiguration:
		return plan.Subject{Kind: plan.SubjectConfiguration, Ref: row.Ref()}, row.Generation, true
	case *model.EndpointAssociation:
		return plan.Subject{Kind: plan.SubjectAssociation, Ref: row.Ref()}, row.Generation, true
	case *model.HostedZone:
		return plan.Subject{Kind: plan.SubjectZone, Ref: row.Ref()}, row.Generation, true
	case *model.ZoneChange:
		return plan.Subject{Kind: plan.SubjectZoneChange, Ref: row.Ref()}, 0, true
	case *model.Attachment:
		return plan.Subject{Kind: plan.SubjectAttachment, Ref: row.Meta().Ref()}, row.Generation, true
	case *model.PublicClaim:
		return plan.Subject{Kind: plan.SubjectPublic, Ref: row.Ref()}, released(row.ReleasedAt), true
	case *model.AddressClaim:
		if row.Released() {
			return plan.Subject{Kind: plan.SubjectAddress, Ref: row.Ref()}, row.ReleasedAt.UnixNano(), true
		}
	}
	return s, 0, false
}
