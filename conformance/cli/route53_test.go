// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"strings"
	"testing"

	"github.com/posternhq/postern/conformance/harness"
)

// change is the option of a change batch, in the CLI's shorthand.
func change(action, set string) string {
	return fmt.Sprintf("--change-batch Changes=[{Action=%s,ResourceRecordSet={%s}}]", action, set)
}

func TestHostedZones(t *testing.T) {
	t.Parallel()
	c := newAccount(t)
	v := c.ok("ec2 create-vpc --cidr-block 10.0.0.0/16").at("Vpc.VpcId")
	second := c.ok("ec2 create-vpc --cidr-block 10.0.0.0/16").at("Vpc.VpcId")
	made := c.ok("route53 create-hosted-zone --name Example.com --caller-reference once --vpc VPCRegion=%s,VPCId=%s --hosted-zone-config Comment=mine", harness.Region, v)
	made.is("HostedZone.Name", "example.com.")
	made.is("HostedZone.Config.PrivateZone", "true")
	zone := strings.TrimPrefix(made.at("HostedZone.Id"), "/hostedzone/")
	c.await("ChangeInfo.Status", "INSYNC", "route53 get-change --id %s", made.at("ChangeInfo.Id"))
	c.refused("HostedZoneAlreadyExists", "route53 create-hosted-zone --name example.net --caller-reference once --vpc VPCRegion=%s,VPCId=%s", harness.Region, v)
	c.refused("ConflictingDomainExists", "route53 create-hosted-zone --name example.com --caller-reference twice --vpc VPCRegion=%s,VPCId=%s", harness.Region, v)
	c.refused("InvalidVPCId", "route53 create-hosted-zone --name example.net --caller-reference x --vpc VPCRegion=%s,VPCId=vpc-00000000000000000", harness.Region)
	c.refused("InvalidInput", "route53 create-hosted-zone --name example.net --caller-reference x")

	c.ok("route53 list-hosted-zones").has("HostedZones", 1)
	c.ok("route53 list-hosted-zones-by-name --dns-name example.com").is("HostedZones.0.Id", "/hostedzone/"+zone)
	c.ok("route53 list-hosted-zones-by-vpc --vpc-id %s --vpc-region %s", v, harness.Region).is("HostedZoneSummaries.0.HostedZoneId", zone)
	c.ok("route53 get-hosted-zone-count").is("HostedZoneCount", "1")
	c.ok("route53 update-hosted-zone-comment --id %s --comment ours", zone).is("HostedZone.Config.Comment", "ours")
	c.ok("route53 associate-vpc-with-hosted-zone --hosted-zone-id %s --vpc VPCRegion=%s,VPCId=%s", zone, harness.Region, second).is("ChangeInfo.Status", "PENDING")
	c.ok("route53 get-hosted-zone --id /hostedzone/%s", zone).has("VPCs", 2)
	c.ok("route53 disassociate-vpc-from-hosted-zone --hosted-zone-id %s --vpc VPCRegion=%s,VPCId=%s", zone, harness.Region, v)
	c.refused("LastVPCAssociation", "route53 disassociate-vpc-from-hosted-zone --hosted-zone-id %s --vpc VPCRegion=%s,VPCId=%s", zone, harness.Region, second)
	c.ok("ec2 delete-vpc --vpc-id %s", second)
	c.ok("route53 get-hosted-zone --id %s", zone).has("VPCs", 0)

	c.ok("route53 change-tags-for-resource --resource-type hostedzone --resource-id %s --add-tags Key=Name,Value=first", zone)
	c.ok("route53 list-tags-for-resource --resource-type hostedzone --resource-id %s", zone).is("ResourceTagSet.Tags.0.Value", "first")
	c.ok("route53 list-tags-for-resources --resource-type hostedzone --resource-ids %s", zone).has("ResourceTagSets", 1)

	c.alwaysRefused("InvalidArgument", "route53 get-dnssec --hosted-zone-id %s", zone)
	c.alwaysRefused("DelegationSetNotAvailable", "route53 create-reusable-delegation-set --caller-reference x")
	c.alwaysRefused("NoSuchDelegationSet", "route53 get-reusable-delegation-set --id N1")
	c.alwaysRefused("NoSuchDelegationSet", "route53 delete-reusable-delegation-set --id N1")
	c.ok("route53 list-reusable-delegation-sets").has("DelegationSets", 0)
	c.ok("route53 delete-hosted-zone --id %s", zone).is("ChangeInfo.Status", "PENDING")
	c.refused("NoSuchHostedZone", "route53 get-hosted-zone --id %s", zone)
}

