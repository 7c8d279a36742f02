// SPDX-License-Identifier: Apache-2.0

package nat_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service/ec2/ec2test"
	"github.com/posternhq/postern/internal/service/servicetest"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// world is a VPC with an internet gateway, a subnet and elastic addresses.
type world struct {
	*ec2test.Network
	*testing.T
	subnet string
}

func newWorld(t *testing.T) *world {
	w := &world{Network: ec2test.NewNetwork(t), T: t}
	w.subnet = w.AddSubnet(t, w.Net, "a", "10.0.1.0/24", -1)
	w.Put(t, func(tx *table.Txn) {
		state.InternetGateways.Put(tx, &model.InternetGateway{Meta: own("igw-00000001"), VPC: *w.Net.VpcId})
		for i := range 9 {
			state.ElasticAddresses.Put(tx, &model.ElasticAddress{Meta: own(eip(i)), Addr: netip.AddrFrom4([4]byte{203, 0, 113, byte(10 + i)})})
		}
	})
	return w
}

func own(id string) model.Meta {
	return model.Meta{Account: servicetest.Account, Region: servicetest.Region, ID: id}
}

func eip(i int) string { return fmt.Sprintf("eipalloc-0000000%d", i) }

func (w *world) create(in *shape.CreateNatGatewayInput) string {
	w.Helper()
	if in.SubnetId == nil {
		in.SubnetId = &w.subnet
	}
	out, err := w.API.CreateNatGateway(w.Ctx, in)
	if err != nil {
		w.Fatal(err)
	}
	if got := *out.NatGateway.State; got != "pending" || out.NatGateway.FailureCode != nil {
		w.Errorf("the reply to the creation shows state %s, failure %v", got, out.NatGateway.FailureCode)
	}
	return *out.NatGateway.NatGatewayId
}

func (w *world) describe(id string) shape.NatGateway {
	w.Helper()
	out, err := w.API.DescribeNatGateways(w.Ctx, &shape.DescribeNatGatewaysInput{NatGatewayIds: []string{id}})
	if err != nil {
		w.Fatal(err)
	}
	return out.NatGateways[0]
}

// acknowledge is what the data plane says about the gateway as it is.
func (w *world) acknowledge(id string, s model.StatusState, reason string) {
	w.Helper()
	w.Put(w.T, func(tx *table.Txn) {
		g, _ := state.NATGateways.Get(tx, servicetest.Account, servicetest.Region, id)
		known, ok := state.Statuses.Get(tx, servicetest.Account, servicetest.Region, id)
		state.Statuses.Put(tx, &model.Status{
			Account: g.Account, Region: g.Region, ID: id, State: s, Reason: reason, Generation: g.Generation,
			Established: ok && known.Established || s == model.StatusReady,
		})
	})
}

// text is a gateway in a line: its state, failure and addresses.
func text(g shape.NatGateway) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", *g.ConnectivityType, *g.State)
	if g.FailureCode != nil {
		fmt.Fprintf(&b, " %s: %s", *g.FailureCode, *g.FailureMessage)
	}
	for _, a := range g.NatGatewayAddresses {
		b.WriteString("; " + *a.Status)
		if *a.IsPrimary {
			b.WriteString(" primary")
		}
		for _, s := range []*string{a.PrivateIp, a.PublicIp, a.AllocationId, a.FailureMessage} {
			if s != nil {
				b.WriteString(" " + *s)
			}
		}
	}
	return b.String()
}

