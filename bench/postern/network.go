// SPDX-License-Identifier: Apache-2.0

package postern

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/aws/shape/ec2"
	shape "github.com/posternhq/postern/internal/aws/shape/postern"
	lattice "github.com/posternhq/postern/internal/aws/shape/vpclattice"
	"github.com/posternhq/postern/internal/dataplane/network"
	"github.com/posternhq/postern/test/instance"
	"github.com/posternhq/postern/test/testnet"
)

// settled bounds how long a resource may take to work.
const settled = time.Minute

// VPC is a VPC with one subnet and a security group that admits everything.
type VPC struct {
	p                        *Postern
	ID, Block, Subnet, Group string
}

// VPC makes a VPC with the IPv4 block and a subnet of it.
func (p *Postern) VPC(ctx context.Context, block, subnet string) (*VPC, error) {
	vpc, err := Call[ec2.CreateVpcOutput](ctx, p, ec2.Service, "CreateVpc", &ec2.CreateVpcInput{CidrBlock: &block})
	if err != nil {
		return nil, err
	}
	v := &VPC{p: p, ID: *vpc.Vpc.VpcId, Block: block}
	if v.Subnet, err = v.MakeSubnet(ctx, subnet); err != nil {
		return nil, err
	}
	if v.Group, err = v.MakeGroup(ctx, "open"); err != nil {
		return nil, err
	}
	return v, v.Admit(ctx, v.Group, ec2.IpPermission{IpProtocol: new("-1"), IpRanges: []ec2.IpRange{{CidrIp: new("0.0.0.0/0")}}})
}

// Peer makes an active peering connection of two VPCs, and has their subnets lead there.
func (p *Postern) Peer(ctx context.Context, a, b *VPC) error {
	made, err := Call[ec2.CreateVpcPeeringConnectionOutput](ctx, p, ec2.Service, "CreateVpcPeeringConnection",
		&ec2.CreateVpcPeeringConnectionInput{VpcId: &a.ID, PeerVpcId: &b.ID})
	if err != nil {
		return err
	}
	id := made.VpcPeeringConnection.VpcPeeringConnectionId
	if err := p.Client.Do(ctx, ec2.Service, "AcceptVpcPeeringConnection", &ec2.AcceptVpcPeeringConnectionInput{VpcPeeringConnectionId: id}, nil); err != nil {
		return err
	}
	return errors.Join(
		a.lead(ctx, a.Subnet, b.Block, &ec2.CreateRouteInput{VpcPeeringConnectionId: id}),
		b.lead(ctx, b.Subnet, a.Block, &ec2.CreateRouteInput{VpcPeeringConnectionId: id}),
	)
}

// NameHosts lets the VPC see hosted zones, for which it must have names of hosts.
func (v *VPC) NameHosts(ctx context.Context) error {
	return v.p.Client.Do(ctx, ec2.Service, "ModifyVpcAttribute", &ec2.ModifyVpcAttributeInput{
		VpcId: &v.ID, EnableDnsHostnames: &ec2.AttributeBooleanValue{Value: new(true)},
	}, nil)
}

// MakeGroup makes a security group that admits nothing.
func (v *VPC) MakeGroup(ctx context.Context, name string) (id string, err error) {
	out, err := Call[ec2.CreateSecurityGroupOutput](ctx, v.p, ec2.Service, "CreateSecurityGroup", &ec2.CreateSecurityGroupInput{
		VpcId: &v.ID, GroupName: &name, Description: &name,
	})
	if err != nil {
		return "", err
	}
	return *out.GroupId, nil
}

// Admit adds a rule to a security group.
func (v *VPC) Admit(ctx context.Context, group string, rule ec2.IpPermission) error {
	return v.p.Client.Do(ctx, ec2.Service, "AuthorizeSecurityGroupIngress",
		&ec2.AuthorizeSecurityGroupIngressInput{GroupId: &group, IpPermissions: []ec2.IpPermission{rule}}, nil)
}

// Refuse takes a rule away from a security group.
func (v *VPC) Refuse(ctx context.Context, group string, rule ec2.IpPermission) error {
	return v.p.Client.Do(ctx, ec2.Service, "RevokeSecurityGroupIngress",
		&ec2.RevokeSecurityGroupIngressInput{GroupId: &group, IpPermissions: []ec2.IpPermission{rule}}, nil)
}

// Attach gives the namespace a network interface with that address of the
// subnet, as its eth0, and returns when packets pass.
func (v *VPC) Attach(ctx context.Context, ns *testnet.NS, address string) error {
	return v.AttachIn(ctx, ns, v.Subnet, address)
}

// AttachIn is Attach in any subnet of the VPC.
func (v *VPC) AttachIn(ctx context.Context, ns *testnet.NS, subnet, address string) error {
	_, err := v.attach(ctx, ns, subnet, address)
	return err
}

