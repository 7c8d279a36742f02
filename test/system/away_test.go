// SPDX-License-Identifier: Apache-2.0

package system

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/test/cluster"
	"github.com/posternhq/postern/test/postern"
)

// A start that finds no store keeps in place what the host was last told: it repairs
// what was damaged, removes nothing, and when the store is back that says what is
// wanted, also what has become of processes meanwhile.
func TestRepairWhileTheStoreIsAway(t *testing.T) {
	needPrograms(t, "ip", "nft")
	store := cluster.New(t, 0)
	store.Start(t)
	s := newPair(t, "--etcd", store.URL, "--verify-interval", "300ms")
	consumer, endpoint := s.router(s.consumer), s.endpoint.Address().String()
	target := wanted(t, s.Postern, "^endpoint "+s.consumer.ID+` 10\S+ target=(\S+)`)
	told := s.Desired()
	if !strings.Contains(told, "owner="+s.endpoint.ID) {
		t.Errorf("the host is not told whose endpoints are:\n%s", told)
	}
	s.Kill() // the copy is current at every moment
	store.Stop()
	const stray = "240.0.200.0 . 240.15.9.9"
	inNamespace(t, s.router(s.provider), "nft add element inet postern allow4 { "+stray+" }")
	strayed := func() bool {
		return strings.Contains(inNamespace(t, s.router(s.provider), "nft list set inet postern allow4"), stray)
	}
	inNamespace(t, consumer, "ip route del "+target)
	if answers(s.client, at(s.endpoint.Address())) {
		t.Fatal("the route is of no use")
	}
	up := make(chan error, 1)
	go func() { up <- s.Launch() }()
	mended := func(what string) {
		t.Helper()
		s.Await("repair of "+what, func() (bool, error) { return answers(s.client, at(s.endpoint.Address())), nil })
	}
	mended("what was damaged before the start")
	for _, damage := range []string{"nft delete element inet postern endpoint4 { " + endpoint + " }", "ip route del " + target} {
		inNamespace(t, consumer, damage)
		mended(damage)
	}
	if !strayed() {
		t.Error("what the copy does not know of was removed")
	}
	if down := expectCommand(t, s.Postern, 0, "", "desired"); down != told {
		t.Errorf("the copy says\n%s\nwant\n%s", down, told)
	}
	select {
	case err := <-up:
		t.Fatalf("ready without a store: %v", err)
	default:
	}
	store.Start(t)
	if err := <-up; err != nil {
		t.Fatal(err)
	}
	s.Await("the whole state to take over", func() (bool, error) { return !strayed(), nil })
	postern.Call[ec2.DeleteVpcEndpointsOutput](s.Postern, ec2.Service, "DeleteVpcEndpoints", &ec2.DeleteVpcEndpointsInput{VpcEndpointIds: []string{s.endpoint.ID}})
	s.Await("the end of the endpoint", func() (bool, error) { return !answers(s.client, at(s.endpoint.Address())), nil })
}

// A copy that is not whole is refused in a sentence, and nothing is done by it.
func TestASpoiledCopyRepairsNothing(t *testing.T) {
	needPrograms(t, "ip")
	store := cluster.New(t, 0)
	store.Start(t)
	s := newPair(t, "--etcd", store.URL, "--verify-interval", "300ms")
	target := wanted(t, s.Postern, "^endpoint "+s.consumer.ID+` 10\S+ target=(\S+)`)
	s.Stop()
	store.Stop()
	path := filepath.Join(s.Data, "desired.txt")
	text, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, text[:len(text)-1], 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	inNamespace(t, s.router(s.consumer), "ip route del "+target)
	up := make(chan error, 1)
	go func() { up <- s.Launch() }()
	s.Await("what it says of the copy", func() (bool, error) { return strings.Contains(s.Log(), "its end is missing"), nil })
	if answers(s.client, at(s.endpoint.Address())) {
		t.Error("repaired by half a copy")
	}
	s.Stop() // waiting is no reason not to end well
	if err := <-up; err == nil {
		t.Error("ready without a store")
	}
	store.Start(t)
	s.Up()
	s.Await("repair by the store", func() (bool, error) { return answers(s.client, at(s.endpoint.Address())), nil })
}

// When the cluster goes away from a running Postern, clients and commands are told
// to try again later, and not that Postern has a fault.
func TestRequestsWhileTheStoreIsAway(t *testing.T) {
	store := cluster.New(t, 0)
	store.Start(t)
	p := postern.Start(t, "--etcd", store.URL)
	store.Stop()
	if _, err := createVPC(p); err == nil || !strings.Contains(err.Error(), "ServiceUnavailable") {
		t.Errorf("a change without a store: %v", err)
	}
	if r := p.Command("status"); r.Status != 1 || !strings.Contains(r.Stderr, "did not answer in time") {
		t.Errorf("status without a store: %+v", r)
	}
	store.Start(t)
	p.Await("the store", func() (bool, error) { _, err := createVPC(p); return err == nil, nil })
}
