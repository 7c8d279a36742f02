// SPDX-License-Identifier: Apache-2.0

package control

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/posternhq/postern/internal/aws/schema"
	"github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/aws/shape/postern"
	"github.com/posternhq/postern/internal/aws/shape/vpclattice"
	"github.com/posternhq/postern/test/testnet"
)

// All networks of the benchmark have the same addresses, because they may.
const (
	networkCIDR   = "10.0.0.0/16"
	workloadAddr  = "10.0.0.10"
	resourcePort  = 8080
	crowdPerVPC   = 200 // endpoints, the default quota
	crowdLanes    = 16
	resourceCount = 20
)

// network is a VPC with one subnet and a group that admits everything.
type network struct{ vpc, subnet, group string }

// world is one daemon with a number of endpoints that are just there (the
// crowd), a provider with a server, and a consumer whose workload tries the
// endpoints that are measured.
type world struct {
	*daemon
	name   string // of the candidate in the tables
	crowd  int
	closed string // group of the consumer, without rules

	provider, consumer network
	server, client     *testnet.NS
	listener           net.Listener
	configurations     []string // ARNs; the first one leads to the server
	// one is the identifier of an endpoint of the crowd.
	one string
	// filled is how long it took to create the crowd.
	filled time.Duration
}

// makeWorld starts a daemon and fills it. What was made is in the world also
// when it fails; the caller calls close.
func makeWorld(ctx context.Context, binary, name string, crowd int) (w *world, err error) {
	if w, err = emptyWorld(binary); err != nil {
		return w, err
	}
	w.name, w.crowd = name, crowd
	if _, err = w.daemon.start(ctx); err != nil {
		return w, err
	}
	for _, step := range []func(context.Context) error{w.makeProvider, w.makeConsumer, w.fill} {
		if err := step(ctx); err != nil {
			return w, err
		}
	}
	return w, nil
}

// emptyWorld is a world without anything in it, not even a running daemon.
func emptyWorld(binary string) (*world, error) {
	folder, err := os.MkdirTemp("", "postern-bench-")
	if err != nil {
		return &world{}, err
	}
	return &world{daemon: newDaemon(binary, folder)}, nil
}

// close takes everything away that belongs to the world.
func (w *world) close() (err error) {
	if w.listener != nil {
		err = w.listener.Close()
	}
	if w.daemon != nil {
		err = errors.Join(err, w.daemon.remove())
	}
	for _, ns := range []*testnet.NS{w.server, w.client} {
		if ns != nil {
			err = errors.Join(err, ns.Close())
		}
	}
	return err
}

// call makes a call of which the answer matters.
func call[Out any](ctx context.Context, w *world, service *schema.Service, operation string, in any) (*Out, error) {
	out := new(Out)
	return out, w.api.Do(ctx, service, operation, in, out)
}

func (w *world) makeNetwork(ctx context.Context) (n network, err error) {
	vpc, err := call[ec2.CreateVpcOutput](ctx, w, ec2.Service, "CreateVpc", &ec2.CreateVpcInput{CidrBlock: new(networkCIDR)})
	if err != nil {
		return n, err
	}
	subnet, err := call[ec2.CreateSubnetOutput](ctx, w, ec2.Service, "CreateSubnet", &ec2.CreateSubnetInput{
		VpcId: vpc.Vpc.VpcId, CidrBlock: new(networkCIDR), AvailabilityZone: new(w.running.Region + "a"),
	})
	if err != nil {
		return n, err
	}
	n = network{vpc: *vpc.Vpc.VpcId, subnet: *subnet.Subnet.SubnetId}
	if n.group, err = w.makeGroup(ctx, n, "open"); err != nil {
		return n, err
	}
	return n, w.open(ctx, n.group)
}

func (w *world) makeGroup(ctx context.Context, n network, name string) (string, error) {
	out, err := call[ec2.CreateSecurityGroupOutput](ctx, w, ec2.Service, "CreateSecurityGroup", &ec2.CreateSecurityGroupInput{
		VpcId: &n.vpc, GroupName: &name, Description: &name,
	})
	if err != nil {
		return "", err
	}
	return *out.GroupId, nil
}

// anybody is the rule that the benchmark opens and closes groups with.
func anybody() []ec2.IpPermission {
	return []ec2.IpPermission{{
		IpProtocol: new("tcp"), FromPort: new(int32(resourcePort)), ToPort: new(int32(resourcePort)),
		IpRanges: []ec2.IpRange{{CidrIp: new("0.0.0.0/0")}},
	}}
}

