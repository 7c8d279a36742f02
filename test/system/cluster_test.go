// SPDX-License-Identifier: Apache-2.0

package system

import (
	"fmt"
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/posternhq/postern/internal/aws/shape/ec2"
	lattice "github.com/posternhq/postern/internal/aws/shape/vpclattice"
	"github.com/posternhq/postern/test/cluster"
	"github.com/posternhq/postern/test/postern"
)

// On a cluster with etcd's own limits, what is too large for a transaction is refused in
// the words of each service, and what is nearly so is made and removed.
func TestWhatIsTooLargeForAClusterIsSaid(t *testing.T) {
	p := postern.Start(t, "--etcd", cluster.Start(t, 0), "--host-name", "alpha")
	v := p.VPC("10.0.0.0/16")
	var subnets []*postern.Subnet
	var ids []string
	for zone := range 3 {
		s := v.Subnet(zone, fmt.Sprintf("10.0.%d.0/24", zone+1))
		subnets, ids = append(subnets, s), append(ids, s.ID)
	}
	open := []string{v.OpenGroup()}
	gateway := func(name string, addresses int32) *lattice.CreateResourceGatewayInput {
		return &lattice.CreateResourceGatewayInput{
			Name: &name, VpcIdentifier: &v.ID, SubnetIds: ids, SecurityGroupIds: open, Ipv4AddressesPerEni: &addresses,
		}
	}
	refused := func(what, code string, err error) {
		t.Helper()
		if got := postern.Code(err); got != code || !strings.Contains(fmt.Sprint(err), "Ask for fewer items in one request") {
			t.Errorf("%s: got %v, want %s", what, err, code)
		}
	}
	refused("20 prefixes", "ResourceCountExceeded", p.Do(ec2.Service, "CreateNetworkInterface",
		&ec2.CreateNetworkInterfaceInput{SubnetId: &ids[0], Ipv4PrefixCount: new(int32(20))}, new(ec2.CreateNetworkInterfaceOutput)))
	refused("186 addresses", "ValidationException",
		p.Do(lattice.Service, "CreateResourceGateway", gateway("large", 62), new(lattice.CreateResourceGatewayOutput)))
	made := postern.Call[lattice.CreateResourceGatewayOutput](p, lattice.Service, "CreateResourceGateway", gateway("fitting", 30))
	state := func() (string, error) {
		var out lattice.GetResourceGatewayOutput
		err := p.Do(lattice.Service, "GetResourceGateway", &lattice.GetResourceGatewayInput{ResourceGatewayIdentifier: made.Id}, &out)
		if err != nil {
			return postern.Code(err), nil
		}
		return *out.Status, nil
	}
	await := func(want string) {
		t.Helper()
		p.Await("the gateway to be "+want, func() (bool, error) {
			got, err := state()
			return got == want, err
		})
	}
	await(lattice.ResourceGatewayStatusActive)
	postern.Call[lattice.DeleteResourceGatewayOutput](p, lattice.Service, "DeleteResourceGateway", &lattice.DeleteResourceGatewayInput{ResourceGatewayIdentifier: made.Id})
	await("ResourceNotFoundException")
	for _, s := range subnets {
		postern.Call[ec2.DeleteSubnetOutput](p, ec2.Service, "DeleteSubnet", &ec2.DeleteSubnetInput{SubnetId: &s.ID})
	}
}

// What happens by itself happens in the process that is elected: an expired token goes
// though nobody asks for anything, the office is free when the process has stopped, and
// each start begins a new term.
func TestMakersRunWhileTheyAreElected(t *testing.T) {
	endpoint := cluster.Start(t, 0)
	etcd, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	defer etcd.Close()
	read := func(key string) string {
		t.Helper()
		response, err := etcd.Get(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		if len(response.Kvs) == 0 {
			return "none"
		}
		return string(response.Kvs[0].Value)
	}
	const (
		token  = "/postern/v1/row/client-token/111122223333/us-east-1/CreateVpcEndpoint%2Fold"
		row    = `{"account":"111122223333","region":"us-east-1","operation":"CreateVpcEndpoint","token":"old","fingerprint":"f","result":"vpce-1","createdAt":"2026-01-01T00:00:00Z"}`
		office = "/postern/office/makers"
		term   = "/postern/v1/row/election/-/-/makers"
	)
	if _, err := etcd.Put(t.Context(), token, row); err != nil {
		t.Fatal(err)
	}
	p := postern.Start(t, "--etcd", endpoint, "--host-name", "alpha")
	p.Await("the token to expire", func() (bool, error) { return read(token) == "none", nil })
	if got := read(term); read(office) == "none" || !strings.Contains(got, `"term":1,"host":"alpha"`) {
		t.Errorf("in office, by %q, is %s", read(office), got)
	}
	p.Stop()
	if got := read(office); got != "none" {
		t.Errorf("after the end somebody is in office: %q", got)
	}
	p.Up()
	p.Await("the next term", func() (bool, error) { return strings.Contains(read(term), `"term":2`), nil })
}
