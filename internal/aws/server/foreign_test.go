// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"encoding/binary"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// cborMap reads a map of texts.
func cborMap(t testing.TB, b []byte) map[string]string {
	t.Helper()
	const mapMajor, textMajor = 5, 3
	head := func(major byte) int {
		if b[0]>>5 != major {
			t.Fatalf("CBOR item %x is not of major type %d", b[0], major)
		}
		n := int(b[0] & 31)
		b = b[1:]
		switch n {
		case 24:
			n, b = int(b[0]), b[1:]
		case 25:
			n, b = int(binary.BigEndian.Uint16(b)), b[2:]
		}
		return n
	}
	text := func() string {
		n := head(textMajor)
		s := string(b[:n])
		b = b[n:]
		return s
	}
	out := map[string]string{}
	for range head(mapMajor) {
		key := text()
		out[key] = text()
	}
	if len(b) > 0 {
		t.Errorf("%d bytes behind the CBOR map", len(b))
	}
	return out
}

// speaks is how the clients of a service that is not served ask.
type speaks struct {
	service  string
	call     call
	envelope string
	// unknownKey and unserved are what the service says, with the status.
	unknownKey, unserved string
}

func foreignServices() []speaks {
	form := func(body string) call { return ec2Call(body) }
	target := func(version, name string) call {
		return call{method: "POST", path: "/", contentType: "application/x-amz-json-" + version, body: "{}", header: http.Header{"X-Amz-Target": {name}}}
	}
	plain := func(method, path string) call { return call{method: method, path: path} }
	const (
		queryKey, queryAction = "403 InvalidClientTokenId", "400 InvalidAction"
		jsonKey, jsonAction   = "400 UnrecognizedClientException", "400 UnknownOperationException"
		restKey, restAction   = "403 UnrecognizedClientException", "404 UnknownOperationException"
		s3Key, s3Action       = "403 InvalidAccessKeyId", "501 NotImplemented"
		xmlKey, xmlAction     = "403 InvalidClientTokenId", "404 UnknownOperationException"
	)
	return []speaks{
		{"rds", form("Action=DescribeDBInstances&Version=2014-10-31"), "query", queryKey, queryAction},
		{"iam", form("Action=ListUsers&Version=2010-05-08"), "query", queryKey, queryAction},
		{"sns", form("Action=ListTopics&Version=2010-03-31"), "query", queryKey, queryAction},
		{"elasticloadbalancing", form("Action=DescribeLoadBalancers&Version=2015-12-01"), "query", queryKey, queryAction},
		{"nobody-knows", form("Action=DescribeThings&Version=2030-01-01"), "query", queryKey, queryAction},
		{"cloudformation", plain("GET", "/?Action=ListStacks&Version=2010-05-15"), "query", queryKey, queryAction},
		{"iam", plain("GET", "/"), "query", queryKey, queryAction},
		{"sqs", form("Action=ListQueues&Version=2012-11-05"), "query", queryKey, queryAction},
		{"sqs", target("1.0", "AmazonSQS.ListQueues"), "json-1.0", jsonKey, jsonAction},
		{"dynamodb", target("1.0", "DynamoDB_20120810.ListTables"), "json-1.0", jsonKey, jsonAction},
		{"ecs", target("1.1", "AmazonEC2ContainerServiceV20141113.ListClusters"), "json-1.1", jsonKey, jsonAction},
		{"logs", target("1.1", "Logs_20140328.DescribeLogGroups"), "json-1.1", jsonKey, jsonAction},
		{"nobody-knows", target("1.1", "Things.List"), "json-1.1", jsonKey, jsonAction},
		{"secretsmanager", plain("GET", "/"), "json-1.1", jsonKey, jsonAction},
		{"monitoring", call{method: "POST", path: "/service/GraniteServiceVersion20100801/operation/ListMetrics", contentType: "application/cbor",
			body: "\xa0", header: http.Header{"Smithy-Protocol": {"rpc-v2-cbor"}}}, "cbor", jsonKey, jsonAction},
		{"s3", plain("GET", "/"), "s3", s3Key, s3Action},
		{"s3", plain("PUT", "/bucket/key?x=1"), "s3", s3Key, s3Action},
		{"s3", plain("GET", "/v20180820/accesspoint"), "query", xmlKey, xmlAction},
		{"route53", plain("GET", "/2013-04-01/hostedzone"), "query", xmlKey, xmlAction},
		{"cloudfront", plain("GET", "/2020-05-31/distribution"), "query", xmlKey, xmlAction},
		{"lambda", plain("GET", "/2015-03-31/functions/"), "json", restKey, restAction},
		{"ses", plain("GET", "/v2/email/identities"), "json", restKey, restAction},
		{"sagemaker", plain("GET", "/endpoints/x/invocations"), "json", restKey, restAction},
		{"sqs", with(form("Action=SendMessage&Version=2012-11-05"), func(c *call) { c.path = "/111122223333/queue" }), "query", queryKey, queryAction},
		{"eks", plain("GET", "/clusters"), "json", restKey, restAction},
		{"nobody-knows", plain("GET", "/things"), "json", restKey, restAction},
	}
}

