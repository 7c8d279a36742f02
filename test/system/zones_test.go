// SPDX-License-Identifier: Apache-2.0

package system

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/aws/shape/route53"
	"github.com/posternhq/postern/test/postern"
)

// change makes a change of a zone and waits until it is in step.
func (s *pair) change(zone, action string, sets ...route53.ResourceRecordSet) {
	s.t.Helper()
	batch := &route53.ChangeBatch{}
	for _, set := range sets {
		batch.Changes = append(batch.Changes, route53.Change{Action: &action, ResourceRecordSet: &set})
	}
	out := postern.Call[route53.ChangeResourceRecordSetsOutput](s.Postern, route53.Service, "ChangeResourceRecordSets",
		&route53.ChangeResourceRecordSetsInput{HostedZoneId: &zone, ChangeBatch: batch})
	s.inSync(out.ChangeInfo)
}

func (s *pair) inSync(info *route53.ChangeInfo) {
	s.t.Helper()
	id := strings.TrimPrefix(*info.Id, "/change/")
	s.Await("change "+id, func() (bool, error) {
		var out route53.GetChangeOutput
		err := s.Do(route53.Service, "GetChange", &route53.GetChangeInput{Id: &id}, &out)
		return err == nil && *out.ChangeInfo.Status == route53.ChangeStatusInsync, err
	})
}

func record(name, kind, value string) route53.ResourceRecordSet {
	return route53.ResourceRecordSet{Name: &name, Type: &kind, TTL: new(int64(30)), ResourceRecords: []route53.ResourceRecord{{Value: &value}}}
}

// A change of a private hosted zone that is in step is answered: friendly names, as
// aliases and as CNAMEs, lead to an endpoint's name, in the VPCs that the zone is for and
// in no others, and names that the zone does not have are nowhere.
func TestAPrivateHostedZoneIsAnsweredWhenItIsInStep(t *testing.T) {
	s := newPair(t)
	hostnames := func(on bool) {
		postern.Call[ec2.ModifyVpcAttributeOutput](s.Postern, ec2.Service, "ModifyVpcAttribute",
			&ec2.ModifyVpcAttributeInput{VpcId: &s.consumer.ID, EnableDnsHostnames: &ec2.AttributeBooleanValue{Value: &on}})
	}
	hostnames(true)
	endpoint, in := s.told()
	made := postern.Call[route53.CreateHostedZoneOutput](s.Postern, route53.Service, "CreateHostedZone", &route53.CreateHostedZoneInput{
		Name: new("corp.example"), CallerReference: new("once"), VPC: &route53.VPC{VPCId: &s.consumer.ID, VPCRegion: new("us-east-1")},
	})
	s.inSync(made.ChangeInfo)
	zone := strings.TrimPrefix(*made.HostedZone.Id, "/hostedzone/")
	want := func(when, name string, addrs ...netip.Addr) {
		t.Helper()
		found, err := resolve(s.client, name)
		if len(addrs) == 0 != noSuchName(err) || !slices.Equal(found, addrs) {
			t.Errorf("%s %s is %v, %v; want %v", when, name, found, err, addrs)
		}
	}
	want("before it is made", "app.corp.example")
	alias := route53.ResourceRecordSet{
		Name: new("app.corp.example"), Type: new("A"),
		AliasTarget: &route53.AliasTarget{HostedZoneId: &in, DNSName: &endpoint, EvaluateTargetHealth: new(false)},
	}
	s.change(zone, "CREATE", alias, record("db.corp.example", "CNAME", endpoint), record("x.corp.example", "A", "10.0.1.77"), record("*.w.corp.example", "A", "10.0.1.78"))
	address := s.endpoint.Address()
	want("when it is made", "app.corp.example", address)
	want("when it is made", "DB.corp.example", address)
	want("when it is made", "a.b.w.corp.example", netip.MustParseAddr("10.0.1.78"))
	want("next to others", "nobody.corp.example")
	expectAnswer(t, s.client, hostPort(address, 5432))
	if found, err := resolve(s.server, "app.corp.example"); err == nil {
		t.Errorf("in another VPC the name is %v", found)
	}
	for i := range 20 { // whoever waits for a change never sees what was before
		value := netip.AddrFrom4([4]byte{10, 0, 7, byte(i)})
		s.change(zone, "UPSERT", record("x.corp.example", "A", value.String()))
		want("when it is changed", "x.corp.example", value)
	}
	s.change(zone, "DELETE", record("x.corp.example", "A", "10.0.7.19"))
	want("when it is deleted", "x.corp.example")

	status := s.Command("status").Stdout
	if !strings.Contains(status, "corp.example") || strings.Contains(status, "does not see") {
		t.Errorf("the status does not show the zone:\n%s", status)
	}
	hostnames(false)
	if status := s.Command("status", "--errors").Stdout; !strings.Contains(status, "enableDnsHostnames of the VPC must be true") {
		t.Errorf("the status does not say why the zone is not seen:\n%s", status)
	}
	s.Await("the zone to be out of sight", func() (bool, error) {
		_, err := resolve(s.client, "app.corp.example")
		return err != nil && !noSuchName(err), nil
	})
}
