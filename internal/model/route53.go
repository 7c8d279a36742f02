// SPDX-License-Identifier: Apache-2.0

package model

import (
	"slices"
	"time"
)

// HostedZone is a zone of names that VPCs see: a private hosted zone of Route 53. Like
// all of Route 53 it is in no region. Its record sets are rows of their own.
type HostedZone struct {
	Meta
	// Name is in normal form, see NormalName.
	Name string `json:"name"`
	// CallerReference is what the request called the zone that made it; an account uses
	// each once.
	CallerReference string `json:"callerReference"`
	Comment         string `json:"comment,omitempty"`
	// VPCs see the zone: of its own account and of others, in the order in which they
	// came to it.
	VPCs []Ref `json:"vpcs,omitempty"`
}

// Clone copies the row so that the copy can be changed.
func (z *HostedZone) Clone() *HostedZone {
	c := *z
	c.Meta = z.Meta.clone()
	c.VPCs = slices.Clone(z.VPCs)
	return &c
}

// Routing is how record sets of one name and type share its questions.
type Routing string

// The ways. A set that is alone has none.
const (
	RoutingSimple     Routing = ""
	RoutingWeighted   Routing = "weighted"
	RoutingMultivalue Routing = "multivalue"
	// RoutingFailover: a set is the primary one, and another the secondary.
	RoutingFailover Routing = "failover"
)

// RecordSet is what a zone answers about a name and type, or one of several sets that
// share these.
type RecordSet struct {
	// Account is the zone's.
	Account string `json:"account"`
	Zone    string `json:"zone"`
	// Name is in normal form, see NormalName; its first label is WildcardLabel for names
	// that are not there.
	Name string `json:"name"`
	// Type is the mnemonic of the type, such as AAAA.
	Type string `json:"type"`
	// Set tells sets of one name and type apart; empty when the set is alone.
	Set string `json:"set,omitempty"`
	// TTL is in seconds; an alias has none.
	TTL int64 `json:"ttl,omitempty"`
	// Values are as users wrote them; RecordData gives their normal form.
	Values []string `json:"values,omitempty"`
	// Alias is set in place of values.
	Alias   AliasTarget `json:"alias,omitzero"`
	Routing Routing     `json:"routing,omitempty"`
	// Weight is from 0 to 255, of a weighted set.
	Weight int64 `json:"weight,omitempty"`
	// Secondary says which one a set is that has failover routing.
	Secondary bool `json:"secondary,omitempty"`
}

// AliasTarget is the name whose records are answered under another name.
type AliasTarget struct {
	// Zone is the hosted zone of the name: the id of one, or that which is shown with an
	// endpoint's name.
	Zone string `json:"zone"`
	// Name is in normal form, see NormalName.
	Name string `json:"name"`
	// Evaluate is kept for users; nothing looks at it.
	Evaluate bool `json:"evaluate,omitempty"`
}

// IsZero reports whether a leads nowhere.
func (a AliasTarget) IsZero() bool { return a == AliasTarget{} }

// ZoneRef names the zone that the set is in.
func (r *RecordSet) ZoneRef() Ref { return Ref{Account: r.Account, ID: r.Zone} }

// Data gives the normal forms of the values, in their order. What is none of its type, as
// this version sees it, stays as it is.
func (r *RecordSet) Data() []string {
	var all []string
	for _, value := range r.Values {
		form, err := RecordData(r.Type, value)
		if err != nil {
			form = value
		}
		all = append(all, form)
	}
	return all
}

// Clone copies the row so that the copy can be changed.
func (r *RecordSet) Clone() *RecordSet {
	c := *r
	c.Values = slices.Clone(r.Values)
	return &c
}

// RecordSetID is the row id of a record set. In the order of ids the sets of a zone are
// as Route 53 lists them: by the reversed labels of names, then type, then set.
func RecordSetID(zone, name, kind, set string) string {
	return zone + "/" + ReversedName(name) + "/" + kind + "/" + set
}

// VPCAssociationAuthorization lets the account of a VPC associate it with a zone of
// another one.
type VPCAssociationAuthorization struct {
	// Account is the zone's.
	Account string `json:"account"`
	Zone    string `json:"zone"`
	// Region and VPC name the VPC. Whose it is the request does not say, and it need not
	// exist.
	Region    string    `json:"region"`
	VPC       string    `json:"vpc"`
	CreatedAt time.Time `json:"createdAt"`
}

// ZoneRef names the zone that the VPC may be associated with.
func (a *VPCAssociationAuthorization) ZoneRef() Ref { return Ref{Account: a.Account, ID: a.Zone} }

// Clone copies the row so that the copy can be changed.
func (a *VPCAssociationAuthorization) Clone() *VPCAssociationAuthorization { c := *a; return &c }

// VPCAssociationAuthorizationID is the row id of the authorization for a VPC.
func VPCAssociationAuthorizationID(zone, region, vpc string) string {
	return zone + "/" + region + "/" + vpc
}

// ZoneChange is a change of a zone or of its VPCs that a request made. It is pending until
// every resolver has it, which its Status says.
type ZoneChange struct {
	// Account is whose request it was.
	Account string `json:"account"`
	ID      string `json:"id"`
	// Zone is the one that was changed, which may be another account's and gone since.
	Zone        Ref       `json:"zone"`
	Comment     string    `json:"comment,omitempty"`
	SubmittedAt time.Time `json:"submittedAt"`
}

// Ref names the change.
func (c *ZoneChange) Ref() Ref { return Ref{Account: c.Account, ID: c.ID} }

// Clone copies the row so that the copy can be changed.
func (c *ZoneChange) Clone() *ZoneChange { d := *c; return &d }

// zoneChangeLife is how long a change can be asked about. AWS does not say how long it
// knows them; clients ask for minutes.
const zoneChangeLife = 24 * time.Hour

// Expires is when a change is forgotten that is pending no more.
func (c *ZoneChange) Expires() time.Time { return c.SubmittedAt.Add(zoneChangeLife) }
