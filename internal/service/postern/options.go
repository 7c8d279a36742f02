// SPDX-License-Identifier: Apache-2.0

package postern

import (
	"strings"

	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// resolver6 is where workloads without IPv4 ask for names.
const resolver6 = "fd00:ec2::253"

// optionsFor gives what the DHCP options of a VPC tell a workload: the servers that it
// asks for names, and the domains in which it looks for names without dots. A VPC
// without options tells nothing. The VPC's own resolver is at its base address plus two,
// or for IPv6 at one fixed address
// (https://docs.aws.amazon.com/vpc/latest/userguide/AmazonDNS-concepts.html); one that is
// switched off says so, which is sooner known than silence.
func optionsFor(tx *table.Txn, ni *model.NetworkInterface) (servers, search []string) {
	v, ok := state.VPCOf(tx, ni)
	if !ok {
		return nil, nil
	}
	o, ok := state.DHCPOptions.Get(tx, v.Account, v.Region, v.DHCPOptions)
	if !ok {
		return nil, nil
	}
	for _, s := range o.DomainNameServers {
		if s == model.AmazonDNS {
			s = resolver6
			if len(ni.Addresses) > 0 && len(v.CIDRs) > 0 {
				s = v.CIDRs[0].Prefix.Masked().Addr().Next().Next().String()
			}
		}
		servers = append(servers, s)
	}
	return servers, strings.Fields(o.DomainName)
}
