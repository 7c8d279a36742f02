// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"strings"
	"testing"
)

// postgres gives the major version of PostgreSQL that is installed; without one the test
// ends.
func (c *terminal) postgres() string {
	c.t.Helper()
	versions := c.ok("rds describe-db-engine-versions --engine postgres --default-only")
	if versions.at("DBEngineVersions") == "[]" {
		c.t.Skip("no PostgreSQL is installed here")
	}
	return versions.at("DBEngineVersions.0.MajorEngineVersion")
}

// subnetGroup makes a VPC with a group of two subnets for databases.
func (c *terminal) subnetGroup(name string) (vpc string) {
	c.t.Helper()
	vpc = c.ok("ec2 create-vpc --cidr-block 10.0.0.0/16").at("Vpc.VpcId")
	one := c.ok("ec2 create-subnet --vpc-id %s --cidr-block 10.0.1.0/24 --availability-zone us-east-1a", vpc).at("Subnet.SubnetId")
	two := c.ok("ec2 create-subnet --vpc-id %s --cidr-block 10.0.2.0/24 --availability-zone us-east-1b", vpc).at("Subnet.SubnetId")
	c.ok("rds create-db-subnet-group --db-subnet-group-name %s --db-subnet-group-description of-two --subnet-ids %s %s", name, one, two)
	return vpc
}

// TestParametersOfDatabases sets parameters of groups of both kinds.
func TestParametersOfDatabases(t *testing.T) {
	t.Parallel()
	c := newAccount(t)
	major := c.postgres()
	for _, kind := range []struct{ command, option, family, list, arn string }{
		{"parameter-group", "--db-parameter-group-name", "postgres" + major, "DBParameterGroups", "pg"},
		{"cluster-parameter-group", "--db-cluster-parameter-group-name", "aurora-postgresql" + major, "DBClusterParameterGroups", "cluster-pg"},
	} {
		group, noun := kind.option+" orders", strings.TrimSuffix(strings.TrimPrefix(kind.option, "--"), "-name")
		parameters := strings.TrimSuffix(kind.command, "-group") + "s"
		c.ok("rds create-db-%s %s --db-parameter-group-family %s --description mine --tags Key=team,Value=shop", kind.command, group, kind.family)
		c.ok("rds modify-db-%s %s --parameters ParameterName=work_mem,ParameterValue=8192,ApplyMethod=immediate", kind.command, group)
		own := c.ok("rds describe-db-%s %s --source user", parameters, group)
		own.has("Parameters", 1)
		own.is("Parameters.0.ParameterValue", "8192")
		c.ok("rds copy-db-%s --source-%s-identifier orders --target-%s-identifier copy --target-%s-description like-it", kind.command, noun, noun, noun)
		c.ok("rds reset-db-%s %s --reset-all-parameters", kind.command, group)
		c.ok("rds describe-db-%s %s --source user", parameters, group).has("Parameters", 0)
		c.ok("rds describe-db-%s %s copy --source user", parameters, kind.option).has("Parameters", 1)
		c.refused("InvalidParameterValue", "rds modify-db-%s %s --parameters ParameterName=data_directory,ParameterValue=/,ApplyMethod=immediate", kind.command, group)
		c.refused("InvalidDBParameterGroupState", "rds delete-db-%s %s default.%s", kind.command, kind.option, kind.family)
		shown := c.ok("rds describe-db-%ss %s", kind.command, group)
		shown.has(kind.list, 1)
		arn := "arn:aws:rds:us-east-1:" + c.account() + ":" + kind.arn + ":orders"
		c.ok("rds list-tags-for-resource --resource-name %s", arn).is("TagList.0.Value", "shop")
		c.ok("rds add-tags-to-resource --resource-name %s --tags Key=stage,Value=test", arn)
		c.ok("rds remove-tags-from-resource --resource-name %s --tag-keys team", arn)
		c.ok("rds list-tags-for-resource --resource-name %s", arn).is("TagList.0.Key", "stage")
		c.ok("rds delete-db-%s %s", kind.command, group)
		c.refused("DBParameterGroupNotFound", "rds describe-db-%ss %s", kind.command, group)
	}
	c.ok("rds describe-engine-default-parameters --db-parameter-group-family postgres%s", major).is("EngineDefaults.Parameters.0.Source", "engine-default")
	c.ok("rds describe-engine-default-cluster-parameters --db-parameter-group-family aurora-postgresql%s", major).is("EngineDefaults.Parameters.0.SupportedEngineModes.0", "provisioned")
}

