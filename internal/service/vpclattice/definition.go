// SPDX-License-Identifier: Apache-2.0

package vpclattice

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/vpclattice"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// resource4 are the blocks in which an IPv4 resource may be, whatever the
// blocks of its VPC, so that resources behind a VPN can be reached:
// https://docs.aws.amazon.com/vpc-lattice/latest/ug/resource-configuration.html
var resource4 = []netip.Prefix{
	netip.MustParsePrefix("10.0.0.0/8"),
	netip.MustParsePrefix("100.64.0.0/10"),
	netip.MustParsePrefix("172.16.0.0/12"),
	netip.MustParsePrefix("192.168.0.0/16"),
}

// defined reads a definition: the address of the resource, or its name.
func defined(d *shape.ResourceConfigurationDefinition) (netip.Addr, model.DNSResource, error) {
	switch {
	case d.ArnResource != nil:
		return netip.Addr{}, model.DNSResource{}, fault.Validation(memberDefinition+".arnResource", "arnResource goes with type ARN only; use ipResource or dnsResource")
	case d.DnsResource != nil && d.IpResource != nil:
		return netip.Addr{}, model.DNSResource{}, fault.Validation(memberDefinition, "resourceConfigurationDefinition has ipResource and dnsResource; it must have one of them")
	case d.DnsResource != nil:
		named, err := definedName(d.DnsResource)
		return netip.Addr{}, named, err
	}
	addr, err := definedAddress(d)
	return addr, model.DNSResource{}, err
}

// definedName reads a name and which of its addresses are meant: IPv4 when it is not said.
func definedName(d *shape.DnsResource) (model.DNSResource, error) {
	const field = memberDefinition + ".dnsResource"
	name := service.Value(d.DomainName)
	_, isAddress := netip.ParseAddr(name)
	switch family := model.IPFamily(cmp.Or(service.Value(d.IpAddressType), string(model.FamilyIPv4))); {
	case name == "":
		return model.DNSResource{}, fault.Validation(field+".domainName", "dnsResource.domainName is required")
	case isAddress == nil:
		return model.DNSResource{}, fault.Validation(field+".domainName", "%s is an address; use ipResource", name)
	case family == model.FamilyDualstack:
		return model.DNSResource{}, fault.Validation(field+".ipAddressType", "Dualstack is currently not supported; use IPV4 or IPV6")
	default:
		return model.DNSResource{Name: name, Family: family}, checkDomain(field+".domainName", name)
	}
}

// definedAddress reads an address.
func definedAddress(d *shape.ResourceConfigurationDefinition) (netip.Addr, error) {
	const field = memberDefinition + ".ipResource.ipAddress"
	if d.IpResource == nil || d.IpResource.IpAddress == nil {
		return netip.Addr{}, fault.Validation(field, "ipResource.ipAddress is required")
	}
	text := *d.IpResource.IpAddress
	addr, err := netip.ParseAddr(text)
	if err != nil || addr.Is4In6() || addr.Zone() != "" {
		return netip.Addr{}, fault.Validation(field, "%q is not an IP address", text)
	}
	return addr, nil
}

// checkResource holds what a configuration leads to against its gateway and VPC.
func checkResource(tx *table.Txn, r *model.ResourceConfiguration, g *model.ResourceGateway, vpc *model.VPC) error {
	switch {
	case !r.HasName():
		if err := checkAddress(tx, r.IP, g, vpc); err != nil {
			return err
		}
		return checkWay(tx, r)
	case r.Is4() && !g.Family.Has4(), !r.Is4() && !g.Family.Has6():
		return fault.Validation(memberDefinition+".dnsResource.ipAddressType", "%s addresses of %s cannot be reached through %s, whose ipAddressType is %s", r.DNS.Family, r.DNS.Name, g.ID, g.Family)
	}
	return nil
}

// checkWay sees that a resource which is an endpoint of its gateway's VPC leads
// somewhere: not back to itself, and not on for ever.
func checkWay(tx *table.Txn, r *model.ResourceConfiguration) error {
	if steps, ends := state.Steps(tx, r); !ends {
		return fault.Validation("resourceConfigurationDefinition.ipResource.ipAddress",
			"%s is an address of endpoint %s, from where the way leads back to where it has been, or on through more than %d resource configurations",
			r.IP, steps[0].Association.Endpoint.ID, state.MaxSteps)
	}
	return nil
}

