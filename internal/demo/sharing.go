// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/posternhq/postern/internal/aws/shape/cloudtrail"
	"github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/aws/shape/ram"
	"github.com/posternhq/postern/internal/aws/shape/vpclattice"
	"github.com/posternhq/postern/internal/client"
)

// servicePort is where the vendor's service is asked.
const servicePort = 80

// servicePage is what customers ask for.
const servicePage = "http://" + endpointAddress + "/"

func (d *demo) offerService(ctx context.Context) error {
	d.actAsRoot(d.tenancy.vendor)
	if err := d.startWeb(ctx, databaseAddress, vendorPage); err != nil {
		return err
	}
	if err := d.makeGateway(ctx); err != nil {
		return err
	}
	if err := d.makeConfiguration(ctx, "service", servicePort); err != nil {
		return err
	}
	d.screen.done("%s is offered, to nobody yet", d.world.configuration)
	return nil
}

func (d *demo) shareService(ctx context.Context) error {
	y := &d.tenancy
	d.actAsRoot(y.vendor)
	var err error
	if y.shareARN, err = d.share(ctx, "service", []string{y.vendor.world.configurationARN}, y.customers...); err != nil {
		return err
	}
	d.screen.done("%s is shared with %d accounts", y.vendor.world.configuration, len(y.customers))
	return nil
}

// share shares resources with accounts, which are invited.
func (d *demo) share(ctx context.Context, name string, resources []string, with ...*tenant) (arn string, err error) {
	in := &ram.CreateResourceShareInput{Name: &name, ResourceArns: resources, AllowExternalPrincipals: new(true)}
	for _, t := range with {
		in.Principals = append(in.Principals, t.account)
	}
	out, err := call[ram.CreateResourceShareOutput](ctx, d, ram.Service, "CreateResourceShare", in)
	if err != nil {
		return "", err
	}
	return *out.ResourceShare.ResourceShareArn, nil
}

// accept accepts the one invitation to a share.
func (d *demo) accept(ctx context.Context, t *tenant, share string) error {
	invitations, err := call[ram.GetResourceShareInvitationsOutput](ctx, d, ram.Service, "GetResourceShareInvitations",
		&ram.GetResourceShareInvitationsInput{ResourceShareArns: []string{share}})
	if err != nil {
		return err
	}
	if n := len(invitations.ResourceShareInvitations); n != 1 {
		return fmt.Errorf("%s has %d invitations, want 1", t.name, n)
	}
	_, err = call[ram.AcceptResourceShareInvitationOutput](ctx, d, ram.Service, "AcceptResourceShareInvitation",
		&ram.AcceptResourceShareInvitationInput{ResourceShareInvitationArn: invitations.ResourceShareInvitations[0].ResourceShareInvitationArn})
	return err
}

// open makes a customer's endpoint to the vendor's configuration.
func (d *demo) open(ctx context.Context) error {
	d.world.configurationARN = d.tenancy.vendor.world.configurationARN
	return d.makeEndpoint(ctx)
}

// sealedReason is what EC2's denials end with: the reason, for DecodeAuthorizationMessage.
const sealedReason = "Encoded authorization failure message: "

// refused wants a call to have been refused, and shows in which words.
func (d *demo) refused(err error, what string) error {
	var refusal *client.Error
	switch {
	case err == nil:
		return fmt.Errorf("%s was allowed", what)
	case !errors.As(err, &refusal), refusal.Status >= 500:
		return err
	}
	words, _, sealed := strings.Cut(refusal.Error(), sealedReason)
	if sealed {
		words += sealedReason + "…"
	}
	d.screen.say(words)
	return nil
}

func (d *demo) showNotAccepted(ctx context.Context) error {
	t := d.tenancy.customers[0]
	d.act(t, t.operator, "as "+operatorRole)
	if err := d.refused(d.open(ctx), "an endpoint before the share is accepted"); err != nil {
		return err
	}
	d.screen.done("an invitation alone opens nothing")
	return nil
}

func (d *demo) acceptShares(ctx context.Context) error {
	for _, t := range d.tenancy.customers {
		d.act(t, t.operator, "as "+operatorRole)
		if err := d.accept(ctx, t, d.tenancy.shareARN); err != nil {
			return err
		}
		if err := d.open(ctx); err != nil {
			return err
		}
		if err := d.endpointAvailable(ctx); err != nil {
			return err
		}
	}
	d.screen.done("three endpoints, each %s in its own VPC", endpointAddress)
	return nil
}

