// SPDX-License-Identifier: Apache-2.0

package iface

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/posternhq/postern/internal/alloc"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/ec2/request"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// maxAddresses is how many addresses of one family an interface can have, which
// on AWS depends on the instance type and is at most 50.
const maxAddresses = 50

// wanted4 reads which IPv4 addresses a new interface shall have. When no
// address is marked as the primary one, it is the first.
func wanted4(in *shape.CreateNetworkInterfaceInput) (alloc.Want, error) {
	var texts []string
	primary := service.Value(in.PrivateIpAddress)
	for _, p := range in.PrivateIpAddresses {
		text := service.Value(p.PrivateIpAddress)
		if !service.Value(p.Primary) {
			texts = append(texts, text)
			continue
		}
		if primary != "" && primary != text {
			return alloc.Want{}, fault.EC2("InvalidParameterCombination", "Only one primary private IP address can be specified, there are %s and %s", primary, text)
		}
		primary = text
	}
	if primary != "" {
		texts = append([]string{primary}, slices.DeleteFunc(texts, func(t string) bool { return t == primary })...)
	}
	want := alloc.Want{}
	var err error
	if want.Addresses, err = ParseAddresses(texts, netip.Addr.Is4, "IPv4"); err != nil {
		return want, err
	}
	if count := int(service.Value(in.SecondaryPrivateIpAddressCount)); count > 0 {
		if len(want.Addresses) > 1 {
			return want, fault.EC2("InvalidParameterCombination", "SecondaryPrivateIpAddressCount and secondary PrivateIpAddresses exclude each other")
		}
		want.Count = 1 + count
	}
	return want, checkCount(want)
}

// wanted6 reads which IPv6 addresses a new interface shall have.
func wanted6(in *shape.CreateNetworkInterfaceInput) (alloc.Want, error) {
	var texts []string
	for _, p := range in.Ipv6Addresses {
		if service.Value(p.IsPrimaryIpv6) {
			return alloc.Want{}, request.Unserved("primary IPv6 addresses")
		}
		texts = append(texts, service.Value(p.Ipv6Address))
	}
	return want(texts, in.Ipv6AddressCount, netip.Addr.Is6, "IPv6", "Ipv6AddressCount and Ipv6Addresses exclude each other")
}

// want reads named addresses or a number of them.
func want(texts []string, count *int32, family func(netip.Addr) bool, name, both string) (alloc.Want, error) {
	if len(texts) > 0 && service.Value(count) != 0 {
		return alloc.Want{}, fault.EC2("InvalidParameterCombination", "%s", both)
	}
	addresses, err := ParseAddresses(texts, family, name)
	w := alloc.Want{Addresses: addresses, Count: int(service.Value(count))}
	if err != nil {
		return w, err
	}
	return w, checkCount(w)
}

func checkCount(w alloc.Want) error {
	switch {
	case w.Count < 0:
		return fault.EC2("InvalidParameterValue", "the number of addresses %d is negative", w.Count)
	case max(w.Count, len(w.Addresses)) > maxAddresses:
		return tooManyAddresses()
	}
	return nil
}

func tooManyAddresses() error {
	return fault.EC2("PrivateIpAddressLimitExceeded", "A network interface can have %d addresses of each family", maxAddresses)
}

// ParseAddresses reads addresses of a family, which errors call by its name.
func ParseAddresses(texts []string, family func(netip.Addr) bool, name string) ([]netip.Addr, error) {
	var addresses []netip.Addr
	for _, text := range texts {
		addr, err := netip.ParseAddr(text)
		if err != nil || !family(addr) || addr.Is4In6() || addr.Zone() != "" {
			return nil, fault.EC2("InvalidParameterValue", "Invalid %s address: '%s'", name, text)
		}
		addresses = append(addresses, addr)
	}
	return addresses, nil
}

