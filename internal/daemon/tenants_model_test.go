// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	ec2 "github.com/posternhq/postern/internal/aws/shape/ec2"
	iam "github.com/posternhq/postern/internal/aws/shape/iam"
	organizations "github.com/posternhq/postern/internal/aws/shape/organizations"
	posternshape "github.com/posternhq/postern/internal/aws/shape/postern"
	ram "github.com/posternhq/postern/internal/aws/shape/ram"
	lattice "github.com/posternhq/postern/internal/aws/shape/vpclattice"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service/servicetest"
)

// step is what somebody does; the numbers choose whom and what it is about.
type step struct {
	What    string
	A, B, C int
}

// play is a tenancy with what is known of it.
type play struct {
	*tenancy
	*oracle
	step
	made int
}

// steps are all that can happen. Those that find nothing to be about do nothing.
var steps = map[string]func(*play){
	"share": (*play).share, "unshare": (*play).unshare, "add resource": (*play).addResource, "remove resource": (*play).removeResource,
	"invite": (*play).invite, "invite again": (*play).invite, "accept": (*play).answer, "accept too": (*play).answer, "reject": (*play).answer,
	"take out": (*play).takeOut, "leave": (*play).leave, "share with the unit": (*play).withUnit, "permit": (*play).permit,
	"connect": (*play).connect, "connect too": (*play).connect, "disconnect": (*play).disconnect, "cut": (*play).cut,
	"offer": (*play).offer, "withdraw": (*play).withdraw, "wait": (*play).wait, "disable": (*play).disable, "move": (*play).move,
	"organize": (*play).organize, "let the clerk": (*play).letClerk, "meddle": (*play).meddle,
}

func drawStep(t *rapid.T) step {
	number := rapid.IntRange(0, 11)
	return step{rapid.SampledFrom(slices.Sorted(maps.Keys(steps))).Draw(t, "what"), number.Draw(t, "a"), number.Draw(t, "b"), number.Draw(t, "c")}
}

// TestNothingWithoutAGrant draws what a vendor and two customers with the same addresses do,
// and their administrator. After each step every account sees, and every network reaches,
// exactly what is granted: nothing without a grant, and no grant that has no effect.
func TestNothingWithoutAGrant(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		drawn := rapid.SliceOfN(rapid.Custom(drawStep), 12, 40).Draw(r, "steps")
		cleared := rapid.Bool().Draw(r, "the maker runs that clears what has ended")
		if found := inTenancy(t, cleared, func(v *tenancy) { newPlay(v).run(drawn) }); found != "" {
			r.Fatal(found)
		}
	})
}

// newPlay begins with two resources and a group of one. Red has the group and an endpoint for
// it, and blue is invited to have a resource.
func newPlay(v *tenancy) *play {
	p := &play{tenancy: v, oracle: &oracle{
		shares: map[string]*bargain{}, configs: map[string]*offered{}, former: set{}, endpoints: map[string]*entrance{}, disabled: set{}, inUnit: set{},
	}}
	single := p.create("SINGLE", "")
	p.create("SINGLE", "")
	group := p.create("GROUP", "")
	p.create("CHILD", group)
	at := func(id string) int { return slices.Index(slices.Sorted(maps.Keys(p.configs)), id) }
	for _, s := range []step{{"share", 0, at(group), 0}, {"accept", 0, 0, 1}, {"connect", 0, at(group), 1}, {"share", 0, at(single), 1}} {
		p.step = s
		steps[s.What](p)
	}
	p.settle()
	p.join()
	if len(p.endpoints) != 1 || len(p.shares) != 2 {
		fail("it begins with %d endpoints and %d shares", len(p.endpoints), len(p.shares))
	}
	return p
}

func (p *play) run(drawn []step) {
	p.check(p.tenancy)
	for i, s := range drawn {
		p.step = s
		func() {
			defer func() {
				switch found := recover().(type) {
				case nil:
				case wrong:
					fail("step %d, %+v: %s", i, s, found)
				default:
					panic(found)
				}
			}()
			steps[s.What](p)
			p.atOnce()
			p.settle()
			p.join()
			p.check(p.tenancy)
		}()
	}
}

// atOnce holds what is granted against the oracle before anything that follows by itself has
// to be done: who reads after an answer sees what it was about. What is being deleted is
// still there.
func (p *play) atOnce() {
	for _, account := range []string{red, blue} {
		if !p.disabled[account] && p.What != "withdraw" {
			p.configurations(p.tenancy, account)
			p.offers(p.tenancy, account)
		}
	}
}

