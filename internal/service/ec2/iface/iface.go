// SPDX-License-Identifier: Apache-2.0

// Package iface is EC2's network interfaces.
package iface

import (
	"context"
	"errors"
	"time"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/alloc"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/ec2/group"
	"github.com/posternhq/postern/internal/service/ec2/request"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// Interfaces are the operations on network interfaces.
type Interfaces struct{ *service.Env }

// newInterface is a request for a network interface with what it needs made
// beforehand.
type newInterface struct {
	in   *shape.CreateNetworkInterfaceInput
	who  access.View
	id   string
	now  time.Time
	tags map[string]string
	wanted
}

// CreateNetworkInterface makes an interface for a workload. The service postern
// attaches it.
func (a Interfaces) CreateNetworkInterface(ctx context.Context, in *shape.CreateNetworkInterfaceInput) (*shape.CreateNetworkInterfaceOutput, error) {
	who := access.From(ctx)
	n, err := a.newInterface(who, in)
	if err != nil {
		return nil, err
	}
	fingerprint := *in
	fingerprint.ClientToken = nil
	once := a.Idempotent(who, "CreateNetworkInterface", in.ClientToken, fingerprint)
	out, err := service.Create(ctx, once,
		func(tx *table.Txn, id string) (*model.NetworkInterface, error) {
			return request.Get(tx, who, state.NetworkInterfaces, id)
		},
		func(tx *table.Txn) (*model.NetworkInterface, error) { return a.createInterface(tx, n) },
		createdInterface)
	if err != nil {
		return nil, request.Fault(err)
	}
	return &shape.CreateNetworkInterfaceOutput{NetworkInterface: out, ClientToken: in.ClientToken}, nil
}

// newInterface checks what can be checked without looking at anything else.
func (a Interfaces) newInterface(who access.View, in *shape.CreateNetworkInterfaceInput) (*newInterface, error) {
	if err := servedInterface(in); err != nil {
		return nil, err
	}
	n := &newInterface{in: in, who: who, id: a.NewID("eni"), now: a.Now()}
	var err error
	if n.v4, err = wanted4(in); err != nil {
		return nil, err
	}
	if n.v6, err = wanted6(in); err != nil {
		return nil, err
	}
	if n.prefixes4, n.prefixes6, err = createdPrefixes(in); err != nil {
		return nil, err
	}
	if err := n.checkTotal(); err != nil {
		return nil, err
	}
	n.tags, err = request.TagsFor(in.TagSpecifications, state.NetworkInterfaces.Kind())
	return n, err
}

// servedInterface refuses the options of an interface that do not exist here.
func servedInterface(in *shape.CreateNetworkInterfaceInput) error {
	switch {
	case in.InterfaceType != nil:
		return request.Unserved("network interfaces of type " + *in.InterfaceType)
	case service.Value(in.EnablePrimaryIpv6):
		return request.Unserved("primary IPv6 addresses")
	case in.ConnectionTrackingSpecification != nil:
		return request.Unserved("connection tracking settings of network interfaces")
	case in.Operator != nil:
		return request.Unserved("operators of network interfaces")
	}
	return nil
}

// createInterface checks the request against the state and adds the interface.
func (a Interfaces) createInterface(tx *table.Txn, n *newInterface) (*model.NetworkInterface, error) {
	s, err := request.Subnet(tx, n.who, service.Value(n.in.SubnetId), "ec2:CreateNetworkInterface")
	if err != nil {
		return nil, err
	}
	v, ok := state.VPCs.Get(tx, s.Account, s.Region, s.VPC)
	if !ok {
		return nil, request.Unknown(state.VPCs.Kind(), s.VPC)
	}
	groups, err := group.ForInterface(tx, a.Env, n.who, v, n.in.Groups)
	if err != nil {
		return nil, err
	}
	v4, v6 := n.v4, n.v6
	if s.CIDR.IsValid() {
		v4.Count = max(v4.Count, 1)
	}
	if len(v6.Addresses) == 0 && n.in.Ipv6AddressCount == nil && (s.AssignIPv6 || !s.CIDR.IsValid()) {
		v6.Count = 1
	}
	ni, err := a.Alloc().CreateInterface(tx, alloc.Params{
		ID: n.id, CreatedAt: n.now, Account: n.who.Account, Subnet: s, Type: model.InterfaceWorkload,
		Description: service.Value(n.in.Description), Groups: groups, Tags: n.tags,
		SourceDestCheck: true, IPv4: v4, IPv6: v6, Prefixes4: n.prefixes4, Prefixes6: n.prefixes6,
	})
	return ni, Fault(err)
}

// DeleteNetworkInterface removes an interface that nothing uses. One with more addresses
// than the store takes at once loses some of them before.
func (a Interfaces) DeleteNetworkInterface(ctx context.Context, in *shape.DeleteNetworkInterfaceInput) (*shape.DeleteNetworkInterfaceOutput, error) {
	who, id := access.From(ctx), service.Value(in.NetworkInterfaceId)
	unused := func(with func(*table.Txn, *model.NetworkInterface)) error {
		_, err := a.DB.Update(ctx, func(tx *table.Txn) error {
			ni, err := ownInterface(tx, who, id)
			if err != nil {
				return err
			}
			if state.Held(tx, state.NetworkInterfaces, ni) != nil {
				return fault.EC2("InvalidNetworkInterface.InUse", "Network interface '%s' is currently in use: it is attached", ni.ID)
			}
			with(tx, ni)
			return nil
		})
		return err
	}
	for {
		err := unused(alloc.DeleteInterface)
		if err == nil {
			return &shape.DeleteNetworkInterfaceOutput{}, nil
		} else if !errors.Is(err, table.ErrTooLarge) {
			return nil, err
		}
		shed := 0
		less := unused(func(tx *table.Txn, ni *model.NetworkInterface) { shed = alloc.Shed(tx, ni, shedAtOnce) })
		switch {
		case less != nil:
			return nil, less
		case shed == 0:
			return nil, err
		}
	}
}

// shedAtOnce is how many addresses an interface loses in one transaction when it has
// too many for its deletion.
const shedAtOnce = 48

// ownInterface is Get for changes: interfaces of endpoints and
// gateways change with these only.
func ownInterface(tx *table.Txn, who access.View, id string) (*model.NetworkInterface, error) {
	ni, err := request.Get(tx, who, state.NetworkInterfaces, id)
	if err == nil && ni.Owner != "" {
		return nil, fault.EC2("OperationNotPermitted", "You are not allowed to manage network interface '%s': it belongs to %s", id, ni.Owner)
	}
	return ni, err
}

func attachmentOf(tx *table.Txn, ni *model.NetworkInterface) (*model.Attachment, bool) {
	return state.Attachments.Get(tx, ni.Account, ni.Region, ni.ID)
}

// Fault gives the errors of package alloc their EC2 codes; others it returns as
// they are.
func Fault(err error) error {
	var address *alloc.AddressError
	var full *alloc.ExhaustedError
	var family *alloc.FamilyError
	var quota *alloc.QuotaError
	switch {
	case errors.As(err, &address) && address.Problem == alloc.Taken:
		return fault.EC2("InvalidIPAddress.InUse", "%v", address)
	case errors.As(err, &address):
		return fault.EC2("InvalidParameterValue", "%v", address)
	case errors.As(err, &full) && full.Prefixes:
		return fault.EC2("InsufficientCidrBlocks", "The specified subnet does not have enough free cidr blocks to satisfy the request: %v", full)
	case errors.As(err, &full):
		return fault.EC2("InsufficientFreeAddressesInSubnet", "The specified subnet does not have enough free addresses to satisfy the request: %v", full)
	case errors.As(err, &family):
		return fault.EC2("InvalidParameterValue", "%v", family)
	case errors.As(err, &quota):
		return fault.EC2("NetworkInterfaceLimitExceeded", "%v", quota)
	}
	return err
}
