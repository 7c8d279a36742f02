// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/model"
)

// A prefix is routed to its workload, and each of its addresses has the rules and
// memberships of the interface; all this comes and goes with it.
func TestAPrefixBelongsToItsInterface(t *testing.T) {
	w := newWorld(t)
	w.put(t, connection()...)
	before := desired.Text(w.plan.Entries())
	ni := &model.NetworkInterface{
		Meta: meta("eni-w"), VPC: "vpc-a", Subnet: "subnet-a", Zone: "us-east-1a", Type: model.InterfaceWorkload, MAC: "02:00:00:00:00:01",
		Groups: []string{"sg-a"}, Addresses: []netip.Addr{addr("10.0.1.10")}, Prefixes4: []netip.Prefix{prefix("10.0.1.32/28")},
	}
	r := w.put(t, ni)
	if len(r.Put) != 1+16+16 || len(r.Delete) != 0 {
		t.Errorf("put %d entries, deleted %d", len(r.Put), len(r.Delete))
	}
	got := desired.Text(w.plan.Entries())
	for _, want := range []string{
		"device=eth0 namespace=pid:42 prefixes=10.0.1.32/28\n", "member vpc-a sg-a/10.0.1.32\n", "member vpc-a sg-a/10.0.1.47\n",
		"address vpc-a 10.0.1.32 class=", "address vpc-a 10.0.1.47 class=",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in\n%s", want, got)
		}
	}
	ni = ni.Clone()
	ni.Prefixes4 = nil
	w.put(t, ni)
	if after := desired.Text(w.plan.Entries()); after != before {
		t.Errorf("left behind:\n%s", after)
	}
}