// pick chooses one of the keys of a map, in an order that is the same in each run of the
// same steps; empty when there is none.
func pick[V any](from map[string]V, number int) string {
	if len(from) == 0 {
		return ""
	}
	all := slices.Sorted(maps.Keys(from))
	return all[number%len(all)]
}

func (p *play) customer(number int) string { return []string{red, blue}[number%2] }

// done says whether a request is to be noted: it was answered as it must be. Nobody of a
// disabled account is answered.
func (p *play) done(account string, want bool, err error) bool {
	if want = want && !p.disabled[account]; want != (err == nil) {
		fail("done by %s: got %v, should be possible: %v", account, err, want)
	}
	return want
}

func (p *play) create(kind, group string) string {
	p.made++
	in := &lattice.CreateResourceConfigurationInput{Name: new(fmt.Sprint("resource-", p.made)), Type: &kind}
	if kind != "GROUP" {
		in.PortRanges = []string{"80"}
		in.ResourceConfigurationDefinition = &lattice.ResourceConfigurationDefinition{IpResource: &lattice.IpResource{IpAddress: new("10.0.1.10")}}
	}
	if kind != "CHILD" {
		in.ResourceGatewayIdentifier = &p.gateway
	} else {
		in.ResourceConfigurationGroupIdentifier = &group
	}
	out, err := call[lattice.CreateResourceConfigurationOutput](p.tenancy, vendor, lattice.Service, "CreateResourceConfiguration", in)
	if !p.done(vendor, true, err) {
		return ""
	}
	p.configs[*out.Id] = &offered{name: *in.Name, group: group, isGroup: kind == "GROUP"}
	return *out.Id
}

// offer makes another resource, or another child of a group.
func (p *play) offer() {
	if len(p.configs) > 6 {
		return
	}
	for id, c := range p.configs {
		if c.isGroup && p.A%3 > 0 {
			p.create("CHILD", id)
			return
		}
	}
	p.create("SINGLE", "")
}

// withdraw deletes a resource, which is held by endpoints unless it is a child.
func (p *play) withdraw() {
	id := pick(p.configs, p.A)
	if id == "" {
		return
	}
	c, held := p.configs[id], false
	for _, e := range p.endpoints {
		held = held || c.group == "" && e.ways[id] || c.isGroup && e.configuration == id
	}
	for _, other := range p.configs {
		held = held || other.group == id
	}
	_, err := call[lattice.DeleteResourceConfigurationOutput](p.tenancy, vendor, lattice.Service, "DeleteResourceConfiguration", &lattice.DeleteResourceConfigurationInput{ResourceConfigurationIdentifier: &id})
	if !p.done(vendor, !held, err) {
		return
	}
	delete(p.configs, id)
	p.former[id] = true
	for _, b := range p.shares {
		delete(b.resources, id)
	}
	for _, e := range p.endpoints {
		delete(e.ways, id)
	}
}

// share makes a share of a resource with an account.
func (p *play) share() {
	if len(p.shares) > 4 {
		return
	}
	out, err := call[ram.CreateResourceShareOutput](p.tenancy, vendor, ram.Service, "CreateResourceShare", &ram.CreateResourceShareInput{Name: new("share")})
	if !p.done(vendor, true, err) {
		return
	}
	p.shares[*out.ResourceShare.ResourceShareArn] = &bargain{resources: set{}, principals: set{}, asked: map[string]time.Time{}}
	for arn := range p.shares {
		if arn == *out.ResourceShare.ResourceShareArn {
			p.addTo(arn)
			p.inviteTo(arn)
		}
	}
}

func (p *play) unshare() {
	if arn := pick(p.shares, p.A); arn != "" {
		_, err := call[ram.DeleteResourceShareOutput](p.tenancy, vendor, ram.Service, "DeleteResourceShare", &ram.DeleteResourceShareInput{ResourceShareArn: &arn})
		if p.done(vendor, true, err) {
			delete(p.shares, arn)
		}
	}
}

func (p *play) addResource() { p.addTo(pick(p.shares, p.A)) }

func (p *play) addTo(arn string) {
	id := pick(p.configs, p.B)
	if arn == "" || id == "" {
		return
	}
	err := p.associate(vendor, &ram.AssociateResourceShareInput{ResourceShareArn: &arn, ResourceArns: []string{arnOfConfiguration(id)}})
	if p.done(vendor, p.configs[id].group == "", err) { // children are shared with their group
		p.shares[arn].resources[id] = true
	}
}

func (p *play) associate(who string, in *ram.AssociateResourceShareInput) error {
	_, err := call[ram.AssociateResourceShareOutput](p.tenancy, who, ram.Service, "AssociateResourceShare", in)
	return err
}

