// SPDX-License-Identifier: Apache-2.0

package system

import (
	"strings"
	"testing"

	"github.com/posternhq/postern/test/postern"
	"github.com/posternhq/postern/test/testnet"
)

// TestAGatewayWithoutAnUplinkSaysSo looks at gateways of both kinds.
func TestAGatewayWithoutAnUplinkSaysSo(t *testing.T) {
	testnet.Require(t)
	p := postern.Start(t)
	v := p.VPC("10.0.0.0/16")
	ids := []string{v.InternetGateway(), v.EgressOnlyGateway()}
	out := expectCommand(t, p, 0, "", "status")
	for _, id := range ids {
		for l := range strings.Lines(out) {
			if strings.Contains(l, id) && !strings.Contains(l, "nothing is behind it") {
				t.Errorf("status says of a gateway: %s", l)
			}
		}
		if !strings.Contains(out, id) {
			t.Errorf("status does not show %s:\n%s", id, out)
		}
	}
}
