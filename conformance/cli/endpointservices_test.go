// SPDX-License-Identifier: Apache-2.0

package cli

import "testing"

// TestServicesForEndpoints finds Postern's own APIs as AWS has its own.
func TestServicesForEndpoints(t *testing.T) {
	t.Parallel()
	c := newTerminal(t, server.NewAccount(t))
	found := c.ok("ec2 describe-vpc-endpoint-services --filters Name=service-type,Values=Interface Name=service-name,Values=*.ec2")
	found.has("ServiceNames", 1)
	found.is("ServiceDetails.0.ServiceName", "com.amazonaws.us-east-1.ec2")
	found.is("ServiceDetails.0.Owner", "amazon")
	found.is("ServiceDetails.0.VpcEndpointPolicySupported", "true")
	c.ok("ec2 describe-vpc-endpoint-services --service-names com.amazonaws.us-east-1.rds com.amazonaws.us-east-1.sts").has("ServiceDetails", 2)
	c.refused("InvalidServiceName", "ec2 describe-vpc-endpoint-services --service-names com.amazonaws.us-east-1.nothing")
}