// AttachForwarder is Attach in any subnet of the VPC, of a network interface that takes
// packets for addresses that it does not have. It gives the interface's id.
func (v *VPC) AttachForwarder(ctx context.Context, ns *testnet.NS, subnet, address string) (eni string, err error) {
	if eni, err = v.attach(ctx, ns, subnet, address); err != nil {
		return "", err
	}
	return eni, v.p.Client.Do(ctx, ec2.Service, "ModifyNetworkInterfaceAttribute", &ec2.ModifyNetworkInterfaceAttributeInput{
		NetworkInterfaceId: &eni, SourceDestCheck: &ec2.AttributeBooleanValue{Value: new(false)},
	}, nil)
}

func (v *VPC) attach(ctx context.Context, ns *testnet.NS, subnet, address string) (eni string, err error) {
	made, err := Call[ec2.CreateNetworkInterfaceOutput](ctx, v.p, ec2.Service, "CreateNetworkInterface",
		&ec2.CreateNetworkInterfaceInput{SubnetId: &subnet, PrivateIpAddress: &address, Groups: []string{v.Group}})
	if err != nil {
		return "", err
	}
	var stat unix.Stat_t
	path := network.Directory + "/" + ns.Name
	if err := unix.Stat(path, &stat); err != nil {
		return "", &os.PathError{Op: "stat", Path: path, Err: err}
	}
	eni = *made.NetworkInterface.NetworkInterfaceId
	_, err = Call[shape.AttachNetworkInterfaceOutput](ctx, v.p, shape.Service, "AttachNetworkInterface",
		&shape.AttachNetworkInterfaceInput{NetworkInterfaceId: &eni, NetnsName: &ns.Name, NetnsInode: new(int64(stat.Ino))})
	if err != nil {
		return "", err
	}
	return eni, instance.Poll(ctx, settled, "attachment of "+eni, func() (bool, error) {
		out, err := Call[shape.GetAttachmentOutput](ctx, v.p, shape.Service, "GetAttachment",
			&shape.GetAttachmentInput{NetworkInterfaceId: &eni})
		if err == nil && *out.Status == shape.AttachmentStatusFailed {
			err = fmt.Errorf("attach %s: %s", eni, *out.Reason)
		}
		return err == nil && *out.Status == shape.AttachmentStatusAttached, err
	})
}

// Gateway makes a resource gateway in the VPC and waits until it is active.
func (v *VPC) Gateway(ctx context.Context, name string) (id string, err error) {
	return v.gateway(ctx, name, lattice.ResourceConfigDnsResolutionPublic)
}

// GatewayInside is Gateway with names of resources looked up in the VPC.
func (v *VPC) GatewayInside(ctx context.Context, name string) (id string, err error) {
	return v.gateway(ctx, name, lattice.ResourceConfigDnsResolutionInVpc)
}

// AskForGateway makes a resource gateway in a subnet of the VPC and does not wait for it.
func (v *VPC) AskForGateway(ctx context.Context, name, subnet string) error {
	_, err := v.newGateway(ctx, name, subnet, lattice.ResourceConfigDnsResolutionPublic)
	return err
}

func (v *VPC) newGateway(ctx context.Context, name, subnet, resolution string) (*lattice.CreateResourceGatewayOutput, error) {
	return Call[lattice.CreateResourceGatewayOutput](ctx, v.p, lattice.Service, "CreateResourceGateway",
		&lattice.CreateResourceGatewayInput{
			Name: &name, VpcIdentifier: &v.ID, SubnetIds: []string{subnet}, SecurityGroupIds: []string{v.Group},
			ResourceConfigDnsResolution: &resolution,
		})
}

func (v *VPC) gateway(ctx context.Context, name, resolution string) (id string, err error) {
	gateway, err := v.newGateway(ctx, name, v.Subnet, resolution)
	if err != nil {
		return "", err
	}
	return *gateway.Id, instance.Poll(ctx, settled, "gateway "+*gateway.Id, func() (bool, error) {
		out, err := Call[lattice.GetResourceGatewayOutput](ctx, v.p, lattice.Service, "GetResourceGateway",
			&lattice.GetResourceGatewayInput{ResourceGatewayIdentifier: gateway.Id})
		return err == nil && *out.Status == lattice.ResourceGatewayStatusActive, err
	})
}

// Resource makes a resource configuration of a gateway for an address and ports,
// and returns its ARN when it is active.
func (p *Postern) Resource(ctx context.Context, gateway, name, address string, ports ...string) (arn string, err error) {
	return p.resource(ctx, NewResource(gateway, name, address, ports...))
}

// NewResource is the request for a resource configuration of a gateway, for an address
// and ports.
func NewResource(gateway, name, address string, ports ...string) *lattice.CreateResourceConfigurationInput {
	return newResource(gateway, name, &lattice.ResourceConfigurationDefinition{IpResource: &lattice.IpResource{IpAddress: &address}}, ports)
}

