// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"context"
	"fmt"
	"net/netip"
	"os/exec"
	"strings"
	"testing"

	"github.com/posternhq/postern/internal/dataplane/network"
	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/test/testnet"
)

// repair does what a reconciler does: it reads what is there and puts what
// differs, until nothing does. It returns the number of rounds.
func (s *scenario) repair() int {
	s.t.Helper()
	var failed []string
	for round := range 5 {
		failed = nil
		same := true
		for _, vpc := range vpcs() {
			put, del := s.difference(vpc)
			same = same && len(put)+len(del) == 0
			for key, err := range s.host.Apply(context.Background(), desired.Realm(vpc), put, del) {
				failed = append(failed, fmt.Sprintf("%s: %v", key, err))
			}
		}
		if same {
			return round
		}
	}
	s.t.Errorf("not repaired after 5 rounds: %v", failed)
	return 5
}

func (s *scenario) difference(vpc string) (put, del []desired.Entry) {
	s.t.Helper()
	there, err := s.host.Dump(context.Background(), desired.Realm(vpc))
	if err != nil {
		s.t.Fatal(err)
	}
	have := map[desired.Key]desired.Entry{}
	for _, e := range there {
		have[e.Key()] = e
	}
	for _, e := range s.entries[vpc] {
		if old, ok := have[e.Key()]; !ok || !desired.Equal(old, e) {
			put = append(put, e)
		}
		delete(have, e.Key())
	}
	for _, e := range have {
		del = append(del, e)
	}
	return put, del
}

// run runs a command line in a namespace, as a person would.
func run(t testing.TB, namespace, line string) {
	t.Helper()
	words := append([]string{"netns", "exec", namespace}, strings.Fields(line)...)
	if out, err := exec.Command("ip", words...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", line, err, out)
	}
}

func TestDamageIsSeenAndRepaired(t *testing.T) {
	if _, err := exec.LookPath("ip"); err != nil {
		testnet.Unable(t, "this test uses the program ip of iproute2")
	}
	s := scenario4(t)
	s.apply()
	s.serve()
	routerOf := func(vpc string) string { return network.NamespaceName(s.instance, vpc) }
	consumerLink, providerLink := "f0bbbbbbbbbbbbb", "f0aaaaaaaaaaaaa"
	for _, damage := range []struct{ namespace, line string }{
		{routerOf(consumer), "ip route del 240.8.0.1/32"},
		{routerOf(consumer), "ip route del 10.0.0.0/16"},
		{routerOf(consumer), "ip link del " + consumerLink},
		{routerOf(provider), "ip link set " + providerLink + " down"},
		{routerOf(provider), "ip link del w0bbbbbbbbbbbbb"},
		{routerOf(consumer), "sysctl -w net.ipv4.ip_forward=0"},
		{routerOf(consumer), "nft delete element inet postern endpoint4 { 10.0.1.100 }"},
		{routerOf(consumer), "nft delete element inet postern port4 { 10.0.1.100 . 5432 }"},
		{routerOf(provider), "nft delete element inet postern target4 { 240.8.0.1 }"},
		{routerOf(provider), "nft delete element inet postern allow4 { 240.0.0.0 . 240.8.0.1 }"},
		{routerOf(provider), "nft flush set inet postern allow4"},
		{routerOf(consumer), "ip addr del 10.0.0.2/32 dev lo"},
		{routerOf(consumer), "ip addr del fd00:ec2::253/128 dev lo"},
		{routerOf(consumer), "nft delete element inet postern names4 { 169.254.169.253 }"},
		{routerOf(consumer), "nft flush set inet postern names6"},
		{routerOf(provider), "nft add element inet postern names4 { 10.0.0.2 }"},
		{routerOf(provider), "ip addr add fd00:ec2::253/128 dev lo"},
		{routerOf(consumer), "nft flush chain inet postern forward"},
		{routerOf(provider), "nft add rule inet postern forward accept"},
		{routerOf(provider), "nft delete table inet postern"},
		{s.server.Name, "ip link del eth0"},
		{s.client.Name, "ip addr del 10.0.1.10/32 dev eth0"},
		{s.client.Name, "ip route del default"},
		{s.client.Name, "ip route del 10.0.1.0/24"},
		{s.client.Name, "ip neigh del 10.0.1.1 dev eth0"},
		{s.client.Name, "ip link set eth0 address 02:00:00:00:00:99"},
		{s.client.Name, "ip netns del " + routerOf(consumer)},
		{s.client.Name, "ip netns del " + routerOf(provider)},
	} {
		run(t, damage.namespace, damage.line)
		if rounds := s.repair(); rounds == 0 {
			t.Errorf("%s: the damage is not seen", damage.line)
		}
		s.checkDump()
		s.checkTraffic()
	}
}

func TestForeignThingsStay(t *testing.T) {
	if _, err := exec.LookPath("ip"); err != nil {
		testnet.Unable(t, "this test uses the program ip of iproute2")
	}
	s := scenario4(t)
	s.apply()
	router := network.NamespaceName(s.instance, consumer)
	for _, line := range []string{
		"ip link add mine type veth peer name yours",
		"ip link set mine up",
		"ip addr add 192.0.2.1/24 dev mine",
		"ip route add 198.51.100.0/24 dev lo",
		"ip addr add 203.0.113.1/32 dev lo",
		"nft add table inet other",
	} {
		run(t, router, line)
	}
	s.checkDump()
	s.entries[consumer] = s.entries[consumer][:1]
	s.entries[provider] = s.entries[provider][:1]
	r := s.entries[consumer][0].(desired.Router)
	r.Networks = append(r.Networks, prefix("10.1.0.0/16"))
	r.Gateways = append(r.Gateways, addr("10.1.0.1"))
	s.entries[consumer][0] = r
	s.repair()
	s.checkDump()
	for _, line := range []string{
		"ip addr del 192.0.2.1/24 dev mine",
		"ip route del 198.51.100.0/24 dev lo",
		"ip addr del 203.0.113.1/32 dev lo",
		"nft delete table inet other",
		"ip link del mine",
	} {
		run(t, router, line) // what is not there cannot be deleted
	}
}

func BenchmarkDump(b *testing.B) {
	s := scenario4(b)
	s.apply()
	for b.Loop() {
		s.dump(consumer)
	}
}

func BenchmarkRouter(b *testing.B) {
	h, _ := newHost(b)
	r := []desired.Entry{desired.Router{
		VPC: consumer, Networks: []netip.Prefix{prefix("10.0.0.0/16")}, Gateways: []netip.Addr{addr("10.0.1.1")}, Source4: prefix("240.0.0.0/26"),
	}}
	for b.Loop() {
		if failed := h.Apply(b.Context(), consumer, r, nil); failed != nil {
			b.Fatal(failed)
		}
		b.StopTimer()
		if failed := h.Apply(b.Context(), consumer, nil, r); failed != nil {
			b.Fatal(failed)
		}
		b.StartTimer()
	}
}

func BenchmarkEndpoint(b *testing.B) {
	s := scenario4(b)
	s.apply()
	all := s.entries[consumer]
	e := all[len(all)-1:]
	for b.Loop() {
		s.put(consumer, e)
		b.StopTimer()
		s.host.Apply(b.Context(), consumer, nil, e)
		b.StartTimer()
	}
}
