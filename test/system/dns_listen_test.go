// SPDX-License-Identifier: Apache-2.0

package system

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/posternhq/postern/test/child"
	"github.com/posternhq/postern/test/testnet"
)

// freeAddress is an address of 127.0.0.1 at which nobody listens, over UDP and TCP.
func freeAddress(t *testing.T) string {
	t.Helper()
	for range 20 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		at := l.Addr().String()
		conn, err := net.ListenPacket("udp", at)
		l.Close()
		if err == nil {
			conn.Close()
			return at
		}
	}
	t.Fatal("no port is free for both UDP and TCP")
	return ""
}

// askHost asks a server in the test's own namespace, once, and gives the answer in a few
// words.
func askHost(proto, at, name string, kind uint16) string {
	m, _, err := (&dns.Client{Net: proto, Timeout: testnet.Patience / 4}).Exchange(new(dns.Msg).SetQuestion(name, kind), at)
	if err != nil {
		return err.Error()
	}
	text := dns.RcodeToString[m.Rcode]
	if m.Authoritative {
		text += " aa"
	}
	if m.RecursionAvailable {
		text += " ra"
	}
	for _, rr := range m.Answer {
		fields := strings.Fields(rr.String())
		text += " " + fields[len(fields)-1]
	}
	return text
}

// forwarders are programs that ask others for what they are asked, by name with what it
// takes to have them ask a server for postern.internal.
var forwarders = map[string]func(folder, at, server string) (config string, arguments []string){
	"dnsmasq": func(folder, at, server string) (string, []string) {
		a, to := netip.MustParseAddrPort(at), netip.MustParseAddrPort(server)
		return fmt.Sprintf("keep-in-foreground\nbind-interfaces\nlisten-address=%s\nport=%d\nno-resolv\nno-hosts\nuser=root\npid-file=\nlog-facility=-\nserver=/postern.internal/%s#%d\n",
			a.Addr(), a.Port(), to.Addr(), to.Port()), []string{"--conf-file=" + filepath.Join(folder, "config")}
	},
	"unbound": func(folder, at, server string) (string, []string) {
		a := netip.MustParseAddrPort(at)
		return fmt.Sprintf("server:\n interface: %s@%d\n do-daemonize: no\n username: \"\"\n chroot: \"\"\n directory: %q\n pidfile: \"\"\n use-syslog: no\n do-not-query-localhost: no\n"+
				" domain-insecure: postern.internal\nremote-control:\n control-enable: no\nforward-zone:\n name: postern.internal\n forward-addr: %s\n",
				a.Addr(), a.Port(), folder, strings.Replace(server, ":", "@", 1)),
			[]string{"-d", "-c", filepath.Join(folder, "config")}
	},
}

// forwarder starts a program that forwards to a server, and gives where it is.
func forwarder(t *testing.T, program, server string) (at string) {
	t.Helper()
	folder, at := t.TempDir(), freeAddress(t)
	config, arguments := forwarders[program](folder, at, server)
	if err := os.WriteFile(filepath.Join(folder, "config"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := child.Start(exec.Command(program, arguments...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() {
			t.Log(p.Output())
		}
	})
	return at
}

// Others are told the names of endpoints at an address of the host, also while Postern is
// away, and resolvers can forward to it. It answers for nothing else.
func TestOthersAreToldTheNamesOfEndpoints(t *testing.T) {
	at := freeAddress(t)
	s := newPair(t, "--dns-listen", at)
	name, _ := s.told()
	name += "."
	zonal := strings.Replace(name, s.endpoint.ID, s.endpoint.ID+"-us-east-1a", 1)
	yes := "NOERROR aa " + s.endpoint.Address().String()
	check := func(when string) {
		t.Helper()
		for _, proto := range []string{"udp", "tcp"} {
			for _, c := range []struct {
				name string
				kind uint16
				want string
			}{
				{name, dns.TypeA, yes}, {zonal, dns.TypeA, yes}, {strings.ToUpper(name), dns.TypeA, yes},
				{name, dns.TypeAAAA, "NOERROR aa"}, {"x." + name, dns.TypeA, "NXDOMAIN aa"}, {"postern.internal.", dns.TypeNS, "NOERROR aa ns.postern.internal."},
				{"www.example.com.", dns.TypeA, "REFUSED"}, {"ip-10-0-1-10.ec2.internal.", dns.TypeA, "REFUSED"},
			} {
				if got := askHost(proto, at, c.name, c.kind); got != c.want {
					t.Errorf("%s, over %s %s is %q, want %q", when, proto, c.name, got, c.want)
				}
			}
		}
	}
	check("at first")
	s.Kill()
	check("while Postern is away")
	s.Up() // which finds its own resolver at the address
	check("after Postern was away")
	for program := range forwarders {
		t.Run(program, func(t *testing.T) {
			if _, err := exec.LookPath(program); err != nil {
				t.Skipf("SKIPPED: %v", err)
			}
			by := forwarder(t, program, at)
			s.Await("an answer by way of "+program, func() (bool, error) {
				return askHost("udp", by, name, dns.TypeA) == "NOERROR ra "+s.endpoint.Address().String(), nil
			})
			if got := strings.Replace(askHost("udp", by, "x."+name, dns.TypeA), " aa", "", 1); got != "NXDOMAIN ra" { // dnsmasq passes the bit on
				t.Errorf("a name that is not there is %q", got)
			}
		})
	}
	s.Stop()
	other := freeAddress(t)
	s.Flags[len(s.Flags)-1] = other
	s.Up() // its resolver is replaced by one that listens elsewhere
	at, former := other, at
	s.Await("names at the other address", func() (bool, error) { return askHost("udp", at, name, dns.TypeA) == yes, nil })
	if got := askHost("tcp", former, name, dns.TypeA); !strings.Contains(got, "refused") {
		t.Errorf("at the former address there is %q", got)
	}
}
