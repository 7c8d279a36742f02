// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"testing"

	"github.com/posternhq/postern/internal/aws/shape/ec2"
)

// TestEndpointsNeedTheirConfiguration: an account says which of the resources that it has,
// or that others share with it, its users may open endpoints to.
func TestEndpointsNeedTheirConfiguration(t *testing.T) {
	w := newWorld(t)
	const database, other = "arn:aws:vpc-lattice:us-east-1:" + mine + ":resourceconfiguration/rcfg-0123456789abcdef0",
		"arn:aws:vpc-lattice:us-east-1:" + mine + ":resourceconfiguration/rcfg-0123456789abcdef1"
	open := func(key, configuration string) ask {
		return ask{key: key, service: "ec2", operation: "CreateVpcEndpoint", in: &ec2.CreateVpcEndpointInput{
			VpcId: new("vpc-0123456789abcdef0"), ResourceConfigurationArn: &configuration,
		}}
	}
	all := statement("Allow", "ec2:*", "*", "")
	w.refused("with rights in EC2 alone", "User: arn:aws:iam::"+mine+":user/staff/ANN is not authorized to perform: vpc-lattice:GetResourceConfiguration on resource: "+
		database+" because no identity-based policy allows the vpc-lattice:GetResourceConfiguration action", open(w.user(mine, "ANN", all), database))
	ben := w.user(mine, "BEN", all, statement("Allow", "vpc-lattice:GetResourceConfiguration", database, ""))
	w.allowed("to the one that a policy names", open(ben, database))
	w.refused("to another one", "User: arn:aws:iam::"+mine+":user/staff/BEN is not authorized to perform: vpc-lattice:GetResourceConfiguration on resource: "+
		other+" because no identity-based policy allows the vpc-lattice:GetResourceConfiguration action", open(ben, other))
}