// TestForeignServicesAreRefusedInTheirProtocol asks for services of all
// protocols that are not mounted, with a key that does not exist and with a
// good one.
func TestForeignServicesAreRefusedInTheirProtocol(t *testing.T) {
	for _, test := range foreignServices() {
		for _, try := range []struct{ key, want string }{{"AKIANOBODY", test.unknownKey}, {key, test.unserved}} {
			c := test.call
			c.service, c.key = test.service, try.key
			got := newEndpoint(t).do(t, c)
			if text := http.StatusText(got.status); got.envelope != test.envelope || strconv.Itoa(got.status)+" "+got.code != try.want {
				t.Errorf("%s %s with key %s: %d %s %s %s, want %s %s\n%s", test.service, c.path, try.key, got.status, text, got.envelope, got.code, test.envelope, try.want, got.body)
			}
			if try.key == key && !strings.Contains(got.message, "'"+test.service+"' is not served by this endpoint, which serves cloudtrail, ec2, sts, vpc-lattice") {
				t.Errorf("%s: message %q", test.service, got.message)
			}
		}
	}
}

// TestUnsignedRequestsAreRefusedInTheirProtocol has nothing but the form of the
// request to go by.
func TestUnsignedRequestsAreRefusedInTheirProtocol(t *testing.T) {
	for _, test := range foreignServices() {
		if test.envelope == "s3" || test.envelope == "query" && test.call.body == "" && !strings.Contains(test.call.path, "Action=") ||
			test.service == "secretsmanager" {
			continue // looks like nothing in particular
		}
		got := newEndpoint(t).do(t, with(test.call, unsigned))
		if got.envelope != test.envelope || !strings.HasPrefix(got.code, "MissingAuthenticationToken") {
			t.Errorf("%s: %s %s, want %s MissingAuthenticationToken\n%s", test.service, got.envelope, got.code, test.envelope, got.body)
		}
	}
}

// TestQueryModeNamesTheCodeOnceMore: the clients of services that have changed
// from the query protocol to AWS JSON read the old code from a header.
func TestQueryModeNamesTheCodeOnceMore(t *testing.T) {
	c := call{
		method: "POST", path: "/", service: "sqs", contentType: "application/x-amz-json-1.0", body: "{}",
		header: http.Header{"X-Amz-Target": {"AmazonSQS.ListQueues"}, "X-Amzn-Query-Mode": {"true"}},
	}
	if got := newEndpoint(t).do(t, c).header.Get("X-Amzn-Query-Error"); got != "UnknownOperationException;Sender" {
		t.Errorf("X-Amzn-Query-Error = %q", got)
	}
}

// TestOlderVersionsOfTheAPI: a client written years ago goes on working.
func TestOlderVersionsOfTheAPI(t *testing.T) {
	for version, want := range map[string]int{
		"2014-10-01": 200, "2011-01-01": 200, "2016-11-15": 200, "": 200,
		"2014-10-02": 400, "2026-11-15": 400, "2014-13-01": 400, "latest": 400, "2014-10-01 ": 400,
	} {
		got := newEndpoint(t).do(t, ec2Call("Action=CreateVpc&CidrBlock=10.0.0.0%2F16&Version="+strings.ReplaceAll(version, " ", "%20")))
		if got.status != want || want == 400 && got.code != "NoSuchVersion" {
			t.Errorf("version %q: %d %s, want %d", version, got.status, got.code, want)
		}
	}
	got := newEndpoint(t).do(t, stsCall("Action=GetCallerIdentity&Version=2014-10-01"))
	if got.code != "InvalidAction" {
		t.Errorf("STS has had one version only: got %s", got.code)
	}
}

// TestRulesBeyondTheModelComeBeforeDryRun: what the check of a service refuses
// is not called, nor would it have succeeded.
func TestRulesBeyondTheModelComeBeforeDryRun(t *testing.T) {
	e := newEndpoint(t)
	for _, form := range []string{createVpc + "&TagSpecification.1.ResourceType=subnet", createVpc + "&TagSpecification.1.ResourceType=subnet&DryRun=true"} {
		if got := e.do(t, ec2Call(form)); got.code != "InvalidParameterValue" || got.message != "no" {
			t.Errorf("got %d %s", got.status, got.body)
		}
	}
	if n := e.fake.calls.Load(); n != 0 {
		t.Errorf("%d calls reached the service", n)
	}
	got := e.do(t, ec2Call("Action=DescribeVpcClassicLink&Version=2016-11-15"))
	if got.code != "UnsupportedOperation" {
		t.Errorf("got %s for an operation that the service explains", got.code)
	}
}
