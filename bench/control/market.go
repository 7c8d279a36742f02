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
	shape "github.com/posternhq/postern/internal/aws/shape/postern"
	"github.com/posternhq/postern/internal/aws/shape/ram"
	lattice "github.com/posternhq/postern/internal/aws/shape/vpclattice"
	"github.com/posternhq/postern/test/instance"
	"github.com/posternhq/postern/test/testnet"
)

// marketScale is how many accounts share how much.
type marketScale struct {
	vendors, customers int
	// serving vendors have a server, and buying customers a VPC with a client in it.
	// What the former have is shared with the latter.
	serving, buying int
	// each is how many configurations a vendor has. Each is in a share of its own,
	// with one customer.
	each int
	// rounds is in how many rounds every buying customer accepts one of the invitations;
	// the others are accepted beforehand.
	rounds int
}

// accounts and shares are how many there are of them.
func (s marketScale) accounts() int { return s.vendors + s.customers }
func (s marketScale) shares() int   { return s.vendors * s.each }

// name is how the market is called in the tables.
func (s marketScale) name() string {
	return fmt.Sprintf("%s accounts, %s shares", thousands(s.accounts()), thousands(s.shares()))
}

// beforehand is the round of what is accepted before the first one.
const beforehand = -1

// deal is a share: a configuration of a vendor for a customer, who accepts in a round.
type deal struct{ vendor, configuration, customer, round int }

// name is that of the share, by which its invitation is found.
func (d deal) name() string { return fmt.Sprintf("share-%d-%d", d.vendor, d.configuration) }

// deals gives all shares, those of different vendors beside one another.
func (s marketScale) deals() (all []deal) {
	for c := range s.each {
		for v := range s.vendors {
			d := deal{vendor: v, configuration: c, customer: (v*s.each + c) % s.customers, round: beforehand}
			if v < s.serving {
				n := c*s.serving + v
				d.customer = n % s.buying
				if round := n / s.buying; round < s.rounds {
					d.round = round
				}
			}
			all = append(all, d)
		}
	}
	return all
}

// party is an account of the market, with a key of its own.
type party struct {
	*postern.Postern // as the account uses it
	account          string
	key, secret      string

	vpc            *postern.VPC // nil of a customer that does not buy
	workload       *testnet.NS  // the server or the client; nil of those without
	gateway        string       // of a vendor
	configurations []string     // ARNs, of a vendor
	// bought and endpoint are the ARN of what the customer accepted last, and its
	// endpoint there.
	bought, endpoint string
}

// offer is an invitation that waits for its round.
type offer struct {
	to *party
	// invitation and configuration are ARNs.
	invitation, configuration string
}

// market is a daemon with many accounts, which share with one another.
type market struct {
	*daemon
	marketScale
	vendors, customers []*party
	listeners          []net.Listener
	offers             [][]offer // of each round
	// filled is how many of what were made in a second.
	filled []filling
}

// filling is how fast the market was filled with something.
type filling struct {
	what string
	rate float64
}

// makeMarket starts a daemon and fills it. What was made is in the market also when it
// fails; the caller calls close.
func makeMarket(ctx context.Context, binary string, s marketScale) (m *market, err error) {
	d, err := newDaemon(binary)
	if err != nil {
		return &market{}, err
	}
	m = &market{daemon: d, marketScale: s, offers: make([][]offer, s.rounds)}
	if _, err := d.start(ctx); err != nil {
		return m, err
	}
	for _, step := range []func(context.Context) error{
		m.openAccounts, m.equip, m.Programmed, m.makeConfigurations, m.listConfigurations, m.share, m.answer, m.Programmed,
	} {
		if err := step(ctx); err != nil {
			return m, err
		}
	}
	return m, nil
}

// close takes everything away that belongs to the market.
func (m *market) close() (err error) {
	for _, l := range m.listeners {
		err = errors.Join(err, l.Close())
	}
	if m.daemon != nil {
		err = errors.Join(err, m.daemon.close())
	}
	for p := range m.parties {
		if p.workload != nil {
			err = errors.Join(err, p.workload.Close())
		}
	}
	return err
}