func (p *play) disassociate(who string, in *ram.DisassociateResourceShareInput) error {
	_, err := call[ram.DisassociateResourceShareOutput](p.tenancy, who, ram.Service, "DisassociateResourceShare", in)
	return err
}

func (p *play) removeResource() {
	arn := pick(p.shares, p.A)
	if arn == "" {
		return
	}
	if id := pick(p.shares[arn].resources, p.B); id != "" {
		err := p.disassociate(vendor, &ram.DisassociateResourceShareInput{ResourceShareArn: &arn, ResourceArns: []string{arnOfConfiguration(id)}})
		if p.done(vendor, true, err) {
			delete(p.shares[arn].resources, id)
		}
	}
}

func (p *play) invite() { p.inviteTo(pick(p.shares, p.A)) }

// inviteTo adds a principal: one of the same organization has the share at once when that
// shares without invitations.
func (p *play) inviteTo(arn string) {
	if arn == "" {
		return
	}
	account := p.customer(p.C)
	if err := p.associate(vendor, &ram.AssociateResourceShareInput{ResourceShareArn: &arn, Principals: []string{account}}); !p.done(vendor, true, err) {
		return
	}
	b := p.shares[arn]
	at, asked := b.asked[account]
	switch waits := asked && time.Now().Before(at.Add(invitationLife)); {
	case b.principals[account] || waits:
	case p.together:
		delete(b.asked, account)
		b.principals[account] = true
	default:
		b.asked[account] = time.Now()
	}
}

// answer answers an invitation, which may be answered already or have expired, and may be
// somebody else's.
func (p *play) answer() {
	receiver, by := p.customer(p.A), p.customer(p.A)
	if p.C == 0 {
		by = p.customer(p.A + 1)
	}
	if p.disabled[receiver] {
		return
	}
	all := get[ram.GetResourceShareInvitationsOutput](p.tenancy, receiver, ram.Service, "GetResourceShareInvitations", &ram.GetResourceShareInvitationsInput{}).ResourceShareInvitations
	if len(all) == 0 {
		return
	}
	slices.SortFunc(all, func(a, b ram.ResourceShareInvitation) int {
		return strings.Compare(*a.ResourceShareInvitationArn, *b.ResourceShareInvitationArn)
	})
	i := all[p.B%len(all)]
	var err error
	if p.What == "reject" {
		_, err = call[ram.RejectResourceShareInvitationOutput](p.tenancy, by, ram.Service, "RejectResourceShareInvitation", &ram.RejectResourceShareInvitationInput{ResourceShareInvitationArn: i.ResourceShareInvitationArn})
	} else {
		_, err = call[ram.AcceptResourceShareInvitationOutput](p.tenancy, by, ram.Service, "AcceptResourceShareInvitation", &ram.AcceptResourceShareInvitationInput{ResourceShareInvitationArn: i.ResourceShareInvitationArn})
	}
	if !p.done(by, by == receiver && *i.Status == ram.ResourceShareInvitationStatusPending, err) {
		return
	}
	b := p.shares[*i.ResourceShareArn]
	delete(b.asked, receiver)
	if p.What != "reject" {
		b.principals[receiver] = true
	}
}

// takeOut takes an account out of a share, which may be one that has not answered.
func (p *play) takeOut() {
	arn, account := pick(p.shares, p.A), p.customer(p.B)
	if arn == "" {
		return
	}
	b := p.shares[arn]
	at, asked := b.asked[account]
	err := p.disassociate(vendor, &ram.DisassociateResourceShareInput{ResourceShareArn: &arn, Principals: []string{account}})
	if asked && !time.Now().Before(at.Add(invitationLife)) {
		return // its invitation has expired: there is nothing to take out, or it is not cleared yet
	}
	if p.done(vendor, asked || b.principals[account], err) {
		delete(b.principals, account)
		delete(b.asked, account)
	}
}

// leave has an account leave a share that it has accepted. One that has it by its unit can
// take itself from those who are invited, too.
func (p *play) leave() {
	arn, account := pick(p.shares, p.A), p.customer(p.B)
	if arn == "" {
		return
	}
	b := p.shares[arn]
	at, asked := b.asked[account]
	err := p.disassociate(account, &ram.DisassociateResourceShareInput{ResourceShareArn: &arn, Principals: []string{account}})
	if asked && !time.Now().Before(at.Add(invitationLife)) {
		return // as in takeOut
	}
	if p.done(account, b.principals[account] || asked && p.has(account, b), err) {
		delete(b.principals, account)
		delete(b.asked, account)
	}
}

