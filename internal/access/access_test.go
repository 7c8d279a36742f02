// SPDX-License-Identifier: Apache-2.0

package access_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/aws/shape/postern"
	"github.com/posternhq/postern/internal/aws/shape/route53"
	"github.com/posternhq/postern/internal/aws/shape/vpclattice"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/policy"
)

const mine, theirs = "111122223333", "444455556666"

var who = &access.Caller{Account: mine, Region: "us-east-1", ARN: "arn:aws:iam::111122223333:user/admin"}

func arn(account, rest string) *string {
	return new("arn:aws:vpc-lattice:us-east-1:" + account + ":" + rest)
}

func ask(service, operation string, in any) []access.Ask {
	return access.Services[service].Operations[operation].Ask(nil, who, in)
}

func list(asks []access.Ask) string {
	var out strings.Builder
	for _, a := range asks {
		fmt.Fprintf(&out, "%s %s", a.Action, a.Resource.ARN())
		if a.Mentioned {
			out.WriteString(" (mentioned)")
		}
		out.WriteString("\n")
	}
	return out.String()
}

// TestAsks says of requests what they are about, as policies will be asked.
func TestAsks(t *testing.T) {
	for _, test := range []struct {
		name, service, operation string
		in                       any
		want                     []string
	}{
		{"nothing in particular", "ec2", "DescribeVpcs", &ec2.DescribeVpcsInput{VpcIds: []string{"vpc-1"}}, []string{"ec2:DescribeVpcs *"}},
		{"what is made", "ec2", "CreateVpc", &ec2.CreateVpcInput{}, []string{"ec2:CreateVpc arn:aws:ec2:us-east-1:111122223333:vpc/*"}},
		{
			"what is made with tags", "ec2", "CreateSubnet",
			&ec2.CreateSubnetInput{VpcId: new("vpc-1"), TagSpecifications: []ec2.TagSpecification{{}}},
			[]string{
				"ec2:CreateSubnet arn:aws:ec2:us-east-1:111122223333:subnet/*",
				"ec2:CreateSubnet arn:aws:ec2:us-east-1:111122223333:vpc/vpc-1",
				"ec2:CreateTags arn:aws:ec2:us-east-1:111122223333:subnet/*",
			},
		},
		{
			"lists, also of structures, and another service's", "ec2", "CreateVpcEndpoint",
			&ec2.CreateVpcEndpointInput{
				VpcId: new("vpc-1"), SubnetIds: []string{"subnet-1", "subnet-2"},
				SubnetConfigurations:     []ec2.SubnetConfiguration{{}, {SubnetId: new("subnet-3")}},
				ResourceConfigurationArn: arn(theirs, "resourceconfiguration/rcfg-1"),
			},
			[]string{
				"ec2:CreateVpcEndpoint arn:aws:ec2:us-east-1:111122223333:vpc-endpoint/*",
				"ec2:CreateVpcEndpoint arn:aws:ec2:us-east-1:111122223333:vpc/vpc-1",
				"ec2:CreateVpcEndpoint arn:aws:ec2:us-east-1:111122223333:subnet/subnet-1",
				"ec2:CreateVpcEndpoint arn:aws:ec2:us-east-1:111122223333:subnet/subnet-2",
				"ec2:CreateVpcEndpoint arn:aws:ec2:us-east-1:111122223333:subnet/subnet-3",
				"vpc-lattice:GetResourceConfiguration arn:aws:vpc-lattice:us-east-1:444455556666:resourceconfiguration/rcfg-1",
			},
		},
		{
			"kinds by ids", "ec2", "CreateTags", &ec2.CreateTagsInput{Resources: []string{"vpc-1", "vpce-1", "sg-1", "sgr-1"}},
			[]string{
				"ec2:CreateTags arn:aws:ec2:us-east-1:111122223333:vpc/vpc-1",
				"ec2:CreateTags arn:aws:ec2:us-east-1:111122223333:vpc-endpoint/vpce-1",
				"ec2:CreateTags arn:aws:ec2:us-east-1:111122223333:security-group/sg-1",
				"ec2:CreateTags arn:aws:ec2:us-east-1:111122223333:security-group-rule/sgr-1",
			},
		},
		{
			"by the id of a part", "ec2", "DisassociateSubnetCidrBlock", &ec2.DisassociateSubnetCidrBlockInput{AssociationId: new("subnet-cidr-assoc-1")},
			[]string{"ec2:DisassociateSubnetCidrBlock arn:aws:ec2:us-east-1:111122223333:subnet/*"},
		},
		{
			"only referred to", "vpc-lattice", "ListResourceConfigurations", &vpclattice.ListResourceConfigurationsInput{ResourceGatewayIdentifier: new("rgw-1")},
			[]string{
				"vpc-lattice:ListResourceConfigurations arn:aws:vpc-lattice:us-east-1:111122223333:resourcegateway/rgw-1 (mentioned)",
				"vpc-lattice:ListResourceConfigurations *",
			},
		},
		{
			"kinds by ARNs", "vpc-lattice", "TagResource",
			&vpclattice.TagResourceInput{ResourceArn: arn(theirs, "resourceendpointassociation/rea-1"), Tags: map[string]string{"k": "v"}},
			[]string{"vpc-lattice:TagResource arn:aws:vpc-lattice:us-east-1:444455556666:resourceendpointassociation/rea-1"},
		},
		{
			"what is no ARN of the kind is nobody else's", "vpc-lattice", "GetResourceGateway",
			&vpclattice.GetResourceGatewayInput{ResourceGatewayIdentifier: arn(theirs, "service/svc-1")},
			[]string{"vpc-lattice:GetResourceGateway arn:aws:vpc-lattice:us-east-1:111122223333:resourcegateway/arn:aws:vpc-lattice:us-east-1:444455556666:service/svc-1"},
		},
		{
			"without region and account", "route53", "GetHostedZone", &route53.GetHostedZoneInput{Id: new("Z1")},
			[]string{"route53:GetHostedZone arn:aws:route53:::hostedzone/Z1"},
		},
		{
			"two operations in one", "postern", "AttachNetworkInterface",
			&postern.AttachNetworkInterfaceInput{NewNetworkInterface: &postern.NewNetworkInterface{SubnetId: new("subnet-1")}},
			[]string{
				"postern:AttachNetworkInterface *",
				"ec2:CreateNetworkInterface arn:aws:ec2:us-east-1:111122223333:network-interface/*",
				"ec2:CreateNetworkInterface arn:aws:ec2:us-east-1:111122223333:subnet/subnet-1",
			},
		},
		{"without a region", "postern", "UpdateAccount", &postern.UpdateAccountInput{AccountId: new(theirs)}, []string{"postern:UpdateAccount arn:aws:postern::111122223333:account/444455556666"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(strings.Join(test.want, "\n")+"\n", list(ask(test.service, test.operation, test.in))); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// sharing shares one resource for one action.
type sharing struct {
	action   string
	resource model.Ref
}

func (s sharing) Shared(with, action string, r model.Ref) bool {
	return with == mine && r == s.resource && (action == "" || action == s.action)
}

func TestDecide(t *testing.T) {
	get := func(account string) []access.Ask {
		return ask("vpc-lattice", "GetResourceGateway", &vpclattice.GetResourceGatewayInput{ResourceGatewayIdentifier: arn(account, "resourcegateway/rgw-1")})
	}
	shared := sharing{"vpc-lattice:GetResourceGateway", model.Ref{Account: theirs, Region: "us-east-1", ID: "rgw-1"}}
	for _, test := range []struct {
		name             string
		who              *access.Caller
		asks             []access.Ask
		shares           access.Shares
		allowed, foreign bool
	}{
		{"own", who, get(mine), nil, true, false},
		{"another's", who, get(theirs), nil, false, true},
		{"nobody's", who, get(""), nil, false, true},
		{"no resource", who, ask("ec2", "DescribeVpcs", &ec2.DescribeVpcsInput{}), nil, true, false},
		{"own, then another's", who, append(get(mine), get(theirs)...), nil, false, true},
		{"shared", who, get(theirs), shared, true, false},
		{"shared for something else", who, get(theirs), sharing{"vpc-lattice:DeleteResourceGateway", shared.resource}, false, true},
		{"shared with others", &access.Caller{Account: "777788889999"}, get(theirs), shared, false, true},
		{"nothing is asked", who, nil, nil, false, false},
		{"nobody asks", &access.Caller{}, ask("ec2", "DescribeVpcs", &ec2.DescribeVpcsInput{}), nil, false, false},
		{"nobody asks for what is nobody's", &access.Caller{}, get(""), nil, false, false},
	} {
		got := access.Decide(&access.Request{Asked: access.Asked{Caller: test.who, Asks: test.asks}}, &access.Rules{Shares: test.shares})
		if got.Allowed != test.allowed || got.Foreign != test.foreign {
			t.Errorf("%s: %+v, want allowed %v, foreign %v", test.name, got, test.allowed, test.foreign)
		}
	}
}

func TestViewSees(t *testing.T) {
	shared := sharing{"x:y", model.Ref{Account: theirs, Region: "us-east-1", ID: "a"}}
	for _, test := range []struct {
		name string
		ref  model.Ref
		want bool
	}{
		{"own", model.Ref{Account: mine, Region: "us-east-1", ID: "a"}, true},
		{"in another region", model.Ref{Account: mine, Region: "eu-west-1", ID: "a"}, false},
		{"another's", model.Ref{Account: theirs, Region: "us-east-1", ID: "b"}, false},
		{"nobody's", model.Ref{Region: "us-east-1", ID: "a"}, false},
		{"shared", shared.resource, true},
	} {
		if got := (access.View{Caller: *who}).Sees(test.ref, shared); got != test.want {
			t.Errorf("%s: sees %v, want %v", test.name, got, test.want)
		}
	}
	if (access.View{}).Sees(model.Ref{}, nil) {
		t.Error("the view of nobody sees what is nobody's")
	}
}

func TestFromReturnsWhatWithPut(t *testing.T) {
	want := access.View{Caller: *who}
	if got := access.From(access.With(t.Context(), &want)); got != want {
		t.Errorf("From = %+v, want %+v", got, want)
	}
	if got := access.From(t.Context()); got != (access.View{}) {
		t.Errorf("From = %+v, want the zero View", got)
	}
}

// TestDecisionsAllocateNothing holds for requests that name few resources: the
// step is on the way of every call.
func TestDecisionsAllocateNothing(t *testing.T) {
	var room [6]access.Ask
	describe, create := access.Services["ec2"].Operations["DescribeVpcEndpoints"], access.Services["ec2"].Operations["CreateVpcEndpoint"]
	describing := &ec2.DescribeVpcEndpointsInput{VpcEndpointIds: []string{"vpce-1"}}
	creating := &ec2.CreateVpcEndpointInput{VpcId: new("vpc-1"), SubnetIds: []string{"subnet-1"}, SecurityGroupIds: []string{"sg-1"}}
	user := &access.Rules{Principal: userOf(t, `{"Statement":{"Effect":"Allow","Action":"ec2:Describe*","Resource":"*"}}`)}
	request := &access.Request{Asked: access.Asked{Caller: who, Operation: describe, Input: describing}}
	if n := testing.AllocsPerRun(100, func() {
		request.Asks = describe.Ask(room[:0], who, describing)
		if !access.Decide(request, user).Allowed {
			t.Error("a user is denied")
		}
	}); n > 0 {
		t.Errorf("of a user: %v allocations", n)
	}
	for name, run := range map[string]func() []access.Ask{
		"describe": func() []access.Ask { return describe.Ask(room[:0], who, describing) },
		"create":   func() []access.Ask { return create.Ask(room[:0], who, creating) },
	} {
		request := &access.Request{Asked: access.Asked{Caller: who}}
		if n := testing.AllocsPerRun(100, func() {
			request.Asks = run()
			if !access.Decide(request, nil).Allowed {
				t.Error("denied")
			}
		}); n > 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// userOf is a user with ten policies, the last of which matters.
func userOf(t *testing.T, last string) *policy.Principal {
	t.Helper()
	p := &policy.Principal{Kind: policy.User, Account: mine, ARN: who.ARN, Entity: who.ARN, UniqueID: "AIDATEST"}
	for i := range 10 {
		text := `{"Statement":{"Effect":"Allow","Action":"iam:*","Resource":"*"}}`
		if i == 9 {
			text = last
		}
		doc, err := policy.Parse(policy.Identity, text)
		if err != nil {
			t.Fatal(err)
		}
		p.Identity = append(p.Identity, policy.Named{Document: doc})
	}
	return p
}

func BenchmarkCreateVpcEndpoint(b *testing.B) {
	var room [6]access.Ask
	request := &access.Request{Asked: access.Asked{Caller: who}}
	op := access.Services["ec2"].Operations["CreateVpcEndpoint"]
	in := &ec2.CreateVpcEndpointInput{
		VpcId: new("vpc-1"), SubnetIds: []string{"subnet-1"}, SecurityGroupIds: []string{"sg-1"},
		ResourceConfigurationArn: arn(mine, "resourceconfiguration/rcfg-1"),
	}
	b.ReportAllocs()
	for b.Loop() {
		request.Asks = op.Ask(room[:0], who, in)
		if !access.Decide(request, nil).Allowed {
			b.Fatal("denied")
		}
	}
}
