// SPDX-License-Identifier: Apache-2.0

package model

import (
	"maps"
	"slices"
	"time"
)

// DBSubnetGroup is where the instances of a database may be. Its id is its name, in lower
// case.
type DBSubnetGroup struct {
	Meta
	Description string   `json:"description"`
	VPC         string   `json:"vpc"`
	Subnets     []string `json:"subnets"`
}

// Clone copies the row so that the copy can be changed.
func (g *DBSubnetGroup) Clone() *DBSubnetGroup {
	c := *g
	c.Meta, c.Subnets = g.Meta.clone(), slices.Clone(g.Subnets)
	return &c
}

// ARN names the group.
func (g *DBSubnetGroup) ARN() string { return ARN("rds", g.Region, g.Account, "subgrp:"+g.ID) }

// DBParameterGroup is parameters of engines of a family, for instances or for clusters,
// which have tables of their own. Its id is its name, in lower case.
type DBParameterGroup struct {
	Meta
	Family      string `json:"family"`
	Description string `json:"description"`
	// Parameters are those that users have set.
	Parameters map[string]DBParameter `json:"parameters,omitempty"`
}

// DBParameter is what a user has set.
type DBParameter struct {
	Value string `json:"value"`
	// AtReboot says that it is to be in force from the next reboot on.
	AtReboot bool `json:"atReboot,omitempty"`
}

// HeldParameters are values by the names of parameters that are in force instead of those of
// the parameter group, until the next reboot.
type HeldParameters map[string]HeldParameter

// HeldParameter is a value that is in force; or the engine's default, as the group had none.
type HeldParameter struct {
	Value   string `json:"value,omitempty"`
	Default bool   `json:"default,omitempty"`
}

// Change gives what is held when a parameter of the group changes from a value to another one:
// at once, or with the next reboot. What is held already is what is in force.
func (h HeldParameters) Change(name string, from, to HeldParameter, atReboot bool) HeldParameters {
	h = maps.Clone(h)
	now, ok := h[name]
	if !ok {
		now = from
	}
	if delete(h, name); atReboot && now != to {
		if h == nil {
			h = HeldParameters{}
		}
		h[name] = now
	}
	if len(h) == 0 {
		return nil
	}
	return h
}

// InForce gives the values of the group's parameters that are in force where some are held.
func (g *DBParameterGroup) InForce(held HeldParameters) map[string]string {
	values := map[string]string{}
	for name, p := range g.Parameters {
		values[name] = p.Value
	}
	for name, p := range held {
		if values[name] = p.Value; p.Default {
			delete(values, name)
		}
	}
	return values
}

// Clone copies the row so that the copy can be changed.
func (g *DBParameterGroup) Clone() *DBParameterGroup {
	c := *g
	c.Meta, c.Parameters = g.Meta.clone(), maps.Clone(g.Parameters)
	return &c
}

// DBClusterEndpoint is a name for some of a cluster's instances. Its id is its name, in lower
// case.
type DBClusterEndpoint struct {
	Meta
	// Cluster is the id of the cluster.
	Cluster string `json:"cluster"`
	// Readers says that it leads to readers only (type READER); otherwise it leads to any.
	Readers bool `json:"readers,omitempty"`
	// Static are the ids of the only instances that it leads to; without any it leads to all
	// but those in Excluded. Ids stay when instances go, so that an endpoint of one instance
	// does not lead to all others when that one is gone.
	Static   []string `json:"static,omitempty"`
	Excluded []string `json:"excluded,omitempty"`
}

// Clone copies the row so that the copy can be changed.
func (e *DBClusterEndpoint) Clone() *DBClusterEndpoint {
	c := *e
	c.Meta, c.Static, c.Excluded = e.Meta.clone(), slices.Clone(e.Static), slices.Clone(e.Excluded)
	return &c
}

// ARN names the endpoint.
func (e *DBClusterEndpoint) ARN() string {
	return ARN("rds", e.Region, e.Account, "cluster-endpoint:"+e.ID)
}

// DBEvent is something that happened to a database.
type DBEvent struct {
	Account string `json:"account"`
	Region  string `json:"region"`
	// ID is unique in account and region, and later events have greater ones.
	ID string `json:"id"`
	// SourceType is in the words of RDS, such as db-cluster; Source is the identifier.
	SourceType string    `json:"sourceType"`
	Source     string    `json:"source"`
	SourceARN  string    `json:"sourceArn"`
	Message    string    `json:"message"`
	Categories []string  `json:"categories,omitempty"`
	At         time.Time `json:"at"`
}

// dbEventLife is how long events are kept
// (https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_DescribeEvents.html).
const dbEventLife = 14 * 24 * time.Hour

// Expires is when the event is not kept any more.
func (e *DBEvent) Expires() time.Time { return e.At.Add(dbEventLife) }

// Clone copies the row so that the copy can be changed.
func (e *DBEvent) Clone() *DBEvent { c := *e; c.Categories = slices.Clone(e.Categories); return &c }

// RowKey gives the parts of the row's key.
func (e *DBEvent) RowKey() (account, region, id string) { return e.Account, e.Region, e.ID }

// Authority is a certificate authority of an account in a region, whose certificates the
// account's servers show there. Its id is its name. That of the installation, whose
// certificate the API shows, has neither account nor region.
type Authority struct {
	Account string `json:"account"`
	Region  string `json:"region"`
	ID      string `json:"id"`
	// Certificate is in PEM. Key is its private key in PKCS #8, sealed for
	// account/region/id, as base64url.
	Certificate string    `json:"certificate"`
	Key         string    `json:"key"`
	CreatedAt   time.Time `json:"createdAt"`
}

// Clone copies the row so that the copy can be changed.
func (a *Authority) Clone() *Authority { c := *a; return &c }

// RowKey gives the parts of the row's key.
func (a *Authority) RowKey() (account, region, id string) { return a.Account, a.Region, a.ID }
