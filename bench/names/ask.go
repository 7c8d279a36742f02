// SPDX-License-Identifier: Apache-2.0

package names

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"github.com/miekg/dns"

	"github.com/posternhq/postern/test/testnet"
)

// patience bounds the answer to one question, after which it is put again.
const patience = 200 * time.Millisecond

// resting is how long is waited between attempts of the same.
const resting = 200 * time.Microsecond

// soon bounds what is asked for until it is there.
const soon = 30 * time.Second

// asker puts questions to one server from inside a namespace.
type asker struct{ conn *dns.Conn }

func newAsker(ctx context.Context, ns *testnet.NS, server string) (*asker, error) {
	conn, err := ns.Dial(ctx, "udp", net.JoinHostPort(server, "53"))
	if err != nil {
		return nil, err
	}
	return &asker{&dns.Conn{Conn: conn}}, nil
}

func (a *asker) close() error { return a.conn.Close() }

// ask gives the first IPv4 address of a name; an invalid one when there is none
// or no answer.
func (a *asker) ask(name string) (netip.Addr, error) {
	q := new(dns.Msg).SetQuestion(dns.Fqdn(name), dns.TypeA)
	if err := a.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return netip.Addr{}, err
	}
	if err := a.conn.WriteMsg(q); err != nil {
		return netip.Addr{}, unanswered(err)
	}
	for {
		m, err := a.conn.ReadMsg()
		if err != nil {
			return netip.Addr{}, unanswered(err)
		}
		if m.Id != q.Id {
			continue // of a question that was given up
		}
		for _, rr := range m.Answer {
			if got, ok := rr.(*dns.A); ok {
				addr, _ := netip.AddrFromSlice(got.A.To4())
				return addr, nil
			}
		}
		return netip.Addr{}, nil
	}
}

// unanswered is nil where nobody has answered yet.
func unanswered(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, syscall.ECONNREFUSED) {
		return nil
	}
	return err
}

// await asks until the answer is as wanted.
func (a *asker) await(ctx context.Context, name string, wanted func(netip.Addr) bool) (addr netip.Addr, err error) {
	err = again(ctx, "the answer to "+name, func() (bool, error) {
		addr, err = a.ask(name)
		return err == nil && wanted(addr), err
	})
	return addr, err
}

// again does something until it is done, without the pauses of a poll.
func again(ctx context.Context, what string, done func() (bool, error)) error {
	for begun := time.Now(); ; time.Sleep(resting) {
		ok, err := done()
		if ok {
			return nil
		}
		if err == nil {
			err = ctx.Err()
		}
		if err == nil && time.Since(begun) > soon {
			err = fmt.Errorf("not within %v", soon)
		}
		if err != nil {
			return fmt.Errorf("wait for %s: %w", what, err)
		}
	}
}
