// SPDX-License-Identifier: Apache-2.0

package nft_test

import (
	"testing"

	"github.com/posternhq/postern/test/lab"
)

func TestTheRouterAnswersNamesAndEchoesOnly(t *testing.T) {
	r := newRig(t)
	r.A.Greet(53)
	r.A.Greet(80)
	r.Put(r.TableA, lab.Class("vpc-a", "c-work", nil, nil)) // security groups do not filter the resolver
	r.works(r.Client, "10.0.1.1:53", "10.0.1.10")
	r.silent(r.Client, "10.0.2.11:53")
	r.Put(r.TableA, lab.Class("vpc-a", "c-work", lab.AnyRules, lab.AnyRules))
	r.refused(r.Client, "10.0.1.1:80")
	if !r.Client.Ping("10.0.1.1", lab.Patience) {
		t.Error("the router does not answer echo requests")
	}
}