// AssignPrivateIpAddresses gives a workload's interface further IPv4 addresses
// or prefixes, and moves addresses there from another one when that is allowed:
// so do floating addresses from a machine that failed.
func (a Interfaces) AssignPrivateIpAddresses(ctx context.Context, in *shape.AssignPrivateIpAddressesInput) (*shape.AssignPrivateIpAddressesOutput, error) {
	w, err := want(in.PrivateIpAddresses, in.SecondaryPrivateIpAddressCount, netip.Addr.Is4, "IPv4", "SecondaryPrivateIpAddressCount and PrivateIpAddresses exclude each other")
	if err != nil {
		return nil, err
	}
	w.Move = service.Value(in.AllowReassignment)
	prefixes, err := prefixes4.wanted(in.Ipv4Prefixes, in.Ipv4PrefixCount, !w.None())
	if err != nil {
		return nil, err
	}
	added, err := a.assign(ctx, service.Value(in.NetworkInterfaceId), wanted{v4: w, prefixes4: prefixes})
	if err != nil {
		return nil, err
	}
	out := &shape.AssignPrivateIpAddressesOutput{NetworkInterfaceId: in.NetworkInterfaceId, AssignedIpv4Prefixes: prefixShapes4(added.prefixes)}
	for _, addr := range added.addresses {
		out.AssignedPrivateIpAddresses = append(out.AssignedPrivateIpAddresses, shape.AssignedPrivateIpAddress{PrivateIpAddress: new(addr.String())})
	}
	return out, nil
}

// AssignIpv6Addresses gives a workload's interface further IPv6 addresses or
// prefixes.
func (a Interfaces) AssignIpv6Addresses(ctx context.Context, in *shape.AssignIpv6AddressesInput) (*shape.AssignIpv6AddressesOutput, error) {
	w, err := want(in.Ipv6Addresses, in.Ipv6AddressCount, netip.Addr.Is6, "IPv6", "Ipv6AddressCount and Ipv6Addresses exclude each other")
	if err != nil {
		return nil, err
	}
	prefixes, err := prefixes6.wanted(in.Ipv6Prefixes, in.Ipv6PrefixCount, !w.None())
	if err != nil {
		return nil, err
	}
	added, err := a.assign(ctx, service.Value(in.NetworkInterfaceId), wanted{v6: w, prefixes6: prefixes})
	if err != nil {
		return nil, err
	}
	out := &shape.AssignIpv6AddressesOutput{NetworkInterfaceId: in.NetworkInterfaceId, AssignedIpv6Addresses: texts(added.addresses)}
	if len(added.prefixes) > 0 {
		out.AssignedIpv6Prefixes = texts(added.prefixes)
	}
	return out, nil
}

// wanted is what an interface shall get.
type wanted struct {
	v4, v6               alloc.Want
	prefixes4, prefixes6 alloc.WantPrefixes
}

// assigned is what an interface got.
type assigned struct {
	addresses []netip.Addr
	prefixes  []netip.Prefix
}

// assign adds addresses and prefixes to an interface and gives those that were
// added.
func (a Interfaces) assign(ctx context.Context, id string, w wanted) (added assigned, err error) {
	if w.v4.None() && w.v6.None() && w.prefixes4.None() && w.prefixes6.None() {
		return added, fault.EC2("MissingParameter", "The request must contain addresses or prefixes to assign or their number")
	}
	_, err = service.Change(ctx, a.Env, state.NetworkInterfaces, ownInterface, id, func(tx *table.Txn, ni *model.NetworkInterface) error {
		s, ok := state.SubnetOf(tx, ni)
		if !ok {
			return request.Unknown(state.Subnets.Kind(), ni.Subnet)
		}
		has, v4, err := placed(tx, ni, w.v4)
		if err != nil {
			return err
		}
		if added.addresses, err = a.Alloc().Assign(tx, ni, s, v4, w.v6); err != nil {
			return Fault(err)
		}
		added.addresses = append(has, added.addresses...)
		if added.prefixes, err = a.Alloc().AssignPrefixes(tx, ni, s, w.prefixes4, w.prefixes6); err != nil {
			return Fault(err)
		}
		if max(len(ni.Addresses)+len(ni.Prefixes4), len(ni.Addresses6)+len(ni.Prefixes6)) > maxAddresses {
			return tooManyAddresses()
		}
		return nil
	})
	return added, err
}

