// SPDX-License-Identifier: Apache-2.0

package route53

import (
	"fmt"
	"strings"
	"testing"

	shape "github.com/posternhq/postern/internal/aws/shape/route53"
	"github.com/posternhq/postern/internal/model"
)

// TestBatchesThatAreMade says of a zone with some records what it has after a batch.
func TestBatchesThatAreMade(t *testing.T) {
	for name, test := range map[string]struct{ before, batch, after []string }{
		"create": {
			nil, []string{"CREATE A|www.example.com|60|10.0.0.1|10.0.0.2"}, []string{"A|www.example.com.|60|10.0.0.1|10.0.0.2"},
		},
		"names have one form": {
			nil, []string{`CREATE A|*.Example.COM.|60|10.0.0.1`, `CREATE TXT|a@b.example.com|0|"x"`, `CREATE CNAME|_x._y.example.com|5|Target.example.com`},
			[]string{`A|\052.example.com.|60|10.0.0.1`, `CNAME|_x._y.example.com.|5|Target.example.com`, `TXT|a\100b.example.com.|0|"x"`},
		},
		"upsert, and what is not named stays": {
			[]string{"A|a.example.com|60|10.0.0.1", "A|b.example.com|60|10.0.0.1"}, []string{"UPSERT A|A.example.com|30|10.0.0.9", "UPSERT TXT|a.example.com|30|\"t\""},
			[]string{"A|a.example.com.|30|10.0.0.9", "TXT|a.example.com.|30|\"t\"", "A|b.example.com.|60|10.0.0.1"},
		},
		"delete by what means the same": {
			[]string{"A|a.example.com|60|10.0.0.1|10.0.0.2", "CNAME|c.example.com|60|Target.example.com"},
			[]string{"DELETE A|A.example.com|60|10.0.0.2|10.0.0.1", "DELETE CNAME|c.example.com|60|target.example.com."}, nil,
		},
		"delete and create with another type": {
			[]string{"CNAME|a.example.com|60|b.example.com"}, []string{"DELETE CNAME|a.example.com|60|b.example.com", "CREATE A|a.example.com|60|10.0.0.1"},
			[]string{"A|a.example.com.|60|10.0.0.1"},
		},
		"delete and create the same": {
			[]string{"A|a.example.com|60|10.0.0.1"}, []string{"DELETE A|a.example.com|60|10.0.0.1", "CREATE A|a.example.com|61|10.0.0.2"},
			[]string{"A|a.example.com.|61|10.0.0.2"},
		},
		"simple becomes weighted": {
			[]string{"A|a.example.com|60|10.0.0.1"},
			[]string{"DELETE A|a.example.com|60|10.0.0.1", "CREATE A|a.example.com|60|10.0.0.1|set=x|weight=1", "CREATE A|a.example.com|60|10.0.0.2|set=y|weight=0"},
			[]string{"A|a.example.com.|60|10.0.0.1|set=x|weight=1", "A|a.example.com.|60|10.0.0.2|set=y|weight=0"},
		},
		"weighted sets get another TTL together": {
			[]string{"A|a.example.com|60|10.0.0.1|set=x|weight=1", "A|a.example.com|60|10.0.0.2|set=y|weight=1"},
			[]string{"UPSERT A|a.example.com|30|10.0.0.1|set=x|weight=1", "UPSERT A|a.example.com|30|10.0.0.2|set=y|weight=1"},
			[]string{"A|a.example.com.|30|10.0.0.1|set=x|weight=1", "A|a.example.com.|30|10.0.0.2|set=y|weight=1"},
		},
		"failover and multivalue": {
			nil, []string{
				"CREATE A|f.example.com|60|10.0.0.1|set=p|failover=PRIMARY", "CREATE A|f.example.com|60|10.0.0.2|set=s|failover=SECONDARY",
				"CREATE AAAA|m.example.com|60|fd00::1|set=1|multi", "CREATE AAAA|m.example.com|60|fd00::2|set=2|multi",
			},
			[]string{
				"A|f.example.com.|60|10.0.0.1|set=p|failover=PRIMARY", "A|f.example.com.|60|10.0.0.2|set=s|failover=SECONDARY",
				"AAAA|m.example.com.|60|fd00::1|set=1|multi", "AAAA|m.example.com.|60|fd00::2|set=2|multi",
			},
		},
		"an alias of what comes later in the batch": {
			nil, []string{"CREATE A|example.com|alias=ZONE/www.example.com", "CREATE A|www.example.com|60|10.0.0.1"},
			[]string{"A|example.com.|alias=ZONE/www.example.com.", "A|www.example.com.|60|10.0.0.1"},
		},
		"aliases of endpoints": {
			nil, []string{"UPSERT AAAA|db.example.com|alias=ENDPOINTS/vpce-1.rcfg-1.4232ccc.vpc-lattice-rsc.us-east-1.postern.internal", "UPSERT A|ec2.example.com|alias=SERVICES/vpce-1.ec2.us-east-1.vpce.postern.internal"},
			[]string{"AAAA|db.example.com.|alias=ENDPOINTS/vpce-1.rcfg-1.4232ccc.vpc-lattice-rsc.us-east-1.postern.internal.", "A|ec2.example.com.|alias=SERVICES/vpce-1.ec2.us-east-1.vpce.postern.internal."},
		},
		"each type": {
			nil, []string{
				`CREATE CAA|t.example.com|60|0 issue "ca.example.net"`, `CREATE MX|t.example.com|60|10 mail.example.com`, `CREATE NS|sub.example.com|60|ns.example.com`,
				`CREATE PTR|t.example.com|60|x.example.com`, `CREATE SRV|t.example.com|60|1 2 5432 db.example.com`, `UPSERT SOA|example.com|60|ns.example.com. admin.example.com. 1 2 3 4 5`,
			},
			[]string{
				`NS|sub.example.com.|60|ns.example.com`, `CAA|t.example.com.|60|0 issue "ca.example.net"`, `MX|t.example.com.|60|10 mail.example.com`,
				`PTR|t.example.com.|60|x.example.com`, `SRV|t.example.com.|60|1 2 5432 db.example.com`,
			},
		},
		"the own records can be replaced": {
			nil, []string{"DELETE NS|example.com|172800|ns-0.awsdns-00.com.|ns-512.awsdns-00.net.|ns-1024.awsdns-00.org.|ns-1536.awsdns-00.co.uk.", "CREATE NS|example.com|60|ns.example.com."},
			[]string{"NS|example.com.|60|ns.example.com."},
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			zone := f.zone(t, "example.com", vpcA)
			names := strings.NewReplacer("ZONE", zone, "ENDPOINTS", model.EndpointZoneID("vpc-lattice-rsc.us-east-1.postern.internal."), "SERVICES", model.ServiceZoneID("us-east-1", "postern.internal."))
			for i, r := range test.before {
				test.before[i] = "CREATE " + r
			}
			for _, list := range [][]string{test.batch, test.after} {
				for i := range list {
					list[i] = names.Replace(list[i])
				}
			}
			if test.before != nil {
				f.mustChange(t, zone, test.before...)
			}
			f.mustChange(t, zone, test.batch...)
			wantTexts(t, "the zone has", f.records(t, zone), test.after...)
		})
	}
}

