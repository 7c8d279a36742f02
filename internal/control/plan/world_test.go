// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"context"
	"slices"
	"strings"

	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

var background = context.Background()

type fataler interface{ Fatal(...any) }

func (w *world) put(t fataler, rows ...table.Row) Result    { return w.write(t, rows, false) }
func (w *world) remove(t fataler, rows ...table.Row) Result { return w.write(t, rows, true) }

// write changes rows and lets the plan follow.
func (w *world) write(t fataler, rows []table.Row, remove bool) Result {
	w.commit(t, rows, remove)
	return w.follow()
}

// follow lets the plan take in what was committed.
func (w *world) follow() Result {
	before := w.last
	w.last = w.db.Snapshot()
	return w.plan.Change(w.last, changesBetween(before, w.last))
}

// commit changes rows without telling the plan.
func (w *world) commit(t fataler, rows []table.Row, remove bool) {
	for chunk := range slices.Chunk(rows, 100) {
		if _, err := w.db.Update(background, func(tx *table.Txn) error {
			for _, row := range chunk {
				writeRow(tx, row, remove)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
}

func writeRow(tx *table.Txn, row table.Row, remove bool) {
	switch row := row.(type) {
	case *model.VPC:
		write(tx, state.VPCs, row, remove)
	case *model.DHCPOptions:
		write(tx, state.DHCPOptions, row, remove)
	case *model.Subnet:
		write(tx, state.Subnets, row, remove)
	case *model.SecurityGroup:
		write(tx, state.SecurityGroups, row, remove)
	case *model.NetworkInterface:
		write(tx, state.NetworkInterfaces, row, remove)
	case *model.Attachment:
		write(tx, state.Attachments, row, remove)
	case *model.AddressClaim:
		write(tx, state.AddressClaims, row, remove)
	case *model.ResourceGateway:
		write(tx, state.ResourceGateways, row, remove)
	case *model.ResourceConfiguration:
		write(tx, state.ResourceConfigurations, row, remove)
	case *model.VPCEndpoint:
		write(tx, state.VPCEndpoints, row, remove)
	case *model.EndpointAssociation:
		write(tx, state.EndpointAssociations, row, remove)
	case *model.EndpointService:
		write(tx, state.EndpointServices, row, remove)
	case *model.Status:
		write(tx, state.Statuses, row, remove)
	case *model.DomainVerification:
		write(tx, state.DomainVerifications, row, remove)
	case *model.RouteTable:
		write(tx, state.RouteTables, row, remove)
	case *model.RouteTableAssociation:
		write(tx, state.RouteTableAssociations, row, remove)
	case *model.NetworkACL:
		write(tx, state.NetworkACLs, row, remove)
	case *model.NetworkACLAssociation:
		write(tx, state.NetworkACLAssociations, row, remove)
	case *model.PrefixList:
		write(tx, state.PrefixLists, row, remove)
	case *model.InternetGateway:
		write(tx, state.InternetGateways, row, remove)
	case *model.EgressOnlyGateway:
		write(tx, state.EgressOnlyGateways, row, remove)
	case *model.ElasticAddress:
		write(tx, state.ElasticAddresses, row, remove)
	case *model.PublicClaim:
		write(tx, state.PublicClaims, row, remove)
	case *model.NATGateway:
		write(tx, state.NATGateways, row, remove)
	case *model.PeeringConnection:
		write(tx, state.PeeringConnections, row, remove)
	case *model.DBCluster:
		write(tx, state.DBClusters, row, remove)
	case *model.DBInstance:
		write(tx, state.DBInstances, row, remove)
	case *model.DatabaseState:
		write(tx, state.DatabaseStates, row, remove)
	case *model.DBSnapshot:
		write(tx, state.DBSnapshots, row, remove)
	case *model.DBClusterEndpoint:
		write(tx, state.DBClusterEndpoints, row, remove)
	case groupOfCluster:
		write(tx, state.DBClusterParameterGroups, row.DBParameterGroup, remove)
	case *model.DBParameterGroup:
		write(tx, state.DBParameterGroups, row, remove)
	case *model.LoadBalancer:
		write(tx, state.LoadBalancers, row, remove)
	case *model.TargetGroup:
		write(tx, state.TargetGroups, row, remove)
	case *model.Listener:
		write(tx, state.Listeners, row, remove)
	case *model.HostedZone:
		write(tx, state.HostedZones, row, remove)
	case *model.RecordSet:
		write(tx, state.RecordSets, row, remove)
	}
}

func write[T table.Row](tx *table.Txn, t *table.Table[T], row T, remove bool) {
	if !remove {
		t.Put(tx, row)
		return
	}
	account, region, id := row.RowKey()
	t.Delete(tx, account, region, id)
}

// changesBetween is what a follower would be told.
func changesBetween(before, after *table.Txn) []table.Change {
	old, now := index(everything(before)), index(everything(after))
	var changes []table.Change
	for key, row := range old {
		if now[key] != row {
			changes = append(changes, table.Change{Key: key, Old: row, New: now[key]})
		}
	}
	for key, row := range now {
		if old[key] == nil {
			changes = append(changes, table.Change{Key: key, New: row})
		}
	}
	return changes
}

func index(changes []table.Change) map[table.Key]table.Row {
	rows := map[table.Key]table.Row{}
	for _, c := range changes {
		rows[c.Key] = c.New
	}
	return rows
}

// everything is what a follower is told first.
func everything(tx *table.Txn) []table.Change {
	return slices.Concat(
		all(tx, state.VPCs), all(tx, state.Subnets), all(tx, state.SecurityGroups),
		all(tx, state.NetworkInterfaces), all(tx, state.Attachments), all(tx, state.AddressClaims), all(tx, state.ResourceGateways),
		all(tx, state.ResourceConfigurations), all(tx, state.VPCEndpoints), all(tx, state.EndpointAssociations), all(tx, state.DomainVerifications),
		all(tx, state.RouteTables), all(tx, state.RouteTableAssociations), all(tx, state.PrefixLists), all(tx, state.InternetGateways),
		all(tx, state.EgressOnlyGateways), all(tx, state.NATGateways), all(tx, state.PeeringConnections), all(tx, state.ElasticAddresses), all(tx, state.PublicClaims),
		all(tx, state.NetworkACLs), all(tx, state.NetworkACLAssociations),
		all(tx, state.HostedZones), all(tx, state.RecordSets), all(tx, state.DHCPOptions),
		all(tx, state.DBClusters), all(tx, state.DBInstances), all(tx, state.DatabaseStates), all(tx, state.DBSnapshots),
		all(tx, state.DBClusterEndpoints), all(tx, state.EndpointServices), all(tx, state.LoadBalancers), all(tx, state.TargetGroups), all(tx, state.Listeners), all(tx, state.Statuses), all(tx, state.DBParameterGroups), all(tx, state.DBClusterParameterGroups))
}

func all[T table.Row](tx *table.Txn, t *table.Table[T]) []table.Change {
	var changes []table.Change
	for row := range t.All(tx) {
		account, region, id := row.RowKey()
		changes = append(changes, table.Change{Key: table.Key{Kind: t.Kind(), Account: account, Region: region, ID: id}, New: row})
	}
	return changes
}

func replaceAll(text string, names map[string]string) string {
	for from, to := range names {
		text = strings.ReplaceAll(text, from, to)
	}
	return text
}

func contains(subjects []Subject, s Subject) bool { return slices.Contains(subjects, s) }
