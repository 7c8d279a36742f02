// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/miekg/dns"

	"github.com/posternhq/postern/internal/resolver/wire"
)

// headerSize is how long the header of a message is (RFC 1035 §4.1.1).
const headerSize = 12

// exchange sends a question and gives the answer to it. What comes over UDP and is no
// answer to it is passed over: anybody may have sent it.
func (f *Forwarder) exchange(ctx context.Context, from, network string, to netip.AddrPort, k key) (*dns.Msg, error) {
	conn, err := f.cfg.Dial(ctx, from, network, to)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return nil, err
	}
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })()
	var number [2]byte
	rand.Read(number[:]) // never fails
	question := wire.AppendQuestion(nil, binary.BigEndian.Uint16(number[:]), []byte(k.name), k.kind)
	if network == "tcp" {
		return overTCP(conn, question, k)
	}
	if _, err := conn.Write(question); err != nil {
		return nil, err
	}
	packet := make([]byte, 65535)
	for {
		n, err := conn.Read(packet)
		if err != nil {
			return nil, err
		}
		if !answers(packet[:n], question, k) {
			continue
		}
		return unpack(packet[:n])
	}
}

func overTCP(conn net.Conn, question []byte, k key) (*dns.Msg, error) {
	if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(question))), question...)); err != nil {
		return nil, err
	}
	var size [2]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return nil, err
	}
	packet := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(conn, packet); err != nil {
		return nil, err
	}
	if !answers(packet, question, k) {
		return nil, errors.New("it answers another question")
	}
	return unpack(packet)
}

// answers reports whether a packet is an answer to a question: number, and the question
// in it, whose letters may be others in case.
func answers(packet, question []byte, k key) bool {
	end := headerSize + len(k.name) + 4
	return len(packet) >= end && packet[0] == question[0] && packet[1] == question[1] && packet[2]&0x80 != 0 &&
		packet[4] == 0 && packet[5] == 1 &&
		bytes.Equal(bytes.ToLower(packet[headerSize:end-4]), []byte(k.name)) && bytes.Equal(packet[end-4:end], question[end-4:end])
}

func unpack(packet []byte) (*dns.Msg, error) {
	m := new(dns.Msg)
	if err := m.Unpack(packet); err != nil && !m.Truncated { // one that was cut need not be whole
		return nil, fmt.Errorf("it answers what cannot be read: %w", err)
	}
	return m, nil
}

// longestTTL is the greatest time that a record can have; what is beyond is taken for zero
// (RFC 2181 §8).
const longestTTL = 1<<31 - 1

// longest is how many names a chain of CNAMEs may have.
const longest = 16

// sift keeps of an answer what the question leads to: the chain from the asked name, the
// records at its end, and of a negative answer the SOA of a zone above that. One that has
// records and none of the asked name is not taken for "there is no such record": who says
// what was not asked has not said anything.
func sift(m *dns.Msg, k key) (wire.Reply, error) {
	all := make([]wire.Record, 0, len(m.Answer))
	for _, rr := range m.Answer {
		if rr.Header().Class != dns.ClassINET {
			continue
		}
		r, err := wire.RecordOf(rr)
		if err != nil {
			return wire.Reply{}, fmt.Errorf("it answers what cannot be read: %w", err)
		}
		if r.TTL > longestTTL {
			r.TTL = 0
		}
		all = append(all, r)
	}
	reply := wire.Reply{Code: m.Rcode}
	at := []byte(k.name)
	for steps := 0; ; steps++ {
		if steps == longest {
			return wire.Reply{}, errors.New("it answers with a chain of names that does not end")
		}
		next := []byte(nil)
		for _, r := range all {
			switch {
			case !bytes.Equal(r.Name, at):
			case r.Type == k.kind || k.kind == wire.TypeANY:
				reply.Answer = append(reply.Answer, r)
			case r.Type == wire.TypeCNAME && next == nil:
				reply.Answer = append(reply.Answer, r)
				next = bytes.ToLower(r.Data)
			}
		}
		if next == nil {
			break
		}
		at = next
	}
	for _, rr := range m.Ns {
		if rr.Header().Class != dns.ClassINET || rr.Header().Rrtype != dns.TypeSOA {
			continue
		}
		r, err := wire.RecordOf(rr)
		if err == nil && below(at, r.Name) && len(reply.Authority) == 0 && !has(reply.Answer, k.kind) {
			reply.Authority = append(reply.Authority, r)
		}
	}
	if len(m.Answer) > 0 && !slices.ContainsFunc(all, func(r wire.Record) bool { return bytes.Equal(r.Name, []byte(k.name)) }) {
		return wire.Reply{}, errors.New("it answers for other names")
	}
	if reply.Code == dns.RcodeNameError && has(reply.Answer, k.kind) {
		return wire.Reply{}, errors.New("it answers that a name which it has does not exist")
	}
	return reply, nil
}

func has(records []wire.Record, kind uint16) bool {
	for _, r := range records {
		if r.Type == kind {
			return true
		}
	}
	return false
}

// below reports whether a name is a zone's, or below it.
func below(name, zone []byte) bool {
	for ; len(name) > len(zone); name = wire.Parent(name) {
	}
	return bytes.Equal(name, zone)
}
