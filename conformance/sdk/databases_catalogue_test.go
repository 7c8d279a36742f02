// SPDX-License-Identifier: Apache-2.0

package sdk

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"
)

// databases is the SDK's client of RDS.
func (c *client) databases() *rds.Client { return rds.NewFromConfig(c.config) }

// postgres gives the version of PostgreSQL that is installed, and its family of parameters;
// without one the test ends.
func (c *client) postgres() (version, major string) {
	c.t.Helper()
	out := must(c.databases().DescribeDBEngineVersions(c.ctx, &rds.DescribeDBEngineVersionsInput{Engine: new("postgres"), DefaultOnly: new(true)}))(c)
	if len(out.DBEngineVersions) != 1 {
		c.t.Skip("no PostgreSQL is installed here")
	}
	v := out.DBEngineVersions[0]
	return *v.EngineVersion, *v.MajorEngineVersion
}

// subnetGroup makes a VPC with a group of two subnets for databases, and gives their ids.
func (c *client) subnetGroup(name string) (vpc string, subnets []string) {
	c.t.Helper()
	vpc = c.vpc("10.0.0.0/16")
	subnets = []string{c.subnet(vpc, "10.0.1.0/24", "a"), c.subnet(vpc, "10.0.2.0/24", "b")}
	must(c.databases().CreateDBSubnetGroup(c.ctx, &rds.CreateDBSubnetGroupInput{DBSubnetGroupName: &name, DBSubnetGroupDescription: new("for " + name), SubnetIds: subnets}))(c)
	return vpc, subnets
}

// parametersOf gives what users have set in a list of parameters, by name.
func parametersOf(list []types.Parameter) map[string]string {
	all := map[string]string{}
	for _, p := range list {
		all[*p.ParameterName] = *p.ParameterValue + " " + string(p.ApplyMethod)
	}
	return all
}

func set(name, value string, method types.ApplyMethod) types.Parameter {
	return types.Parameter{ParameterName: &name, ParameterValue: &value, ApplyMethod: method}
}

// TestParameterGroups makes groups for instances and for clusters, sets, lists, resets and
// copies their parameters.
func TestParameterGroups(t *testing.T) {
	t.Parallel()
	c := newAccount(t)
	api := c.databases()
	_, major := c.postgres()
	family := "postgres" + major
	made := must(api.CreateDBParameterGroup(c.ctx, &rds.CreateDBParameterGroupInput{
		DBParameterGroupName: new("orders"), DBParameterGroupFamily: &family, Description: new("for orders"), Tags: []types.Tag{{Key: new("team"), Value: new("shop")}},
	}))(c).DBParameterGroup
	equal(t, "the group's ARN", *made.DBParameterGroupArn, "arn:aws:rds:us-east-1:"+c.key.Account+":pg:orders")
	must(api.ModifyDBParameterGroup(c.ctx, &rds.ModifyDBParameterGroupInput{
		DBParameterGroupName: new("orders"), Parameters: []types.Parameter{set("work_mem", "8192", types.ApplyMethodImmediate), set("max_connections", "50", types.ApplyMethodPendingReboot)},
	}))(c)
	mine := must(api.DescribeDBParameters(c.ctx, &rds.DescribeDBParametersInput{DBParameterGroupName: new("orders"), Source: new("user")}))(c)
	equal(t, "what users set", parametersOf(mine.Parameters), map[string]string{"max_connections": "50 pending-reboot", "work_mem": "8192 immediate"})
	must(api.CopyDBParameterGroup(c.ctx, &rds.CopyDBParameterGroupInput{
		SourceDBParameterGroupIdentifier: new("orders"), TargetDBParameterGroupIdentifier: new("copy"), TargetDBParameterGroupDescription: new("a copy"),
	}))(c)
	must(api.ResetDBParameterGroup(c.ctx, &rds.ResetDBParameterGroupInput{DBParameterGroupName: new("orders"), ResetAllParameters: new(true)}))(c)
	for name, want := range map[string]int{"orders": 0, "copy": 2} {
		own := must(api.DescribeDBParameters(c.ctx, &rds.DescribeDBParametersInput{DBParameterGroupName: &name, Source: new("user")}))(c)
		equal(t, "what "+name+" has", len(own.Parameters), want)
	}
	_, err := api.ModifyDBParameterGroup(c.ctx, &rds.ModifyDBParameterGroupInput{DBParameterGroupName: new("orders"), Parameters: []types.Parameter{set("data_directory", "/", types.ApplyMethodImmediate)}})
	refused(t, err, "InvalidParameterValue")
	var all []types.Parameter
	pages := rds.NewDescribeEngineDefaultParametersPaginator(api, &rds.DescribeEngineDefaultParametersInput{DBParameterGroupFamily: &family, MaxRecords: new(int32(20))})
	for pages.HasMorePages() {
		all = append(all, must(pages.NextPage(c.ctx))(c).EngineDefaults.Parameters...)
	}
	if len(all) < 20 || !slices.ContainsFunc(all, func(p types.Parameter) bool { return *p.ParameterName == "work_mem" }) {
		t.Errorf("%d parameters have defaults", len(all))
	}
	var names []string
	groups := rds.NewDescribeDBParameterGroupsPaginator(api, &rds.DescribeDBParameterGroupsInput{})
	for groups.HasMorePages() {
		for _, g := range must(groups.NextPage(c.ctx))(c).DBParameterGroups {
			names = append(names, *g.DBParameterGroupName)
		}
	}
	for _, want := range []string{"copy", "default." + family, "orders"} {
		if !slices.Contains(names, want) {
			t.Errorf("groups are %q, without %s", names, want)
		}
	}
	for _, name := range []string{"orders", "copy"} {
		must(api.DeleteDBParameterGroup(c.ctx, &rds.DeleteDBParameterGroupInput{DBParameterGroupName: &name}))(c)
	}
	_, err = api.DescribeDBParameterGroups(c.ctx, &rds.DescribeDBParameterGroupsInput{DBParameterGroupName: new("orders")})
	typed[*types.DBParameterGroupNotFoundFault](t, err)
}

