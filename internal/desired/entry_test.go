// SPDX-License-Identifier: Apache-2.0

package desired

import (
	"net/netip"
	"testing"
)

func TestTextPrintsEntriesInTheOrderOfMaking(t *testing.T) {
	a := netip.MustParseAddr
	p := netip.MustParsePrefix
	entries := []Entry{
		Endpoint{VPC: "vpc-a", Addr: a("10.0.1.100"), Target: a("240.8.0.1"), Ports: []PortRange{{5432, 5432}}, Owner: "vpce-1"},
		Allow{VPC: "vpc-b", Source: p("240.0.0.0/26"), Target: a("240.8.0.1")},
		Target{VPC: "vpc-b", Addr: a("240.8.0.1"), Dest: a("10.0.1.10"), Gateway: a("10.0.1.50")},
		Workload{VPC: "vpc-a", ENI: "eni-1", MAC: "02:00:00:00:00:01", Addresses: []netip.Prefix{p("10.0.1.10/24")}, Gateway: a("10.0.1.1"), Device: "eth0", Namespace: Namespace{PID: 7, Inode: 9}},
		Address{VPC: "vpc-a", Addr: a("10.0.1.10"), Class: "c-1"},
		Member{VPC: "vpc-a", Group: "sg-1", Addr: a("10.0.1.10")},
		Address{VPC: "vpc-a", Addr: a("2001:db8:0:1:2::"), Bits: 80, Class: "c-1"},
		Member{VPC: "vpc-a", Group: "sg-1", Addr: a("2001:db8:0:1:2::"), Bits: 80},
		Pool{VPC: "vpc-b", Gateway: a("10.0.1.50"), Addresses: []netip.Prefix{p("10.0.1.50/32")}},
		PortSet{VPC: "vpc-a", Name: "p-1", Ranges: []PortRange{{1, 65535}}},
		Class{VPC: "vpc-a", Name: "c-1", In: []Rule{{Protocol: AllProtocols, From: -1, To: -1, Group: "sg-1"}}, Out: []Rule{{Protocol: 6, From: 1, To: 2, Peer: p("0.0.0.0/0")}}},
		Route{VPC: "vpc-a", Prefix: p("240.8.0.1/32"), Peer: "vpc-b"},
		NewLink("vpc-b", "vpc-a"),
		Router{VPC: "vpc-a", Networks: []netip.Prefix{p("10.0.0.0/16")}, Gateways: []netip.Addr{a("10.0.1.1")}, Source4: p("240.0.0.0/26")},
	}
	const want = `router vpc-a self networks=10.0.0.0/16 gateways=10.0.1.1 source4=240.0.0.0/26
link vpc-a vpc-b
route vpc-a 240.8.0.1/32 peer=vpc-b
class vpc-a c-1 in=all@sg-1 out=6/1-2@0.0.0.0/0
pool vpc-b 10.0.1.50 addresses=10.0.1.50/32
portset vpc-a p-1 ranges=1-65535
member vpc-a sg-1/10.0.1.10
member vpc-a sg-1/2001:db8:0:1:2::/80
address vpc-a 10.0.1.10 class=c-1
address vpc-a 2001:db8:0:1:2::/80 class=c-1
workload vpc-a eni-1 mac=02:00:00:00:00:01 addresses=10.0.1.10/24 gateway=10.0.1.1 device=eth0 namespace=pid:7@9
target vpc-b 240.8.0.1 dest=10.0.1.10 gateway=10.0.1.50
allow vpc-b 240.0.0.0/26>240.8.0.1
endpoint vpc-a 10.0.1.100 target=240.8.0.1 ports=5432
`
	if got := Text(entries); got != want {
		t.Errorf("text:\n%s\nwant:\n%s", got, want)
	}
}

// Lists of addresses that fill the slots in the same way are one entry.
func TestATargetsAddressesAreToldInOneWay(t *testing.T) {
	a := func(names string) (list []netip.Addr) {
		for _, c := range names {
			list = append(list, netip.AddrFrom4([4]byte{10, 0, 1, byte(c)}))
		}
		return list
	}
	for given, want := range map[string]string{
		"a": "a", "aa": "a", "aaa": "a", "ab": "ab", "abab": "ab", "aba": "aba", "abc": "abc", "aab": "aab", "aaab": "aaab", "aabaab": "aab",
		"abcdefghijklmnop": "abcdefghijklmnop", "aaaaaaaaaaaaaaaa": "a", "abababababababac": "abababababababac",
	} {
		one := Target{VPC: "vpc-b", Addr: netip.MustParseAddr("240.8.0.1"), Several: a(given)}
		other := one
		if other.Several = a(want); len(want) == 1 {
			other.Dest, other.Several = other.Several[0], nil
		}
		if one.String() != other.String() {
			t.Errorf("%s is %s, want %s", given, one, other)
		}
	}
	cut := Target{VPC: "vpc-b", Addr: netip.MustParseAddr("240.8.0.1"), Several: a("ab"), Cut: true}
	if got, want := cut.String(), "target vpc-b 240.8.0.1 dest=10.0.1.97,10.0.1.98 cut=yes"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
