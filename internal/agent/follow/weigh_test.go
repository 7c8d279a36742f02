// SPDX-License-Identifier: Apache-2.0

package follow

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/desired"
)

// lands are entries of the VPC that names are of here: its router, its resolver, a
// subnet, and a second gateway.
func lands() []desired.Entry {
	block, subnet := netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("10.1.0.0/24")
	return []desired.Entry{
		desired.Router{VPC: entry.VPC, Networks: []netip.Prefix{block}, Gateways: []netip.Addr{addr(0)}},
		desired.Resolver{VPC: entry.VPC, Networks: []netip.Prefix{block}, Zones: []desired.ZonePrefix{{Prefix: subnet, Zone: "a"}}},
		desired.NewNameserver(entry.VPC, block),
		desired.Pool{VPC: entry.VPC, Gateway: netip.MustParseAddr("10.1.9.4"), Addresses: []netip.Prefix{netip.MustParsePrefix("10.1.9.4/32"), netip.MustParsePrefix("10.1.9.5/32")}},
	}
}

// Of an address that nothing can answer at in the VPC it is said why it is not gone by,
// and when it becomes one later too.
func TestWhatAVPCHasForItselfIsNotGoneBy(t *testing.T) {
	for text, why := range map[string]string{
		"10.1.0.1": "router", "10.1.0.2": "resolver", "10.1.0.0": "network address", "10.1.0.3": "reserved", "10.1.0.255": "broadcast",
		"10.1.255.255": "broadcast", "10.1.9.5": "gateway", "10.0.1.50": "gateway", "127.0.0.1": "nobody", "169.254.1.1": "nobody", "224.0.0.5": "nobody",
	} {
		for _, late := range []bool{false, true} {
			follow(t, func(r rig) {
				e := named("db.example.com.", 1)
				r.up.answers[Question{Name: e.Name}] = Answer{[]netip.Addr{netip.MustParseAddr(text)}, time.Minute}
				all := lands()
				if late {
					r.take(desired.Delta{Full: true, Put: []desired.Entry{e}})
					time.Sleep(time.Second)
					r.take(desired.Delta{Put: all})
				} else {
					r.take(desired.Delta{Full: true, Put: append(all, e)})
				}
				time.Sleep(time.Second)
				r.leadsTo(e)
				if o := r.Observations()[0]; !strings.Contains(o.Trouble, text) || !strings.Contains(o.Refused, why) {
					t.Errorf("%s (late %t): observed is %+v", text, late, o)
				}
			})
		}
	}
}

// Of an answer of which several addresses are left out the first one is named, and how
// many more there are.
func TestHowManyAddressesAreLeftOutIsSaid(t *testing.T) {
	follow(t, func(r rig) {
		e := named("db.example.com.", 1)
		var addrs []netip.Addr
		for _, text := range []string{"255.255.255.255", "127.0.0.1", "10.1.5.5", "224.0.0.5", "169.254.1.1"} {
			addrs = append(addrs, netip.MustParseAddr(text))
		}
		r.up.answers[Question{Name: e.Name}] = Answer{addrs, time.Minute}
		r.take(desired.Delta{Full: true, Put: append(lands(), e)})
		time.Sleep(time.Second)
		if o := r.Observations()[0]; !strings.HasPrefix(o.Refused, "127.0.0.1 is not gone by: ") || !strings.HasSuffix(o.Refused, "; others left out: 3") || len(o.Addrs) != 1 {
			t.Errorf("observed is %+v", o)
		}
	})
}

// onwardTo waits a moment and wants a name to lead on through an endpoint.
func (r rig) onwardTo(e desired.Follow, n int) {
	r.Helper()
	time.Sleep(time.Second)
	var got desired.Entry
	r.up.change(func() { got = r.targets[targetKey(e.Key())] })
	if want := e.Onward(addr(n)); got == nil || !desired.Equal(got, want) {
		r.Errorf("%s: %v, want %s", e.Name, got, want)
	}
}

