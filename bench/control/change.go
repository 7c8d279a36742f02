// SPDX-License-Identifier: Apache-2.0

package control

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/test/testnet"
)

// Attempts of a probe while something changes. Before there is an endpoint an
// attempt is refused at once; where a group drops, it runs into the patience.
const (
	creating = 100 * time.Millisecond
	opening  = 3 * time.Millisecond
	shutting = 15 * time.Millisecond
	resting  = 100 * time.Microsecond
)

// port is the port of the resources as text.
var port = fmt.Sprint(resourcePort)

// consumerAddress is the i-th address for endpoints that are measured.
func consumerAddress(i int) string { return fmt.Sprintf("10.0.%d.%d", 100+i/250, 1+i%250) }

// createdToFirstByte creates endpoints one after the other, and gives for each
// the time from sending CreateVpcEndpoint to the first byte of the server.
func (w *world) createdToFirstByte(ctx context.Context, n int) (took []time.Duration, err error) {
	for i := range n {
		p := probe{ns: w.client, address: net.JoinHostPort(consumerAddress(i), port), patience: creating, pause: resting}
		in := w.consumer.NewEndpoint(w.configurations[0], w.consumer.Group, consumerAddress(i))
		d, err := p.firstByte(ctx, func() error { return w.Client.Do(ctx, ec2.Service, "CreateVpcEndpoint", in, nil) })
		if err != nil {
			return nil, fmt.Errorf("endpoint %d of %d: %w", i+1, n, err)
		}
		took = append(took, d)
	}
	return took, w.clear(ctx)
}

// groupToEffect opens and shuts the group of an endpoint n times. Opening takes
// effect with the first attempt that is answered; shutting with the first of
// two that are not.
func (w *world) groupToEffect(ctx context.Context, n int) (opened, shut []time.Duration, err error) {
	address := consumerAddress(0)
	if err = w.Client.Do(ctx, ec2.Service, "CreateVpcEndpoint", w.consumer.NewEndpoint(w.configurations[0], w.closed, address), nil); err != nil {
		return nil, nil, err
	}
	if err = w.Programmed(ctx); err != nil {
		return nil, nil, err
	}
	p := probe{ns: w.client, address: net.JoinHostPort(address, port), pause: resting}
	for range n {
		p.patience = opening
		d, err := p.firstByte(ctx, func() error { return w.consumer.Admit(ctx, w.closed, anybody()) })
		if err != nil {
			return nil, nil, fmt.Errorf("open the group: %w", err)
		}
		opened = append(opened, d)
		p.patience = shutting
		d, err = p.watch(ctx, func() error { return w.consumer.Refuse(ctx, w.closed, anybody()) },
			func(all []attempt) bool {
				return len(all) > 1 && !last(all, 2)[0].answered && !last(all, 1)[0].answered
			},
			func(all []attempt) time.Time { return last(all, 2)[0].begun })
		if err != nil {
			return nil, nil, fmt.Errorf("shut the group: %w", err)
		}
		shut = append(shut, d)
	}
	return opened, shut, w.clear(ctx)
}

// traffic is what a client saw that kept opening connections.
type traffic struct {
	attempts int
	failed   int
	// slow are attempts that took longer than the first retransmission of a
	// lost packet: some packet of theirs was lost.
	slow int
}

const (
	// retransmission is less than the kernel's first timeouts for what is lost:
	// 200 ms for data, 1 s for a SYN.
	retransmission = 150 * time.Millisecond
	// betweenAttempts keeps the client from being a load test.
	betweenAttempts = time.Millisecond
)

// restart stops the daemon and starts it again, while a client keeps opening
// connections over an endpoint and another one is kept open.
func (w *world) restart(ctx context.Context) (took start, t traffic, err error) {
	address := net.JoinHostPort(consumerAddress(0), port)
	in := w.consumer.NewEndpoint(w.configurations[0], w.consumer.Group, consumerAddress(0))
	if err = w.Client.Do(ctx, ec2.Service, "CreateVpcEndpoint", in, nil); err != nil {
		return took, t, err
	}
	if err = w.Programmed(ctx); err != nil {
		return took, t, err
	}
	kept, err := w.client.Dial(ctx, "tcp", address)
	if err != nil {
		return took, t, err
	}
	defer kept.Close()
	if _, err := testnet.AskOn(kept); err != nil {
		return took, t, err
	}
	stop, ended := context.WithCancel(ctx)
	result := make(chan traffic, 1)
	go func() { result <- w.knock(stop, address) }()
	err = w.Stop()
	if err == nil {
		took, err = w.daemon.start(ctx)
	}
	ended()
	t = <-result
	if err != nil {
		return took, t, err
	}
	if err := testnet.Echo(kept, "still there"); err != nil {
		t.failed++
	}
	return took, t, w.clear(ctx)
}

// knock opens connections one after the other until the context ends.
func (w *world) knock(ctx context.Context, address string) (t traffic) {
	p := probe{ns: w.client, address: address, patience: 5 * time.Second}
	_ = w.client.Run(func() error { // the function returns no error
		for ctx.Err() == nil {
			a := p.once(context.WithoutCancel(ctx))
			t.attempts++
			if !a.answered {
				t.failed++
			}
			if a.ended.Sub(a.begun) > retransmission {
				t.slow++
			}
			time.Sleep(betweenAttempts)
		}
		return nil
	})
	return t
}
