// SPDX-License-Identifier: Apache-2.0

package iface

import (
	"errors"
	"net/netip"
	"strings"

	"github.com/posternhq/postern/internal/alloc"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/ec2/request"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// Launch gives an interface that is being attached what it has for as long as it is: a
// public address, when it or its subnet asks for one. It returns the row that is stored.
// Where there are no public addresses nobody gets one; when all are taken that is an error
// only in a VPC that they lead to.
func (a Interfaces) Launch(tx *table.Txn, ni *model.NetworkInterface) (*model.NetworkInterface, error) {
	wanted := ni.AssociatePublic > 0
	if s, ok := state.SubnetOf(tx, ni); ok && ni.AssociatePublic == 0 {
		wanted = s.MapPublicIP
	}
	if !wanted {
		return ni, nil
	}
	ni = ni.Clone()
	err := a.Alloc().Publish(tx, ni)
	switch {
	case err != nil && state.InternetGatewaysByVPC.Count(tx, ni.VPCRef()) == 0:
		return ni, nil
	case errors.Is(err, alloc.ErrPublicFull):
		return nil, fault.EC2("InsufficientAddressCapacity", "%s cannot have a public address: %v", ni.ID, err)
	case err != nil:
		return nil, err
	}
	state.NetworkInterfaces.Put(tx, ni)
	return ni, nil
}

// publish changes whether an interface, the caller's own copy, has a public address while
// it is attached: also now, when it is.
func (a Interfaces) publish(tx *table.Txn, ni *model.NetworkInterface, on bool) error {
	ni.AssociatePublic = 1
	if !on {
		ni.AssociatePublic = -1
	}
	if !on && ni.Public.IsValid() {
		alloc.ReleasePublic(tx, ni.Ref(), ni.Public, ni.UpdatedAt)
		ni.Public = netip.Addr{}
	}
	if row, attached := attachmentOf(tx, ni); !on || !attached || !row.DeletedAt.IsZero() {
		return nil
	}
	err := a.Alloc().Publish(tx, ni)
	if errors.Is(err, alloc.ErrPublicFull) {
		return fault.EC2("InsufficientAddressCapacity", "%s cannot have a public address: %v", ni.ID, err)
	}
	return err
}

// publicOwner is whose the public addresses are that are no account's.
const publicOwner = "amazon"

// associationShape tells the public address that an address of an interface has; nil for
// none.
func associationShape(tx *table.Txn, ni *model.NetworkInterface, private netip.Addr) *shape.NetworkInterfaceAssociation {
	if e, ok := alloc.ElasticOf(tx, ni.Ref(), private); ok {
		return &shape.NetworkInterfaceAssociation{
			AllocationId: new(e.ID), AssociationId: new(e.Association), IpOwnerId: new(e.Account),
			PublicIp: new(e.Addr.String()), PublicDnsName: publicName(tx, ni, e.Addr),
		}
	}
	if ni.Public.IsValid() && len(ni.Addresses) > 0 && private == ni.Addresses[0] {
		return &shape.NetworkInterfaceAssociation{
			IpOwnerId: new(publicOwner), PublicIp: new(ni.Public.String()), PublicDnsName: publicName(tx, ni, ni.Public),
		}
	}
	return nil
}

// publicName is the name of a public address in a VPC where addresses have names; empty
// elsewhere, as AWS shows it
// (https://docs.aws.amazon.com/vpc/latest/userguide/AmazonDNS-concepts.html).
func publicName(tx *table.Txn, ni *model.NetworkInterface, addr netip.Addr) *string {
	v, ok := state.VPCOf(tx, ni)
	if !ok || !v.DNSSupport || !v.DNSHostnames {
		return new("")
	}
	domain := ni.Region + ".compute.amazonaws.com"
	if ni.Region == "us-east-1" {
		domain = "compute-1.amazonaws.com"
	}
	return new("ec2-" + strings.ReplaceAll(addr.String(), ".", "-") + "." + domain)
}

// associationFilters are those by the public address of an interface's primary address,
// and by those of all its addresses.
func associationFilters(tx *table.Txn) map[string]func(*model.NetworkInterface) []string {
	type row = *model.NetworkInterface
	of := func(value func(*shape.NetworkInterfaceAssociation) *string, all bool) func(row) []string {
		return func(ni row) (values []string) {
			for i, private := range ni.Addresses {
				if s := associationShape(tx, ni, private); s != nil && (all || i == 0) {
					values = append(values, request.One(service.Value(value(s)))...)
				}
			}
			return values
		}
	}
	owner := func(s *shape.NetworkInterfaceAssociation) *string { return s.IpOwnerId }
	public := func(s *shape.NetworkInterfaceAssociation) *string { return s.PublicIp }
	return map[string]func(row) []string{
		"addresses.association.owner-id":  of(owner, true),
		"addresses.association.public-ip": of(public, true),
		"association.allocation-id":       of(func(s *shape.NetworkInterfaceAssociation) *string { return s.AllocationId }, false),
		"association.association-id":      of(func(s *shape.NetworkInterfaceAssociation) *string { return s.AssociationId }, false),
		"association.ip-owner-id":         of(owner, false),
		"association.public-dns-name":     of(func(s *shape.NetworkInterfaceAssociation) *string { return s.PublicDnsName }, false),
		"association.public-ip":           of(public, false),
	}
}
