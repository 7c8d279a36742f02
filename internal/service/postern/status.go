// SPDX-License-Identifier: Apache-2.0

package postern

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/posternhq/postern/internal/access"
	shape "github.com/posternhq/postern/internal/aws/shape/postern"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// Observer tells of the data plane without the service knowing it. Its methods
// are called concurrently and must not block.
type Observer interface {
	// Desired is the host's desired state as text, one entry a line, sorted.
	Desired() string
	// Status says how far the host is with it.
	Status() DataplaneStatus
}

// DataplaneStatus says how far a host is with its desired state.
type DataplaneStatus struct {
	// State is a word for people: how the host's agent is, such as "ready".
	State string
	// Desired is how many entries the desired state has, Programmed how many of
	// them are in the kernel, and Failed how many could not be put there.
	Desired, Programmed, Failed int64
	// Counters are by name; the caller owns the map.
	Counters map[string]int64
	// Shares are the limits of routers that are worth attention.
	Shares []Share
	// Makers are those of the controllers that make rows which cannot do their work.
	Makers []StuckMaker
	// Names are the names that the host follows.
	Names []FollowedName
	// Edge is how it stands with the way out by the host's uplink.
	Edge EdgeStatus
}

// EdgeStatus is how it stands with the way out by an uplink.
type EdgeStatus struct {
	// Wanted says that somebody has a way there, and Done that it is made.
	Wanted, Done bool
	// Problem is why it could not be made the last time.
	Problem string
}

// FollowedName is how it stands with a name that connections to a resource go by.
type FollowedName struct {
	// Name is followed for the transit target of a gateway in VPC; InVPC says that the
	// VPC's resolver is asked, and not the host's upstream.
	Name, VPC, Target string
	InVPC             bool
	Addresses         []FollowedAddress
	// LeftOut is how many addresses are not kept because there are too many, and Refused
	// why others are not gone by.
	LeftOut int64
	Refused string
	// Through is the endpoint of the VPC that connections go on through, if they do.
	Through string
	// Answered is when the last good answer came; zero is before the host was started.
	// Asked and Next are when the name was looked up last and will be.
	Answered, Asked, Next time.Time
	// Problem is why the last look-up failed, and Failures how many have in a row.
	Problem  string
	Failures int64
}

// FollowedAddress is an address of a name. Down is why nothing is sent to it.
type FollowedAddress struct {
	Address, Down string
	Used          bool
}

// StuckMaker is a controller that fails again and again.
type StuckMaker struct{ Name, Reason string }

// Share is a limit of a VPC's router that is nearly used up, or beyond which
// something was refused.
type Share struct {
	// VPC is whose router it is, Of what is limited, and Holder who has most of
	// it, if that is known.
	VPC, Of, Holder string
	// Used is how much of Limit is in use, as far as that is known; Refused
	// counts what was beyond.
	Used, Limit, Refused int64
}

// GetDesired gives the desired state of the host as text. It shows all accounts,
// so only the management account may see it.
func (a *API) GetDesired(context.Context, *shape.GetDesiredInput) (*shape.GetDesiredOutput, error) {
	out := &shape.GetDesiredOutput{Text: new("")}
	if a.Observer != nil {
		out.Text = new(a.Observer.Desired())
	}
	return out, nil
}

// GetStatus tells what exists, in all regions, and how the data plane is with
// it. The management account sees all accounts and the hosts; others see their
// own resources.
func (a *API) GetStatus(ctx context.Context, _ *shape.GetStatusInput) (*shape.GetStatusOutput, error) {
	who := access.From(ctx)
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	out := &shape.GetStatusOutput{Version: &a.Version, Resources: []shape.Resource{}}
	var status DataplaneStatus
	if a.Observer != nil {
		status = a.Observer.Status()
	}
	sees := func(account string) bool { return who.Management || who.Owns(account) }
	for r := range a.resources(tx, status.Edge) {
		if sees(*r.Account) {
			out.Resources = append(out.Resources, r)
		}
	}
	out.Resources = slices.AppendSeq(out.Resources, peerings(tx, sees))
	for r := range a.resolvers(tx) {
		if sees(*r.Account) {
			out.Resolvers = append(out.Resolvers, r)
		}
	}
	for v := range verifications(tx) {
		if sees(*v.Account) {
			out.Verifications = append(out.Verifications, v)
		}
	}
	for _, n := range status.Names {
		if who.Management || ownsVPC(tx, who, n.VPC) {
			out.Names = append(out.Names, n.shape())
		}
	}
	if who.Management {
		out.Resources = append(out.Resources, setAside(tx)...)
		a.describeHosts(tx, out, status)
	}
	return out, nil
}

