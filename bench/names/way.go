// SPDX-License-Identifier: Apache-2.0

package names

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/posternhq/postern/bench/postern"
	"github.com/posternhq/postern/bench/report"
	"github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/test/instance"
)

const (
	port = "8080"
	// movingTTL is for how many seconds the names of resources hold: the least
	// that they are gone by.
	movingTTL  = 5
	movingZone = "moving.example.com"
	// attempt bounds a connection that is tried again when it has not come.
	attempt = 100 * time.Millisecond
	// settled bounds how long what is asked for may take to work.
	settled = time.Minute
)

// servers are the addresses of the provider's workloads; each answers with its
// address.
var servers = []string{"10.0.0.20", "10.0.0.21"}

// ways is a world in which a provider offers resources.
type ways struct {
	*world
	zone     string // that the provider sees, with the names that move
	gateway  string
	resource string // ARN of the one with an address
}

// provide makes the provider's side.
func provide(ctx context.Context, w *world) (*ways, error) {
	v, err := w.network(ctx, network, network)
	if err != nil {
		return nil, err
	}
	s := &ways{world: w}
	for _, address := range servers {
		ns, err := w.attach(ctx, v, address)
		if err != nil {
			return nil, err
		}
		if err := w.greet(ns, net.JoinHostPort(address, port), address); err != nil {
			return nil, err
		}
	}
	if s.zone, err = w.zone(ctx, movingZone, v); err != nil {
		return nil, err
	}
	if s.gateway, err = v.GatewayInside(ctx, "inside"); err != nil {
		return nil, err
	}
	s.resource, err = w.Resource(ctx, s.gateway, "address", servers[0], port)
	return s, err
}

// measureWays measures connections by the names of endpoints, and to resources
// whose names move.
func (b *bench) measureWays(ctx context.Context) (err error) {
	w, err := newWorld(ctx, b.PosternBin)
	defer func() { err = errors.Join(err, w.Close()) }()
	if err != nil {
		return err
	}
	s, err := provide(ctx, w)
	if err != nil {
		return err
	}
	for range b.rounds {
		took, err := s.endpointsByName(ctx, b.endpoints)
		if err != nil {
			return err
		}
		p50, p99 := report.Milliseconds(took)
		row := b.ways.Less("CreateVpcEndpoint → first byte by name, p50", "ms")
		row.Add(own, p50)
		b.ways.Less("CreateVpcEndpoint → first byte by name, p99", "ms").Add(own, p99)
		if len(row.Targets) == 0 {
			row.Within(own, 10)
		}
	}
	took, err := s.follow(ctx, b.moving, b.move)
	if err != nil {
		return err
	}
	title := fmt.Sprintf("name moves → first connection to the new address, TTL of %d s, ", movingTTL)
	b.ways.Less(title+"median", "s").Add(own, took[len(took)/2].Seconds())
	b.ways.Less(title+"longest", "s").Within(own, movingTTL+0.05).Add(own, took[len(took)-1].Seconds())
	return nil
}

// reach opens a connection and gives what the server says first; "" when there
// is none.
func (s *ways) reach(ctx context.Context, address netip.Addr) string {
	dialer := net.Dialer{Timeout: attempt}
	conn, err := s.client.DialWith(ctx, &dialer, "tcp", netip.AddrPortFrom(address, 8080).String())
	if err != nil {
		return ""
	}
	defer conn.Close()
	word := make([]byte, len(servers[0]))
	if err := conn.SetDeadline(time.Now().Add(attempt)); err != nil {
		return ""
	}
	n, _ := conn.Read(word) // nothing was read where it fails
	return string(word[:n])
}

// endpointsByName creates endpoints one after the other, and gives for each the
// time from the request to the first byte of a connection by its name.
func (s *ways) endpointsByName(ctx context.Context, n int) (took []time.Duration, err error) {
	a, err := newAsker(ctx, s.client, resolving)
	if err != nil {
		return nil, err
	}
	defer a.close()
	var ids []string
	for range n {
		begun := time.Now()
		id, err := s.vpc.Endpoint(ctx, s.resource, "")
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
		name, err := s.nameOf(ctx, id)
		if err != nil {
			return nil, err
		}
		address, err := a.await(ctx, name, netip.Addr.IsValid)
		if err != nil {
			return nil, err
		}
		if err := again(ctx, "a connection to "+name, func() (bool, error) { return s.reach(ctx, address) == servers[0], nil }); err != nil {
			return nil, err
		}
		took = append(took, time.Since(begun))
	}
	return took, s.remove(ctx, ids)
}

