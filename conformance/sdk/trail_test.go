// SPDX-License-Identifier: Apache-2.0

package sdk

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	trailtypes "github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice"

	"github.com/posternhq/postern/conformance/harness"
)

// lookedUp gives the names of events that have a value, the newest first.
func lookedUp(c *client, key trailtypes.LookupAttributeKey, value string) (names []string, events []trailtypes.Event) {
	c.t.Helper()
	pages := cloudtrail.NewLookupEventsPaginator(c.trail, &cloudtrail.LookupEventsInput{
		LookupAttributes: []trailtypes.LookupAttribute{{AttributeKey: key, AttributeValue: &value}}, MaxResults: new(int32(2)),
	})
	for pages.HasMorePages() {
		for _, e := range must(pages.NextPage(c.ctx))(c).Events {
			names, events = append(names, *e.EventName), append(events, e)
		}
	}
	return names, events
}

// What an account asked is to be looked up as soon as it was answered, what it was
// refused, too, and by nobody else.
func TestEventsAreLookedUp(t *testing.T) {
	t.Parallel()
	c, other := newAccount(t), newAccount(t)
	begun := time.Now().Add(-time.Minute)
	vpc := *must(c.ec2.CreateVpc(c.ctx, &ec2.CreateVpcInput{CidrBlock: new("10.9.0.0/16")}))(c).Vpc.VpcId
	subnet := *must(c.ec2.CreateSubnet(c.ctx, &ec2.CreateSubnetInput{VpcId: &vpc, CidrBlock: new("10.9.1.0/24")}))(c).Subnet.SubnetId
	_, err := c.ec2.DeleteVpc(c.ctx, &ec2.DeleteVpcInput{VpcId: &vpc})
	refused(t, err, "DependencyViolation")
	must(c.ec2.DeleteSubnet(c.ctx, &ec2.DeleteSubnetInput{SubnetId: &subnet}))(c)
	must(c.ec2.DeleteVpc(c.ctx, &ec2.DeleteVpcInput{VpcId: &vpc}))(c)

	names, events := lookedUp(c, trailtypes.LookupAttributeKeyResourceName, vpc)
	equal(t, "events of the VPC", names, []string{"DeleteVpc", "DeleteVpc", "CreateSubnet", "CreateVpc"})
	equal(t, "source", *events[0].EventSource, "ec2.amazonaws.com")
	equal(t, "key", *events[0].AccessKeyId, c.key.ID)
	equal(t, "read only", *events[0].ReadOnly, "false")
	if at := *events[0].EventTime; at.Before(begun) || at.After(time.Now().Add(time.Minute)) {
		t.Errorf("the event was at %v", at)
	}
	var record struct {
		EventVersion, ErrorCode, RecipientAccountID string
		RequestParameters                           map[string]any
	}
	if err := json.Unmarshal([]byte(*events[1].CloudTrailEvent), &record); err != nil {
		t.Fatal(err)
	}
	equal(t, "version", record.EventVersion, "1.11")
	equal(t, "error", record.ErrorCode, "Client.DependencyViolation")
	equal(t, "recipient", record.RecipientAccountID, c.key.Account)
	equal(t, "parameters", record.RequestParameters, map[string]any{"vpcId": vpc})

	foreign := "arn:aws:vpc-lattice:us-east-1:" + other.key.Account + ":resourceconfiguration/rcfg-0123456789abcdef0"
	_, err = c.lattice.GetResourceConfiguration(c.ctx, &vpclattice.GetResourceConfigurationInput{ResourceConfigurationIdentifier: &foreign})
	refused(t, err, "AccessDeniedException")
	_, events = lookedUp(c, trailtypes.LookupAttributeKeyEventName, "GetResourceConfiguration")
	if len(events) != 1 || json.Unmarshal([]byte(*events[0].CloudTrailEvent), &record) != nil || record.ErrorCode != "AccessDeniedException" {
		t.Errorf("what was denied is recorded as %v", events)
	}
	if names, _ := lookedUp(other, trailtypes.LookupAttributeKeyEventSource, "ec2.amazonaws.com"); slices.Contains(names, "CreateVpc") {
		t.Error("another account sees the events")
	}
	if names, _ := lookedUp(other, trailtypes.LookupAttributeKeyEventName, "GetResourceConfiguration"); len(names) > 0 {
		t.Error("another account sees what was asked of it in vain")
	}
	if names, _ := lookedUp(c.in(harness.OtherRegion), trailtypes.LookupAttributeKeyResourceName, vpc); len(names) > 0 {
		t.Errorf("another region has %v", names)
	}
}

func TestBadLookups(t *testing.T) {
	t.Parallel()
	c := newAccount(t)
	_, err := c.trail.LookupEvents(c.ctx, &cloudtrail.LookupEventsInput{StartTime: new(time.Now()), EndTime: new(time.Now().Add(-time.Hour))})
	typed[*trailtypes.InvalidTimeRangeException](t, err)
	_, err = c.trail.LookupEvents(c.ctx, &cloudtrail.LookupEventsInput{NextToken: new("none")})
	typed[*trailtypes.InvalidNextTokenException](t, err)
	_, err = c.trail.LookupEvents(c.ctx, &cloudtrail.LookupEventsInput{MaxResults: new(int32(1000))})
	refused(t, err, "ValidationException")
	_, err = c.trail.CreateTrail(c.ctx, &cloudtrail.CreateTrailInput{Name: new("trail"), S3BucketName: new("bucket")})
	refused(t, err, "UnknownOperationException")
}
