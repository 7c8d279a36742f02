// SPDX-License-Identifier: Apache-2.0

package shelf_test

import (
	"bytes"
	"testing"

	"github.com/miekg/dns"
)

// The kernel's answers are those of the process, byte for byte, at all addresses and
// however the question is put.
func TestTheKernelAnswersAsTheProcess(t *testing.T) {
	r := newRig(t)
	edns := func(size uint16, signed bool) func(*dns.Msg) {
		return func(m *dns.Msg) { m.SetEdns0(size, signed) }
	}
	for _, at := range asked {
		conn := r.dial(r.Client, at)
		for name, message := range map[string][]byte{
			"address":         question(t, "www.db.example.com.", dns.TypeA, nil),
			"in capitals":     question(t, "wWw.DB.exAmple.com.", dns.TypeA, nil),
			"with EDNS":       question(t, "www.db.example.com.", dns.TypeA, edns(1232, false)),
			"signed":          question(t, "www.db.example.com.", dns.TypeA, edns(4096, true)),
			"a small size":    question(t, "www.db.example.com.", dns.TypeA, edns(10, false)),
			"IPv6":            question(t, "six.db.example.com.", dns.TypeAAAA, nil),
			"no such type":    question(t, "www.db.example.com.", dns.TypeAAAA, nil),
			"no such name":    question(t, "gone.db.example.com.", dns.TypeA, edns(1232, false)),
			"CNAME":           question(t, "alias.db.example.com.", dns.TypeA, nil),
			"text":            question(t, "text.db.example.com.", dns.TypeTXT, nil),
			"any":             question(t, "www.db.example.com.", dns.TypeANY, nil),
			"not recursive":   question(t, "www.db.example.com.", dns.TypeA, func(m *dns.Msg) { m.RecursionDesired = false }),
			"unchecked":       question(t, "www.db.example.com.", dns.TypeA, func(m *dns.Msg) { m.CheckingDisabled, m.AuthenticatedData = true, true }),
			"type as letters": question(t, "www.db.example.com.", 65, nil),
			"a built-in name": question(t, "ip-10-0-1-10.ec2.internal.", dns.TypeA, nil),
			"a reverse name":  question(t, "10.1.0.10.in-addr.arpa.", dns.TypePTR, nil),
		} {
			first, last := r.byLane(conn, message)
			if first != nil && !bytes.Equal(first, last) {
				t.Errorf("%s at %s:\nthe process %x\nthe kernel  %x", name, at, first, last)
			}
			if first == nil { // it was asked so before, in other letters
				r.hand(r.shelf)
				if first = r.ask(conn, message, patience); !bytes.Equal(first, last) {
					t.Errorf("%s at %s:\nthe process %x\nthe kernel  %x", name, at, first, last)
				}
			}
		}
	}
}
