// SPDX-License-Identifier: Apache-2.0

package wire_test

import (
	"bytes"
	"testing"

	"github.com/miekg/dns"

	"github.com/posternhq/postern/internal/resolver/wire"
)

// FuzzQuestion reads any packet. What is a question is one for package dns too, with
// the same name, and every answer can be read by it.
func FuzzQuestion(f *testing.F) {
	for _, text := range []string{
		"1234 0100 0001 0000 0000 0000 Q", "1234 0100 0001 0000 0000 0001 Q 00 0029 04d0 00008000 0000", "1234 0100 0001 0000 0000 0000 c00c 0001 0001",
		"1234 2800 0001 0000 0000 0000 Q", "1234 0100 0001 0000 0000 0001 Q c00c 00fa 00ff 00000000 0000",
	} {
		f.Add(packet(f, text))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		sent := bytes.Clone(b)
		var q wire.Question
		fate := q.Read(b)
		if !bytes.Equal(sent, b) {
			t.Fatal("the packet is changed")
		}
		if fate == wire.Dropped {
			return
		}
		var a wire.Answer
		a.Begin(nil, &q, false)
		if fate == wire.Asked {
			a.Append(wire.AppendRecord(nil, q.Type, 1, []byte{1, 2, 3, 4}))
			a.AppendOf(q.Name, wire.AppendRecord(nil, wire.TypeA, 1, []byte{1, 2, 3, 4}), true)
		}
		message := a.End(q.Code)
		if len(message) > q.Size {
			t.Fatalf("an answer of %d bytes, may have %d", len(message), q.Size)
		}
		var m dns.Msg
		if err := m.Unpack(message); err != nil && fate == wire.Faulty { // the data of an asked type may be no data for it
			t.Fatalf("package dns cannot read %x: %v", message, err)
		}
		if fate != wire.Asked {
			return
		}
		if len(m.Question) != 1 {
			t.Fatalf("package dns finds no question in %x", message)
		}
		name, err := wire.AppendName(nil, wire.NameText(q.Name))
		if err != nil || !bytes.Equal(name, q.Name) {
			t.Fatalf("name %q is read back as %q: %v", q.Name, name, err)
		}
		theirs := make([]byte, 256)
		n, err := dns.PackDomainName(dns.CanonicalName(m.Question[0].Name), theirs, 0, nil, false)
		if err != nil || !bytes.Equal(theirs[:n], q.Name) {
			t.Fatalf("name %q is %q for package dns: %v", q.Name, theirs[:n], err)
		}
	})
}

// FuzzUnpack reads any answer, as upstreams may send it.
func FuzzUnpack(f *testing.F) {
	m := new(dns.Msg)
	m.SetQuestion("a.example.com.", dns.TypeA)
	m.Response = true
	m.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: "a.example.com.", Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 5}, A: []byte{10, 0, 0, 1}}}
	b, err := m.Pack()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := wire.Unpack(b)
		if err != nil {
			return
		}
		for _, rec := range append(r.Answer, r.Authority...) {
			if name, err := wire.AppendName(nil, wire.NameText(rec.Name)); err != nil || !bytes.Equal(name, rec.Name) {
				t.Fatalf("owner %q is read back as %q: %v", rec.Name, name, err)
			}
		}
	})
}