// TestClusterParameterGroups is TestParameterGroups for clusters.
func TestClusterParameterGroups(t *testing.T) {
	t.Parallel()
	c := newAccount(t)
	api := c.databases()
	_, major := c.postgres()
	family := "aurora-postgresql" + major
	must(api.CreateDBClusterParameterGroup(c.ctx, &rds.CreateDBClusterParameterGroupInput{DBClusterParameterGroupName: new("orders"), DBParameterGroupFamily: &family, Description: new("for orders")}))(c)
	must(api.ModifyDBClusterParameterGroup(c.ctx, &rds.ModifyDBClusterParameterGroupInput{
		DBClusterParameterGroupName: new("orders"), Parameters: []types.Parameter{set("max_connections", "50", types.ApplyMethodPendingReboot), set("work_mem", "8192", types.ApplyMethodImmediate)},
	}))(c)
	must(api.ResetDBClusterParameterGroup(c.ctx, &rds.ResetDBClusterParameterGroupInput{
		DBClusterParameterGroupName: new("orders"), Parameters: []types.Parameter{{ParameterName: new("work_mem"), ApplyMethod: types.ApplyMethodImmediate}},
	}))(c)
	must(api.CopyDBClusterParameterGroup(c.ctx, &rds.CopyDBClusterParameterGroupInput{
		SourceDBClusterParameterGroupIdentifier: new("orders"), TargetDBClusterParameterGroupIdentifier: new("copy"), TargetDBClusterParameterGroupDescription: new("a copy"),
	}))(c)
	own := must(api.DescribeDBClusterParameters(c.ctx, &rds.DescribeDBClusterParametersInput{DBClusterParameterGroupName: new("copy"), Source: new("user")}))(c)
	equal(t, "what the copy has", parametersOf(own.Parameters), map[string]string{"max_connections": "50 pending-reboot"})
	defaults := must(api.DescribeEngineDefaultClusterParameters(c.ctx, &rds.DescribeEngineDefaultClusterParametersInput{DBParameterGroupFamily: &family}))(c)
	if len(defaults.EngineDefaults.Parameters) < 20 {
		t.Errorf("%d parameters have defaults", len(defaults.EngineDefaults.Parameters))
	}
	must(api.DeleteDBClusterParameterGroup(c.ctx, &rds.DeleteDBClusterParameterGroupInput{DBClusterParameterGroupName: new("copy")}))(c)
	groups := must(api.DescribeDBClusterParameterGroups(c.ctx, &rds.DescribeDBClusterParameterGroupsInput{}))(c)
	if !slices.ContainsFunc(groups.DBClusterParameterGroups, func(g types.DBClusterParameterGroup) bool { return *g.DBClusterParameterGroupName == "default."+family }) {
		t.Error("the default group is not listed")
	}
	_, err := api.DescribeDBClusterParameterGroups(c.ctx, &rds.DescribeDBClusterParameterGroupsInput{DBClusterParameterGroupName: new("copy")})
	typed[*types.DBParameterGroupNotFoundFault](t, err)
}