// TestBatchesThatAreRefused says of a zone with some records what is wrong with batches.
func TestBatchesThatAreRefused(t *testing.T) {
	have := []string{
		"CREATE A|www.example.com|60|10.0.0.1", "CREATE CNAME|c.example.com|60|www.example.com", "CREATE A|w.example.com|60|10.0.0.1|set=x|weight=1",
		"CREATE A|f.example.com|60|10.0.0.1|set=p|failover=PRIMARY",
	}
	many := make([]string, setValues+1)
	for i := range many {
		many[i] = fmt.Sprintf("10.0.%d.%d", i/256, i%256)
	}
	long := strings.Repeat("a", 200)
	for name, test := range map[string]struct{ batch, messages []string }{
		"create what exists":        {[]string{"CREATE A|WWW.example.com|60|10.0.0.2"}, []string{"Tried to create resource record set [name='www.example.com.', type='A'] but it already exists"}},
		"create a set that exists":  {[]string{"CREATE A|w.example.com|60|10.0.0.2|set=x|weight=3"}, []string{"Tried to create resource record set [name='w.example.com.', type='A', set-identifier='x'] but it already exists"}},
		"delete what does not":      {[]string{"DELETE A|no.example.com|60|10.0.0.2"}, []string{"Tried to delete resource record set [name='no.example.com.', type='A'] but it was not found"}},
		"delete with other values":  {[]string{"DELETE A|www.example.com|60|10.0.0.2"}, []string{"Tried to delete resource record set [name='www.example.com.', type='A'] but the values provided do not match the current values"}},
		"delete with another TTL":   {[]string{"DELETE A|www.example.com|61|10.0.0.1"}, []string{"Tried to delete resource record set [name='www.example.com.', type='A'] but the values provided do not match the current values"}},
		"delete twice":              {[]string{"DELETE A|www.example.com|60|10.0.0.1", "DELETE A|www.example.com|60|10.0.0.1"}, []string{"The request contains an invalid set of changes for a resource record set 'A www.example.com.'"}},
		"create twice":              {[]string{"CREATE A|n.example.com|60|10.0.0.1", "UPSERT A|n.example.com|60|10.0.0.1"}, []string{"The request contains an invalid set of changes for a resource record set 'A n.example.com.'"}},
		"outside of the zone":       {[]string{"CREATE A|www.example.org|60|10.0.0.1", "CREATE A|badexample.com|60|10.0.0.1"}, []string{"RRSet with DNS name www.example.org. is not permitted in zone example.com.", "RRSet with DNS name badexample.com. is not permitted in zone example.com."}},
		"a CNAME beside others":     {[]string{"CREATE CNAME|www.example.com|60|c.example.com"}, []string{"RRSet of type CNAME with DNS name www.example.com. is not permitted as it conflicts with other records with the same DNS name in zone example.com."}},
		"others beside a CNAME":     {[]string{"CREATE A|c.example.com|60|10.0.0.1"}, []string{"RRSet of type A with DNS name c.example.com. is not permitted because a conflicting RRSet of type CNAME with the same DNS name already exists in zone example.com."}},
		"a CNAME at the apex":       {[]string{"CREATE CNAME|example.com|60|c.example.com"}, []string{"RRSet of type CNAME with DNS name example.com. is not permitted at apex in zone example.com.", "RRSet of type CNAME with DNS name example.com. is not permitted as it conflicts with other records with the same DNS name in zone example.com."}},
		"simple beside weighted":    {[]string{"CREATE A|w.example.com|60|10.0.0.1"}, []string{"RRSet with DNS name w.example.com., type A cannot be created as other RRSets exist with the same name and type."}},
		"weighted beside simple":    {[]string{"CREATE A|www.example.com|60|10.0.0.1|set=b|weight=255"}, []string{"RRSet with DNS name www.example.com., type A, SetIdentifier b cannot be created as a non-weighted set exists with the same name and type."}},
		"multivalue beside others":  {[]string{"CREATE A|w.example.com|60|10.0.0.1|set=b|multi"}, []string{"RRSet with DNS name w.example.com., type A, SetIdentifier b cannot be created because a non multivalue answer rrset exists with the same name and type."}},
		"another TTL among weights": {[]string{"CREATE A|w.example.com|61|10.0.0.1|set=y|weight=1"}, []string{"RRSet with DNS name w.example.com., type A, SetIdentifier y cannot be created as weighted sets must contain the same TTL."}},
		"two primary ones":          {[]string{"CREATE A|f.example.com|60|10.0.0.1|set=q|failover=PRIMARY"}, []string{"RRSet with DNS name f.example.com., type A, SetIdentifier q cannot be created as a failover PRIMARY set exists with the same name and type."}},
		"one bad among good ones":   {[]string{"CREATE A|n1.example.com|60|10.0.0.1", "DELETE A|www.example.com|60|10.0.0.1", "CREATE A|n2.example.com|60|10.0.0.256"}, []string{"Invalid Resource Record: 'FATAL problem: ARRDATAIllegalIPv4Address (Value is not a valid IPv4 address) encountered with '10.0.0.256''"}},
		"text without quotes":       {[]string{"CREATE TXT|t.example.com|60|text"}, []string{"Invalid Resource Record: 'FATAL problem: InvalidCharacterString (Value should be enclosed in quotation marks) encountered with 'text''"}},
		"bad names":                 {[]string{"CREATE A|a..example.com|60|10.0.0.1", "CREATE A|a b.example.com|60|10.0.0.1"}, []string{"FATAL problem: DomainLabelEmpty (Domain label is empty) encountered with 'a..example.com'", "FATAL problem: UnsupportedCharacter (Value contains unsupported characters) encountered with 'a b.example.com'"}},
		"a value twice":             {[]string{"CREATE AAAA|n.example.com|60|fd00::1|FD00:0::1"}, []string{"Duplicate Resource Record: 'FD00:0::1'"}},
		"two values of a CNAME":     {[]string{"CREATE CNAME|n.example.com|60|a.example.com|b.example.com"}, []string{"RRSet of type CNAME with DNS name n.example.com. has 2 resource records; it can have one"}},
		"too many values":           {[]string{"CREATE A|n.example.com|60|" + strings.Join(many, "|")}, []string{"Cannot have more than 400 records in a RRSet."}},
		"NS of a wildcard":          {[]string{"CREATE NS|*.example.com|60|ns.example.com"}, []string{`RRSet of type NS with DNS name \052.example.com. is not permitted: a wildcard cannot have NS records`}},
		"SOA below the apex":        {[]string{"CREATE SOA|a.example.com|60|ns.example.com. admin.example.com. 1 2 3 4 5"}, []string{"RRSet of type SOA with DNS name a.example.com. is only permitted at apex in zone example.com."}},
		"the own SOA":               {[]string{"DELETE SOA|example.com|900|" + startOfAuthority}, []string{"A HostedZone must contain at least one SOA record for the zone itself."}},
		"an alias outside":          {[]string{"CREATE A|al.example.com|alias=ZONE/www.example.org"}, []string{"Tried to create an alias that targets www.example.org., type A in zone ZONE, but the alias target name does not lie within the target zone", "Tried to create an alias that targets www.example.org., type A in zone ZONE, but that target was not found"}},
		"an alias of another type":  {[]string{"CREATE AAAA|al.example.com|alias=ZONE/www.example.com"}, []string{"Tried to create an alias that targets www.example.com., type AAAA in zone ZONE, but that target was not found"}},
		"an alias of itself":        {[]string{"UPSERT A|www.example.com|alias=ZONE/www.example.com"}, []string{"Tried to create an alias that targets www.example.com., type A in zone ZONE, but that target was not found"}},
		"an alias into nowhere":     {[]string{"CREATE A|al.example.com|alias=Z0/www.example.com"}, []string{"Tried to create an alias that targets www.example.com., type A in zone Z0, but that is the ID of no hosted zone of yours, nor of the names of endpoints: see AliasTarget.HostedZoneId"}},
		"an alias of what goes":     {[]string{"DELETE A|www.example.com|60|10.0.0.1", "CREATE A|al.example.com|alias=ZONE/www.example.com"}, []string{"Tried to create an alias that targets www.example.com., type A in zone ZONE, but that target was not found"}},
		"too many characters":       {strings.Split(strings.TrimSuffix(strings.Repeat(`UPSERT TXT|n.example.com|60|"`+long+`";`, 80), ";"), ";"), []string{"Number of characters limit of 32000 exceeded."}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			zone := f.zone(t, "example.com", vpcA)
			f.mustChange(t, zone, have...)
			for _, list := range [][]string{test.batch, test.messages} {
				for i := range list {
					list[i] = strings.ReplaceAll(list[i], "ZONE", zone)
				}
			}
			e := f.refused(t, "InvalidChangeBatch", func() error { return failure(f.change(f.ctx, zone, test.batch...)) })
			wantTexts(t, "the messages", e.Messages, test.messages...)
			if want := "[" + strings.Join(test.messages, ", ") + "]"; e.Message != want {
				t.Errorf("the message is %q, want %q", e.Message, want)
			}
		})
	}
}

