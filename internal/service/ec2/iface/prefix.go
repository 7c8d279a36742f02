// SPDX-License-Identifier: Apache-2.0

package iface

import (
	"net/netip"
	"slices"
	"time"

	"github.com/posternhq/postern/internal/alloc"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/table"
)

// prefixFamily is what differs between the prefixes of IPv4 and IPv6.
type prefixFamily struct {
	name      string // of the family, as messages have it
	field     string // what its parameters begin with
	addresses string // the parameters that exclude them
	bits      int
	of        func(netip.Addr) bool
}

var (
	prefixes4 = prefixFamily{"IPv4", "Ipv4", "PrivateIpAddresses and SecondaryPrivateIpAddressCount", model.PrefixBits4, netip.Addr.Is4}
	prefixes6 = prefixFamily{"IPv6", "Ipv6", "Ipv6Addresses and Ipv6AddressCount", model.PrefixBits6, netip.Addr.Is6}
)

// wanted reads named prefixes or a number of them. Which other parameters exclude
// them the caller says: withAddresses is set when the request asks for further
// addresses of the family, too
// (https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateNetworkInterface.html).
func (f prefixFamily) wanted(texts []string, count *int32, withAddresses bool) (alloc.WantPrefixes, error) {
	w := alloc.WantPrefixes{Count: int(service.Value(count))}
	var err error
	if w.Prefixes, err = f.parse(texts); err != nil {
		return w, err
	}
	switch {
	case w.Count < 0:
		return w, fault.EC2("InvalidParameterValue", "the number of prefixes %d is negative", w.Count)
	case w.Count > 0 && len(w.Prefixes) > 0:
		return w, fault.EC2("InvalidParameterCombination", "%[1]sPrefixCount and %[1]sPrefixes exclude each other", f.field)
	case !w.None() && withAddresses:
		return w, fault.EC2("InvalidParameterCombination", "%[1]sPrefixes and %[1]sPrefixCount exclude %[2]s", f.field, f.addresses)
	case w.Total() > maxAddresses:
		return w, tooManyAddresses()
	}
	return w, nil
}

// parse reads prefixes of the only length that interfaces have, which begin where
// such prefixes do.
func (f prefixFamily) parse(texts []string) ([]netip.Prefix, error) {
	var prefixes []netip.Prefix
	for _, text := range texts {
		p, err := netip.ParsePrefix(text)
		switch {
		case err != nil || !f.of(p.Addr()) || p.Addr().Is4In6():
			return nil, fault.EC2("InvalidParameterValue", "Invalid %s prefix: '%s'", f.name, text)
		case p.Bits() != f.bits:
			return nil, fault.EC2("InvalidParameterValue", "The %s prefix '%s' must have the length /%d", f.name, text, f.bits)
		case p != p.Masked():
			return nil, fault.EC2("InvalidParameterValue", "The %s prefix '%s' does not begin at a multiple of its size, as %s does", f.name, text, p.Masked())
		}
		prefixes = append(prefixes, p)
	}
	return prefixes, nil
}

// createdPrefixes reads which prefixes a new interface shall have. Its primary
// IPv4 address may be named beside them.
func createdPrefixes(in *shape.CreateNetworkInterfaceInput) (v4, v6 alloc.WantPrefixes, err error) {
	var texts4, texts6 []string
	for _, p := range in.Ipv4Prefixes {
		texts4 = append(texts4, service.Value(p.Ipv4Prefix))
	}
	for _, p := range in.Ipv6Prefixes {
		texts6 = append(texts6, service.Value(p.Ipv6Prefix))
	}
	v4, err = prefixes4.wanted(texts4, in.Ipv4PrefixCount, len(in.PrivateIpAddresses) > 0 || service.Value(in.SecondaryPrivateIpAddressCount) > 0)
	if err == nil {
		v6, err = prefixes6.wanted(texts6, in.Ipv6PrefixCount, len(in.Ipv6Addresses) > 0 || service.Value(in.Ipv6AddressCount) > 0)
	}
	return v4, v6, err
}

// dropPrefix takes a prefix out of the caller's copy of an interface.
func dropPrefix(tx *table.Txn, ni *model.NetworkInterface, p netip.Prefix, now time.Time) error {
	of := &ni.Prefixes4
	if p.Addr().Is6() {
		of = &ni.Prefixes6
	}
	i := slices.Index(*of, p)
	if i < 0 {
		return fault.EC2("InvalidParameterValue", "The prefix %s is not assigned to interface %s", p, ni.ID)
	}
	*of = slices.Delete(*of, i, i+1)
	alloc.ReleasePrefix(tx, ni, p, now)
	return nil
}

// prefixShapes4 shows IPv4 prefixes.
func prefixShapes4(prefixes []netip.Prefix) (out []shape.Ipv4PrefixSpecification) {
	for _, p := range prefixes {
		out = append(out, shape.Ipv4PrefixSpecification{Ipv4Prefix: new(p.String())})
	}
	return out
}

// prefixShapes6 shows IPv6 prefixes.
func prefixShapes6(prefixes []netip.Prefix) (out []shape.Ipv6PrefixSpecification) {
	for _, p := range prefixes {
		out = append(out, shape.Ipv6PrefixSpecification{Ipv6Prefix: new(p.String())})
	}
	return out
}

// checkTotal refuses more addresses and prefixes of a family than an interface can
// have: a prefix counts as an address.
func (w wanted) checkTotal() error {
	of4 := max(w.v4.Count, len(w.v4.Addresses), 1) + w.prefixes4.Total()
	of6 := max(w.v6.Count, len(w.v6.Addresses)) + w.prefixes6.Total()
	if max(of4, of6) > maxAddresses {
		return tooManyAddresses()
	}
	return nil
}
