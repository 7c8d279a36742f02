// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"strings"
	"testing"
)

// TestTrail looks up who made something, with the models of the served operations and
// with the CLI's own.
func TestTrail(t *testing.T) {
	t.Parallel()
	key := server.NewAccount(t)
	c := newTerminal(t, key)
	vpc := c.ok("ec2 create-vpc --cidr-block 10.0.0.0/16").at("Vpc.VpcId")
	c.ok("ec2 delete-vpc --vpc-id %s", vpc)
	for _, c := range []*terminal{c, newUntaught(t, key)} {
		events := c.ok("cloudtrail lookup-events --lookup-attributes AttributeKey=ResourceName,AttributeValue=%s", vpc)
		events.has("Events", 2)
		events.is("Events.0.EventName", "DeleteVpc")
		events.is("Events.1.EventName", "CreateVpc")
		events.is("Events.1.AccessKeyId", key.ID)
		latest := c.ok("cloudtrail lookup-events --max-items 1 --start-time 2020-01-01")
		if record := latest.at("Events.0.CloudTrailEvent"); !strings.Contains(record, `"recipientAccountId":"`+key.Account+`"`) {
			t.Errorf("the record is %s", record)
		}
		c.refused("InvalidTimeRangeException", "cloudtrail lookup-events --start-time 2030-01-01 --end-time 2020-01-01")
		c.refused("InvalidLookupAttributesException", "cloudtrail lookup-events --lookup-attributes AttributeKey=EventName,AttributeValue=a AttributeKey=EventName,AttributeValue=b")
	}
}