func (w *world) expect(id, want string) {
	w.Helper()
	if got := text(w.describe(id)); got != want {
		w.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestPublicGateway goes from its creation to its deletion by a change of addresses.
func TestPublicGateway(t *testing.T) {
	w := newWorld(t)
	id := w.create(&shape.CreateNatGatewayInput{
		AllocationId: new(eip(0)), PrivateIpAddress: new("10.0.1.10"),
		SecondaryAllocationIds: []string{eip(1)}, SecondaryPrivateIpAddresses: []string{"10.0.1.11"},
		TagSpecifications: []shape.TagSpecification{{ResourceType: new("natgateway"), Tags: []shape.Tag{{Key: new("Name"), Value: new("x")}}}},
	})
	w.expect(id, "public pending; associating primary 10.0.1.10 203.0.113.10 "+eip(0)+"; associating 10.0.1.11 203.0.113.11 "+eip(1))
	w.acknowledge(id, model.StatusReady, "")
	w.expect(id, "public available; succeeded primary 10.0.1.10 203.0.113.10 "+eip(0)+"; succeeded 10.0.1.11 203.0.113.11 "+eip(1))
	d := w.describe(id)
	if *d.Tags[0].Value != "x" || *d.VpcId != *w.Net.VpcId || *d.SubnetId != w.subnet || *d.AvailabilityMode != "zonal" || d.NatGatewayAddresses[0].AssociationId == nil {
		t.Errorf("got %+v", d)
	}

	eni := w.DescribeInterface(t, *d.NatGatewayAddresses[0].NetworkInterfaceId)
	if *eni.InterfaceType != "nat_gateway" || *eni.Description != "Interface for NAT Gateway "+id || !*eni.RequesterManaged || *eni.SourceDestCheck ||
		*eni.PrivateIpAddress != "10.0.1.10" || len(eni.PrivateIpAddresses) != 2 || len(eni.Groups) != 0 {
		t.Errorf("got %+v", eni)
	}
	w.RefusedAll(t, []ec2test.Refusal{
		{Name: "delete its interface", Code: "OperationNotPermitted", Call: func() error {
			return ec2test.Failure(w.API.DeleteNetworkInterface(w.Ctx, &shape.DeleteNetworkInterfaceInput{NetworkInterfaceId: eni.NetworkInterfaceId}))
		}},
		{Name: "delete its subnet", Code: "DependencyViolation", Call: func() error {
			return ec2test.Failure(w.API.DeleteSubnet(w.Ctx, &shape.DeleteSubnetInput{SubnetId: &w.subnet}))
		}},
		{Name: "delete its VPC", Code: "DependencyViolation", Call: func() error {
			return ec2test.Failure(w.API.DeleteVpc(w.Ctx, &shape.DeleteVpcInput{VpcId: w.Net.VpcId}))
		}},
	})

	added, err := w.API.AssociateNatGatewayAddress(w.Ctx, &shape.AssociateNatGatewayAddressInput{NatGatewayId: &id, AllocationIds: []string{eip(2)}, PrivateIpAddresses: []string{"10.0.1.12"}})
	if err != nil || len(added.NatGatewayAddresses) != 1 || *added.NatGatewayAddresses[0].Status != "associating" || *added.NatGatewayAddresses[0].PublicIp != "203.0.113.12" {
		t.Errorf("got %+v, %v", added, err)
	}
	before := "public available; succeeded primary 10.0.1.10 203.0.113.10 " + eip(0) + "; succeeded 10.0.1.11 203.0.113.11 " + eip(1) + "; "
	w.expect(id, before+"associating 10.0.1.12 203.0.113.12 "+eip(2))
	w.acknowledge(id, model.StatusFailed, "no room")
	w.expect(id, before+"failed 10.0.1.12 203.0.113.12 "+eip(2)+" no room")
	w.acknowledge(id, model.StatusReady, "")
	w.expect(id, before+"succeeded 10.0.1.12 203.0.113.12 "+eip(2))

	association := *w.describe(id).NatGatewayAddresses[1].AssociationId
	given, err := w.API.DisassociateNatGatewayAddress(w.Ctx, &shape.DisassociateNatGatewayAddressInput{NatGatewayId: &id, AssociationIds: []string{association}})
	if err != nil || len(given.NatGatewayAddresses) != 1 || *given.NatGatewayAddresses[0].Status != "disassociating" {
		t.Errorf("got %+v, %v", given, err)
	}
	tx := w.DB.Snapshot()
	row, _ := state.NATGateways.Get(tx, servicetest.Account, servicetest.Region, id)
	if got := row.Addresses[1].DrainedAt.Sub(servicetest.Now).Seconds(); got != 350 {
		t.Errorf("connections may last for %v s more, want 350", got)
	}

	if out, err := w.API.DeleteNatGateway(w.Ctx, &shape.DeleteNatGatewayInput{NatGatewayId: &id}); err != nil || *out.NatGatewayId != id {
		t.Errorf("got %v, %v", out, err)
	}
	if got := *w.describe(id).State; got != "deleting" {
		t.Errorf("got %s, want deleting", got)
	}
	w.RefusedAll(t, []ec2test.Refusal{{Name: "add to one that is being deleted", Code: "IncorrectState", Call: func() error {
		return ec2test.Failure(w.API.AssociateNatGatewayAddress(w.Ctx, &shape.AssociateNatGatewayAddressInput{NatGatewayId: &id, AllocationIds: []string{eip(3)}}))
	}}})
}

// TestPrivateGateway needs neither an internet gateway nor elastic addresses.
func TestPrivateGateway(t *testing.T) {
	w := newWorld(t)
	w.Put(t, func(tx *table.Txn) {
		state.InternetGateways.Delete(tx, servicetest.Account, servicetest.Region, "igw-00000001")
	})
	id := w.create(&shape.CreateNatGatewayInput{ConnectivityType: new("private"), SecondaryPrivateIpAddresses: []string{"10.0.1.20", "10.0.1.21"}})
	w.acknowledge(id, model.StatusReady, "")
	d := w.describe(id)
	primary := *d.NatGatewayAddresses[0].PrivateIp
	if eni := w.DescribeInterface(t, *d.NatGatewayAddresses[0].NetworkInterfaceId); *eni.PrivateIpAddress != primary {
		t.Errorf("the primary address is %s, that of the interface %s", primary, *eni.PrivateIpAddress)
	}
	rest := "private available; succeeded primary " + primary + "; succeeded 10.0.1.20; succeeded 10.0.1.21"
	w.expect(id, rest)
	out, err := w.API.AssignPrivateNatGatewayAddress(w.Ctx, &shape.AssignPrivateNatGatewayAddressInput{NatGatewayId: &id, PrivateIpAddressCount: new(int32(2))})
	if err != nil || len(out.NatGatewayAddresses) != 2 || *out.NatGatewayAddresses[1].Status != "assigning" {
		t.Fatalf("got %+v, %v", out, err)
	}
	w.acknowledge(id, model.StatusReady, "")
	gone, err := w.API.UnassignPrivateNatGatewayAddress(w.Ctx, &shape.UnassignPrivateNatGatewayAddressInput{
		NatGatewayId: &id, PrivateIpAddresses: []string{"10.0.1.21"}, MaxDrainDurationSeconds: new(int32(7)),
	})
	if err != nil || len(gone.NatGatewayAddresses) != 1 || *gone.NatGatewayAddresses[0].Status != "unassigning" {
		t.Errorf("got %+v, %v", gone, err)
	}
	counted := w.create(&shape.CreateNatGatewayInput{ConnectivityType: new("private"), SecondaryPrivateIpAddressCount: new(int32(3))})
	if got := len(w.describe(counted).NatGatewayAddresses); got != 4 {
		t.Errorf("%d addresses, want 4", got)
	}
}

// TestGatewaysThatFail are made, and say why they are not: it is no error of the request.
func TestGatewaysThatFail(t *testing.T) {
	w := newWorld(t)
	other := w.AddVPC(t)
	elsewhere := w.AddSubnet(t, other, "a", "10.0.1.0/24", -1)
	full := w.AddSubnet(t, w.Net, "b", "10.0.2.0/28", -1)
	w.CreateInterface(t, &shape.CreateNetworkInterfaceInput{SubnetId: &full, SecondaryPrivateIpAddressCount: new(int32(9))})
	w.Put(t, func(tx *table.Txn) {
		state.ElasticAddresses.Put(tx, &model.ElasticAddress{Meta: own(eip(8)), Association: "eipassoc-1", Interface: "eni-x", Private: netip.MustParseAddr("10.0.1.99"), Addr: netip.MustParseAddr("203.0.113.18")})
	})
	for _, c := range []struct {
		in   shape.CreateNatGatewayInput
		want string
	}{
		{shape.CreateNatGatewayInput{SubnetId: &elsewhere, AllocationId: new(eip(0))}, "public failed Gateway.NotAttached: Network " + *other.VpcId + " has no Internet gateway attached"},
		{shape.CreateNatGatewayInput{AllocationId: new(eip(8))}, "public failed Resource.AlreadyAssociated: Elastic IP address " + eip(8) + " is already associated"},
		{shape.CreateNatGatewayInput{AllocationId: new(eip(0)), SecondaryAllocationIds: []string{eip(8)}}, "public failed Resource.AlreadyAssociated: Elastic IP address " + eip(8) + " is already associated"},
		{
			shape.CreateNatGatewayInput{SubnetId: &full, ConnectivityType: new("private"), SecondaryPrivateIpAddressCount: new(int32(1))},
			"private failed InsufficientFreeAddressesInSubnet: Subnet has insufficient free addresses to create this NAT gateway",
		},
	} {
		id := w.create(&c.in)
		got, _, _ := strings.Cut(text(w.describe(id)), ";")
		if got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
		tx := w.DB.Snapshot()
		if state.NetworkInterfacesByOwner.Count(tx, own(id).Ref()) != 0 {
			t.Errorf("%s: it has an interface", got)
		}
		if e, _ := state.ElasticAddresses.Get(tx, servicetest.Account, servicetest.Region, eip(0)); e.Association != "" {
			t.Errorf("%s: it has the elastic address", got)
		}
		if _, err := w.API.DeleteNatGateway(w.Ctx, &shape.DeleteNatGatewayInput{NatGatewayId: &id}); err != nil {
			t.Error(err)
		}
		if d := w.describe(id); *d.State != "deleted" || d.DeleteTime == nil {
			t.Errorf("one that failed and was deleted is shown as %s", *d.State)
		}
	}
	id := w.create(&shape.CreateNatGatewayInput{AllocationId: new(eip(0))})
	w.acknowledge(id, model.StatusFailed, "no namespace")
	if got, _, _ := strings.Cut(text(w.describe(id)), ";"); got != "public failed InternalError: no namespace" {
		t.Errorf("one that the data plane cannot make: got %s", got)
	}
}

// TestWhatIsNoGateway is refused, and changes nothing.
func TestWhatIsNoGateway(t *testing.T) {
	w := newWorld(t)
	six := w.AddSubnet(t, w.Net, "a", "", 3)
	public := w.create(&shape.CreateNatGatewayInput{AllocationId: new(eip(0)), PrivateIpAddress: new("10.0.1.10")})
	private := w.create(&shape.CreateNatGatewayInput{ConnectivityType: new("private"), PrivateIpAddress: new("10.0.1.30")})
	first := *w.describe(public).NatGatewayAddresses[0].AssociationId
	var refusals []ec2test.Refusal
	create := func(name, code string, in shape.CreateNatGatewayInput) {
		if in.SubnetId == nil && name != "no subnet" {
			in.SubnetId = &w.subnet
		}
		refusals = append(refusals, ec2test.Refusal{Name: name, Code: code, Call: func() error { return ec2test.Failure(w.API.CreateNatGateway(w.Ctx, &in)) }})
	}
	many := make([]string, 8)
	for i := range many {
		many[i] = fmt.Sprintf("10.0.1.%d", 100+i)
	}
	private8 := shape.CreateNatGatewayInput{ConnectivityType: new("private"), SecondaryPrivateIpAddresses: many}
	create("regional", "UnsupportedOperation", shape.CreateNatGatewayInput{AvailabilityMode: new("regional"), VpcId: w.Net.VpcId})
	create("of a VPC", "UnsupportedOperation", shape.CreateNatGatewayInput{VpcId: w.Net.VpcId})
	create("no subnet", "MissingParameter", shape.CreateNatGatewayInput{AllocationId: new(eip(1))})
	create("unknown subnet", "InvalidSubnetID.NotFound", shape.CreateNatGatewayInput{SubnetId: new("subnet-12345678"), AllocationId: new(eip(1))})
	create("subnet without IPv4", "InvalidParameterValue", shape.CreateNatGatewayInput{SubnetId: &six, AllocationId: new(eip(1))})
	create("public without allocation", "MissingParameter", shape.CreateNatGatewayInput{})
	create("unknown allocation", "InvalidAllocationID.NotFound", shape.CreateNatGatewayInput{AllocationId: new("eipalloc-12345678")})
	create("allocation twice", "InvalidParameterValue", shape.CreateNatGatewayInput{AllocationId: new(eip(1)), SecondaryAllocationIds: []string{eip(1)}})
	create("secondary allocation twice", "InvalidParameterValue", shape.CreateNatGatewayInput{AllocationId: new(eip(1)), SecondaryAllocationIds: []string{eip(2), eip(2)}})
	create("count of a public one", "InvalidParameterCombination", shape.CreateNatGatewayInput{AllocationId: new(eip(1)), SecondaryPrivateIpAddressCount: new(int32(1))})
	create("more addresses than allocations", "InvalidParameterCombination", shape.CreateNatGatewayInput{AllocationId: new(eip(1)), SecondaryPrivateIpAddresses: []string{"10.0.1.40"}})
	create("private with allocation", "InvalidParameterCombination", shape.CreateNatGatewayInput{ConnectivityType: new("private"), AllocationId: new(eip(1))})
	create("addresses and count", "InvalidParameterCombination", shape.CreateNatGatewayInput{ConnectivityType: new("private"), SecondaryPrivateIpAddresses: []string{"10.0.1.40"}, SecondaryPrivateIpAddressCount: new(int32(1))})
	create("address twice", "InvalidParameterValue", shape.CreateNatGatewayInput{ConnectivityType: new("private"), PrivateIpAddress: new("10.0.1.40"), SecondaryPrivateIpAddresses: []string{"10.0.1.40"}})
	create("address taken", "InvalidIPAddress.InUse", shape.CreateNatGatewayInput{AllocationId: new(eip(1)), PrivateIpAddress: new("10.0.1.10")})
	create("address outside of the subnet", "InvalidParameterValue", shape.CreateNatGatewayInput{AllocationId: new(eip(1)), PrivateIpAddress: new("10.0.9.10")})
	create("no address", "InvalidParameterValue", shape.CreateNatGatewayInput{AllocationId: new(eip(1)), PrivateIpAddress: new("x")})
	create("nine addresses", "PrivateIpAddressLimitExceeded", private8)
	create("tags of something else", "InvalidParameterValue", shape.CreateNatGatewayInput{AllocationId: new(eip(1)), TagSpecifications: []shape.TagSpecification{{ResourceType: new("vpc")}}})
	refuse := func(name, code string, call func() error) {
		refusals = append(refusals, ec2test.Refusal{Name: name, Code: code, Call: call})
	}
	associate := func(in shape.AssociateNatGatewayAddressInput) func() error {
		return func() error { return ec2test.Failure(w.API.AssociateNatGatewayAddress(w.Ctx, &in)) }
	}
	refuse("associate with a private one", "InvalidParameterValue", associate(shape.AssociateNatGatewayAddressInput{NatGatewayId: &private, AllocationIds: []string{eip(1)}}))
	refuse("associate what it has", "Resource.AlreadyAssociated", associate(shape.AssociateNatGatewayAddressInput{NatGatewayId: &public, AllocationIds: []string{eip(0)}}))
	refuse("associate nothing", "MissingParameter", associate(shape.AssociateNatGatewayAddressInput{NatGatewayId: &public}))
	refuse("associate in a zone", "UnsupportedOperation", associate(shape.AssociateNatGatewayAddressInput{NatGatewayId: &public, AllocationIds: []string{eip(1)}, AvailabilityZone: new("us-east-1a")}))
	refuse("associate with an unknown one", "NatGatewayNotFound", associate(shape.AssociateNatGatewayAddressInput{NatGatewayId: new("nat-12345678"), AllocationIds: []string{eip(1)}}))
	refuse("disassociate the primary one", "InvalidParameterValue", func() error {
		return ec2test.Failure(w.API.DisassociateNatGatewayAddress(w.Ctx, &shape.DisassociateNatGatewayAddressInput{NatGatewayId: &public, AssociationIds: []string{first}}))
	})
	refuse("disassociate what is not there", "InvalidAssociationID.NotFound", func() error {
		return ec2test.Failure(w.API.DisassociateNatGatewayAddress(w.Ctx, &shape.DisassociateNatGatewayAddressInput{NatGatewayId: &public, AssociationIds: []string{"eipassoc-12345678"}}))
	})
	refuse("assign to a public one", "InvalidParameterValue", func() error {
		return ec2test.Failure(w.API.AssignPrivateNatGatewayAddress(w.Ctx, &shape.AssignPrivateNatGatewayAddressInput{NatGatewayId: &public, PrivateIpAddressCount: new(int32(1))}))
	})
	refuse("assign nothing", "MissingParameter", func() error {
		return ec2test.Failure(w.API.AssignPrivateNatGatewayAddress(w.Ctx, &shape.AssignPrivateNatGatewayAddressInput{NatGatewayId: &private}))
	})
	refuse("assign too many", "PrivateIpAddressLimitExceeded", func() error {
		return ec2test.Failure(w.API.AssignPrivateNatGatewayAddress(w.Ctx, &shape.AssignPrivateNatGatewayAddressInput{NatGatewayId: &private, PrivateIpAddressCount: new(int32(8))}))
	})
	refuse("unassign the primary one", "InvalidParameterValue", func() error {
		return ec2test.Failure(w.API.UnassignPrivateNatGatewayAddress(w.Ctx, &shape.UnassignPrivateNatGatewayAddressInput{NatGatewayId: &private, PrivateIpAddresses: []string{"10.0.1.30"}}))
	})
	refuse("unassign what it does not have", "InvalidParameterValue", func() error {
		return ec2test.Failure(w.API.UnassignPrivateNatGatewayAddress(w.Ctx, &shape.UnassignPrivateNatGatewayAddressInput{NatGatewayId: &private, PrivateIpAddresses: []string{"10.0.1.31"}}))
	})
	refuse("delete an unknown one", "NatGatewayNotFound", func() error {
		return ec2test.Failure(w.API.DeleteNatGateway(w.Ctx, &shape.DeleteNatGatewayInput{NatGatewayId: new("nat-12345678")}))
	})
	w.RefusedAll(t, refusals)
}

// TestLimitOfAZone counts those of one zone that are not gone.
func TestLimitOfAZone(t *testing.T) {
	w := newWorld(t)
	again := w.AddSubnet(t, w.Net, "a", "10.0.3.0/24", -1)
	other := w.AddSubnet(t, w.Net, "b", "10.0.4.0/24", -1)
	in := func(subnet string) *shape.CreateNatGatewayInput {
		return &shape.CreateNatGatewayInput{SubnetId: &subnet, ConnectivityType: new("private")}
	}
	for range 4 {
		w.create(in(w.subnet))
	}
	w.create(&shape.CreateNatGatewayInput{SubnetId: &w.subnet, AllocationId: new(eip(0))})
	w.Refused(t, "a sixth", "NatGatewayLimitExceeded", func() error {
		err := ec2test.Failure(w.API.CreateNatGateway(w.Ctx, in(again)))
		if err == nil || !strings.HasSuffix(err.Error(), "Performing this operation would exceed the limit of 5 NAT gateways") {
			t.Errorf("got %v", err)
		}
		return err
	})
	w.create(in(other))
}

// TestCreationIsRepeated with its token, and gives the same gateway.
func TestCreationIsRepeated(t *testing.T) {
	w := newWorld(t)
	in := &shape.CreateNatGatewayInput{AllocationId: new(eip(0)), ClientToken: new("once")}
	first := w.create(in)
	if again := w.create(in); again != first {
		t.Errorf("got %s and %s", first, again)
	}
	w.Refused(t, "another request with the token", "IdempotentParameterMismatch", func() error {
		return ec2test.Failure(w.API.CreateNatGateway(w.Ctx, &shape.CreateNatGatewayInput{SubnetId: &w.subnet, AllocationId: new(eip(1)), ClientToken: new("once")}))
	})
}

// TestGatewaysAreListed by filters and pages.
func TestGatewaysAreListed(t *testing.T) {
	w := newWorld(t)
	var ids []string
	for i := range 5 {
		in := &shape.CreateNatGatewayInput{ConnectivityType: new("private")}
		if i == 0 {
			in = &shape.CreateNatGatewayInput{AllocationId: new(eip(8)), SecondaryAllocationIds: []string{eip(7)}}
		}
		ids = append(ids, w.create(in))
	}
	w.acknowledge(ids[0], model.StatusReady, "")
	for name, value := range map[string]string{"state": "available", "nat-gateway-id": ids[0]} {
		out, err := w.API.DescribeNatGateways(w.Ctx, &shape.DescribeNatGatewaysInput{Filter: ec2test.Filter(name, value)})
		if err != nil || len(out.NatGateways) != 1 || *out.NatGateways[0].NatGatewayId != ids[0] {
			t.Errorf("%s: got %+v, %v", name, out, err)
		}
	}
	for name, value := range map[string]string{"vpc-id": *w.Net.VpcId, "subnet-id": w.subnet} {
		if out, err := w.API.DescribeNatGateways(w.Ctx, &shape.DescribeNatGatewaysInput{Filter: ec2test.Filter(name, value)}); err != nil || len(out.NatGateways) != 5 {
			t.Errorf("%s: got %+v, %v", name, out, err)
		}
	}
	var listed []string
	for token := (*string)(nil); ; {
		out, err := w.API.DescribeNatGateways(w.Ctx, &shape.DescribeNatGatewaysInput{NextToken: token, MaxResults: new(int32(2))})
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range out.NatGateways {
			listed = append(listed, *g.NatGatewayId)
		}
		if token = out.NextToken; token == nil {
			break
		}
	}
	slices.Sort(ids)
	if !slices.Equal(listed, ids) {
		t.Errorf("got %v, want %v", listed, ids)
	}
}
