// SPDX-License-Identifier: Apache-2.0

package sdk

import (
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"

	"github.com/posternhq/postern/conformance/harness"
)

// batch is a change of one A record.
func batch(action types.ChangeAction, name, value string) *types.ChangeBatch {
	return &types.ChangeBatch{Changes: []types.Change{{Action: action, ResourceRecordSet: &types.ResourceRecordSet{
		Name: &name, Type: types.RRTypeA, TTL: new(int64(60)), ResourceRecords: []types.ResourceRecord{{Value: &value}},
	}}}}
}

// TestHostedZones goes the way of the SDK's other users: the waiter, the types of errors,
// and what is wrong with a batch as a list.
func TestHostedZones(t *testing.T) {
	t.Parallel()
	c := newAccount(t)
	names := route53.NewFromConfig(c.config)
	vpc := must(c.ec2.CreateVpc(c.ctx, &ec2.CreateVpcInput{CidrBlock: new("10.0.0.0/16")}))(c).Vpc
	made := must(names.CreateHostedZone(c.ctx, &route53.CreateHostedZoneInput{
		Name: new("example.com"), CallerReference: new("once"), VPC: &types.VPC{VPCId: vpc.VpcId, VPCRegion: harness.Region},
	}))(c)
	waiter := route53.NewResourceRecordSetsChangedWaiter(names, func(o *route53.ResourceRecordSetsChangedWaiterOptions) {
		o.MinDelay, o.MaxDelay = 100*time.Millisecond, time.Second
	})
	if err := waiter.Wait(c.ctx, &route53.GetChangeInput{Id: made.ChangeInfo.Id}, patience); err != nil {
		t.Fatal(err)
	}
	change := func(b *types.ChangeBatch) error {
		_, err := names.ChangeResourceRecordSets(c.ctx, &route53.ChangeResourceRecordSetsInput{HostedZoneId: made.HostedZone.Id, ChangeBatch: b})
		return err
	}
	if err := change(batch(types.ChangeActionCreate, "www.example.com", "10.0.0.1")); err != nil {
		t.Fatal(err)
	}
	bad := batch(types.ChangeActionCreate, "new.example.com", "10.0.0.2")
	bad.Changes = append(bad.Changes, batch(types.ChangeActionCreate, "www.example.com", "10.0.0.2").Changes[0], batch(types.ChangeActionDelete, "no.example.com", "10.0.0.2").Changes[0])
	invalid := typed[*types.InvalidChangeBatch](t, change(bad))
	want := []string{
		"Tried to create resource record set [name='www.example.com.', type='A'] but it already exists",
		"Tried to delete resource record set [name='no.example.com.', type='A'] but it was not found",
	}
	if !slices.Equal(invalid.Messages, want) {
		t.Errorf("the messages are %q, want %q", invalid.Messages, want)
	}
	if invalid.ErrorMessage() != "["+want[0]+", "+want[1]+"]" {
		t.Errorf("the message is %q", invalid.ErrorMessage())
	}
	var all []string
	pages := route53.NewListResourceRecordSetsPaginator(names, &route53.ListResourceRecordSetsInput{HostedZoneId: made.HostedZone.Id, MaxItems: new(int32(1))})
	for pages.HasMorePages() {
		for _, r := range must(pages.NextPage(c.ctx))(c).ResourceRecordSets {
			all = append(all, string(r.Type)+" "+*r.Name)
		}
	}
	equal(t, "the zone", all, []string{"NS example.com.", "SOA example.com.", "A www.example.com."})
	_, err := names.GetHostedZone(c.ctx, &route53.GetHostedZoneInput{Id: new("Z0")})
	typed[*types.NoSuchHostedZone](t, err)
	_, err = names.DeleteHostedZone(c.ctx, &route53.DeleteHostedZoneInput{Id: made.HostedZone.Id})
	typed[*types.HostedZoneNotEmpty](t, err)
	if err := change(batch(types.ChangeActionDelete, "www.example.com", "10.0.0.1")); err != nil {
		t.Fatal(err)
	}
	must(names.DeleteHostedZone(c.ctx, &route53.DeleteHostedZoneInput{Id: made.HostedZone.Id}))(c)
}
