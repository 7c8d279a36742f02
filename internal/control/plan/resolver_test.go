// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/model"
)

// namesIn prints the entries of zones.
func namesIn(entries []desired.Entry) string {
	var names []desired.Entry
	for _, e := range entries {
		if e.Key().Realm.Sort() == desired.Zones {
			names = append(names, e)
		}
	}
	return desired.Text(names)
}

// A VPC with a router has a resolver, which knows its blocks and zones, and the names of
// its endpoints: one for all addresses and one for each zone.
func TestAnEndpointHasNames(t *testing.T) {
	w := newNamedWorld(t)
	rows := connection()
	for _, row := range rows {
		if vpc, ok := row.(*model.VPC); ok {
			vpc.DNSSupport, vpc.DNSHostnames = true, vpc.ID == "vpc-a"
		}
	}
	w.put(t, rows...)
	want := `resolver zone:vpc-a self networks=10.0.0.0/16 internal=ec2.internal. zones=10.0.1.0/24@us-east-1a
resolver zone:vpc-b self networks=10.0.0.0/16 zones=10.0.1.0/24@us-east-1a
zone zone:vpc-a/endpoints self name=vpc-lattice-rsc.us-east-1.postern.internal. negative=5 public=yes
zone zone:vpc-b/endpoints self name=vpc-lattice-rsc.us-east-1.postern.internal. negative=5 public=yes
record zone:vpc-a/endpoints vpce-1-us-east-1a.rcfg-1.4232ccc.vpc-lattice-rsc.us-east-1.postern.internal./A ttl=60 near=10.0.1.100@us-east-1a
record zone:vpc-a/endpoints vpce-1.rcfg-1.4232ccc.vpc-lattice-rsc.us-east-1.postern.internal./A ttl=60 near=10.0.1.100@us-east-1a
view zone:vpc-a vpc-a/endpoints
view zone:vpc-b vpc-b/endpoints
`
	if diff := cmp.Diff(want, namesIn(w.plan.Entries())); diff != "" {
		t.Error(diff)
	}
	at := w.plan.held[desired.Nameserver{VPC: "vpc-a"}.Key()]
	if want := "nameserver vpc-a self addrs=10.0.0.2,169.254.169.253,fd00:ec2::253"; at == nil || at.effective().String() != want {
		t.Errorf("the router of vpc-a does not have %s", want)
	}
	subject := Subject{SubjectNames, ref("rea-1/names")}
	for _, e := range w.plan.Entries() {
		is := strings.HasPrefix(e.String(), "record") || e.String() == "view zone:vpc-a vpc-a/endpoints" || strings.HasPrefix(e.String(), "zone zone:vpc-a/")
		if contains(w.plan.Subjects(e.Key()), subject) != is {
			t.Errorf("that %s is waited for by the names is %v", e.Key(), !is)
		}
	}
	// The way's end is the names' end.
	if problem := w.plan.Problem(subject); problem != "" {
		t.Errorf("against the names is %s", problem)
	}
	w.remove(t, &model.ResourceGateway{Meta: meta("rgw-1")})
	if problem := w.plan.Problem(subject); !strings.Contains(problem, "no address of the endpoint leads") {
		t.Errorf("against names that lead nowhere is %q", problem)
	}
	if text := namesIn(w.plan.Entries()); strings.Contains(text, "record") {
		t.Errorf("a name leads nowhere:\n%s", text)
	}
	plain := newWorld(t)
	plain.put(t, rows...)
	if text := namesIn(plain.plan.Entries()); text != "" {
		t.Errorf("a host without a resolver is asked for\n%s", text)
	}
}

// Names have the addresses of both families from which there is a way, and those that
// the endpoint is to have records of.
func TestNamesHaveWhatTheyAreToHave(t *testing.T) {
	for families, want := range map[string]string{
		"": "A 10.0.1.100@a,10.0.2.100@b AAAA 2001:db8::1@a", "dualstack": "A 10.0.1.100@a,10.0.2.100@b AAAA 2001:db8::1@a",
		"service-defined": "A 10.0.1.100@a,10.0.2.100@b AAAA 2001:db8::1@a", "ipv4": "A 10.0.1.100@a,10.0.2.100@b", "ipv6": "AAAA 2001:db8::1@a",
	} {
		named := newNamedAddresses("Z1", families)
		for _, door := range []desired.ZoneAddr{{Addr: addr("10.0.2.100"), Zone: "b"}, {Addr: addr("2001:db8::1"), Zone: "a"}, {Addr: addr("10.0.1.100"), Zone: "a"}} {
			named.add("x.", door)
		}
		records := named.records()
		desired.Sort(records)
		var got []string
		for _, r := range records {
			_, near, _ := strings.Cut(r.String(), "near=")
			got = append(got, r.(desired.NameRecord).Type, near)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q: %v, want %s", families, got, want)
		}
	}
}

// A VPC's domain of names of addresses is that of its region, and needs both attributes.
func TestAResolverIsAsItsVPC(t *testing.T) {
	w := newNamedWorld(t)
	w.put(t, connection()...)
	for _, c := range []struct {
		region             string
		support, hostnames bool
		want               string
	}{
		{"us-east-1", true, true, "internal=ec2.internal."},
		{"eu-west-1", true, true, "internal=eu-west-1.compute.internal."},
		{"eu-west-1", true, false, ""},
		{"us-east-1", false, true, "off=yes"},
	} {
		m := model.Meta{Account: account, Region: c.region, ID: "vpc-c"}
		w.put(t, &model.VPC{Meta: m, DNSSupport: c.support, DNSHostnames: c.hostnames}, &model.NetworkInterface{
			Meta: model.Meta{Account: account, Region: c.region, ID: "eni-c"}, VPC: "vpc-c", Type: model.InterfaceWorkload, SourceDestCheck: true,
		})
		h := w.plan.held[desired.Resolver{VPC: "vpc-c"}.Key()]
		if h == nil {
			t.Fatalf("%+v: there is no resolver", c)
		}
		if got := h.effective().String(); got != strings.TrimSpace("resolver zone:vpc-c self "+c.want) {
			t.Errorf("%+v: %s", c, got)
		}
		w.remove(t, &model.NetworkInterface{Meta: model.Meta{Account: account, Region: c.region, ID: "eni-c"}}, &model.VPC{Meta: m})
	}
}

// The servers of a VPC's DHCP options are told, unless its own resolver comes first.
func TestAResolverKnowsTheServersOfItsVPC(t *testing.T) {
	for list, want := range map[string]string{
		"": "", model.AmazonDNS: "", "10.0.1.53": "10.0.1.53", "10.0.1.53 10.9.0.53": "10.0.1.53,10.9.0.53",
		"10.0.1.53 " + model.AmazonDNS: "10.0.1.53,169.254.169.253", model.AmazonDNS + " 10.0.1.53": "", "10.0.0.2 10.0.1.53": "", "169.254.169.253": "",
	} {
		w := newNamedWorld(t)
		rows := connection()
		w.put(t, rows...)
		vpc := find[*model.VPC](t, rows).Clone()
		vpc.DHCPOptions = "dopt-1"
		w.put(t, vpc, &model.DHCPOptions{Meta: model.Meta{Account: vpc.Account, Region: vpc.Region, ID: "dopt-1"}, DomainNameServers: strings.Fields(list)})
		text := w.plan.held[desired.Resolver{VPC: vpc.ID}.Key()].effective().String()
		if _, got, _ := strings.Cut(text, "servers="); strings.SplitN(got+" ", " ", 2)[0] != want {
			t.Errorf("%q: %s, want %q", list, text, want)
		}
	}
}