// TestChangesThatAreNone are those that no zone can be asked for.
func TestChangesThatAreNone(t *testing.T) {
	f := newFixture(t)
	zone := f.zone(t, "example.com", vpcA)
	for batch, want := range map[string]string{
		"CREATE A|a.example.com":    "Expected exactly one of [AliasTarget, all of [TTL, and ResourceRecords], or TrafficPolicyInstanceId], but found none in Change with [Action=CREATE, Name=a.example.com, Type=A, SetIdentifier=null]",
		"CREATE A|a.example.com|60": "Missing field 'ResourceRecords'",
		"CREATE A|a.example.com|60|10.0.0.1|alias=" + zone + "/b.example.com": "but found more than one in",
		"CREATE A|a.example.com|60|10.0.0.1|weight=1":                         "Missing field 'SetIdentifier'",
		"CREATE A|a.example.com|60|10.0.0.1|set=x":                            "but found none in Change with [Action=CREATE, Name=a.example.com, Type=A, SetIdentifier=x]",
		"CREATE A|a.example.com|60|10.0.0.1|set=x|weight=1|failover=PRIMARY":  "but found more than one in",
		"CREATE HTTPS|a.example.com|60|1 . alpn=h2":                           "records of type HTTPS are not served here",
	} {
		e := f.refused(t, "InvalidInput", func() error { return failure(f.change(f.ctx, zone, batch)) })
		if !strings.Contains(e.Message, want) {
			t.Errorf("%s: %s, want %s in it", batch, e.Message, want)
		}
	}
	for what, r := range map[string]*shape.ResourceRecordSet{
		"GeoLocation":          {GeoLocation: &shape.GeoLocation{CountryCode: new("DE")}},
		"Region":               {Region: new("us-east-1")},
		"CidrRoutingConfig":    {CidrRoutingConfig: &shape.CidrRoutingConfig{}},
		"GeoProximityLocation": {GeoProximityLocation: &shape.GeoProximityLocation{}},
		"HealthCheckId":        {HealthCheckId: new("x"), Weight: new(int64(1))},
	} {
		r.Name, r.Type, r.SetIdentifier, r.TTL = new("a.example.com"), new("A"), new("x"), new(int64(60))
		r.ResourceRecords = []shape.ResourceRecord{{Value: new("10.0.0.1")}}
		e := f.refused(t, "InvalidInput", func() error {
			return failure(f.api.ChangeResourceRecordSets(f.ctx, &shape.ChangeResourceRecordSetsInput{
				HostedZoneId: new(zone), ChangeBatch: &shape.ChangeBatch{Changes: []shape.Change{{Action: new("UPSERT"), ResourceRecordSet: r}}},
			}))
		})
		if !strings.Contains(e.Message, what) || !strings.Contains(e.Message, "not served here") {
			t.Errorf("%s: %s", what, e.Message)
		}
	}
	f.refused(t, "NoSuchHostedZone", func() error { return failure(f.change(f.other, zone, "CREATE A|a.example.com|60|10.0.0.1")) })
}

