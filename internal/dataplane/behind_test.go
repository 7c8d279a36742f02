// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/test/testnet"
)

// The router of a resource may be slower than those that lead to it, which go on
// without it. While it has nothing of a way, who connects is not answered, and is
// connected by a repetition of the first packet when it has all; while it lacks the
// permission alone it refuses. What is there first makes nobody reach anything else.
func TestAWayWhoseFarSideIsBehind(t *testing.T) {
	each(t, func(s *scenario) {
		s.apply()
		s.serve()
		var way, permission []desired.Entry
		for _, e := range s.entries[provider] {
			switch e.Key().Kind {
			case desired.KindRoute, desired.KindTarget:
				way = append(way, e)
			case desired.KindAllow:
				permission = append(permission, e)
			}
		}
		s.take(provider, slices.Concat(way, permission)...)
		ctx, cancel := context.WithTimeout(s.t.Context(), testnet.Patience)
		defer cancel()
		asked := make(chan error, 1)
		go func() {
			_, err := s.client.Ask(ctx, s.network, s.endpoint)
			asked <- err
		}()
		select {
		case err := <-asked:
			s.t.Errorf("an answer although nothing is there: %v", err)
			return
		case <-time.After(500 * time.Millisecond):
		}
		s.put(provider, slices.Concat(way, permission))
		if err := <-asked; err != nil {
			s.t.Errorf("when all is there: %v", err)
		}
		s.checkTraffic()

		s.take(provider, permission...)
		s.expectRefusal("without permission", s.endpoint)
		s.put(provider, permission)
		s.checkTraffic()
	})
}

// take removes entries.
func (s *scenario) take(vpc string, entries ...desired.Entry) {
	s.t.Helper()
	for key, err := range s.host.Apply(context.Background(), desired.Realm(vpc), nil, entries) {
		s.t.Errorf("remove %s: %v", key, err)
	}
}