// withUnit shares with the organization's unit, or does so no more.
func (p *play) withUnit() {
	arn := pick(p.shares, p.A)
	if arn == "" {
		return
	}
	b := p.shares[arn]
	if b.unit {
		if p.done(vendor, true, p.disassociate(vendor, &ram.DisassociateResourceShareInput{ResourceShareArn: &arn, Principals: []string{p.unitARN}})) {
			b.unit = false
		}
		return
	}
	if p.done(vendor, p.together, p.associate(vendor, &ram.AssociateResourceShareInput{ResourceShareArn: &arn, Principals: []string{p.unitARN}})) {
		b.unit = true
	}
}

func (p *play) permit() {
	arn := pick(p.shares, p.A)
	if arn == "" {
		return
	}
	name := []string{"", "networks", "all"}[p.B%3]
	permission := "arn:aws:ram::aws:permission/AWSRAMPermissionVpcLatticeResourceConfiguration"
	if name != "" {
		permission = model.ARN("ram", servicetest.Region, vendor, "permission/"+name)
	}
	_, err := call[ram.AssociateResourceSharePermissionOutput](p.tenancy, vendor, ram.Service, "AssociateResourceSharePermission",
		&ram.AssociateResourceSharePermissionInput{ResourceShareArn: &arn, PermissionArn: &permission, Replace: new(true)})
	if p.done(vendor, true, err) {
		p.shares[arn].permission = name
	}
}

// connect makes an endpoint for a resource, which who is granted it can, and nobody else.
func (p *play) connect() {
	who, account, id := p.customer(p.A), p.customer(p.A), pick(p.configs, p.B)
	if p.C%3 == 0 {
		who, account = clerk, red
	}
	if id == "" || len(p.endpoints) > 7 {
		return
	}
	out, err := call[ec2.CreateVpcEndpointOutput](p.tenancy, who, ec2.Service, "CreateVpcEndpoint", &ec2.CreateVpcEndpointInput{
		VpcEndpointType: new("Resource"), VpcId: new(p.vpcs[account]), SubnetIds: []string{p.subnets[account]}, ResourceConfigurationArn: new(arnOfConfiguration(id)),
	})
	c := p.configs[id]
	if p.done(account, p.granted(account, id) && c.group == "" && (who != clerk || p.allowed), err) {
		e := &entrance{account: account, configuration: id, ways: set{}, parted: set{}}
		if !c.isGroup {
			e.ways[id] = true
		}
		p.endpoints[*out.VpcEndpoint.VpcEndpointId] = e
	}
}

// disconnect deletes an endpoint: its account does, and others cannot.
func (p *play) disconnect() {
	id, by := pick(p.endpoints, p.A), []string{red, blue, vendor}[p.B%3]
	if id == "" {
		return
	}
	out, err := call[ec2.DeleteVpcEndpointsOutput](p.tenancy, by, ec2.Service, "DeleteVpcEndpoints", &ec2.DeleteVpcEndpointsInput{VpcEndpointIds: []string{id}})
	if err == nil && len(out.Unsuccessful) > 0 {
		err = fmt.Errorf("%s", *out.Unsuccessful[0].Error.Code)
	}
	if p.done(by, by == p.endpoints[id].account, err) {
		delete(p.endpoints, id)
	}
}

// cut ends the way of an endpoint to a resource, which the accounts at both ends can.
func (p *play) cut() {
	id, by := pick(p.endpoints, p.A), []string{red, blue, vendor}[p.B%3]
	if id == "" || p.disabled[vendor] {
		return
	}
	e := p.endpoints[id]
	to := pick(e.ways, p.C)
	if to == "" {
		return
	}
	ways := get[lattice.ListResourceEndpointAssociationsOutput](p.tenancy, vendor, lattice.Service, "ListResourceEndpointAssociations", &lattice.ListResourceEndpointAssociationsInput{
		ResourceConfigurationIdentifier: &to, VpcEndpointId: &id,
	}).Items
	if len(ways) != 1 {
		fail("%d ways lead from %s to %s", len(ways), id, to)
	}
	_, err := call[lattice.DeleteResourceEndpointAssociationOutput](p.tenancy, by, lattice.Service, "DeleteResourceEndpointAssociation",
		&lattice.DeleteResourceEndpointAssociationInput{ResourceEndpointAssociationIdentifier: ways[0].Id})
	if p.done(by, by == vendor || by == e.account, err) {
		delete(e.ways, to)
		e.parted[to] = true
	}
}

func (p *play) wait() { time.Sleep(time.Duration(1+p.A) * 100 * time.Minute) } // of the bubble

