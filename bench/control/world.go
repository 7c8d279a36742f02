// SPDX-License-Identifier: Apache-2.0

package control

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/posternhq/postern/bench/postern"
	"github.com/posternhq/postern/internal/aws/schema"
	"github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/client"
	"github.com/posternhq/postern/test/instance"
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

// settled bounds how long what a world has asked for may take to work.
const settled = 3 * time.Minute

// world is one daemon with a number of endpoints that are just there (the
// crowd), a provider with a server, and a consumer whose workload tries the
// endpoints that are measured.
type world struct {
	*daemon
	name   string // of the candidate in the tables
	crowd  int
	closed string // group of the consumer, without rules

	provider, consumer *postern.VPC
	server, client     *testnet.NS
	listener           net.Listener
	configurations     []string // ARNs; the first one leads to the server
	// one is the identifier of an endpoint of the crowd.
	one string
	// user is one with policies, nil before it is made.
	user *client.Client
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
	d, err := newDaemon(binary)
	if err != nil {
		return &world{}, err
	}
	return &world{daemon: d}, nil
}

// close takes everything away that belongs to the world.
func (w *world) close() (err error) {
	if w.listener != nil {
		err = w.listener.Close()
	}
	if w.daemon != nil {
		err = errors.Join(err, w.daemon.close())
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
	return postern.Call[Out](ctx, w.Postern, service, operation, in)
}

// anybody is the rule that the benchmark opens and closes groups with.
func anybody() ec2.IpPermission {
	return ec2.IpPermission{
		IpProtocol: new("tcp"), FromPort: new(int32(resourcePort)), ToPort: new(int32(resourcePort)),
		IpRanges: []ec2.IpRange{{CidrIp: new("0.0.0.0/0")}},
	}
}

// makeNetwork makes a VPC that is one subnet.
func (w *world) makeNetwork(ctx context.Context) (*postern.VPC, error) {
	return w.VPC(ctx, networkCIDR, networkCIDR)
}

// attach makes a workload in a namespace of its own.
func attach(ctx context.Context, v *postern.VPC) (*testnet.NS, error) {
	ns, err := testnet.Make("pbench-" + testnet.RandomName(10))
	if err != nil {
		return nil, err
	}
	return ns, v.Attach(ctx, ns, workloadAddr)
}

// makeProvider makes the server's network, the gateway in it and the resources.
func (w *world) makeProvider(ctx context.Context) (err error) {
	if w.provider, err = w.makeNetwork(ctx); err != nil {
		return err
	}
	if w.server, err = attach(ctx, w.provider); err != nil {
		return err
	}
	if w.listener, err = w.server.Serve("tcp", net.JoinHostPort(workloadAddr, port)); err != nil {
		return err
	}
	gateway, err := w.provider.Gateway(ctx, "bench")
	if err != nil {
		return err
	}
	for i := range resourceCount {
		arn, err := w.Resource(ctx, gateway, fmt.Sprintf("bench-%d", i), resourceAddress(i), port)
		if err != nil {
			return err
		}
		w.configurations = append(w.configurations, arn)
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
	if w.closed, err = w.consumer.MakeGroup(ctx, "closed"); err != nil {
		return err
	}
	w.client, err = attach(ctx, w.consumer)
	return err
}

// fill makes the crowd, some lanes at once, and waits until it is programmed.
func (w *world) fill(ctx context.Context) error {
	networks := make([]*postern.VPC, (w.crowd+crowdPerVPC-1)/crowdPerVPC)
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
			request, err := signed(ctx, w.Client, ec2.Service, "CreateVpcEndpoint", n.NewEndpoint(arn, n.Group, ""))
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
	ids, err := w.endpointsOf(ctx, networks[0].ID)
	if err != nil {
		return err
	}
	w.one = ids[0]
	return w.Programmed(ctx)
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
	ids, err := w.endpointsOf(ctx, w.consumer.ID)
	if err != nil || len(ids) == 0 {
		return err
	}
	err = w.Client.Do(ctx, ec2.Service, "DeleteVpcEndpoints", &ec2.DeleteVpcEndpointsInput{VpcEndpointIds: ids}, nil)
	if err != nil {
		return err
	}
	return instance.Poll(ctx, settled, "deletion of endpoints", func() (bool, error) {
		left, err := w.endpointsOf(ctx, w.consumer.ID)
		return err == nil && len(left) == 0, err
	})
}