// A name that leads to an endpoint of its gateway's VPC leads on from there, as long as it
// is one, through one address at a time; also when the agent has just been started.
func TestANameThatIsAnEndpointLeadsOn(t *testing.T) {
	follow(t, func(r rig) {
		e := named("db.example.com.", 1)
		door := func(n int) desired.Endpoint {
			return desired.Endpoint{VPC: e.VPC, Addr: addr(n), Target: netip.AddrFrom4([4]byte{240, 9, 0, byte(n)}), Owner: "vpce-1"}
		}
		r.up.set(e.Name, 5*time.Second, 2, 3)
		r.take(desired.Delta{Full: true, Put: []desired.Entry{door(2), door(3), e}}, 3)
		r.onwardTo(e, 2)
		if o := r.Observations()[0]; o.Trouble != "" || len(o.Addrs) != 1 || o.Through != "vpce-1" {
			t.Errorf("observed is %+v", o)
		}
		r.take(desired.Delta{Delete: []desired.Key{door(2).Key(), door(3).Key()}})
		time.Sleep(time.Second)
		r.leadsTo(e, 2, 3) // who has the addresses now is a workload
		r.take(desired.Delta{Put: []desired.Entry{door(3)}})
		time.Sleep(time.Second)
		r.leadsTo(e, 2)
		if o := r.Observations()[0]; !strings.Contains(o.Refused, "endpoint") {
			t.Errorf("observed is %+v", o)
		}
		r.up.set(e.Name, 5*time.Second, 3)
		time.Sleep(5 * time.Second)
		r.onwardTo(e, 3)
	})
}

// A way that comes back to where it has been is refused, by as many steps as it does, and
// said to be; and what breaks the circle heals all names of it.
func TestNamesThatLeadInCircles(t *testing.T) {
	for steps := 1; steps <= 3; steps++ {
		for _, address := range []bool{false, true} { // whether one of the steps is an address
			if address && steps == 1 {
				continue // refused before it comes here
			}
			follow(t, func(r rig) {
				var all []desired.Entry
				var names []desired.Follow
				for i := range steps {
					e := named(string(rune('a'+i))+".example.com.", i)
					next := named("", (i+1)%steps)
					door := desired.Endpoint{VPC: e.VPC, Addr: addr(i + 1), Target: next.Addr, Owner: "vpce-1"}
					all = append(all, door)
					if address && i == steps-1 {
						all = append(all, e.Onward(door.Addr))
						continue
					}
					r.up.set(e.Name, 5*time.Second, i+1)
					all, names = append(all, e), append(names, e)
				}
				r.take(desired.Delta{Full: true, Put: all})
				time.Sleep(time.Second)
				for _, e := range names {
					r.leadsTo(e)
				}
				for _, o := range r.Observations() {
					if !strings.Contains(o.Trouble, "back to itself") {
						t.Errorf("%d steps: observed is %+v", steps, o)
					}
				}
				r.up.set(names[0].Name, 5*time.Second, 50)
				time.Sleep(6 * time.Second)
				r.leadsTo(names[0], 50)
				for i, e := range names[1:] {
					r.onwardTo(e, i+2)
				}
				r.up.set(names[0].Name, 5*time.Second, 1) // and closed again
				time.Sleep(6 * time.Second)
				for _, e := range names[1:] {
					r.leadsTo(e)
				}
			})
		}
	}
}

// A way through more than eight resources is refused, and one through eight is not.
func TestAWayThatIsTooLong(t *testing.T) {
	for _, steps := range []int{mostSteps - 1, mostSteps} {
		follow(t, func(r rig) {
			e := named("db.example.com.", 0)
			all := []desired.Entry{e}
			for i := range steps {
				all = append(all, desired.Endpoint{VPC: e.VPC, Addr: addr(i + 1), Target: named("", i+1).Addr, Owner: "vpce-1"})
				if i < steps-1 {
					all = append(all, named("", i+1).Onward(addr(i+2)))
				}
			}
			r.up.set(e.Name, 5*time.Second, 1)
			r.take(desired.Delta{Full: true, Put: all})
			time.Sleep(time.Second)
			if steps < mostSteps {
				r.onwardTo(e, 1)
				return
			}
			r.leadsTo(e)
			if o := r.Observations()[0]; !strings.Contains(o.Trouble, "more than 8") {
				t.Errorf("observed is %+v", o)
			}
		})
	}
}
