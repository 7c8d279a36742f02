// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/posternhq/postern/internal/dataplane/network"
	"github.com/posternhq/postern/internal/model"
)

// uplinkForm is what --uplink wants, for errors.
const uplinkForm = "want NAME=netns:NAMESPACE, or NAME=dev:INTERFACE,address=PREFIX,via=ADDRESS"

var (
	uplinkName     = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,18}[a-z0-9])?$`)
	namespaceName  = regexp.MustCompile(`^[A-Za-z0-9_.:-]{1,100}$`)
	interfaceNames = regexp.MustCompile(`^[^\s/"\\,=]{1,15}$`)
)

// denied are the destinations that nobody gets at over an uplink, beside the host's own
// networks: what is private to some network (RFC 1918, RFC 6598, RFC 4193), on a link or
// on the host (RFC 3927 with the metadata of clouds, RFC 1122), to many (RFC 1112), and
// the transit realm.
var denied = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("127.0.0.0/8"),
	netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16"),
	netip.MustParsePrefix("224.0.0.0/4"), model.Transit4,
	netip.MustParsePrefix("::/96"), netip.MustParsePrefix("::ffff:0:0/96"), netip.MustParsePrefix("fc00::/7"), netip.MustParsePrefix("fe80::/10"),
	netip.MustParsePrefix("fec0::/10"), netip.MustParsePrefix("ff00::/8"),
}

// ParseOutside reads the flags about the outside: of uplinks, which can be one and not
// more, of the pool and of what is allowed. Nothing of the host is looked at.
func ParseOutside(uplinks, pool, allow []string) (o model.Outside, err error) {
	var errs []error
	note := func(err error) {
		if err != nil {
			errs = append(errs, err)
		}
	}
	uplink := strings.Join(uplinks, " ")
	if len(uplinks) > 1 {
		note(fmt.Errorf("--uplink: %d are given (%s), and there can be one", len(uplinks), uplink))
	} else if uplink != "" {
		o.Uplink, err = parseUplink(uplink)
		note(err)
	}
	o.Pool, err = parsePool(pool)
	note(err)
	for _, a := range slices.Concat(addrsOf(o.Uplink.Addresses), o.Uplink.Via) {
		for _, p := range o.Pool {
			if p.Contains(a) {
				note(fmt.Errorf("--public-pool %s: it contains %s, which --uplink names; leave that out", p, a))
			}
		}
	}
	for _, text := range allow {
		p, err := masked("--uplink-allow", text)
		if err == nil && (p.Overlaps(model.Transit4) || p.Overlaps(model.Transit6)) {
			err = fmt.Errorf("--uplink-allow %s: %s and %s are what VPCs are joined by; leave that out", text, model.Transit4, model.Transit6)
		}
		note(err)
		o.Uplink.Allowed = append(o.Uplink.Allowed, p)
	}
	if len(allow) > 0 && uplink == "" {
		note(errors.New("--uplink-allow: there is no --uplink"))
	}
	if uplink != "" {
		o.Uplink.Denied = slices.Clone(denied)
	}
	return o, errors.Join(errs...)
}

func addrsOf(list []netip.Prefix) (addrs []netip.Addr) {
	for _, p := range list {
		addrs = append(addrs, p.Addr())
	}
	return addrs
}

// masked reads a prefix and says what would be right when it has bits of a host.
func masked(flag, text string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return p, fmt.Errorf("%s %q: want a prefix, such as 203.0.113.0/24", flag, text)
	}
	if p != p.Masked() {
		return p, fmt.Errorf("%s %s: want %s, which is where it begins", flag, text, p.Masked())
	}
	return p, nil
}

