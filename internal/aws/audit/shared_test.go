// SPDX-License-Identifier: Apache-2.0

package audit_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/audit"
	"github.com/posternhq/postern/internal/aws/fault"
	"github.com/posternhq/postern/internal/aws/schema"
	"github.com/posternhq/postern/internal/aws/shape/sts"
	"github.com/posternhq/postern/internal/aws/shape/vpclattice"
	"github.com/posternhq/postern/internal/model"
)

// told gives what others hear of an event: the account and its record for each.
func told(t *testing.T, e *audit.Event) (all []string) {
	t.Helper()
	e.Others(nil, func() string { return "event-2" }, func(account string, line []byte) { all = append(all, account+"\n"+pretty(t, line)) })
	return all
}

// contains wants parts to be in a record, and others not.
func contains(t *testing.T, record string, parts []string, not ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(record, part) {
			t.Errorf("no %s in %s", part, record)
		}
	}
	for _, part := range not {
		if strings.Contains(record, part) {
			t.Errorf("%s is in %s", part, record)
		}
	}
}

// TestTheAccountOfARoleHearsWhoAssumedIt from another account: which account and who of it,
// what was asked, and the session, without its secrets. Nobody hears of one's own role, or of
// what was refused.
func TestTheAccountOfARoleHearsWhoAssumedIt(t *testing.T) {
	const role, secret = "arn:aws:iam::" + theirs + ":role/app/deploy", "c2VjcmV0"
	in := &sts.AssumeRoleInput{
		RoleArn: new(role), RoleSessionName: new("ci"), ExternalId: new("ext-1"),
		Tags: []sts.Tag{{Key: new("team"), Value: new("red")}}, SourceIdentity: new("ann"), // asks about the role three times
	}
	out := &sts.AssumeRoleOutput{
		AssumedRoleUser: &sts.AssumedRoleUser{Arn: new("arn:aws:sts::" + theirs + ":assumed-role/deploy/ci"), AssumedRoleId: new("AROAX:ci")},
		Credentials:     &sts.Credentials{AccessKeyId: new("ASIANEW"), SecretAccessKey: new(secret), SessionToken: new(secret)},
	}
	heard := told(t, event(sts.Service, "AssumeRole", in, out))
	if len(heard) != 1 {
		t.Fatalf("heard %d times: %s", len(heard), heard)
	}
	contains(t, heard[0], []string{
		theirs + "\n", `"eventName": "AssumeRole"`, `"eventSource": "sts.amazonaws.com"`, `"eventType": "AwsApiCall"`, `"type": "AWSAccount"`,
		`"principalId": "AIDAX"`, `"accountId": "` + mine + `"`, `"sourceIPAddress": "192.0.2.1"`, `"roleArn": "` + role + `"`, `"externalId": "ext-1"`,
		`"accessKeyId": "ASIANEW"`, `"type": "AWS::IAM::Role"`, `"ARN": "` + role + `"`, `"requestID": "req-1"`, `"eventID": "event-2"`, `"readOnly": true`,
		`"recipientAccountId": "` + theirs + `"`,
	}, secret, "AKIAX", "user/team/ann") // it does not learn the caller's key or name

	denied := event(sts.Service, "AssumeRole", in, nil)
	denied.Error = fault.AccessDenied("no")
	own := event(sts.Service, "AssumeRole", &sts.AssumeRoleInput{RoleArn: new("arn:aws:iam::" + mine + ":role/own"), RoleSessionName: new("ci")}, out)
	for _, e := range []*audit.Event{denied, own} {
		if heard := told(t, e); heard != nil {
			t.Errorf("heard of it: %s", heard)
		}
	}
}

