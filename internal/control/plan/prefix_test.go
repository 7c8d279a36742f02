// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/model"
)

// A prefix is routed to its workload, and its addresses have the rules and
// memberships of the interface: those of IPv4 each by itself, those of IPv6
// together. All this comes and goes with it.
func TestAPrefixBelongsToItsInterface(t *testing.T) {
	w := newWorld(t)
	w.put(t, connection()...)
	before := desired.Text(w.plan.Entries())
	bare := &model.NetworkInterface{
		Meta: meta("eni-w"), VPC: "vpc-a", Subnet: "subnet-a", Zone: "us-east-1a", Type: model.InterfaceWorkload, SourceDestCheck: true, MAC: "02:00:00:00:00:01",
		Groups: []string{"sg-a"}, Addresses: []netip.Addr{addr("10.0.1.10")},
	}
	for _, c := range []struct {
		give    func(*model.NetworkInterface)
		entries int
		want    []string
	}{
		{func(ni *model.NetworkInterface) { ni.Prefixes4 = []netip.Prefix{prefix("10.0.1.32/28")} }, 1 + 16 + 16, []string{
			"device=eth0 namespace=pid:42 prefixes=10.0.1.32/28\n", "member vpc-a sg-a/10.0.1.32\n", "member vpc-a sg-a/10.0.1.47\n",
			"address vpc-a 10.0.1.32 class=", "address vpc-a 10.0.1.47 class=",
		}},
		{func(ni *model.NetworkInterface) { ni.Prefixes6 = []netip.Prefix{prefix("2001:db8:0:1:2::/80")} }, 1 + 1 + 1, []string{
			"device=eth0 namespace=pid:42 prefixes=2001:db8:0:1:2::/80\n", "member vpc-a sg-a/2001:db8:0:1:2::/80\n",
			"address vpc-a 2001:db8:0:1:2::/80 class=",
		}},
	} {
		ni := bare.Clone()
		c.give(ni)
		r := w.put(t, ni)
		if len(r.Put) != c.entries || len(r.Delete) != 0 {
			t.Errorf("put %d entries, deleted %d", len(r.Put), len(r.Delete))
		}
		got := desired.Text(w.plan.Entries())
		for _, want := range c.want {
			if !strings.Contains(got, want) {
				t.Errorf("%q is missing in\n%s", want, got)
			}
		}
		w.put(t, bare.Clone())
		if after := desired.Text(w.plan.Entries()); after != before {
			t.Errorf("left behind:\n%s", after)
		}
	}
}
