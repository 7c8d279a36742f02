// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/aws/shape/route53"
	"github.com/posternhq/postern/internal/aws/shape/vpclattice"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// network puts rows of a small network into an account.
func (w *world) network(of string) {
	w.t.Helper()
	meta := func(id string, tags ...string) model.Meta {
		m := model.Meta{Account: of, Region: region, ID: id, Tags: map[string]string{}}
		for i := 0; i+1 < len(tags); i += 2 {
			m.Tags[tags[i]] = tags[i+1]
		}
		return m
	}
	prefix := netip.MustParsePrefix("10.0.0.0/16")
	w.change(func(tx *table.Txn) {
		for i, env := range []string{"dev", "prod"} {
			n := string(rune('1' + i))
			state.VPCs.Put(tx, &model.VPC{
				Meta: meta("vpc-"+n, "Env", env), Tenancy: "default", TransitIndex: i, Default: i == 0,
				CIDRs: []model.CIDRAssociation{{ID: "vpc-cidr-assoc-" + n, Prefix: prefix}},
			})
			state.Subnets.Put(tx, &model.Subnet{Meta: meta("subnet-" + n), VPC: "vpc-" + n, Zone: "us-east-1a", ZoneID: "use1-az1", CIDR: prefix})
			state.SecurityGroups.Put(tx, &model.SecurityGroup{Meta: meta("sg-" + n), VPC: "vpc-" + n, Name: "group " + n})
			state.RouteTables.Put(tx, &model.RouteTable{Meta: meta("rtb-" + n), VPC: "vpc-" + n, Main: true, MainAssociation: "rtbassoc-" + n})
			state.ElasticAddresses.Put(tx, &model.ElasticAddress{
				Meta: meta("eipalloc-"+n, "Env", env), Addr: netip.MustParseAddr("203.0.113." + n), Association: "eipassoc-" + n,
			})
		}
	})
}