// TestOwnersAreToldInTheWordsOfVPCLattice: of what a sharee does, once, with what is
// theirs of it and no more; the end of an association is its owner's. Of what is not
// documented to be told nobody hears.
func TestOwnersAreToldInTheWordsOfVPCLattice(t *testing.T) {
	ask := func(account, kind, id string) access.Ask {
		return access.Ask{Resource: access.Resource{
			Kind: &access.Kind{Service: "vpc-lattice", Type: kind}, Ref: model.Ref{Account: account, Region: "us-east-1", ID: id},
		}}
	}
	const third = "777788889999"
	for _, test := range []struct {
		operation string
		asks      []access.Ask
		want      string // accounts and names
	}{
		{"GetResourceConfiguration", []access.Ask{ask(theirs, "resourceconfiguration", "rcfg-1")}, theirs + " GetResourceConfigurationBySharee"},
		{
			"CreateServiceNetworkResourceAssociation",
			[]access.Ask{ask(mine, "servicenetwork", "sn-1"), ask(theirs, "resourceconfiguration", "rcfg-1"), ask(theirs, "resourceconfiguration", "rcfg-2"), ask(third, "servicenetwork", "sn-2")},
			theirs + " CreateServiceNetworkResourceAssociationBySharee, " + third + " CreateServiceNetworkResourceAssociationBySharee",
		},
		{"GetServiceNetworkResourceAssociation", []access.Ask{ask(theirs, "servicenetworkresourceassociation", "snra-1")}, theirs + " GetServiceNetworkResourceAssociationBySharee"},
		{"DeleteServiceNetworkResourceAssociation", []access.Ask{ask(theirs, "servicenetworkresourceassociation", "snra-1")}, theirs + " DeleteServiceNetworkResourceAssociationByOwner"},
		{"DeleteServiceNetworkVpcAssociation", []access.Ask{ask(theirs, "servicenetwork", "sn-1")}, theirs + " DeleteServiceNetworkVpcAssociationBySharee"},
		{"GetServiceNetwork", []access.Ask{ask(mine, "servicenetwork", "sn-1")}, ""},
		{"ListResourceEndpointAssociations", []access.Ask{ask(theirs, "resourceconfiguration", "rcfg-1")}, ""},
		{"GetResourceConfiguration", []access.Ask{{}}, ""},
	} {
		e := event(vpclattice.Service, "GetResourceConfiguration", &vpclattice.GetResourceConfigurationInput{ResourceConfigurationIdentifier: new("rcfg-1")}, nil)
		e.Operation, e.Asks = &schema.Operation{Name: test.operation, Input: e.Operation.Input, Output: e.Operation.Output}, test.asks
		var names []string
		for _, record := range told(t, e) {
			account, rest, _ := strings.Cut(record, "\n")
			_, rest, _ = strings.Cut(rest, `"eventName": "`)
			name, _, _ := strings.Cut(rest, `"`)
			names = append(names, account+" "+name)
			// Neither the caller's rows nor a third account's are in it, but for who called.
			for _, other := range slices.DeleteFunc([]string{mine, theirs, third}, func(a string) bool { return a == account }) {
				contains(t, record, nil, "vpc-lattice:us-east-1:"+other)
			}
			contains(t, record, []string{`"callerAccountId": "` + mine + `"`, `"recipientAccountId": "` + account + `"`}, "AKIAX", "AIDAX", "192.0.2.1")
		}
		if got := strings.Join(names, ", "); got != test.want {
			t.Errorf("%s tells %q, want %q", test.operation, got, test.want)
		}
	}
}

// TestOthersHearWhatTheyAreToldOf, from which account it was, and nothing more of who did what.
func TestOthersHearWhatTheyAreToldOf(t *testing.T) {
	e := event(sts.Service, "GetCallerIdentity", &sts.GetCallerIdentityInput{}, &sts.GetCallerIdentityOutput{})
	e.Notices = []access.Notice{
		{Account: theirs, Event: "VpcEndpointConnect", Details: []access.Detail{{Name: "vpcEndpointId", Value: "vpce-1"}}},
		{Account: mine, Event: "VpcEndpointConnect"},
	}
	heard := told(t, e)
	if len(heard) != 1 {
		t.Fatalf("heard %d times: %s", len(heard), heard)
	}
	contains(t, heard[0], []string{
		theirs + "\n", `"eventName": "VpcEndpointConnect"`, `"vpcEndpointId": "vpce-1"`, `"callerAccountId": "` + mine + `"`, `"eventType": "AwsServiceEvent"`,
		`"recipientAccountId": "` + theirs + `"`,
	}, "AKIAX", "user/team/ann", "192.0.2.1")
	e.Error = fault.AccessDenied("no")
	if heard := told(t, e); heard != nil {
		t.Errorf("heard of a refusal: %s", heard)
	}
}