func (w *world) open(ctx context.Context, group string) error {
	return w.api.Do(ctx, ec2.Service, "AuthorizeSecurityGroupIngress",
		&ec2.AuthorizeSecurityGroupIngressInput{GroupId: &group, IpPermissions: anybody()}, nil)
}

func (w *world) shut(ctx context.Context, group string) error {
	return w.api.Do(ctx, ec2.Service, "RevokeSecurityGroupIngress",
		&ec2.RevokeSecurityGroupIngressInput{GroupId: &group, IpPermissions: anybody()}, nil)
}

// attach makes a workload in a namespace of its own.
func (w *world) attach(ctx context.Context, n network) (*testnet.NS, error) {
	ns, err := testnet.Make("pbench-" + testnet.RandomName(10))
	if err != nil {
		return nil, err
	}
	made, err := call[ec2.CreateNetworkInterfaceOutput](ctx, w, ec2.Service, "CreateNetworkInterface", &ec2.CreateNetworkInterfaceInput{
		SubnetId: &n.subnet, PrivateIpAddress: new(workloadAddr), Groups: []string{n.group},
	})
	if err != nil {
		return ns, err
	}
	eni := made.NetworkInterface.NetworkInterfaceId
	err = w.api.Do(ctx, postern.Service, "AttachNetworkInterface", &postern.AttachNetworkInterfaceInput{
		NetworkInterfaceId: eni, NetnsName: &ns.Name, NetnsInode: new(int64(ns.Desired().Inode)), DeviceName: new("eth0"),
	}, nil)
	if err != nil {
		return ns, err
	}
	return ns, poll(ctx, "attachment of "+*eni, func() (bool, error) {
		got, err := call[postern.GetAttachmentOutput](ctx, w, postern.Service, "GetAttachment", &postern.GetAttachmentInput{NetworkInterfaceId: eni})
		if err != nil || *got.Status == postern.AttachmentStatusFailed {
			return false, errors.Join(err, fmt.Errorf("attach %s: %v", *eni, got.Reason))
		}
		return *got.Status == postern.AttachmentStatusAttached, nil
	})
}

// makeProvider makes the server's network, the gateway in it and the resources.
func (w *world) makeProvider(ctx context.Context) (err error) {
	if w.provider, err = w.makeNetwork(ctx); err != nil {
		return err
	}
	if w.server, err = w.attach(ctx, w.provider); err != nil {
		return err
	}
	if w.listener, err = w.server.Serve("tcp", net.JoinHostPort(workloadAddr, fmt.Sprint(resourcePort))); err != nil {
		return err
	}
	gateway, err := call[vpclattice.CreateResourceGatewayOutput](ctx, w, vpclattice.Service, "CreateResourceGateway",
		&vpclattice.CreateResourceGatewayInput{
			Name: new("bench"), VpcIdentifier: &w.provider.vpc,
			SubnetIds: []string{w.provider.subnet}, SecurityGroupIds: []string{w.provider.group},
		})
	if err != nil {
		return err
	}
	err = poll(ctx, *gateway.Id, func() (bool, error) {
		got, err := call[vpclattice.GetResourceGatewayOutput](ctx, w, vpclattice.Service, "GetResourceGateway",
			&vpclattice.GetResourceGatewayInput{ResourceGatewayIdentifier: gateway.Id})
		return err == nil && *got.Status == vpclattice.ResourceGatewayStatusActive, err
	})
	if err != nil {
		return err
	}
	for i := range resourceCount {
		made, err := call[vpclattice.CreateResourceConfigurationOutput](ctx, w, vpclattice.Service, "CreateResourceConfiguration",
			&vpclattice.CreateResourceConfigurationInput{
				Name: new(fmt.Sprintf("bench-%d", i)), Type: new(vpclattice.ResourceConfigurationTypeSingle),
				ResourceGatewayIdentifier: gateway.Id, PortRanges: []string{fmt.Sprint(resourcePort)},
				ResourceConfigurationDefinition: &vpclattice.ResourceConfigurationDefinition{
					IpResource: &vpclattice.IpResource{IpAddress: new(resourceAddress(i))},
				},
			})
		if err != nil {
			return err
		}
		w.configurations = append(w.configurations, *made.Arn)
	}
	return nil
}

// resourceAddress is the workload's for the first resource. The others are in no
// subnet, where the gateway may have an address itself.
func resourceAddress(i int) string {
	if i == 0 {
		return workloadAddr
	}
	return fmt.Sprintf("192.168.7.%d", i)
}

