// SPDX-License-Identifier: Apache-2.0

package isolation

import (
	"net/netip"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/resolver/control"
	"github.com/posternhq/postern/test/postern"
	"github.com/posternhq/postern/test/testnet"
)

// small makes a world by hand of a consumer, a provider and a stranger with the
// same addresses. The consumer reaches the provider's server on 5432, and the
// stranger its second server on 9000. A closed workload of the provider admits
// nobody.
func small(p *postern.Postern) *World {
	m := &maker{p: p, w: &World{}}
	vpc := func() (*VPC, []*Group) {
		v := &VPC{VPC: p.VPC("10.0.0.0/16"), At: map[netip.Addr]*Interface{}}
		v.Subnets = []*postern.Subnet{v.Subnet(0, "10.0.1.0/24")}
		m.zones(v, len(m.w.VPCs))
		m.w.VPCs = append(m.w.VPCs, v)
		open := &Group{ID: v.Group("open", nil, nil)}
		for _, all := range []string{"0.0.0.0/0", "::/0"} {
			m.rule(open, Rule{Direction: in, Protocol: "-1", CIDR: netip.MustParsePrefix(all)})
			m.rule(open, Rule{Direction: out, Protocol: "-1", CIDR: netip.MustParsePrefix(all)})
		}
		return v, []*Group{open}
	}
	consumer, consumers := vpc()
	m.workload(consumer, "client", "10.0.1.10", consumers)
	m.workload(consumer, "bystander", "10.0.1.11", consumers)
	stranger, strangers := vpc()
	m.workload(stranger, "stranger", "10.0.1.10", strangers)
	provider, providers := vpc()
	m.workload(provider, "server", "10.0.1.10", providers)
	m.workload(provider, "second", "10.0.1.12", providers)
	m.workload(provider, "closed", "10.0.1.13", []*Group{{ID: provider.Group("closed", nil, nil)}})

	gateway := provider.Gateway("gateway", provider.Subnets, groupIDs(providers))
	g := provider.add(&Interface{Name: "gateway", Groups: providers})
	m.lead(consumer, newResource(gateway, provider.Subnets, g, netip.MustParseAddr("10.0.1.10"), "5432"), consumer.Subnets, consumers)
	m.lead(stranger, newResource(gateway, provider.Subnets, g, netip.MustParseAddr("10.0.1.12"), "9000"), stranger.Subnets, strangers)
	m.tried()
	m.serve()
	return m.w
}

// expression gives what a pattern's group matches in the desired state.
func expression(t *testing.T, p *postern.Postern, pattern string) string {
	t.Helper()
	found := regexp.MustCompile("(?m)" + pattern).FindStringSubmatch(p.Desired())
	if found == nil {
		t.Fatalf("nothing desired matches %s", pattern)
	}
	return found[1]
}

// inRouter runs a command line in the router of a VPC and returns what it prints.
func inRouter(t *testing.T, p *postern.Postern, v *VPC, line string) string {
	t.Helper()
	out, err := exec.Command("ip", "netns", "exec", "postern-"+p.Mark()+"-"+v.ID, "sh", "-c", line).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v: %s", line, err, out)
	}
	return string(out)
}

// tell gives the resolver an entry that nobody asked for.
func tell(t *testing.T, p *postern.Postern, e desired.Entry) {
	t.Helper()
	resolver := control.NewClient(p.Data)
	defer resolver.Close()
	if failed := resolver.Apply(t.Context(), e.Key().Realm, []desired.Entry{e}, nil); len(failed) > 0 {
		t.Fatal(failed)
	}
}

