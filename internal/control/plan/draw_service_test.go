// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/table"
)

// offered draws what has to do with services: a load balancer with an interface, a target
// group and a listener, and a service in front of it.
func (d drawer) offered(kind int) table.Row {
	switch kind {
	case 0:
		b := &model.LoadBalancer{Meta: d.meta("lb"), Name: "web", VPC: d.one("vpc", 0), CrossZone: d.yes("crosses zones")}
		b.Interfaces = []string{d.one("eni", 12)}
		b.Targets = []model.TransitTarget{{Interface: b.Interfaces[0], Zone: d.one("zone", 0), Host: d.odd("host"), Index: 30 + d.n}}
		return b
	case 1:
		ni := d.networkInterface(12+d.n, 0)
		ni.Type, ni.Owner = model.InterfaceBalancer, d.one("lb", 0)
		ni.Addresses = []netip.Addr{addr(fmt.Sprintf("10.0.1.6%d", d.n))}
		return ni
	case 2:
		g := &model.TargetGroup{Meta: d.meta("tg"), VPC: d.one("vpc", 0), Check: model.HealthCheck{Protocol: "TCP", Interval: 10, Timeout: 5, Healthy: 3, Unhealthy: 3}}
		t := model.BalancedTarget{Addr: d.addr4(), Port: 80, Anywhere: d.odd("anywhere") == 1}
		if d.odd("draining") == 1 {
			t.DrainsUntil = time.Unix(9, 0)
		}
		g.Targets = append(g.Targets, t)
		return g
	case 3:
		return &model.Listener{Meta: d.meta("listener"), LoadBalancer: d.one("lb", 0), Port: 443, TargetGroup: d.one("tg", 0)}
	}
	s := &model.EndpointService{Meta: d.meta("vpce-svc"), LoadBalancers: []string{d.one("lb", 0)}, Families: []string{"ipv4"}}
	s.Name = "com.amazonaws.vpce.us-east-1." + s.ID
	if d.odd("named") == 1 {
		s.PrivateName, s.Verification.State = "db.example.com", d.name("known", "verified", "failed")
	}
	if d.odd("by the host") == 1 {
		s.Registered, s.LoadBalancers = true, nil
		s.Targets, s.Ports = []model.ServiceTarget{{Address: "127.0.0.1"}}, []model.PortRange{{From: 443, To: 443}}
	}
	return s
}

// toService makes an endpoint one to a service, with an interface of those that are drawn.
func (d drawer) toService(e *model.VPCEndpoint) {
	e.Type, e.Configuration, e.Interfaces = model.EndpointInterface, model.Ref{}, []string{fmt.Sprintf("eni-%d", 3+d.n)}
	e.ServiceName = "com.amazonaws.us-east-1." + d.name("own service", "ec2", "rds", "none")
	if d.yes("of an account") {
		e.Service = model.Ref{Account: account, Region: region, ID: d.one("vpce-svc", 0)}
		e.ServiceName = "com.amazonaws.vpce.us-east-1." + e.Service.ID
	}
	e.Targets = []model.TransitTarget{{Host: d.odd("host"), Index: 20 + d.n}}
	if d.odd("pending") == 1 {
		e.Acceptance = model.AcceptancePending
	}
	if d.odd("gives it up") == 1 {
		e.Interfaces, e.Leaving = nil, e.Interfaces
	}
}
