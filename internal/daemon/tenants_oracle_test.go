// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	ec2 "github.com/posternhq/postern/internal/aws/shape/ec2"
	ram "github.com/posternhq/postern/internal/aws/shape/ram"
	lattice "github.com/posternhq/postern/internal/aws/shape/vpclattice"
	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service/servicetest"
	"github.com/posternhq/postern/internal/state"
)

// set is a set of names.
type set = map[string]bool

// bargain is what the oracle knows of a share of the vendor's.
type bargain struct {
	resources  set
	principals set                  // accounts that have it
	asked      map[string]time.Time // accounts that have not answered
	unit       bool                 // the unit has it
	permission string
}

// offered is a resource configuration of the vendor's.
type offered struct {
	name, group string
	isGroup     bool
}

// entrance is an endpoint, with the configurations that it leads to and those that it
// was parted from.
type entrance struct {
	account, configuration string
	ways, parted           set
}

// oracle is what must be true of a tenancy by what has been done, as AWS's documents and
// docs/sharing.md have it. It knows nothing of rows.
type oracle struct {
	shares    map[string]*bargain // by ARN, without those that were deleted
	configs   map[string]*offered // by id
	former    set                 // ids of configurations that were deleted
	endpoints map[string]*entrance
	disabled  set
	inUnit    set
	together  bool // the organization shares without invitations
	allowed   bool // the clerk has a policy
}

// invitationLife is how long invitations can be accepted.
const invitationLife = 12 * time.Hour

// has says whether an account has a share.
func (o *oracle) has(account string, b *bargain) bool {
	return b.principals[account] || b.unit && o.together && o.inUnit[account]
}

// granted says whether an account may know of a configuration and make endpoints for it.
func (o *oracle) granted(account, id string) bool {
	c := o.configs[id]
	if c == nil {
		return false
	}
	for _, b := range o.shares {
		if (b.resources[id] || c.group != "" && b.resources[c.group]) && b.permission != "networks" && o.has(account, b) {
			return true
		}
	}
	return false
}

// join lets endpoints for groups lead to the children that there are, as long as their
// account has the group.
func (o *oracle) join() {
	for _, e := range o.endpoints {
		for id, c := range o.configs {
			if c.group != "" && c.group == e.configuration && !e.parted[id] && o.granted(e.account, e.configuration) {
				e.ways[id] = true
			}
		}
	}
}

func arnOfConfiguration(id string) string {
	return model.ARN("vpc-lattice", servicetest.Region, vendor, "resourceconfiguration/"+id)
}

