// SPDX-License-Identifier: Apache-2.0

package system

import (
	"testing"

	"github.com/posternhq/postern/test/postern"
	"github.com/posternhq/postern/test/testnet"
)

// A folder whose host is called otherwise from now on is still that of the same host:
// its workloads stay attached, ways and what goes through them stay as they are, and
// the former name is gone.
func TestAHostIsCalledOtherwise(t *testing.T) {
	s := newPair(t, "--host-name", "before")
	conn := dial(t, s.client, at(s.endpoint.Address()))
	s.Stop()
	p := postern.StartOn(t, s.Data, "--host-name", "after")
	awaitSettled(t, p)
	if hosts := p.Status().Hosts; len(hosts) != 1 || *hosts[0].Name != "after" {
		t.Errorf("hosts: %+v", hosts)
	}
	if err := testnet.Echo(conn, "as before"); err != nil {
		t.Errorf("a connection of before: %v", err)
	}
	expectAnswer(t, s.client, at(s.endpoint.Address()))
}
