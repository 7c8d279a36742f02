// SPDX-License-Identifier: Apache-2.0

package control

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/posternhq/postern/bench/postern"
	"github.com/posternhq/postern/bench/report"
	"github.com/posternhq/postern/internal/aws/shape/ec2"
	lattice "github.com/posternhq/postern/internal/aws/shape/vpclattice"
	"github.com/posternhq/postern/test/instance"
	"github.com/posternhq/postern/test/testnet"
)

// wantedSpread is how long one child more of a hub may take to be everywhere, in ms.
const wantedSpread = 500

// resolverOfVPC is where the workloads of every VPC ask for names.
const resolverOfVPC = "169.254.169.253:53"

// hubScale is how much of a hub there is, and how often a child is added in a round.
type hubScale struct{ children, vpcs, added, rounds int }

// name is how the hub is called in the tables.
func (s hubScale) name() string { return fmt.Sprintf("%d children, %d VPCs", s.children, s.vpcs) }

// service is what the hub's interface endpoints lead to, and where.
const (
	service     = "com.amazonaws.us-east-1.ec2"
	servicePort = "443"
)

// hub is a daemon with a group whose children are interface endpoints of one VPC, and which
// many VPCs reach by one endpoint each.
type hub struct {
	*daemon
	hubScale
	client    *testnet.NS // in the last of the VPCs
	group     string
	names     []string // of the interface endpoints, one more than there are children
	endpoints []string // by VPC
}

// makeHub starts a daemon and fills it. What was made is in the hub also when it fails; the
// caller calls close.
func makeHub(ctx context.Context, binary string, s hubScale) (h *hub, err error) {
	d, err := newDaemon(binary)
	if err != nil {
		return &hub{}, err
	}
	h = &hub{daemon: d, hubScale: s}
	if _, err := d.start(ctx); err != nil {
		return h, err
	}
	arn, err := h.provide(ctx)
	if err != nil {
		return h, err
	}
	h.endpoints = make([]string, s.vpcs)
	err = inLanes(ctx, s.vpcs, func(ctx context.Context, i int) error { return h.consume(ctx, i, arn) })
	if err != nil {
		return h, fmt.Errorf("make %d VPCs with an endpoint: %w", s.vpcs, err)
	}
	return h, h.Programmed(ctx)
}

// close takes everything away that belongs to the hub.
func (h *hub) close() (err error) {
	if h.daemon != nil {
		err = h.daemon.close()
	}
	if h.client != nil {
		err = errors.Join(err, h.client.Close())
	}
	return err
}

