// SPDX-License-Identifier: Apache-2.0

package route53

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	shape "github.com/posternhq/postern/internal/aws/shape/route53"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/servicetest"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

func TestZonesComeWithTheirRecordsAndGo(t *testing.T) {
	f := newFixture(t)
	made, err := f.api.CreateHostedZone(f.ctx, &shape.CreateHostedZoneInput{
		Name: new("Example.COM"), CallerReference: new("once"), VPC: vpc(vpcA), HostedZoneConfig: &shape.HostedZoneConfig{Comment: new("mine"), PrivateZone: new(true)},
	})
	if err != nil {
		t.Fatal(err)
	}
	z := made.HostedZone
	if *z.Name != "example.com." || !*z.Config.PrivateZone || *z.Config.Comment != "mine" || *z.ResourceRecordSetCount != 2 || *z.CallerReference != "once" {
		t.Errorf("the zone is %+v", z)
	}
	if !strings.HasSuffix(*made.Location, *z.Id) || *made.ChangeInfo.Status != "PENDING" || !strings.HasPrefix(*made.ChangeInfo.Id, "/change/C") || len(made.DelegationSet.NameServers) != 4 {
		t.Errorf("the answer is %+v", made)
	}
	got, err := f.api.GetHostedZone(f.ctx, &shape.GetHostedZoneInput{Id: z.Id})
	if err != nil || len(got.VPCs) != 1 || *got.VPCs[0].VPCId != vpcA || *got.VPCs[0].VPCRegion != servicetest.Region {
		t.Fatalf("got %+v, %v", got, err)
	}
	// Terraform takes the name servers from here.
	ns, err := f.api.ListResourceRecordSets(f.ctx, &shape.ListResourceRecordSetsInput{HostedZoneId: z.Id, StartRecordName: new("example.com"), StartRecordType: new("NS"), MaxItems: new("1")})
	if err != nil || *ns.ResourceRecordSets[0].Type != "NS" || len(ns.ResourceRecordSets[0].ResourceRecords) != 4 || *ns.NextRecordType != "SOA" {
		t.Errorf("the name servers are %+v, %v", ns, err)
	}
	changed, err := f.api.UpdateHostedZoneComment(f.ctx, &shape.UpdateHostedZoneCommentInput{Id: z.Id})
	if err != nil || changed.HostedZone.Config.Comment != nil {
		t.Errorf("without a comment it is %+v, %v", changed, err)
	}
	if len(*z.Id) > 32 {
		t.Errorf("no request can have the id %s as it is shown", *z.Id)
	}
	id := strings.TrimPrefix(*z.Id, "/hostedzone/")
	f.mustChange(t, id, "CREATE NS|sub.example.com|60|ns.example.com")
	remove := func() error { return failure(f.api.DeleteHostedZone(f.ctx, &shape.DeleteHostedZoneInput{Id: z.Id})) }
	f.refused(t, "HostedZoneNotEmpty", remove)
	f.mustChange(t, id, "DELETE NS|sub.example.com|60|ns.example.com")
	if err := f.authorize(id, vpcOther); err != nil {
		t.Fatal(err)
	}
	if err := remove(); err != nil {
		t.Fatal(err)
	}
	for key := range f.Dump(t) {
		if strings.Contains(key, id) {
			t.Errorf("%s is left of the zone", key)
		}
	}
	f.refused(t, "NoSuchHostedZone", remove)
}

