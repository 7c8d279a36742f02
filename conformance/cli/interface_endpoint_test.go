// SPDX-License-Identifier: Apache-2.0

package cli

import "testing"

// TestInterfaceEndpoints makes an endpoint to an API of Postern's own, which needs no subnet
// at first, gives it another policy and takes it away.
func TestInterfaceEndpoints(t *testing.T) {
	t.Parallel()
	c := newTerminal(t, server.NewAccount(t))
	vpc := c.ok("ec2 describe-vpcs --filters Name=is-default,Values=true").at("Vpcs.0.VpcId")
	made := c.ok("ec2 create-vpc-endpoint --vpc-endpoint-type Interface --vpc-id %s --service-name com.amazonaws.us-east-1.sts --no-private-dns-enabled", vpc)
	made.is("VpcEndpoint.VpcEndpointType", "Interface")
	made.has("VpcEndpoint.NetworkInterfaceIds", 0)
	id := made.at("VpcEndpoint.VpcEndpointId")
	c.ok("ec2 modify-vpc-endpoint --vpc-endpoint-id %s --reset-policy --private-dns-enabled", id)
	c.ok("ec2 describe-vpc-endpoints --filters Name=service-name,Values=*.sts Name=vpc-endpoint-type,Values=Interface").is("VpcEndpoints.0.PrivateDnsEnabled", "true")
	c.refused("InvalidPolicyDocument", "ec2 modify-vpc-endpoint --vpc-endpoint-id %s --policy-document {}", id)
	c.ok("ec2 delete-vpc-endpoints --vpc-endpoint-ids %s", id).has("Unsuccessful", 0)
}
