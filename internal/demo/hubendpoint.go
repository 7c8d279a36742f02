// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"fmt"
	"strings"

	"github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/aws/shape/vpclattice"
)

// makeInterfaceEndpoints makes the endpoints of the central VPC. Private DNS would give that
// VPC the names too, where nobody asks.
func (d *demo) makeInterfaceEndpoints(ctx context.Context) error {
	h := &d.hub
	h.services = []*hubService{
		{label: "ec2", name: "com.amazonaws.us-east-1.ec2"},
		{label: "rds", name: "com.amazonaws.us-east-1.rds"},
		{label: "s3", name: storeService},
	}
	for _, s := range h.services {
		out, err := call[ec2.CreateVpcEndpointOutput](ctx, d, ec2.Service, "CreateVpcEndpoint", &ec2.CreateVpcEndpointInput{
			VpcEndpointType: new(ec2.VpcEndpointTypeInterface), ServiceName: &s.name, VpcId: &h.central.vpc, SubnetIds: []string{h.central.subnet},
			SecurityGroupIds: []string{h.endpointsGroup}, PrivateDnsEnabled: new(false),
		})
		if err != nil {
			return err
		}
		s.endpoint = *out.VpcEndpoint.VpcEndpointId
	}
	for _, s := range h.services {
		if err := d.findRegional(ctx, s); err != nil {
			return err
		}
		d.screen.say(s.regional)
	}
	d.screen.done("each has a name of its own, which is public: a gateway in any VPC resolves it")
	return nil
}

// findRegional waits for an interface endpoint, and learns its public name.
func (d *demo) findRegional(ctx context.Context, s *hubService) error {
	return waitFor(ctx, d.postern.Process(), s.endpoint, settled, func() (bool, error) {
		got, err := quietly[ec2.DescribeVpcEndpointsOutput](ctx, d, ec2.Service, "DescribeVpcEndpoints", &ec2.DescribeVpcEndpointsInput{VpcEndpointIds: []string{s.endpoint}})
		if err != nil {
			return false, err
		}
		e := got.VpcEndpoints[0]
		if ok, err := active(s.endpoint, strings.ToLower(*e.State), "available", "pending"); !ok {
			return false, err
		}
		if len(e.DnsEntries) > 0 {
			s.regional = *e.DnsEntries[0].DnsName
		}
		return s.regional != "", nil
	})
}

// offerEndpoints makes the resource gateway, and the group with a child for each service:
// by the public name of its endpoint, and under the name that clients call it.
func (d *demo) offerEndpoints(ctx context.Context) error {
	h := &d.hub
	out, err := call[vpclattice.CreateResourceGatewayOutput](ctx, d, vpclattice.Service, "CreateResourceGateway",
		&vpclattice.CreateResourceGatewayInput{
			Name: new("central-gateway"), VpcIdentifier: &h.central.vpc, SubnetIds: []string{h.central.subnet}, SecurityGroupIds: []string{h.gatewayGroup},
			ResourceConfigDnsResolution: new(vpclattice.ResourceConfigDnsResolutionPublic),
		})
	if err != nil {
		return err
	}
	d.world.gateway = *out.Id
	if err := d.gatewayActive(ctx); err != nil {
		return err
	}
	if err := d.makeConfigurationGroup(ctx, "services", hubDomain); err != nil {
		return err
	}
	for _, s := range h.services {
		if err := d.makeChild(ctx, s.child(), s.standard(), httpsPort, byName(s.regional)); err != nil {
			return err
		}
	}
	d.screen.done("%s: another service is another child, and no consumer has to do anything", d.merger.group)
	return nil
}

// makeHubConsumer makes another VPC with those who call in it.
func (d *demo) makeHubConsumer(ctx context.Context) error {
	if err := d.makeConsumer(ctx); err != nil {
		return err
	}
	d.hub.consumers = append(d.hub.consumers, d.world.consumer)
	d.hub.clientGroups = append(d.hub.clientGroups, d.world.clientGroup)
	return nil
}