func TestZonesThatAreRefused(t *testing.T) {
	f := newFixture(t)
	have := f.zone(t, "example.com", vpcA)
	f.Quotas.ZonesPerAccount = 2
	f.zone(t, "example.net", vpcA)
	long := strings.Repeat("a", 64)
	for name, test := range map[string]struct {
		code string
		in   shape.CreateHostedZoneInput
		text string
	}{
		"public":               {"InvalidInput", shape.CreateHostedZoneInput{}, "Public hosted zones are not served here"},
		"private without VPC":  {"InvalidInput", shape.CreateHostedZoneInput{HostedZoneConfig: &shape.HostedZoneConfig{PrivateZone: new(true)}}, "you must also specify values for VPCId and VPCRegion"},
		"delegation set":       {"InvalidInput", shape.CreateHostedZoneInput{VPC: vpc(vpcB), DelegationSetId: new("N1")}, "DelegationSetId"},
		"no such VPC":          {"InvalidVPCId", shape.CreateHostedZoneInput{VPC: vpc("vpc-00000000000000000")}, "The VPC ID is invalid."},
		"another's VPC":        {"InvalidVPCId", shape.CreateHostedZoneInput{VPC: vpc(vpcOther)}, "The VPC ID is invalid."},
		"of another region":    {"InvalidVPCId", shape.CreateHostedZoneInput{VPC: &shape.VPC{VPCId: new(vpcEU), VPCRegion: new(servicetest.Region)}}, "The VPC ID is invalid."},
		"VPC without region":   {"InvalidInput", shape.CreateHostedZoneInput{VPC: &shape.VPC{VPCId: new(vpcB)}}, "VPC.VPCRegion is required"},
		"the same name":        {"ConflictingDomainExists", shape.CreateHostedZoneInput{Name: new("EXAMPLE.com."), VPC: vpc(vpcA)}, "The VPC " + vpcA + " in region us-east-1 has already been associated with the hosted zone " + have + " with the same domain name."},
		"the same reference":   {"HostedZoneAlreadyExists", shape.CreateHostedZoneInput{CallerReference: new("example.com" + vpcA), VPC: vpc(vpcB)}, "already been created"},
		"too many":             {"TooManyHostedZones", shape.CreateHostedZoneInput{VPC: vpc(vpcB)}, "2 hosted zones"},
		"a top-level domain":   {"InvalidDomainName", shape.CreateHostedZoneInput{Name: new("com"), VPC: vpc(vpcB)}, "top-level domain"},
		"that of a country":    {"InvalidDomainName", shape.CreateHostedZoneInput{Name: new("de."), VPC: vpc(vpcB)}, "top-level domain"},
		"the root":             {"InvalidDomainName", shape.CreateHostedZoneInput{Name: new("."), VPC: vpc(vpcB)}, "top-level domain"},
		"no name":              {"InvalidDomainName", shape.CreateHostedZoneInput{Name: new(""), VPC: vpc(vpcB)}, "FATAL problem: DomainNameEmpty (Domain name is empty) encountered with ''"},
		"a label without text": {"InvalidDomainName", shape.CreateHostedZoneInput{Name: new("a..com"), VPC: vpc(vpcB)}, "DomainLabelEmpty"},
		"a long label":         {"InvalidDomainName", shape.CreateHostedZoneInput{Name: new(long + ".com"), VPC: vpc(vpcB)}, "DomainLabelTooLong"},
		"a wildcard":           {"InvalidDomainName", shape.CreateHostedZoneInput{Name: new("*.example.org"), VPC: vpc(vpcB)}, "asterisk"},
	} {
		t.Run(name, func(t *testing.T) {
			in := test.in
			if in.Name == nil {
				in.Name = new("new.example.org")
			}
			if in.CallerReference == nil {
				in.CallerReference = new(name)
			}
			e := f.refused(t, test.code, func() error { return failure(f.api.CreateHostedZone(f.ctx, &in)) })
			if !strings.Contains(e.Message, test.text) {
				t.Errorf("it says %q, want %q in it", e.Message, test.text)
			}
		})
	}
}

