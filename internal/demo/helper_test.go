// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"strings"
	"testing"
)

// message builds one message of PostgreSQL's protocol.
func message(kind byte, body string) string {
	return string(kind) + string(binary.BigEndian.AppendUint32(nil, uint32(len(body)+4))) + body
}

// fakeServer plays a server that says the same thing to each message it gets.
type fakeServer struct {
	says []string
	in   bytes.Buffer
	got  int
}

func (f *fakeServer) Write(p []byte) (int, error) {
	if f.got < len(f.says) {
		f.in.WriteString(f.says[f.got])
	}
	f.got++
	return len(p), nil
}

func (f *fakeServer) Read(p []byte) (int, error) { return f.in.Read(p) }

func TestAskOne(t *testing.T) {
	welcome := message('R', "\x00\x00\x00\x00") + message('S', "a\x00b\x00") + message('Z', "I")
	answer := message('T', "…") + message('D', "1") + message('C', "SELECT 1\x00") + message('Z', "I")
	tests := []struct {
		name string
		says []string
		want string // part of the error; empty for none
	}{
		{"answered", []string{welcome, answer}, ""},
		{"password", []string{message('R', "\x00\x00\x00\x05salt")}, "password"},
		{"refused", []string{message('E', "FATAL\x00")}, "refuses"},
		{"no row", []string{welcome, message('Z', "I")}, "0 rows"},
		{"closed at login", []string{""}, "log in: EOF"},
		{"closed in the answer", []string{welcome, answer[:9]}, "query: "},
		{"nonsense", []string{"HTTP/1.1 400"}, "message of"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := askOne(&fakeServer{says: tt.says})
			if tt.want == "" && err != nil {
				t.Fatal(err)
			}
			if tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got error %v, want one with %q", err, tt.want)
			}
		})
	}
}

func TestProbeAsksUntilAnswered(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for n := 0; ; n++ {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			if n >= 3 { // the first attempts meet a server that hangs up
				fmt.Fprint(conn, message('R', "\x00\x00\x00\x00")+message('Z', "I")+message('D', "1")+message('Z', "I"))
				_, _ = conn.Read(make([]byte, 256)) // keeps the answer from being reset away
				_, _ = conn.Read(make([]byte, 256))
			}
			conn.Close()
		}
	}()
	var out strings.Builder
	before := monotonic()
	if status := Helper(&out, []string{"probe", l.Addr().String()}); status != 0 {
		t.Fatalf("status %d: %s", status, &out)
	}
	var at, attempt int64
	if _, err := fmt.Sscanf(after(out.String(), tryingLine+"\n"), answeredLine, &at, &attempt); err != nil {
		t.Fatalf("%v in %q", err, &out)
	}
	if attempt < 4 || at < before || at > monotonic() {
		t.Errorf("answered at %d in attempt %d, want between %d and now, in attempt 4 or later", at, attempt, before)
	}
}

func TestTimedPassesTheStatusOn(t *testing.T) {
	for command, want := range map[string]int{"true": 0, "false": 1} {
		var out strings.Builder
		got := Helper(&out, []string{"time", command})
		var took int64
		if _, err := fmt.Sscanf(out.String(), tookLine, &took); err != nil || got != want || took <= 0 {
			t.Errorf("%s: status %d and %q, want %d and a time", command, got, &out, want)
		}
	}
}

func TestRowIsTheFirstOne(t *testing.T) {
	const table = "  server   |  client   \n-----------+-----------\n 10.0.1.10 | 10.0.1.61\n(1 row)\n"
	if got, want := row(table), " 10.0.1.10 | 10.0.1.61"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := row("psql: error"); got != "" {
		t.Errorf("got %q of no table", got)
	}
}

func FuzzUntilReady(f *testing.F) {
	f.Add(message('R', "\x00\x00\x00\x00") + message('D', "1") + message('Z', "I"))
	f.Add("E\xff\xff\xff\xff")
	f.Fuzz(func(t *testing.T, text string) {
		rows, err := untilReady(strings.NewReader(text))
		if err == nil && (rows > len(text)/5 || !strings.Contains(text, "Z")) {
			t.Errorf("%d rows and the end of an answer in %q", rows, text)
		}
	})
}