// openHub makes the one endpoint of the last consumer, with options for its names.
func (d *demo) openHub(ctx context.Context, private bool, options *ec2.DnsOptionsSpecification) error {
	out, err := call[ec2.CreateVpcEndpointOutput](ctx, d, ec2.Service, "CreateVpcEndpoint", &ec2.CreateVpcEndpointInput{
		VpcEndpointType: new(ec2.VpcEndpointTypeResource), VpcId: &d.world.consumer.vpc, SubnetIds: []string{d.world.consumer.subnet},
		SecurityGroupIds: []string{d.world.endpointGroup}, ResourceConfigurationArn: &d.merger.groupARN, PrivateDnsEnabled: &private, DnsOptions: options,
	})
	if err != nil {
		return err
	}
	d.world.endpoint = *out.VpcEndpoint.VpcEndpointId
	return nil
}

// openWithZone gives the first consumer a zone, whose records lead to the endpoint.
func (d *demo) openWithZone(ctx context.Context) error {
	if err := d.makeHubConsumer(ctx); err != nil {
		return err
	}
	if err := d.openHub(ctx, false, nil); err != nil {
		return err
	}
	if err := d.findNames(ctx, len(d.hub.services)); err != nil {
		return err
	}
	zone, err := d.makeZone(ctx, hubDomain, d.world.consumer.vpc)
	if err != nil {
		return err
	}
	var records []change
	for _, s := range d.hub.services {
		records = append(records, upsert(s.standard(), "CNAME", recordTTL, d.merger.names[d.merger.children[s.child()]]))
	}
	records = append(records, upsert("wrong."+hubDomain, "CNAME", recordTTL, d.merger.names[d.merger.children[d.hub.services[0].child()]]))
	if err := d.changeRecords(ctx, zone, records...); err != nil {
		return err
	}
	d.screen.done("%s has three names, and a fourth one that is wrong", hubDomain)
	return nil
}

// openWithNames has the second consumer take the names that the group's children have, and
// read what the first one stored.
func (d *demo) openWithNames(ctx context.Context) error {
	if err := d.makeHubConsumer(ctx); err != nil {
		return err
	}
	if err := d.openHub(ctx, true, &ec2.DnsOptionsSpecification{
		PrivateDnsPreference: new("SPECIFIED_DOMAINS_ONLY"), PrivateDnsSpecifiedDomains: []string{"*." + hubDomain},
	}); err != nil {
		return err
	}
	err := d.awaitAssociations(ctx, func(all []ec2.VpcEndpointAssociation) bool {
		named := 0
		for _, a := range all {
			if a.PrivateDnsEntry != nil && a.PrivateDnsEntry.DnsName != nil {
				named++
			}
		}
		return named == len(d.hub.services)
	})
	if err != nil {
		return err
	}
	if err := d.awsSays(ctx, 1, storedWords, "s3", "cp", "s3://letters/first", "-"); err != nil {
		return err
	}
	d.screen.done("the same names and the same store, by private DNS")
	return nil
}

// countEndpoints counts the interface endpoints of the central VPC, and all others.
func (d *demo) countEndpoints(ctx context.Context) (interfaces, resources int, err error) {
	out, err := call[ec2.DescribeVpcEndpointsOutput](ctx, d, ec2.Service, "DescribeVpcEndpoints", &ec2.DescribeVpcEndpointsInput{})
	if err != nil {
		return 0, 0, err
	}
	for _, e := range out.VpcEndpoints {
		if *e.VpcEndpointType == ec2.VpcEndpointTypeInterface && *e.VpcId == d.hub.central.vpc {
			interfaces++
		} else {
			resources++
		}
	}
	return interfaces, resources, nil
}

// endpointOf gives the interface endpoint of a service.
func (d *demo) endpointOf(label string) (string, error) {
	for _, s := range d.hub.services {
		if s.label == label {
			return s.endpoint, nil
		}
	}
	return "", fmt.Errorf("the hub has no service %s", label)
}