// TestRecordsAreListedFromAStart holds each start and size of pages against the whole list.
func TestRecordsAreListedFromAStart(t *testing.T) {
	f := newFixture(t)
	zone := f.zone(t, "example.com", vpcA)
	f.mustChange(t, zone,
		"CREATE A|b.example.com|60|10.0.0.1", "CREATE TXT|b.example.com|60|\"x\"", "CREATE A|a.example.com|60|10.0.0.1", "CREATE A|z.a.example.com|60|10.0.0.1",
		"CREATE A|a-b.example.com|60|10.0.0.1", "CREATE A|*.example.com|60|10.0.0.1", "CREATE A|example.com|60|10.0.0.1",
		"CREATE A|w.example.com|60|10.0.0.1|set=x|weight=1", "CREATE A|w.example.com|60|10.0.0.1|set=y|weight=1", "CREATE A|w.example.com|60|10.0.0.1|set=a/%|weight=1")
	list := func(in shape.ListResourceRecordSetsInput) (keys []string, out *shape.ListResourceRecordSetsOutput) {
		in.HostedZoneId = new(zone)
		out, err := f.api.ListResourceRecordSets(f.ctx, &in)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range out.ResourceRecordSets {
			keys = append(keys, strings.TrimSpace(*r.Name+" "+*r.Type+" "+service.Value(r.SetIdentifier)))
		}
		return keys, out
	}
	whole, _ := list(shape.ListResourceRecordSetsInput{})
	wantTexts(t, "the order is", whole,
		"example.com. A", "example.com. NS", "example.com. SOA", `\052.example.com. A`, "a-b.example.com. A", "a.example.com. A", "z.a.example.com. A", "b.example.com. A", "b.example.com. TXT",
		"w.example.com. A a/%", "w.example.com. A x", "w.example.com. A y")
	for size := 1; size <= len(whole)+1; size++ {
		var paged []string
		in := shape.ListResourceRecordSetsInput{MaxItems: new(fmt.Sprint(size))}
		for {
			keys, out := list(in)
			paged = append(paged, keys...)
			if !*out.IsTruncated {
				break
			}
			in.StartRecordName, in.StartRecordType, in.StartRecordIdentifier = out.NextRecordName, out.NextRecordType, out.NextRecordIdentifier
		}
		wantTexts(t, fmt.Sprintf("in pages of %d", size), paged, whole...)
	}
	for from, want := range map[string]string{
		"example.com": "example.com. A", "example.com NS": "example.com. NS", "example.com PTR": "example.com. SOA", "EXAMPLE.com. TXT": `\052.example.com. A`,
		"*.example.com": `\052.example.com. A`, "a.example.com": "a.example.com. A", "a.example.com AAAA": "z.a.example.com. A", "aa.example.com": "b.example.com. A",
		"w.example.com A b": "w.example.com. A x", "w.example.com A y": "w.example.com. A y", "x.example.com": "", "com": "example.com. A", "example.net": "", "a.b": "example.com. A",
	} {
		words := strings.Fields(from)
		in := shape.ListResourceRecordSetsInput{StartRecordName: new(words[0]), MaxItems: new("1")}
		if len(words) > 1 {
			in.StartRecordType = new(words[1])
		}
		if len(words) > 2 {
			in.StartRecordIdentifier = new(words[2])
		}
		got, _ := list(in)
		if strings.Join(got, "") != want {
			t.Errorf("from %s comes %q, want %q", from, got, want)
		}
	}
	for name, in := range map[string]shape.ListResourceRecordSetsInput{
		"type without name": {StartRecordType: new("A")}, "identifier without type": {StartRecordName: new("a"), StartRecordIdentifier: new("x")},
		"no number": {MaxItems: new("many")}, "nothing": {MaxItems: new("0")}, "a name that is none": {StartRecordName: new("a..b")},
	} {
		in.HostedZoneId = new(zone)
		t.Run(name, func(t *testing.T) {
			f.refused(t, "InvalidInput", func() error { return failure(f.api.ListResourceRecordSets(f.ctx, &in)) })
		})
	}
}