// TestCatalogueOfDatabases asks what there is: engines, what instances can be made of,
// certificates, options, quotas, and lists that are empty.
func TestCatalogueOfDatabases(t *testing.T) {
	t.Parallel()
	c := newAccount(t)
	api := c.databases()
	version, major := c.postgres()
	orders := rds.NewDescribeOrderableDBInstanceOptionsPaginator(api, &rds.DescribeOrderableDBInstanceOptionsInput{Engine: new("postgres"), EngineVersion: &version})
	classes := map[string]bool{}
	for orders.HasMorePages() {
		for _, o := range must(orders.NextPage(c.ctx))(c).OrderableDBInstanceOptions {
			classes[*o.DBInstanceClass] = true
		}
	}
	if !classes["db.t3.micro"] || classes["db.serverless"] {
		t.Errorf("instances can be of %d classes", len(classes))
	}
	ca := must(api.DescribeCertificates(c.ctx, &rds.DescribeCertificatesInput{CertificateIdentifier: new("rds-ca-rsa2048-g1")}))(c).Certificates
	if len(ca) != 1 || *ca[0].CertificateIdentifier != "rds-ca-rsa2048-g1" || !ca[0].ValidTill.After(time.Now()) {
		t.Errorf("the certificate authority is %+v", ca)
	}
	_, err := api.DescribeCertificates(c.ctx, &rds.DescribeCertificatesInput{CertificateIdentifier: new("rds-ca-2015")})
	typed[*types.CertificateNotFoundFault](t, err)
	options := must(api.DescribeOptionGroups(c.ctx, &rds.DescribeOptionGroupsInput{EngineName: new("postgres"), MajorEngineVersion: &major}))(c)
	equal(t, "the option group", *options.OptionGroupsList[0].OptionGroupName, "default:postgres-"+major)
	quotas := must(api.DescribeAccountAttributes(c.ctx, &rds.DescribeAccountAttributesInput{}))(c)
	if len(quotas.AccountQuotas) == 0 {
		t.Error("there are no quotas")
	}
	categories := must(api.DescribeEventCategories(c.ctx, &rds.DescribeEventCategoriesInput{SourceType: new("db-cluster")}))(c)
	if len(categories.EventCategoriesMapList) != 1 {
		t.Errorf("categories are %+v", categories)
	}
	equal(t, "regions", len(must(api.DescribeSourceRegions(c.ctx, &rds.DescribeSourceRegionsInput{}))(c).SourceRegions), 0)
	equal(t, "reserved instances", len(must(api.DescribeReservedDBInstances(c.ctx, &rds.DescribeReservedDBInstancesInput{}))(c).ReservedDBInstances), 0)
	equal(t, "subscriptions", len(must(api.DescribeEventSubscriptions(c.ctx, &rds.DescribeEventSubscriptionsInput{}))(c).EventSubscriptionsList), 0)
}

// TestClusterEndpoints gives a cluster names of its own, and tags what has an ARN.
func TestClusterEndpoints(t *testing.T) {
	t.Parallel()
	c := newAccount(t)
	api := c.databases()
	c.postgres()
	c.subnetGroup("nets")
	cluster := must(api.CreateDBCluster(c.ctx, &rds.CreateDBClusterInput{
		DBClusterIdentifier: new("orders"), Engine: new("aurora-postgresql"), MasterUsername: new("boss"), MasterUserPassword: new("secret-of-boss"), DBSubnetGroupName: new("nets"),
	}))(c).DBCluster
	made := must(api.CreateDBClusterEndpoint(c.ctx, &rds.CreateDBClusterEndpointInput{
		DBClusterIdentifier: new("orders"), DBClusterEndpointIdentifier: new("reports"), EndpointType: new("READER"), Tags: []types.Tag{{Key: new("team"), Value: new("shop")}},
	}))(c)
	matches(t, "the endpoint", made.Endpoint, `reports\.cluster-custom-[a-z0-9]{12}\.us-east-1\.rds\.amazonaws\.com`)
	must(api.ModifyDBClusterEndpoint(c.ctx, &rds.ModifyDBClusterEndpointInput{DBClusterEndpointIdentifier: new("reports"), EndpointType: new("ANY")}))(c)
	var shown []string
	for _, e := range must(api.DescribeDBClusterEndpoints(c.ctx, &rds.DescribeDBClusterEndpointsInput{DBClusterIdentifier: new("orders")}))(c).DBClusterEndpoints {
		shown = append(shown, *e.EndpointType+" "+aws.ToString(e.CustomEndpointType)+" "+strings.SplitN(*e.Endpoint, "-", 2)[0])
	}
	slices.Sort(shown)
	equal(t, "endpoints", shown, []string{"CUSTOM ANY reports.cluster", "READER  orders.cluster", "WRITER  orders.cluster"})
	for _, arn := range []*string{made.DBClusterEndpointArn, cluster.DBClusterArn} {
		must(api.AddTagsToResource(c.ctx, &rds.AddTagsToResourceInput{ResourceName: arn, Tags: []types.Tag{{Key: new("stage"), Value: new("test")}}}))(c)
		must(api.RemoveTagsFromResource(c.ctx, &rds.RemoveTagsFromResourceInput{ResourceName: arn, TagKeys: []string{"team"}}))(c)
		equal(t, "tags", must(api.ListTagsForResource(c.ctx, &rds.ListTagsForResourceInput{ResourceName: arn}))(c).TagList, []types.Tag{{Key: new("stage"), Value: new("test")}})
	}
	gone := must(api.DeleteDBClusterEndpoint(c.ctx, &rds.DeleteDBClusterEndpointInput{DBClusterEndpointIdentifier: new("reports")}))(c)
	equal(t, "the removed endpoint's status", *gone.Status, "deleting")
	none := must(api.DescribeDBClusterEndpoints(c.ctx, &rds.DescribeDBClusterEndpointsInput{DBClusterEndpointIdentifier: new("reports")}))(c)
	equal(t, "endpoints of that name", len(none.DBClusterEndpoints), 0)
	_, err := api.DeleteDBClusterEndpoint(c.ctx, &rds.DeleteDBClusterEndpointInput{DBClusterEndpointIdentifier: new("reports")})
	typed[*types.DBClusterEndpointNotFoundFault](t, err)
}