func parsePool(texts []string) (pool []netip.Prefix, err error) {
	const widest = 8
	var errs []error
	for _, text := range texts {
		p, err := masked("--public-pool", text)
		if err == nil && !p.Addr().Is4() {
			err = fmt.Errorf("--public-pool %s: want IPv4; IPv6 addresses are those of the VPCs", text)
		}
		if err == nil && p.Bits() < widest {
			err = fmt.Errorf("--public-pool %s: want a prefix of at least %d bits", text, widest)
		}
		for _, never := range []string{"0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3"} {
			if err == nil && p.Overlaps(netip.MustParsePrefix(never)) {
				err = fmt.Errorf("--public-pool %s: nobody can have addresses of %s", text, never)
			}
		}
		for _, other := range pool {
			if err == nil && other.Overlaps(p) {
				err = fmt.Errorf("--public-pool %s: it overlaps %s", text, other)
			}
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		pool = append(pool, p)
	}
	return pool, errors.Join(errs...)
}

func parseUplink(text string) (u model.Uplink, err error) {
	fail := func(format string, args ...any) (model.Uplink, error) {
		return model.Uplink{}, fmt.Errorf("--uplink %q: "+format, append([]any{text}, args...)...)
	}
	name, rest, ok := strings.Cut(text, "=")
	if !ok {
		return fail(uplinkForm)
	}
	if !uplinkName.MatchString(name) {
		return fail("its name %q: want at most 20 lower-case letters, digits and hyphens", name)
	}
	parts := strings.Split(rest, ",")
	u = model.Uplink{Name: name, Device: parts[0]}
	switch sort, given, _ := strings.Cut(parts[0], ":"); sort {
	case "netns":
		if !namespaceName.MatchString(given) || given == "." || given == ".." {
			return fail("%q is not the name of a network namespace under %s", given, network.Directory)
		}
		if len(parts) > 1 {
			return fail("a namespace has no %s; %s", parts[1], uplinkForm)
		}
		return u, nil
	case "dev":
		if !interfaceNames.MatchString(given) {
			return fail("%q is not the name of an interface", given)
		}
	default:
		return fail(uplinkForm)
	}
	for _, part := range parts[1:] {
		option, value, _ := strings.Cut(part, "=")
		switch option {
		case "address":
			p, err := netip.ParsePrefix(value)
			if err != nil || p.IsSingleIP() || p == p.Masked() && p.Bits() < p.Addr().BitLen()-1 {
				return fail("address %q: want the interface's address with the length of its network, such as 203.0.113.2/24", value)
			}
			u.Addresses = append(u.Addresses, p)
		case "via":
			a, err := netip.ParseAddr(value)
			if err != nil || a.Zone() != "" {
				return fail("via %q: want the address of the next router, such as 203.0.113.1", value)
			}
			u.Via = append(u.Via, a)
		default:
			return fail("%q: %s", part, uplinkForm)
		}
	}
	if err := onLink(u); err != nil {
		return fail("%w", err)
	}
	return u, nil
}

// onLink checks the addresses of an interface and its next hops against each other.
func onLink(u model.Uplink) error {
	for _, is4 := range []bool{true, false} {
		family := map[bool]string{true: "IPv4", false: "IPv6"}[is4]
		var addrs []netip.Prefix
		var via []netip.Addr
		for _, a := range u.Addresses {
			if a.Addr().Is4() == is4 {
				addrs = append(addrs, a)
			}
		}
		for _, a := range u.Via {
			if a.Is4() == is4 {
				via = append(via, a)
			}
		}
		switch {
		case len(addrs) > 1 || len(via) > 1:
			return fmt.Errorf("want one address and one via of %s", family)
		case len(addrs) != len(via):
			return fmt.Errorf("want both an address and a via of %s", family)
		case len(via) == 0 && is4:
			return errors.New("want address= and via= behind the interface")
		case len(via) == 1 && via[0] == addrs[0].Addr():
			return fmt.Errorf("via %s is its own address", via[0])
		case len(via) == 1 && !addrs[0].Masked().Contains(via[0]) && !via[0].IsLinkLocalUnicast():
			return fmt.Errorf("via %s is not in %s, the network of its address", via[0], addrs[0].Masked())
		}
	}
	return nil
}

// seeOutside looks at the host for what the flags name: its own networks are denied, and
// an interface that it uses itself is not taken. One that is not there may come yet.
func (c *Config) seeOutside() error {
	u := &c.Outside.Uplink
	if !u.There() {
		return nil
	}
	device, taken := strings.CutPrefix(u.Device, "dev:")
	if taken {
		if err := network.CheckInterface(device); err != nil && !errors.Is(err, network.ErrNoInterface) {
			return fmt.Errorf("--uplink %s=%s: %w", u.Name, u.Device, err)
		}
	}
	own, err := network.HostNetworks(device)
	if err != nil {
		return fmt.Errorf("--uplink %s: see what the host's own networks are: %w", u.Name, err)
	}
	u.Denied = append(slices.Clone(u.Denied), own...)
	return nil
}
