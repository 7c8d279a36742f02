// SPDX-License-Identifier: Apache-2.0

package follow

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/desired"
)

// TestNamesGoWhereRoutesLead: an address that the routes of the gateway's subnet do not lead
// to is refused and said to be, until they do.
func TestNamesGoWhereRoutesLead(t *testing.T) {
	const public, local = "198.51.100.7", "10.1.3.7"
	p := netip.MustParsePrefix
	steer := func(e desired.Follow) desired.Entry {
		return desired.Steer{VPC: e.VPC, From: e.Addr.String(), Table: 7}
	}
	routes := func(e desired.Follow, list ...desired.TableRoute) desired.Entry {
		return desired.Table{VPC: e.VPC, Number: 7, Routes: list}
	}
	for _, c := range []struct {
		about, addr string
		routes      []desired.TableRoute
		refused     string
	}{
		{"local, no table", local, nil, ""},
		{"local, a default route", local, []desired.TableRoute{{Prefix: p("0.0.0.0/0"), To: "eni-nat"}}, ""},
		{"local, overridden", local, []desired.TableRoute{{Prefix: p("10.1.3.0/24"), To: desired.Unreachable}}, "gone or forwards nothing"},
		{"local, overridden by an appliance", local, []desired.TableRoute{{Prefix: p("10.1.3.0/24"), To: "eni-1"}}, ""},
		{"public, no table", public, nil, "no route"},
		{"public, other routes", public, []desired.TableRoute{{Prefix: p("203.0.113.0/24"), To: "eni-nat"}}, "no route"},
		{"public, NAT gateway", public, []desired.TableRoute{{Prefix: p("0.0.0.0/0"), To: "eni-nat"}}, ""},
		{"public, more specific than gone", public, []desired.TableRoute{{Prefix: p("0.0.0.0/0"), To: desired.Unreachable}, {Prefix: p("198.51.100.0/24"), To: "eni-nat"}}, ""},
		{"public, target gone", public, []desired.TableRoute{{Prefix: p("198.51.100.0/24"), To: desired.Unreachable}, {Prefix: p("0.0.0.0/0"), To: "eni-nat"}}, "gone or forwards nothing"},
		{"public, internet gateway", public, []desired.TableRoute{{Prefix: p("0.0.0.0/0"), To: desired.Outside}}, "no public address"},
	} {
		for _, late := range []bool{false, true} {
			follow(t, func(r rig) {
				e := named("db.example.com.", 1)
				r.up.answers[Question{Name: e.Name}] = Answer{[]netip.Addr{netip.MustParseAddr(c.addr)}, time.Minute}
				all := lands()
				var ways []desired.Entry
				if c.routes != nil {
					ways = []desired.Entry{steer(e), routes(e, c.routes...)}
				}
				if late {
					r.take(desired.Delta{Full: true, Put: append(all, e)})
					time.Sleep(time.Second)
					r.take(desired.Delta{Put: ways})
				} else {
					r.take(desired.Delta{Full: true, Put: append(append(all, ways...), e)})
				}
				time.Sleep(time.Second)
				o := r.Observations()[0]
				if (c.refused == "") != (len(o.Addrs) == 1) || !strings.Contains(o.Refused, c.refused) || c.refused != "" && !strings.Contains(o.Trouble, c.addr) {
					t.Errorf("%s (late %t): observed is %+v", c.about, late, o)
				}
				if c.refused != "" {
					r.leadsTo(e)
				}
			})
		}
	}
	follow(t, func(r rig) { // the routes go, and come again
		e := named("db.example.com.", 1)
		r.up.answers[Question{Name: e.Name}] = Answer{[]netip.Addr{netip.MustParseAddr(public)}, time.Minute}
		way := routes(e, desired.TableRoute{Prefix: p("0.0.0.0/0"), To: "eni-nat"})
		r.take(desired.Delta{Full: true, Put: append(lands(), steer(e), way, e)})
		time.Sleep(time.Second)
		for _, gone := range []desired.Entry{way, steer(e)} {
			r.take(desired.Delta{Delete: []desired.Key{gone.Key()}})
			time.Sleep(time.Second)
			r.leadsTo(e)
			if o := r.Observations()[0]; o.Refused == "" || o.Trouble == "" {
				t.Errorf("without %s: observed is %+v", gone, o)
			}
			r.take(desired.Delta{Put: []desired.Entry{gone}})
			time.Sleep(time.Second)
			if o := r.Observations()[0]; len(o.Addrs) != 1 || o.Trouble != "" || o.Refused != "" {
				t.Errorf("with %s again: observed is %+v", gone, o)
			}
		}
	})
}
