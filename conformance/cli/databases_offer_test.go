// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"testing"
)

// TestDatabaseOffer registers a database, offers it by the ARN that RDS tells, and uses it
// from another VPC by its own names.
func TestDatabaseOffer(t *testing.T) {
	t.Parallel()
	c := newTerminal(t, server.NewAccount(t))
	vpc, subnet := c.network()
	c.refused("ValidationException", "postern register-database --identifier shop --engine mysql --ask postgres --vpc-id %s --port 5432 --members address=10.0.1.20", vpc)
	c.ok("postern register-database --identifier shop --engine postgres --ask tcp --vpc-id %s --port 5432 --members address=10.0.1.20 --writer-name pg.prod.internal", vpc).
		is("writerName", "pg.prod.internal")
	c.refused("ValidationException", "postern update-registered-database --identifier shop --rest-port 8008")
	c.ok("postern update-registered-database --identifier shop --max-lag 1048576").is("identifier", "shop")
	c.ok("postern list-registered-databases").has("databases", 1)
	cluster := c.ok("rds describe-db-clusters --db-cluster-identifier shop").at("DBClusters.0.DBClusterArn")
	instance := c.ok("rds describe-db-instances --db-instance-identifier shop-1").at("DBInstances.0.DBInstanceArn")
	c.refused("InvalidDBClusterStateFault", "rds delete-db-cluster --db-cluster-identifier shop --skip-final-snapshot")

	inside := c.ok("vpc-lattice create-resource-gateway --name inside --vpc-identifier %s --subnet-ids %s --resource-config-dns-resolution IN_VPC", vpc, subnet).at("id")
	gateway := c.ok("vpc-lattice create-resource-gateway --name gate --vpc-identifier %s --subnet-ids %s", vpc, subnet).at("id")
	const create = "vpc-lattice create-resource-configuration --name shop --type ARN --resource-gateway-identifier %s --resource-configuration-definition arnResource={arn=%s}"
	c.refused("ValidationException", create, inside, cluster)
	c.refused("ValidationException", create+" --port-ranges 5432", gateway, cluster)
	c.refused("ResourceNotFoundException", create, gateway, cluster+"x")
	made := c.ok(create, gateway, cluster)
	made.is("resourceConfigurationDefinition.arnResource.arn", cluster)
	id := made.at("id")
	c.await("status", "ACTIVE", "vpc-lattice get-resource-configuration --resource-configuration-identifier %s", id)
	c.await("items.2.amazonManaged", "true", "vpc-lattice list-resource-configurations --resource-configuration-group-identifier %s", id)
	child := c.ok("vpc-lattice list-resource-configurations --resource-configuration-group-identifier %s", id).at("items.0.id")
	c.ok("vpc-lattice get-resource-configuration --resource-configuration-identifier %s", child).is("portRanges.0", "5432")
	c.refused("ValidationException", "vpc-lattice delete-resource-configuration --resource-configuration-identifier %s", child)
	c.refused("ValidationException", "vpc-lattice update-resource-configuration --resource-configuration-identifier %s --resource-configuration-definition arnResource={arn=%s}", id, instance)
	c.ok("vpc-lattice update-resource-configuration --resource-configuration-identifier %s --resource-configuration-definition arnResource={arn=%s}", id, cluster)

	consumer, here := c.network()
	endpoint := c.ok("ec2 create-vpc-endpoint --vpc-endpoint-type Resource --vpc-id %s --subnet-ids %s --resource-configuration-arn %s", consumer, here, made.at("arn")).at("VpcEndpoint.VpcEndpointId")
	c.await("VpcEndpoints.0.State", "available", "ec2 describe-vpc-endpoints --vpc-endpoint-ids %s", endpoint)
	c.ok("ec2 describe-vpc-endpoint-associations --vpc-endpoint-ids %s", endpoint).has("VpcEndpointAssociations", 3)
	c.refused("ConflictException", "vpc-lattice delete-resource-configuration --resource-configuration-identifier %s", id)

	c.ok("postern deregister-database --identifier shop").is("arn", cluster)
	c.await("status", "UPDATE_FAILED", "vpc-lattice get-resource-configuration --resource-configuration-identifier %s", id)
	c.ok("ec2 delete-vpc-endpoints --vpc-endpoint-ids %s", endpoint)
	c.awaitGone("InvalidVpcEndpointId.NotFound", "ec2 describe-vpc-endpoints --vpc-endpoint-ids %s", endpoint)
	c.ok("vpc-lattice delete-resource-configuration --resource-configuration-identifier %s", id)
	c.awaitGone("ResourceNotFoundException", "vpc-lattice get-resource-configuration --resource-configuration-identifier %s", id)
}