// provide makes the hub's VPC with its interface endpoints, and the group with its children.
func (h *hub) provide(ctx context.Context) (arn string, err error) {
	v, err := h.VPC(ctx, networkCIDR, networkCIDR)
	if err != nil {
		return "", err
	}
	h.names = make([]string, h.children+1)
	err = inLanes(ctx, len(h.names), func(ctx context.Context, i int) (err error) {
		h.names[i], err = h.interfaceEndpoint(ctx, v)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("make %d interface endpoints: %w", len(h.names), err)
	}
	gateway, err := v.Gateway(ctx, "hub")
	if err != nil {
		return "", err
	}
	if h.group, arn, err = h.ResourceGroup(ctx, gateway, "hub"); err != nil {
		return "", err
	}
	for i := range h.children {
		if _, err := h.addChild(ctx, i); err != nil {
			return "", err
		}
	}
	return arn, nil
}

// interfaceEndpoint makes an interface endpoint, and gives its name once it has one.
func (h *hub) interfaceEndpoint(ctx context.Context, v *postern.VPC) (name string, err error) {
	made, err := postern.Call[ec2.CreateVpcEndpointOutput](ctx, h.Postern, ec2.Service, "CreateVpcEndpoint", &ec2.CreateVpcEndpointInput{
		VpcEndpointType: new(ec2.VpcEndpointTypeInterface), ServiceName: new(service), VpcId: &v.ID, SubnetIds: []string{v.Subnet},
		SecurityGroupIds: []string{v.Group}, PrivateDnsEnabled: new(false),
	})
	if err != nil {
		return "", err
	}
	id := *made.VpcEndpoint.VpcEndpointId
	err = instance.Poll(ctx, settled, "the name of "+id, func() (bool, error) {
		out, err := postern.Call[ec2.DescribeVpcEndpointsOutput](ctx, h.Postern, ec2.Service, "DescribeVpcEndpoints", &ec2.DescribeVpcEndpointsInput{VpcEndpointIds: []string{id}})
		if err != nil || len(out.VpcEndpoints[0].DnsEntries) == 0 {
			return false, err
		}
		name = *out.VpcEndpoints[0].DnsEntries[0].DnsName
		return *out.VpcEndpoints[0].State == "available", nil
	})
	return name, err
}

// addChild makes the i-th child, of the i-th interface endpoint.
func (h *hub) addChild(ctx context.Context, i int) (id string, err error) {
	out, err := postern.Call[lattice.CreateResourceConfigurationOutput](ctx, h.Postern, lattice.Service, "CreateResourceConfiguration",
		postern.NewChild(h.group, configurationName(i), h.names[i], servicePort))
	if err != nil {
		return "", err
	}
	return *out.Id, nil
}

// consume makes the i-th VPC and its endpoint.
func (h *hub) consume(ctx context.Context, i int, arn string) error {
	v, err := h.VPC(ctx, networkCIDR, networkCIDR)
	if err != nil {
		return err
	}
	if i == h.vpcs-1 {
		if h.client, err = attach(ctx, v); err != nil {
			return err
		}
	}
	h.endpoints[i], err = v.Endpoint(ctx, arn, "")
	return err
}

// measureHub measures how long it takes until all who reach a group have one child more.
func (b *bench) measureHub(ctx context.Context) error {
	begun := time.Now()
	h, err := makeHub(ctx, b.PosternBin, b.scale.hub)
	b.hubs = append(b.hubs, h)
	if err != nil {
		return fmt.Errorf("prepare a hub of %s: %w", b.scale.hub.name(), err)
	}
	b.Log.Info("filled", "with", h.name(), "took", time.Since(begun))
	for range h.rounds {
		var took []time.Duration
		for range h.added {
			d, err := h.spread(ctx)
			if err != nil {
				return fmt.Errorf("add a child to %s: %w", h.name(), err)
			}
			took = append(took, d)
		}
		p50, p99 := report.Milliseconds(took)
		b.Log.Debug("one child more", "p50", p50, "p99", p99)
		const what = "CreateResourceConfiguration of one child more → everywhere"
		b.spread.Less(what+", p50", "ms").Add(h.name(), p50)
		row := b.spread.Less(what+", p99", "ms")
		row.Add(h.name(), p99)
		if len(row.Targets) == 0 {
			row.Within(h.name(), wantedSpread)
		}
	}
	return nil
}

// spread adds a child and gives how long it took from sending the request until every
// endpoint leads to it under a name. It takes the child away again.
func (h *hub) spread(ctx context.Context) (took time.Duration, err error) {
	begun := time.Now()
	child, err := h.addChild(ctx, h.children)
	if err != nil {
		return 0, err
	}
	name, err := h.everywhere(ctx, child)
	if err != nil {
		return 0, err
	}
	took = time.Since(begun)
	if err := h.reach(ctx, name); err != nil {
		return 0, err
	}
	return took, h.remove(ctx, child)
}

// everywhere waits until the kernel has acknowledged what each endpoint needs for a child,
// and its name; it gives the last one's. Asking for all is dear, and the server works for
// the ways meanwhile. So one endpoint is asked for at a time, as long as it has not got the
// child, and all when it has.
func (h *hub) everywhere(ctx context.Context, child string) (name string, err error) {
	asked := h.endpoints[len(h.endpoints)-1:]
	err = instance.Poll(ctx, settled, "endpoints that lead to "+child, func() (bool, error) {
		for {
			names, err := h.namesOf(ctx, child, asked)
			if err != nil {
				return false, err
			}
			lacks := slices.IndexFunc(asked, func(endpoint string) bool { return names[endpoint] == "" })
			switch {
			case lacks >= 0:
				asked = asked[lacks : lacks+1]
				return false, nil
			case len(asked) == len(h.endpoints):
				name = names[h.endpoints[len(h.endpoints)-1]]
				return true, nil
			}
			asked = h.endpoints
		}
	})
	return name, err
}

// namesOf gives the names by which endpoints lead to a child, of those that do.
func (h *hub) namesOf(ctx context.Context, child string, endpoints []string) (map[string]string, error) {
	names, in := map[string]string{}, &ec2.DescribeVpcEndpointAssociationsInput{
		VpcEndpointIds: endpoints, Filters: []ec2.Filter{{Name: new("associated-resource-id"), Values: []string{child}}},
	}
	out, err := postern.Call[ec2.DescribeVpcEndpointAssociationsOutput](ctx, h.Postern, ec2.Service, "DescribeVpcEndpointAssociations", in)
	if err != nil {
		return nil, err
	}
	for _, a := range out.VpcEndpointAssociations {
		if *a.AssociatedResourceAccessibility == "Accessible" && a.DnsEntry != nil {
			names[*a.VpcEndpointId] = *a.DnsEntry.DnsName
		}
	}
	return names, nil
}

// reach wants the service to be reached by a name of the last VPC, at the first attempt. Its
// certificate has other names, and is not what is looked at.
func (h *hub) reach(ctx context.Context, name string) error {
	resolver := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return h.client.Dial(ctx, network, resolverOfVPC)
	}}
	addrs, err := resolver.LookupNetIP(ctx, "ip4", name+".")
	if err != nil {
		return err
	}
	conn, err := h.client.Dial(ctx, "tcp", net.JoinHostPort(addrs[0].Unmap().String(), servicePort))
	if err != nil {
		return err
	}
	defer conn.Close()
	return tls.Client(conn, &tls.Config{InsecureSkipVerify: true}).HandshakeContext(ctx)
}

// remove deletes a child and waits until no endpoint has it any more.
func (h *hub) remove(ctx context.Context, child string) error {
	err := h.Client.Do(ctx, lattice.Service, "DeleteResourceConfiguration", &lattice.DeleteResourceConfigurationInput{ResourceConfigurationIdentifier: &child}, nil)
	if err != nil {
		return err
	}
	return instance.Poll(ctx, settled, "deletion of "+child, func() (bool, error) {
		out, err := postern.Call[lattice.ListResourceConfigurationsOutput](ctx, h.Postern, lattice.Service, "ListResourceConfigurations",
			&lattice.ListResourceConfigurationsInput{ResourceConfigurationGroupIdentifier: &h.group, MaxResults: new(int32(100))})
		return err == nil && len(out.Items) == h.children, err
	})
}

// hubNote says how the table comes about.
func (b *bench) hubNote() string {
	s := b.scale.hub
	return fmt.Sprintf("A hub: %d interface endpoints to Postern's EC2 API in one VPC, offered by one gateway as a group, each by its public name, and %d VPCs with an endpoint to the group each. One child more, of an interface endpoint that is there, %d times a round, from before CreateResourceConfiguration is sent "+
		"until DescribeVpcEndpointAssociations says of every endpoint that the child is accessible, and under which name, which is when the kernel and the resolver have it; then a client of the last VPC reaches the API by that name, over TLS, at its first attempt, or the run fails.",
		s.children, s.vpcs, s.added)
}
