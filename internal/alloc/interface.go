// SPDX-License-Identifier: Apache-2.0

package alloc

import (
	"crypto/sha256"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// Want says which addresses of one family an interface shall have.
type Want struct {
	// Addresses are the ones asked for by name, the primary one first.
	Addresses []netip.Addr
	// Count is how many there shall be in all; what Addresses does not name is
	// chosen. A Count below the number of Addresses means that number.
	Count int
	// Move says that a named address may be taken from another workload's
	// interface of the subnet, unless it is the primary one there.
	Move bool
}

// None reports whether nothing is wanted.
func (w Want) None() bool { return w.total() == 0 }

func (w Want) total() int { return max(w.Count, len(w.Addresses)) }

// Params describe a new interface. The subnet decides region, VPC and availability zone,
// and the account unless there is another one, which the subnet is shared with. ID and CreatedAt are made by the caller, before the
// transaction.
type Params struct {
	ID              string
	Account         string
	CreatedAt       time.Time
	Subnet          *model.Subnet
	Type            model.InterfaceType
	Description     string
	Groups          []string
	Tags            map[string]string
	Owner           string
	SourceDestCheck bool
	IPv4, IPv6      Want
	Prefixes4       WantPrefixes
	Prefixes6       WantPrefixes
	// Prefix6 asks for a /80 of the subnet's IPv6 block instead of single
	// addresses, as a resource gateway has it:
	// https://docs.aws.amazon.com/vpc-lattice/latest/ug/resource-gateway.html
	Prefix6 bool
}

// CreateInterface adds an interface and the claims on its addresses to the transaction.
// The returned row is stored: change a clone.
//
// The error is an *AddressError, *ExhaustedError, *FamilyError or *QuotaError;
// then the transaction must be given up.
func (a *Allocator) CreateInterface(tx *table.Txn, p Params) (*model.NetworkInterface, error) {
	s, account, network := p.Subnet, p.Subnet.Account, ""
	if p.Account != "" && p.Account != account {
		account, network = p.Account, s.Account
	}
	if n := a.MaxInterfaces; state.NetworkInterfaces.CountScope(tx, account, s.Region) >= n {
		return nil, &QuotaError{Limit: n}
	}
	ni := &model.NetworkInterface{
		Meta: model.Meta{
			Account: account, Region: s.Region, ID: p.ID, CreatedAt: p.CreatedAt, Tags: p.Tags,
		},
		VPC: s.VPC, Subnet: s.ID, Network: network, Zone: s.Zone, ZoneID: s.ZoneID,
		Type: p.Type, Description: p.Description, MAC: MAC(p.ID), Groups: p.Groups,
		Owner: p.Owner, SourceDestCheck: p.SourceDestCheck,
	}
	if err := a.fill(tx, ni, p); err != nil {
		return nil, err
	}
	if p.Prefix6 {
		prefix, err := a.claimPrefixes(tx, ni, s, WantPrefixes{Count: 1}, s.CIDR6.Prefix, 6)
		if err != nil {
			return nil, err
		}
		ni.Prefix6 = prefix[0]
	}
	if err := state.NetworkInterfaces.Insert(tx, ni); err != nil {
		return nil, fmt.Errorf("create network interface: %w", err)
	}
	return ni, nil
}

// fill gives a new interface its addresses and prefixes: what is named before
// what is chosen.
func (a *Allocator) fill(tx *table.Txn, ni *model.NetworkInterface, p Params) error {
	named4, named6 := WantPrefixes{Prefixes: p.Prefixes4.Prefixes}, WantPrefixes{Prefixes: p.Prefixes6.Prefixes}
	if _, err := a.AssignPrefixes(tx, ni, p.Subnet, named4, named6); err != nil {
		return err
	}
	if _, err := a.Assign(tx, ni, p.Subnet, p.IPv4, p.IPv6); err != nil {
		return err
	}
	_, err := a.AssignPrefixes(tx, ni, p.Subnet, WantPrefixes{Count: p.Prefixes4.Count}, WantPrefixes{Count: p.Prefixes6.Count})
	return err
}

// Assign claims further addresses for ni and appends them to it; ni must be the
// caller's own copy, and storing it is the caller's part. It returns the added
// addresses, IPv4 first. Errors are those of CreateInterface.
func (a *Allocator) Assign(tx *table.Txn, ni *model.NetworkInterface, s *model.Subnet, v4, v6 Want) ([]netip.Addr, error) {
	added4, err := a.claim(tx, ni, s, v4, s.CIDR, 4)
	if err != nil {
		return nil, err
	}
	added6, err := a.claim(tx, ni, s, v6, s.CIDR6.Prefix, 6)
	if err != nil {
		return nil, err
	}
	ni.Addresses = append(ni.Addresses, added4...)
	ni.Addresses6 = append(ni.Addresses6, added6...)
	return append(added4, added6...), nil
}

// Release gives up the claim on one address of ni; DeleteInterface gives up all
// of them. Taking it out of the row is the caller's part. When a workload, a NAT
// gateway or an endpoint has the interface, the claim stays until the data plane has let go of the
// address. An elastic address that it had has nobody then.
func Release(tx *table.Txn, ni *model.NetworkInterface, addr netip.Addr, now time.Time) {
	follow(tx, ni.Ref(), addr, nil, now)
	c, ok := state.ClaimOn(tx, ni, addr)
	_, attached := state.Attachments.Get(tx, ni.Account, ni.Region, ni.ID)
	if !ok || !attached && ni.Type != model.InterfaceNAT && ni.Type != model.InterfaceEndpoint {
		dropClaim(tx, ni, addr)
		return
	}
	c = c.Clone()
	c.ReleasedAt = now
	state.AddressClaims.Put(tx, c)
}

// MAC derives the hardware address of the interface with that id: locally
// administered and unicast (IEEE 802-2014 §8.4), in lower case with colons.
func MAC(id string) string {
	sum := sha256.Sum256([]byte(id))
	mac := net.HardwareAddr(sum[:6])
	mac[0] = mac[0]&^0x03 | 0x02
	return mac.String()
}

// Regroup gives the interfaces of an endpoint or a gateway the groups that it has from
// its last change on.
func Regroup(tx *table.Txn, owner *model.Meta, interfaces, groups []string) {
	for _, id := range interfaces {
		if ni, ok := state.NetworkInterfaces.Get(tx, owner.Account, owner.Region, id); ok {
			ni = ni.Clone()
			ni.Groups, ni.UpdatedAt = groups, owner.UpdatedAt
			state.NetworkInterfaces.Put(tx, ni)
		}
	}
}
