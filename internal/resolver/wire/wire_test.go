// SPDX-License-Identifier: Apache-2.0

package wire_test

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/miekg/dns"
	"pgregory.net/rapid"

	"github.com/posternhq/postern/internal/resolver/wire"
)

// packet makes a packet from hexadecimal digits, with blanks between them, and the
// question www.example. A IN where there is a Q.
func packet(t testing.TB, text string) []byte {
	t.Helper()
	text = strings.ReplaceAll(text, "Q", "03777777076578616d706c6500 0001 0001")
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestPacketsHaveTheFateTheyDeserve(t *testing.T) {
	long := strings.Repeat("3f"+strings.Repeat("61", 63), 3) // with a length byte each, 192 bytes
	for _, c := range []struct {
		what, packet string
		fate         wire.Fate
		code         int
	}{
		{"nothing", "", wire.Dropped, 0},
		{"half a header", "1234 0100 0001 0000 0000", wire.Dropped, 0},
		{"an answer", "1234 8180 0001 0000 0000 0000 Q", wire.Dropped, 0},
		{"a question", "1234 0100 0001 0000 0000 0000 Q", wire.Asked, 0},
		{"a question and something", "1234 0100 0001 0000 0000 0000 Q 1234", wire.Asked, 0},
		{"the root's", "1234 0100 0001 0000 0000 0000 00 0002 0001", wire.Asked, 0},
		{"a notification", "1234 2000 0001 0000 0000 0000 Q", wire.Faulty, wire.NotImplemented},
		{"an update", "1234 2800 0001 0000 0000 0000 Q", wire.Faulty, wire.NotImplemented},
		{"no question", "1234 0100 0000 0000 0000 0000", wire.Faulty, wire.FormatError},
		{"two questions", "1234 0100 0002 0000 0000 0000 Q Q", wire.Faulty, wire.FormatError},
		{"an answer in a question", "1234 0100 0001 0001 0000 0000 Q", wire.Faulty, wire.FormatError},
		{"no type", "1234 0100 0001 0000 0000 0000 03777777 00", wire.Faulty, wire.FormatError},
		{"half a type", "1234 0100 0001 0000 0000 0000 03777777 00 00", wire.Faulty, wire.FormatError},
		{"no end of the name", "1234 0100 0001 0000 0000 0000 03777777", wire.Faulty, wire.FormatError},
		{"a label longer than the packet", "1234 0100 0001 0000 0000 0000 3f7777", wire.Faulty, wire.FormatError},
		{"a name that points to itself", "1234 0100 0001 0000 0000 0000 c00c 0001 0001", wire.Faulty, wire.FormatError},
		{"a name that points to the header", "1234 0100 0001 0000 0000 0000 c000 0001 0001", wire.Faulty, wire.FormatError},
		{"a label of a reserved kind", "1234 0100 0001 0000 0000 0000 4177 00 0001 0001", wire.Faulty, wire.FormatError},
		{"a name of 255 bytes", "1234 0100 0001 0000 0000 0000" + long + "3d" + strings.Repeat("61", 61) + "00 0001 0001", wire.Asked, 0},
		{"a name of 256 bytes", "1234 0100 0001 0000 0000 0000" + long + "3e" + strings.Repeat("61", 62) + "00 0001 0001", wire.Faulty, wire.FormatError},
		{"class CH", "1234 0100 0001 0000 0000 0000 00 0010 0003", wire.Faulty, wire.Refused},
		{"class ANY", "1234 0100 0001 0000 0000 0000 00 0001 00ff", wire.Faulty, wire.Refused},
		{"AXFR", "1234 0100 0001 0000 0000 0000 00 00fc 0001", wire.Faulty, wire.Refused},
		{"IXFR", "1234 0100 0001 0000 0001 0000 00 00fb 0001", wire.Faulty, wire.Refused},
		{"OPT", "1234 0100 0001 0000 0000 0000 00 0029 0001", wire.Faulty, wire.FormatError},
		{"ANY", "1234 0100 0001 0000 0000 0000 00 00ff 0001", wire.Asked, 0},
		{"EDNS", "1234 0100 0001 0000 0000 0001 Q 00 0029 04d0 00000000 0000", wire.Asked, 0},
		{"EDNS with an option", "1234 0100 0001 0000 0000 0001 Q 00 0029 04d0 00000000 0004 000a0000", wire.Asked, 0},
		{"EDNS of version 1", "1234 0100 0001 0000 0000 0001 Q 00 0029 04d0 00010000 0000", wire.Faulty, wire.BadVersion},
		{"EDNS twice", "1234 0100 0001 0000 0000 0002 Q 00 0029 04d0 00000000 0000 00 0029 04d0 00000000 0000", wire.Faulty, wire.FormatError},
		{"EDNS of a name", "1234 0100 0001 0000 0000 0001 Q 0161 00 0029 04d0 00000000 0000", wire.Faulty, wire.FormatError},
		{"EDNS cut off", "1234 0100 0001 0000 0000 0001 Q 00 0029 04d0", wire.Faulty, wire.FormatError},
		{"EDNS longer than the packet", "1234 0100 0001 0000 0000 0001 Q 00 0029 04d0 00000000 0004", wire.Faulty, wire.FormatError},
		{"a signature", "1234 0100 0001 0000 0000 0001 Q c00c 00fa 00ff 00000000 0000", wire.Asked, 0},
		{"records that are said to be there", "1234 0100 0001 0000 0000 ffff Q", wire.Faulty, wire.FormatError},
	} {
		var q wire.Question
		b := packet(t, c.packet)
		if fate := q.Read(b); fate != c.fate || fate == wire.Faulty && q.Code != c.code {
			t.Errorf("%s: fate %d, code %d, want %d and %d", c.what, fate, q.Code, c.fate, c.code)
		}
		if c.fate != wire.Faulty {
			continue
		}
		var a wire.Answer
		a.Begin(nil, &q, false)
		m := new(dns.Msg)
		if err := m.Unpack(a.End(q.Code)); err != nil {
			t.Errorf("%s: package dns cannot read the answer: %v", c.what, err)
		}
		if m.Id != 0x1234 || !m.Response || m.Rcode != c.code || m.Opcode != int(b[2]>>3&0xf) || len(m.Answer) > 0 {
			t.Errorf("%s is answered %s", c.what, m)
		}
	}
}

func TestAnswersSayWhatTheQuestionSaid(t *testing.T) {
	for _, c := range []struct {
		flags         string
		authoritative bool
		want          dns.MsgHdr
	}{
		{"0100", false, dns.MsgHdr{Id: 0x1234, Response: true, RecursionDesired: true, RecursionAvailable: true}},
		{"0010", false, dns.MsgHdr{Id: 0x1234, Response: true, CheckingDisabled: true, RecursionAvailable: true}},
		{"07ef", true, dns.MsgHdr{Id: 0x1234, Response: true, RecursionDesired: true, Authoritative: true}},
	} {
		var q wire.Question
		q.Read(packet(t, "1234"+c.flags+"0001 0000 0000 0000 Q"))
		a := wire.Answer{Authoritative: c.authoritative}
		a.Begin([]byte("before"), &q, false)
		m := new(dns.Msg)
		if err := m.Unpack(bytes.TrimPrefix(a.End(0), []byte("before"))); err != nil {
			t.Fatal(err)
		}
		if m.MsgHdr != c.want {
			t.Errorf("flags %s are answered %+v, want %+v", c.flags, m.MsgHdr, c.want)
		}
	}
}

func TestNamesAreSpelledAsRoute53Does(t *testing.T) {
	for _, c := range []struct{ text, wire, want string }{
		{"www.example.com", "\x03www\x07example\x03com\x00", "www.example.com."},
		{"WWW.Example.com.", "\x03www\x07example\x03com\x00", "www.example.com."},
		{`\052.a\056b.`, "\x01*\x03a.b\x00", `\052.a\056b.`},
		{`*.a_b-c\.d\\.`, "\x01*\x08a_b-c.d\\\x00", `\052.a_b-c\056d\134.`},
		{`\400\18.`, "\x0540018\x00", "40018."},
		{`\101\377.`, "\x02a\xff\x00", `a\377.`},
		{".", "\x00", "."},
	} {
		got, err := wire.AppendName(nil, c.text)
		if err != nil || string(got) != c.wire || wire.NameText(got) != c.want {
			t.Errorf("%s is %q, and back %s (%v), want %q and %s", c.text, got, wire.NameText(got), err, c.wire, c.want)
		}
	}
	for _, bad := range []string{"", "..", ".a", "a..b", `a\`, strings.Repeat("a", 64), strings.Repeat("a.", 128)} {
		if got, err := wire.AppendName(nil, bad); err == nil {
			t.Errorf("%q is %q", bad, got)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		var name []byte
		for _, label := range rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 1, 63), 1, 3).Draw(t, "labels") {
			name = append(append(name, byte(len(label))), lower(label)...)
		}
		name = append(name, 0)
		if got, err := wire.AppendName(nil, wire.NameText(name)); err != nil || !bytes.Equal(got, name) {
			t.Fatalf("%q is %s, and back %q (%v)", name, wire.NameText(name), got, err)
		}
	})
}

func lower(b []byte) []byte {
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return b
}

func TestUnpackedRecordsHaveNoPointers(t *testing.T) {
	m := new(dns.Msg)
	m.SetQuestion("a.example.com.", dns.TypeMX)
	m.Response, m.Compress, m.Truncated, m.Rcode = true, true, true, dns.RcodeNameError
	for _, text := range []string{"A.example.com. 5 IN MX 10 mail.a.example.com.", "mail.a.example.com. 6 IN A 10.0.0.1"} {
		rr, err := dns.NewRR(text)
		if err != nil {
			t.Fatal(err)
		}
		m.Answer = append(m.Answer, rr)
	}
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	r, err := wire.Unpack(b)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Answer) != 2 || !r.Cut || r.Code != wire.NameError || string(r.Answer[0].Name) != "\x01a\x07example\x03com\x00" || r.Answer[0].TTL != 5 ||
		string(r.Answer[0].Data) != "\x00\x0a\x04mail\x01a\x07example\x03com\x00" || string(r.Answer[1].Data) != "\x0a\x00\x00\x01" {
		t.Errorf("got %+v", r)
	}
	if _, err := wire.Unpack(b[:len(b)-1]); err == nil {
		t.Error("a packet that is cut off is read")
	}
}
