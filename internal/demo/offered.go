// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"slices"
	"strings"

	"github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/aws/shape/vpclattice"
)

// offered is a database of the vendor's, and what it is offered by.
type offered struct {
	name, arn string
	// names are those that clients ask by: a cluster's writer and reader, an instance itself.
	names []string
	// children is how many names are offered: of a cluster also that of each server.
	children                        int
	configuration, configurationARN string
	// child gives the ARN of what is offered under a name.
	child map[string]string
}

// offerDatabases offers both databases by one gateway, in one share.
func (d *demo) offerDatabases(ctx context.Context) error {
	h := &d.hosted
	d.actAsRoot(h.vendor)
	if err := d.makeGateway(ctx, h.zones[1:]...); err != nil {
		return err
	}
	var all []string
	for _, o := range []*offered{h.cluster, h.stock} {
		if err := d.offerDatabase(ctx, o); err != nil {
			return err
		}
		all = append(all, o.configurationARN)
	}
	var err error
	if h.share, err = d.share(ctx, "databases", all, h.consumer); err != nil {
		return err
	}
	d.screen.done("both are offered to the consumer, who is invited")
	return nil
}

// offerDatabase makes the resource configuration of a database, and shows its children.
func (d *demo) offerDatabase(ctx context.Context, o *offered) error {
	out, err := call[vpclattice.CreateResourceConfigurationOutput](ctx, d, vpclattice.Service, "CreateResourceConfiguration",
		&vpclattice.CreateResourceConfigurationInput{
			Name: &o.name, Type: new(vpclattice.ResourceConfigurationTypeArn), ResourceGatewayIdentifier: &d.world.gateway,
			ResourceConfigurationDefinition: &vpclattice.ResourceConfigurationDefinition{ArnResource: &vpclattice.ArnResource{Arn: &o.arn}},
		})
	if err != nil {
		return err
	}
	o.configuration, o.configurationARN = *out.Id, *out.Arn
	if err := d.configurationActive(ctx, o.configuration); err != nil {
		return err
	}
	names, err := d.findChildren(ctx, o)
	if err != nil {
		return err
	}
	d.screen.say(strings.Join(names, "\n"))
	what := "one child"
	if o.children > 1 {
		what = "a child for the writer, the readers, and each server"
	}
	d.screen.done("%s has %s, which Postern makes and removes", o.name, what)
	return nil
}

// findChildren waits until there is a child for each name of a database, and tells what
// they are called.
func (d *demo) findChildren(ctx context.Context, o *offered) (names []string, err error) {
	in := &vpclattice.ListResourceConfigurationsInput{ResourceConfigurationGroupIdentifier: &o.configuration}
	d.screen.command(commandLine(vpclattice.Service, "ListResourceConfigurations", in))
	err = waitFor(ctx, d.postern.Process(), "the children of "+o.configuration, settled, func() (bool, error) {
		got, err := quietly[vpclattice.ListResourceConfigurationsOutput](ctx, d, vpclattice.Service, "ListResourceConfigurations", in)
		if err != nil {
			return false, err
		}
		names = nil
		for _, c := range got.Items {
			if *c.Status == vpclattice.ResourceConfigurationStatusActive {
				names = append(names, *c.Name)
			}
		}
		return len(names) == o.children, nil
	})
	slices.Sort(names)
	return names, err
}

func (d *demo) openDatabases(ctx context.Context) error {
	h := &d.hosted
	d.actAsRoot(h.consumer)
	if err := d.accept(ctx, h.consumer, h.share); err != nil {
		return err
	}
	var names []string
	for _, o := range []*offered{h.cluster, h.stock} {
		if err := d.openPrivate(ctx, o); err != nil {
			return err
		}
		names = append(names, o.names...)
	}
	d.screen.done("in the consumer's VPC, and in no other one, there are the names\n     %s", strings.Join(names, "\n     "))
	return nil
}

// openPrivate makes an endpoint to a database by its own names, and learns what is offered
// under each.
func (d *demo) openPrivate(ctx context.Context, o *offered) error {
	if err := d.openDatabase(ctx, d.hosted.consumer, o, true); err != nil {
		return err
	}
	o.child = map[string]string{}
	return d.awaitAssociations(ctx, func(all []ec2.VpcEndpointAssociation) bool {
		for _, a := range all {
			if a.PrivateDnsEntry != nil {
				o.child[text(a.PrivateDnsEntry.DnsName)] = text(a.AssociatedResourceArn)
			}
		}
		return !slices.ContainsFunc(o.names, func(name string) bool { return o.child[name] == "" })
	})
}

// openPlain makes an endpoint to a database without private DNS, and gives the endpoint's
// own name for what elsewhere is a name of the database.
func (d *demo) openPlain(ctx context.Context, o *offered, name string) (own string, err error) {
	if err := d.openDatabase(ctx, d.hosted.plain, o, false); err != nil {
		return "", err
	}
	err = d.awaitAssociations(ctx, func(all []ec2.VpcEndpointAssociation) bool {
		for _, a := range all {
			if text(a.AssociatedResourceArn) == o.child[name] && a.DnsEntry != nil {
				own = text(a.DnsEntry.DnsName)
			}
		}
		return own != ""
	})
	return own, err
}

// openDatabase makes an endpoint to all that the vendor offers for a database, in the
// network of whose turn it is.
func (d *demo) openDatabase(ctx context.Context, t *tenant, o *offered, private bool) error {
	out, err := call[ec2.CreateVpcEndpointOutput](ctx, d, ec2.Service, "CreateVpcEndpoint", &ec2.CreateVpcEndpointInput{
		VpcEndpointType: new(ec2.VpcEndpointTypeResource), VpcId: &d.world.consumer.vpc, SubnetIds: []string{d.world.consumer.subnet},
		SecurityGroupIds: []string{d.world.endpointGroup}, ResourceConfigurationArn: &o.configurationARN, PrivateDnsEnabled: &private,
	})
	if err != nil {
		return err
	}
	d.world.endpoint = *out.VpcEndpoint.VpcEndpointId
	d.hosted.opened[t] = append(d.hosted.opened[t], d.world.endpoint)
	return d.endpointAvailable(ctx)
}
