// SPDX-License-Identifier: Apache-2.0

package vpclattice

import (
	"net/netip"
	"testing"

	shape "github.com/posternhq/postern/internal/aws/shape/vpclattice"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service/servicetest"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

const (
	clusterARN  = "arn:aws:rds:" + servicetest.Region + ":" + servicetest.Account + ":cluster:shop"
	instanceARN = "arn:aws:rds:" + servicetest.Region + ":" + servicetest.Account + ":db:shop-1"
	publicARN   = "arn:aws:rds:" + servicetest.Region + ":" + servicetest.Account + ":db:public"
)

// databases adds a cluster with an instance, one whose address is public, and one elsewhere.
func (f *fixture) databases(t *testing.T) {
	t.Helper()
	f.update(t, func(tx *table.Txn) {
		put := func(id, identifier, cluster, vpc, addr string) {
			state.DBInstances.Put(tx, &model.DBInstance{
				Meta: meta(id), Database: model.Database{Identifier: identifier, Port: 5432, VPC: vpc}, Cluster: cluster, Addr: netip.MustParseAddr(addr),
			})
		}
		state.DBClusters.Put(tx, &model.DBCluster{Meta: meta("cluster-A"), Database: model.Database{Identifier: "shop", Port: 5432, VPC: vpcID}})
		put("db-A", "shop-1", "cluster-A", vpcID, "10.0.1.20")
		put("db-P", "public", "", vpcID, "198.51.100.1")
		put("db-E", "elsewhere", "", otherVPC, "10.0.1.20")
	})
}

func databaseInput(name, gateway, arn string) *shape.CreateResourceConfigurationInput {
	return &shape.CreateResourceConfigurationInput{
		Name: &name, Type: new("ARN"), ResourceGatewayIdentifier: &gateway,
		ResourceConfigurationDefinition: &shape.ResourceConfigurationDefinition{ArnResource: &shape.ArnResource{Arn: &arn}},
	}
}

func TestADatabaseIsNamedByItsARN(t *testing.T) {
	f := newFixture(t)
	f.databases(t)
	gate := *f.gateway(t, gatewayInput("gate", subnetA)).Id
	in := gatewayInput("six", subnet6)
	in.IpAddressType = new("IPV6")
	six := *f.gateway(t, in).Id
	in = gatewayInput("inside", subnetA)
	in.ResourceConfigDnsResolution = new("IN_VPC")
	inside := *f.gateway(t, in).Id
	made := f.configuration(t, databaseInput("shop", gate, clusterARN))
	if *made.Type != "ARN" || *made.ResourceConfigurationDefinition.ArnResource.Arn != clusterARN || len(made.PortRanges) > 0 {
		t.Errorf("made is %+v", made)
	}
	row, _ := state.ResourceConfigurations.Get(f.DB.Snapshot(), servicetest.Account, servicetest.Region, *made.Id)
	if row.Database != "cluster-A" || len(row.Targets) > 0 {
		t.Errorf("the row is %+v", row)
	}
	f.configuration(t, databaseInput("one", gate, instanceARN))

	type input = shape.CreateResourceConfigurationInput
	for name, c := range map[string]struct {
		code string
		in   *input
		edit func(*input)
	}{
		"a database that there is none of":   {"ResourceNotFoundException", databaseInput("new", gate, clusterARN+"x"), nil},
		"another account's":                  {"ValidationException", databaseInput("new", gate, "arn:aws:rds:"+servicetest.Region+":"+servicetest.OtherAccount+":cluster:shop"), nil},
		"another region's":                   {"ValidationException", databaseInput("new", gate, "arn:aws:rds:eu-west-1:"+servicetest.Account+":cluster:shop"), nil},
		"a proxy":                            {"ValidationException", databaseInput("new", gate, "arn:aws:rds:"+servicetest.Region+":"+servicetest.Account+":db-proxy:prx-1"), nil},
		"a bucket":                           {"ValidationException", databaseInput("new", gate, "arn:aws:s3:::shop"), nil},
		"no ARN":                             {"ValidationException", databaseInput("new", gate, "shop"), nil},
		"a publicly accessible instance":     {"ValidationException", databaseInput("new", gate, publicARN), nil},
		"a gateway that resolves in its VPC": {"ValidationException", databaseInput("new", inside, clusterARN), nil},
		"a gateway of another family":        {"ValidationException", databaseInput("new", six, clusterARN), nil},
		"a gateway in another VPC":           {"ValidationException", databaseInput("new", gate, "arn:aws:rds:"+servicetest.Region+":"+servicetest.Account+":db:elsewhere"), nil},
		"port ranges":                        {"ValidationException", databaseInput("new", gate, clusterARN), func(in *input) { in.PortRanges = []string{"5432"} }},
		"a protocol":                         {"ValidationException", databaseInput("new", gate, clusterARN), func(in *input) { in.Protocol = new("TCP") }},
		"a custom domain":                    {"ValidationException", databaseInput("new", gate, clusterARN), func(in *input) { in.CustomDomainName = new("db.example.com") }},
		"an address besides": {"ValidationException", databaseInput("new", gate, clusterARN), func(in *input) {
			in.ResourceConfigurationDefinition.IpResource = &shape.IpResource{IpAddress: new("10.0.1.10")}
		}},
		"an ARN as a single resource": {"ValidationException", databaseInput("new", gate, clusterARN), func(in *input) { in.Type = new("SINGLE") }},
		"a child of it":               {"ValidationException", childInput("new", *made.Id, "10.0.1.10"), nil},
	} {
		if c.edit != nil {
			c.edit(c.in)
		}
		f.refused(t, name, c.code, func() error { _, err := f.api.CreateResourceConfiguration(f.ctx, c.in); return err })
	}
}

// The resource of such a configuration stays, and its children are nobody's but Postern's.
func TestWhatIsChangedOfADatabasesConfiguration(t *testing.T) {
	f := newFixture(t)
	f.databases(t)
	gate := *f.gateway(t, gatewayInput("gate", subnetA)).Id
	above := *f.configuration(t, databaseInput("shop", gate, clusterARN)).Id
	child := meta("rcfg-0123456789abcdef0")
	f.update(t, func(tx *table.Txn) {
		state.ResourceConfigurations.Put(tx, &model.ResourceConfiguration{
			Meta: child, Name: "writer", Type: model.TypeChild, Group: above, Gateway: gate, AmazonManaged: true, Part: model.PartWriter, Database: "cluster-A",
			DNS: model.DNSResource{Name: "shop.example", Family: model.FamilyIPv4}, Ports: []model.PortRange{{From: 5432, To: 5432}},
		})
	})
	list, err := f.api.ListResourceConfigurations(f.ctx, &shape.ListResourceConfigurationsInput{ResourceConfigurationGroupIdentifier: &above})
	if err != nil || len(list.Items) != 1 || !*list.Items[0].AmazonManaged {
		t.Errorf("its children are %+v, %v", list, err)
	}
	got, err := f.api.GetResourceConfiguration(f.ctx, &shape.GetResourceConfigurationInput{ResourceConfigurationIdentifier: &child.ID})
	if err != nil || !*got.AmazonManaged || *got.ResourceConfigurationDefinition.DnsResource.DomainName != "shop.example" || *got.ResourceConfigurationGroupId != above {
		t.Errorf("the child is %+v, %v", got, err)
	}
	update := func(id string, edit func(*shape.UpdateResourceConfigurationInput)) func() error {
		in := &shape.UpdateResourceConfigurationInput{ResourceConfigurationIdentifier: &id}
		edit(in)
		return func() error { _, err := f.api.UpdateResourceConfiguration(f.ctx, in); return err }
	}
	define := func(arn string) func(*shape.UpdateResourceConfigurationInput) {
		return func(in *shape.UpdateResourceConfigurationInput) {
			in.ResourceConfigurationDefinition = databaseInput("", "", arn).ResourceConfigurationDefinition
		}
	}
	f.refused(t, "another database", "ValidationException", update(above, define(instanceARN)))
	f.refused(t, "ports", "ValidationException", update(above, func(in *shape.UpdateResourceConfigurationInput) { in.PortRanges = []string{"1"} }))
	f.refused(t, "a change of the child", "ValidationException", update(child.ID, func(in *shape.UpdateResourceConfigurationInput) { in.PortRanges = []string{"1"} }))
	if err := update(above, define(clusterARN))(); err != nil {
		t.Errorf("the definition as it is: %v", err)
	}
	remove := func(id string) func() error {
		return func() error {
			_, err := f.api.DeleteResourceConfiguration(f.ctx, &shape.DeleteResourceConfigurationInput{ResourceConfigurationIdentifier: &id})
			return err
		}
	}
	f.refused(t, "removal of the child", "ValidationException", remove(child.ID))
	endpoint := &model.VPCEndpoint{Meta: meta("vpce-1"), Configuration: model.Ref{Account: servicetest.Account, Region: servicetest.Region, ID: above}}
	f.update(t, func(tx *table.Txn) { state.VPCEndpoints.Put(tx, endpoint) })
	f.refused(t, "removal while there is an endpoint", "ConflictException", remove(above))
	f.update(t, func(tx *table.Txn) { state.VPCEndpoints.Delete(tx, endpoint.Account, endpoint.Region, endpoint.ID) })
	if err := remove(above)(); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{above, child.ID} {
		row, ok := state.ResourceConfigurations.Get(f.DB.Snapshot(), child.Account, child.Region, id)
		if !ok || !row.Deleting() {
			t.Errorf("%s is not being deleted: %+v", id, row)
		}
	}
}
