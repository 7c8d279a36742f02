// SPDX-License-Identifier: Apache-2.0

package system

import (
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"testing"

	"github.com/posternhq/postern/test/postern"
	"github.com/posternhq/postern/test/testnet"
)

// uplinked is a Postern with an uplink and a workload that has a public address. The
// verification of the whole host, which finds all that changes, is too rare to help.
type uplinked struct {
	*postern.Postern
	t        *testing.T
	internet *postern.Internet
	gateway  string
	workload *postern.Workload
	public   netip.Addr
	server   net.Listener // outside; nil at first
}

func newUplinked(t *testing.T, internet *postern.Internet, flags ...string) *uplinked {
	t.Helper()
	u := &uplinked{Postern: postern.Start(t, append(flags, "--verify-interval", "1h")...), t: t, internet: internet}
	if got := u.line("uplink"); !strings.HasSuffix(got, " unused") {
		t.Errorf("status while nobody has a way out: %q", got)
	}
	v := u.VPC("10.0.0.0/16")
	s := v.Subnet(0, "10.0.1.0/24")
	u.gateway = v.InternetGateway()
	u.Route(v.RouteTable(s), "0.0.0.0/0", u.gateway)
	u.workload = s.Workload("10.0.1.10", v.OpenGroup())
	u.public = u.workload.Publish()
	return u
}

func (u *uplinked) status(args ...string) string {
	return u.Command(append([]string{"status"}, args...)...).Stdout
}

// line is what status says of a kind that there is one of.
func (u *uplinked) line(kind string) string {
	for l := range strings.Lines(u.status()) {
		if strings.HasPrefix(l, kind+" ") {
			return strings.Join(strings.Fields(l), " ")
		}
	}
	return ""
}

// serve has the outside answer where it is now, and nowhere else.
func (u *uplinked) serve() {
	u.t.Helper()
	if u.server != nil {
		u.server.Close()
	}
	l, err := u.internet.Serve("tcp4", ":80")
	if err != nil {
		u.t.Fatal(err)
	}
	u.t.Cleanup(func() { l.Close() })
	u.server = l
}

func (u *uplinked) outside() string { return hostPort(u.internet.Addr, 80) }

func (u *uplinked) reaches(when string) {
	u.t.Helper()
	u.Await("the outside "+when, func() (bool, error) {
		source, err := ask(u.workload, u.outside())
		return err == nil && source == u.public, nil
	})
}

// isReady waits for what status says when all is well, which is a moment after it works.
func (u *uplinked) isReady(device string) {
	u.t.Helper()
	u.Await("that status calls the uplink ready", func() (bool, error) {
		return u.line("uplink") == "uplink internet "+device+" ready" && !strings.Contains(u.status("--errors"), "uplink"), nil
	})
}

// isAway waits until status says that there is nothing to lead out by, and why.
func (u *uplinked) isAway(device, why string) {
	u.t.Helper()
	u.Await("that status says so", func() (bool, error) {
		got := u.line("uplink")
		return strings.Contains(got, device+" failed") && strings.Contains(got, why), nil
	})
	if got := u.line("internet-gateway"); !strings.Contains(got, u.gateway) || !strings.Contains(got, "nothing is behind it: uplink internet is in error") {
		u.t.Errorf("status of a gateway whose uplink has gone: %q", got)
	}
	if got := u.status("--errors"); !strings.Contains(got, device) {
		u.t.Errorf("errors that status shows: %s", got)
	}
	if answers(u.workload, u.outside()) {
		u.t.Error("an outside that has gone answers")
	}
}

// TestAnUplinkGoesAndComesAgain deletes the namespace that is the outside and makes it
// again under the same name: as soon as it leads out, when it was seen to be away, and
// faster than anybody looks. Each time what goes out goes again by itself.
func TestAnUplinkGoesAndComesAgain(t *testing.T) {
	testnet.Require(t)
	internet := postern.NewInternet(t)
	device := "netns:" + internet.Name
	var made []*testnet.NS // they stay for as long as Postern does
	t.Cleanup(func() {
		for _, ns := range made {
			ns.Close()
		}
	})
	u := newUplinked(t, internet, internet.Flags()...)
	again := func() {
		t.Helper()
		ns, err := testnet.Make(internet.Name)
		if err != nil {
			t.Fatal(err)
		}
		made = append(made, ns)
		internet.NS = ns
		if err := internet.Give(internet.Addr); err != nil {
			t.Fatal(err)
		}
		u.serve()
	}
	u.serve()
	u.reaches("at first")
	unname(t, internet.Name)
	u.isAway(device, internet.Name)
	again()
	u.reaches("when it is there again")
	u.isReady(device)
	if got := u.line("public-pool"); !strings.Contains(got, "1 of 64 addresses are claimed") {
		t.Errorf("status of the pool: %q", got)
	}

	unname(t, internet.Name)
	again()
	u.reaches("when it is another one")
	u.isReady(device)
}

// unname deletes a network namespace as an operator does: what is still in it stays.
func unname(t *testing.T, name string) {
	t.Helper()
	if out, err := exec.Command("ip", "netns", "del", name).CombinedOutput(); err != nil {
		t.Fatalf("delete namespace %s: %v: %s", name, err, out)
	}
}

// TestAnInterfaceIsUnpluggedAndComesAgain has an interface of the host as the uplink,
// deletes it and makes it again under its name, as one that is pulled out and put back.
func TestAnInterfaceIsUnpluggedAndComesAgain(t *testing.T) {
	testnet.Require(t)
	internet := postern.NewInternet(t)
	device := "pt" + testnet.RandomName(10)
	ip := func(line string) {
		t.Helper()
		if out, err := exec.Command("ip", strings.Fields(line)...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v: %s", line, err, out)
		}
	}
	// What the other side has goes with the interface, and is not Postern's to give.
	plug := func() {
		t.Helper()
		ip("link add " + device + " type veth peer name far netns " + internet.Name)
		for _, line := range []string{"addr add 203.0.113.1/24 dev far", "link set far up", "route add " + postern.PublicPool.String() + " via 203.0.113.2"} {
			ip("-n " + internet.Name + " " + line)
		}
	}
	unplug := func() {
		t.Helper()
		ip("-n " + internet.Name + " link del far")
	}
	plug()
	u := newUplinked(t, internet, "--uplink", "internet=dev:"+device+",address=203.0.113.2/24,via=203.0.113.1", "--public-pool", postern.PublicPool.String())
	u.serve()
	u.reaches("at first")
	unplug()
	u.isAway("dev:"+device, device)
	plug()
	u.reaches("when it is plugged in again")
	u.isReady("dev:" + device)

	unplug()
	plug()
	u.reaches("when it is another one")
	u.isReady("dev:" + device)
	u.Stop()
	if err := u.Instance.Close(); err != nil {
		t.Error(err)
	}
	ip("link del " + device) // it was given back
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
