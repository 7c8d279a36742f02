// SPDX-License-Identifier: Apache-2.0

package system

import (
	"strings"
	"testing"

	"github.com/posternhq/postern/test/postern"
)

// A client that takes more than its share is refused at once, others are not,
// and the operator sees it.
func TestSharesAreKeptAndSeen(t *testing.T) {
	const share = 20
	s := newPair(t, "--share", "client=20;association=1000", "--verify-interval", "1s")
	neighbour := s.clients.Workload("", s.openClient)
	own := s.servers.Workload("", s.openServer)
	other := s.VPC("10.0.0.0/16")
	subnet, group := other.Subnet(0, "10.0.1.0/24"), other.OpenGroup()
	stranger := subnet.Workload("10.0.1.10", group)
	theirs := other.Endpoint(s.resource, []*postern.Subnet{subnet}, group)

	if out := expectCommand(t, s.Postern, 0, "", "status"); strings.Contains(out, "SHARE") {
		t.Errorf("status shows shares that nobody uses:\n%s", out)
	}
	to := at(s.endpoint.Address())
	for range share - 1 {
		dial(t, s.client, to)
	}
	row := func(want string) {
		t.Helper()
		for line := range strings.Lines(expectCommand(t, s.Postern, 0, "", "status")) {
			if f := strings.Fields(line); len(f) > 1 && f[0] == "client" && f[1] == s.consumer.ID && strings.Contains(line, want) {
				return
			}
		}
		t.Errorf("status does not show %q for the clients of %s", want, s.consumer.ID)
	}
	row("19 (95 %, nearly full)  20     0        10.0.1.10")
	dial(t, s.client, to)
	for _, beyond := range []string{to, hostPort(neighbour.IP, 9)} { // once each: they are counted
		if err := refusal(s.client, beyond); err != nil {
			t.Errorf("connect to %s: %v", beyond, err)
		}
	}
	row("20 (100 %, nearly full)  20     2        10.0.1.10")
	expectAnswer(t, neighbour, to)
	expectAnswer(t, stranger, at(theirs.Address()))
	expectAnswer(t, own, at(s.server.IP))
	for _, warning := range []string{"a share is nearly used up", "refused beyond a share"} {
		s.Await(warning, func() (bool, error) { return strings.Contains(s.Log(), warning), nil })
	}
	for _, wrong := range []string{"client=0", "clients=10"} {
		expectCommand(t, s.Postern, 1, "--share client", "up", "--data", t.TempDir(), "--share", wrong)
	}
}