// NamedResource is Resource for whatever IPv4 address a domain name has.
func (p *Postern) NamedResource(ctx context.Context, gateway, name, domain string, ports ...string) (arn string, err error) {
	return p.resource(ctx, newResource(gateway, name, named(domain), ports))
}

// named defines a resource by its domain name.
func named(domain string) *lattice.ResourceConfigurationDefinition {
	return &lattice.ResourceConfigurationDefinition{DnsResource: &lattice.DnsResource{
		DomainName: &domain, IpAddressType: new(lattice.ResourceConfigurationIpAddressTypeIpv4),
	}}
}

func newResource(gateway, name string, what *lattice.ResourceConfigurationDefinition, ports []string) *lattice.CreateResourceConfigurationInput {
	return &lattice.CreateResourceConfigurationInput{
		Name: &name, Type: new(lattice.ResourceConfigurationTypeSingle), ResourceGatewayIdentifier: &gateway, PortRanges: ports,
		ResourceConfigurationDefinition: what,
	}
}

func (p *Postern) resource(ctx context.Context, in *lattice.CreateResourceConfigurationInput) (arn string, err error) {
	made, err := Call[lattice.CreateResourceConfigurationOutput](ctx, p, lattice.Service, "CreateResourceConfiguration", in)
	if err != nil {
		return "", err
	}
	return *made.Arn, instance.Poll(ctx, settled, "configuration "+*made.Id, func() (bool, error) {
		out, err := Call[lattice.GetResourceConfigurationOutput](ctx, p, lattice.Service, "GetResourceConfiguration",
			&lattice.GetResourceConfigurationInput{ResourceConfigurationIdentifier: made.Id})
		return err == nil && *out.Status == lattice.ResourceConfigurationStatusActive, err
	})
}

// ResourceGroup makes a group of resource configurations of a gateway, and returns its id
// and ARN when it is active.
func (p *Postern) ResourceGroup(ctx context.Context, gateway, name string) (id, arn string, err error) {
	arn, err = p.resource(ctx, &lattice.CreateResourceConfigurationInput{
		Name: &name, Type: new(lattice.ResourceConfigurationTypeGroup), ResourceGatewayIdentifier: &gateway,
	})
	_, id, _ = strings.Cut(arn, "resourceconfiguration/")
	return id, arn, err
}

// NewChild is the request for a child of a group, for whatever IPv4 address a domain name
// has.
func NewChild(group, name, domain string, ports ...string) *lattice.CreateResourceConfigurationInput {
	in := newResource("", name, named(domain), ports)
	in.Type, in.ResourceGatewayIdentifier, in.ResourceConfigurationGroupIdentifier = new(lattice.ResourceConfigurationTypeChild), nil, &group
	return in
}

// MakeSubnet makes another subnet of the VPC.
func (v *VPC) MakeSubnet(ctx context.Context, block string) (id string, err error) {
	made, err := Call[ec2.CreateSubnetOutput](ctx, v.p, ec2.Service, "CreateSubnet", &ec2.CreateSubnetInput{
		VpcId: &v.ID, CidrBlock: &block, AvailabilityZone: new("us-east-1a"),
	})
	if err != nil {
		return "", err
	}
	return *made.Subnet.SubnetId, nil
}

// NewEndpoint is the request for an endpoint to a resource, with a group. An
// empty address leaves the choice to Postern.
func (v *VPC) NewEndpoint(arn, group, address string) *ec2.CreateVpcEndpointInput {
	in := &ec2.CreateVpcEndpointInput{
		VpcEndpointType: new(ec2.VpcEndpointTypeResource), VpcId: &v.ID, ResourceConfigurationArn: &arn, SecurityGroupIds: []string{group},
		SubnetConfigurations: []ec2.SubnetConfiguration{{SubnetId: &v.Subnet}},
	}
	if address != "" {
		in.SubnetConfigurations[0].Ipv4 = &address
	}
	return in
}

// Endpoint asks for an endpoint to a resource and returns its id.
func (v *VPC) Endpoint(ctx context.Context, arn, address string) (id string, err error) {
	out, err := Call[ec2.CreateVpcEndpointOutput](ctx, v.p, ec2.Service, "CreateVpcEndpoint", v.NewEndpoint(arn, v.Group, address))
	if err != nil {
		return "", err
	}
	return *out.VpcEndpoint.VpcEndpointId, nil
}

// Available waits until an endpoint is programmed.
func (p *Postern) Available(ctx context.Context, id string) error {
	return instance.Poll(ctx, settled, "endpoint "+id, func() (bool, error) {
		out, err := Call[ec2.DescribeVpcEndpointsOutput](ctx, p, ec2.Service, "DescribeVpcEndpoints",
			&ec2.DescribeVpcEndpointsInput{VpcEndpointIds: []string{id}})
		if err != nil || len(out.VpcEndpoints) != 1 {
			return false, err
		}
		return *out.VpcEndpoints[0].State == "available" || *out.VpcEndpoints[0].State == ec2.StateAvailable, nil
	})
}
