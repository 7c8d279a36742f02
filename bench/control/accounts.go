// SPDX-License-Identifier: Apache-2.0

package control

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/posternhq/postern/bench/report"
	"github.com/posternhq/postern/internal/aws/schema"
	"github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/aws/shape/ram"
	lattice "github.com/posternhq/postern/internal/aws/shape/vpclattice"
)

// What is wanted of sharing, p99 in ms: from an acceptance to the first byte, and of
// reading one thing with 16 clients.
const (
	wantedAcceptance  = 100
	wantedDescription = 5
)

// The operations by which a consumer reads one thing, which are columns of a table.
const (
	getShared      = "GetResourceConfiguration"
	describeShared = "DescribeVpcEndpoints"
)

// sharingTables adds the tables of what is measured here.
func (b *bench) sharingTables(s *report.Section) {
	b.shared = s.Table("Sharing between accounts", "", b.market.name())
	b.sharedReads = s.Table("API: one that is shared between accounts, by its consumer", "", getShared, describeShared)
}

// measureSharing measures what one account lets another use. The market has invitations
// for each of the rounds.
func (b *bench) measureSharing(ctx context.Context) error {
	begun := time.Now()
	m, err := makeMarket(ctx, b.PosternBin, b.market)
	b.markets = append(b.markets, m)
	if err != nil {
		return fmt.Errorf("prepare %s: %w", b.market.name(), err)
	}
	b.Log.Info("filled", "with", m.name(), "took", time.Since(begun))
	for _, f := range m.filled {
		b.shared.More(fmt.Sprintf("%s of all, %d clients", f.what, crowdLanes), "1/s").Add(m.name(), f.rate)
	}
	for round := range b.market.rounds {
		b.Log.Info("sharing", "round", round+1, "of", b.market.rounds)
		for _, step := range []func(context.Context, *market, int) error{b.measureAcceptance, b.measureConsumers, b.measureMarketStart} {
			if err := step(ctx, m, round); err != nil {
				return fmt.Errorf("with %s: %w", m.name(), err)
			}
		}
	}
	return nil
}

func (b *bench) measureAcceptance(ctx context.Context, m *market, round int) error {
	took, err := m.acceptedToFirstByte(ctx, round)
	if err != nil {
		return err
	}
	p50, p99 := report.Milliseconds(took)
	b.Log.Debug("accepted to first byte", "p50", p50, "p99", p99)
	const what = "AcceptResourceShareInvitation → endpoint → first byte"
	b.shared.Less(what+", p50", "ms").Add(m.name(), p50)
	row := b.shared.Less(what+", p99", "ms")
	row.Add(m.name(), p99)
	if len(row.Targets) == 0 {
		row.Within(m.name(), wantedAcceptance)
	}
	return nil
}

// acceptedToFirstByte has customers accept the invitations of a round, one after the other,
// and gives for each the time from sending the acceptance to the first byte of the vendor's
// server.
func (m *market) acceptedToFirstByte(ctx context.Context, round int) (took []time.Duration, err error) {
	address := consumerAddress(round)
	for i, o := range m.offers[round] {
		p := probe{ns: o.to.workload, address: net.JoinHostPort(address, port), patience: creating, pause: resting}
		d, err := p.firstByte(ctx, func() error { return o.accept(ctx, address) })
		if err != nil {
			return nil, fmt.Errorf("invitation %d of %d: %w", i+1, len(m.offers[round]), err)
		}
		took = append(took, d)
	}
	return took, nil
}

// accept takes the offer, and makes an endpoint of that address to what it gives.
func (o offer) accept(ctx context.Context, address string) (err error) {
	err = o.to.Client.Do(ctx, ram.Service, "AcceptResourceShareInvitation", &ram.AcceptResourceShareInvitationInput{ResourceShareInvitationArn: &o.invitation}, nil)
	if err != nil {
		return err
	}
	o.to.bought = o.configuration
	o.to.endpoint, err = o.to.vpc.Endpoint(ctx, o.configuration, address)
	return err
}

// measureConsumers has the customers of a round read what they accepted in it, all in turn.
func (b *bench) measureConsumers(ctx context.Context, m *market, round int) error {
	for _, read := range []struct {
		operation string
		service   *schema.Service
		in        func(*party) any
	}{
		{getShared, lattice.Service, func(c *party) any {
			return &lattice.GetResourceConfigurationInput{ResourceConfigurationIdentifier: &c.bought}
		}},
		{describeShared, ec2.Service, func(c *party) any {
			return &ec2.DescribeVpcEndpointsInput{VpcEndpointIds: []string{c.endpoint}}
		}},
	} {
		var requests [][]byte
		for _, o := range m.offers[round] {
			request, err := signed(ctx, o.to.Client, read.service, read.operation, read.in(o.to))
			if err != nil {
				return err
			}
			requests = append(requests, request)
		}
		var c cell
		for _, lanes := range []int{1, askers} {
			var err error
			if c, err = measure(ctx, m.address(), m.PID(), lanes, during(b.describe, requests...)); err != nil {
				return fmt.Errorf("measure %s: %w", read.operation, err)
			}
			b.addCell(b.sharedReads, read.operation, lanes, c)
		}
		half, err := measure(ctx, m.address(), m.PID(), askers, paced(c.rate/2, b.describe, requests...))
		if err != nil {
			return fmt.Errorf("measure %s at half of its rate: %w", read.operation, err)
		}
		b.sharedReads.Less(fmt.Sprintf("p99 at half of that rate, %d clients", askers), "ms").Add(read.operation, half.p99)
	}
	return nil
}

// measureMarketStart measures what the daemon needs, and restarts it.
func (b *bench) measureMarketStart(ctx context.Context, m *market, _ int) error {
	now, _, err := m.memory()
	if err != nil {
		return err
	}
	b.shared.Less("resident before a restart", "MiB").Add(m.name(), now)
	took, err := m.restart(ctx)
	if err != nil {
		return err
	}
	now, most, err := m.memory()
	if err == nil {
		b.addStart(b.shared, m.name(), took, now, most)
	}
	return err
}

// sharingNote says how the tables come about.
func (b *bench) sharingNote() string {
	s := b.market
	return fmt.Sprintf("Sharing: %d vendors with a gateway and %d configurations each, and %d customers; each configuration is in a share of its own, with one customer. All but %d invitations are accepted beforehand. "+
		"Those are, one after the other, by %d customers a round: from before the acceptance is sent, then CreateVpcEndpoint, to the first byte of the server of one of %d vendors, at a client in the customer's VPC that tries again and again since before. "+
		"Then these customers read what they got, in turn. Memory is that of the daemon with all this, before a restart and after it.",
		s.vendors, s.each, s.customers, s.rounds*s.buying, s.buying, s.serving)
}
