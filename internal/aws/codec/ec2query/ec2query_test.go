// SPDX-License-Identifier: Apache-2.0

package ec2query_test

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/posternhq/postern/internal/aws/codec"
	"github.com/posternhq/postern/internal/aws/codec/ec2query"
	"github.com/posternhq/postern/internal/aws/shape/ec2"
)

var protocol = ec2query.New(ec2.Service)

func ptr[T any](v T) *T { return &v }

func decode(t *testing.T, operation, body string) (any, error) {
	t.Helper()
	op := ec2.Service.Operation(operation)
	if op == nil {
		t.Fatalf("operation %s is not served", operation)
	}
	return protocol.DecodeRequest(op, &codec.Request{Method: "POST", Path: "/", Body: []byte(body)})
}

func TestDecodeRequest(t *testing.T) {
	for _, test := range []struct {
		name, operation, body string
		want                  any
	}{
		{
			"endpoint", "CreateVpcEndpoint",
			"Action=CreateVpcEndpoint&Version=2016-11-15&VpcEndpointType=resource&VpcId=vpc-1&SubnetId.1=subnet-1&SubnetId.2=subnet-2" +
				"&DnsOptions.DnsRecordIpType=ipv4&PrivateDnsEnabled=true" +
				"&TagSpecification.1.ResourceType=vpc-endpoint&TagSpecification.1.Tag.1.Key=a%20b&TagSpecification.1.Tag.1.Value=",
			&ec2.CreateVpcEndpointInput{
				VpcEndpointType:   ptr("Resource"),
				VpcId:             ptr("vpc-1"),
				SubnetIds:         []string{"subnet-1", "subnet-2"},
				DnsOptions:        &ec2.DnsOptionsSpecification{DnsRecordIpType: ptr("ipv4")},
				PrivateDnsEnabled: ptr(true),
				TagSpecifications: []ec2.TagSpecification{{
					ResourceType: ptr("vpc-endpoint"),
					Tags:         []ec2.Tag{{Key: ptr("a b"), Value: ptr("")}},
				}},
			},
		},
		{
			"gaps close, order is that of the indexes", "DescribeVpcs",
			"VpcId.10=c&VpcId.2=b&VpcId.1=a",
			&ec2.DescribeVpcsInput{VpcIds: []string{"a", "b", "c"}},
		},
		{
			"lower-case location names are upper case in forms", "CreateTags",
			"ResourceId.1=vpc-1&Tag.1.Key=k&DryRun=false",
			&ec2.CreateTagsInput{DryRun: ptr(false), Resources: []string{"vpc-1"}, Tags: []ec2.Tag{{Key: ptr("k")}}},
		},
		{
			"attribute value", "ModifyVpcAttribute",
			"VpcId=vpc-1&EnableDnsHostnames.Value=true",
			&ec2.ModifyVpcAttributeInput{VpcId: ptr("vpc-1"), EnableDnsHostnames: &ec2.AttributeBooleanValue{Value: ptr(true)}},
		},
		{
			"permissions", "AuthorizeSecurityGroupIngress",
			"GroupId=sg-1&IpPermissions.1.IpProtocol=tcp&IpPermissions.1.FromPort=5432&IpPermissions.1.ToPort=5432" +
				"&IpPermissions.1.IpRanges.1.CidrIp=10.0.0.0%2F16&IpPermissions.1.Groups.1.GroupId=sg-2",
			&ec2.AuthorizeSecurityGroupIngressInput{
				GroupId: ptr("sg-1"),
				IpPermissions: []ec2.IpPermission{{
					IpProtocol: ptr("tcp"), FromPort: ptr(int32(5432)), ToPort: ptr(int32(5432)),
					IpRanges:         []ec2.IpRange{{CidrIp: ptr("10.0.0.0/16")}},
					UserIdGroupPairs: []ec2.UserIdGroupPair{{GroupId: ptr("sg-2")}},
				}},
			},
		},
		{"nothing", "DescribeVpcs", "", &ec2.DescribeVpcsInput{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := decode(t, test.operation, test.body)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestDecodeRequestFromQueryString(t *testing.T) {
	got, err := protocol.DecodeRequest(ec2.Service.Operation("DescribeVpcs"), &codec.Request{
		Method: "GET", Path: "/",
		Query: url.Values{"Action": {"DescribeVpcs"}, "VpcId.1": {"vpc-1"}, "X-Amz-Signature": {"00"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&ec2.DescribeVpcsInput{VpcIds: []string{"vpc-1"}}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestDecodeRequestErrors(t *testing.T) {
	deep := "DnsOptions" + strings.Repeat(".x", 100)
	many := &strings.Builder{}
	for i := range 1001 {
		fmt.Fprintf(many, "VpcId.%d=x&", i)
	}
	for _, test := range []struct {
		operation, body, parameter string
		problem                    codec.Problem
	}{
		{"DescribeVpcs", "VpcId.1=%zz", "", codec.Malformed},
		{"DescribeVpcs", "a;b", "", codec.Malformed},
		{"DescribeVpcs", "Vpc.1=x", "Vpc.1", codec.UnknownParameter},
		{"DescribeVpcs", "vpcId.1=x", "vpcId.1", codec.UnknownParameter},
		{"DescribeVpcs", "Filter.1.Nam=x", "Filter.1.Nam", codec.UnknownParameter},
		{"DescribeVpcs", "Filter.1.Name.First=x", "Filter.1.Name.First", codec.UnknownParameter},
		{"DescribeVpcs", "VpcId.4000000000=x", "VpcId.4000000000", codec.BadIndex},
		{"DescribeVpcs", "VpcId.99999999999999999999=x", "VpcId.99999999999999999999", codec.BadIndex},
		{"DescribeVpcs", "VpcId.1001=x", "VpcId.1001", codec.BadIndex},
		{"DescribeVpcs", "VpcId.0=x", "VpcId.0", codec.BadIndex},
		{"DescribeVpcs", "VpcId.-1=x", "VpcId.-1", codec.BadIndex},
		{"DescribeVpcs", "VpcId.01=x", "VpcId.01", codec.BadIndex},
		{"DescribeVpcs", "VpcId.member.1=x", "VpcId.member", codec.BadIndex},
		{"DescribeVpcs", "VpcId=x", "VpcId", codec.WrongType},
		{"DescribeVpcs", "Filter.1=x", "Filter.1", codec.WrongType},
		{"DescribeVpcs", "MaxResults=ten", "MaxResults", codec.WrongType},
		{"DescribeVpcs", "MaxResults=2147483648", "MaxResults", codec.WrongType},
		{"DescribeVpcs", "DryRun=yes", "DryRun", codec.WrongType},
		{"DescribeVpcs", "DryRun=true&DryRun=true", "DryRun", codec.Duplicate},
		{"DescribeVpcs", many.String(), "VpcId", codec.TooMany},
		{"CreateVpcEndpoint", deep + "=1", deep, codec.TooDeep},
	} {
		_, err := decode(t, test.operation, test.body)
		var got *codec.Error
		if !errors.As(err, &got) {
			t.Errorf("%.60s: error is %v", test.body, err)
			continue
		}
		if got.Problem != test.problem || got.Parameter != test.parameter {
			t.Errorf("%.60s: %v of %q, want %v of %q", test.body, got.Problem, got.Parameter, test.problem, test.parameter)
		}
	}
}

func TestEncodeResponse(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 6_000_000, time.UTC)
	for _, test := range []struct {
		operation string
		out       any
		want      string
	}{
		{
			"DescribeVpcEndpoints",
			&ec2.DescribeVpcEndpointsOutput{VpcEndpoints: []ec2.VpcEndpoint{{
				VpcEndpointId: ptr("vpce-1"), State: ptr("Pending"), Groups: []ec2.SecurityGroupIdentifier{},
				PrivateDnsEnabled: ptr(false), CreationTimestamp: &at,
				Tags: []ec2.Tag{{Key: ptr("a<b"), Value: ptr("é & \x00")}},
			}}},
			`<DescribeVpcEndpointsResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>r-1</requestId>` +
				`<vpcEndpointSet><item><vpcEndpointId>vpce-1</vpcEndpointId><state>Pending</state><routeTableIdSet></routeTableIdSet>` +
				`<subnetIdSet></subnetIdSet><groupSet></groupSet><privateDnsEnabled>false</privateDnsEnabled>` +
				`<networkInterfaceIdSet></networkInterfaceIdSet><dnsEntrySet></dnsEntrySet><creationTimestamp>2026-01-02T03:04:05.006Z</creationTimestamp>` +
				`<tagSet><item><key>a&lt;b</key><value>é &amp; ` + "\uFFFD" + `</value></item></tagSet></item></vpcEndpointSet>` +
				`</DescribeVpcEndpointsResponse>`,
		},
		{
			"DeleteVpc", &ec2.DeleteVpcOutput{},
			`<DeleteVpcResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>r-1</requestId><return>true</return></DeleteVpcResponse>`,
		},
		{
			"DescribeVpcs", nil,
			`<DescribeVpcsResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>r-1</requestId></DescribeVpcsResponse>`,
		},
	} {
		r, err := protocol.EncodeResponse(ec2.Service.Operation(test.operation), test.out, "r-1")
		if err != nil {
			t.Errorf("%s: %v", test.operation, err)
			continue
		}
		_, got, _ := strings.Cut(string(r.Body), "\n")
		if got != test.want {
			t.Errorf("%s:\n got %s\nwant %s", test.operation, got, test.want)
		}
		if r.Status != 200 || r.Header.Get("x-amzn-requestid") != "r-1" {
			t.Errorf("%s: status %d, header %v", test.operation, r.Status, r.Header)
		}
	}
}

func TestEncodeWrongType(t *testing.T) {
	if _, err := protocol.EncodeResponse(ec2.Service.Operation("DescribeVpcs"), &ec2.DeleteVpcOutput{}, "r"); err == nil {
		t.Error("the output of another operation was encoded")
	}
}

func TestRemoteError(t *testing.T) {
	_, err := protocol.DecodeResponse(ec2.Service.Operation("DescribeVpcs"), &codec.Response{
		Status: 400,
		Body:   []byte(`<Response><Errors><Error><Code>InvalidVpcID.NotFound</Code><Message>no</Message></Error></Errors><RequestID>r</RequestID></Response>`),
	})
	var got *codec.RemoteError
	if !errors.As(err, &got) {
		t.Fatalf("error is %v", err)
	}
	if diff := cmp.Diff(&codec.RemoteError{Status: 400, Code: "InvalidVpcID.NotFound", Message: "no", RequestID: "r"}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// FuzzDecodeRequest: no body crashes the decoder; every refusal is a
// codec.Error; what was decoded can be sent again and means the same.
func FuzzDecodeRequest(f *testing.F) {
	for i, body := range []string{
		"", "VpcId=vpc-1", "Filter.1.Name=vpc-id&Filter.1.Value.1=x&MaxResults=5", "VpcId.4000000000=x", "a.b.c=%zz",
		"TagSpecification.1.Tag.1.Key=a&TagSpecification.1.ResourceType=vpc", "IpPermissions.3.IpRanges.2.CidrIp=0.0.0.0/0",
		"VpcEndpointType=RESOURCE&DnsOptions=&SubnetId.=1", ".=1", "..", "DryRun=TRUE&=x",
	} {
		f.Add(uint8(i*7), body)
	}
	for i, op := range ec2.Service.Operations {
		if recorded, err := os.ReadFile(filepath.Join("..", "testdata", "recorded", "ec2", op.Name+".http")); err == nil {
			_, body, _ := strings.Cut(string(recorded), "\r\n\r\n")
			f.Add(uint8(i), body)
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, body string) {
		op := ec2.Service.Operations[int(which)%len(ec2.Service.Operations)]
		in, err := protocol.DecodeRequest(op, &codec.Request{Path: "/", Body: []byte(body)})
		if err != nil {
			var known *codec.Error
			if !errors.As(err, &known) {
				t.Fatalf("error of another type: %v", err)
			}
			return
		}
		first, err := protocol.EncodeRequest(op, in)
		if err != nil {
			t.Fatal(err)
		}
		again, err := protocol.DecodeRequest(op, first)
		if err != nil {
			t.Fatalf("%v in %s", err, first.Body)
		}
		second, err := protocol.EncodeRequest(op, again)
		if err != nil {
			t.Fatal(err)
		}
		if string(first.Body) != string(second.Body) {
			t.Fatalf("meaning changed:\n%s\n%s", first.Body, second.Body)
		}
	})
}
