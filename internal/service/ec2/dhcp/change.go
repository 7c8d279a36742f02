// SPDX-License-Identifier: Apache-2.0

package dhcp

import (
	"context"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/ec2/request"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// The names of options, and how many servers there can be of a sort
// (https://docs.aws.amazon.com/vpc/latest/userguide/DHCPOptionSetConcepts.html).
const (
	keyDomain   = "domain-name"
	keyServers  = "domain-name-servers"
	keyLease    = "ipv6-address-preferred-lease-time"
	keyNetBIOS  = "netbios-name-servers"
	keyNodeType = "netbios-node-type"
	keyTime     = "ntp-servers"

	mostServers = 4

	leastLease = 140
	mostLease  = 1<<31 - 1
)

// CreateDhcpOptions makes a set of options, which does not change any more. No VPC has
// it yet.
func (a Options) CreateDhcpOptions(ctx context.Context, in *shape.CreateDhcpOptionsInput) (*shape.CreateDhcpOptionsOutput, error) {
	tags, err := request.TagsFor(in.TagSpecifications, state.DHCPOptions.Kind())
	if err != nil {
		return nil, err
	}
	o := &model.DHCPOptions{Meta: request.Meta(a.Env, access.From(ctx), "dopt", a.Now(), tags), Custom: true}
	if err := setOptions(o, in.DhcpConfigurations); err != nil {
		return nil, err
	}
	_, err = a.DB.Update(ctx, func(tx *table.Txn) error {
		if most := a.Quotas.DHCPOptionsPerRegion; state.DHCPOptions.CountScope(tx, o.Account, o.Region) >= most {
			return fault.EC2("DhcpOptionsLimitExceeded", "The maximum number of DHCP option sets (%d) has been reached.", most)
		}
		state.DHCPOptions.Put(tx, o)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &shape.CreateDhcpOptionsOutput{DhcpOptions: new(optionsShape(o))}, nil
}

// AssociateDhcpOptions gives a VPC a set of options in place of the one that it has, or
// none.
func (a Options) AssociateDhcpOptions(ctx context.Context, in *shape.AssociateDhcpOptionsInput) (*shape.AssociateDhcpOptionsOutput, error) {
	who := access.From(ctx)
	_, err := request.Change(ctx, a.Env, state.VPCs, service.Value(in.VpcId), func(tx *table.Txn, v *model.VPC) error {
		v.DHCPOptions = ""
		if id := service.Value(in.DhcpOptionsId); id != model.NoDHCPOptions {
			o, err := request.Get(tx, who, state.DHCPOptions, id)
			if err != nil {
				return err
			}
			v.DHCPOptions = o.ID
		}
		return nil
	})
	return &shape.AssociateDhcpOptionsOutput{}, err
}

// DeleteDhcpOptions deletes a set of options that no VPC has.
func (a Options) DeleteDhcpOptions(ctx context.Context, in *shape.DeleteDhcpOptionsInput) (*shape.DeleteDhcpOptionsOutput, error) {
	who := access.From(ctx)
	_, err := a.DB.Update(ctx, func(tx *table.Txn) error {
		o, err := request.Get(tx, who, state.DHCPOptions, service.Value(in.DhcpOptionsId))
		if err != nil {
			return err
		}
		if by := state.Held(tx, state.DHCPOptions, o); by != nil {
			return fault.EC2("DependencyViolation", "The dhcpOptions '%s' has dependencies and cannot be deleted: %s", o.ID, by)
		}
		state.DHCPOptions.Delete(tx, o.Account, o.Region, o.ID)
		return nil
	})
	return &shape.DeleteDhcpOptionsOutput{}, err
}

// setOptions reads the options of a request.
func setOptions(o *model.DHCPOptions, configurations []shape.NewDhcpConfiguration) error {
	if len(configurations) == 0 {
		return fault.EC2("MissingParameter", "The request must contain the parameter dhcpConfiguration")
	}
	seen := map[string]bool{}
	for _, c := range configurations {
		key := service.Value(c.Key)
		set := setters[key]
		switch {
		case set == nil:
			return fault.EC2("InvalidParameterValue", "Value (%s) for parameter key is invalid. Unknown DHCP option, want one of %s, %s, %s, %s, %s, %s", key, keyDomain, keyServers, keyTime, keyNetBIOS, keyNodeType, keyLease)
		case seen[key]:
			return fault.EC2("InvalidParameterValue", "Value (%s) for parameter key is invalid. The option is given more than once", key)
		}
		seen[key] = true
		values := c.Values
		if key != keyDomain {
			values = separate(values)
		}
		if len(values) == 0 {
			return fault.EC2("MissingParameter", "The request must contain a value for the option %s", key)
		}
		if err := set(o, values); err != nil {
			return err
		}
	}
	return nil
}

// separate takes values apart that have several, with commas between them.
func separate(values []string) (all []string) {
	for _, v := range values {
		for part := range strings.SplitSeq(v, ",") {
			all = append(all, strings.TrimSpace(part))
		}
	}
	return all
}

// setters read the values of each option, of which there is at least one.
var setters = map[string]func(*model.DHCPOptions, []string) error{
	keyDomain: func(o *model.DHCPOptions, values []string) error {
		if len(values) > 1 {
			return wrong(keyDomain, strings.Join(values, ", "), "it has one value")
		}
		o.DomainName = strings.Join(strings.Fields(values[0]), " ")
		return checkDomain(o.DomainName, values[0])
	},
	keyServers: func(o *model.DHCPOptions, values []string) error {
		o.DomainNameServers = values
		return checkServers(keyServers, values, mostServers, func(v string) bool { return v == model.AmazonDNS || isAddress(v) }, "want addresses, or "+model.AmazonDNS)
	},
	keyTime: func(o *model.DHCPOptions, values []string) error {
		o.NTPServers = values
		four := slices.DeleteFunc(slices.Clone(values), func(v string) bool { return strings.Contains(v, ":") })
		six := slices.DeleteFunc(slices.Clone(values), func(v string) bool { return !strings.Contains(v, ":") })
		if err := checkServers(keyTime, four, mostServers, isAddress, "want addresses"); err != nil {
			return err
		}
		return checkServers(keyTime, six, mostServers, isAddress, "want addresses")
	},
	keyNetBIOS: func(o *model.DHCPOptions, values []string) error {
		o.NetBIOSNameServers = values
		return checkServers(keyNetBIOS, values, mostServers, func(v string) bool { return isAddress(v) && !strings.Contains(v, ":") }, "want IPv4 addresses")
	},
	keyNodeType: func(o *model.DHCPOptions, values []string) error {
		o.NetBIOSNodeType = values[0]
		if len(values) > 1 || !slices.Contains([]string{"1", "2", "4", "8"}, values[0]) {
			return wrong(keyNodeType, strings.Join(values, ", "), "want 1, 2, 4 or 8")
		}
		return nil
	},
	keyLease: func(o *model.DHCPOptions, values []string) error {
		o.IPv6Lease = values[0]
		if n, err := strconv.ParseInt(values[0], 10, 64); err != nil || len(values) > 1 || n < leastLease || n > mostLease {
			return wrong(keyLease, strings.Join(values, ", "), "want a number of seconds from 140 to 2147483647")
		}
		return nil
	},
}

func wrong(key, value, want string) error {
	return fault.EC2("InvalidParameterValue", "Value (%s) for parameter %s is invalid: %s", value, key, want)
}

// isAddress takes what can be a server's address: that of one host.
func isAddress(text string) bool {
	a, err := netip.ParseAddr(text)
	return err == nil && a.Zone() == "" && !a.Is4In6() && !a.IsUnspecified() && !a.IsMulticast() && a != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

func checkServers(key string, values []string, most int, good func(string) bool, want string) error {
	for i, v := range values {
		if !good(v) {
			return wrong(key, v, want)
		}
		if slices.Contains(values[:i], v) {
			return wrong(key, v, "it is given twice")
		}
	}
	if len(values) > most {
		return wrong(key, strings.Join(values, ", "), "there can be "+strconv.Itoa(most)+" at most")
	}
	return nil
}

// checkDomain takes a name, or several with blanks between them, which Linux takes for
// domains to search in.
func checkDomain(text, given string) error {
	const most = 255
	for name := range strings.FieldsSeq(text) {
		name = strings.TrimSuffix(name, ".")
		for label := range strings.SplitSeq(name, ".") {
			if label == "" || len(label) > 63 || strings.Trim(label, domainCharacters) != "" || label[0] == '-' || label[len(label)-1] == '-' {
				return wrong(keyDomain, given, "want a domain, or several with blanks between them")
			}
		}
	}
	if text == "" || len(text) > most {
		return wrong(keyDomain, given, "want 1 to 255 characters")
	}
	return nil
}

const domainCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