func (d *demo) endpointAvailable(ctx context.Context) error {
	return waitFor(ctx, d.postern.Process(), d.world.endpoint, settled, func() (bool, error) {
		got, err := quietly[ec2.DescribeVpcEndpointsOutput](ctx, d, ec2.Service, "DescribeVpcEndpoints",
			&ec2.DescribeVpcEndpointsInput{VpcEndpointIds: []string{d.world.endpoint}})
		if err != nil {
			return false, err
		}
		return active(d.world.endpoint, strings.ToLower(*got.VpcEndpoints[0].State), "available", "pending")
	})
}

// reachService asks once for each customer, and leaves a client of each that goes on asking.
func (d *demo) reachService(ctx context.Context) error {
	for _, t := range d.tenancy.customers {
		if err := d.served(ctx, t); err != nil {
			return err
		}
		var err error
		if t.keeping, err = d.start("the client of "+t.name, d.workload(t.world.consumer.subnet, t.world.clientGroup, t.world.client, d.config.Self, "keep", servicePage)); err != nil {
			return err
		}
		if err := says(ctx, t.keeping.Process, askingLine, t.keeping.Name, settled); err != nil {
			return err
		}
	}
	d.screen.done("all three are served, and a client of each goes on asking")
	return nil
}

func (d *demo) showStranger(ctx context.Context) error {
	t := d.tenancy.stranger
	d.actAsRoot(t)
	if err := d.refused(d.open(ctx), "a stranger's endpoint"); err != nil {
		return err
	}
	arn := &d.tenancy.vendor.world.configurationARN
	_, err := call[vpclattice.GetResourceConfigurationOutput](ctx, d, vpclattice.Service, "GetResourceConfiguration",
		&vpclattice.GetResourceConfigurationInput{ResourceConfigurationIdentifier: arn})
	if err := d.refused(err, "a stranger's look at the configuration"); err != nil {
		return err
	}
	d.screen.done("no endpoint, and no word about the configuration")
	return nil
}

func (d *demo) showOperatorLimits(ctx context.Context) error {
	t := d.tenancy.customers[0]
	d.act(t, t.operator, "as "+operatorRole)
	_, err := call[ec2.DeleteVpcOutput](ctx, d, ec2.Service, "DeleteVpc", &ec2.DeleteVpcInput{VpcId: &t.world.consumer.vpc})
	return d.refused(err, "the deletion of a VPC by the operator")
}

func (d *demo) showReader(ctx context.Context) error {
	t := d.tenancy.customers[0]
	d.act(t, t.reader, "as user "+readerUser)
	got, err := call[ec2.DescribeVpcEndpointsOutput](ctx, d, ec2.Service, "DescribeVpcEndpoints", &ec2.DescribeVpcEndpointsInput{})
	if err != nil {
		return err
	}
	if len(got.VpcEndpoints) != 1 {
		return fmt.Errorf("%s sees %d endpoints, want 1", readerUser, len(got.VpcEndpoints))
	}
	d.screen.say(*got.VpcEndpoints[0].VpcEndpointId + " is " + *got.VpcEndpoints[0].State)
	_, err = call[ec2.DeleteVpcEndpointsOutput](ctx, d, ec2.Service, "DeleteVpcEndpoints",
		&ec2.DeleteVpcEndpointsInput{VpcEndpointIds: []string{t.world.endpoint}})
	return d.refused(err, "the deletion of an endpoint by a reader")
}

func (d *demo) unshareBeta(ctx context.Context) error {
	beta := d.tenancy.customers[1]
	d.actAsRoot(d.tenancy.vendor)
	if _, err := call[ram.DisassociateResourceShareOutput](ctx, d, ram.Service, "DisassociateResourceShare",
		&ram.DisassociateResourceShareInput{ResourceShareArn: &d.tenancy.shareARN, Principals: []string{beta.account}}); err != nil {
		return err
	}
	d.act(beta, beta.operator, "as "+operatorRole)
	_, err := call[ec2.CreateVpcEndpointOutput](ctx, d, ec2.Service, "CreateVpcEndpoint", &ec2.CreateVpcEndpointInput{
		VpcEndpointType: new(ec2.VpcEndpointTypeResource), VpcId: &beta.world.consumer.vpc, SubnetIds: []string{beta.world.consumer.subnet},
		ResourceConfigurationArn: &d.tenancy.vendor.world.configurationARN,
	})
	if err := d.refused(err, "a second endpoint after the share was taken back"); err != nil {
		return err
	}
	if err := d.served(ctx, beta); err != nil {
		return err
	}
	d.screen.done("beta is served as before, and opens nothing new")
	return nil
}

