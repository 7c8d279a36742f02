// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"errors"
	"io"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/test/testnet"
)

// A resource whose name is that of an endpoint in its gateway's VPC leads on to where that
// leads, if the groups of both have it; and when the name moves to a workload, to that.
func TestANameThatIsAnEndpointLeadsOn(t *testing.T) {
	for family, make := range families {
		t.Run(family, func(t *testing.T) {
			t.Parallel() // most of it is waiting for look-ups
			h := newHub(make(t))
			h.apply()
			h.serve()
			testHubByName(h)
		})
	}
}

func testHubByName(h *hub) {
	const name = "db.example.com."
	z := newZone(h.t)
	z.set(name, h.inner)
	f := desired.Follow{VPC: middle, Addr: h.first, Name: name, Floor: 1, Gateway: h.gateway.Addr(), Port: 5432}
	h.put(middle, []desired.Entry{f.Target(nil)}) // nothing is left of what the scenario began with
	a, ends := h.agent(z, f, hubVPCs)
	eventually(h.t, "a first answer", func() bool { return strings.Contains(h.dump(middle), f.Onward(h.inner).String()+"\n") })
	if err := h.ask(testnet.Patience); err != nil {
		h.t.Fatalf("through the endpoint that the name has: %v", err)
	}
	if o := a.Names()[0]; o.Trouble != "" || o.Refused != "" {
		h.t.Errorf("observed is %+v", o)
	}
	good := h.classes(5432, h.gateway, netip.PrefixFrom(h.inner, h.inner.BitLen()))
	for i, class := range h.classes(5433, h.gateway, h.gateway) { // each refuses
		ends.deltas <- desired.Delta{Revision: int64(2 + 2*i), Put: []desired.Entry{class}}
		eventually(h.t, "connections that a group refuses", func() bool { return h.ask(200*time.Millisecond) != nil })
		ends.deltas <- desired.Delta{Revision: int64(3 + 2*i), Put: good[i : i+1]}
		eventually(h.t, "connections that no group refuses", func() bool { return h.ask(time.Second) == nil })
	}

	// An endpoint that leads back is refused at once, and so is what was open through it.
	conn, err := h.client.Dial(h.t.Context(), h.network, h.endpoint)
	if err != nil {
		h.t.Fatal(err)
	}
	defer conn.Close()
	back := desired.Endpoint{VPC: middle, Addr: h.inner, Target: h.first, Ports: []desired.PortRange{{From: 5432, To: 5432}}, Owner: "vpce-1"}
	ends.deltas <- desired.Delta{Revision: 10, Put: []desired.Entry{back}}
	eventually(h.t, "a name that leads back to itself", func() bool { return strings.Contains(a.Names()[0].Trouble, "back to itself") })
	eventually(h.t, "a target that leads nowhere", func() bool { return strings.Contains(h.dump(middle), f.Target(nil).String()+"\n") })
	if err := h.ask(testnet.Patience); err == nil || !strings.Contains(err.Error(), "refused") {
		h.t.Errorf("a circle: %v, want a refusal", err)
	}
	conn.SetReadDeadline(time.Now().Add(testnet.Patience))
	if _, err := io.Copy(io.Discard, conn); !errors.Is(err, syscall.ECONNRESET) {
		h.t.Errorf("what was open before ends with %v, want a reset", err)
	}
}