// TestRecordSets also sees that what is wrong with a batch is printed.
func TestRecordSets(t *testing.T) {
	t.Parallel()
	c := newAccount(t)
	v := c.ok("ec2 create-vpc --cidr-block 10.0.0.0/16").at("Vpc.VpcId")
	zone := strings.TrimPrefix(c.ok("route53 create-hosted-zone --name example.com --caller-reference once --vpc VPCRegion=%s,VPCId=%s", harness.Region, v).at("HostedZone.Id"), "/hostedzone/")
	set := func(name, value string) string {
		return "Name=" + name + ",Type=A,TTL=60,ResourceRecords=[{Value=" + value + "}]"
	}
	made := c.ok("route53 change-resource-record-sets --hosted-zone-id %s %s", zone, change("CREATE", set("*.Example.com", "10.0.0.1")))
	c.await("ChangeInfo.Status", "INSYNC", "route53 get-change --id %s", made.at("ChangeInfo.Id"))
	c.ok("route53 wait resource-record-sets-changed --id %s", made.at("ChangeInfo.Id"))
	c.ok("route53 change-resource-record-sets --hosted-zone-id %s %s", zone, change("UPSERT", set("www.example.com", "10.0.0.2")))
	all := c.ok("route53 list-resource-record-sets --hosted-zone-id %s --page-size 1", zone)
	all.has("ResourceRecordSets", 4)
	all.is("ResourceRecordSets.2.Name", `\052.example.com.`)
	c.refused("InvalidChangeBatch", "route53 change-resource-record-sets --hosted-zone-id %s %s", zone, change("CREATE", set("www.example.com", "10.0.0.3")))
	r := c.run("route53 change-resource-record-sets --hosted-zone-id %s %s", zone, change("DELETE", set("no.example.com", "10.0.0.3")))
	if want := "[Tried to delete resource record set [name='no.example.com.', type='A'] but it was not found]"; !strings.Contains(r.Stderr, want) {
		t.Errorf("the CLI prints %q, want %q in it", r.Stderr, want)
	}
	c.refused("HostedZoneNotEmpty", "route53 delete-hosted-zone --id %s", zone)
	for name, value := range map[string]string{`\052.example.com.`: "10.0.0.1", "www.example.com": "10.0.0.2"} {
		c.ok("route53 change-resource-record-sets --hosted-zone-id %s %s", zone, change("DELETE", set(name, value)))
	}
	c.ok("route53 delete-hosted-zone --id %s", zone)
}

// TestZonesOfOtherAccounts: the account of a VPC needs the authorization of the zone's.
func TestZonesOfOtherAccounts(t *testing.T) {
	t.Parallel()
	owner, guest := newAccount(t), newAccount(t)
	mine := owner.ok("ec2 create-vpc --cidr-block 10.0.0.0/16").at("Vpc.VpcId")
	theirs := guest.ok("ec2 create-vpc --cidr-block 10.0.0.0/16").at("Vpc.VpcId")
	zone := strings.TrimPrefix(owner.ok("route53 create-hosted-zone --name example.com --caller-reference once --vpc VPCRegion=%s,VPCId=%s", harness.Region, mine).at("HostedZone.Id"), "/hostedzone/")
	pair := fmt.Sprintf("--hosted-zone-id %s --vpc VPCRegion=%s,VPCId=%s", zone, harness.Region, theirs)
	guest.refused("NotAuthorizedException", "route53 associate-vpc-with-hosted-zone %s", pair)
	owner.ok("route53 create-vpc-association-authorization %s", pair)
	owner.ok("route53 list-vpc-association-authorizations --hosted-zone-id %s", zone).is("VPCs.0.VPCId", theirs)
	guest.ok("route53 associate-vpc-with-hosted-zone %s", pair)
	owner.ok("route53 delete-vpc-association-authorization %s", pair)
	owner.refused("VPCAssociationAuthorizationNotFound", "route53 delete-vpc-association-authorization %s", pair)
	owner.ok("route53 get-hosted-zone --id %s", zone).has("VPCs", 2)
	guest.refused("NoSuchHostedZone", "route53 get-hosted-zone --id %s", zone)
	guest.ok("route53 disassociate-vpc-from-hosted-zone %s", pair)
	owner.ok("route53 delete-hosted-zone --id %s", zone)
}