// TestLimitsOfBatches are those of values, in which UPSERT counts twice, and of the zone.
func TestLimitsOfBatches(t *testing.T) {
	f := newFixture(t)
	f.Quotas.RecordSetsPerZone = 600
	zone := f.zone(t, "example.com", vpcA)
	batch := func(action string, n int) (all []string) {
		for i := range n {
			all = append(all, fmt.Sprintf("%s A|n%d.example.com|60|10.0.0.1", action, i))
		}
		return all
	}
	e := f.refused(t, "InvalidChangeBatch", func() error { return failure(f.change(f.ctx, zone, batch("UPSERT", 501)...)) })
	wantTexts(t, "the messages", e.Messages, "Number of records limit of 1000 exceeded.")
	f.refused(t, "InvalidChangeBatch", func() error { return failure(f.change(f.ctx, zone, batch("CREATE", 599)...)) })
	f.mustChange(t, zone, batch("CREATE", 598)...)
	f.mustChange(t, zone, batch("UPSERT", 500)...)
	f.refused(t, "InvalidChangeBatch", func() error { return failure(f.change(f.ctx, zone, "CREATE A|more.example.com|60|10.0.0.1")) })
}

// TestAliasesIntoOtherZones lead to what is there, and to the caller's only.
func TestAliasesIntoOtherZones(t *testing.T) {
	f := newFixture(t)
	here, there := f.zone(t, "example.com", vpcA), f.zone(t, "example.net", vpcA)
	f.mustChange(t, there, "CREATE A|db.example.net|60|10.0.0.1")
	f.mustChange(t, here, "CREATE A|db.example.com|alias="+there+"/DB.example.net")
	wantTexts(t, "the zone has", f.records(t, here), "A|db.example.com.|alias="+there+"/db.example.net.")
	f.refused(t, "InvalidChangeBatch", func() error {
		return failure(f.change(f.ctx, here, "CREATE A|no.example.com|alias="+there+"/no.example.net"))
	})
	theirs, err := f.api.CreateHostedZone(f.other, &shape.CreateHostedZoneInput{Name: new("example.org"), CallerReference: new("x"), VPC: vpc(vpcOther)})
	if err != nil {
		t.Fatal(err)
	}
	id := strings.TrimPrefix(*theirs.HostedZone.Id, "/hostedzone/")
	if _, err := f.change(f.other, id, "CREATE A|db.example.org|60|10.0.0.1"); err != nil {
		t.Fatal(err)
	}
	f.refused(t, "InvalidChangeBatch", func() error {
		return failure(f.change(f.ctx, here, "CREATE A|no.example.com|alias="+id+"/db.example.org"))
	})
}
