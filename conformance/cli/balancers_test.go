// SPDX-License-Identifier: Apache-2.0

package cli

import "testing"

// TestNetworkLoadBalancer is the life of a load balancer with a listener and a target group.
func TestNetworkLoadBalancer(t *testing.T) {
	t.Parallel()
	c := newAccount(t)
	v := c.ok("ec2 create-vpc --cidr-block 10.0.0.0/16").at("Vpc.VpcId")
	one := c.ok("ec2 create-subnet --vpc-id %s --cidr-block 10.0.1.0/24 --availability-zone us-east-1a", v).at("Subnet.SubnetId")
	two := c.ok("ec2 create-subnet --vpc-id %s --cidr-block 10.0.2.0/24 --availability-zone us-east-1b", v).at("Subnet.SubnetId")
	sg := c.ok("ec2 create-security-group --group-name web --description web --vpc-id %s", v).at("GroupId")
	c.refused("InvalidScheme", "elbv2 create-load-balancer --name shop --type network --subnets %s", one)
	made := c.ok("elbv2 create-load-balancer --name shop --type network --scheme internal --subnets %s --security-groups %s --tags Key=team,Value=shop", one, sg)
	lb := made.at("LoadBalancers.0.LoadBalancerArn")
	if r := c.run("elbv2 wait load-balancer-available --load-balancer-arns %s", lb); r.Status != 0 {
		t.Fatalf("wait for the load balancer: %s", r.Stderr)
	}
	c.ok("elbv2 describe-load-balancers --names shop").is("LoadBalancers.0.State.Code", "active")
	c.ok("elbv2 set-subnets --load-balancer-arn %s --subnets %s %s", lb, one, two).has("AvailabilityZones", 2)
	c.ok("elbv2 set-security-groups --load-balancer-arn %s --security-groups %s", lb, sg).has("SecurityGroupIds", 1)
	c.ok("elbv2 set-ip-address-type --load-balancer-arn %s --ip-address-type ipv4", lb).is("IpAddressType", "ipv4")
	c.ok("elbv2 modify-load-balancer-attributes --load-balancer-arn %s --attributes Key=load_balancing.cross_zone.enabled,Value=true", lb)
	c.ok("elbv2 describe-load-balancer-attributes --load-balancer-arn %s", lb)
	c.refused("InvalidConfigurationRequest", "elbv2 modify-load-balancer-attributes --load-balancer-arn %s --attributes Key=access_logs.s3.enabled,Value=true", lb)
	c.ok("elbv2 describe-account-limits")

	tg := c.ok("elbv2 create-target-group --name shop --protocol TCP --port 8443 --vpc-id %s --target-type ip", v).at("TargetGroups.0.TargetGroupArn")
	c.ok("elbv2 modify-target-group --target-group-arn %s --health-check-interval-seconds 5 --health-check-timeout-seconds 2", tg).is("TargetGroups.0.HealthCheckIntervalSeconds", "5")
	c.ok("elbv2 modify-target-group-attributes --target-group-arn %s --attributes Key=deregistration_delay.timeout_seconds,Value=0", tg)
	c.ok("elbv2 describe-target-group-attributes --target-group-arn %s", tg)
	l := c.ok("elbv2 create-listener --load-balancer-arn %s --protocol TCP --port 443 --default-actions Type=forward,TargetGroupArn=%s", lb, tg).at("Listeners.0.ListenerArn")
	c.ok("elbv2 modify-listener --listener-arn %s --port 444", l).is("Listeners.0.Port", "444")
	c.ok("elbv2 describe-listeners --load-balancer-arn %s", lb).has("Listeners", 1)
	c.ok("elbv2 describe-listener-attributes --listener-arn %s", l).is("Attributes.0.Value", "350")
	c.ok("elbv2 modify-listener-attributes --listener-arn %s --attributes Key=tcp.idle_timeout.seconds,Value=350", l)
	c.ok("elbv2 describe-target-groups --load-balancer-arn %s", lb).is("TargetGroups.0.LoadBalancerArns.0", lb)

	c.ok("elbv2 register-targets --target-group-arn %s --targets Id=10.0.1.10 Id=10.0.2.10,Port=9443", tg)
	c.ok("elbv2 describe-target-health --target-group-arn %s", tg).has("TargetHealthDescriptions", 2)
	c.ok("elbv2 deregister-targets --target-group-arn %s --targets Id=10.0.1.10", tg)
	c.ok("elbv2 describe-target-health --target-group-arn %s --targets Id=10.0.1.10,Port=8443", tg).is("TargetHealthDescriptions.0.TargetHealth.Reason", "Target.NotRegistered")

	c.ok("elbv2 add-tags --resource-arns %s %s --tags Key=stage,Value=test", tg, l)
	c.ok("elbv2 remove-tags --resource-arns %s --tag-keys team", lb)
	c.ok("elbv2 describe-tags --resource-arns %s %s", lb, l).is("TagDescriptions.1.Tags.0.Value", "test")
	c.ok("elbv2 delete-listener --listener-arn %s", l)
	c.ok("elbv2 delete-target-group --target-group-arn %s", tg)
	c.ok("elbv2 delete-load-balancer --load-balancer-arn %s", lb)
	c.refused("LoadBalancerNotFound", "elbv2 describe-load-balancers --load-balancer-arns %s", lb)
}