// A checker that finds nothing proves nothing unless it finds what is there:
// each leak is planted in the kernel by hand, behind Postern's back.
func TestPlantedLeaksAreFound(t *testing.T) {
	testnet.Require(t)
	for _, program := range []string{"ip", "nft"} {
		if _, err := exec.LookPath(program); err != nil {
			testnet.Unable(t, "this test plants leaks with the program "+program)
		}
	}
	p := postern.Start(t, "--verify-interval", "1h")
	w := small(p)
	consumer, stranger, provider := w.VPCs[0], w.VPCs[1], w.VPCs[2]
	endpoint := expression(t, p, "^endpoint "+consumer.ID+` (10\S+)`)
	target := expression(t, p, "^endpoint "+consumer.ID+` 10\S+ target=(\S+)`)
	for _, leak := range []struct {
		name    string
		plant   func()
		finding string // how one of the findings begins
	}{
		{"a port of an endpoint", func() {
			inRouter(t, p, consumer, "nft add element inet postern port4 { "+endpoint+" . 9000 }")
		}, "connect client to " + endpoint + ":9000: answered by server"},
		{"an endpoint in another VPC", func() {
			source := expression(t, p, "^router "+stranger.ID+` .*source4=([0-9.]+)/26`)
			way := strings.TrimSpace(inRouter(t, p, stranger, "ip route | grep -o 'via .* dev f[^ ]*'"))
			inRouter(t, p, stranger, "nft add element inet postern endpoint4 { "+endpoint+" : "+target+" }")
			inRouter(t, p, stranger, "nft add element inet postern door4 { "+endpoint+" : 1 }")
			inRouter(t, p, stranger, "nft add element inet postern port4 { "+endpoint+" . 5432 }")
			inRouter(t, p, stranger, "nft add element inet postern class4 { "+endpoint+" : $(nft list map inet postern class4 | grep -o '10.0.1.10 : 0x[0-9a-f]*' | cut -d' ' -f3) }")
			inRouter(t, p, stranger, "ip route add "+target+" "+way+" onlink")
			inRouter(t, p, provider, "nft add element inet postern allow4 { "+source+" . "+target+" }")
		}, "connect stranger to " + endpoint + ":5432: answered by server"},
		{"a security group without rules", func() {
			class := expression(t, p, "^address "+provider.ID+` 10.0.1.13 class=(\S+)`)
			inRouter(t, p, provider, "nft flush chain inet postern in-"+class)
		}, "connect server to 10.0.1.13:5432: answered by closed"},
		{"sources that nobody checks", func() {
			inRouter(t, p, consumer, "nft flush chain inet postern sources")
			inRouter(t, p, consumer, "for f in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 > $f; done")
		}, "SYN from 10.0.1.11 by client to " + endpoint},
		{"a name in another VPC", func() {
			own := w.Names[slices.IndexFunc(w.Names, func(n *Name) bool { return n.VPC == consumer && strings.HasSuffix(n.Text, known) })]
			tell(t, p, desired.NameRecord{Zone: stranger.ID + "/endpoints", Name: own.Text + ".", Type: "A", Data: []string{endpoint}})
		}, "stranger asks "},
		{"a hosted zone in another VPC", func() {
			tell(t, p, desired.View{VPC: stranger.ID, Zone: expression(t, p, `^zone zone:(\S+) self name=vpc0\.example\.`)})
		}, "stranger asks "},
	} {
		t.Run(leak.name, func(t *testing.T) {
			leak.plant()
			_, connects, err := w.Connects()
			if err != nil {
				t.Fatal(err)
			}
			_, strays, err := w.Strays()
			if err != nil {
				t.Fatal(err)
			}
			_, names, err := w.Resolves()
			if err != nil {
				t.Fatal(err)
			}
			all := slices.Concat(connects, strays, names)
			if !slices.ContainsFunc(all, func(f string) bool { return strings.HasPrefix(f, leak.finding) }) {
				t.Errorf("no finding %q among %q", leak.finding, all)
			}
			p.Stop()
			p.Up() // the next start repairs what was planted
			p.Await("repair", func() (bool, error) {
				s := p.Status()
				return *s.DesiredEntries > 0 && *s.DesiredEntries == *s.ProgrammedEntries, nil
			})
			tried, findings, err := w.Connects()
			report(t, "connects after the repair", tried, findings, err)
			sent, findings, err := w.Strays()
			report(t, "strays after the repair", sent, findings, err)
			asked, findings, err := w.Resolves()
			report(t, "names after the repair", asked, findings, err)
		})
	}
}