func (w *world) makeConsumer(ctx context.Context) (err error) {
	if w.consumer, err = w.makeNetwork(ctx); err != nil {
		return err
	}
	if w.closed, err = w.makeGroup(ctx, w.consumer, "closed"); err != nil {
		return err
	}
	w.client, err = w.attach(ctx, w.consumer)
	return err
}

// newEndpoint is the request for an endpoint; an empty address leaves the
// choice to Postern.
func newEndpoint(n network, arn, group, address string) *ec2.CreateVpcEndpointInput {
	in := &ec2.CreateVpcEndpointInput{
		VpcEndpointType: new(ec2.VpcEndpointTypeResource), VpcId: &n.vpc, SecurityGroupIds: []string{group},
		SubnetConfigurations: []ec2.SubnetConfiguration{{SubnetId: &n.subnet}}, ResourceConfigurationArn: &arn,
	}
	if address != "" {
		in.SubnetConfigurations[0].Ipv4 = &address
	}
	return in
}

// fill makes the crowd, some lanes at once, and waits until it is programmed.
func (w *world) fill(ctx context.Context) error {
	networks := make([]network, (w.crowd+crowdPerVPC-1)/crowdPerVPC)
	var g errgroup.Group
	g.SetLimit(2) // connections that the client keeps
	for i := range networks {
		g.Go(func() (err error) {
			networks[i], err = w.makeNetwork(ctx)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	requests := make([][]byte, 0, len(networks)*resourceCount)
	for _, arn := range w.configurations {
		for _, n := range networks {
			request, err := signed(ctx, w.api, ec2.Service, "CreateVpcEndpoint", newEndpoint(n, arn, n.group, ""))
			if err != nil {
				return err
			}
			requests = append(requests, request)
		}
	}
	begun := time.Now()
	if _, _, err := drive(ctx, w.address(), crowdLanes, times(w.crowd, requests...)); err != nil {
		return fmt.Errorf("create %d endpoints: %w", w.crowd, err)
	}
	w.filled = time.Since(begun)
	ids, err := w.endpointsOf(ctx, networks[0].vpc)
	if err != nil {
		return err
	}
	w.one = ids[0]
	return w.programmed(ctx)
}

// endpointsOf lists the endpoints of a VPC.
func (w *world) endpointsOf(ctx context.Context, vpc string) (ids []string, err error) {
	in := &ec2.DescribeVpcEndpointsInput{Filters: []ec2.Filter{{Name: new("vpc-id"), Values: []string{vpc}}}}
	for {
		out, err := call[ec2.DescribeVpcEndpointsOutput](ctx, w, ec2.Service, "DescribeVpcEndpoints", in)
		if err != nil {
			return nil, err
		}
		for _, e := range out.VpcEndpoints {
			ids = append(ids, *e.VpcEndpointId)
		}
		if in.NextToken = out.NextToken; in.NextToken == nil {
			return ids, nil
		}
	}
}

// clear deletes the endpoints of the consumer and waits until they are gone.
func (w *world) clear(ctx context.Context) error {
	ids, err := w.endpointsOf(ctx, w.consumer.vpc)
	if err != nil || len(ids) == 0 {
		return err
	}
	err = w.api.Do(ctx, ec2.Service, "DeleteVpcEndpoints", &ec2.DeleteVpcEndpointsInput{VpcEndpointIds: ids}, nil)
	if err != nil {
		return err
	}
	return poll(ctx, "deletion of endpoints", func() (bool, error) {
		left, err := w.endpointsOf(ctx, w.consumer.vpc)
		return err == nil && len(left) == 0, err
	})
}

// programmed waits until the kernel has all that is wanted.
func (w *world) programmed(ctx context.Context) error {
	return poll(ctx, "programming of everything", func() (bool, error) {
		s, err := call[postern.GetStatusOutput](ctx, w, postern.Service, "GetStatus", &postern.GetStatusInput{})
		if err != nil {
			return false, err
		}
		for _, r := range s.Resources {
			if *r.State != "ready" {
				return false, nil
			}
		}
		return *s.DesiredEntries == *s.ProgrammedEntries, nil
	})
}

const pollTimeout = 3 * time.Minute

// poll asks until the answer is yes, a little slower each time.
func poll(ctx context.Context, what string, done func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	for wait := 2 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		if ok, err := done(); ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w", what, ctx.Err())
		case <-time.After(wait):
		}
	}
}