// parties yields all accounts, the vendors first.
func (m *market) parties(yield func(*party) bool) {
	for _, all := range [][]*party{m.vendors, m.customers} {
		for _, p := range all {
			if !yield(p) {
				return
			}
		}
	}
}

// inLanes does something for each of n, some at once.
func inLanes(ctx context.Context, n int, do func(ctx context.Context, i int) error) error {
	g, inside := errgroup.WithContext(ctx)
	g.SetLimit(crowdLanes)
	for i := range n {
		g.Go(func() error {
			if err := inside.Err(); err != nil {
				return err
			}
			return do(inside, i)
		})
	}
	return g.Wait()
}

// note keeps how fast n of something were made since a time.
func (m *market) note(what string, n int, begun time.Time) {
	m.filled = append(m.filled, filling{what, float64(n) / time.Since(begun).Seconds()})
}

// openAccounts makes all accounts. Their keys are in the answers.
func (m *market) openAccounts(ctx context.Context) error {
	begun, all := time.Now(), make([]*party, m.accounts())
	err := inLanes(ctx, len(all), func(ctx context.Context, i int) error {
		out, err := postern.Call[shape.CreateAccountOutput](ctx, m.Postern, shape.Service, "CreateAccount",
			&shape.CreateAccountInput{Name: new(fmt.Sprintf("bench-%d", i))})
		if err == nil {
			all[i] = &party{Postern: m.As(*out.AccessKeyId, *out.SecretAccessKey), account: *out.AccountId, key: *out.AccessKeyId, secret: *out.SecretAccessKey}
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("make %d accounts: %w", len(all), err)
	}
	m.note("CreateAccount", len(all), begun)
	m.vendors, m.customers = all[:m.marketScale.vendors], all[m.marketScale.vendors:]
	return nil
}

// equip gives vendors and buying customers what they need besides configurations.
func (m *market) equip(ctx context.Context) error {
	err := inLanes(ctx, len(m.vendors), func(ctx context.Context, i int) (err error) {
		v := m.vendors[i]
		if v.vpc, err = v.VPC(ctx, networkCIDR, networkCIDR); err != nil {
			return err
		}
		v.gateway, err = v.vpc.Gateway(ctx, "bench")
		return err
	})
	if err != nil {
		return fmt.Errorf("make %d gateways: %w", len(m.vendors), err)
	}
	for _, v := range m.vendors[:m.serving] {
		if err := m.employ(ctx, v); err != nil {
			return err
		}
		l, err := v.workload.Serve("tcp", net.JoinHostPort(workloadAddr, port))
		if err != nil {
			return err
		}
		m.listeners = append(m.listeners, l)
	}
	for _, c := range m.customers[:m.buying] {
		if c.vpc, err = c.VPC(ctx, networkCIDR, networkCIDR); err != nil {
			return err
		}
		if err := m.employ(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

// employ gives an account a workload, for which it must be trusted.
func (m *market) employ(ctx context.Context, p *party) (err error) {
	err = m.Client.Do(ctx, shape.Service, "UpdateAccount", &shape.UpdateAccountInput{AccountId: &p.account, Trusted: new(true)}, nil)
	if err != nil {
		return err
	}
	p.workload, err = attach(ctx, p.vpc)
	return err
}

// send sends requests in lanes, and notes how fast it was.
func (m *market) send(ctx context.Context, what string, requests [][]byte) error {
	begun := time.Now()
	if _, _, err := drive(ctx, m.address(), crowdLanes, times(len(requests), requests...)); err != nil {
		return fmt.Errorf("%s, %d times: %w", what, len(requests), err)
	}
	m.note(what, len(requests), begun)
	return nil
}

// makeConfigurations makes those of all vendors.
func (m *market) makeConfigurations(ctx context.Context) error {
	const operation = "CreateResourceConfiguration"
	var requests [][]byte
	for _, d := range m.deals() {
		v := m.vendors[d.vendor]
		request, err := signed(ctx, v.Client, lattice.Service, operation, postern.NewResource(v.gateway, configurationName(d.configuration), workloadAddr, port))
		if err != nil {
			return err
		}
		requests = append(requests, request)
	}
	return m.send(ctx, operation, requests)
}

// configurationName is the name of the i-th configuration of every vendor.
func configurationName(i int) string { return fmt.Sprintf("bench-%d", i) }

// listConfigurations waits until all configurations are active, and learns their ARNs.
func (m *market) listConfigurations(ctx context.Context) error {
	return inLanes(ctx, len(m.vendors), func(ctx context.Context, i int) error {
		v := m.vendors[i]
		return instance.Poll(ctx, settled, "configurations of "+v.account, func() (bool, error) {
			active, err := v.active(ctx)
			v.configurations = make([]string, m.each)
			for c := range v.configurations {
				v.configurations[c] = active[configurationName(c)]
			}
			return len(active) == m.each, err
		})
	})
}

// active gives the ARNs of the account's active configurations by their names.
func (p *party) active(ctx context.Context) (map[string]string, error) {
	arns, in := map[string]string{}, &lattice.ListResourceConfigurationsInput{}
	for {
		out, err := postern.Call[lattice.ListResourceConfigurationsOutput](ctx, p.Postern, lattice.Service, "ListResourceConfigurations", in)
		if err != nil {
			return nil, err
		}
		for _, c := range out.Items {
			if *c.Status == lattice.ResourceConfigurationStatusActive {
				arns[*c.Name] = *c.Arn
			}
		}
		if in.NextToken = out.NextToken; in.NextToken == nil {
			return arns, nil
		}
	}
}

// share makes all shares.
func (m *market) share(ctx context.Context) error {
	const operation = "CreateResourceShare"
	var requests [][]byte
	for _, d := range m.deals() {
		v := m.vendors[d.vendor]
		request, err := signed(ctx, v.Client, ram.Service, operation, &ram.CreateResourceShareInput{
			Name: new(d.name()), ResourceArns: []string{v.configurations[d.configuration]}, Principals: []string{m.customers[d.customer].account},
		})
		if err != nil {
			return err
		}
		requests = append(requests, request)
	}
	return m.send(ctx, operation, requests)
}

// answer accepts the invitations that no round is for, and keeps the others.
func (m *market) answer(ctx context.Context) error {
	const operation = "AcceptResourceShareInvitation"
	invitations := make([]map[string]string, len(m.customers))
	err := inLanes(ctx, len(invitations), func(ctx context.Context, i int) (err error) {
		invitations[i], err = m.customers[i].invitations(ctx)
		return err
	})
	if err != nil {
		return err
	}
	var requests [][]byte
	for _, d := range m.deals() {
		c, arn := m.customers[d.customer], invitations[d.customer][d.name()]
		if arn == "" {
			return fmt.Errorf("customer %s has no invitation to %s", c.account, d.name())
		}
		if d.round != beforehand {
			m.offers[d.round] = append(m.offers[d.round], offer{c, arn, m.vendors[d.vendor].configurations[d.configuration]})
			continue
		}
		request, err := signed(ctx, c.Client, ram.Service, operation, &ram.AcceptResourceShareInvitationInput{ResourceShareInvitationArn: &arn})
		if err != nil {
			return err
		}
		requests = append(requests, request)
	}
	return m.send(ctx, operation, requests)
}

// invitations gives the ARNs of those that the account has got, by the names of the shares.
func (p *party) invitations(ctx context.Context) (map[string]string, error) {
	arns, in := map[string]string{}, &ram.GetResourceShareInvitationsInput{}
	for {
		out, err := postern.Call[ram.GetResourceShareInvitationsOutput](ctx, p.Postern, ram.Service, "GetResourceShareInvitations", in)
		if err != nil {
			return nil, err
		}
		for _, i := range out.ResourceShareInvitations {
			arns[*i.ResourceShareName] = *i.ResourceShareInvitationArn
		}
		if in.NextToken = out.NextToken; in.NextToken == nil {
			return arns, nil
		}
	}
}

// restart stops the daemon and starts it again, at another address.
func (m *market) restart(ctx context.Context) (took start, err error) {
	if err := m.Stop(); err != nil {
		return took, err
	}
	if took, err = m.daemon.start(ctx); err != nil {
		return took, err
	}
	for p := range m.parties {
		p.Client = m.As(p.key, p.secret).Client
	}
	return took, nil
}
