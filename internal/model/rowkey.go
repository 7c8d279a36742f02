// SPDX-License-Identifier: Apache-2.0

package model

import "strconv"

// RowKey gives the parts of the key that the resource is stored under: its
// account, region and identifier.
func (m *Meta) RowKey() (account, region, id string) { return m.Account, m.Region, m.ID }

// RowKey gives the parts of the row's key.
func (a *Account) RowKey() (account, region, id string) { return "", "", a.ID }

// RowKey gives the parts of the row's key: keys are found without knowing
// their account.
func (k *AccessKey) RowKey() (account, region, id string) { return "", "", k.ID }

// RowKey gives the parts of the row's key.
func (h *Host) RowKey() (account, region, id string) { return "", "", h.Name }

// RowKey gives the parts of the row's key.
func (c *ClientToken) RowKey() (account, region, id string) {
	return c.Account, c.Region, c.Operation + "/" + c.Token
}

// RowKey gives the parts of the row's key.
func (e *Election) RowKey() (account, region, id string) { return "", "", e.Office }

// RowKey gives the parts of the row's key: those of the resource.
func (s *Status) RowKey() (account, region, id string) { return s.Account, s.Region, s.ID }

// RowKey gives the parts of the row's key.
func (a *AddressClaim) RowKey() (account, region, id string) {
	return a.Account, a.Region, AddressClaimID(a.Subnet, a.Addr)
}

// RowKey gives the parts of the row's key: those of the interface.
func (a *Attachment) RowKey() (account, region, id string) { return a.Account, a.Region, a.Interface }

// RowKey gives the parts of the row's key: those of the zone, with what tells sets apart.
func (r *RecordSet) RowKey() (account, region, id string) {
	return r.Account, "", RecordSetID(r.Zone, r.Name, r.Type, r.Set)
}

// RowKey gives the parts of the row's key: those of the zone, with what names the VPC.
func (a *VPCAssociationAuthorization) RowKey() (account, region, id string) {
	return a.Account, "", VPCAssociationAuthorizationID(a.Zone, a.Region, a.VPC)
}

// RowKey gives the parts of the row's key.
func (c *ZoneChange) RowKey() (account, region, id string) { return c.Account, "", c.ID }

// RowKey gives the parts of the row's key.
func (c *TransitClaim) RowKey() (account, region, id string) {
	return "", "", TransitClaimID(c.Space, c.Index)
}

// RowKey gives the parts of the row's key.
func (a *RouteTableAssociation) RowKey() (account, region, id string) {
	return a.Account, a.Region, a.ID
}

// RowKey gives the parts of the row's key.
func (a *NetworkACLAssociation) RowKey() (account, region, id string) {
	return a.Account, a.Region, a.ID
}

// RowKey gives the parts of the row's key: the pool is everybody's.
func (p *PublicClaim) RowKey() (account, region, id string) { return "", "", p.Addr.String() }

// RowKey gives the parts of the row's key: those of the policy, with the number.
func (v *PolicyVersion) RowKey() (account, region, id string) {
	return v.Account, "", PolicyVersionID(v.Policy, v.Number)
}

// RowKey gives the parts of the row's key: those of the owner, with the name.
func (p *InlinePolicy) RowKey() (account, region, id string) {
	return p.Account, "", InlinePolicyID(p.Owner, p.Name)
}

// RowKey gives the parts of the row's key.
func (u *LastUse) RowKey() (account, region, id string) { return u.Account, "", u.ID }

// The spaces of transit claims.
const (
	SpaceSource = "source"
	SpaceTarget = "target"
	// SpacePool6 is of the IPv6 pool that blocks of VPCs come from, by all
	// accounts: a place for each block.
	SpacePool6 = "ipv6-pool"
)

// TransitClaimID is the row id of the claim on a place.
func TransitClaimID(space string, index int) string { return space + "/" + strconv.Itoa(index) }
