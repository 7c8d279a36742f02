// SPDX-License-Identifier: Apache-2.0

package zone_test

import (
	"testing"

	"github.com/miekg/dns"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/resolver/wire"
	"github.com/posternhq/postern/internal/resolver/zone"
)

// FuzzAnswer asks a world by any packet. Package dns reads every answer, which is no
// longer than the question allows.
func FuzzAnswer(f *testing.F) {
	w := families(f)
	for _, q := range []string{"www.example.com.", "c1.example.com.", "x.wild.example.com.", "loop1.example.com.", "1.0.0.10.in-addr.arpa.", "ip-10-0-0-1.ec2.internal.", "1.0.ip6.arpa.", "near.example.com.", "."} {
		name, err := wire.AppendName(nil, q)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(wire.AppendQuestion(nil, 7, name, wire.TypeA))
		f.Add(wire.AppendQuestion(nil, 7, name, wire.TypePTR))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		a := zone.Ask{VPC: vpc, Client: client}
		if a.Question.Read(b) != wire.Asked {
			return
		}
		a.Answer.Begin(nil, &a.Question, false)
		w.Answer(&a)
		message := a.Answer.End(a.Code)
		if len(message) > a.Question.Size {
			t.Fatalf("an answer of %d bytes, may have %d", len(message), a.Question.Size)
		}
		var m dns.Msg
		if err := m.Unpack(message); err != nil {
			t.Fatalf("package dns cannot read %x: %v", message, err)
		}
	})
}

// FuzzData puts any value. What is taken is answered as something that package dns
// reads, and comes back as it was put.
func FuzzData(f *testing.F) {
	for kind, value := range map[string]string{
		"A": "10.0.0.1", "AAAA": "::1", "CNAME": `\052.a`, "TXT": `"a\042b" c`, "MX": "10 a.b", "SRV": "1 2 3 a", "CAA": `0 issue "a"`, "SOA": "a b 1 2 3 4 5",
		"NAPTR": `1 2 "U" "S" "!x!y!" .`, "HTTPS": "1 . alpn=h2", "DS": "1 5 1 00", "TLSA": "3 1 1 00", "SSHFP": "1 1 00",
	} {
		f.Add(kind, value)
	}
	f.Fuzz(func(t *testing.T, kind, value string) {
		number, ok := dns.StringToType[kind]
		if !ok {
			return
		}
		r := desired.NameRecord{Zone: "Z1", Name: "a.example.com.", Type: kind, TTL: 1, Data: []string{value}}
		w, failed := build(t, desired.NameZone{ID: "Z1", Name: "example.com."}).With([]desired.Entry{r}, nil)
		if failed != nil {
			return
		}
		if got := ask(t, w, nil, client, "a.example.com.", number); got.Rcode == dns.RcodeSuccess && len(got.Answer) == 0 && !got.Truncated && number != dns.TypeCNAME {
			t.Errorf("no answer: %s", got.Msg)
		}
		for _, e := range w.Dump(desired.Zone("Z1")) {
			if e.Key() == r.Key() && desired.Record(e) != desired.Record(r) {
				t.Errorf("put %s, got %s", desired.Record(r), desired.Record(e))
			}
		}
	})
}
