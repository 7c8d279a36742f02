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

// TestEndpointServices offers a load balancer to another account, whose endpoint is accepted
// and then rejected.
func TestEndpointServices(t *testing.T) {
	t.Parallel()
	otherKey := server.NewAccount(t)
	c, other := newTerminal(t, server.NewAccount(t)), newTerminal(t, otherKey)
	v := c.ok("ec2 create-vpc --cidr-block 10.0.0.0/16").at("Vpc.VpcId")
	s := c.ok("ec2 create-subnet --vpc-id %s --cidr-block 10.0.1.0/24", v).at("Subnet.SubnetId")
	arn := c.ok("elbv2 create-load-balancer --name offered --type network --scheme internal --subnets %s", s).at("LoadBalancers.0.LoadBalancerArn")
	made := c.ok("ec2 create-vpc-endpoint-service-configuration --network-load-balancer-arns %s --private-dns-name api.example.com", arn)
	made.is("ServiceConfiguration.AcceptanceRequired", "true")
	id, name := made.at("ServiceConfiguration.ServiceId"), made.at("ServiceConfiguration.ServiceName")
	c.ok("ec2 start-vpc-endpoint-service-private-dns-verification --service-id %s", id).is("ReturnValue", "true")
	c.ok("ec2 modify-vpc-endpoint-service-payer-responsibility --service-id %s --payer-responsibility ServiceOwner", id).is("ReturnValue", "true")
	c.ok("ec2 modify-vpc-endpoint-service-configuration --service-id %s --remove-private-dns-name", id).is("Return", "true")
	c.ok("ec2 modify-vpc-endpoint-service-permissions --service-id %s --add-allowed-principals arn:aws:iam::%s:root", id, otherKey.Account).has("AddedPrincipals", 1)
	c.ok("ec2 describe-vpc-endpoint-service-permissions --service-id %s", id).is("AllowedPrincipals.0.PrincipalType", "Account")
	c.ok("ec2 describe-vpc-endpoint-service-configurations --service-ids %s", id).is("ServiceConfigurations.0.NetworkLoadBalancerArns.0", arn)
	there := other.ok("ec2 create-vpc --cidr-block 10.0.0.0/16").at("Vpc.VpcId")
	subnet := other.ok("ec2 create-subnet --vpc-id %s --cidr-block 10.0.1.0/24", there).at("Subnet.SubnetId")
	e := other.ok("ec2 create-vpc-endpoint --vpc-endpoint-type Interface --vpc-id %s --service-name %s --subnet-ids %s", there, name, subnet).at("VpcEndpoint.VpcEndpointId")
	c.ok("ec2 describe-vpc-endpoint-connections --filters Name=vpc-endpoint-id,Values=%s", e).is("VpcEndpointConnections.0.VpcEndpointState", "pendingAcceptance")
	c.ok("ec2 accept-vpc-endpoint-connections --service-id %s --vpc-endpoint-ids %s", id, e).has("Unsuccessful", 0)
	c.ok("ec2 delete-vpc-endpoint-service-configurations --service-ids %s", id).is("Unsuccessful.0.Error.Code", "ExistingVpcEndpointConnections")
	c.ok("ec2 reject-vpc-endpoint-connections --service-id %s --vpc-endpoint-ids %s", id, e).has("Unsuccessful", 0)
	other.ok("ec2 describe-vpc-endpoints --vpc-endpoint-ids %s", e).is("VpcEndpoints.0.State", "rejected")
	c.ok("ec2 delete-vpc-endpoint-service-configurations --service-ids %s", id).has("Unsuccessful", 0)
}

// TestRegisteredServices has the operator register a server of the host, which others see as a
// service, and gives it a certificate.
func TestRegisteredServices(t *testing.T) {
	t.Parallel()
	c, other := newTerminal(t, server.Admin), newTerminal(t, server.NewAccount(t))
	c.refused("ValidationException", "postern register-service --name store --targets address=127.0.0.1,port=9000 --ports 443")
	made := c.ok("postern register-service --name com.example.bookstore --targets address=127.0.0.1,port=9000 --ports 443")
	made.is("privateNames.0", "bookstore.us-east-1.postern.internal")
	c.refused("ConflictException", "postern register-service --name com.example.bookstore --targets address=127.0.0.1,port=9000 --ports 443")
	c.ok("postern list-registered-services --query services[?name=='com.example.bookstore']")
	other.ok("ec2 describe-vpc-endpoint-services --service-names com.example.bookstore").is("ServiceDetails.0.ServiceType.0.ServiceType", "Interface")
	c.ok("postern issue-service-certificate --name com.example.bookstore").is("names.0", "bookstore.us-east-1.vpce.postern.internal")
	c.ok("postern deregister-service --name com.example.bookstore").is("name", "com.example.bookstore")
	other.refused("InvalidServiceName", "ec2 describe-vpc-endpoint-services --service-names com.example.bookstore")
}