func TestZonesAreListed(t *testing.T) {
	f := newFixture(t)
	names := map[string]string{}
	for _, name := range []string{"b.com", "a.com", "x.a.com", "a-b.com", "a.net"} {
		names[f.zone(t, name, vpcA)] = name + "."
	}
	twin := f.zone(t, "a.com", vpcB)
	names[twin] = "a.com."
	var byID []string
	in := &shape.ListHostedZonesInput{MaxItems: new("2")}
	for {
		out, err := f.api.ListHostedZones(f.ctx, in)
		if err != nil {
			t.Fatal(err)
		}
		for _, z := range out.HostedZones {
			byID = append(byID, strings.TrimPrefix(*z.Id, "/hostedzone/"))
		}
		if in.Marker = out.NextMarker; !*out.IsTruncated {
			break
		}
	}
	if len(byID) != len(names) || !slices.IsSorted(byID) {
		t.Errorf("the zones are %q", byID)
	}
	var byName []string
	for in := (&shape.ListHostedZonesByNameInput{MaxItems: new("2")}); ; {
		out, err := f.api.ListHostedZonesByName(f.ctx, in)
		if err != nil {
			t.Fatal(err)
		}
		for _, z := range out.HostedZones {
			byName = append(byName, *z.Name)
		}
		if !*out.IsTruncated {
			break
		}
		in.DNSName, in.HostedZoneId = out.NextDNSName, out.NextHostedZoneId
	}
	wantTexts(t, "by name", byName, "a-b.com.", "a.com.", "a.com.", "x.a.com.", "b.com.", "a.net.")
	one, err := f.api.ListHostedZonesByName(f.ctx, &shape.ListHostedZonesByNameInput{DNSName: new("B.com"), MaxItems: new("1")})
	if err != nil || *one.HostedZones[0].Name != "b.com." || *one.NextDNSName != "a.net." {
		t.Errorf("from a name on: %+v, %v", one, err)
	}
	f.refused(t, "InvalidInput", func() error {
		return failure(f.api.ListHostedZonesByName(f.ctx, &shape.ListHostedZonesByNameInput{HostedZoneId: new(twin)}))
	})
	if n, err := f.api.GetHostedZoneCount(f.ctx, &shape.GetHostedZoneCountInput{}); err != nil || *n.HostedZoneCount != int64(len(names)) {
		t.Errorf("there are %v, %v", n, err)
	}
	if none, err := f.api.ListHostedZones(f.other, &shape.ListHostedZonesInput{}); err != nil || len(none.HostedZones) > 0 {
		t.Errorf("another account has %+v, %v", none, err)
	}
}

func TestChangesArePendingUntilResolversHaveThem(t *testing.T) {
	f := newFixture(t)
	zone := f.zone(t, "example.com", vpcA)
	info := f.mustChange(t, zone, "CREATE A|a.example.com|60|10.0.0.1")
	get := func() string {
		out, err := f.api.GetChange(f.ctx, &shape.GetChangeInput{Id: info.Id})
		if err != nil || !out.ChangeInfo.SubmittedAt.Equal(servicetest.Now) {
			t.Fatalf("got %+v, %v", out, err)
		}
		return *out.ChangeInfo.Status
	}
	id := strings.TrimPrefix(*info.Id, "/change/")
	say := func(s model.StatusState) {
		f.put(t, func(tx *table.Txn) {
			state.Statuses.Put(tx, &model.Status{Account: servicetest.Account, ID: id, State: s})
		})
	}
	if got := get(); got != "PENDING" {
		t.Errorf("at first it is %s", got)
	}
	if say(model.StatusFailed); get() != "PENDING" {
		t.Error("what could not be told resolvers is in sync")
	}
	if say(model.StatusReady); get() != "INSYNC" {
		t.Error("what resolvers have is not in sync")
	}
	f.refused(t, "NoSuchChange", func() error { return failure(f.api.GetChange(f.other, &shape.GetChangeInput{Id: info.Id})) })
}

