// SPDX-License-Identifier: Apache-2.0

package system

import (
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/posternhq/postern/test/instance"
	"github.com/posternhq/postern/test/postern"
	"github.com/posternhq/postern/test/testnet"
)

// needPrograms says why when the test cannot damage anything.
func needPrograms(t *testing.T, programs ...string) {
	t.Helper()
	testnet.Require(t)
	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil {
			testnet.Unable(t, "this test uses the program "+program)
		}
	}
}

// router is the name of the namespace of a VPC's router.
func (s *pair) router(v *postern.VPC) string { return "postern-" + s.Mark() + "-" + v.ID }

// wanted gives what a pattern's group matches in the desired state.
func wanted(t *testing.T, p *postern.Postern, pattern string) string {
	t.Helper()
	found := regexp.MustCompile("(?m)" + pattern).FindStringSubmatch(p.Desired())
	if found == nil {
		t.Fatalf("nothing desired matches %s", pattern)
	}
	return found[1]
}

// repairs is how often Postern has found something missing or changed.
func repairs(p *postern.Postern) (n int64) {
	for name, count := range p.Status().Counters {
		if strings.HasPrefix(name, "repaired ") {
			n += count
		}
	}
	return n
}

func TestDamageIsRepaired(t *testing.T) {
	needPrograms(t, "ip", "nft")
	s := newPair(t, "--verify-interval", "300ms")
	consumer, provider := s.router(s.consumer), s.router(s.provider)
	endpoint := s.endpoint.Address().String()
	target := wanted(t, s.Postern, "^endpoint "+s.consumer.ID+` 10\S+ target=(\S+)`)
	for _, damage := range []struct{ namespace, line string }{
		{consumer, "ip route del " + target},
		{consumer, "ip route del 10.0.0.0/16"},
		{provider, "ip route del 10.0.1.10"},
		{consumer, "ip link del $(ip -o link | grep -o ' f[0-9a-f]*@' | tr -d @)"},
		{provider, "ip link del $(ip -o link | grep -o ' w[0-9a-f]*@' | tr -d @)"},
		{s.client.Name, "ip route del default"},
		{s.client.Name, "ip addr flush dev eth0"},
		{consumer, "nft delete element inet postern endpoint4 { " + endpoint + " }"},
		{consumer, "nft delete element inet postern port4 { " + endpoint + " . 5432 }"},
		{provider, "nft flush set inet postern allow4"},
		{provider, "nft flush chain inet postern leave"},
		{consumer, "nft insert rule inet postern forward drop"},
		{provider, "nft delete table inet postern"},
		{consumer, "sysctl -w net.ipv4.ip_forward=0"},
		{s.client.Name, "ip netns del " + consumer},
		{s.client.Name, "ip netns del " + provider},
	} {
		before := repairs(s.Postern)
		inNamespace(t, damage.namespace, damage.line)
		started := time.Now()
		err := instance.Poll(t.Context(), testnet.Patience, "repair", func() (bool, error) {
			if repairs(s.Postern) == before {
				return false, nil
			}
			_, err := ask(s.client, at(s.endpoint.Address()))
			return err == nil, nil
		})
		if err != nil {
			t.Errorf("%s in %s: %v", damage.line, damage.namespace, err)
			continue
		}
		t.Logf("%s: %v", damage.line, time.Since(started).Round(time.Millisecond))
	}
}

// A workload's own choice is left alone, and what it needs is there again when it
// changes its mind.
func TestAWorkloadMayTakeItsInterfaceDown(t *testing.T) {
	needPrograms(t, "ip")
	s := newPair(t, "--verify-interval", "100ms")
	expectAnswer(t, s.client, at(s.endpoint.Address()))
	target := wanted(t, s.Postern, "^endpoint "+s.consumer.ID+` 10\S+ target=(\S+)`)
	// What begins with the instance, such as the resolver, may be seen to be missing before.
	s.Await("everything to be as wanted", func() (bool, error) { return s.Command("verify").Status == 0, nil })
	before := repairs(s.Postern)
	inNamespace(t, s.client.Name, "ip link set eth0 down")
	for i := range int64(2) { // what shows that the router was verified
		inNamespace(t, s.router(s.consumer), "ip route del "+target)
		s.Await("repair", func() (bool, error) {
			there := inNamespace(t, s.router(s.consumer), "ip route show "+target) != ""
			return there && repairs(s.Postern) > before+i, nil
		})
	}
	if state := inNamespace(t, s.client.Name, "ip -o link show dev eth0"); strings.Contains(state, ",UP") || repairs(s.Postern) != before+2 {
		t.Errorf("the interface did not stay down, or was taken for damaged: %s; %d repairs before, counters %v", state, before, s.Status().Counters)
	}
	inNamespace(t, s.client.Name, "ip link set eth0 up")
	s.Await("the network", func() (bool, error) { return answers(s.client, at(s.endpoint.Address())), nil })
}

// What others made stays as it is: in Postern's own namespaces, beside them,
// and with another Postern, also when it is cleaned away.
func TestForeignThingsAreLeftAlone(t *testing.T) {
	needPrograms(t, "ip", "nft")
	other := newPair(t)
	s := newPair(t, "--verify-interval", "200ms")
	stranger := testnet.New(t)
	router := s.router(s.consumer)
	foreign := func() (string, map[string]string) {
		seen := map[string]string{}
		for _, line := range []string{
			"nft list table inet mine", "ip -o link show mine", "ip -o -4 addr show dev mine", "ip route show 198.51.100.0/24",
		} {
			seen[line] = inNamespace(t, router, line)
		}
		return picture(t, other), seen
	}
	for _, line := range []string{
		"nft add table inet mine", "nft add chain inet mine mine",
		"ip link add mine type veth peer name yours", "ip link set mine up", "ip addr add 192.0.2.1/24 dev mine",
		"ip route add 198.51.100.0/24 dev lo",
	} {
		inNamespace(t, router, line)
	}
	inNamespace(t, stranger.Name, "nft add table inet postern")
	theirs, ours := foreign()

	s.endpoint.Delete() // something to do
	s.endpoint = s.consumer.Endpoint(s.resource, []*postern.Subnet{s.clients}, s.openClient)
	inNamespace(t, router, "nft delete table inet postern")
	s.Await("repair", func() (bool, error) {
		return repairs(s.Postern) > 0 && answers(s.client, at(s.endpoint.Address())), nil
	})
	s.Kill()
	s.Up()
	expectAnswer(t, s.client, at(s.endpoint.Address()))

	theirsAfter, oursAfter := foreign()
	if theirsAfter != theirs {
		t.Errorf("another Postern's routers were changed; before:\n%s\nafter:\n%s", theirs, theirsAfter)
	}
	for line, before := range ours {
		if oursAfter[line] != before {
			t.Errorf("%s: %q, was %q", line, oursAfter[line], before)
		}
	}
	s.Stop()
	if r := s.Command("clean"); r.Status != 0 || len(s.Routers()) > 0 {
		t.Errorf("clean: status %d, %s; left %v", r.Status, r.Stderr, s.Routers())
	}
	inNamespace(t, stranger.Name, "nft list table inet postern")
	if theirsAfter := picture(t, other); theirsAfter != theirs {
		t.Errorf("another Postern's routers were changed by clean; before:\n%s\nafter:\n%s", theirs, theirsAfter)
	}
	expectAnswer(t, other.client, at(other.endpoint.Address()))
}
