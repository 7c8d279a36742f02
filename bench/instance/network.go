// SPDX-License-Identifier: Apache-2.0

package instance

import (
	"context"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/aws/shape/postern"
	lattice "github.com/posternhq/postern/internal/aws/shape/vpclattice"
	"github.com/posternhq/postern/internal/dataplane/network"
	"github.com/posternhq/postern/test/testnet"
)

// settled bounds how long a resource may take to work.
const settled = time.Minute

// VPC is a VPC with one subnet and a security group that admits everything.
type VPC struct {
	instance          *Instance
	ID, Subnet, Group string
}

// VPC makes a VPC with the IPv4 block and a subnet of it.
func (i *Instance) VPC(ctx context.Context, block, subnet string) (*VPC, error) {
	vpc, err := Call[ec2.CreateVpcOutput](ctx, i, ec2.Service, "CreateVpc", &ec2.CreateVpcInput{CidrBlock: &block})
	if err != nil {
		return nil, err
	}
	v := &VPC{instance: i, ID: *vpc.Vpc.VpcId}
	made, err := Call[ec2.CreateSubnetOutput](ctx, i, ec2.Service, "CreateSubnet", &ec2.CreateSubnetInput{
		VpcId: &v.ID, CidrBlock: &subnet, AvailabilityZone: new("us-east-1a"),
	})
	if err != nil {
		return nil, err
	}
	v.Subnet = *made.Subnet.SubnetId
	group, err := Call[ec2.CreateSecurityGroupOutput](ctx, i, ec2.Service, "CreateSecurityGroup", &ec2.CreateSecurityGroupInput{
		VpcId: &v.ID, GroupName: new("open"), Description: new("admits everything"),
	})
	if err != nil {
		return nil, err
	}
	v.Group = *group.GroupId
	_, err = Call[ec2.AuthorizeSecurityGroupIngressOutput](ctx, i, ec2.Service, "AuthorizeSecurityGroupIngress",
		&ec2.AuthorizeSecurityGroupIngressInput{GroupId: &v.Group, IpPermissions: []ec2.IpPermission{{
			IpProtocol: new("-1"), IpRanges: []ec2.IpRange{{CidrIp: new("0.0.0.0/0")}},
		}}})
	return v, err
}

// Attach gives the namespace a network interface with that address of the
// subnet, as its eth0, and returns when packets pass.
func (v *VPC) Attach(ctx context.Context, ns *testnet.NS, address string) error {
	made, err := Call[ec2.CreateNetworkInterfaceOutput](ctx, v.instance, ec2.Service, "CreateNetworkInterface",
		&ec2.CreateNetworkInterfaceInput{SubnetId: &v.Subnet, PrivateIpAddress: &address, Groups: []string{v.Group}})
	if err != nil {
		return err
	}
	var stat unix.Stat_t
	path := network.Directory + "/" + ns.Name
	if err := unix.Stat(path, &stat); err != nil {
		return &os.PathError{Op: "stat", Path: path, Err: err}
	}
	eni := *made.NetworkInterface.NetworkInterfaceId
	_, err = Call[postern.AttachNetworkInterfaceOutput](ctx, v.instance, postern.Service, "AttachNetworkInterface",
		&postern.AttachNetworkInterfaceInput{NetworkInterfaceId: &eni, NetnsName: &ns.Name, NetnsInode: new(int64(stat.Ino))})
	if err != nil {
		return err
	}
	return Poll(ctx, settled, "attachment of "+eni, func() (bool, error) {
		out, err := Call[postern.GetAttachmentOutput](ctx, v.instance, postern.Service, "GetAttachment",
			&postern.GetAttachmentInput{NetworkInterfaceId: &eni})
		if err == nil && *out.Status == postern.AttachmentStatusFailed {
			err = fmt.Errorf("attach %s: %s", eni, *out.Reason)
		}
		return err == nil && *out.Status == postern.AttachmentStatusAttached, err
	})
}

// Resource makes a resource gateway in the VPC and a resource configuration for
// an address and ports, and returns the configuration's ARN when both are
// active.
func (v *VPC) Resource(ctx context.Context, name, address string, ports ...string) (arn string, err error) {
	gateway, err := Call[lattice.CreateResourceGatewayOutput](ctx, v.instance, lattice.Service, "CreateResourceGateway",
		&lattice.CreateResourceGatewayInput{
			Name: &name, VpcIdentifier: &v.ID, SubnetIds: []string{v.Subnet}, SecurityGroupIds: []string{v.Group},
		})
	if err != nil {
		return "", err
	}
	err = Poll(ctx, settled, "gateway "+*gateway.Id, func() (bool, error) {
		out, err := Call[lattice.GetResourceGatewayOutput](ctx, v.instance, lattice.Service, "GetResourceGateway",
			&lattice.GetResourceGatewayInput{ResourceGatewayIdentifier: gateway.Id})
		return err == nil && *out.Status == lattice.ResourceGatewayStatusActive, err
	})
	if err != nil {
		return "", err
	}
	made, err := Call[lattice.CreateResourceConfigurationOutput](ctx, v.instance, lattice.Service, "CreateResourceConfiguration",
		&lattice.CreateResourceConfigurationInput{
			Name: &name, Type: new(lattice.ResourceConfigurationTypeSingle), ResourceGatewayIdentifier: gateway.Id, PortRanges: ports,
			ResourceConfigurationDefinition: &lattice.ResourceConfigurationDefinition{IpResource: &lattice.IpResource{IpAddress: &address}},
		})
	if err != nil {
		return "", err
	}
	return *made.Arn, Poll(ctx, settled, "configuration "+*made.Id, func() (bool, error) {
		out, err := Call[lattice.GetResourceConfigurationOutput](ctx, v.instance, lattice.Service, "GetResourceConfiguration",
			&lattice.GetResourceConfigurationInput{ResourceConfigurationIdentifier: made.Id})
		return err == nil && *out.Status == lattice.ResourceConfigurationStatusActive, err
	})
}

// Endpoint asks for an endpoint to a resource and returns its id. An empty
// address lets Postern choose one.
func (v *VPC) Endpoint(ctx context.Context, arn, address string) (id string, err error) {
	in := &ec2.CreateVpcEndpointInput{
		VpcEndpointType: new(ec2.VpcEndpointTypeResource), VpcId: &v.ID, ResourceConfigurationArn: &arn, SecurityGroupIds: []string{v.Group},
	}
	if address == "" {
		in.SubnetIds = []string{v.Subnet}
	} else {
		in.SubnetConfigurations = []ec2.SubnetConfiguration{{SubnetId: &v.Subnet, Ipv4: &address}}
	}
	out, err := Call[ec2.CreateVpcEndpointOutput](ctx, v.instance, ec2.Service, "CreateVpcEndpoint", in)
	if err != nil {
		return "", err
	}
	return *out.VpcEndpoint.VpcEndpointId, nil
}

// Available waits until an endpoint is programmed.
func (i *Instance) Available(ctx context.Context, id string) error {
	return Poll(ctx, settled, "endpoint "+id, func() (bool, error) {
		out, err := Call[ec2.DescribeVpcEndpointsOutput](ctx, i, ec2.Service, "DescribeVpcEndpoints",
			&ec2.DescribeVpcEndpointsInput{VpcEndpointIds: []string{id}})
		if err != nil || len(out.VpcEndpoints) != 1 {
			return false, err
		}
		return *out.VpcEndpoints[0].State == "available" || *out.VpcEndpoints[0].State == ec2.StateAvailable, nil
	})
}