func TestTagsOfZones(t *testing.T) {
	f := newFixture(t)
	id := f.zone(t, "example.com", vpcA)
	change := func(in shape.ChangeTagsForResourceInput) error {
		in.ResourceType, in.ResourceId = new("hostedzone"), new(id)
		return failure(f.api.ChangeTagsForResource(f.ctx, &in))
	}
	if err := change(shape.ChangeTagsForResourceInput{AddTags: []shape.Tag{{Key: new("b"), Value: new("1")}, {Key: new("a"), Value: new("2")}}}); err != nil {
		t.Fatal(err)
	}
	if err := change(shape.ChangeTagsForResourceInput{RemoveTagKeys: []string{"b", "none"}, AddTags: []shape.Tag{{Key: new("c")}}}); err != nil {
		t.Fatal(err)
	}
	out, err := f.api.ListTagsForResource(f.ctx, &shape.ListTagsForResourceInput{ResourceType: new("hostedzone"), ResourceId: new(id)})
	if err != nil || len(out.ResourceTagSet.Tags) != 2 || *out.ResourceTagSet.Tags[0].Key != "a" || *out.ResourceTagSet.Tags[0].Value != "2" || *out.ResourceTagSet.ResourceId != id {
		t.Errorf("the tags are %+v, %v", out, err)
	}
	several, err := f.api.ListTagsForResources(f.ctx, &shape.ListTagsForResourcesInput{ResourceType: new("hostedzone"), ResourceIds: []string{id, f.zone(t, "example.net", vpcA)}})
	if err != nil || len(several.ResourceTagSets) != 2 || len(several.ResourceTagSets[1].Tags) != 0 {
		t.Errorf("the tags are %+v, %v", several, err)
	}
	f.refused(t, "InvalidInput", func() error { return change(shape.ChangeTagsForResourceInput{}) })
	f.refused(t, "InvalidInput", func() error {
		return change(shape.ChangeTagsForResourceInput{AddTags: []shape.Tag{{Key: new("aws:x")}}})
	})
	list := func(kind, id string) func() error {
		return func() error {
			return failure(f.api.ListTagsForResource(f.ctx, &shape.ListTagsForResourceInput{ResourceType: &kind, ResourceId: &id}))
		}
	}
	f.refused(t, "NoSuchHostedZone", list("hostedzone", "Z0"))
	f.refused(t, "NoSuchHealthCheck", list("healthcheck", "x"))
}

func TestWhatIsOfPublicZonesIsRefused(t *testing.T) {
	f := newFixture(t)
	id := f.zone(t, "example.com", vpcA)
	f.refused(t, "InvalidArgument", func() error { return failure(f.api.GetDNSSEC(f.ctx, &shape.GetDNSSECInput{HostedZoneId: &id})) })
	f.refused(t, "DelegationSetNotAvailable", func() error {
		return failure(f.api.CreateReusableDelegationSet(f.ctx, &shape.CreateReusableDelegationSetInput{CallerReference: new("x")}))
	})
	f.refused(t, "NoSuchDelegationSet", func() error {
		return failure(f.api.GetReusableDelegationSet(f.ctx, &shape.GetReusableDelegationSetInput{Id: new("N1")}))
	})
	f.refused(t, "NoSuchDelegationSet", func() error {
		return failure(f.api.DeleteReusableDelegationSet(f.ctx, &shape.DeleteReusableDelegationSetInput{Id: new("N1")}))
	})
	f.refused(t, "NoSuchDelegationSet", func() error {
		return failure(f.api.ListHostedZones(f.ctx, &shape.ListHostedZonesInput{DelegationSetId: new("N1")}))
	})
	if out, err := f.api.ListReusableDelegationSets(f.ctx, &shape.ListReusableDelegationSetsInput{}); err != nil || len(out.DelegationSets) > 0 {
		t.Errorf("there are %+v, %v", out, err)
	}
}
