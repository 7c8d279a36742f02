// SPDX-License-Identifier: Apache-2.0

package cloudtrail

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/cloudtrail"
	"github.com/posternhq/postern/internal/service/servicetest"
	"github.com/posternhq/postern/internal/trail"
)

type world struct {
	*API
	trail *trail.Trail
}

func newWorld(t *testing.T) *world {
	tr := trail.Open(t.TempDir(), trail.Limits{FileSize: 4 << 10, Files: 1000})
	return &world{API: &API{Env: servicetest.New(t).Env, Trail: tr}, trail: tr}
}

// happened is a record, the parts that are looked for.
type happened struct {
	id, name, source, region, identity, resources string
	at                                            time.Time
	reads                                         bool
}

func (w *world) add(t *testing.T, account string, h happened) {
	t.Helper()
	if h.at.IsZero() {
		h.at = servicetest.Now.Add(-time.Minute)
	}
	line := fmt.Sprintf(`{"eventVersion":"1.11","userIdentity":%s,"eventTime":%q,"eventSource":%q,"eventName":%q,"awsRegion":%q,"eventID":%q,"readOnly":%t,"resources":[%s]}`+"\n",
		or(h.identity, `{"type":"IAMUser","userName":"ann","principalId":"AIDAX","accessKeyId":"AKIAX"}`), h.at.Format(time.RFC3339),
		or(h.source, "ec2.amazonaws.com"), or(h.name, "CreateVpc"), or(h.region, servicetest.Region), h.id, h.reads, h.resources)
	if !json.Valid([]byte(line)) {
		t.Fatalf("not JSON: %s", line)
	}
	if err := w.trail.Append(account, []byte(line)); err != nil {
		t.Fatal(err)
	}
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// ids asks and gives the ids, page after page.
func (w *world) ids(t *testing.T, region string, in *shape.LookupEventsInput) string {
	t.Helper()
	var ids []string
	for {
		out, err := w.LookupEvents(servicetest.As(t, servicetest.Account, region), in)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range out.Events {
			ids = append(ids, *e.EventId)
		}
		if out.NextToken == nil {
			return strings.Join(ids, " ")
		}
		in.NextToken = out.NextToken
	}
}

func by(key, value string) []shape.LookupAttribute {
	return []shape.LookupAttribute{{AttributeKey: &key, AttributeValue: &value}}
}

func TestEventsAreFound(t *testing.T) {
	w := newWorld(t)
	at := func(d time.Duration) time.Time { return servicetest.Now.Add(d) }
	w.add(t, servicetest.Account, happened{id: "a", at: at(-100 * 24 * time.Hour)})
	w.add(t, servicetest.Account, happened{id: "b", at: at(-48 * time.Hour), name: "DescribeVpcs", reads: true})
	w.add(t, servicetest.OtherAccount, happened{id: "x"})
	w.add(t, servicetest.Account, happened{id: "c", at: at(-24 * time.Hour), identity: `{"type":"Root","principalId":"111122223333","accessKeyId":"AKIAR"}`})
	w.add(t, servicetest.Account, happened{id: "d", at: at(-time.Hour), identity: `{"type":"AssumedRole","principalId":"AROAX:ci"}`,
		resources: `{"type":"AWS::EC2::VPC","ARN":"arn:aws:ec2:us-east-1:111122223333:vpc/vpc-1"}`})
	if err := w.trail.Append(servicetest.Account, []byte("what is no record\n")); err != nil {
		t.Fatal(err)
	}
	w.add(t, servicetest.Account, happened{id: "e", at: at(-time.Hour), region: servicetest.OtherRegion})
	w.add(t, servicetest.Account, happened{id: "f", region: "aws-global", source: "iam.amazonaws.com", name: "CreateUser",
		resources: `{"type":"AWS::IAM::User","ARN":"arn:aws:iam::111122223333:user/team/bob"}`})
	for _, test := range []struct {
		name   string
		region string
		in     shape.LookupEventsInput
		want   string
	}{
		{"all of ninety days", servicetest.Region, shape.LookupEventsInput{}, "f d c b"},
		{"another region", servicetest.OtherRegion, shape.LookupEventsInput{}, "e"},
		{"one at a time", servicetest.Region, shape.LookupEventsInput{MaxResults: new(int32(1))}, "f d c b"},
		{"from a time on", servicetest.Region, shape.LookupEventsInput{StartTime: new(at(-24*time.Hour + 500*time.Millisecond))}, "f d c"},
		{"until a time", servicetest.Region, shape.LookupEventsInput{EndTime: new(at(-24 * time.Hour))}, "c b"},
		{"between", servicetest.Region, shape.LookupEventsInput{StartTime: new(at(-25 * time.Hour)), EndTime: new(at(-time.Hour))}, "d c"},
		{"id", servicetest.Region, shape.LookupEventsInput{LookupAttributes: by("EventId", "d")}, "d"},
		{"name", servicetest.Region, shape.LookupEventsInput{LookupAttributes: by("EventName", "CreateUser")}, "f"},
		{"a part of a name", servicetest.Region, shape.LookupEventsInput{LookupAttributes: by("EventName", "Create")}, ""},
		{"a name in quotes", servicetest.Region, shape.LookupEventsInput{LookupAttributes: by("EventName", `Create"User`)}, ""},
		{"source", servicetest.Region, shape.LookupEventsInput{LookupAttributes: by("EventSource", "iam.amazonaws.com")}, "f"},
		{"reads", servicetest.Region, shape.LookupEventsInput{LookupAttributes: by("ReadOnly", "true")}, "b"},
		{"changes", servicetest.Region, shape.LookupEventsInput{LookupAttributes: by("ReadOnly", "false")}, "f d c"},
		{"user", servicetest.Region, shape.LookupEventsInput{LookupAttributes: by("Username", "ann")}, "f b"},
		{"root", servicetest.Region, shape.LookupEventsInput{LookupAttributes: by("Username", "root")}, "c"},
		{"session", servicetest.Region, shape.LookupEventsInput{LookupAttributes: by("Username", "ci")}, "d"},
		{"key", servicetest.Region, shape.LookupEventsInput{LookupAttributes: by("AccessKeyId", "AKIAR")}, "c"},
		{"type", servicetest.Region, shape.LookupEventsInput{LookupAttributes: by("ResourceType", "AWS::EC2::VPC")}, "d"},
		{"resource by id", servicetest.Region, shape.LookupEventsInput{LookupAttributes: by("ResourceName", "vpc-1")}, "d"},
		{"resource by name", servicetest.Region, shape.LookupEventsInput{LookupAttributes: by("ResourceName", "bob")}, "f"},
		{"resource by ARN", servicetest.Region, shape.LookupEventsInput{LookupAttributes: by("ResourceName", "arn:aws:ec2:us-east-1:111122223333:vpc/vpc-1")}, "d"},
		{"insights", servicetest.Region, shape.LookupEventsInput{EventCategory: new("insight")}, ""},
	} {
		if got := w.ids(t, test.region, &test.in); got != test.want {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
	}
}

func TestAnEventIsShown(t *testing.T) {
	w := newWorld(t)
	w.add(t, servicetest.Account, happened{id: "a", resources: `{"type":"AWS::EC2::VPC","ARN":"arn:aws:ec2:us-east-1:111122223333:vpc/vpc-1"}`})
	out, err := w.LookupEvents(servicetest.As(t, servicetest.Account, servicetest.Region), &shape.LookupEventsInput{})
	if err != nil || len(out.Events) != 1 {
		t.Fatalf("got %v, %v", out, err)
	}
	e := out.Events[0]
	if *e.EventName != "CreateVpc" || *e.EventSource != "ec2.amazonaws.com" || *e.Username != "ann" || *e.AccessKeyId != "AKIAX" || *e.ReadOnly != "false" ||
		!e.EventTime.Equal(servicetest.Now.Add(-time.Minute)) || *e.Resources[0].ResourceName != "vpc-1" || *e.Resources[0].ResourceType != "AWS::EC2::VPC" {
		t.Errorf("got %+v", e)
	}
	if !json.Valid([]byte(*e.CloudTrailEvent)) {
		t.Errorf("the record is %s", *e.CloudTrailEvent)
	}
}

// TestPagesAreBounded: a request reads so much and no more, and gives a token then, also
// without events.
func TestPagesAreBounded(t *testing.T) {
	w := newWorld(t)
	w.add(t, servicetest.Account, happened{id: "first", name: "Wanted"})
	for i := range 25 {
		w.add(t, servicetest.Account, happened{id: fmt.Sprint(i), source: strings.Repeat("x", 1<<20)})
	}
	in := &shape.LookupEventsInput{LookupAttributes: by("EventName", "Wanted")}
	out, err := w.LookupEvents(servicetest.As(t, servicetest.Account, servicetest.Region), in)
	if err != nil || len(out.Events) != 0 || out.NextToken == nil {
		t.Fatalf("got %v, %v", out, err)
	}
	if got := w.ids(t, servicetest.Region, in); got != "first" {
		t.Errorf("got %q", got)
	}
}

// TestPagesStandStill while others are written.
func TestPagesStandStill(t *testing.T) {
	w := newWorld(t)
	for i := range 120 {
		w.add(t, servicetest.Account, happened{id: fmt.Sprint(i)})
	}
	in, n := &shape.LookupEventsInput{}, 119
	for {
		out, err := w.LookupEvents(servicetest.As(t, servicetest.Account, servicetest.Region), in)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range out.Events {
			if *e.EventId != fmt.Sprint(n) {
				t.Fatalf("got %s, want %d", *e.EventId, n)
			}
			n--
		}
		if out.NextToken == nil {
			break
		}
		w.add(t, servicetest.Account, happened{id: "later"})
		in.NextToken = out.NextToken
	}
	if n != -1 {
		t.Errorf("%d events are missing", n+1)
	}
}

func TestBadLookups(t *testing.T) {
	w := newWorld(t)
	for i := range 60 {
		w.add(t, servicetest.Account, happened{id: fmt.Sprint(i)})
	}
	first, err := w.LookupEvents(servicetest.As(t, servicetest.Account, servicetest.Region), &shape.LookupEventsInput{})
	if err != nil || first.NextToken == nil {
		t.Fatal(first, err)
	}
	for code, in := range map[string][]shape.LookupEventsInput{
		"InvalidTimeRangeException": {{StartTime: new(servicetest.Now), EndTime: new(servicetest.Now.Add(-time.Second))}},
		"InvalidLookupAttributesException": {
			{LookupAttributes: slices.Concat(by("EventId", "a"), by("EventName", "b"))}, {LookupAttributes: by("ReadOnly", "perhaps")},
		},
		"InvalidNextTokenException": {{NextToken: new("x")}, {NextToken: first.NextToken, LookupAttributes: by("EventId", "a")}},
	} {
		for _, in := range in {
			if _, err := w.LookupEvents(servicetest.As(t, servicetest.Account, servicetest.Region), &in); !fault.Is(err, code) {
				t.Errorf("%+v: %v, want %s", in, err, code)
			}
		}
	}
	if _, err := w.LookupEvents(servicetest.As(t, servicetest.OtherAccount, servicetest.Region), &shape.LookupEventsInput{NextToken: first.NextToken}); !fault.Is(err, "InvalidNextTokenException") {
		t.Errorf("another account goes on by the token: %v", err)
	}
}
