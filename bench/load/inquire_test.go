// SPDX-License-Identifier: Apache-2.0

package load_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/posternhq/postern/test/testnet"
)

// TestNamesAreAskedForOnceOrForATime has a name server that knows some names, says of one
// that it is not there, and is silent about another until it has been asked twice.
func TestNamesAreAskedForOnceOrForATime(t *testing.T) {
	ns := testnet.New(t)
	packets, err := ns.ListenPacket("udp", server.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { packets.Close() })
	var asked, silent atomic.Int64
	go func() {
		_ = (&dns.Server{PacketConn: packets, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
			asked.Add(1)
			m := new(dns.Msg).SetReply(q)
			switch name := q.Question[0].Name; {
			case name == "silent.test." && silent.Add(1) < 2:
				return
			case strings.HasPrefix(name, "none"):
				m.Rcode = dns.RcodeNameError
			default:
				m.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeA, Class: dns.ClassINET}, A: []byte{10, 0, 0, 1}}}
			}
			_ = w.WriteMsg(m)
		})}).ActivateAndServe()
	}()
	names := func(what ...string) string {
		file := filepath.Join(t.TempDir(), "names")
		if err := os.WriteFile(file, []byte(strings.Join(what, "\n")), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	var known []string
	for i := range 100 {
		known = append(known, fmt.Sprintf("host%d.test", i))
	}
	client := start(t, ns)
	r, err := client.Inquire(server, names(known...), 3, 0)
	if err != nil || r.Count != 100 || r.Failed != 0 || r.P50 <= 0 || r.P99 < r.P50 || asked.Load() != 100 {
		t.Errorf("a hundred names: %+v, %v, of %d questions", r, err, asked.Load())
	}
	if r, err = client.Inquire(server, names(append(known, "none.test", "silent.test")...), 3, 0); err != nil || r.Count != 100 || r.Failed != 2 {
		t.Errorf("with a name that is not there, and one that is not answered: %+v, %v", r, err)
	}
	if r, err = client.Inquire(server, names(known[:3]...), 2, short); err != nil || r.Count <= 3 || r.Seconds < short.Seconds() {
		t.Errorf("for a time: %+v, %v", r, err)
	}
	if _, err := client.Inquire(server, names(), 2, short); err == nil {
		t.Error("no names are asked for")
	}
	if _, err := client.Inquire(server, names(strings.Repeat("a", 64)+".test"), 2, short); err == nil {
		t.Error("a name that is none is asked for")
	}
	begun := time.Now()
	if _, err := client.Inquire(nothing, names(known...), 2, long); err == nil || time.Since(begun) > time.Minute {
		t.Errorf("where nobody is: %v, after %v", err, time.Since(begun))
	}
}
