// SPDX-License-Identifier: Apache-2.0

package control

import (
	"testing"

	"github.com/posternhq/postern/bench/report"
)

// A round accepts one invitation of every buying customer, to something that a server is
// behind; and every configuration is shared once, whatever the scale.
func TestEveryConfigurationIsSharedOnceAndEveryBuyerAcceptsInEveryRound(t *testing.T) {
	for _, settings := range []report.Settings{{Quick: true, Rounds: 1}, {Rounds: 1}, {Rounds: 5}} {
		s := scaleOf(settings).market
		names, buyers, customers := map[string]bool{}, map[[2]int]bool{}, map[int]bool{}
		for _, d := range s.deals() {
			if names[d.name()] || d.vendor >= s.vendors || d.configuration >= s.each {
				t.Fatalf("%+v: %+v is shared twice, or not there", s, d)
			}
			names[d.name()], customers[d.customer] = true, true
			if d.round == beforehand {
				continue
			}
			buyer := [2]int{d.round, d.customer}
			if buyers[buyer] || d.vendor >= s.serving || d.customer >= s.buying || d.round < 0 || d.round >= s.rounds {
				t.Errorf("%+v: %+v is accepted by somebody who cannot, or beside another one", s, d)
			}
			buyers[buyer] = true
		}
		if len(names) != s.shares() || len(buyers) != s.rounds*s.buying || len(customers) != s.customers {
			t.Errorf("%+v: %d shares with %d customers, of which %d are accepted in rounds", s, len(names), len(customers), len(buyers))
		}
	}
	if s := scaleOf(report.Settings{Rounds: 5}).market; s.accounts() != 1000 || s.shares() != 10_000 {
		t.Errorf("the whole has %d accounts and %d shares", s.accounts(), s.shares())
	}
}