// same wants two sets to be equal.
func same(what string, got, want set) {
	if !maps.Equal(got, want) {
		fail("%s: got %v, want %v", what, slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
	}
}

// collect makes a set of what a list shows.
func collect[T any](list []T, name func(T) string) set {
	all := set{}
	for _, item := range list {
		all[name(item)] = true
	}
	return all
}

// check holds everything against the oracle.
func (o *oracle) check(v *tenancy) {
	for _, account := range []string{vendor, red, blue} {
		if _, err := call[lattice.ListResourceConfigurationsOutput](v, account, lattice.Service, "ListResourceConfigurations", &lattice.ListResourceConfigurationsInput{}); (err != nil) != o.disabled[account] {
			fail("account %s is disabled: %v, and listing gives %v", account, o.disabled[account], err)
		}
		if o.disabled[account] {
			continue
		}
		o.configurations(v, account)
		o.ends(v, account)
		if account != vendor {
			o.offers(v, account)
		}
	}
	_, err := call[lattice.ListResourceConfigurationsOutput](v, clerk, lattice.Service, "ListResourceConfigurations", &lattice.ListResourceConfigurationsInput{})
	if want := o.allowed && !o.disabled[red]; (err == nil) != want {
		fail("the clerk may list: %v, and listing gives %v", want, err)
	}
	o.packets(v)
}

// configurations holds what an account sees of resource configurations against the oracle, in
// lists and by their names.
func (o *oracle) configurations(v *tenancy, account string) {
	listed, groups := set{}, []*string{nil}
	for id, c := range o.configs {
		if seen := account == vendor || o.granted(account, id); seen && (c.group == "" || account == vendor) { // others list children with their group
			listed[id] = true
			if c.isGroup {
				groups = append(groups, &id)
			}
		}
	}
	for _, group := range groups {
		in := &lattice.ListResourceConfigurationsInput{}
		want := listed
		if group != nil {
			in.ResourceConfigurationGroupIdentifier, want = new(arnOfConfiguration(*group)), set{}
			for id, c := range o.configs {
				if c.group == *group {
					want[id] = true
				}
			}
		}
		got := get[lattice.ListResourceConfigurationsOutput](v, account, lattice.Service, "ListResourceConfigurations", in)
		same("configurations that "+account+" lists", collect(got.Items, func(i lattice.ResourceConfigurationSummary) string { return *i.Id }), want)
	}
	for _, id := range slices.Concat(slices.Collect(maps.Keys(o.configs)), slices.Collect(maps.Keys(o.former))) {
		_, err := call[lattice.GetResourceConfigurationOutput](v, account, lattice.Service, "GetResourceConfiguration", &lattice.GetResourceConfigurationInput{ResourceConfigurationIdentifier: new(arnOfConfiguration(id))})
		if want := o.configs[id] != nil && (account == vendor || o.granted(account, id)); (err == nil) != want {
			fail("account %s may know of %s: %v, and reading it gives %v", account, id, want, err)
		}
	}
}

// ends holds what an account sees of endpoints and of where they lead against the oracle.
func (o *oracle) ends(v *tenancy, account string) {
	endpoints, ways := set{}, set{}
	for id, e := range o.endpoints {
		if e.account == account {
			endpoints[id] = true
			for to := range e.ways {
				ways[id+" "+to] = true
			}
		}
	}
	got := get[ec2.DescribeVpcEndpointsOutput](v, account, ec2.Service, "DescribeVpcEndpoints", &ec2.DescribeVpcEndpointsInput{})
	same("endpoints of "+account, collect(got.VpcEndpoints, func(e ec2.VpcEndpoint) string { return *e.VpcEndpointId }), endpoints)
	shown := get[ec2.DescribeVpcEndpointAssociationsOutput](v, account, ec2.Service, "DescribeVpcEndpointAssociations", &ec2.DescribeVpcEndpointAssociationsInput{})
	same("associations of endpoints of "+account, collect(shown.VpcEndpointAssociations, func(a ec2.VpcEndpointAssociation) string {
		arn, err := model.ParseARN(*a.AssociatedResourceArn)
		must(err)
		return *a.VpcEndpointId + " " + arn.ID
	}), ways)
	for id, c := range o.configs {
		if c.isGroup || account != vendor && !o.granted(account, id) {
			continue
		}
		listed := get[lattice.ListResourceEndpointAssociationsOutput](v, account, lattice.Service, "ListResourceEndpointAssociations",
			&lattice.ListResourceEndpointAssociationsInput{ResourceConfigurationIdentifier: new(arnOfConfiguration(id))})
		want := set{}
		for endpoint, e := range o.endpoints {
			if e.ways[id] && (account == vendor || account == e.account) {
				want[endpoint] = true
			}
		}
		same("endpoints for "+id+" that "+account+" lists", collect(listed.Items, func(a lattice.ResourceEndpointAssociationSummary) string { return *a.VpcEndpointId }), want)
	}
}

// offers holds what an account sees of shares and invitations against the oracle.
func (o *oracle) offers(v *tenancy, account string) {
	shares, resources, asked := set{}, set{}, set{}
	for arn, b := range o.shares {
		if at, ok := b.asked[account]; ok && time.Now().Before(at.Add(invitationLife)) {
			asked[arn] = true
		}
		if o.has(account, b) {
			shares[arn] = true
			for id := range b.resources {
				resources[arn+" "+arnOfConfiguration(id)] = true
			}
		}
	}
	others := new(ram.ResourceOwnerOtherAccounts)
	got := get[ram.GetResourceSharesOutput](v, account, ram.Service, "GetResourceShares", &ram.GetResourceSharesInput{ResourceOwner: others})
	same("shares of "+account, collect(got.ResourceShares, func(s ram.ResourceShare) string { return *s.ResourceShareArn }), shares)
	list := get[ram.ListResourcesOutput](v, account, ram.Service, "ListResources", &ram.ListResourcesInput{ResourceOwner: others})
	same("resources shared with "+account, collect(list.Resources, func(r ram.Resource) string { return *r.ResourceShareArn + " " + *r.Arn }), resources)
	invitations := get[ram.GetResourceShareInvitationsOutput](v, account, ram.Service, "GetResourceShareInvitations", &ram.GetResourceShareInvitationsInput{})
	pending := slices.DeleteFunc(invitations.ResourceShareInvitations, func(i ram.ResourceShareInvitation) bool {
		return *i.Status != ram.ResourceShareInvitationStatusPending
	})
	same("invitations of "+account, collect(pending, func(i ram.ResourceShareInvitation) string { return *i.ResourceShareArn }), asked)
}

// packets holds what the host is asked for against the oracle: doors that lead to
// configurations, which networks are let in to which, and between which there are links
// and routes.
func (o *oracle) packets(v *tenancy) {
	targets, sources := map[netip.Addr]string{}, map[netip.Prefix]string{}
	tx := v.world.DB.Snapshot()
	for c := range state.ResourceConfigurations.All(tx) {
		for _, t := range c.Targets {
			targets[t.Addr(true)] = c.ID
		}
	}
	for account, id := range v.vpcs {
		vpc, _ := state.VPCs.Get(tx, account, servicetest.Region, id)
		sources[model.TransitSource4(0, vpc.TransitIndex)] = id
	}
	doors, let, joined := set{}, set{}, set{}
	for _, e := range v.c.Desired() {
		switch e := e.(type) {
		case desired.Endpoint:
			doors[fmt.Sprint(e.VPC, " ", e.Owner, " ", targets[e.Target])] = true
		case desired.Allow:
			let[fmt.Sprint(e.VPC, " ", sources[e.Source], " ", targets[e.Target])] = true
		case desired.Link:
			joined[fmt.Sprint(e)] = true
		case desired.Route:
			joined[fmt.Sprint(e.VPC, " ", e.Peer, " ", targets[e.Prefix.Addr()], sources[e.Prefix])] = true
		}
	}
	wantDoors, wantLet, wantJoined := set{}, set{}, set{}
	for id, e := range o.endpoints {
		for to := range e.ways {
			from, into := v.vpcs[e.account], v.vpcs[vendor]
			wantDoors[from+" "+id+" "+to] = true
			wantLet[into+" "+from+" "+to] = true
			wantJoined[fmt.Sprint(desired.NewLink(from, into))] = true
			wantJoined[from+" "+into+" "+to] = true
			wantJoined[into+" "+from+" "+from] = true
		}
	}
	same("doors", doors, wantDoors)
	same("networks that are let in", let, wantLet)
	same("links and routes", joined, wantJoined)
}