// account gives the account of whoever types.
func (c *terminal) account() string {
	c.t.Helper()
	return c.ok("sts get-caller-identity").at("Account")
}

// TestCatalogueOfDatabases asks what there is.
func TestCatalogueOfDatabases(t *testing.T) {
	t.Parallel()
	c := newAccount(t)
	major := c.postgres()
	orders := c.ok("rds describe-orderable-db-instance-options --engine postgres --db-instance-class db.t3.micro --max-items 1")
	orders.is("OrderableDBInstanceOptions.0.DBInstanceClass", "db.t3.micro")
	c.ok("rds describe-certificates --certificate-identifier rds-ca-rsa2048-g1").is("Certificates.0.CertificateIdentifier", "rds-ca-rsa2048-g1")
	ca := c.ok("rds describe-certificates").at("Certificates.0.Thumbprint")
	c.ok("postern get-certificate-authority").is("thumbprint", ca)
	c.refused("CertificateNotFound", "rds describe-certificates --certificate-identifier rds-ca-2015")
	c.ok("rds describe-option-groups --engine-name postgres").is("OptionGroupsList.0.MajorEngineVersion", major)
	c.ok("rds describe-account-attributes").is("AccountQuotas.0.AccountQuotaName", "DBInstances")
	c.ok("rds describe-event-categories --source-type db-cluster").has("EventCategoriesMapList", 1)
	c.ok("rds describe-source-regions").has("SourceRegions", 0)
	c.ok("rds describe-reserved-db-instances").has("ReservedDBInstances", 0)
	c.ok("rds describe-event-subscriptions").has("EventSubscriptionsList", 0)
}

// TestLogsAndNames waits for an instance as scripts do, reads its log, and gives a cluster a
// name.
func TestLogsAndNames(t *testing.T) {
	t.Parallel()
	c := newAccount(t)
	c.postgres()
	c.subnetGroup("nets")
	c.ok("rds create-db-cluster --db-cluster-identifier orders --engine aurora-postgresql --master-username boss --master-user-password secret-of-boss --db-subnet-group-name nets")
	c.ok("rds create-db-instance --db-instance-identifier orders-1 --db-cluster-identifier orders --engine aurora-postgresql --db-instance-class db.t4g.medium")
	made := c.ok("rds create-db-cluster-endpoint --db-cluster-identifier orders --db-cluster-endpoint-identifier reports --endpoint-type ANY --static-members orders-1")
	made.is("StaticMembers.0", "orders-1")
	c.ok("rds modify-db-cluster-endpoint --db-cluster-endpoint-identifier reports --endpoint-type READER").is("CustomEndpointType", "READER")
	c.ok("rds describe-db-cluster-endpoints --db-cluster-identifier orders").has("DBClusterEndpoints", 3)
	c.await("DBInstances.0.DBInstanceStatus", "available", "rds describe-db-instances --db-instance-identifier orders-1")
	if r := c.run("rds wait db-instance-available --db-instance-identifier orders-1"); r.Status != 0 {
		t.Errorf("aws rds wait: %s", r.Stderr)
	}
	log := c.ok("rds describe-db-log-files --db-instance-identifier orders-1").at("DescribeDBLogFiles.0.LogFileName")
	if text := c.ok("rds download-db-log-file-portion --db-instance-identifier orders-1 --log-file-name %s --starting-token 0", log).at("LogFileData"); !strings.Contains(text, "ready to accept connections") {
		t.Errorf("the log is %q", text)
	}
	c.ok("rds describe-valid-db-instance-modifications --db-instance-identifier orders-1").has("ValidDBInstanceModificationsMessage.Storage", 0)
	if text := c.ok("rds describe-events --source-type db-instance --source-identifier orders-1").at("Events"); !strings.Contains(text, "created") {
		t.Errorf("events are %s", text)
	}
	c.ok("rds delete-db-cluster-endpoint --db-cluster-endpoint-identifier reports").is("Status", "deleting")
	c.ok("rds delete-db-instance --db-instance-identifier orders-1 --skip-final-snapshot")
	c.await("DBInstances", "[]", "rds describe-db-instances --filters Name=db-cluster-id,Values=orders")
	c.ok("rds delete-db-cluster --db-cluster-identifier orders --skip-final-snapshot")
	c.await("DBClusters", "[]", "rds describe-db-clusters --filters Name=db-cluster-id,Values=orders")
}
