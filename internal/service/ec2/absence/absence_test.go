// SPDX-License-Identifier: Apache-2.0

package absence_test

import (
	"reflect"
	"testing"

	"github.com/posternhq/postern/internal/aws/fault"
	"github.com/posternhq/postern/internal/aws/schema"
	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/service/ec2/ec2test"
)

// absent are the operations whose lists are empty, with an id that they can be
// asked for and the error for it: none where AWS leaves out what does not exist.
var absent = map[string]struct{ member, id, code string }{
	"DescribeCarrierGateways":              {"CarrierGatewayIds", "cagw-12345678", "InvalidCarrierGatewayID.NotFound"},
	"DescribeCustomerGateways":             {"CustomerGatewayIds", "cgw-12345678", "InvalidCustomerGatewayID.NotFound"},
	"DescribeFlowLogs":                     {"FlowLogIds", "fl-12345678", ""},
	"DescribeInstances":                    {"InstanceIds", "i-12345678", "InvalidInstanceID.NotFound"},
	"DescribeSecurityGroupReferences":      {"GroupId", "sg-12345678", "InvalidGroup.NotFound"},
	"DescribeTransitGatewayAttachments":    {"TransitGatewayAttachmentIds", "tgw-attach-12345678", "InvalidTransitGatewayAttachmentID.NotFound"},
	"DescribeTransitGatewayVpcAttachments": {"TransitGatewayAttachmentIds", "tgw-attach-12345678", "InvalidTransitGatewayAttachmentID.NotFound"},
	"DescribeTransitGateways":              {"TransitGatewayIds", "tgw-12345678", "InvalidTransitGatewayID.NotFound"},
	"DescribeVpnConnections":               {"VpnConnectionIds", "vpn-12345678", "InvalidVpnConnectionID.NotFound"},
	"DescribeVpnGateways":                  {"VpnGatewayIds", "vgw-12345678", "InvalidVpnGatewayID.NotFound"},
	"DescribeSecurityGroupVpcAssociations": {},
}

// TestWhatCannotBeHereIsListedEmpty asks for everything, for an id and for a page
// that was never announced.
func TestWhatCannotBeHereIsListedEmpty(t *testing.T) {
	w := ec2test.NewWorld(t)
	for name, want := range absent {
		op := shape.Service.Operation(name)
		call := func(set func(reflect.Value)) error {
			in := op.NewInput()
			set(reflect.ValueOf(in).Elem())
			out, err := op.Call(w.Ctx, w.API, in)
			if err != nil {
				return err
			}
			for i := range op.Output.Members {
				if m := &op.Output.Members[i]; m.Shape.Kind == schema.List && reflect.ValueOf(out).Elem().Field(m.Index).Len() > 0 {
					t.Errorf("%s: %s is not empty", name, m.Name)
				}
			}
			return nil
		}
		if err := call(func(reflect.Value) {}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if op.Input.Member("NextToken") != nil {
			err := call(func(v reflect.Value) { v.FieldByName("NextToken").Set(reflect.ValueOf(new("x"))) })
			if !fault.Is(err, "InvalidNextToken") {
				t.Errorf("%s: a forged token gives %v", name, err)
			}
		}
		if want.member == "" {
			continue
		}
		err := call(func(v reflect.Value) { v.FieldByName(want.member).Set(reflect.ValueOf([]string{want.id})) })
		if want.code == "" && err != nil || want.code != "" && !fault.Is(err, want.code) {
			t.Errorf("%s of %s: got %v, want %q", name, want.id, err, want.code)
		}
	}
}

// TestListsAboutSomethingThatIsNotThere: what they are about must exist.
func TestListsAboutSomethingThatIsNotThere(t *testing.T) {
	w := ec2test.NewWorld(t)
	v := w.VPC(t, "10.0.0.0/16")
	s := w.Subnet(t, *v.VpcId, "10.0.1.0/24")
	for _, err := range []error{
		ec2test.Failure(w.API.DescribeStaleSecurityGroups(w.Ctx, &shape.DescribeStaleSecurityGroupsInput{VpcId: v.VpcId})),
		ec2test.Failure(w.API.GetSubnetCidrReservations(w.Ctx, &shape.GetSubnetCidrReservationsInput{SubnetId: s.SubnetId})),
		ec2test.Failure(w.API.DescribeSecurityGroupReferences(w.Ctx, &shape.DescribeSecurityGroupReferencesInput{GroupId: []string{w.Group(t, *v.VpcId, "g")}})),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	w.RefusedAll(t, []ec2test.Refusal{
		{Name: "VPC", Code: "InvalidVpcID.NotFound", Call: func() error {
			return ec2test.Failure(w.API.DescribeStaleSecurityGroups(w.Ctx, &shape.DescribeStaleSecurityGroupsInput{VpcId: new("vpc-12345678")}))
		}},
		{Name: "subnet", Code: "InvalidSubnetID.NotFound", Call: func() error {
			return ec2test.Failure(w.API.GetSubnetCidrReservations(w.Ctx, &shape.GetSubnetCidrReservationsInput{SubnetId: new("subnet-12345678")}))
		}},
	})
}
