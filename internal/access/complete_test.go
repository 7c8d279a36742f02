// SPDX-License-Identifier: Apache-2.0

package access_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/schema"
	"github.com/posternhq/postern/internal/aws/shape/cloudtrail"
	"github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/aws/shape/elbv2"
	"github.com/posternhq/postern/internal/aws/shape/iam"
	"github.com/posternhq/postern/internal/aws/shape/organizations"
	"github.com/posternhq/postern/internal/aws/shape/postern"
	"github.com/posternhq/postern/internal/aws/shape/ram"
	"github.com/posternhq/postern/internal/aws/shape/rds"
	"github.com/posternhq/postern/internal/aws/shape/route53"
	"github.com/posternhq/postern/internal/aws/shape/sts"
	"github.com/posternhq/postern/internal/aws/shape/vpclattice"
)

// naming are members that name resources, by what they are called.
var naming = regexp.MustCompile(`(Id|Ids|Arn|ARN|Identifier|^Groups|^Resources)$`)

// unasked are members called so that no ask is about, by the reason.
var unasked = map[string][]string{
	"a list": {
		"ec2:GetSubnetCidrReservations.SubnetId",
		"vpc-lattice:ListTargetGroups.vpcIdentifier",
		"route53:ListHostedZonesByVPC.VPCId",
	},
	"parts of the group that is named": {
		"ec2:RevokeSecurityGroupEgress.SecurityGroupRuleIds",
		"ec2:RevokeSecurityGroupIngress.SecurityGroupRuleIds",
		"ec2:UpdateSecurityGroupRuleDescriptionsEgress.SecurityGroupRuleDescriptions.SecurityGroupRuleId",
		"ec2:UpdateSecurityGroupRuleDescriptionsIngress.SecurityGroupRuleDescriptions.SecurityGroupRuleId",
	},
	"of the VPC": {
		"vpc-lattice:CreateResourceGateway.subnetIds",
	},
	"no resource": {
		"sts:AssumeRole.ProvidedContexts.ProviderArn",
		"sts:GetAccessKeyInfo.AccessKeyId", // whoever knows a key may ask whose it is
		"ec2:CreateDefaultSubnet.AvailabilityZoneId",
	},
	"not served": {
		"ec2:CreateSubnet.OutpostArn",
		"ec2:CreateSubnet.Ipv4IpamPoolId",
		"ec2:CreateSubnet.Ipv6IpamPoolId",
		"ec2:CreateVpc.Ipv4IpamPoolId",
		"ec2:CreateVpc.Ipv6IpamPoolId",
		"ec2:AssociateVpcCidrBlock.Ipv4IpamPoolId",
		"ec2:AssociateVpcCidrBlock.Ipv6IpamPoolId",
		"ec2:AssociateSubnetCidrBlock.Ipv6IpamPoolId",
		"ec2:AllocateAddress.IpamPoolId",
		"ec2:AssociateAddress.InstanceId",
		"ec2:ModifyNetworkInterfaceAttribute.AssociatedSubnetIds",
		"route53:ChangeResourceRecordSets.ChangeBatch.Changes.ResourceRecordSet.HealthCheckId",
		"route53:ChangeResourceRecordSets.ChangeBatch.Changes.ResourceRecordSet.TrafficPolicyInstanceId",
		"route53:ChangeResourceRecordSets.ChangeBatch.Changes.ResourceRecordSet.CidrRoutingConfig.CollectionId",
	},
	"refused, as all that gateways of whole regions have": {
		"ec2:AssociateNatGatewayAddress.AvailabilityZoneId",
		"ec2:CreateNatGateway.AvailabilityZoneAddresses.AllocationIds",
		"ec2:CreateNatGateway.AvailabilityZoneAddresses.AvailabilityZoneId",
	},
	"parts of what is named": {
		"iam:DeletePolicyVersion.VersionId",
		"iam:GetPolicyVersion.VersionId",
		"iam:SetDefaultPolicyVersion.VersionId",
		"iam:DeleteAccessKey.AccessKeyId",
		"iam:UpdateAccessKey.AccessKeyId",
	},
	"refused, as what there is none of": {
		"elasticloadbalancing:CreateListener.Certificates.CertificateArn",
		"elasticloadbalancing:CreateListener.DefaultActions.AuthenticateOidcConfig.ClientId",
		"elasticloadbalancing:CreateListener.DefaultActions.AuthenticateCognitoConfig.UserPoolArn",
		"elasticloadbalancing:CreateListener.DefaultActions.AuthenticateCognitoConfig.UserPoolClientId",
		"elasticloadbalancing:CreateListener.MutualAuthentication.TrustStoreArn",
		"elasticloadbalancing:ModifyListener.Certificates.CertificateArn",
		"elasticloadbalancing:ModifyListener.DefaultActions.AuthenticateOidcConfig.ClientId",
		"elasticloadbalancing:ModifyListener.DefaultActions.AuthenticateCognitoConfig.UserPoolArn",
		"elasticloadbalancing:ModifyListener.DefaultActions.AuthenticateCognitoConfig.UserPoolClientId",
		"elasticloadbalancing:ModifyListener.MutualAuthentication.TrustStoreArn",
		"elasticloadbalancing:CreateLoadBalancer.IpamPools.Ipv4IpamPoolId",
		"elasticloadbalancing:DeregisterTargets.Targets.Id", // addresses
		"elasticloadbalancing:DeregisterTargets.Targets.QuicServerId",
		"elasticloadbalancing:RegisterTargets.Targets.Id", // addresses
		"elasticloadbalancing:RegisterTargets.Targets.QuicServerId",
		"rds:CreateDBCluster.AssociatedRoles.RoleArn",
		"rds:CreateDBCluster.DBSystemId",
		"rds:CreateDBCluster.GlobalClusterIdentifier",
		"rds:CopyDBClusterSnapshot.KmsKeyId",
		"rds:CopyDBSnapshot.KmsKeyId",
		"rds:CreateDBCluster.KmsKeyId",
		"rds:CreateDBCluster.MasterUserSecretKmsKeyId",
		"rds:CreateDBCluster.MonitoringRoleArn",
		"rds:CreateDBCluster.PerformanceInsightsKMSKeyId",
		"rds:CreateDBCluster.RdsCustomClusterConfiguration.InterconnectSubnetId",
		"rds:CreateDBCluster.RdsCustomClusterConfiguration.TransitGatewayMulticastDomainId",
		"rds:CreateDBCluster.ReplicationSourceIdentifier",
		"rds:CreateDBInstanceReadReplica.DomainAuthSecretArn",
		"rds:CreateDBInstanceReadReplica.KmsKeyId",
		"rds:CreateDBInstanceReadReplica.MonitoringRoleArn",
		"rds:CreateDBInstanceReadReplica.PerformanceInsightsKMSKeyId",
		"rds:CreateDBInstance.DBSystemId",
		"rds:CreateDBInstance.DomainAuthSecretArn",
		"rds:CreateDBInstance.KmsKeyId",
		"rds:CreateDBInstance.MasterUserSecretKmsKeyId",
		"rds:CreateDBInstance.MonitoringRoleArn",
		"rds:CreateDBInstance.PerformanceInsightsKMSKeyId",
		"rds:CreateDBInstance.TdeCredentialArn",
		"rds:ModifyDBCluster.AwsBackupRecoveryPointArn",
		"rds:ModifyDBCluster.MasterUserSecretKmsKeyId",
		"rds:ModifyDBCluster.MonitoringRoleArn",
		"rds:ModifyDBCluster.NewDBClusterIdentifier",
		"rds:ModifyDBCluster.PerformanceInsightsKMSKeyId",
		"rds:ModifyDBInstance.AwsBackupRecoveryPointArn",
		"rds:ModifyDBInstance.DomainAuthSecretArn",
		"rds:ModifyDBInstance.MasterUserSecretKmsKeyId",
		"rds:ModifyDBInstance.MonitoringRoleArn",
		"rds:ModifyDBInstance.NewDBInstanceIdentifier",
		"rds:ModifyDBInstance.PerformanceInsightsKMSKeyId",
		"rds:ModifyDBInstance.TdeCredentialArn",
		"rds:RestoreDBClusterFromSnapshot.AssociatedRoles.RoleArn",
		"rds:RestoreDBClusterFromSnapshot.KmsKeyId",
		"rds:RestoreDBClusterFromSnapshot.MonitoringRoleArn",
		"rds:RestoreDBClusterFromSnapshot.PerformanceInsightsKMSKeyId",
		"rds:RestoreDBClusterFromSnapshot.RdsCustomClusterConfiguration.InterconnectSubnetId",
		"rds:RestoreDBClusterFromSnapshot.RdsCustomClusterConfiguration.TransitGatewayMulticastDomainId",
		"rds:RestoreDBInstanceFromDBSnapshot.DomainAuthSecretArn",
		"rds:RestoreDBInstanceFromDBSnapshot.MasterUserSecretKmsKeyId",
		"rds:RestoreDBInstanceFromDBSnapshot.TdeCredentialArn",
	},
	"an authority, which is everybody's": {
		"rds:CreateDBCluster.CACertificateIdentifier",
		"rds:CreateDBInstance.CACertificateIdentifier",
		"rds:CreateDBInstanceReadReplica.CACertificateIdentifier",
		"rds:ModifyDBCluster.CACertificateIdentifier",
		"rds:ModifyDBInstance.CACertificateIdentifier",
		"rds:RestoreDBInstanceFromDBSnapshot.CACertificateIdentifier",
	},
	"what is made with the deletion, as the service authorization reference has it": {
		"rds:DeleteDBInstance.FinalDBSnapshotIdentifier",
	},
	"what a simulation supposes": {
		"iam:SimulateCustomPolicy.CallerArn",
		"iam:SimulatePrincipalPolicy.CallerArn",
		"iam:SimulatePrincipalPolicy.PolicyExclusionList.PolicyArn",
	},
	"a list of shares": {
		"ram:GetResourceShareAssociations.resourceArn",
		"ram:GetResourceShares.permissionArn",
		"ram:ListPermissionAssociations.permissionArn",
		"ram:ListPermissionVersions.permissionArn",
		"ram:ListPrincipals.resourceArn",
		"ram:ListSourceAssociations.sourceId",
	},
	"a part of the interface that is named": {
		"ec2:ModifyNetworkInterfaceAttribute.Attachment.AttachmentId",
	},
	"what a record set is": {
		"route53:ChangeResourceRecordSets.ChangeBatch.Changes.ResourceRecordSet.SetIdentifier",
		"route53:ChangeResourceRecordSets.ChangeBatch.Changes.ResourceRecordSet.AliasTarget.HostedZoneId",
	},
	"where a list begins": {
		"route53:ListHostedZonesByName.HostedZoneId",
		"route53:ListResourceRecordSets.StartRecordIdentifier",
	},
	"condition key VPCs": {
		"route53:AssociateVPCWithHostedZone.VPC.VPCId",
		"route53:CreateHostedZone.VPC.VPCId",
		"route53:CreateVPCAssociationAuthorization.VPC.VPCId",
		"route53:DeleteVPCAssociationAuthorization.VPC.VPCId",
		"route53:DisassociateVPCFromHostedZone.VPC.VPCId",
	},
	"a part of the table that is named": {
		"ec2:ReplaceRouteTableAssociation.AssociationId",
	},
	"what a route says": {
		"ec2:CreateRoute.DestinationPrefixListId",
		"ec2:CreateRoute.VpcEndpointId",
		"ec2:CreateRoute.TransitGatewayId",
		"ec2:CreateRoute.LocalGatewayId",
		"ec2:CreateRoute.CarrierGatewayId",
		"ec2:CreateRoute.CoreNetworkArn",
		"ec2:CreateRoute.OdbNetworkArn",
		"ec2:CreateRoute.GatewayId",
		"ec2:CreateRoute.EgressOnlyInternetGatewayId",
		"ec2:CreateRoute.InstanceId",
		"ec2:CreateRoute.NetworkInterfaceId",
		"ec2:CreateRoute.VpcPeeringConnectionId",
		"ec2:CreateRoute.NatGatewayId",
		"ec2:DeleteRoute.DestinationPrefixListId",
		"ec2:DisableVgwRoutePropagation.GatewayId",
		"ec2:EnableVgwRoutePropagation.GatewayId",
		"ec2:ReplaceRoute.DestinationPrefixListId",
		"ec2:ReplaceRoute.VpcEndpointId",
		"ec2:ReplaceRoute.TransitGatewayId",
		"ec2:ReplaceRoute.LocalGatewayId",
		"ec2:ReplaceRoute.CarrierGatewayId",
		"ec2:ReplaceRoute.CoreNetworkArn",
		"ec2:ReplaceRoute.OdbNetworkArn",
		"ec2:ReplaceRoute.GatewayId",
		"ec2:ReplaceRoute.EgressOnlyInternetGatewayId",
		"ec2:ReplaceRoute.InstanceId",
		"ec2:ReplaceRoute.NetworkInterfaceId",
		"ec2:ReplaceRoute.VpcPeeringConnectionId",
		"ec2:ReplaceRoute.NatGatewayId",
	},
	"who has the other VPC, which may not be there": {
		"ec2:CreateVpcPeeringConnection.PeerOwnerId",
		"ec2:CreateVpcPeeringConnection.PeerVpcId",
	},
	"others' endpoints to a service that is asked about": {
		"ec2:AcceptVpcEndpointConnections.VpcEndpointIds",
		"ec2:RejectVpcEndpointConnections.VpcEndpointIds",
	},
	"what a rule says": {
		"ec2:AuthorizeSecurityGroupEgress.SourceSecurityGroupOwnerId",
		"ec2:AuthorizeSecurityGroupIngress.SourceSecurityGroupOwnerId",
		"ec2:RevokeSecurityGroupEgress.SourceSecurityGroupOwnerId",
		"ec2:RevokeSecurityGroupIngress.SourceSecurityGroupOwnerId",
		"ec2:ModifySecurityGroupRules.SecurityGroupRules.SecurityGroupRule.ReferencedGroupId",
		"ec2:ModifySecurityGroupRules.SecurityGroupRules.SecurityGroupRule.PrefixListId",
	},
}

