// SPDX-License-Identifier: Apache-2.0

package system

import (
	"fmt"
	"strings"
	"testing"
	"time"

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
		p.Await(20*time.Second, "the gateway to be "+want, func() (bool, error) {
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