func ownsVPC(tx *table.Txn, who access.View, vpc string) bool {
	for v := range state.VPCs.All(tx) {
		if v.ID == vpc {
			return who.Owns(v.Account)
		}
	}
	return false
}

func (n *FollowedName) shape() shape.FollowedName {
	out := shape.FollowedName{
		Name: &n.Name, Vpc: &n.VPC, Target: &n.Target, InVpc: &n.InVPC, LeftOut: &n.LeftOut, Failures: &n.Failures,
		Problem: service.Optional(n.Problem), Refused: service.Optional(n.Refused), Through: service.Optional(n.Through),
		AnsweredAt: moment(n.Answered), AskedAt: moment(n.Asked), NextAt: moment(n.Next),
	}
	for _, a := range n.Addresses {
		out.Addresses = append(out.Addresses, shape.FollowedAddress{Address: &a.Address, Used: &a.Used, Down: service.Optional(a.Down)})
	}
	return out
}

// moment spells a time; none is nil.
func moment(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	return new(t.UTC().Format(time.RFC3339Nano))
}

func (a *API) describeHosts(tx *table.Txn, out *shape.GetStatusOutput, status DataplaneStatus) {
	var zones []string
	for _, region := range a.Regions {
		for _, z := range a.Zones(region) {
			zones = append(zones, z.Name)
		}
	}
	for h := range state.Hosts.All(tx) {
		out.Instance = &h.Instance
		out.Hosts = append(out.Hosts, shape.Host{Name: &h.Name, Zones: zones, State: service.Optional(status.State)})
	}
	out.DesiredEntries, out.ProgrammedEntries, out.FailedEntries = &status.Desired, &status.Programmed, &status.Failed
	out.Counters = status.Counters
	a.describeOutside(tx, out, status.Edge)
	for _, m := range status.Makers {
		out.Resources = append(out.Resources, shape.Resource{Kind: new("maker"), Id: &m.Name, State: new(string(model.Failed)), Reason: &m.Reason})
	}
	for _, s := range status.Shares {
		out.Shares = append(out.Shares, shape.Share{
			Vpc: &s.VPC, Of: &s.Of, Holder: service.Optional(s.Holder), Used: &s.Used, Limit: &s.Limit, Refused: &s.Refused,
		})
	}
}

// resources yields what people made, kind by kind, each in the order of its
// table.
func (a *API) resources(tx *table.Txn, edge EdgeStatus) func(yield func(shape.Resource) bool) {
	return func(yield func(shape.Resource) bool) {
		_ = each(tx, state.VPCs, yield, func(v *model.VPC) shape.Resource { return always("vpc", &v.Meta) }) &&
			each(tx, state.Subnets, yield, func(s *model.Subnet) shape.Resource { return always("subnet", &s.Meta) }) &&
			each(tx, state.SecurityGroups, yield, func(g *model.SecurityGroup) shape.Resource {
				return named(always("security-group", &g.Meta), g.Name)
			}) &&
			each(tx, state.ResourceGateways, yield, func(g *model.ResourceGateway) shape.Resource {
				return named(living(tx, "resource-gateway", &g.Meta), g.Name)
			}) &&
			each(tx, state.ResourceConfigurations, yield, func(r *model.ResourceConfiguration) shape.Resource {
				return named(living(tx, "resource-configuration", &r.Meta), r.Name)
			}) &&
			each(tx, state.VPCEndpoints, yield, func(e *model.VPCEndpoint) shape.Resource {
				r := living(tx, "vpc-endpoint", &e.Meta)
				r.Name = service.Optional(e.ServiceName)
				return accepted(r, e)
			}) &&
			each(tx, state.EndpointServices, yield, func(s *model.EndpointService) shape.Resource { return offeredService(tx, s) }) &&
			each(tx, state.LoadBalancers, yield, func(b *model.LoadBalancer) shape.Resource {
				return named(living(tx, "load-balancer", &b.Meta), b.Name)
			}) &&
			each(tx, state.InternetGateways, yield, func(g *model.InternetGateway) shape.Resource {
				return a.leading("internet-gateway", &g.Meta, g.VPC, edge)
			}) &&
			each(tx, state.EgressOnlyGateways, yield, func(g *model.EgressOnlyGateway) shape.Resource {
				return a.leading("egress-only-internet-gateway", &g.Meta, g.VPC, edge)
			}) &&
			each(tx, state.Attachments, yield, func(a *model.Attachment) shape.Resource { return attached(tx, a) }) &&
			each(tx, state.DBClusters, yield, func(c *model.DBCluster) shape.Resource {
				r := said(tx, named(always("db-cluster", &c.Meta), c.Identifier), &c.Meta)
				if state.SaidOf(tx, &c.Meta) == nil && !c.Deleting() && state.DBInstancesByCluster.Count(tx, c.Ref()) == 0 {
					r.State = new(string(model.DatabaseAvailable)) // as RDS says of one that has no server yet
				}
				return r
			}) &&
			each(tx, state.DBInstances, yield, func(i *model.DBInstance) shape.Resource {
				return said(tx, named(always("db-instance", &i.Meta), i.Identifier), &i.Meta)
			}) &&
			each(tx, state.DBSnapshots, yield, func(s *model.DBSnapshot) shape.Resource {
				return said(tx, named(always("db-snapshot", &s.Meta), s.Identifier), &s.Meta)
			})
	}
}

