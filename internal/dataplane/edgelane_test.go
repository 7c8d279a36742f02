// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/posternhq/postern/internal/dataplane"
	"github.com/posternhq/postern/internal/dataplane/network"
	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/test/testnet"
)

func (r *outsideRig) edgeNamespace() string {
	return network.NamespaceName(r.config.Instance, network.NameOf(r.realm()))
}

// forwarded is how many packets of IPv4 the edge has forwarded itself.
func (r *outsideRig) forwarded() (n int) {
	r.t.Helper()
	ns, err := network.OpenNamespace(r.edgeNamespace())
	if err != nil {
		r.t.Fatal(err)
	}
	defer ns.Close()
	var text []byte
	err = network.Inside(ns, func() (err error) {
		text, err = os.ReadFile("/proc/thread-self/net/snmp")
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	var skip string
	for line := range strings.Lines(string(text)) {
		if values, ok := strings.CutPrefix(line, "Ip: "); ok && values[0] != 'F' {
			fmt.Sscan(values, &skip, &skip, &skip, &skip, &skip, &n)
		}
	}
	return n
}

// laneOnly returns when connections between these two pass the edge by the lane alone, from the
// first packet on.
func (r *outsideRig) laneOnly(when string, from *testnet.NS, to, want string) {
	r.t.Helper()
	if c, err := r.host.ExpressLane(); c == nil || err != nil {
		testnet.Unable(r.t, fmt.Sprintf("this kernel has no express lane: %v", err))
	}
	const tries = 10 // what is known is asked about now and then
	for range tries {
		before := r.forwarded()
		r.sees(when, from, to, want)
		if r.forwarded() == before {
			return
		}
	}
	r.t.Errorf("%s: the edge still forwards by itself", when)
}

// What has passed the edge takes the lane there, until something is changed: a public
// address that is taken away, or given to another, is that at once, and what is denied.
func TestTheEdgeHasALane(t *testing.T) {
	r := newOutsideRig(t, dataplane.Config{})
	r.serve(r.internet)
	r.serve(r.one)
	r.serve(r.two)
	r.laneOnly("out", r.one, webServer, publicOne)
	r.laneOnly("in", r.internet, publicOne, webServer)
	r.laneOnly("from VPC to VPC", r.one, publicTwo, publicOne)

	one, two := desired.Issued{Uplink: "wan", Prefix: prefix(publicOne + "/32"), VPC: consumer}, desired.Issued{Uplink: "wan", Prefix: prefix(publicOne + "/32"), VPC: provider}
	r.del(one)
	r.sees("to an address that was taken away", r.internet, publicOne, "no route to host")
	r.put(r.realm(), two)
	r.sees("to one that another VPC has, which has nobody there", r.internet, publicOne, "refused")
	r.put(r.realm(), one)
	r.laneOnly("in again", r.internet, publicOne, webServer)

	denied := r.edge
	denied.Denied = append(denied.Denied, prefix(webServer+"/32"))
	r.put(r.realm(), denied)
	r.sees("to what is denied now", r.one, webServer, "refused")
	r.put(r.realm(), r.edge)
	r.laneOnly("out again", r.one, webServer, publicOne)

	run(t, r.internet.Name, "ip link del "+operatorDevice(t, r.internet.Name))
	r.leads("when its interface is lost", false)
	r.sees("when that was seen", r.one, webServer, "unreachable")
	r.put(r.realm(), r.edge)
	r.laneOnly("when it was mended", r.one, webServer, publicOne)
}

// A device of the edge without the program, at either place, is damage, which the next
// round mends.
func TestALaneThatIsMissingAtTheEdgeIsRepaired(t *testing.T) {
	r := newOutsideRig(t, dataplane.Config{})
	r.serve(r.internet)
	r.laneOnly("at first", r.one, webServer, publicOne)
	entry := "u" + consumer[4:18]
	for _, damage := range []string{
		"tc qdisc del dev wan0 clsact", "tc filter del dev wan0 egress", "tc filter del dev wan0 ingress",
		"tc qdisc del dev " + entry + " clsact", "tc filter del dev " + entry + " egress", "tc filter del dev " + entry + " ingress",
	} {
		run(t, r.edgeNamespace(), damage)
		r.sees(damage, r.one, webServer, publicOne)
		wanted := desired.Text(r.wanted(r.realm()))
		if r.dumped() == wanted {
			t.Errorf("%s: the damage is not seen", damage)
		}
		r.put(r.realm(), r.wanted(r.realm())...)
		r.checkDump(damage)
		r.laneOnly("mended after "+damage, r.one, webServer, publicOne)
	}
}

// Without the lane the edge does all by itself.
func TestAnEdgeWithoutALane(t *testing.T) {
	r := newOutsideRig(t, dataplane.Config{SlowPathOnly: true})
	r.serve(r.internet)
	for range 2 {
		before := r.forwarded()
		r.sees("out", r.one, webServer, publicOne)
		if r.forwarded() == before {
			t.Error("nothing was forwarded")
		}
	}
	r.checkDump("without a lane")
}
