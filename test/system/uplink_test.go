// SPDX-License-Identifier: Apache-2.0

package system

import (
	"net/netip"
	"os/exec"
	"strings"
	"testing"

	"github.com/posternhq/postern/test/postern"
	"github.com/posternhq/postern/test/testnet"
)

// TestAnUplinkGoesAndComesAgain deletes the namespace that is the outside and makes it
// again under the same name, once when that was seen and once faster than anybody looks.
// Each time what goes out goes again by itself. The verification of the whole host, which
// would find it as well, is too rare to help.
func TestAnUplinkGoesAndComesAgain(t *testing.T) {
	testnet.Require(t)
	internet := postern.NewInternet(t)
	p := postern.Start(t, append(internet.Flags(), "--verify-interval", "1h")...)
	said := func(args ...string) string { return p.Command(append([]string{"status"}, args...)...).Stdout }
	line := func(kind string) string {
		for l := range strings.Lines(said()) {
			if strings.HasPrefix(l, kind+" ") {
				return strings.Join(strings.Fields(l), " ")
			}
		}
		return ""
	}
	if got, want := line("uplink"), "uplink internet netns:"+internet.Name+" unused"; got != want {
		t.Errorf("status while nobody has a way out: %q, want %q", got, want)
	}
	v := p.VPC("10.0.0.0/16")
	s := v.Subnet(0, "10.0.1.0/24")
	gateway := v.InternetGateway()
	p.Route(v.RouteTable(s), "0.0.0.0/0", gateway)
	w := s.Workload("10.0.1.10", v.OpenGroup())
	public := w.Publish()
	reaches := func(when string) {
		t.Helper()
		p.Await("the outside "+when, func() (bool, error) {
			source, err := ask(w, netip.AddrPortFrom(internet.Addr, 80).String())
			return err == nil && source == public, nil
		})
	}
	serve := func() {
		t.Helper()
		l, err := internet.Serve("tcp4", ":80")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
	}
	again := func() {
		t.Helper()
		ns, err := testnet.Make(internet.Name)
		if err != nil {
			t.Fatal(err)
		}
		internet.NS = ns
		t.Cleanup(func() { ns.Close() })
		if err := internet.Give(internet.Addr); err != nil {
			t.Fatal(err)
		}
		serve()
	}
	serve()
	reaches("at first")
	if got, want := line("uplink"), "uplink internet netns:"+internet.Name+" ready"; got != want {
		t.Errorf("status: %q, want %q", got, want)
	}
	if got := line("public-pool"); !strings.Contains(got, "1 of 64 addresses are claimed") {
		t.Errorf("status of the pool: %q", got)
	}

	unname(t, internet.Name)
	p.Await("that status says so", func() (bool, error) { return strings.Contains(said("--errors"), "netns:"+internet.Name), nil })
	if got := line("internet-gateway"); !strings.Contains(said(), gateway) || !strings.Contains(said(), "nothing is behind it: uplink internet is in error") {
		t.Errorf("status of a gateway whose uplink has gone: %q", got)
	}
	if got := line("uplink"); !strings.Contains(got, "failed") || !strings.Contains(got, internet.Name) {
		t.Errorf("status of an uplink that has gone: %q", got)
	}
	if answers(w, netip.AddrPortFrom(internet.Addr, 80).String()) {
		t.Error("an outside that has gone answers")
	}
	again()
	reaches("when it is there again")

	unname(t, internet.Name)
	again()
	reaches("when it is another one")
	if got := said("--errors"); strings.Contains(got, "uplink") {
		t.Errorf("status after all is well again:\n%s", got)
	}
	p.Verify()
}

// unname deletes a network namespace as an operator does: what is still in it stays.
func unname(t *testing.T, name string) {
	t.Helper()
	if out, err := exec.Command("ip", "netns", "del", name).CombinedOutput(); err != nil {
		t.Fatalf("delete namespace %s: %v: %s", name, err, out)
	}
}

// TestAGatewayWithoutAnUplinkSaysSo looks at gateways of both kinds.
func TestAGatewayWithoutAnUplinkSaysSo(t *testing.T) {
	testnet.Require(t)
	p := postern.Start(t)
	v := p.VPC("10.0.0.0/16")
	ids := []string{v.InternetGateway(), v.EgressOnlyGateway()}
	out := expectCommand(t, p, 0, "", "status")
	for _, id := range ids {
		for l := range strings.Lines(out) {
			if strings.Contains(l, id) && !strings.Contains(l, "nothing is behind it") {
				t.Errorf("status says of a gateway: %s", l)
			}
		}
		if !strings.Contains(out, id) {
			t.Errorf("status does not show %s:\n%s", id, out)
		}
	}
}