// TestConditions asks with policies of all that resources and requests have.
func TestConditions(t *testing.T) {
	vpc := func(n string) string { return "arn:aws:ec2:us-east-1:111122223333:vpc/vpc-" + n }
	const any = "*"
	create := func(subnet string) ask {
		return ask{service: "ec2", operation: "CreateNetworkInterface", in: &ec2.CreateNetworkInterfaceInput{SubnetId: &subnet}}
	}
	remove := func(vpc string) ask {
		return ask{service: "ec2", operation: "DeleteVpc", in: &ec2.DeleteVpcInput{VpcId: &vpc}}
	}
	tagged := func(key, value string) ask {
		return ask{service: "ec2", operation: "CreateVpc", in: &ec2.CreateVpcInput{TagSpecifications: []ec2.TagSpecification{
			{ResourceType: new("vpc"), Tags: []ec2.Tag{{Key: &key, Value: &value}}},
		}}}
	}
	change := func(name, kind string) ask {
		return ask{service: "route53", operation: "ChangeResourceRecordSets", in: &route53.ChangeResourceRecordSetsInput{
			HostedZoneId: new("Z1"), ChangeBatch: &route53.ChangeBatch{Changes: []route53.Change{{
				Action: new("UPSERT"), ResourceRecordSet: &route53.ResourceRecordSet{Name: &name, Type: &kind},
			}}},
		}}
	}
	for _, test := range []struct {
		name, policy string
		yes, no      []ask
	}{
		{"a tag of the resource", statement("Allow", "ec2:DeleteVpc", any, `"StringEquals":{"aws:ResourceTag/env":"dev"}`), []ask{remove("vpc-1")}, []ask{remove("vpc-2"), remove("vpc-3")}},
		{"the service's name for it", statement("Allow", "ec2:DeleteVpc", any, `"StringEquals":{"ec2:ResourceTag/Env":"prod"}`), []ask{remove("vpc-2")}, []ask{remove("vpc-1")}},
		{"an ARN", statement("Allow", "ec2:DeleteVpc", vpc("1"), ""), []ask{remove("vpc-1")}, []ask{remove("vpc-2")}},
		{"an id", statement("Allow", "ec2:DeleteVpc", any, `"StringEquals":{"ec2:VpcID":"vpc-1"}`), []ask{remove("vpc-1")}, []ask{remove("vpc-2")}},
		{
			"the VPC of a subnet, and of what is made there",
			statement("Allow", "ec2:CreateNetworkInterface", any, `"ArnEquals":{"ec2:Vpc":"`+vpc("1")+`"}`), []ask{create("subnet-1")}, []ask{create("subnet-2"), create("subnet-3")},
		},
		{
			"what is made, in a subnet",
			statement("Allow", "ec2:CreateNetworkInterface", any, `"StringLikeIfExists":{"ec2:Subnet":"*/subnet-2"}`), []ask{create("subnet-2")}, []ask{create("subnet-1")},
		},
		{"a zone", statement("Allow", "ec2:CreateNetworkInterface", any, `"StringEquals":{"ec2:AvailabilityZone":"us-east-1a"}`), []ask{create("subnet-1")}, []ask{create("subnet-3")}},
		{"a tag that is put", statement("Allow", "ec2:*", any, `"StringEquals":{"aws:RequestTag/team":"net"}`), []ask{tagged("Team", "net")}, []ask{tagged("Team", "web"), tagged("Env", "net")}},
		{
			"the keys of tags that are put", statement("Allow", "ec2:*", any, `"ForAllValues:StringEquals":{"aws:TagKeys":["Team"]},"Null":{"aws:TagKeys":"false"}`),
			[]ask{tagged("Team", "x")}, []ask{tagged("Other", "x")},
		},
		{
			"tags at creation only", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ec2:CreateVpc","Resource":"*"},` +
				`{"Effect":"Allow","Action":"ec2:CreateTags","Resource":"*","Condition":{"StringEquals":{"ec2:CreateAction":"CreateVpc"}}}]}`,
			[]ask{tagged("a", "b")},
			[]ask{{service: "ec2", operation: "CreateTags", in: &ec2.CreateTagsInput{Resources: []string{"vpc-1"}, Tags: []ec2.Tag{{Key: new("a"), Value: new("b")}}}}},
		},
		{"a region", statement("Allow", "ec2:*", any, `"StringEquals":{"aws:RequestedRegion":"us-east-1","ec2:Region":"us-east-1"}`), []ask{remove("vpc-1")}, nil},
		{"another region", statement("Allow", "*", any, `"StringEquals":{"aws:RequestedRegion":"eu-west-1"}`), nil, []ask{remove("vpc-1")}},
		{"a time", statement("Allow", "ec2:*", any, `"DateLessThan":{"aws:CurrentTime":"2026-11-24T00:00:00Z"}`), []ask{remove("vpc-1")}, nil},
		{"a time that is over", statement("Allow", "ec2:*", any, `"DateLessThan":{"aws:CurrentTime":"2026-11-22T00:00:00Z"}`), nil, []ask{remove("vpc-1")}},
		{"who asks", statement("Allow", "ec2:*", any, `"StringEquals":{"aws:username":"ANN","aws:PrincipalType":"User","aws:userid":"AIDAANN"}`), []ask{remove("vpc-1")}, nil},
		{"a variable", statement("Allow", "ec2:*", any, `"ArnEquals":{"aws:PrincipalArn":"arn:aws:iam::111122223333:user/staff/${aws:username}"}`), []ask{remove("vpc-1")}, nil},
		{"a token, which there is not", statement("Allow", "*", any, `"Null":{"aws:TokenIssueTime":"false"}`), nil, []ask{remove("vpc-1")}},
		{
			"names in a zone", statement("Allow", "route53:*", any, `"ForAllValues:StringLike":{"route53:ChangeResourceRecordSetsNormalizedRecordNames":["*.dev.example"]},"StringEquals":{"route53:ChangeResourceRecordSetsRecordTypes":"CNAME"}`),
			[]ask{change("Web.Dev.Example.", "CNAME")}, []ask{change("web.prod.example", "CNAME"), change("web.dev.example", "A")},
		},
		{
			"a gateway's VPC", statement("Allow", "vpc-lattice:*", any, `"StringEquals":{"vpc-lattice:VpcId":"vpc-1"},"ForAllValues:StringEquals":{"vpc-lattice:SecurityGroupIds":["sg-1","sg-2"]}`),
			[]ask{{service: "vpc-lattice", operation: "CreateResourceGateway", in: &vpclattice.CreateResourceGatewayInput{VpcIdentifier: new("vpc-1"), SecurityGroupIds: []string{"sg-2"}}}},
			[]ask{
				{service: "vpc-lattice", operation: "CreateResourceGateway", in: &vpclattice.CreateResourceGatewayInput{VpcIdentifier: new("vpc-2")}},
				{service: "vpc-lattice", operation: "CreateResourceGateway", in: &vpclattice.CreateResourceGatewayInput{VpcIdentifier: new("vpc-1"), SecurityGroupIds: []string{"sg-1", "sg-3"}}},
			},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			w.network(mine)
			key := w.user(mine, "ANN", test.policy)
			for _, a := range test.yes {
				a.key = key
				w.allowed(a.operation, a)
			}
			for _, a := range test.no {
				a.key = key
				w.refused(a.operation, "", a)
			}
		})
	}
}