// disable disables an account, or enables it again. What it has goes on.
func (p *play) disable() {
	account := []string{red, blue, vendor}[p.A%3]
	get[posternshape.UpdateAccountOutput](p.tenancy, boss, posternshape.Service, "UpdateAccount", &posternshape.UpdateAccountInput{AccountId: &account, Disabled: new(!p.disabled[account])})
	p.disabled[account] = !p.disabled[account]
}

// move moves a customer into the unit, or back.
func (p *play) move() {
	account := p.customer(p.A)
	from, into := p.unit[0], p.unit[1]
	if p.inUnit[account] {
		from, into = into, from
	}
	get[organizations.MoveAccountOutput](p.tenancy, boss, organizations.Service, "MoveAccount", &organizations.MoveAccountInput{AccountId: &account, SourceParentId: &from, DestinationParentId: &into})
	p.inUnit[account] = !p.inUnit[account]
}

// organize lets the organization share without invitations, or does so no more.
func (p *play) organize() {
	if p.together = !p.together; p.together {
		get[ram.EnableSharingWithAwsOrganizationOutput](p.tenancy, boss, ram.Service, "EnableSharingWithAwsOrganization", &ram.EnableSharingWithAwsOrganizationInput{})
		return
	}
	get[organizations.DisableAWSServiceAccessOutput](p.tenancy, boss, organizations.Service, "DisableAWSServiceAccess", &organizations.DisableAWSServiceAccessInput{ServicePrincipal: new("ram.amazonaws.com")})
}

// letClerk gives red's user a policy, or takes it away.
func (p *play) letClerk() {
	var err error
	if p.allowed {
		_, err = call[iam.DeleteUserPolicyOutput](p.tenancy, red, iam.Service, "DeleteUserPolicy", &iam.DeleteUserPolicyInput{UserName: new(clerk), PolicyName: new("all")})
	} else {
		_, err = call[iam.PutUserPolicyOutput](p.tenancy, red, iam.Service, "PutUserPolicy", &iam.PutUserPolicyInput{
			UserName: new(clerk), PolicyName: new("all"), PolicyDocument: new(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":["ec2:*","vpc-lattice:*"],"Resource":"*"}}`),
		})
	}
	if p.done(red, true, err) {
		p.allowed = !p.allowed
	}
}

// meddle tries what only the owner may, and what nobody may: to change, delete, tag or share
// onwards what is the vendor's, whatever is granted.
func (p *play) meddle() {
	by, id, arn := p.customer(p.A), pick(p.configs, p.B), pick(p.shares, p.B)
	if id == "" || arn == "" {
		return
	}
	name := arnOfConfiguration(id)
	errs := map[string]error{}
	_, errs["update"] = call[lattice.UpdateResourceConfigurationOutput](p.tenancy, by, lattice.Service, "UpdateResourceConfiguration", &lattice.UpdateResourceConfigurationInput{ResourceConfigurationIdentifier: &name, PortRanges: []string{"1-65535"}})
	_, errs["delete"] = call[lattice.DeleteResourceConfigurationOutput](p.tenancy, by, lattice.Service, "DeleteResourceConfiguration", &lattice.DeleteResourceConfigurationInput{ResourceConfigurationIdentifier: &name})
	_, errs["tag"] = call[lattice.TagResourceOutput](p.tenancy, by, lattice.Service, "TagResource", &lattice.TagResourceInput{ResourceArn: &name, Tags: map[string]string{"a": "b"}})
	_, errs["list tags"] = call[lattice.ListTagsForResourceOutput](p.tenancy, by, lattice.Service, "ListTagsForResource", &lattice.ListTagsForResourceInput{ResourceArn: &name})
	_, errs["share onwards"] = call[ram.CreateResourceShareOutput](p.tenancy, by, ram.Service, "CreateResourceShare", &ram.CreateResourceShareInput{Name: new("onwards"), ResourceArns: []string{name}})
	errs["add oneself"] = p.associate(by, &ram.AssociateResourceShareInput{ResourceShareArn: &arn, Principals: []string{by}})
	_, errs["unshare"] = call[ram.DeleteResourceShareOutput](p.tenancy, by, ram.Service, "DeleteResourceShare", &ram.DeleteResourceShareInput{ResourceShareArn: &arn})
	_, errs["see the gateway"] = call[lattice.GetResourceGatewayOutput](p.tenancy, by, lattice.Service, "GetResourceGateway", &lattice.GetResourceGatewayInput{ResourceGatewayIdentifier: &p.gateway})
	for what, err := range errs {
		if err == nil {
			fail("%s could %s what is the vendor's", by, what)
		}
	}
}
