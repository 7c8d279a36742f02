// SPDX-License-Identifier: Apache-2.0

package postern

import (
	"context"
	"strings"
	"testing"

	shape "github.com/posternhq/postern/internal/aws/shape/postern"
	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service/servicetest"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// whole is a namespace with all that a row keeps of it.
var whole = desired.Namespace{PID: 17, Inode: 4026532008, Identity: 0xdecade}

// putOther gives the other account an interface in the same network.
func (f *fixture) putOther(t *testing.T) {
	t.Helper()
	f.put(t, func(tx *table.Txn) {
		state.Accounts.Put(tx, &model.Account{ID: servicetest.OtherAccount})
		ni, _ := state.NetworkInterfaces.Get(tx, servicetest.Account, servicetest.Region, "eni-1")
		ni = ni.Clone()
		ni.Account, ni.ID = servicetest.OtherAccount, "eni-other"
		state.NetworkInterfaces.Put(tx, ni)
	})
}

func TestAHandleIsGoodOnceAndForAnyAccount(t *testing.T) {
	f := newFixture(t)
	f.putOther(t)
	f.spaces.handles["h"] = whole
	in := shape.AttachNetworkInterfaceInput{NetworkInterfaceId: new("eni-other"), NetnsHandle: new("h"), DeleteOnTermination: new(true)}
	if out, err := f.attach(f.other, in); err != nil || *out.Pid != 17 || !*out.DeleteOnTermination {
		t.Fatalf("attachment by a handle: %+v, %v", out, err)
	}
	row, _ := state.Attachments.Get(f.DB.Snapshot(), servicetest.OtherAccount, servicetest.Region, "eni-other")
	if got := (desired.Namespace{Name: row.NamespaceName, PID: row.PID, Inode: row.Inode, Identity: row.Identity}); got != whole {
		t.Errorf("the row keeps %v, want %v", got, whole)
	}
	f.refused(t, "the handle again", "AccessDeniedException", func() error {
		_, err := f.attach(f.ctx, shape.AttachNetworkInterfaceInput{NetworkInterfaceId: new("eni-1"), NetnsHandle: new("h")})
		return err
	})
	f.spaces.handles["named"] = desired.Namespace{Name: "ns", Inode: 1, Identity: 2}
	f.refused(t, "a named namespace that ends by itself", "ValidationException", func() error {
		_, err := f.attach(f.ctx, shape.AttachNetworkInterfaceInput{NetworkInterfaceId: new("eni-1"), NetnsHandle: new("named"), DeleteOnTermination: new(true)})
		return err
	})
}

func TestAnErrorNamesNothingOfAnotherAccount(t *testing.T) {
	f := newFixture(t)
	f.putOther(t)
	f.spaces.handles["a"], f.spaces.handles["b"] = whole, desired.Namespace{Name: "the-same", Inode: whole.Inode, Identity: whole.Identity}
	if _, err := f.attach(f.ctx, shape.AttachNetworkInterfaceInput{NetworkInterfaceId: new("eni-1"), NetnsHandle: new("a"), DeviceName: new("eth0")}); err != nil {
		t.Fatal(err)
	}
	var said error
	f.refused(t, "a device that another account has there", "ConflictException", func() error {
		_, said = f.attach(f.other, shape.AttachNetworkInterfaceInput{NetworkInterfaceId: new("eni-other"), NetnsHandle: new("b"), DeviceName: new("eth0")})
		return said
	})
	if strings.Contains(said.Error(), "eni-1") {
		t.Errorf("the error names the other's interface: %v", said)
	}
}

func TestTrustIsGivenAndTakenByTheFirstAccount(t *testing.T) {
	f := newFixture(t)
	f.putOther(t)
	try := func(ctx context.Context, eni string) error {
		_, err := f.attach(ctx, shape.AttachNetworkInterfaceInput{NetworkInterfaceId: &eni, NetnsName: new("ns")})
		return err
	}
	trust := func(ctx context.Context, account string, trusted bool) error {
		_, err := f.api.UpdateAccount(ctx, &shape.UpdateAccountInput{AccountId: &account, Trusted: &trusted})
		return err
	}
	f.refused(t, "not trusted", "AccessDeniedException", func() error { return try(f.other, "eni-other") })
	f.refused(t, "an account that is not there", "ResourceNotFoundException", func() error { return trust(f.ctx, "999988887777", true) })
	if err := trust(f.ctx, servicetest.OtherAccount, true); err != nil {
		t.Fatal(err)
	}
	if out, err := f.api.ListAccounts(f.other, &shape.ListAccountsInput{}); err != nil || !*out.Accounts[0].Trusted {
		t.Errorf("accounts %+v, %v; want a trusted one", out, err)
	}
	if err := try(f.other, "eni-other"); err != nil {
		t.Errorf("trusted: %v", err)
	}
	for _, account := range []string{servicetest.OtherAccount, servicetest.Account} { // the first one too
		if err := trust(f.ctx, account, false); err != nil {
			t.Fatal(err)
		}
	}
	f.refused(t, "no longer trusted", "AccessDeniedException", func() error { return try(f.other, "eni-other") })
	f.refused(t, "the first account without trust", "AccessDeniedException", func() error { return try(f.ctx, "eni-1") })
}

func TestANewInterfaceComesWithItsAttachmentOrNotAtAll(t *testing.T) {
	f := newFixture(t)
	f.put(t, func(tx *table.Txn) {
		v, _ := state.VPCs.Get(tx, servicetest.Account, servicetest.Region, "vpc-1")
		v = v.Clone()
		v.DefaultGroup = "sg-default"
		state.VPCs.Put(tx, v)
	})
	fresh := &shape.NewNetworkInterface{SubnetId: new("subnet-1"), PrivateIpAddress: new("10.0.1.5"), Description: new("for a test"), Tags: map[string]string{"Name": "n"}}
	f.spaces.handles["h"] = whole
	out, err := f.attach(f.ctx, shape.AttachNetworkInterfaceInput{NewNetworkInterface: fresh, NetnsHandle: new("h"), DeleteOnTermination: new(true)})
	if err != nil {
		t.Fatal(err)
	}
	ni, ok := state.NetworkInterfaces.Get(f.DB.Snapshot(), servicetest.Account, servicetest.Region, *out.NetworkInterfaceId)
	if !ok || ni.Addresses[0].String() != "10.0.1.5" || ni.Tags["Name"] != "n" || ni.Description != "for a test" || ni.Groups[0] != "sg-default" {
		t.Errorf("interface %+v", ni)
	}
	f.spaces.handles["h"] = whole
	f.refused(t, "a device that is there", "ConflictException", func() error {
		_, err := f.attach(f.ctx, shape.AttachNetworkInterfaceInput{
			NewNetworkInterface: &shape.NewNetworkInterface{SubnetId: new("subnet-1")}, NetnsHandle: new("h"), DeviceName: new("eth0"),
		})
		return err
	})
	f.refused(t, "an address that is taken", "InvalidIPAddress.InUse", func() error {
		_, err := f.attach(f.ctx, shape.AttachNetworkInterfaceInput{NewNetworkInterface: fresh, NetnsName: new("ns")})
		return err
	})
}