// TestNamedBySomethingElse has policies about one of two resources, and requests that name
// them by addresses, associations and names.
func TestNamedBySomethingElse(t *testing.T) {
	for _, test := range []struct {
		resource string // ends with its number
		ask      func(n string) ask
	}{
		{"elastic-ip/eipalloc-1", func(n string) ask {
			return ask{service: "ec2", operation: "ReleaseAddress", in: &ec2.ReleaseAddressInput{PublicIp: new("203.0.113." + n)}}
		}},
		{"elastic-ip/eipalloc-1", func(n string) ask {
			return ask{service: "ec2", operation: "DisassociateAddress", in: &ec2.DisassociateAddressInput{AssociationId: new("eipassoc-" + n)}}
		}},
		{"route-table/rtb-1", func(n string) ask {
			return ask{service: "ec2", operation: "DisassociateRouteTable", in: &ec2.DisassociateRouteTableInput{AssociationId: new("rtbassoc-" + n)}}
		}},
		{"vpc/vpc-1", func(n string) ask {
			return ask{service: "ec2", operation: "DisassociateVpcCidrBlock", in: &ec2.DisassociateVpcCidrBlockInput{AssociationId: new("vpc-cidr-assoc-" + n)}}
		}},
		{"security-group/sg-1", func(n string) ask {
			return ask{service: "ec2", operation: "DeleteSecurityGroup", in: &ec2.DeleteSecurityGroupInput{GroupName: new("group " + n)}}
		}},
	} {
		w := newWorld(t)
		w.network(mine)
		w.network(theirs)
		a := test.ask("1")
		t.Run(a.operation, func(t *testing.T) {
			a.key = w.user(mine, "ANN", statement("Allow", "ec2:"+a.operation, "arn:aws:ec2:us-east-1:111122223333:"+test.resource, ""))
			w.allowed("the one of the policy", a)
			kind, _, _ := strings.Cut(test.resource, "/")
			text := "User: arn:aws:iam::111122223333:user/staff/ANN is not authorized to perform: ec2:" + a.operation +
				" on resource: arn:aws:ec2:us-east-1:111122223333:" + kind + "/* because no identity-based policy allows the ec2:" + a.operation + " action"
			for what, n := range map[string]string{"another": "2", "one that is not there": "3"} {
				other := test.ask(n)
				other.key = a.key
				w.refused(what, text, other)
			}
		})
	}
}

// TestDenialsAreAlike names what there is and what there is not, of the own account and of
// another, without rights: the words are the same but for the name.
func TestDenialsAreAlike(t *testing.T) {
	w := newWorld(t)
	w.network(mine)
	w.network(theirs)
	key := w.user(mine, "ANN", statement("Allow", "ec2:DeleteVpc", "*", `"StringEquals":{"aws:ResourceTag/Env":"test"}`))
	text := func(id string) string {
		err := w.may(ask{key: key, service: "ec2", operation: "DeleteVpc", in: &ec2.DeleteVpcInput{VpcId: &id}})
		if err == nil {
			t.Fatalf("%s may be deleted", id)
		}
		return strings.ReplaceAll(err.Error(), id, "ID")
	}
	if is, none := text("vpc-1"), text("vpc-9"); is != none {
		t.Errorf("it is told what exists:\n%s\n%s", is, none)
	}
}
