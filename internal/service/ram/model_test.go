// SPDX-License-Identifier: Apache-2.0

package ram_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/posternhq/postern/internal/aws/fault"
	ec2shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	shape "github.com/posternhq/postern/internal/aws/shape/ram"
	"github.com/posternhq/postern/internal/control/makers"
	"github.com/posternhq/postern/internal/service/ec2/ec2test"
	"github.com/posternhq/postern/internal/service/ram"
	"github.com/posternhq/postern/internal/service/servicetest"
	"github.com/posternhq/postern/internal/state"
)

// offer is what the model knows of a share.
type offer struct {
	resources map[string]bool
	// principals say whether they have accepted; asked are when those were invited who have
	// not answered.
	principals map[string]bool
	asked      map[string]time.Time
	networks   bool // its permission is for service networks alone
	deleted    bool
}

// machine holds RAM against a model: which accounts have what.
type machine struct {
	*world
	r         *rapid.T
	n         *ec2test.Network // of the owner, with the resources
	other     *ec2test.Network // of the consumer
	subnet    string
	resources []string // ids
	offers    map[string]*offer
	endpoints map[string]int // of the consumer's that were made, by the id of the resource
	made      int
}

const patience = 12 * time.Hour

func newMachine(t *testing.T) *machine {
	n := ec2test.NewNetwork(t)
	w := &world{World: n.World.World, t: t, now: servicetest.Now}
	w.Now = func() time.Time { return w.now }
	w.api = &ram.API{Env: w.Env}
	m := &machine{world: w, n: n, other: n.OfOther(t), offers: map[string]*offer{}, endpoints: map[string]int{}}
	m.subnet = m.other.AddSubnet(t, m.other.Net, "a", "10.0.1.0/24", -1)
	for i := range 2 {
		arn := n.AddProvider(t, fmt.Sprintf("gateway-%d", i), "IPV4", "10.0.1.10").Configuration
		m.resources = append(m.resources, arn[len(arnOf(owner, "")):])
	}
	if _, err := w.api.CreatePermission(w.as(owner), &shape.CreatePermissionInput{
		Name: new("networks"), ResourceType: new("vpc-lattice:ResourceConfiguration"),
		PolicyTemplate: new(`{"Effect":"Allow","Action":"vpc-lattice:*Association"}`),
	}); err != nil {
		t.Fatal(err)
	}
	return m
}

// granted is what the model says of an account and a resource.
func (m *machine) granted(account, id string) bool {
	for _, o := range m.offers {
		if !o.deleted && !o.networks && o.resources[id] && o.principals[account] {
			return true
		}
	}
	return false
}

// pick draws one of the shares that were not deleted; the step is skipped when there is none.
func (m *machine) pick(t *rapid.T) (string, *offer) {
	var live []string
	for arn, o := range m.offers {
		if !o.deleted {
			live = append(live, arn)
		}
	}
	if len(live) == 0 {
		t.Skip("no share")
	}
	slices.Sort(live)
	arn := rapid.SampledFrom(live).Draw(t, "share")
	return arn, m.offers[arn]
}

func (m *machine) ok(err error) {
	m.r.Helper()
	if err != nil {
		m.r.Fatal(err)
	}
}

func someAccount(t *rapid.T) string {
	return rapid.SampledFrom([]string{consumer, third}).Draw(t, "account")
}

func (m *machine) create(t *rapid.T) {
	if len(m.offers) < 8 {
		m.offers[m.share(nil)] = &offer{resources: map[string]bool{}, principals: map[string]bool{}, asked: map[string]time.Time{}}
	}
}

func (m *machine) addResource(t *rapid.T) {
	arn, o := m.pick(t)
	id := rapid.SampledFrom(m.resources).Draw(t, "resource")
	m.ok(failure(m.api.AssociateResourceShare(m.as(owner), &shape.AssociateResourceShareInput{ResourceShareArn: &arn, ResourceArns: []string{arnOf(owner, id)}})))
	o.resources[id] = true
}

func (m *machine) invite(t *rapid.T) {
	arn, o := m.pick(t)
	account := someAccount(t)
	m.ok(failure(m.api.AssociateResourceShare(m.as(owner), &shape.AssociateResourceShareInput{ResourceShareArn: &arn, Principals: []string{account}})))
	if at, asked := o.asked[account]; !o.principals[account] && (!asked || !m.now.Before(at.Add(patience))) {
		o.asked[account] = m.now
	}
}

// answer answers an invitation, which may be answered already or have expired.
func (m *machine) answer(t *rapid.T) {
	account, accept := someAccount(t), rapid.Bool().Draw(t, "accept")
	all := m.invitations(account)
	if len(all) == 0 {
		t.Skip("no invitation")
	}
	i := rapid.SampledFrom(all).Draw(t, "invitation")
	o := m.offers[*i.ResourceShareArn]
	var err error
	if accept {
		err = m.accept(account, i)
	} else {
		err = failure(m.api.RejectResourceShareInvitation(m.as(account), &shape.RejectResourceShareInvitationInput{ResourceShareInvitationArn: i.ResourceShareInvitationArn}))
	}
	if *i.Status != shape.ResourceShareInvitationStatusPending {
		if err == nil {
			m.r.Fatalf("an invitation that is %s was answered", *i.Status)
		}
		return
	}
	m.ok(err)
	if at, asked := o.asked[account]; o.deleted || !asked || !m.now.Before(at.Add(patience)) {
		m.r.Fatalf("an invitation was answered that the model does not have: %+v", o)
	}
	delete(o.asked, account)
	if accept {
		o.principals[account] = true
	}
}

