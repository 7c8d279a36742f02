// SPDX-License-Identifier: Apache-2.0

package authority

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// maxCommon is how long a common name may be (RFC 5280, appendix A: ub-common-name), which
// names of databases often are not.
const maxCommon = 64

// subject is what a certificate says of its server.
type subject struct {
	common string
	names  []string
	addrs  []net.IP
}

// subjectOf gives names and addresses in a form and order that does not depend on theirs.
func subjectOf(names []string, addrs []netip.Addr) (subject, error) {
	var s subject
	for _, name := range names {
		name = strings.ToLower(strings.TrimSuffix(name, "."))
		if err := checkName(name); err != nil {
			return s, err
		}
		s.names = append(s.names, name)
	}
	if len(s.names) > 0 {
		s.common = s.names[0]
	}
	slices.Sort(s.names)
	s.names = slices.Compact(s.names)
	addrs = slices.Clone(addrs)
	slices.SortFunc(addrs, netip.Addr.Compare)
	for _, addr := range slices.Compact(addrs) {
		if !addr.IsValid() {
			return s, errors.New("an address is not valid")
		}
		s.addrs = append(s.addrs, addr.Unmap().WithZone("").AsSlice())
	}
	if len(s.names)+len(s.addrs) == 0 {
		return s, errors.New("there is neither a name nor an address")
	}
	if s.common == "" {
		s.common = addrs[0].String()
	}
	if len(s.common) > maxCommon { // clients look at the other names, all of which are there
		s.common, _, _ = strings.Cut(s.common, ".")
	}
	return s, nil
}

// The limits of RFC 1035, section 2.3.4; a name is written with dots between its labels.
const (
	maxName  = 253
	maxLabel = 63
)

func checkName(name string) error {
	if name == "" || len(name) > maxName {
		return fmt.Errorf("name %q is empty or longer than %d bytes", name, maxName)
	}
	for i, label := range strings.Split(name, ".") {
		if i == 0 && label == "*" {
			continue
		}
		if label == "" || len(label) > maxLabel || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return fmt.Errorf("name %q has no label of a host name at %q", name, label)
		}
	}
	return nil
}

// renewal is how long before its end a certificate is made anew.
const renewal = 90 * 24 * time.Hour

// Due reports whether a certificate in PEM has to be made anew, because it is not this
// authority's, has not these names and addresses, is not good yet, or ends in the next 90 days.
func (a *Authority) Due(certificate []byte, names []string, addrs []netip.Addr, now time.Time) bool {
	have, err := readCertificate(certificate)
	if err != nil || have.CheckSignatureFrom(a.root) != nil || now.Before(have.NotBefore) {
		return true
	}
	ends := have.NotAfter.Add(-renewal)
	if have.NotAfter.Equal(a.root.NotAfter) {
		ends = have.NotAfter // another one would end no later
	}
	if !now.Before(ends) {
		return true
	}
	want, err := subjectOf(names, addrs)
	if err != nil {
		return false // there is nothing better to be had
	}
	byText := func(x, y net.IP) int { return cmp.Compare(x.String(), y.String()) }
	return !slices.Equal(slices.Sorted(slices.Values(have.DNSNames)), want.names) ||
		!slices.EqualFunc(slices.SortedFunc(slices.Values(have.IPAddresses), byText), slices.SortedFunc(slices.Values(want.addrs), byText), net.IP.Equal)
}
