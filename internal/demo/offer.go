// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"fmt"
	"strings"

	"github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/aws/shape/route53"
	"github.com/posternhq/postern/internal/aws/shape/vpclattice"
	"github.com/posternhq/postern/test/instance"
)

// nameHosts switches on what private zones need besides the support that VPCs have.
func (d *demo) nameHosts(ctx context.Context, vpc string) error {
	_, err := call[ec2.ModifyVpcAttributeOutput](ctx, d, ec2.Service, "ModifyVpcAttribute",
		&ec2.ModifyVpcAttributeInput{VpcId: &vpc, EnableDnsHostnames: &ec2.AttributeBooleanValue{Value: new(true)}})
	return err
}

func (d *demo) makeZone(ctx context.Context, name, vpc string) (id string, err error) {
	out, err := call[route53.CreateHostedZoneOutput](ctx, d, route53.Service, "CreateHostedZone", &route53.CreateHostedZoneInput{
		Name: &name, CallerReference: new(name + " in " + vpc), VPC: &route53.VPC{VPCRegion: new("us-east-1"), VPCId: &vpc},
	})
	if err != nil {
		return "", err
	}
	return strings.TrimPrefix(*out.HostedZone.Id, "/hostedzone/"), nil
}

// change is one of a batch.
type change = route53.Change

func upsert(name, kind string, ttl int64, value string) change {
	return change{Action: new("UPSERT"), ResourceRecordSet: &route53.ResourceRecordSet{
		Name: &name, Type: &kind, TTL: &ttl, ResourceRecords: []route53.ResourceRecord{{Value: &value}},
	}}
}

// changeRecords changes records of a zone and waits until every resolver has them.
func (d *demo) changeRecords(ctx context.Context, zone string, changes ...change) error {
	out, err := call[route53.ChangeResourceRecordSetsOutput](ctx, d, route53.Service, "ChangeResourceRecordSets",
		&route53.ChangeResourceRecordSetsInput{HostedZoneId: &zone, ChangeBatch: &route53.ChangeBatch{Changes: changes}})
	if err != nil {
		return err
	}
	id := strings.TrimPrefix(*out.ChangeInfo.Id, "/change/")
	return waitFor(ctx, d.postern.Process(), "the change of "+zone, settled, func() (bool, error) {
		got, err := quietly[route53.GetChangeOutput](ctx, d, route53.Service, "GetChange", &route53.GetChangeInput{Id: &id})
		if err != nil {
			return false, err
		}
		return *got.ChangeInfo.Status == route53.ChangeStatusInsync, nil
	})
}

// makeInVPCGateway makes a gateway that resolves names as its VPC does.
func (d *demo) makeInVPCGateway(ctx context.Context) error {
	out, err := call[vpclattice.CreateResourceGatewayOutput](ctx, d, vpclattice.Service, "CreateResourceGateway",
		&vpclattice.CreateResourceGatewayInput{
			Name: new("merger-gateway"), VpcIdentifier: &d.world.provider.vpc, ResourceConfigDnsResolution: new(vpclattice.ResourceConfigDnsResolutionInVpc),
			SubnetIds: []string{d.world.provider.subnet}, SecurityGroupIds: []string{d.world.gatewayGroup},
		})
	if err != nil {
		return err
	}
	d.world.gateway = *out.Id
	return d.gatewayActive(ctx)
}

// makeConfigurationGroup makes a group whose children have names below a domain, if there
// is one.
func (d *demo) makeConfigurationGroup(ctx context.Context, name, domain string) error {
	in := &vpclattice.CreateResourceConfigurationInput{
		Name: &name, Type: new(vpclattice.ResourceConfigurationTypeGroup), ResourceGatewayIdentifier: &d.world.gateway,
	}
	if domain != "" {
		in.GroupDomain = &domain
	}
	out, err := call[vpclattice.CreateResourceConfigurationOutput](ctx, d, vpclattice.Service, "CreateResourceConfiguration", in)
	if err != nil {
		return err
	}
	d.merger.group, d.merger.groupARN, d.merger.children = *out.Id, *out.Arn, map[string]string{}
	return d.configurationActive(ctx, *out.Id)
}

