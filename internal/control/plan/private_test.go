// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// privateRows are a connection whose consumer wants all private names, of which its resource
// has db.example.com.
func privateRows() []table.Row {
	rows := connection()
	for _, row := range rows {
		switch row := row.(type) {
		case *model.VPC:
			row.DNSSupport, row.DNSHostnames = true, true
		case *model.VPCEndpoint:
			row.PrivateDNS, row.DNSPreference = true, model.PreferAll
		case *model.ResourceConfiguration:
			row.Type, row.CustomDomain = model.TypeSingle, "DB.example.com"
		}
	}
	return rows
}

// privateIn prints the entries of private names.
func (w *world) privateIn() string {
	var lines []string
	for line := range strings.Lines(namesIn(w.plan.Entries())) {
		if strings.Contains(line, "vpce-1/") || strings.Contains(line, "vpce-2/") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}

const privateZone = `zone zone:vpce-1/db.example.com. self name=db.example.com. negative=5
record zone:vpce-1/db.example.com. db.example.com./A ttl=60 near=10.0.1.100@us-east-1a
view zone:vpc-a vpce-1/db.example.com.
`

// The endpoint's VPC, and it alone, asks a zone of the endpoint about the custom domain,
// while it has both attributes; without a way nothing else answers.
func TestAnEndpointHasAPrivateName(t *testing.T) {
	w := newNamedWorld(t)
	w.put(t, privateRows()...)
	if diff := cmp.Diff(privateZone, w.privateIn()); diff != "" {
		t.Error(diff)
	}
	names := Subject{SubjectNames, ref("rea-1/names")}
	if key := (desired.View{VPC: "vpc-a", Zone: "vpce-1/db.example.com."}).Key(); !contains(w.plan.Subjects(key), names) {
		t.Error("the names do not wait for the private zone")
	}
	vpc := find[*model.VPC](t, privateRows())
	vpc.DNSHostnames = false
	w.put(t, vpc)
	if got := w.privateIn(); got != "" {
		t.Errorf("without host names there is\n%s", got)
	}
	w.put(t, find[*model.VPC](t, privateRows()))
	w.remove(t, &model.ResourceGateway{Meta: meta("rgw-1")})
	if got := w.privateIn(); strings.Contains(got, "record") || !strings.Contains(got, "view") {
		t.Errorf("a name that leads nowhere is\n%s", got)
	}
	ep := find[*model.VPCEndpoint](t, privateRows())
	ep.PrivateDNS = false
	w.put(t, ep)
	if got := w.privateIn(); got != "" {
		t.Errorf("without private DNS there is\n%s", got)
	}
}

// zonesWith gives the private zones of an endpoint with a preference for a resource or the
// children of a group.
func zonesWith(t *testing.T, ep *model.VPCEndpoint, configurations []*model.ResourceConfiguration, verified string) string {
	t.Helper()
	w := newNamedWorld(t)
	if verified != "" {
		w.put(t, &model.DomainVerification{Meta: meta("dv-1"), Domain: verified, Proof: model.Proof{State: model.DomainVerified}})
	}
	rows := privateRows()
	for i, row := range rows {
		if _, is := row.(*model.VPCEndpoint); is {
			rows[i] = ep
		}
	}
	w.put(t, rows...)
	for i, rc := range configurations {
		a := &model.EndpointAssociation{Meta: meta("rea-" + rc.ID), Endpoint: ep.Ref(), Configuration: rc.Ref()}
		if i > 0 || rc.Group != "" {
			a.Group = "group"
		}
		w.put(t, rc)
		if !rc.IsGroup() {
			w.put(t, a)
		}
	}
	var zones []string
	for _, e := range w.plan.Entries() {
		if z, is := e.(desired.NameZone); is && strings.HasPrefix(z.ID, "vpce-1/") {
			zones = append(zones, z.Name)
		}
	}
	slices.Sort(zones)
	if diff := cmp.Diff(state.PrivateZones(w.last, state.Naming{Suffix: suffix}, ep), zones); diff != "" {
		t.Errorf("zones (-listed +asked for):\n%s", diff)
	}
	return strings.ReplaceAll(strings.Join(zones, " ")+" ", ". ", " ")
}

// What the consumer prefers and what the provider has verified say which domains there are.
func TestPreferencesLetDomainsThrough(t *testing.T) {
	single := []*model.ResourceConfiguration{{Meta: meta("rcfg-1"), Type: model.TypeSingle, CustomDomain: "db.example.com", Verification: "dv-1"}}
	child := func(id, domain string) *model.ResourceConfiguration {
		return &model.ResourceConfiguration{Meta: meta(id), Type: model.TypeChild, Group: "rcfg-1", CustomDomain: domain}
	}
	children := []*model.ResourceConfiguration{child("c1", "db.example.com"), child("c2", "cache.example.com"), child("c3", "web.example.com"), child("c4", "")}
	group := func(domain string) []*model.ResourceConfiguration {
		g := &model.ResourceConfiguration{Meta: meta("rcfg-1"), Type: model.TypeGroup, GroupDomain: domain, Verification: "dv-1"}
		return append([]*model.ResourceConfiguration{g}, children...)
	}
	for _, c := range []struct {
		configurations       []*model.ResourceConfiguration
		preference, verified string
		specified            string
		want                 string
	}{
		{single, "", "", "", ""},
		{single, "", "db.example.com", "", "db.example.com"},
		{single, model.PreferVerified, "EXAMPLE.com", "", "db.example.com"},
		{single, model.PreferVerified, "a.db.example.com", "", ""},
		{single, model.PreferVerified, "ample.com", "", ""},
		{single, model.PreferAll, "", "", "db.example.com"},
		{single, model.PreferSpecified, "example.com", "cache.example.com", ""},
		{single, model.PreferSpecified, "", "cache.example.com DB.example.com.", "db.example.com"},
		{single, model.PreferSpecified, "", "*.example.com", "db.example.com"},
		{single, model.PreferSpecified, "", "*.db.example.com", ""},
		{single, model.PreferSpecified, "", "example.com", ""},
		{single, model.PreferVerifiedSpecified, "", "db.example.com", "db.example.com"},
		{single, model.PreferVerifiedSpecified, "example.com", "cache.example.com", "db.example.com"},
		{single, model.PreferVerifiedSpecified, "", "cache.example.com", ""},
		{group("example.com"), model.PreferAll, "", "", "example.com"},
		{group("example.com"), "", "example.com", "", "example.com"},
		{group("example.com"), "", "", "", ""},
		{group("example.com"), model.PreferSpecified, "", "db.example.com cache.example.com", "cache.example.com db.example.com"},
		{group("example.com"), model.PreferSpecified, "", "*.example.com", "cache.example.com db.example.com web.example.com"},
		{group("example.com"), model.PreferSpecified, "", "example.com", "example.com"},
		{group(""), model.PreferAll, "", "", ""},
		{group(""), model.PreferSpecified, "", "db.example.com", ""},
	} {
		ep := find[*model.VPCEndpoint](t, privateRows())
		ep.DNSPreference, ep.DNSDomains = c.preference, strings.Fields(c.specified)
		if got := zonesWith(t, ep, c.configurations, c.verified); strings.TrimSpace(got) != c.want {
			t.Errorf("%s, %q specified, %q verified, of %s %q: zones %q, want %q",
				c.preference, c.specified, c.verified, c.configurations[0].Type, c.configurations[0].GroupDomain, got, c.want)
		}
	}
}

// Where a hosted zone or an older endpoint has the domain the endpoint has none, until that
// is gone.
func TestADomainIsOfOneInAVPC(t *testing.T) {
	w := newNamedWorld(t)
	w.put(t, privateRows()...)
	hosted := &model.HostedZone{Meta: model.Meta{Account: account, ID: "Z1"}, Name: "db.example.com.", VPCs: []model.Ref{ref("vpc-a")}}
	w.put(t, hosted)
	if got := w.privateIn(); got != "" {
		t.Errorf("beside a hosted zone there is\n%s", got)
	}
	hosted = hosted.Clone()
	hosted.VPCs = []model.Ref{ref("vpc-b")}
	w.put(t, hosted)
	if diff := cmp.Diff(privateZone, w.privateIn()); diff != "" {
		t.Errorf("beside a hosted zone in another VPC: %s", diff)
	}
	second := find[*model.VPCEndpoint](t, privateRows())
	second.ID, second.CreatedAt = "vpce-2", time.Unix(5, 0)
	w.put(t, second, &model.EndpointAssociation{Meta: meta("rea-2"), Endpoint: ref("vpce-2"), Configuration: ref("rcfg-1")})
	if diff := cmp.Diff(privateZone, w.privateIn()); diff != "" {
		t.Errorf("beside a younger endpoint: %s", diff)
	}
	first := find[*model.VPCEndpoint](t, privateRows())
	first.DeletedAt = time.Unix(9, 0)
	w.put(t, first)
	if got := w.privateIn(); !strings.Contains(got, "view zone:vpc-a vpce-2/") || strings.Contains(got, "vpce-1") {
		t.Errorf("after the older endpoint there is\n%s", got)
	}
}

// All children of a group with a domain are in one zone, each at its own address.
func TestChildrenShareTheZoneOfTheirGroup(t *testing.T) {
	w := newNamedWorld(t)
	rows := privateRows()
	for _, row := range rows {
		switch row := row.(type) {
		case *model.ResourceConfiguration:
			row.Type, row.Group = model.TypeChild, "rcfg-g"
		case *model.NetworkInterface:
			if row.Type == model.InterfaceEndpoint {
				row.Addresses = append(row.Addresses, addr("10.0.1.101"))
			}
		case *model.EndpointAssociation:
			row.Group, row.Addresses = "rcfg-g", []model.InterfaceAddress{{Interface: "eni-e", Addr: addr("10.0.1.100")}}
		case *model.VPCEndpoint:
			row.Configuration = ref("rcfg-g")
		}
	}
	second := find[*model.ResourceConfiguration](t, rows).Clone()
	second.ID, second.CustomDomain, second.Targets[0].Index = "rcfg-2", "web.example.com", 6
	w.put(t, append(rows, second,
		&model.ResourceConfiguration{Meta: meta("rcfg-g"), Type: model.TypeGroup, Gateway: "rgw-1", GroupDomain: "example.com"},
		&model.EndpointAssociation{
			Meta: meta("rea-2"), Group: "rcfg-g", Endpoint: ref("vpce-1"), Configuration: ref("rcfg-2"),
			Addresses: []model.InterfaceAddress{{Interface: "eni-e", Addr: addr("10.0.1.101")}},
		})...)
	const want = `zone zone:vpce-1/example.com. self name=example.com. negative=5
record zone:vpce-1/example.com. db.example.com./A ttl=60 near=10.0.1.100@us-east-1a
record zone:vpce-1/example.com. web.example.com./A ttl=60 near=10.0.1.101@us-east-1a
view zone:vpc-a vpce-1/example.com.
`
	if diff := cmp.Diff(want, w.privateIn()); diff != "" {
		t.Error(diff)
	}
	w.remove(t, &model.EndpointAssociation{Meta: meta("rea-1")}, &model.EndpointAssociation{Meta: meta("rea-2")}, second)
	const empty = `zone zone:vpce-1/example.com. self name=example.com. negative=5
view zone:vpc-a vpce-1/example.com.
`
	if diff := cmp.Diff(empty, w.privateIn()); diff != "" {
		t.Errorf("the domain of a group that has no children leads elsewhere: %s", diff)
	}
	ep := find[*model.VPCEndpoint](t, rows).Clone()
	ep.PrivateDNS = false
	w.put(t, ep)
	if got := w.privateIn(); got != "" {
		t.Errorf("without private DNS there is\n%s", got)
	}
}

// An endpoint keeps the domain whose record is gone, and one that is made later has not got it.
func TestEndpointsKeepDomainsThatWereVerified(t *testing.T) {
	gone := time.Unix(1_800_000_000, 0)
	for made, want := range map[time.Time]int{gone.Add(-time.Hour): 1, gone.Add(time.Hour): 0} {
		w := newNamedWorld(t)
		w.put(t, privateRows()...)
		ep := find[*model.VPCEndpoint](t, privateRows())
		ep.CreatedAt, ep.PrivateDNS, ep.DNSPreference, ep.DNSDomains = made, true, model.PreferVerified, nil
		rc := &model.ResourceConfiguration{Meta: meta("rcfg-1"), Type: model.TypeSingle, CustomDomain: "db.example.com", Verification: "dv-1"}
		v := &model.DomainVerification{Meta: meta("dv-1"), Domain: "example.com", Proof: model.Proof{State: model.DomainPending}}
		w.put(t, ep, rc, v, &model.EndpointAssociation{Meta: meta("rea-1"), Endpoint: ep.Ref(), Configuration: rc.Ref()})
		for _, step := range []struct {
			state  string
			lapsed time.Time
			want   int
		}{{model.DomainPending, time.Time{}, 0}, {model.DomainVerified, time.Time{}, 1}, {model.DomainPending, gone, want}, {model.DomainTimedOut, gone, want}, {model.DomainVerified, gone, 1}} {
			v = v.Clone()
			v.State, v.LapsedAt = step.state, step.lapsed
			w.put(t, v)
			if got := strings.Count(w.privateIn(), "view"); got != step.want {
				t.Errorf("made at %v, %s, gone at %v: %d zones, want %d", made, step.state, step.lapsed, got, step.want)
			}
		}
	}
}
