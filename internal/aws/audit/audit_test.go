// SPDX-License-Identifier: Apache-2.0

package audit_test

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/audit"
	"github.com/posternhq/postern/internal/aws/fault"
	"github.com/posternhq/postern/internal/aws/schema"
	"github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/aws/shape/postern"
	"github.com/posternhq/postern/internal/aws/shape/route53"
	"github.com/posternhq/postern/internal/aws/shape/vpclattice"
	"github.com/posternhq/postern/internal/policy"
)

const mine, theirs = "111122223333", "444455556666"

func user() *access.Caller {
	return &access.Caller{Account: mine, Region: "us-east-1", ARN: "arn:aws:iam::" + mine + ":user/team/ann", UserID: "AIDAX", AccessKeyID: "AKIAX"}
}

// event is an operation that was carried out, with what its table asks for.
func event(svc *schema.Service, operation string, in, out any) *audit.Event {
	who := user()
	return &audit.Event{
		ID: "event-1", RequestID: "req-1", At: time.Date(2026, 11, 27, 3, 4, 5, 6, time.FixedZone("", 3600)),
		Caller: who, Region: "us-east-1", Service: svc, Operation: svc.Operation(operation), In: in, Out: out,
		Asks: access.Services[svc.Name].Operations[operation].Ask(nil, who, in), Source: "192.0.2.1", UserAgent: "test/1",
	}
}

// pretty checks that a record is one line of JSON and indents it.
func pretty(t testing.TB, line []byte) string {
	t.Helper()
	if !bytes.HasSuffix(line, []byte("}\n")) || bytes.Count(line, []byte("\n")) != 1 || len(line) > audit.MaxLine {
		t.Fatalf("not a line: %d bytes, %.100s", len(line), line)
	}
	var out bytes.Buffer
	if err := json.Indent(&out, line, "", " "); err != nil {
		t.Fatalf("%v: %s", err, line)
	}
	return strings.TrimSpace(out.String())
}

