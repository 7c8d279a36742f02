// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"fmt"
	"time"

	"github.com/posternhq/postern/internal/agent/follow"
	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/reconcile"
	"github.com/posternhq/postern/internal/service/elbv2"
	"github.com/posternhq/postern/internal/service/postern"
)

// Desired implements postern.Observer.
func (p *plane) Desired() string { return p.agent.Desired() }

// Status implements postern.Observer.
func (p *plane) Status() postern.DataplaneStatus {
	r := p.agent.Report()
	s := postern.DataplaneStatus{
		State: "ready", Desired: int64(r.Wanted), Programmed: int64(r.Done), Failed: int64(r.Counts.Failed),
		Counters: map[string]int64{},
	}
	switch {
	case r.Counts.Failed > 0:
		s.State = "in error"
	case r.Done < r.Wanted:
		s.State = "programming"
	}
	for kind, n := range r.Repairs {
		s.Counters["repaired "+kind.String()] = n
	}
	lane, err := p.dataplane.ExpressLane()
	if err != nil {
		p.log.Warn("counters of the express lane cannot be read", "error", err)
	}
	if lane != nil {
		s.Counters["express lane: packets"] = int64(lane.Packets)
		s.Counters["express lane: connections learned"] = int64(lane.Learned)
		s.Counters["express lane: packets beyond a router's share"] = int64(lane.NoRoom)
		s.Counters["express lane: questions answered"] = int64(lane.Names.Answered)
	}
	p.addShares(&s)
	p.addNATs(&s)
	p.addStore(&s)
	p.addTrail(&s)
	p.addMakers(&s)
	p.addNames(&s)
	p.addRelay(&s, p.folder)
	s.Edge = p.edge()
	for _, n := range p.agent.Names() {
		s.Names = append(s.Names, followed(n))
	}
	return s
}

// uplinkWatch is how often the uplink is looked at. Namespaces tell nobody that they go,
// and one that is remade under its name may be there again before a verification.
const uplinkWatch = time.Second

// watchUplink has the host compared with what is wanted when the way out by the uplink is
// not there and is believed to be. One that is known to be away is tried again anyway.
func (p *plane) watchUplink(ctx context.Context) {
	if !p.uplink.There() {
		return
	}
	tick := time.NewTicker(uplinkWatch)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		s, _ := p.agent.Reconciler().Status(desired.Edge{Name: p.uplink.Name}.Key())
		edge, wanted := s.Entry.(desired.Edge)
		if !wanted || s.State != reconcile.Done {
			continue
		}
		leads, err := p.dataplane.Leads(edge.Name, edge.Device)
		if err != nil {
			p.log.Warn("the uplink cannot be looked at", "error", err)
		} else if !leads {
			p.log.Info("the uplink has changed", "uplink", edge.Name, "device", edge.Device)
			p.reread(ctx)
		}
	}
}

// edge tells of the way out by the uplink.
func (p *plane) edge() (e postern.EdgeStatus) {
	s, ok := p.agent.Reconciler().Status(desired.Edge{Name: p.uplink.Name}.Key())
	if !ok || s.Entry == nil {
		return e
	}
	return postern.EdgeStatus{Wanted: true, Done: s.State == reconcile.Done, Problem: s.Message}
}

// followed tells of a name.
func followed(n follow.Observation) postern.FollowedName {
	out := postern.FollowedName{
		Name: n.Name, VPC: n.VPC, Target: n.Target.String(), InVPC: n.InVPC, LeftOut: int64(n.Beyond), Refused: n.Refused, Through: n.Through,
		Answered: n.Answered, Asked: n.Asked, Next: n.Next, Problem: n.Trouble, Failures: int64(n.Failures),
	}
	for _, a := range n.Addrs {
		out.Addresses = append(out.Addresses, postern.FollowedAddress{Address: a.Addr.String(), Used: a.Used, Down: a.Down})
	}
	return out
}

// findings tells how the targets of a target group are found.
func (p *plane) findings(group string) (found []elbv2.Finding) {
	for _, m := range p.agent.Health() {
		if m.Group == group {
			found = append(found, elbv2.Finding{At: m.At, Healthy: m.Health == follow.Healthy, Unhealthy: m.Health == follow.Unhealthy, Why: m.Why})
		}
	}
	return found
}

// findingsOf is nil for an observer that asks no targets.
func findingsOf(o postern.Observer) func(group string) []elbv2.Finding {
	if p, ok := o.(*plane); ok {
		return p.findings
	}
	return nil
}

// addMakers adds the makers of rows that cannot do their work.
func (p *plane) addMakers(s *postern.DataplaneStatus) {
	runner := p.makers.Load()
	if runner == nil {
		return
	}
	for _, t := range runner.Troubles() {
		s.Makers = append(s.Makers, postern.StuckMaker{
			Name:   t.Maker,
			Reason: fmt.Sprintf("failed %d times since %s: %s", t.Times, t.Since.UTC().Format(time.RFC3339), t.Reason),
		})
	}
}

// addStore adds what there is to say of an embedded store.
func (p *plane) addStore(s *postern.DataplaneStatus) {
	kv := p.store.Load()
	if kv == nil {
		return
	}
	u, ok := kv.Usage()
	if !ok {
		return
	}
	s.Counters["store: bytes"] = u.Size
	s.Counters["store: bytes in use"] = u.InUse
	s.Counters["store: bytes of its quota"] = u.Quota
	s.Counters["store: bytes free on its disk"] = u.Free
	if u.Problem != "" {
		s.State += "; no change is taken: " + u.Problem
	}
}
