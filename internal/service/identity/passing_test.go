// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/aws/shape/sts"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

const vpce = "vpce-0123456789abcdef0"

// endpoint changes the endpoint that requests come by.
func (w *world) endpoint(change func(*model.VPCEndpoint)) access.Entrance {
	w.t.Helper()
	row := &model.VPCEndpoint{Meta: w.meta(mine, vpce), Type: model.EndpointInterface, VPC: "vpc-0123456789abcdef0"}
	row.Region = region
	change(row)
	w.change(func(tx *table.Txn) { state.VPCEndpoints.Put(tx, row) })
	return access.Entrance{Endpoint: row.Ref(), VPC: row.VPC, Source: netip.MustParseAddr("10.0.1.10")}
}

func throughPolicy(statements string) func(*model.VPCEndpoint) {
	return func(e *model.VPCEndpoint) { e.Policy = `{"Version":"2012-10-17","Statement":` + statements + `}` }
}

// The policy of an endpoint bounds whoever comes by it, an account itself too, and nobody
// who comes another way.
func TestAnEndpointsPolicyBoundsWhatComesByIt(t *testing.T) {
	w := newWorld(t)
	by := w.endpoint(func(*model.VPCEndpoint) {})
	list := func(key string) ask {
		return ask{key: key, by: by, service: "ec2", operation: "DescribeVpcs", in: &ec2.DescribeVpcsInput{}}
	}
	create := func(key string) ask {
		return ask{key: key, by: by, service: "ec2", operation: "CreateVpc", in: &ec2.CreateVpcInput{CidrBlock: new("10.0.0.0/16")}}
	}
	who := func(key string) ask {
		return ask{key: key, by: by, service: "sts", operation: "GetCallerIdentity", in: &sts.GetCallerIdentityInput{}}
	}
	ann := w.user(mine, "ANN", statement("Allow", "*", "*", ""))
	w.allowed("by the policy that endpoints have", create(w.root[mine]))

	w.endpoint(throughPolicy(`{"Effect":"Allow","Principal":"*","Action":"ec2:Describe*","Resource":"*"}`))
	w.allowed("what the policy allows", list(w.root[mine]))
	w.allowed("what the policy allows, to a user", list(ann))
	const text = " is not authorized to perform: ec2:CreateVpc on resource: arn:aws:ec2:us-east-1:" + mine + ":vpc/* because no VPC endpoint policy allows the ec2:CreateVpc action"
	for who, key := range map[string]string{"user/admin": w.root[mine], "user/staff/ANN": ann} {
		w.refusedWith("what it does not allow", "User: arn:aws:iam::"+mine+":"+who+text, create(key))
		other := create(key)
		other.by = access.Entrance{}
		w.allowed("another way", other)
	}
	w.refusedWith("who one is, where that is not allowed", "because no VPC endpoint policy allows the sts:GetCallerIdentity action", who(w.root[mine]))

	w.endpoint(throughPolicy(`[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"},{"Effect":"Deny","Principal":"*","Action":"ec2:CreateVpc","Resource":"*"}]`))
	w.refusedWith("what it denies", "with an explicit deny in a VPC endpoint policy", create(w.root[mine]))
	w.allowed("who one is", who(w.root[theirs]))

	w.endpoint(throughPolicy(`{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalAccount":"` + mine + `"}}}`))
	w.allowed("its own account", create(w.root[mine]))
	w.refusedWith("another account", "because no VPC endpoint policy allows", create(w.root[theirs]))
}

// An endpoint that is not there any more, or not accepted, lets nothing pass, also what was
// begun before.
func TestAnEndpointThatIsGoneLetsNothingPass(t *testing.T) {
	w := newWorld(t)
	for name, change := range map[string]func(*model.VPCEndpoint){
		"rejected": func(e *model.VPCEndpoint) { e.Acceptance = model.AcceptanceRejected },
		"waiting":  func(e *model.VPCEndpoint) { e.Acceptance = model.AcceptancePending },
		"deleting": func(e *model.VPCEndpoint) { e.DeletedAt = w.now },
		"gone":     nil,
	} {
		by := w.endpoint(func(e *model.VPCEndpoint) { e.Acceptance = model.AcceptanceAccepted })
		a := ask{key: w.root[mine], by: by, service: "ec2", operation: "DescribeVpcs", in: &ec2.DescribeVpcsInput{}}
		ctx, err := w.begin(a)
		if err != nil {
			t.Errorf("before it was %s: %v", name, err)
			continue
		}
		if change != nil {
			w.endpoint(change)
		} else {
			w.change(func(tx *table.Txn) { state.VPCEndpoints.Delete(tx, mine, region, vpce) })
		}
		if _, err := w.DB.View(ctx); err == nil || !strings.Contains(err.Error(), "VPC endpoint policy") {
			t.Errorf("under way when it was %s: %v", name, err)
		}
		w.refusedWith("when it is "+name, "VPC endpoint policy", a)
	}
}

// All policies can ask by which endpoint a request comes, and none when it comes by none.
func TestPoliciesAskForTheEndpoint(t *testing.T) {
	w := newWorld(t)
	by := w.endpoint(func(*model.VPCEndpoint) {})
	for key, value := range map[string]string{
		"aws:SourceVpce": vpce, "aws:SourceVpc": "vpc-0123456789abcdef0", "aws:VpceAccount": mine, "aws:VpcSourceIp": "10.0.1.10",
		"aws:SourceVpcArn": "arn:aws:ec2:us-east-1:" + mine + ":vpc/vpc-0123456789abcdef0",
	} {
		operator := "StringEquals"
		if key == "aws:VpcSourceIp" {
			operator = "IpAddress"
		}
		name := "U" + strings.ToUpper(strings.TrimPrefix(key, "aws:"))
		a := ask{
			key:     w.user(mine, name, statement("Allow", "*", "*", `"`+operator+`":{"`+key+`":"`+value+`"}`)),
			service: "ec2", operation: "DescribeVpcs", in: &ec2.DescribeVpcsInput{},
		}
		w.refused("without "+key, "", a)
		a.by = by
		w.allowed("with "+key, a)
	}
	ben := w.user(mine, "BEN", statement("Allow", "*", "*", ""), statement("Deny", "*", "*", `"Null":{"aws:SourceIp":"false"}`))
	w.allowed("there is no address outside", ask{key: ben, by: by, service: "ec2", operation: "DescribeVpcs", in: &ec2.DescribeVpcsInput{}})
}

// refusedWith wants a refusal whose text has a part.
func (w *world) refusedWith(what, part string, a ask) {
	w.t.Helper()
	if err := w.may(a); err == nil || !strings.Contains(err.Error(), part) {
		w.t.Errorf("%s: %v, want …%s…", what, err, part)
	}
}