// placed looks at named addresses that have an interface already. Without leave
// to move them they are refused, in the words by which clients of AWS know them.
// Otherwise those that the interface itself has are nothing to do: it returns
// them and the rest.
func placed(tx *table.Txn, ni *model.NetworkInterface, w alloc.Want) (has []netip.Addr, rest alloc.Want, err error) {
	var taken []string
	rest = w
	rest.Addresses = nil
	for i, addr := range w.Addresses {
		c, claimed := state.ClaimOn(tx, ni, addr)
		switch {
		case claimed && !w.Move && !(c.Released() && c.InterfaceRef() == ni.Ref()):
			taken = append(taken, addr.String())
		case claimed && w.Move && slices.Contains(ni.Addresses, addr) && !slices.Contains(w.Addresses[:i], addr):
			has = append(has, addr)
		default:
			rest.Addresses = append(rest.Addresses, addr)
		}
	}
	if len(taken) > 0 {
		err = fault.EC2("InvalidParameterValue", "[%s] assigned, but move is not allowed.", strings.Join(taken, ", "))
	}
	return has, rest, err
}

// UnassignPrivateIpAddresses takes IPv4 addresses and prefixes from a workload's
// interface, but not the primary address.
func (a Interfaces) UnassignPrivateIpAddresses(ctx context.Context, in *shape.UnassignPrivateIpAddressesInput) (*shape.UnassignPrivateIpAddressesOutput, error) {
	addresses, err := ParseAddresses(in.PrivateIpAddresses, netip.Addr.Is4, "IPv4")
	if err != nil {
		return nil, err
	}
	prefixes, err := prefixes4.parse(in.Ipv4Prefixes)
	if err != nil {
		return nil, err
	}
	if err := a.unassign(ctx, service.Value(in.NetworkInterfaceId), addresses, prefixes); err != nil {
		return nil, err
	}
	return &shape.UnassignPrivateIpAddressesOutput{}, nil
}

// UnassignIpv6Addresses takes IPv6 addresses and prefixes from a workload's
// interface, which must keep at least one address of either family.
func (a Interfaces) UnassignIpv6Addresses(ctx context.Context, in *shape.UnassignIpv6AddressesInput) (*shape.UnassignIpv6AddressesOutput, error) {
	addresses, err := ParseAddresses(in.Ipv6Addresses, netip.Addr.Is6, "IPv6")
	if err != nil {
		return nil, err
	}
	prefixes, err := prefixes6.parse(in.Ipv6Prefixes)
	if err != nil {
		return nil, err
	}
	if err := a.unassign(ctx, service.Value(in.NetworkInterfaceId), addresses, prefixes); err != nil {
		return nil, err
	}
	return &shape.UnassignIpv6AddressesOutput{
		NetworkInterfaceId: in.NetworkInterfaceId, UnassignedIpv6Addresses: in.Ipv6Addresses, UnassignedIpv6Prefixes: in.Ipv6Prefixes,
	}, nil
}

func (a Interfaces) unassign(ctx context.Context, id string, addresses []netip.Addr, prefixes []netip.Prefix) error {
	if len(addresses)+len(prefixes) == 0 {
		return fault.EC2("MissingParameter", "The request must contain addresses or prefixes to unassign")
	}
	_, err := service.Change(ctx, a.Env, state.NetworkInterfaces, ownInterface, id, func(tx *table.Txn, ni *model.NetworkInterface) error {
		for _, addr := range addresses {
			if err := drop(tx, ni, addr, ni.UpdatedAt); err != nil {
				return err
			}
		}
		for _, p := range prefixes {
			if err := dropPrefix(tx, ni, p, ni.UpdatedAt); err != nil {
				return err
			}
		}
		return nil
	})
	return err
}

// drop takes one address out of the caller's copy of an interface.
func drop(tx *table.Txn, ni *model.NetworkInterface, addr netip.Addr, now time.Time) error {
	switch {
	case !slices.Contains(ni.All(), addr):
		return fault.EC2("InvalidParameterValue", "The address %s is not assigned to interface %s", addr, ni.ID)
	case len(ni.Addresses) > 0 && ni.Addresses[0] == addr:
		return fault.EC2("InvalidParameterValue", "The primary private IP address %s of interface %s cannot be unassigned", addr, ni.ID)
	case len(ni.All()) == 1:
		return fault.EC2("InvalidParameterValue", "The only address %s of interface %s cannot be unassigned", addr, ni.ID)
	}
	other := func(a netip.Addr) bool { return a == addr }
	ni.Addresses = slices.DeleteFunc(ni.Addresses, other)
	ni.Addresses6 = slices.DeleteFunc(ni.Addresses6, other)
	alloc.Release(tx, ni, addr, now)
	return nil
}

// texts writes addresses or prefixes as replies have them.
func texts[T fmt.Stringer](values []T) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = v.String()
	}
	return out
}