// checkAddress holds a resource's address against its gateway and VPC.
func checkAddress(tx *table.Txn, addr netip.Addr, g *model.ResourceGateway, vpc *model.VPC) error {
	const field = "resourceConfigurationDefinition.ipResource.ipAddress"
	private := func(p netip.Prefix) bool { return p.Contains(addr) }
	switch {
	case addr.Is4() && !g.Family.Has4(), addr.Is6() && !g.Family.Has6():
		return fault.Validation(field, "%s cannot be reached through %s, whose ipAddressType is %s", addr, g.ID, g.Family)
	case addr.Is4() && !slices.ContainsFunc(resource4, private):
		return fault.Validation(field, "%s is not a private address; it must be in 10.0.0.0/8, 100.64.0.0/10, 172.16.0.0/12 or 192.168.0.0/16", addr)
	case addr.Is6() && !slices.ContainsFunc(vpc.Networks(), private):
		return fault.Validation(field, "%s is not an address of %s; an IPv6 resource must be in its gateway's VPC", addr, vpc.ID)
	}
	if why := neverAnswers(tx, vpc, addr); why != "" {
		return fault.Validation(field, "nothing can answer at %s: %s", addr, why)
	}
	return nil
}

// allPorts is what a resource configuration without port ranges has.
var allPorts = []model.PortRange{{From: 1, To: 65535}}

// parsePorts reads port ranges, each a port or first-last. A nil list stands for
// all ports. An empty one is refused: as a rule it comes from a template whose
// list was lost, and would open everything.
func parsePorts(texts []string, most int) ([]model.PortRange, error) {
	switch {
	case texts == nil:
		return allPorts, nil
	case len(texts) == 0:
		return nil, fault.Validation("portRanges", "portRanges is empty; name the ports, or 1-65535 for all of them")
	}
	if len(texts) > most {
		return nil, fault.Validation("portRanges", "%d port ranges, a resource configuration can have %d", len(texts), most)
	}
	var ports []model.PortRange
	for _, text := range texts {
		r, err := parsePortRange(text)
		if err != nil {
			return nil, err
		}
		ports = append(ports, r)
	}
	sorted := slices.SortedFunc(slices.Values(ports), func(a, b model.PortRange) int { return cmp.Compare(a.From, b.From) })
	for i := 1; i < len(sorted); i++ {
		if a, b := sorted[i-1], sorted[i]; b.From <= a.To {
			return nil, fault.Validation("portRanges", "port ranges %s and %s overlap", formatRange(a), formatRange(b))
		}
	}
	return ports, nil
}

func parsePortRange(text string) (model.PortRange, error) {
	first, last, isRange := strings.Cut(text, "-")
	if !isRange {
		last = first
	}
	from, err1 := strconv.ParseUint(first, 10, 16)
	to, err2 := strconv.ParseUint(last, 10, 16)
	switch {
	case err1 != nil || err2 != nil || from == 0 || to == 0:
		return model.PortRange{}, fault.Validation("portRanges", "port range %q is not a port from 1 to 65535 or two of them with a hyphen between", text)
	case from > to:
		return model.PortRange{}, fault.Validation("portRanges", "port range %q is reversed; the smaller port comes first", text)
	}
	return model.PortRange{From: uint16(from), To: uint16(to)}, nil
}

// formatPorts writes port ranges as parsePorts reads them.
func formatPorts(ports []model.PortRange) []string {
	texts := make([]string, len(ports))
	for i, r := range ports {
		texts[i] = formatRange(r)
	}
	return texts
}

func formatRange(r model.PortRange) string {
	if r.From == r.To {
		return strconv.Itoa(int(r.From))
	}
	return strconv.Itoa(int(r.From)) + "-" + strconv.Itoa(int(r.To))
}

// checkDomain checks the form of a custom domain name: RFC 1035 §2.3 labels, at
// least two of them, in any case. One that is an address is a mistake.
func checkDomain(field, name string) error {
	labels := strings.Split(strings.TrimSuffix(name, "."), ".")
	_, tooLong := model.NormalName(name)
	_, isNone := netip.ParseAddr(strings.TrimSuffix(name, "."))
	ok := tooLong == nil && isNone != nil && len(labels) >= 2 && !slices.ContainsFunc(labels, func(l string) bool {
		return l == "" || len(l) > 63 || l[0] == '-' || l[len(l)-1] == '-' ||
			strings.Trim(strings.ToLower(l), "abcdefghijklmnopqrstuvwxyz0123456789-_") != ""
	})
	if !ok {
		return fault.Validation(field, "%s %q is not a domain name of two labels or more, such as db.example.com", field, name)
	}
	return nil
}

// definition tells what a configuration leads to; nil for a group.
func definition(r *model.ResourceConfiguration) *shape.ResourceConfigurationDefinition {
	switch {
	case r.Type == model.TypeARN:
		return &shape.ResourceConfigurationDefinition{ArnResource: &shape.ArnResource{Arn: &r.DatabaseARN}}
	case r.IsGroup():
		return nil
	}
	if r.HasName() {
		return &shape.ResourceConfigurationDefinition{DnsResource: &shape.DnsResource{DomainName: &r.DNS.Name, IpAddressType: new(string(r.DNS.Family))}}
	}
	return &shape.ResourceConfigurationDefinition{IpResource: &shape.IpResource{IpAddress: new(r.IP.String())}}
}