func byAddress(address string) *vpclattice.ResourceConfigurationDefinition {
	return &vpclattice.ResourceConfigurationDefinition{IpResource: &vpclattice.IpResource{IpAddress: &address}}
}

func byName(name string) *vpclattice.ResourceConfigurationDefinition {
	return &vpclattice.ResourceConfigurationDefinition{DnsResource: &vpclattice.DnsResource{
		DomainName: &name, IpAddressType: new(vpclattice.ResourceConfigurationIpAddressTypeIpv4),
	}}
}

// makeChild puts a resource into the group, with a custom domain if it has one.
func (d *demo) makeChild(ctx context.Context, name, custom string, port int, where *vpclattice.ResourceConfigurationDefinition) error {
	in := &vpclattice.CreateResourceConfigurationInput{
		Name: &name, Type: new(vpclattice.ResourceConfigurationTypeChild), ResourceConfigurationGroupIdentifier: &d.merger.group,
		PortRanges: []string{fmt.Sprint(port)}, ResourceConfigurationDefinition: where,
	}
	if custom != "" {
		in.CustomDomainName = &custom
	}
	out, err := call[vpclattice.CreateResourceConfigurationOutput](ctx, d, vpclattice.Service, "CreateResourceConfiguration", in)
	if err != nil {
		return err
	}
	d.merger.children[name] = *out.Id
	return d.configurationActive(ctx, *out.Id)
}

func (d *demo) makeGroupEndpoint(ctx context.Context) error {
	out, err := call[ec2.CreateVpcEndpointOutput](ctx, d, ec2.Service, "CreateVpcEndpoint", &ec2.CreateVpcEndpointInput{
		VpcEndpointType: new(ec2.VpcEndpointTypeResource), VpcId: &d.world.consumer.vpc, SubnetIds: []string{d.world.consumer.subnet},
		SecurityGroupIds: []string{d.world.endpointGroup}, ResourceConfigurationArn: &d.merger.groupARN, PrivateDnsEnabled: new(true),
		DnsOptions: &ec2.DnsOptionsSpecification{PrivateDnsPreference: new("SPECIFIED_DOMAINS_ONLY"), PrivateDnsSpecifiedDomains: []string{databaseName}},
	})
	if err != nil {
		return err
	}
	d.world.endpoint = *out.VpcEndpoint.VpcEndpointId
	return nil
}

// findNames waits until the endpoint has so many names, and learns whose they are.
func (d *demo) findNames(ctx context.Context, n int) error {
	return d.awaitAssociations(ctx, func(all []ec2.VpcEndpointAssociation) bool {
		d.merger.names = map[string]string{}
		for _, a := range all {
			if a.DnsEntry == nil || a.DnsEntry.DnsName == nil {
				continue
			}
			_, child, _ := strings.Cut(*a.AssociatedResourceArn, "resourceconfiguration/")
			d.merger.names[child] = *a.DnsEntry.DnsName
		}
		return len(d.merger.names) == n
	})
}

// awaitAssociations waits until the endpoint's associations are as they should be.
func (d *demo) awaitAssociations(ctx context.Context, fit func([]ec2.VpcEndpointAssociation) bool) error {
	in := &ec2.DescribeVpcEndpointAssociationsInput{VpcEndpointIds: []string{d.world.endpoint}}
	d.screen.command(commandLine(ec2.Service, "DescribeVpcEndpointAssociations", in))
	return instance.Poll(ctx, settled, "names of "+d.world.endpoint, func() (bool, error) {
		out, err := quietly[ec2.DescribeVpcEndpointAssociationsOutput](ctx, d, ec2.Service, "DescribeVpcEndpointAssociations", in)
		return err == nil && fit(out.VpcEndpointAssociations), err
	})
}