// takeOut takes a principal or a resource out of a share, by the owner or the principal.
func (m *machine) takeOut(t *rapid.T) {
	arn, o := m.pick(t)
	in := &shape.DisassociateResourceShareInput{ResourceShareArn: &arn}
	switch account, id := someAccount(t), rapid.SampledFrom(m.resources).Draw(t, "resource"); {
	case rapid.Bool().Draw(t, "principal") && o.principals[account]:
		by := rapid.SampledFrom([]string{owner, account}).Draw(t, "by")
		in.Principals = []string{account}
		m.ok(failure(m.api.DisassociateResourceShare(m.as(by), in)))
		delete(o.principals, account)
	case o.resources[id]:
		in.ResourceArns = []string{arnOf(owner, id)}
		m.ok(failure(m.api.DisassociateResourceShare(m.as(owner), in)))
		delete(o.resources, id)
	}
}

func (m *machine) delete(t *rapid.T) {
	arn, o := m.pick(t)
	m.ok(failure(m.api.DeleteResourceShare(m.as(owner), &shape.DeleteResourceShareInput{ResourceShareArn: &arn})))
	o.deleted = true
}

func (m *machine) permit(t *rapid.T) {
	arn, o := m.pick(t)
	o.networks = rapid.Bool().Draw(t, "networks alone")
	permission := "arn:aws:ram::aws:permission/AWSRAMPermissionVpcLatticeResourceConfiguration"
	if o.networks {
		permission = "arn:aws:ram:" + servicetest.Region + ":" + owner + ":permission/networks"
	}
	m.ok(failure(m.api.AssociateResourceSharePermission(m.as(owner), &shape.AssociateResourceSharePermissionInput{
		ResourceShareArn: &arn, PermissionArn: &permission, Replace: new(true),
	})))
}

// connect makes an endpoint of the consumer's, which it may when the resource is shared with it.
func (m *machine) connect(t *rapid.T) {
	id := rapid.SampledFrom(m.resources).Draw(t, "resource")
	if m.made++; m.made > 40 {
		t.Skip("the subnet is full")
	}
	_, err := m.other.API.CreateVpcEndpoint(m.other.Ctx, &ec2shape.CreateVpcEndpointInput{
		VpcEndpointType: new("Resource"), VpcId: m.other.Net.VpcId, SubnetIds: []string{m.subnet}, ResourceConfigurationArn: new(arnOf(owner, id)),
	})
	switch granted := m.granted(consumer, id); {
	case granted:
		m.ok(err)
		m.endpoints[id]++
	case !fault.Is(err, "InvalidParameter"):
		m.r.Fatalf("an endpoint for what is not shared: got %v", err)
	}
}

func (m *machine) wait(t *rapid.T) {
	m.now = m.now.Add(time.Duration(rapid.IntRange(1, 14).Draw(t, "hours")) * time.Hour)
}

// makers runs the maker until it has nothing more to do.
func (m *machine) makers(*rapid.T) {
	for {
		answer := makers.Shares{}.Ask(m.DB.Snapshot(), m.now)
		if len(answer.Changes) == 0 {
			return
		}
		for _, c := range answer.Changes {
			_, err := m.DB.Update(m.t.Context(), c.Make)
			m.ok(err)
		}
	}
}

// check wants each account to have what the model says, and nothing else; what the consumer
// made stays whatever became of the share.
func (m *machine) check(*rapid.T) {
	for _, id := range m.resources {
		for _, account := range []string{consumer, third} {
			if got, want := m.has(account, id), m.granted(account, id); got != want {
				m.r.Fatalf("%s has %s: %v, want %v", account, id, got, want)
			}
		}
	}
	got := map[string]int{}
	for a := range state.EndpointAssociations.All(m.DB.Snapshot()) {
		got[a.Configuration.ID]++
	}
	if !maps.Equal(got, m.endpoints) {
		m.r.Fatalf("associations are %v, want %v", got, m.endpoints)
	}
}

// TestNobodyHasWhatIsNotGranted draws what three accounts do: at each moment each has exactly
// what is granted to it, in the decision, by name and in lists, and can connect to that alone.
// In the end nothing is left over of shares that were deleted.
func TestNobodyHasWhatIsNotGranted(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		m := newMachine(t)
		m.r = r
		r.Repeat(map[string]func(*rapid.T){
			"create": m.create, "add resource": m.addResource, "invite": m.invite, "answer": m.answer, "take out": m.takeOut,
			"delete": m.delete, "permit": m.permit, "connect": m.connect, "wait": m.wait, "makers": m.makers, "": m.check,
		})
		for arn, o := range m.offers {
			if o.deleted {
				continue
			}
			m.ok(failure(m.api.DeleteResourceShare(m.as(owner), &shape.DeleteResourceShareInput{ResourceShareArn: &arn})))
		}
		m.makers(r)
		m.now = m.now.Add(3 * time.Hour)
		m.makers(r)
		m.left()
	})
}

// left wants nothing to be left of shares.
func (m *machine) left() {
	m.r.Helper()
	tx := m.DB.Snapshot()
	count := 0
	for range state.ResourceShares.All(tx) {
		count++
	}
	for range state.ShareAssociations.All(tx) {
		count++
	}
	for range state.ShareInvitations.All(tx) {
		count++
	}
	if count > 0 {
		m.r.Fatalf("%d rows of deleted shares are left", count)
	}
}