// TestEveryMemberThatNamesAResourceIsAskedAbout walks the members of all inputs:
// those that sound like ids are in the table of actions, or in the list above.
func TestEveryMemberThatNamesAResourceIsAskedAbout(t *testing.T) {
	left := map[string]bool{}
	for _, names := range unasked {
		for _, name := range names {
			left[name] = true
		}
	}
	for _, svc := range []*schema.Service{ec2.Service, vpclattice.Service, route53.Service, sts.Service, iam.Service, ram.Service, rds.Service, elbv2.Service, cloudtrail.Service, organizations.Service, postern.Service} {
		for _, op := range svc.Operations {
			if strings.HasPrefix(op.Name, "Describe") {
				continue // what a list is of is found in the view
			}
			var asked [][]int
			for _, n := range access.Services[svc.Name].Operations[op.Name].Needs {
				keys := n.Keys
				for _, target := range n.Targets {
					asked, keys = append(asked, target.Path), append(keys, target.Keys...)
				}
				for _, k := range keys { // conditions ask
					asked = append(asked, k.Path)
				}
			}
			identifiers(op.Input, nil, "", func(name string, path []int) {
				full := svc.Name + ":" + op.Name + "." + name
				if slices.ContainsFunc(asked, func(p []int) bool { return slices.Equal(p, path) }) {
					return
				}
				if !left[full] {
					t.Errorf("%s names a resource, and nothing is asked about it", full)
				}
				delete(left, full)
			})
		}
	}
	for name := range left {
		t.Errorf("%s is asked about, or is no member", name)
	}
}

// identifiers yields the members below a shape that hold strings and are called
// like identifiers, rules of groups apart: those are what a request says, not what
// it is about.
func identifiers(s *schema.Shape, path []int, prefix string, yield func(string, []int)) {
	for i := range s.Members {
		m := &s.Members[i]
		at, shape := append(slices.Clone(path), m.Index), m.Shape
		for shape.Kind == schema.List {
			shape = shape.Element.Shape
		}
		switch {
		case shape.Kind == schema.Structure && m.Name != "IpPermissions":
			identifiers(shape, at, prefix+m.Name+".", yield)
		case shape.Kind == schema.String && naming.MatchString(m.Name):
			yield(prefix+m.Name, at)
		}
	}
}
