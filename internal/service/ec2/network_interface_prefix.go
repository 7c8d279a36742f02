// SPDX-License-Identifier: Apache-2.0

package ec2

import (
	"net/netip"
	"slices"
	"time"

	"github.com/posternhq/postern/internal/aws/fault"
	"github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service/eni"
	"github.com/posternhq/postern/internal/table"
)

// wantedPrefixes reads named IPv4 prefixes or a number of them. Which other
// parameters exclude them the caller says: withAddresses is set when the request
// asks for secondary addresses, too
// (https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateNetworkInterface.html).
func wantedPrefixes(texts []string, count *int32, withAddresses bool) (eni.WantPrefixes, error) {
	w := eni.WantPrefixes{Count: int(deref(count))}
	var err error
	if w.Prefixes, err = parsePrefixes(texts); err != nil {
		return w, err
	}
	switch {
	case w.Count < 0:
		return w, fault.EC2("InvalidParameterValue", "the number of prefixes %d is negative", w.Count)
	case w.Count > 0 && len(w.Prefixes) > 0:
		return w, fault.EC2("InvalidParameterCombination", "Ipv4PrefixCount and Ipv4Prefixes exclude each other")
	case !w.None() && withAddresses:
		return w, fault.EC2("InvalidParameterCombination", "Ipv4Prefixes and Ipv4PrefixCount exclude PrivateIpAddresses and SecondaryPrivateIpAddressCount")
	case max(w.Count, len(w.Prefixes)) > maxAddresses:
		return w, tooManyAddresses()
	}
	return w, nil
}

// createdPrefixes reads which IPv4 prefixes a new interface shall have. Its
// primary address may be named beside them.
func createdPrefixes(in *ec2.CreateNetworkInterfaceInput) (eni.WantPrefixes, error) {
	var texts []string
	for _, p := range in.Ipv4Prefixes {
		texts = append(texts, deref(p.Ipv4Prefix))
	}
	return wantedPrefixes(texts, in.Ipv4PrefixCount, len(in.PrivateIpAddresses) > 0 || deref(in.SecondaryPrivateIpAddressCount) > 0)
}

// parsePrefixes reads prefixes of the only length that interfaces have, which
// begin where such prefixes do.
func parsePrefixes(texts []string) ([]netip.Prefix, error) {
	var prefixes []netip.Prefix
	for _, text := range texts {
		p, err := netip.ParsePrefix(text)
		switch {
		case err != nil || !p.Addr().Is4():
			return nil, fault.EC2("InvalidParameterValue", "Invalid IPv4 prefix: '%s'", text)
		case p.Bits() != eni.PrefixBits4:
			return nil, fault.EC2("InvalidParameterValue", "The IPv4 prefix '%s' must have the length /%d", text, eni.PrefixBits4)
		case p != p.Masked():
			return nil, fault.EC2("InvalidParameterValue", "The IPv4 prefix '%s' does not begin at a multiple of its size, as %s does", text, p.Masked())
		}
		prefixes = append(prefixes, p)
	}
	return prefixes, nil
}

// dropPrefix takes a prefix out of the caller's copy of an interface.
func dropPrefix(tx *table.Txn, ni *model.NetworkInterface, p netip.Prefix, now time.Time) error {
	i := slices.Index(ni.Prefixes4, p)
	if i < 0 {
		return fault.EC2("InvalidParameterValue", "The prefix %s is not assigned to interface %s", p, ni.ID)
	}
	ni.Prefixes4 = slices.Delete(ni.Prefixes4, i, i+1)
	eni.ReleasePrefix(tx, ni, p, now)
	return nil
}

// prefixShapes shows prefixes.
func prefixShapes(prefixes []netip.Prefix) []ec2.Ipv4PrefixSpecification {
	var out []ec2.Ipv4PrefixSpecification
	for _, p := range prefixes {
		out = append(out, ec2.Ipv4PrefixSpecification{Ipv4Prefix: new(p.String())})
	}
	return out
}

// checkTotal refuses more secondary addresses and prefixes than an interface can
// have: a prefix counts as an address.
func checkTotal(v4 eni.Want, prefixes eni.WantPrefixes) error {
	if max(v4.Count, len(v4.Addresses), 1)+max(prefixes.Count, len(prefixes.Prefixes)) > maxAddresses {
		return tooManyAddresses()
	}
	return nil
}