// TestLogsAndEvents reads what a server has written, and what happened to it.
func TestLogsAndEvents(t *testing.T) {
	t.Parallel()
	c := newAccount(t)
	api := c.databases()
	c.postgres()
	c.subnetGroup("nets")
	name := new("orders")
	must(api.CreateDBInstance(c.ctx, &rds.CreateDBInstanceInput{
		DBInstanceIdentifier: name, Engine: new("postgres"), DBInstanceClass: new("db.t3.micro"), AllocatedStorage: new(int32(20)), DBSubnetGroupName: new("nets"),
		MasterUsername: new("boss"), MasterUserPassword: new("secret-of-boss"),
	}))(c)
	c.await("the instance to be available", func() (bool, error) {
		out, err := api.DescribeDBInstances(c.ctx, &rds.DescribeDBInstancesInput{DBInstanceIdentifier: name})
		return err == nil && aws.ToString(out.DBInstances[0].DBInstanceStatus) == "available", err
	})
	files := must(api.DescribeDBLogFiles(c.ctx, &rds.DescribeDBLogFilesInput{DBInstanceIdentifier: name}))(c).DescribeDBLogFiles
	if len(files) == 0 {
		t.Fatal("the server has no log")
	}
	text := ""
	pages := rds.NewDownloadDBLogFilePortionPaginator(api, &rds.DownloadDBLogFilePortionInput{DBInstanceIdentifier: name, LogFileName: files[0].LogFileName, Marker: new("0")})
	for pages.HasMorePages() {
		text += aws.ToString(must(pages.NextPage(c.ctx))(c).LogFileData)
		if strings.Contains(text, "ready to accept connections") {
			break
		}
	}
	if !strings.Contains(text, "ready to accept connections") {
		t.Errorf("the log is %q", text)
	}
	events := must(api.DescribeEvents(c.ctx, &rds.DescribeEventsInput{SourceIdentifier: name, SourceType: types.SourceTypeDbInstance, EventCategories: []string{"creation"}}))(c).Events
	if len(events) != 1 || !strings.Contains(*events[0].Message, "created") {
		t.Errorf("events are %+v", events)
	}
	valid := must(api.DescribeValidDBInstanceModifications(c.ctx, &rds.DescribeValidDBInstanceModificationsInput{DBInstanceIdentifier: name}))(c)
	if len(valid.ValidDBInstanceModificationsMessage.Storage) == 0 {
		t.Error("its storage cannot be changed")
	}
	must(api.DeleteDBInstance(c.ctx, &rds.DeleteDBInstanceInput{DBInstanceIdentifier: name, SkipFinalSnapshot: new(true)}))(c)
	c.await("the instance to be gone", func() (bool, error) {
		_, err := api.DescribeDBInstances(c.ctx, &rds.DescribeDBInstancesInput{DBInstanceIdentifier: name})
		return err != nil, nil
	})
}
