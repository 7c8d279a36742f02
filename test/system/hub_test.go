// SPDX-License-Identifier: Apache-2.0

package system

import (
	"net/netip"
	"strings"
	"testing"

	lattice "github.com/posternhq/postern/internal/aws/shape/vpclattice"
	"github.com/posternhq/postern/test/postern"
)

// An endpoint in a shared VPC, behind a gateway of that VPC, is a resource for other
// VPCs; and theirs for the next ones. Rules and removals of each step count.
func TestAHubOfEndpoints(t *testing.T) {
	s := newPair(t)
	resource6 := s.gateway.Configuration(s.server.IP6, "5432")
	inner6 := s.consumer.Endpoint(resource6, []*postern.Subnet{s.clients}, s.openClient)
	group := s.consumer.Group("hub", nil, postern.Open)
	hub := s.consumer.Gateway("hub", []*postern.Subnet{s.clients}, []string{group})
	outer := s.VPC("10.0.0.0/16")
	users := outer.Subnet(0, "10.0.1.0/24")
	open := outer.OpenGroup()
	user := users.Workload("10.0.1.10", open)
	onward := hub.Configuration(s.endpoint.Address(), "5432")
	first := outer.Endpoint(onward, []*postern.Subnet{users}, open)
	first6 := outer.Endpoint(hub.Configuration(inner6.Address6(), "5432"), []*postern.Subnet{users}, open)
	sources := s.gateway.Sources()[s.servers.Zone]
	expectSource(t, user, first.Address(), sources)
	expectSource(t, user, first6.Address6(), sources)
	expectRefusal(t, user, hostPort(first.Address(), 5433))
	far := s.VPC("10.0.0.0/16")
	farUsers := far.Subnet(0, "10.0.1.0/24")
	openFar := far.OpenGroup()
	farUser := farUsers.Workload("10.0.1.10", openFar)
	second := outer.Gateway("second", []*postern.Subnet{users}, []string{open}).Configuration(first.Address(), "5432")
	expectSource(t, farUser, far.Endpoint(second, []*postern.Subnet{farUsers}, openFar).Address(), sources)

	// The gateway of the hub may send to the endpoint no more, and again.
	s.Revoke(group, nil, postern.Open)
	s.Await("the group to close", func() (bool, error) { return !answers(user, at(first.Address())), nil })
	expectSilence(t, user, at(first.Address()))
	expectSilence(t, user, at(first6.Address6()))
	s.Authorize(group, nil, postern.Open)
	s.Await("the group to open", func() (bool, error) { return answers(user, at(first.Address())), nil })

	// What would lead back to itself is refused.
	back := s.provider.Endpoint(onward, []*postern.Subnet{s.servers}, s.openServer)
	err := s.Do(lattice.Service, "UpdateResourceConfiguration", &lattice.UpdateResourceConfigurationInput{
		ResourceConfigurationIdentifier: &s.resource.ID,
		ResourceConfigurationDefinition: &lattice.ResourceConfigurationDefinition{IpResource: &lattice.IpResource{IpAddress: new(back.Address().String())}},
	}, &lattice.UpdateResourceConfigurationOutput{})
	if postern.Code(err) != "ValidationException" || !strings.Contains(err.Error(), "leads back") {
		t.Errorf("a resource that leads to itself: %v", err)
	}

	// The endpoint in the middle goes: both ends of what went through it are told.
	l, err := s.server.Listen("tcp", ":7000")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	middle := s.consumer.Endpoint(s.gateway.Configuration(s.server.IP, "7000"), []*postern.Subnet{s.clients}, s.openClient)
	outermost := outer.Endpoint(hub.Configuration(middle.Address(), "7000"), []*postern.Subnet{users}, open)
	here, there := both(t, user, l, outermost.Address())
	if from := there.RemoteAddr().String(); !within(netip.MustParseAddrPort(from).Addr().Unmap(), sources) {
		t.Errorf("the server sees %s", from)
	}
	middle.Delete()
	expectReset(t, "client", here)
	expectReset(t, "server", there)
	s.Await("new connections to be refused", func() (bool, error) { return !answers(user, hostPort(outermost.Address(), 7000)), nil })
	expectRefusal(t, user, hostPort(outermost.Address(), 7000))
	expectSource(t, user, first.Address(), sources) // through another endpoint of the hub
}