// nameOf waits until an endpoint has its name, and gives it.
func (s *ways) nameOf(ctx context.Context, endpoint string) (name string, err error) {
	err = again(ctx, "the name of "+endpoint, func() (bool, error) {
		out, err := postern.Call[ec2.DescribeVpcEndpointAssociationsOutput](ctx, s.Postern, ec2.Service, "DescribeVpcEndpointAssociations",
			&ec2.DescribeVpcEndpointAssociationsInput{VpcEndpointIds: []string{endpoint}})
		if err != nil || len(out.VpcEndpointAssociations) != 1 || out.VpcEndpointAssociations[0].DnsEntry == nil {
			return false, err
		}
		name = *out.VpcEndpointAssociations[0].DnsEntry.DnsName
		return true, nil
	})
	return name, err
}

// remove deletes endpoints and waits until they are gone.
func (s *ways) remove(ctx context.Context, ids []string) error {
	if err := s.Client.Do(ctx, ec2.Service, "DeleteVpcEndpoints", &ec2.DeleteVpcEndpointsInput{VpcEndpointIds: ids}, nil); err != nil {
		return err
	}
	return instance.Poll(ctx, settled, "deletion of endpoints", func() (bool, error) {
		out, err := postern.Call[ec2.DescribeVpcEndpointsOutput](ctx, s.Postern, ec2.Service, "DescribeVpcEndpoints", &ec2.DescribeVpcEndpointsInput{})
		return err == nil && len(out.VpcEndpoints) == 0, err
	})
}

// follow moves the names of n resources so many times each, all at once, and
// gives how long it took until new connections went to the new address, the
// longest last.
func (s *ways) follow(ctx context.Context, n, times int) (took []time.Duration, err error) {
	var mu sync.Mutex
	err = parallel(ctx, n, n, func(ctx context.Context, i int) error {
		name := fmt.Sprintf("name%d.%s", i, movingZone)
		to, err := s.offer(ctx, name, netip.AddrFrom4([4]byte{10, 0, 1, byte(1 + i)}))
		if err != nil {
			return err
		}
		for k := range times {
			d, err := s.move(ctx, name, to, servers[(k+1)%len(servers)])
			if err != nil {
				return err
			}
			mu.Lock()
			took = append(took, d)
			mu.Unlock()
		}
		return nil
	})
	slices.Sort(took)
	return took, err
}

// offer makes a resource of a name and an endpoint to it, and waits until
// connections to the endpoint go to the first server.
func (s *ways) offer(ctx context.Context, name string, address netip.Addr) (netip.Addr, error) {
	if err := s.change(ctx, s.zone, upsert(name, netip.MustParseAddr(servers[0]), movingTTL)); err != nil {
		return address, err
	}
	arn, err := s.NamedResource(ctx, s.gateway, "of-"+name[:len("name0")], name, port)
	if err != nil {
		return address, err
	}
	if _, err := s.vpc.Endpoint(ctx, arn, address.String()); err != nil {
		return address, err
	}
	return address, again(ctx, "a connection to "+name, func() (bool, error) { return s.reach(ctx, address) == servers[0], nil })
}

// move gives a name another server's address, and tells how long it took until
// a new connection went there.
func (s *ways) move(ctx context.Context, name string, to netip.Addr, server string) (time.Duration, error) {
	begun := time.Now()
	if err := s.change(ctx, s.zone, upsert(name, netip.MustParseAddr(server), movingTTL)); err != nil {
		return 0, err
	}
	err := again(ctx, name+" to lead to "+server, func() (bool, error) { return s.reach(ctx, to) == server, nil })
	return time.Since(begun), err
}