// served wants a customer to be answered by a new connection.
func (d *demo) served(ctx context.Context, t *tenant) error {
	d.actAsRoot(t)
	page, status, err := d.inConsumer(ctx, "curl "+servicePage, d.config.Self, "get", servicePage)
	if err != nil {
		return err
	}
	if status != 0 || strings.TrimSpace(page) != vendorPage {
		return fmt.Errorf("%s's request ended with status %d and said %q, want %q", t.name, status, page, vendorPage)
	}
	d.screen.say(strings.TrimSpace(page))
	return nil
}

func (d *demo) cutGamma(ctx context.Context) error {
	y := &d.tenancy
	gamma := y.customers[2]
	d.actAsRoot(y.vendor)
	list, err := call[vpclattice.ListResourceEndpointAssociationsOutput](ctx, d, vpclattice.Service, "ListResourceEndpointAssociations",
		&vpclattice.ListResourceEndpointAssociationsInput{ResourceConfigurationIdentifier: &y.vendor.world.configuration})
	if err != nil {
		return err
	}
	for _, a := range list.Items {
		if *a.VpcEndpointOwner != gamma.account {
			continue
		}
		if _, err := call[vpclattice.DeleteResourceEndpointAssociationOutput](ctx, d, vpclattice.Service, "DeleteResourceEndpointAssociation",
			&vpclattice.DeleteResourceEndpointAssociationInput{ResourceEndpointAssociationIdentifier: a.Id}); err != nil {
			return err
		}
	}
	d.actAsRoot(gamma)
	if err := d.endsUnserved(ctx); err != nil {
		return err
	}
	d.screen.done("gamma is refused")
	for _, t := range y.customers[:2] {
		if err := d.countKept(t.keeping, "the client of "+t.name); err != nil {
			return err
		}
	}
	return nil
}

// endsUnserved asks until nobody answers any more.
func (d *demo) endsUnserved(ctx context.Context) error {
	d.showProgram(d.world.consumer.subnet, d.world.clientGroup, d.world.client, "curl "+servicePage)
	return waitFor(ctx, d.postern.Process(), "the end of "+d.world.endpoint, settled, func() (bool, error) {
		_, status, err := run(ctx, d.workload(d.world.consumer.subnet, d.world.clientGroup, d.world.client, d.config.Self, "get", servicePage))
		return status != 0, err
	})
}

// trailOf are the calls that the story looks for at its end, of whom.
var trailOf = []struct {
	tenant func(*tenancy) *tenant
	call   string
}{
	{func(y *tenancy) *tenant { return y.vendor }, "CreateResourceShare"},
	{func(y *tenancy) *tenant { return y.customers[0] }, "AcceptResourceShareInvitation"},
	{func(y *tenancy) *tenant { return y.customers[0] }, "DeleteVpc"},
	{func(y *tenancy) *tenant { return y.vendor }, "DeleteResourceEndpointAssociation"},
}

func (d *demo) showTrail(ctx context.Context) error {
	for _, want := range trailOf {
		t := want.tenant(&d.tenancy)
		d.actAsRoot(t)
		got, err := call[cloudtrail.LookupEventsOutput](ctx, d, cloudtrail.Service, "LookupEvents", &cloudtrail.LookupEventsInput{
			LookupAttributes: []cloudtrail.LookupAttribute{{AttributeKey: new("EventName"), AttributeValue: &want.call}},
		})
		if err != nil {
			return err
		}
		if len(got.Events) == 0 {
			return fmt.Errorf("%s's trail has no %s", t.name, want.call)
		}
		e := got.Events[0]
		d.screen.say(fmt.Sprintf("%s  %s by %s", e.EventTime.UTC().Format("15:04:05"), *e.EventName, text(e.Username)))
	}
	d.screen.done("who did what, of each account for itself; refusals too")
	return nil
}

// text is what a field says, or nothing.
func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