// each yields the rows of a table as resources, and says whether to go on.
func each[T table.Row](tx *table.Txn, rows *table.Table[T], yield func(shape.Resource) bool, show func(T) shape.Resource) bool {
	for row := range rows.All(tx) {
		if !yield(show(row)) {
			return false
		}
	}
	return true
}

// always shows a resource that has no part of its own in the data plane.
func always(kind string, m *model.Meta) shape.Resource {
	return shape.Resource{
		Kind: &kind, Id: &m.ID, Account: &m.Account, Region: &m.Region,
		Name: service.Optional(m.Tags["Name"]), State: new(string(model.Ready)),
	}
}

// living shows a resource that the data plane acknowledges.
func living(tx *table.Txn, kind string, m *model.Meta) shape.Resource {
	status, _ := state.Statuses.Get(tx, m.Account, m.Region, m.ID)
	r := always(kind, m)
	life := model.LifecycleOf(m, status)
	r.State = new(string(life))
	if life.InError() {
		r.Reason = service.Optional(status.Reason)
	}
	return r
}

// accepted says of an endpoint that the owner of its service has not accepted it.
func accepted(r shape.Resource, e *model.VPCEndpoint) shape.Resource {
	if e.Accepted() || e.Deleting() {
		return r
	}
	at := func(t time.Time) string { return t.UTC().Format(time.RFC3339) }
	r.State = &e.Acceptance
	switch e.Acceptance {
	case model.AcceptancePending:
		r.Reason = new(fmt.Sprintf("the owner of %s may accept it until %s", e.ServiceName, at(e.ExpiresAt())))
	case model.AcceptanceExpired:
		r.Reason = new(fmt.Sprintf("the owner of %s did not accept it by %s", e.ServiceName, at(e.AcceptanceAt)))
	default:
		r.Reason = new(fmt.Sprintf("by the owner of %s at %s", e.ServiceName, at(e.AcceptanceAt)))
	}
	return r
}

func named(r shape.Resource, name string) shape.Resource {
	r.Name = &name
	return r
}

// said shows of a database, a server or a snapshot what the host says of it, in the words of RDS.
func said(tx *table.Txn, r shape.Resource, m *model.Meta) shape.Resource {
	phase := model.DatabaseCreating
	if s := state.SaidOf(tx, m); s != nil {
		phase = s.Phase
		r.Reason = service.Optional(s.Reason)
	}
	if m.Deleting() {
		phase = "deleting"
	}
	r.State = new(string(phase))
	return r
}

// attached shows an attachment under its interface's id, where the status is.
func attached(tx *table.Txn, a *model.Attachment) shape.Resource {
	m := *a.Meta()
	if ni, ok := state.NetworkInterfaces.Get(tx, a.Account, a.Region, a.Interface); ok {
		m.Tags = ni.Tags
	}
	return living(tx, "attachment", &m)
}