func TestRecord(t *testing.T) {
	e := event(ec2.Service, "CreateSubnet", &ec2.CreateSubnetInput{VpcId: new("vpc-1"), CidrBlock: new("10.0.0.0/24")},
		&ec2.CreateSubnetOutput{Subnet: &ec2.Subnet{SubnetId: new("subnet-9"), VpcId: new("vpc-1")}})
	e.TLS, e.Host = &tls.ConnectionState{Version: tls.VersionTLS13, CipherSuite: tls.TLS_AES_128_GCM_SHA256}, "postern.test"
	want := `{
 "eventVersion": "1.11",
 "userIdentity": {
  "type": "IAMUser",
  "principalId": "AIDAX",
  "arn": "arn:aws:iam::111122223333:user/team/ann",
  "accountId": "111122223333",
  "accessKeyId": "AKIAX",
  "userName": "ann"
 },
 "eventTime": "2026-11-27T02:04:05Z",
 "eventSource": "ec2.amazonaws.com",
 "eventName": "CreateSubnet",
 "awsRegion": "us-east-1",
 "sourceIPAddress": "192.0.2.1",
 "userAgent": "test/1",
 "requestParameters": {
  "cidrBlock": "10.0.0.0/24",
  "vpcId": "vpc-1"
 },
 "responseElements": {
  "subnet": {
   "subnetId": "subnet-9",
   "vpcId": "vpc-1"
  }
 },
 "requestID": "req-1",
 "tlsDetails": {
  "tlsVersion": "TLSv1.3",
  "cipherSuite": "TLS_AES_128_GCM_SHA256",
  "clientProvidedHostHeader": "postern.test"
 },
 "apiVersion": "2016-11-15",
 "eventID": "event-1",
 "readOnly": false,
 "resources": [
  {
   "accountId": "111122223333",
   "type": "AWS::EC2::VPC",
   "ARN": "arn:aws:ec2:us-east-1:111122223333:vpc/vpc-1"
  },
  {
   "accountId": "111122223333",
   "type": "AWS::EC2::Subnet",
   "ARN": "arn:aws:ec2:us-east-1:111122223333:subnet/subnet-9"
  }
 ],
 "eventType": "AwsApiCall",
 "managementEvent": true,
 "recipientAccountId": "111122223333",
 "eventCategory": "Management"
}`
	if diff := cmp.Diff(want, pretty(t, e.Append(nil))); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestReadsHaveNoAnswer(t *testing.T) {
	e := event(ec2.Service, "DescribeVpcs", &ec2.DescribeVpcsInput{VpcIds: []string{"vpc-1"}}, &ec2.DescribeVpcsOutput{Vpcs: []ec2.Vpc{{VpcId: new("vpc-1")}}})
	got := pretty(t, e.Append(nil))
	for _, part := range []string{`"readOnly": true`, `"responseElements": null`, `"vpcIds": [`} {
		if !strings.Contains(got, part) {
			t.Errorf("no %s in %s", part, got)
		}
	}
}

func TestErrors(t *testing.T) {
	for _, test := range []struct {
		svc  *schema.Service
		op   string
		in   any
		err  *fault.Error
		want string
	}{
		{ec2.Service, "DeleteVpc", &ec2.DeleteVpcInput{VpcId: new("vpc-1")}, fault.EC2("UnauthorizedOperation", "no"), "Client.UnauthorizedOperation"},
		{ec2.Service, "DeleteVpc", &ec2.DeleteVpcInput{VpcId: new("vpc-1")}, &fault.Error{Code: "InternalError", Fault: fault.Server}, "Server.InternalError"},
		{vpclattice.Service, "ListServices", &vpclattice.ListServicesInput{}, fault.AccessDenied("no"), "AccessDeniedException"},
	} {
		e := event(test.svc, test.op, test.in, nil)
		e.Error = test.err
		if got := pretty(t, e.Append(nil)); !strings.Contains(got, `"errorCode": "`+test.want+`"`) || !strings.Contains(got, `"responseElements": null`) {
			t.Errorf("no %s in %s", test.want, got)
		}
	}
}

// TestSecretsAreNotTold puts a secret everywhere and looks for it.
func TestSecretsAreNotTold(t *testing.T) {
	const told = "told-to-nobody"
	for _, e := range []*audit.Event{
		event(postern.Service, "CreateAccount", &postern.CreateAccountInput{Name: new("x")}, &postern.CreateAccountOutput{SecretAccessKey: new(told), AccessKeyId: new("AKIANEW")}),
		event(postern.Service, "AttachNetworkInterface", &postern.AttachNetworkInterfaceInput{NetnsHandle: new(told)}, nil),
	} {
		got := pretty(t, e.Append(nil))
		if strings.Contains(got, told) || !strings.Contains(got, "HIDDEN_DUE_TO_SECURITY_REASONS") {
			t.Errorf("%s: %s", e.Operation.Name, got)
		}
	}
	// Names are enough, where a model says nothing.
	text := &schema.Shape{Name: "s", Kind: schema.String}
	shape := &schema.Shape{Name: "o", Kind: schema.Structure, Members: []schema.Member{{Name: "SessionToken", Shape: text, Wire: "SessionToken"}}}
	op := &schema.Operation{Name: "Give", Input: shape, Output: shape}
	in := &struct{ SessionToken *string }{new(told)}
	e := &audit.Event{Caller: user(), Service: &schema.Service{Name: "sts", SigningName: "sts"}, Operation: op, In: in, Out: in}
	if got := pretty(t, e.Append(nil)); strings.Contains(got, told) {
		t.Error(got)
	}
}

func TestIdentities(t *testing.T) {
	at := time.Date(2026, 11, 27, 1, 2, 3, 0, time.UTC)
	role := user()
	role.Kind, role.ARN, role.UserID = policy.Role, "arn:aws:sts::"+mine+":assumed-role/deploy/ci", "AROAX:ci"
	role.Entity, role.EntityID, role.EntityName = "arn:aws:iam::"+mine+":role/app/deploy", "AROAX", "deploy"
	role.Session = &access.Session{Issued: at, SourceIdentity: "ann"}
	root := &access.Caller{Account: mine, ARN: "arn:aws:iam::" + mine + ":root", UserID: mine, AccessKeyID: "AKIAR", Kind: policy.Root}
	for _, test := range []struct {
		who  *access.Caller
		want string
	}{
		{role, `{"type":"AssumedRole","principalId":"AROAX:ci","arn":"arn:aws:sts::111122223333:assumed-role/deploy/ci","accountId":"111122223333","accessKeyId":"AKIAX",` +
			`"sessionContext":{"sessionIssuer":{"type":"Role","principalId":"AROAX","arn":"arn:aws:iam::111122223333:role/app/deploy","accountId":"111122223333","userName":"deploy"},` +
			`"sourceIdentity":"ann","attributes":{"creationDate":"2026-11-27T01:02:03Z","mfaAuthenticated":"false"}}}`},
		{root, `{"type":"Root","principalId":"111122223333","arn":"arn:aws:iam::111122223333:root","accountId":"111122223333","accessKeyId":"AKIAR"}`},
		{&access.Caller{}, `{"type":"Unknown","accessKeyId":"AKIACLAIMED"}`},
	} {
		e := &audit.Event{Caller: test.who, Key: "AKIACLAIMED", Service: &schema.Service{}}
		var record struct{ UserIdentity json.RawMessage }
		if err := json.Unmarshal(e.Append(nil), &record); err != nil || string(record.UserIdentity) != test.want {
			t.Errorf("got %s, %v; want %s", record.UserIdentity, err, test.want)
		}
	}
}

// TestNamesOfWhatWasMade finds them in answers of every sort.
func TestNamesOfWhatWasMade(t *testing.T) {
	for want, e := range map[string]*audit.Event{
		"arn:aws:vpc-lattice:us-east-1:111122223333:resourcegateway/rgw-1": event(vpclattice.Service, "CreateResourceGateway", &vpclattice.CreateResourceGatewayInput{},
			&vpclattice.CreateResourceGatewayOutput{Arn: new("arn:aws:vpc-lattice:us-east-1:111122223333:resourcegateway/rgw-1"), Id: new("rgw-1")}),
		"arn:aws:ec2:us-east-1:111122223333:vpc/vpc-7": event(ec2.Service, "CreateVpc", &ec2.CreateVpcInput{}, &ec2.CreateVpcOutput{Vpc: &ec2.Vpc{
			VpcId: new("vpc-7"), CidrBlockAssociationSet: []ec2.VpcCidrBlockAssociation{{AssociationId: new("vpc-cidr-assoc-1")}},
		}}),
		"hostedzone/Z1": event(route53.Service, "GetHostedZone", &route53.GetHostedZoneInput{Id: new("Z1")}, nil),
	} {
		if got := pretty(t, e.Append(nil)); !strings.Contains(got, want+`"`) {
			t.Errorf("no %s in %s", want, got)
		} else if strings.Count(got, `"ARN"`) != 1 {
			t.Errorf("more than %s in %s", want, got)
		}
	}
}

// TestRecordsAreBounded, whatever a client sends.
func TestRecordsAreBounded(t *testing.T) {
	long := strings.Repeat("\x00é\"", 100_000)
	ids := make([]string, 10_000)
	for i := range ids {
		ids[i] = "vpc-" + long[:100]
	}
	e := event(ec2.Service, "CreateTags", &ec2.CreateTagsInput{Resources: ids, Tags: []ec2.Tag{{Key: &long, Value: &long}}}, nil)
	e.Error = fault.EC2("InvalidID", "%s", long)
	e.UserAgent, e.Region, e.Host, e.TLS = long, long, long, &tls.ConnectionState{}
	e.Service = &schema.Service{SigningName: long}
	if got := pretty(t, e.Append(nil)); !strings.Contains(got, `"omitted": true`) {
		t.Errorf("parameters are there: %.2000s", got)
	}
	e.Caller, e.Key = &access.Caller{}, long
	pretty(t, e.Append(nil))
}

// TestOwnersHearOfOthers who use what is theirs: in the words of VPC Lattice, without
// what was asked.
func TestOwnersHearOfOthers(t *testing.T) {
	shared := "arn:aws:vpc-lattice:us-east-1:" + theirs + ":resourceconfiguration/rcfg-1"
	get := event(vpclattice.Service, "GetResourceConfiguration", &vpclattice.GetResourceConfigurationInput{ResourceConfigurationIdentifier: &shared}, &vpclattice.GetResourceConfigurationOutput{})
	denied := event(vpclattice.Service, "GetResourceConfiguration", get.In, nil)
	denied.Error = fault.AccessDenied("no")
	own := event(vpclattice.Service, "GetResourceConfiguration", &vpclattice.GetResourceConfigurationInput{ResourceConfigurationIdentifier: new("rcfg-1")}, &vpclattice.GetResourceConfigurationOutput{})
	var heard []string
	for _, e := range []*audit.Event{get, denied, own} {
		e.Others(nil, func() string { return "event-2" }, func(account string, line []byte) { heard = append(heard, account+"\n"+pretty(t, line)) })
	}
	if len(heard) != 1 {
		t.Fatalf("heard %d times: %s", len(heard), heard)
	}
	for _, part := range []string{
		theirs + "\n", `"eventName": "GetResourceConfigurationBySharee"`, `"eventType": "AwsServiceEvent"`, `"type": "Unknown"`, `"requestParameters": null`,
		`"sourceIPAddress": "vpc-lattice.amazonaws.com"`, `"callerAccountId": "` + mine + `"`, `"recipientAccountId": "` + theirs + `"`,
		`"type": "AWS::VpcLattice::ResourceConfiguration"`, `"ARN": "` + shared + `"`, `"eventID": "event-2"`,
	} {
		if !strings.Contains(heard[0], part) {
			t.Errorf("no %s in %s", part, heard[0])
		}
	}
}

func FuzzRecordsAreJSON(f *testing.F) {
	f.Add("vpc-1", "test/1 \xff", "no\n", "AKIA\"", "us-east-1")
	f.Fuzz(func(t *testing.T, id, agent, message, key, region string) {
		e := event(ec2.Service, "DeleteVpc", &ec2.DeleteVpcInput{VpcId: &id}, nil)
		e.UserAgent, e.Key, e.Region, e.Error = agent, key, region, fault.EC2("X", "%s", message)
		pretty(t, e.Append(nil))
		e.Caller, e.Operation = &access.Caller{}, nil
		pretty(t, e.Append(nil))
	})
}

func BenchmarkRecord(b *testing.B) {
	e := event(ec2.Service, "CreateSubnet", &ec2.CreateSubnetInput{VpcId: new("vpc-1"), CidrBlock: new("10.0.0.0/24")},
		&ec2.CreateSubnetOutput{Subnet: &ec2.Subnet{SubnetId: new("subnet-9"), VpcId: new("vpc-1"), CidrBlock: new("10.0.0.0/24"), State: new("available")}})
	var line []byte
	b.ReportAllocs()
	for b.Loop() {
		line = e.Append(line[:0])
	}
}
