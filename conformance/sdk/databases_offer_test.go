// SPDX-License-Identifier: Apache-2.0

package sdk

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice"
	lattice "github.com/aws/aws-sdk-go-v2/service/vpclattice/types"

	"github.com/posternhq/postern/conformance/harness"
	"github.com/posternhq/postern/test/child"
)

// database registers a database of one server in a VPC, and gives the ARN of the cluster
// that it is.
func (c *client) database(name, vpc, address string) string {
	c.t.Helper()
	environment := server.Environment("AWS_ENDPOINT_URL="+server.URL, "AWS_REGION="+harness.Region, "AWS_ACCESS_KEY_ID="+c.key.ID, "AWS_SECRET_ACCESS_KEY="+c.key.Secret)
	r := child.Exec(environment, server.Binary, "database", "register", name, "--vpc", vpc, "--port", "5432", "--ask", "tcp", "--member", address, "--writer", name+".prod.internal")
	if r.Status != 0 {
		c.t.Fatalf("register %s: status %d: %s", name, r.Status, r.Stderr)
	}
	return "arn:aws:rds:" + harness.Region + ":" + c.key.Account + ":cluster:" + name
}

// arnOf is a definition of a database.
func arnOf(arn string) lattice.ResourceConfigurationDefinition {
	return &lattice.ResourceConfigurationDefinitionMemberArnResource{Value: lattice.ArnResource{Arn: &arn}}
}

func TestDatabaseByARN(t *testing.T) {
	t.Parallel()
	c := newAccount(t)
	v := c.vpc("10.0.0.0/16")
	a := c.subnet(v, "10.0.1.0/24", "a")
	gateway, arn := c.gateway("gate", v, a), c.database("shop", v, "10.0.1.20")
	made := must(c.lattice.CreateResourceConfiguration(c.ctx, &vpclattice.CreateResourceConfigurationInput{
		Name: new("shop"), Type: lattice.ResourceConfigurationTypeArn, ResourceGatewayIdentifier: &gateway, ResourceConfigurationDefinition: arnOf(arn),
	}))(c)
	id := *made.Id
	got := c.awaitConfiguration(id)
	equal(t, "type", got.Type, lattice.ResourceConfigurationTypeArn)
	equal(t, "definition", got.ResourceConfigurationDefinition, arnOf(arn))
	equal(t, "managed", got.AmazonManaged, false)
	list := func() []lattice.ResourceConfigurationSummary {
		return must(c.lattice.ListResourceConfigurations(c.ctx, &vpclattice.ListResourceConfigurationsInput{ResourceConfigurationGroupIdentifier: &id}))(c).Items
	}
	for deadline := time.Now().Add(patience); len(list()) < 3 && time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		t.Log("not all children are there yet")
	}
	names := map[string]bool{}
	for _, child := range list() {
		equal(t, "managed", child.AmazonManaged, true)
		equal(t, "group", child.ResourceConfigurationGroupId, id)
		one := must(c.lattice.GetResourceConfiguration(c.ctx, &vpclattice.GetResourceConfigurationInput{ResourceConfigurationIdentifier: child.Id}))(c)
		equal(t, "ports", one.PortRanges, []string{"5432"})
		names[*one.ResourceConfigurationDefinition.(*lattice.ResourceConfigurationDefinitionMemberDnsResource).Value.DomainName] = true
		_, err := c.lattice.DeleteResourceConfiguration(c.ctx, &vpclattice.DeleteResourceConfigurationInput{ResourceConfigurationIdentifier: child.Id})
		refused(t, err, "ValidationException")
	}
	if len(names) != 3 || !names["shop.prod.internal"] {
		t.Errorf("the children are for %v", names)
	}

	consumer := c.vpc("10.0.0.0/16")
	here := c.subnet(consumer, "10.0.1.0/24", "a")
	endpoint := c.endpoint(consumer, *made.Arn, here)
	c.awaitEndpoint(endpoint)
	associations := must(c.ec2.DescribeVpcEndpointAssociations(c.ctx, &ec2.DescribeVpcEndpointAssociationsInput{VpcEndpointIds: []string{endpoint}}))(c).VpcEndpointAssociations
	equal(t, "associations", len(associations), 3)
	for _, a := range associations {
		equal(t, "group of an association", a.ResourceConfigurationGroupArn, *made.Arn)
	}
}
